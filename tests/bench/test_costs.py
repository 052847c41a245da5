import time
from typing import Any

import pytest
from attrs import frozen

from plastic.bench.costs import BARE, Costs, measure
from plastic.core.intervention import PlasticityIntervention
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.schedule import At, Every, Schedule
from plastic.core.subject import Subject

SMALL = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000}


def costs(*plugins: Chosen, **more: Any) -> Costs:
    settings, device = {**SMALL, **more.pop("settings", {})}, more.pop("device", "cpu")
    wanted = Recipe(env="CartPole-v1", steps=131, settings=settings, plugins=plugins, device=device)
    return measure(wanted, Registry().load(), seconds=0.2, **more)


@pytest.fixture(scope="module")
def three() -> Costs:
    reset = Chosen("reset", {"when": {"every": 10, "of": "updates"}})
    injection = Chosen("plasticity_injection", {"when": {"at": 25, "of": "updates"}})
    return costs(Chosen("sam"), reset, injection, each=True)


def test_each_plugin_and_all_of_them_are_rows_behind_the_bare_agent(three: Costs) -> None:
    names = [row.name for row in three.rows]
    assert names == [BARE, "sam", "reset", "plasticity_injection", "sam + reset + plasticity_injection"]
    assert three.rounds >= 3
    assert [three.rows[0].ratio.lower, three.rows[0].ratio.median, three.rows[0].ratio.upper] == [1.0] * 3
    assert all(row.seconds.lower > 0 for row in three.rows)


def test_without_each_the_whole_combination_alone_is_compared() -> None:
    assert [row.name for row in costs(Chosen("sam"), Chosen("l2")).rows] == [BARE, "sam + l2"]
    assert [row.name for row in costs().rows] == [BARE]


def test_moments_are_counted_over_the_run(three: Costs) -> None:
    assert three.assembly.clock.total.updates == 100
    moments = {moment.plugin: moment for moment in three.rows[-1].moments}
    assert {name: moment.times for name, moment in moments.items()} == {"reset": 10, "plasticity_injection": 1}
    assert moments["reset"].when == "every 10 updates"
    assert moments["reset"].seconds >= 0  # of so small a network less than what a busy machine adds to an update
    assert three.rows[1].moments == []  # sam is at work in every update


def test_behind_an_injection_the_learner_holds_its_heads(three: Costs) -> None:
    bare, _, reset, injected, together = (row.megabytes for row in three.rows)
    assert injected > 1.5 * bare
    assert reset == pytest.approx(bare, rel=1e-3)
    assert together == pytest.approx(injected, rel=1e-3)


def test_the_hours_are_those_of_the_updates_and_the_moments(three: Costs) -> None:
    row = three.rows[2]
    (moment,) = row.moments
    assert row.hours == pytest.approx((100 * row.seconds.median + 10 * moment.seconds) / 3600)
    assert three.rows[0].hours == pytest.approx(100 * three.rows[0].seconds.median / 3600)


def test_an_unknown_number_of_moments_is_said_to_be_unknown() -> None:
    (_, row) = costs(Chosen("reset", {"when": {"every": 2, "of": "episodes"}})).rows
    assert row.moments[0].times is None
    assert row.hours is None


def test_acting_and_evaluating_are_reckoned(three: Costs) -> None:
    total = three.assembly.clock.total.agent_steps
    assert three.playing_hours == pytest.approx(total * (three.acting + three.stepping + three.observing) / 3600)
    assert three.whole_game
    assert three.games == 10
    assert three.evaluation_hours == pytest.approx(10 * three.game * three.evaluating / 3600)
    often = costs(settings={"eval_episodes": 3, "evaluate_every": 50})
    assert often.games == 3 * (2 + 1)  # after 50, after 100, and at the end


CALLS: list[str] = []


@frozen(eq=False)
class Counted(PlasticityIntervention):
    name = "counted"
    when: Schedule = Every(1)

    def edits(self, subject: Subject) -> list[Any]:
        CALLS.append("edits")
        return []


def test_a_moment_comes_when_it_is_timed_and_at_no_other_update() -> None:
    CALLS.clear()
    measured = costs(Chosen(f"{__name__}:Counted"))
    assert len(CALLS) == measured.rounds + 1  # and once to warm up
    CALLS.clear()
    costs(Chosen(f"{__name__}:Counted", {"when": At(7)}))
    assert len(CALLS) == 1


@pytest.mark.parametrize(
    ("chosen", "moments"),
    [
        (Chosen("adaptive_rr", {"min_checks": 1_000_000}), None),  # of episodes, nobody knows how many there will be
        (Chosen("augmentation", {"off_at": 100}), 1),
    ],
)
def test_what_turns_a_knob_is_timed_at_its_moments(chosen: Chosen, moments: int | None) -> None:
    settings = {"batch_size": 4, "replay_capacity": 200, "learning_starts": 20, "hidden": 16}
    wanted = Recipe(agent="rainbow", env="ALE/Pong-v5", steps=300, settings=settings, plugins=(chosen,))
    (_, row) = measure(wanted, Registry().load(), seconds=0.2).rows
    assert [(moment.plugin, moment.times) for moment in row.moments] == [(chosen.name, moments)]


@frozen(eq=False)
class Slow(PlasticityIntervention):
    name = "slow"
    when: Schedule = Every(1)

    def edits(self, subject: Subject) -> list[Any]:
        time.sleep(0.3)
        return []


def test_what_a_moment_takes_beyond_an_update_is_told() -> None:
    ((moment,),) = (row.moments for row in costs(Chosen(f"{__name__}:Slow")).rows[1:])
    assert moment.seconds > 0.1


def test_a_presets_plugins_are_timed_where_the_preset_has_them() -> None:
    settings = {"hidden": 16, "batch_size": 8, "replay_capacity": 1_000}
    chosen = (Chosen("reset", {"when": {"every": 100, "of": "agent_steps"}}), Chosen("layer_norm", on="critic"))
    wanted = Recipe(agent="sac", env="Pendulum-v1", steps=10_200, settings=settings, plugins=chosen)
    measured = measure(wanted, Registry().load(), each=True, seconds=0.2)
    assert [row.name for row in measured.rows] == [BARE, "reset", "layer_norm", "reset + layer_norm"]
    assert [list(one.instances) for one in measured.assembly.plugins] == [
        ["critic", "actor", "temperature"],
        ["critic"],
    ]
    assert measured.rows[-1].moments[0].times == 102


def test_a_long_combination_has_a_short_name() -> None:
    five = [Chosen(name) for name in ("sam", "l2", "clip_gradients", "layer_norm", "optimizer_reset")]
    assert [row.name for row in costs(*five).rows] == [BARE, "all 5 together"]


@pytest.mark.cuda
@pytest.mark.parametrize("capture", [False, True])
def test_a_gpu_is_measured_with_updates_captured_or_not(capture: bool) -> None:
    injection = Chosen("plasticity_injection", {"when": {"at": 25, "of": "updates"}})
    found = costs(Chosen("sam"), Chosen("swa"), injection, device="cuda", settings={"capture": capture})
    assert found.on_gpu
    assert found.captured is capture
    assert found.stretch == 1  # the replay ratio of the preset for vectors
    for row in found.rows:
        assert row.dispatched.kernels is not None
        assert row.dispatched.kernels.count > 50
        assert 0 <= row.dispatched.kernels.idle < 1
        assert row.gpu_megabytes is not None
        assert row.gpu_megabytes > row.megabytes
    bare, together = found.rows
    assert together.dispatched.kernels.count > bare.dispatched.kernels.count  # type: ignore[union-attr]
    assert min(found.parts[part] for part in ("losses and gradients", "optimizer", "plugins")) > 0
