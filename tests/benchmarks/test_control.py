"""What an assembled update of SAC from pixels costs."""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from tests.benchmarks.conftest import Report
from tests.benchmarks.control import ACTIONS, BATCH, Controlling, replay
from tests.benchmarks.handwritten_drq import LEARNING_RATE, TAU, Critics, Loop
from tests.benchmarks.pairs import PAIRS, Work, compare


def critics(model: nn.Module, own: Critics) -> list[tuple[Tensor, Tensor]]:
    """The parameters of the agent's critics, member by member, each with the loop's."""
    made: list[tuple[Tensor, Tensor]] = []
    for part in ("encoder", "trunk"):
        made += zip(model.get_submodule(part).parameters(), own.get_submodule(part).parameters(), strict=True)
    for member, head in enumerate((own.first, own.second)):
        shared = model.get_submodule("head").parameters()
        made += [(ours[member], theirs) for ours, theirs in zip(shared, head.parameters(), strict=True)]
    return made


def trained(like: Controlling, loop: Loop) -> list[tuple[Tensor, Tensor]]:
    critic, actor, temperature = (like.agent.learners[name] for name in like.agent.learns)
    made = [(temperature.params["log_alpha"], loop.log_alpha), *critics(critic.model, loop.critics)]
    return [*made, *zip(actor.model.parameters(), loop.actor_params, strict=True)]


def targets(like: Controlling, loop: Loop) -> list[tuple[Tensor, Tensor]]:
    return critics(like.agent.learners["critic"].copies["target"], loop.target)


def handwritten(like: Controlling) -> Loop:
    """The loop with the weights and the random streams that the agent begins with."""
    loop = Loop(replay(), ACTIONS, BATCH)
    loop.batches.set_state(like.agent.state_dict()["batches"])
    loop.draws.set_state(like.agent.learners["critic"].state_dict()["augmentation"])
    loop.noises.set_state(like.agent.learners["actor"].state_dict()["augmentation"])
    with torch.no_grad():
        for ours, theirs in (*trained(like, loop), *targets(like, loop)):
            theirs.copy_(ours)
    return loop


def by_hand() -> Work:
    return handwritten(Controlling()).update


def furthest(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """The tensor that is off the most, on average over its entries, in steps of the learning rate.

    On average: where a gradient is nearly 0, what is left of it by rounding decides Adam's first steps.
    """
    return max(float((ours - theirs).detach().abs().mean()) / LEARNING_RATE for ours, theirs in pairs)


def test_the_handwritten_loop_does_the_same_work() -> None:
    agent = Controlling()
    loop = handwritten(agent)
    for _ in range(5):
        agent()
        loop.update()
    assert furthest(trained(agent, loop)) < 0.1
    assert furthest(targets(agent, loop)) < 0.1 * TAU * 5
    losses = [agent.agent.learners[name].averages()["loss"] * 5 for name in agent.agent.learns]
    assert losses == pytest.approx(loop.sums.tolist(), rel=1e-3)


def test_an_assembled_update_from_pixels(benchmark: BenchmarkFixture, report: Report) -> None:
    compared = compare(benchmark, by_hand, Controlling)
    report(
        f"sac from pixels, assembled / hand-written: {compared.ratio} by the clock (at most 1.05), "
        f"{compared.processor_ratio} of processor time, {compared.milliseconds(1):.1f} ms to "
        f"{compared.milliseconds(0):.1f} ms, {PAIRS} pairs"
    )
    assert compared.ratio.median <= 1.05
