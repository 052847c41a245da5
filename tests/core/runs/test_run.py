"""The run: interrupted anywhere and taken up again it is the same run, bit for bit."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from attrs import define, evolve, field, frozen
from numpy.typing import NDArray
from torch import Tensor, nn

from plastic.core.agent import Act
from plastic.core.edits import Edit, Tune
from plastic.core.errors import RunError, UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.runs import checkpoint
from plastic.core.runs.listener import Listener, Record
from plastic.core.runs.run import Result, Run
from plastic.core.runs.run_folder import RunFolder, read_metrics, read_timing
from plastic.core.schedule import At, Every, Schedule
from plastic.core.subject import Subject
from tests.core.games import TINY, registry
from tests.core.stubs import exact

PLUGINS = tuple(
    Chosen.parse(text)
    for text in (
        "sam",
        "reset:when=12",
        "plasticity_injection:when=30",
        "swa:when={every=3,start=-20}",
        "active_units:when=10",
        "dormant_units:when=8",
    )
)
SETTINGS = TINY | {"checkpoint_every": 15, "evaluate_every": 20}
WALK = Recipe(env="walk", steps=60, plugins=PLUGINS, settings=SETTINGS)  # 51 updates
PLAIN = evolve(WALK, plugins=())


class Stopping(Listener):
    """Stops a run after the steps named, or in the evaluation there."""

    def __init__(self, *steps: int, evaluation: bool = False) -> None:
        self.steps = steps
        self.evaluation = evaluation

    def stepped(self, run: Run) -> None:
        if not self.evaluation and run.clock.now.agent_steps in self.steps:
            run.stop = True

    def evaluating(self, run: Run, games: int) -> None:
        if self.evaluation and run.clock.now.agent_steps in self.steps:
            run.stop = True


def start(path: Path, recipe: Recipe = WALK, *listeners: Listener) -> Run:
    run = Run(assemble(recipe, registry()), RunFolder.create(path, "x"), listeners)
    run.begin()
    return run


def take_up(path: Path, recipe: Recipe = WALK, *listeners: Listener) -> Run:
    folder = RunFolder.open(path)
    run = Run(assemble(recipe, registry()), folder, listeners)
    run.load_state_dict(checkpoint.read(folder.checkpoints()[-1]))
    return run


def outcome(path: Path) -> tuple[bytes, Any, str]:
    """Metrics, last state and result: all that must not depend on interruptions, or on the clock on the wall."""
    folder = RunFolder.open(path)
    state = checkpoint.read(folder.checkpoints()[-1])
    for other in ("seconds", "timing", "recipe"):  # and how many checkpoints are kept is of the recipe
        del state[other]
    return folder.metrics.read_bytes(), exact(state), folder.result.read_text()


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    path = tmp_path_factory.mktemp("runs") / "straight"
    assert start(path).train() is not None
    return path


# ------------------------------------------------------------------ interruptions


@pytest.mark.parametrize(
    "stops",
    [
        [0],
        [5],  # before the first update
        [15],  # where a checkpoint is written anyhow
        [25],  # after a reset, before the injection
        [39],  # with the 30th update, the injection
        [47],  # after another reset
        [59],
        [60],  # with only the evaluation missing
        [8, 9, 20, 38, 39, 40, 55],
    ],
    ids=str,
)
def test_stopped_and_taken_up_it_is_the_same_run(tmp_path: Path, straight: Path, stops: list[int]) -> None:
    path = tmp_path / "run"
    run = start(path, WALK, Stopping(*stops))
    run.stop = stops[0] == 0
    for number, stop in enumerate(stops):
        assert run.train() is None
        assert run.result is None
        assert run.clock.now.agent_steps == stop
        assert RunFolder(path).checkpoints()[-1] == RunFolder(path).checkpoint(stop)
        assert not RunFolder(path).result.exists()
        run = take_up(path, WALK, Stopping(*stops[number + 1 :]))
        assert not run.stop
    assert run.train() is not None
    assert outcome(path) == outcome(straight)


class Interrupting(Listener):
    """Stops a run in the evaluation after some steps, when one of its games is over and another is not."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.acted = 0

    def evaluating(self, run: Run, games: int) -> None:
        policy = run.agent.policy

        def interrupted(stream: torch.Generator) -> Act:
            act = policy(stream)

            def acting(observations: NDArray[Any]) -> NDArray[Any]:
                self.acted += 1
                run.stop = run.stop or self.acted == 50  # a walk ends after 40 steps
                return act(observations)

            return acting

        if run.clock.now.agent_steps == self.step:
            run.agent.policy = interrupted  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("step", [20, 40, 60])
def test_stopped_in_an_evaluation_it_is_the_same_run(tmp_path: Path, step: int) -> None:
    recipe = evolve(PLAIN, settings=SETTINGS | {"eval_envs": 1, "lives": 9})
    assert start(tmp_path / "straight", recipe).train() is not None
    path = tmp_path / "run"
    assert start(path, recipe, interrupting := Interrupting(step)).train() is None
    assert interrupting.acted == 50
    assert take_up(path, recipe, Stopping(step, evaluation=True)).train() is None  # in the same one, at its start
    assert take_up(path, recipe).train() is not None
    assert outcome(path) == outcome(tmp_path / "straight")


def test_what_was_written_after_the_checkpoint_is_written_anew(tmp_path: Path, straight: Path) -> None:
    path = tmp_path / "run"
    run = start(path, WALK)

    class Killed(Exception):  # noqa: N818
        pass

    class Killing(Listener):
        def stepped(self, run: Run) -> None:
            if run.clock.now.agent_steps == 42:
                raise Killed

    run.listeners = (Killing(),)
    with pytest.raises(Killed):
        run.train()
    folder = RunFolder(path)
    assert folder.checkpoints() == [folder.checkpoint(30)]
    assert max(record["agent_steps"] for record in read_metrics(folder.metrics)) > 30
    with folder.metrics.open("ab") as file:
        file.write(b'{"kind": "tr')  # a line that was cut off
    again = take_up(path)
    assert max(record["agent_steps"] for record in read_metrics(folder.metrics)) == 30
    assert again.train() is not None
    assert outcome(path) == outcome(straight)
    steps = [int(row["agent_steps"]) for row in read_timing(folder.timing)]
    assert steps == sorted(set(steps))


def test_it_may_be_taken_up_with_the_cart_pole_and_other_plugins(tmp_path: Path) -> None:
    texts = ("crelu:layers=head", "layer_norm", "l2:decoupled=true", "shrink_perturb:when=15", "reset:when=25")
    recipe = evolve(
        WALK,
        env="CartPole-v1",
        plugins=tuple(
            Chosen.parse(text) for text in (*texts, "plasticity_injection:when=30,most=1", "feature_rank:when=20")
        ),
    )
    assert start(tmp_path / "one", recipe).train() is not None
    assert start(tmp_path / "two", recipe, Stopping(45)).train() is None
    assert take_up(tmp_path / "two", recipe).train() is not None
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")


@frozen(eq=False)
class Dropping(PlasticityIntervention):
    """Draws from torch's global generator in every evaluation, as dropout does."""

    name = "dropping"

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        weight = dict(model.named_parameters())["encoder.0.weight"]
        return nn.functional.dropout(weight, 0.5).sum()


DROPPING = evolve(WALK, plugins=(Chosen("tests.core.runs.test_run:Dropping"), Chosen("sam")))


def test_what_the_global_generator_gives_is_part_of_the_run(tmp_path: Path) -> None:
    torch.manual_seed(1)
    start(tmp_path / "one", DROPPING).train()
    torch.manual_seed(2)
    start(tmp_path / "two", DROPPING, Stopping(40)).train()
    torch.manual_seed(3)
    take_up(tmp_path / "two", DROPPING).train()
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")
    start(tmp_path / "other", evolve(DROPPING, seed=1)).train()
    assert outcome(tmp_path / "other")[0] != outcome(tmp_path / "one")[0]


# ------------------------------------------------------------------ seeds


def test_the_same_recipe_and_seed_give_the_same_bytes(tmp_path: Path, straight: Path) -> None:
    torch.manual_seed(1234)
    np.random.seed(99)
    start(tmp_path / "run").train()
    assert outcome(tmp_path / "run") == outcome(straight)
    assert (tmp_path / "run" / "recipe.toml").read_bytes() == (straight / "recipe.toml").read_bytes()


def test_another_seed_gives_another_run(tmp_path: Path, straight: Path) -> None:
    start(tmp_path / "run", evolve(WALK, seed=1)).train()
    assert outcome(tmp_path / "run")[0] != outcome(straight)[0]
    mine, theirs = (checkpoint.read(RunFolder(path).checkpoints()[-1]) for path in (tmp_path / "run", straight))
    for part in ("learners", "agent", "episodes"):
        assert exact(mine[part]) != exact(theirs[part])


def test_a_probe_leaves_the_run_as_it_is(tmp_path: Path, straight: Path) -> None:
    more = (*PLUGINS, Chosen("gradient_norm", {"when": 1}), Chosen("weight_norm", {"when": 7}))
    start(tmp_path / "run", evolve(WALK, plugins=more)).train()

    def without(path: Path) -> list[Any]:
        return [
            {key: value for key, value in record.items() if not key.startswith(("gradient_norm/", "weight_norm/"))}
            for record in read_metrics(path / "metrics.jsonl")
            if record["kind"] != "probe"
        ]

    assert without(tmp_path / "run") == without(straight)
    mine, theirs = (checkpoint.read(RunFolder(path).checkpoints()[-1]) for path in (tmp_path / "run", straight))
    assert exact(mine["learners"]["rainbow"]["model"]) == exact(theirs["learners"]["rainbow"]["model"])
    assert exact(mine["agent"]) == exact(theirs["agent"])


def test_evaluating_and_saving_more_often_leaves_the_training_as_it_is(tmp_path: Path, straight: Path) -> None:
    settings = SETTINGS | {"evaluate_every": 7, "checkpoint_every": 9, "log_every": 3}
    start(tmp_path / "run", evolve(WALK, settings=settings)).train()
    mine, theirs = (checkpoint.read(RunFolder(path).checkpoints()[-1]) for path in (tmp_path / "run", straight))
    assert exact(mine["agent"]) == exact(theirs["agent"])
    for part in ("model", "copies", "optimizer"):
        assert exact(mine["learners"]["rainbow"][part]) == exact(theirs["learners"]["rainbow"][part])


# ------------------------------------------------------------------ counting


@pytest.mark.parametrize(
    ("ratio", "starts", "updates"),
    [(1.0, 10, 91), (2.0, 10, 182), (0.5, 10, 45), (0.1, 11, 9), (0.3, 10, 27), (1.0, 1, 100)],
)
def test_the_replay_ratio_decides_the_number_of_updates(
    tmp_path: Path, ratio: float, starts: int, updates: int
) -> None:
    settings = TINY | {"replay_ratio": ratio, "learning_starts": starts, "n_step": 1}
    seen: list[int] = []

    class Counting(Listener):
        def stepped(self, run: Run) -> None:
            seen.append(run.clock.now.updates)

    run = start(tmp_path / "run", evolve(PLAIN, steps=100, settings=settings), Counting())
    run.train()
    now = run.clock.now
    assert (now.updates, now.agent_steps, now.frames) == (updates, 100, 400)
    assert now.updates == run.clock.total.updates == run.agent.learners["rainbow"].updates
    assert seen[: starts - 1] == [0] * (starts - 1)
    steps = range(starts, 101)
    assert seen[starts - 1 :] == [int((step - starts + 1) * ratio + 1e-9) for step in steps]
    credit = checkpoint.read(run.folder.checkpoints()[-1])["credit"]
    assert abs(credit - (len(steps) * ratio - updates)) < 1e-9


@frozen(eq=False)
class Paced(PlasticityIntervention):
    name = "paced"
    ratio: float = 1.0
    when: Schedule = At(20)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        yield Tune("replay_ratio", self.ratio)


@define(eq=False)
class Moments(PlasticityIntervention):
    """Writes down when it was asked for edits."""

    name = "moments"
    when: Schedule = Every(10)
    seen: list[int] = field(factory=list, init=False)

    def edits(self, subject: Subject) -> Iterator[Edit]:
        self.seen.append(subject.clock.now.updates)
        yield from ()


@pytest.mark.parametrize(("ratio", "updates"), [(0.5, 20 + 31 // 2), (2.0, 20 + 31 * 2), (0.3, 20 + 9), (1.1, 20 + 34)])
def test_a_tuned_replay_ratio_moves_the_last_update(tmp_path: Path, ratio: float, updates: int) -> None:
    here = "tests.core.runs.test_run"
    edits = {"ten": 10, "end": {"every": 1, "start": -3}}
    plugins = (
        Chosen(f"{here}:Paced", {"ratio": ratio}),
        *(Chosen(f"{here}:Moments", {"when": w}) for w in edits.values()),
    )
    recipe = evolve(PLAIN, plugins=plugins)
    run = start(tmp_path / "one", recipe)
    run.train()  # the 20th update is at step 29, and 31 steps are left
    assert run.clock.now.updates == run.clock.total.updates == updates
    every, end = (one.example.seen for one in run.assembly.plugins if isinstance(one.example, Moments))
    assert every == list(range(10, updates, 10))  # the very last one edits nothing
    assert end == [updates - 2, updates - 1]
    start(tmp_path / "two", recipe, Stopping(45)).train()
    take_up(tmp_path / "two", recipe).train()
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")


@pytest.mark.parametrize("ratio", [0.5, 2.0])
@pytest.mark.parametrize("stop", [5, 28, 29, 30, 45, 60])  # the ratio is tuned in step 29
def test_taken_up_it_knows_the_last_update_before_the_next_one(tmp_path: Path, ratio: float, stop: int) -> None:
    recipe = evolve(PLAIN, plugins=(Chosen("tests.core.runs.test_run:Paced", {"ratio": ratio}),))
    run = start(tmp_path / "run", recipe, Stopping(stop))
    run.train()
    told = run.clock.total.updates if stop != 29 else 20 + int(31 * ratio)
    again = take_up(tmp_path / "run", recipe)
    assert again.clock.total.updates == told == (51 if stop < 29 else 20 + int(31 * ratio))
    assert again.clock.last_update == (stop == 60)


# ------------------------------------------------------------------ what is written down


def test_metrics_hold_every_kind_with_counts_and_no_wall_clock(straight: Path) -> None:
    records = read_metrics(straight / "metrics.jsonl")
    assert {record["kind"] for record in records} == {"episode", "train", "probe", "evaluation"}
    for record in records:
        assert list(record)[:5] == ["kind", "updates", "agent_steps", "frames", "episodes"]
        assert record["frames"] == 4 * record["agent_steps"]
        assert not any("sec" in key or "time" in key for key in record)
    assert [r["agent_steps"] for r in records if r["kind"] == "evaluation"] == [20, 40, 60]
    assert [r["agent_steps"] for r in records if r["kind"] == "train"] == list(range(10, 61, 10))
    assert [r["updates"] for r in records if r["kind"] == "probe" and "active_units/total" in r] == list(
        range(10, 51, 10)
    )
    steps = [record["agent_steps"] for record in records]
    assert steps == sorted(steps)
    episodes = [record for record in records if record["kind"] == "episode"]
    assert [record["episodes"] for record in episodes] == list(range(1, len(episodes) + 1))
    assert all(record["normalised"] == record["score"] / 10 for record in episodes)
    assert sum(record["length"] for record in episodes) <= 60


def test_the_result_is_the_last_evaluation(straight: Path) -> None:
    result = json.loads((straight / "result.json").read_text())
    last = read_metrics(straight / "metrics.jsonl")[-1]
    assert last["kind"] == "evaluation"
    assert result["scores"] == last["scores"]
    assert result["mean"] == last["score"] == sum(result["scores"]) / 2
    assert result["normalised"] == last["normalised"]
    assert (result["agent_steps"], result["updates"]) == (60, 51)


def test_what_was_run_with_what_is_written_before_the_first_step(tmp_path: Path) -> None:
    run = start(tmp_path / "run")
    assert run.folder.recipe.read_text() == run.recipe.toml()
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["seed"], about["threads"], about["device"], about["preset"]) == (0, 1, "cpu", "classic")
    release = about["versions"]["torch"].partition("+")[0]  # whose metadata may leave out which build it is
    assert release == torch.__version__.partition("+")[0]
    assert run.folder.timing.read_text() == "agent_steps,updates,seconds\n"


def test_timing_goes_on_over_sessions(tmp_path: Path) -> None:
    run = start(tmp_path / "run", WALK, Stopping(30))
    run.train()
    again = take_up(tmp_path / "run")
    assert 0 <= again.seconds - checkpoint.read(run.folder.checkpoint(30))["seconds"] < 60
    again.train()
    seconds = [float(row["seconds"]) for row in read_timing(again.folder.timing)]
    assert len(seconds) == 6
    assert seconds == sorted(seconds)


def test_so_many_checkpoints_are_kept_and_what_a_killed_writer_left_goes(tmp_path: Path) -> None:
    run = start(tmp_path / "run", evolve(PLAIN, settings=SETTINGS | {"checkpoint_keep": 2}))
    stale = run.folder.path / "checkpoints" / ".0000000003.ckpt.partial"
    stale.write_bytes(b"half")
    run.train()
    assert run.folder.checkpoints() == [run.folder.checkpoint(45), run.folder.checkpoint(60)]
    assert not stale.exists()
    assert checkpoint.about(run.folder.checkpoint(45))["agent_steps"] == 45


def test_without_games_the_result_has_no_mean(tmp_path: Path) -> None:
    run = start(tmp_path / "run", evolve(PLAIN, settings=SETTINGS | {"eval_episodes": 0}))
    assert run.train() == Result((), None, None)
    assert not any(record["kind"] == "evaluation" for record in read_metrics(run.folder.metrics))
    assert json.loads(run.folder.result.read_text())["mean"] is None


def test_the_familys_number_of_games_is_played_unless_told(tmp_path: Path) -> None:
    result = start(tmp_path / "run", evolve(PLAIN, settings=TINY | {"eval_episodes": "none"})).train()
    assert result is not None
    assert len(result.scores) == 3


# ------------------------------------------------------------------ failures


def poisoned(run: Run, update: int, poison: Callable[[], object]) -> None:
    """After the update of this number something is broken."""
    updated = run.agent.update

    def broken() -> None:
        updated()
        if run.clock.now.updates == update:
            poison()

    run.agent.update = broken  # type: ignore[method-assign]


@pytest.mark.parametrize("name", ["encoder.0.weight", "head.value.2.bias_sigma"])
def test_a_run_that_is_no_longer_finite_ends_and_keeps_the_last_good_checkpoint(tmp_path: Path, name: str) -> None:
    recipe = evolve(PLAIN, settings=TINY | {"checkpoint_every": 15, "log_every": 1_000})
    run = start(tmp_path / "run", recipe)
    weight = run.agent.learners["rainbow"].params[name]
    poisoned(run, 35, lambda: weight.data.fill_(torch.nan))
    with pytest.raises(RunError) as caught:
        run.train()
    assert re.fullmatch(
        r"loss, gradient or weights of rainbow are not finite since update 3[56]; "
        r"the last good checkpoint is .*0000000030\.ckpt",
        str(caught.value),
    )
    assert run.folder.checkpoints() == [run.folder.checkpoint(30)]
    state = checkpoint.read(run.folder.checkpoint(30))
    assert state["learners"]["rainbow"]["model"][name].isfinite().all()
    assert not run.folder.result.exists()


def test_weights_broken_by_the_very_last_update_are_not_saved(tmp_path: Path) -> None:
    run = start(tmp_path / "run", evolve(PLAIN, settings=TINY | {"checkpoint_every": 15}))
    weight = run.agent.learners["rainbow"].params["encoder.0.weight"]
    poisoned(run, 51, lambda: weight.data.fill_(torch.inf))
    with pytest.raises(RunError, match="not finite since update 51"):
        run.train()
    assert run.folder.checkpoints() == [run.folder.checkpoint(45)]


def test_before_the_first_checkpoint_there_is_none_to_name(tmp_path: Path) -> None:
    run = start(tmp_path / "run", PLAIN)
    poisoned(run, 3, lambda: run.agent.learners["rainbow"].params["encoder.0.weight"].data.fill_(torch.nan))
    with pytest.raises(RunError, match="no checkpoint had been written yet"):
        run.train()


def test_listeners_hear_everything_and_of_an_end_before_the_end(tmp_path: Path) -> None:
    class Hearing(Listener):
        def __init__(self) -> None:
            self.heard: list[str] = []
            self.records: list[Record] = []

        def started(self, run: Run) -> None:
            self.heard.append("started")

        def stepped(self, run: Run) -> None:
            self.heard.append("stepped")

        def recorded(self, record: Record) -> None:
            self.records.append(record)

        def evaluating(self, run: Run, games: int) -> None:
            self.heard.append(f"evaluating {games}")

        def finished(self, run: Run, result: Result) -> None:
            assert run.result is result
            self.heard.append("finished")

        def stopped(self, run: Run) -> None:
            self.heard.append("stopped")

    recipe = evolve(PLAIN, steps=3, settings=TINY)
    hearing = Hearing()
    run = start(tmp_path / "one", recipe, hearing)
    run.train()
    assert hearing.heard == ["started", *["stepped"] * 3, "evaluating 2", "finished"]
    assert [dict(record) for record in hearing.records] == read_metrics(run.folder.metrics)
    start(tmp_path / "two", recipe, Stopping(2), hearing := Hearing()).train()
    assert hearing.heard == ["started", *["stepped"] * 2, "stopped"]
    run = start(tmp_path / "three", evolve(recipe, steps=30), hearing := Hearing())
    poisoned(run, 1, lambda: run.agent.learners["rainbow"].params["encoder.0.weight"].data.fill_(torch.nan))
    with pytest.raises(RunError):
        run.train()
    assert hearing.heard[-1] == "stopped"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"plugins": PLUGINS[:-1]},
            "it is of the plugins sam, reset, plasticity_injection, swa, active_units, dormant",
        ),
        ({"plugins": (*PLUGINS[1:], PLUGINS[0])}, "it is of the plugins sam, reset"),
        ({"settings": SETTINGS | {"hidden": 16}}, "encoder.0.weight is 8 x 3 in it and 16 x 3 by the recipe"),
        ({"env": "CartPole-v1"}, "encoder.0.weight is 8 x 3 in it and 8 x 4 by the recipe"),
        ({"settings": SETTINGS | {"replay_capacity": 500}}, "the saved replay has capacity 1000, this one 500"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(
    straight: Path, tmp_path: Path, other: dict[str, Any], words: str
) -> None:
    (tmp_path / "checkpoints").mkdir()
    run = Run(assemble(evolve(WALK, **other), registry()), RunFolder(tmp_path))
    with pytest.raises(UsageError) as caught:
        run.load_state_dict(checkpoint.read(RunFolder(straight).checkpoints()[-1]))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
