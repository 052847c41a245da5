"""Adaptive replay ratio: which updates are measured, what is compared, and that the ratio rises once."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes import options
from plastic.core.schedule import Clock, Every
from plastic.core.subject import Subject
from plastic.plugins.interventions import adaptive_rr as module
from plastic.plugins.interventions.adaptive_rr import AdaptiveReplayRatio
from tests.plugins.learners import learner_of


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(x))
        return y


INPUTS = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))


def learner(plugin: AdaptiveReplayRatio) -> Learner:
    return learner_of(Net, INPUTS, None, plugin, knobs={"replay_ratio": plugin.low})


def measured(monkeypatch: pytest.MonkeyPatch, fraction: Callable[[Clock], float]) -> list[int]:
    """Have the fraction be what `fraction` says, and note the updates at which it is asked for."""
    asked: list[int] = []

    def fake(subject: Subject, layers: str) -> Tensor:
        asked.append(subject.clock.now.updates)
        return torch.tensor(fraction(subject.clock))

    monkeypatch.setattr(module, "active_fraction", fake)
    return asked


def run(learner: Learner, episodes: int, updates: int = 3) -> list[float]:
    """So many updates in each of so many episodes; the ratio after each episode's last update."""
    ratios = []
    for _ in range(episodes):
        for step in range(updates):
            if step == 0 and learner.clock.now.updates:
                learner.clock.advance(episodes=1)  # it ends in the step whose update follows
            learner.clock.advance(updates=1)
            learner.edit()
            learner.clock.tick()
        ratios.append(float(learner.knobs["replay_ratio"]))
    return ratios


def test_the_last_of_fifty_episodes_is_averaged_and_compared_with_the_first_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plugin = AdaptiveReplayRatio()
    # 0.5 at first; in the 50th and the 100th episode 0.4 on average, so that the second check finds no change
    values = {49: [0.3, 0.4, 0.5], 99: [0.4, 0.4005, 0.3995]}
    asked = measured(
        monkeypatch,
        lambda clock: values[clock.now.episodes][clock.now.updates % 3 - 1] if clock.now.episodes else 0.5,
    )
    one = learner(plugin)
    ratios = run(one, 101)
    assert asked == [1, 148, 149, 150, 298, 299, 300]
    assert ratios[:100] == [0.5] * 100
    assert ratios[100] == 2.0
    assert plugin.raised
    assert plugin.checks == 2
    run(one, 60)
    assert len(asked) == 7, "once raised, nothing is measured any more"


@pytest.mark.parametrize(("change", "raised"), [(0.0009, True), (-0.0009, True), (0.0011, False), (-0.3, False)])
def test_no_more_than_the_tolerance_is_no_change(monkeypatch: pytest.MonkeyPatch, change: float, raised: bool) -> None:
    measured(monkeypatch, lambda clock: 0.5 + (change if clock.now.episodes else 0))
    plugin = AdaptiveReplayRatio(low=0.25, high=4.0)
    assert run(learner(plugin), 51)[-1] == (4.0 if raised else 0.25)
    assert plugin.raised == raised


def test_the_ratio_does_not_rise_before_so_many_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, lambda clock: 0.5)
    ratios = run(learner(AdaptiveReplayRatio(min_checks=3, when=Every(10, of="episodes"))), 40)
    assert ratios.index(2.0) == 30


def test_in_other_units_the_last_fiftieth_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, lambda clock: 1.0 / clock.now.updates)
    plugin = AdaptiveReplayRatio(when=Every(100, of="agent_steps"))
    one = learner(plugin)
    for _ in range(201):
        one.clock.advance(updates=1, agent_steps=1)
        one.edit()
        one.clock.tick()
    assert asked == [1, 98, 99, 198, 199]
    assert plugin.before is not None
    assert float(plugin.before) == pytest.approx((1 / 198 + 1 / 199) / 2)


def test_with_a_start_the_windows_are_those_before_the_checks_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, lambda clock: 1.0 / clock.now.updates)
    one = learner(AdaptiveReplayRatio(when=Every(100, of="agent_steps", start=30)))
    for _ in range(250):
        one.clock.advance(updates=1, agent_steps=1)
        one.edit()
        one.clock.tick()
    assert asked == [1, 128, 129, 228, 229]


def test_what_is_measured_are_the_layers_units_on_the_batch_to_look_at() -> None:
    plugin = AdaptiveReplayRatio(layers="head", when=Every(1, of="updates"), tolerance=1.0)
    one = learner(plugin)
    hidden = torch.relu(one.model.get_submodule("encoder")(INPUTS))
    active = (one.model.get_submodule("head.0")(hidden) > 0).float().mean()
    one.clock.advance(updates=1)
    one.edit()
    assert plugin.before is not None
    torch.testing.assert_close(plugin.before, active)


def test_a_run_starts_at_the_low_ratio_and_claims_it() -> None:
    plugin = AdaptiveReplayRatio(low=0.25)
    assert plugin.settings() == {"replay_ratio": 0.25}
    assert plugin.turns == {"replay_ratio"}


def test_bad_options_are_refused() -> None:
    with pytest.raises(
        NothingToActOn, match="adaptive_rr: no hidden layer with an activation that can be off matches layers=haed"
    ):
        learner(AdaptiveReplayRatio(layers="haed"))
    with pytest.raises(UsageError, match=r"adaptive_rr: when must be regular, \{every = N, of = \.\.\.\}, not always"):
        options.build(AdaptiveReplayRatio, {"when": "always"}, "adaptive_rr")
    for when, said in (
        ({"stop": 100}, "every 50 episodes, to 100"),
        ({"of": "frames", "stop": -1_000}, "every 50 frames, to 1,000 before the end"),
        ({"of": "frames", "start": -1_000}, "every 50 frames in the last 1,000"),
    ):
        words = f"adaptive_rr: when must count from the run's beginning and go on to its end, not {said}"
        with pytest.raises(UsageError, match=f"^{words}$"):
            options.build(AdaptiveReplayRatio, {"when": {"every": 50, "of": "episodes", **when}}, "adaptive_rr")
    with pytest.raises(UsageError, match="low must be above 0"):
        options.build(AdaptiveReplayRatio, {"low": 0}, "adaptive_rr")


def test_nothing_of_the_model_is_touched() -> None:
    plugin = AdaptiveReplayRatio(when=Every(1, of="updates"), tolerance=0.0)
    one = learner(plugin)
    before = {name: value.clone() for name, value in one.model.state_dict().items()}
    for _ in range(3):
        one.clock.advance(updates=1)
        one.edit()
        one.clock.tick()
    assert all(torch.equal(before[name], value) for name, value in one.model.state_dict().items())
