"""On a GPU: nothing waits for it, recorded updates are the updates, and a run is the same run again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from plastic.core.cuda_graphs import CudaGraphs
from plastic.core.errors import UsageError
from plastic.core.learner import Learner
from plastic.core.recipe import Chosen
from plastic.testing.compare import differences
from plastic.testing.state import story
from plastic.testing.trial import WARM, Trial

pytestmark = pytest.mark.cuda

KINDS = ("rainbow", "states", "pixels", "drqv2")
MANY = (
    "sam",
    "swa:when=2",
    "clip_gradients",
    "hare_tortoise:when=3",
    "dropout",
    "layer_norm",
    "reset:when=4",
    "redo:when=3",
)


def close(found: Tensor, expected: Tensor, name: str = "the action") -> None:
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-5, msg=lambda text: f"{name}: {text}")


def trial(kind: str, device: torch.device, plugins: Sequence[str] = (), *, recorded: bool, steps: int = 12) -> Trial:
    made = Trial(kind, [Chosen.parse(plugin) for plugin in plugins], steps=WARM + steps, device=str(device))
    if recorded:
        made.agent.be_recorded(CudaGraphs(made.agent.device))
    return made.warm_up()


def weights(one: Trial) -> dict[str, Tensor]:
    return {f"{name}/{path}": w.detach() for name, made in one.learners.items() for path, w in made.params.items()}


def agree(one: Trial, other: Trial) -> None:
    expected = weights(one)
    for name, found in weights(other).items():
        close(found, expected[name], name)


@contextmanager
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plugins", [(), MANY], ids=["bare", "many"])
def test_an_update_waits_for_nothing(kind: str, plugins: Sequence[str], cuda: torch.device) -> None:
    one = trial(kind, cuda, plugins, recorded=False).run(WARM + 6)
    one.clock.advance(updates=1)
    kept = one.agent.prepare()
    assert kept
    with no_waiting():
        one.agent.learn()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plugins", [(), MANY], ids=["bare", "many"])
def test_recorded_updates_agree_with_those_that_are_carried_out(
    kind: str, plugins: Sequence[str], cuda: torch.device
) -> None:
    one, other = (trial(kind, cuda, plugins, recorded=recorded).run() for recorded in (False, True))
    capture = other.agent.capture
    assert capture is not None
    assert capture._recorded
    agree(one, other)


def _put(learner: Learner, source: Learner) -> None:
    """The other one's tensors into this one's, in place."""
    pairs: list[tuple[Any, Any]] = [(learner.model, source.model)]
    pairs += [(learner.copies[name], copy) for name, copy in source.copies.items()]
    for module, given in pairs:
        module.load_state_dict(given.state_dict())
    for name, parameter in learner.params.items():
        state = learner.optimizer.state[parameter]
        for key, value in source.optimizer.state[source.params[name]].items():
            state[key].copy_(value)
    for mine, theirs in zip(learner.generators(), source.generators(), strict=True):
        mine.set_state(theirs.get_state())


@pytest.mark.parametrize("kind", ["rainbow", "states"])
def test_each_of_a_thousand_updates_from_the_same_state_agrees(kind: str, cuda: torch.device) -> None:
    one, other = (trial(kind, cuda, ["sam"], recorded=recorded).run(WARM + 3) for recorded in (False, True))
    for _ in range(1_000):
        for name, learner in other.learners.items():
            _put(learner, one.learners[name])
        other.agent._replay._priorities.units.tensor.copy_(one.agent._replay._priorities.units.tensor)  # type: ignore[attr-defined]
        other.agent._replay._priorities.largest.copy_(one.agent._replay._priorities.largest)  # type: ignore[attr-defined]
        other.agent._batches.set_state(one.agent._batches.get_state())  # type: ignore[attr-defined]
        for made in (one, other):
            made.update()
            made.clock.tick()
        agree(one, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recorded", [False, True], ids=["carried out", "recorded"])
def test_the_same_run_again_is_bit_for_bit_the_same(kind: str, recorded: bool, cuda: torch.device) -> None:
    assert differences(*(story(trial(kind, cuda, MANY, recorded=recorded).run()) for _ in range(2))) == []


@pytest.mark.parametrize("plugin", ["reset:when=6", "plasticity_injection:when=6", "shrink_perturb:when=6"])
def test_the_first_update_after_an_edit_is_right(plugin: str, cuda: torch.device) -> None:
    one, other = (trial("rainbow", cuda, [plugin], recorded=recorded) for recorded in (False, True))
    for steps in range(5, 9):
        agree(*(made.run(WARM + steps) for made in (one, other)))


@pytest.mark.parametrize("plugins", [(), MANY], ids=["bare", "many"])
def test_the_first_update_after_a_checkpoint_is_right(plugins: Sequence[str], cuda: torch.device) -> None:
    whole = trial("rainbow", cuda, plugins, recorded=True).run(WARM + 5)
    file = whole.save()
    resumed = Trial("rainbow", [Chosen.parse(plugin) for plugin in plugins], steps=WARM + 12, device=str(cuda))
    resumed.agent.be_recorded(CudaGraphs(resumed.agent.device))
    resumed.load(file)
    for steps in range(6, 12):
        agree(*(made.run(WARM + steps) for made in (whole, resumed)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_replayed_action_is_the_action(kind: str, cuda: torch.device) -> None:
    one, other = (trial(kind, cuda, recorded=recorded).run(WARM + 4) for recorded in (False, True))
    for _ in range(4):
        first, second = (torch.as_tensor(made.agent.act(made.observation)) for made in (one, other))
        close(second, first)


def test_what_waits_is_refused_in_a_sentence(cuda: torch.device) -> None:
    graphs = CudaGraphs(cuda)
    with pytest.raises(UsageError, match=r"cannot be captured in a CUDA graph \(.*\); leave out capture"):
        graphs.record(lambda: float(torch.ones((), device=cuda) + 1), ())
    torch.cuda.synchronize()
