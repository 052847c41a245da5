"""Settings that would change nothing."""

from typing import Any

import pytest
from attrs import define, field

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.agents.sac.sac import SAC
from plastic.core.agent import Agent
from plastic.core.errors import UsageError
from plastic.core.recipes.inert import only_for, refuse_inert, unless


@define(eq=False)
class Conditional(Rainbow):
    """With a setting for images that needs another one beside it."""

    name = "conditional"
    blur: int = field(default=1, metadata={**only_for("image"), **unless(augmentation=False)})


def refuse(agent: Agent, said: str, observations: Any = "image", turned: set[str] | None = None) -> None:
    agent.learners = {}  # as if it had begun
    refuse_inert(agent, said.split(), observations, "task", turned or set())


def test_what_is_for_other_observations_is_refused_unless_it_is_the_default() -> None:
    refuse(Conditional(blur=1), "blur", "vector")
    refuse(Conditional(blur=2), "blur", "image")
    refuse(Conditional(blur=2), "", "vector")  # a preset's
    with pytest.raises(UsageError, match=r"^conditional: blur is for images, and task gives vectors; leave it out$"):
        refuse(Conditional(blur=2), "hidden blur", "vector")


def test_what_another_setting_takes_the_effect_from_is_refused_unless_a_plugin_turns_that() -> None:
    agent = Conditional(blur=2, augmentation=False)
    refuse(agent, "blur", turned={"augmentation"})
    refuse(agent, "augmentation")
    sentence = r"^conditional: blur changes nothing with augmentation=false; leave out one of them$"
    with pytest.raises(UsageError, match=sentence):
        refuse(agent, "blur")


@pytest.mark.parametrize(
    ("agent", "said", "observations"),
    [
        (Rainbow(shift=2), "shift", "vector"),
        (Rainbow(intensity=0.2), "intensity", "vector"),
        (Rainbow(encoder="data_efficient"), "encoder", "vector"),
        (Rainbow(augmentation=False), "augmentation", "vector"),
        (Rainbow(augmentation=False, shift=2), "shift", "image"),
        (Rainbow(noisy=False, noisy_sigma=0.1), "noisy_sigma", "image"),
        (Rainbow(priority_exponent=0.0, priority_weight=0.9), "priority_weight", "image"),
        (SAC(shift=2), "shift", "vector"),
        (SAC(encoder="drqv2"), "encoder", "vector"),
    ],
)
def test_of_our_agents(agent: Agent, said: str, observations: Any) -> None:
    with pytest.raises(UsageError):
        refuse(agent, said, observations)
