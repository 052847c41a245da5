"""Augmentation, off or on from a moment: the knob is turned once, and the images feel it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes import options
from plastic.core.schedule import At
from plastic.plugins.interventions.augmentation import Augmentation
from tests.plugins.learners import Recorded, batch, differences, rainbow, state


def augmented(learner: Learner, updates: int, frames: int = 4) -> list[bool]:
    """Of each update, whether its images were changed."""
    changed = []
    for _ in range(updates):
        learner.clock.advance(updates=1, agent_steps=1, frames=frames)
        given = batch(learner.clock.now.updates)
        learner.update(given)
        objective = learner.objective
        assert isinstance(objective, Recorded)
        seen: Tensor = objective.augmented[-1].observation
        changed.append(not torch.allclose(seen, given.observation / 255, atol=1e-6))
        learner.tend()
        learner.clock.tick()
    return changed


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"off_at": 11}, [True, True, True, False, False]),  # frames: passed in the third step, of 4 each
        ({"on_at": 12}, [False, False, False, True, True]),
        ({"off_at": 2, "of": "updates"}, [True, True, False, False, False]),
        ({"on_at": 4, "of": "agent_steps"}, [False, False, False, False, True]),
    ],
)
def test_images_are_augmented_up_to_the_moment_or_from_it(said: dict[str, Any], expected: list[bool]) -> None:
    plugin = Augmentation(**said)
    learner = rainbow(plugin, recorded=True, augmentation=bool(plugin.settings()["augmentation"]))
    assert augmented(learner, 5) == expected


def test_nothing_but_the_knob_is_touched() -> None:
    learner, bare = rainbow(Augmentation(off_at=1)), rainbow()
    for one in (learner, bare):
        one.clock.advance(updates=1, agent_steps=1, frames=4)
        one.update(batch(1))
        one.tend()
    assert differences(state(learner), state(bare)) <= {"plugins", "names", "knobs"}
    assert (learner.knobs["augmentation"], bare.knobs["augmentation"]) == (False, True)


def test_a_run_starts_the_other_way_round() -> None:
    assert Augmentation(off_at=5).settings() == {"augmentation": True}
    assert Augmentation(on_at=5).settings() == {"augmentation": False}
    assert Augmentation(on_at=5, of="updates").when == At(5, "updates")


@pytest.mark.parametrize("said", [{}, {"off_at": 1, "on_at": 2}])
def test_one_moment_is_given(said: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="augmentation: give either off_at or on_at"):
        options.build(Augmentation, said, "augmentation")


def test_without_images_there_is_nothing_to_turn() -> None:
    learner = rainbow()
    with pytest.raises(NothingToActOn, match="augmentation turns augmentation, which means nothing in this run"):
        Learner(
            "vectors",
            lambda: learner.model,
            learner.objective,
            torch.optim.Adam,
            plugins=[Augmentation(off_at=1)],
            knobs={"replay_ratio": 1.0},
        )
