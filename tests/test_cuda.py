"""On a GPU: nothing waits for it, recorded updates are the updates, and a run is the same run again."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import plastic
from plastic.core.learning.learner import Learner
from plastic.core.recipes.recipe import Chosen
from plastic.core.recording.cuda_graphs import CudaGraphs
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
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
            torch.cuda.set_sync_debug_mode("error")
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


@pytest.mark.parametrize("recorded", [False, True], ids=["carried out", "recorded"])
def test_the_rate_is_the_same_number_whether_recorded_or_not(recorded: bool, cuda: torch.device) -> None:
    for learner in trial("states", cuda, recorded=recorded).run(WARM + 3).learners.values():
        for group in learner.optimizer.param_groups:
            assert group["lr"].device.type == "cuda"
            assert group["lr"].dtype == torch.float32


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


def _excess(one: Trial, other: Trial) -> Tensor:
    """By how much the furthest weight is beyond what `close` allows, on the device: nothing waits for it."""
    expected = weights(one)
    return torch.stack(
        [((w - expected[name]).abs() - 2e-5 - 2e-4 * expected[name].abs()).amax() for name, w in weights(other).items()]
    ).amax()


@pytest.mark.parametrize("kind", ["rainbow", "states"])
def test_each_of_a_thousand_updates_from_the_same_state_agrees(kind: str, cuda: torch.device) -> None:
    one, other = (trial(kind, cuda, ["sam"], recorded=recorded).run(WARM + 3) for recorded in (False, True))
    beyond: list[Tensor] = []
    for _ in range(1_000):
        for name, learner in other.learners.items():
            _put(learner, one.learners[name])
        other.agent._replay._priorities.units.tensor.copy_(one.agent._replay._priorities.units.tensor)  # type: ignore[attr-defined]
        other.agent._replay._priorities.largest.copy_(one.agent._replay._priorities.largest)  # type: ignore[attr-defined]
        other.agent._batches.set_state(one.agent._batches.get_state())  # type: ignore[attr-defined]
        for made in (one, other):
            made.update()
            made.clock.tick()
        beyond.append(_excess(one, other))
    assert [number for number, excess in enumerate(torch.stack(beyond).tolist()) if not excess <= 0] == []


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


FAILING = """
import torch
from plastic.core.recording.cuda_graphs import CudaGraphs
from plastic.core.errors import UsageError

device = torch.device("cuda")
total = torch.ones((), device=device)
try:
    CudaGraphs(device).record(lambda: float(total + 1), ())
except UsageError as error:
    print(error)
recording = CudaGraphs(device).record(lambda: total.add_(1), ())
recording.replay()
back = torch.cuda.current_stream() == torch.cuda.default_stream()
print(float(total), float(torch.rand((), device=device)) < 1, back)
"""


def test_what_waits_is_refused_in_a_sentence_and_spoils_nothing(cuda: torch.device) -> None:
    """In a process of its own, so that it spoils no other test if it does."""
    environment = {**os.environ, "PYTHONPATH": str(Path(plastic.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", FAILING], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    said, after = done.stdout.splitlines()
    assert said.startswith("this cannot be captured in a CUDA graph (")
    assert said.endswith("; leave out capture")
    assert "due to a previous error" not in said
    assert after == "3.0 True True"
