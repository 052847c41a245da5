"""Running, resuming, evaluating and loading from Python, over processes that are killed."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

import plastic
from plastic import running
from plastic.core.errors import UsageError
from plastic.core.recipes import recipe
from plastic.core.recipes.recipe import Chosen
from plastic.core.runs import checkpoint
from plastic.core.runs.listener import Listener
from plastic.core.runs.run import Run
from plastic.core.runs.run_folder import RunFolder, read_metrics
from tests.core.games import registry
from tests.core.runs.test_run import PLAIN, SETTINGS, WALK, Stopping, outcome
from tests.core.stubs import exact

ROOT = Path(__file__).parent.parent

KILLED = """
import sys
from pathlib import Path
from plastic import running
from plastic.core.runs.listener import Listener
from plastic.core.recipes.recipe import read
from tests.core.games import registry

class Telling(Listener):
    def stepped(self, run):
        print(run.clock.now.agent_steps, flush=True)
        if run.clock.now.agent_steps == int(sys.argv[3]):
            sys.stdin.read()  # until it is killed

running.prepare(read(Path(sys.argv[1])), sys.argv[2], [Telling()], registry()).train()
"""


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted, in another process than those below."""
    path = tmp_path_factory.mktemp("runs") / "straight"
    running.run(WALK, path, registry=registry())
    return path


def resumed(path: Path, *listeners: Listener, steps: int | None = None) -> Run:
    run = running.reopen(path, steps, listeners, registry())
    assert run is not None
    return run


# ------------------------------------------------------------------ killed and resumed


@contextmanager
def working(path: Path, step: int, *, wait: bool = True) -> Iterator["subprocess.Popen[str]"]:
    """A run in another process, which has said that this step is over; it waits there, or goes on."""
    wanted = path.with_suffix(".toml")
    wanted.write_text(WALK.toml(), encoding="utf-8")
    command = [sys.executable, "-c", KILLED, str(wanted), str(path), str(step if wait else 0)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= step:
                break
        try:
            yield process
        finally:
            process.kill()


def killed(path: Path, step: int, *, wait: bool) -> None:
    """A run in another process, killed when it says that this step is over."""
    with working(path, step, wait=wait) as process:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL or not wait


@pytest.mark.parametrize(
    ("step", "last"),
    [
        (7, 0),  # before the first checkpoint
        (29, 15),  # between a reset and the injection
        (58, 45),  # after the injection, in the last updates
    ],
)
def test_killed_and_resumed_it_is_the_same_run(tmp_path: Path, straight: Path, step: int, last: int) -> None:
    path = tmp_path / "run"
    killed(path, step, wait=True)
    assert [int(one.stem) for one in RunFolder(path).checkpoints()] == ([last] if last else [])
    run = resumed(path)
    assert run.clock.now.agent_steps == last
    assert run.train() is not None
    assert outcome(path) == outcome(straight)


def test_killed_while_it_works_and_resumed_it_is_the_same_run(tmp_path: Path, straight: Path) -> None:
    path = tmp_path / "run"
    killed(path, 30, wait=False)  # at about its second checkpoint
    run = running.reopen(path, registry=registry())
    assert run is None or run.train() is not None
    assert outcome(path) == outcome(straight)
    assert (path / "recipe.toml").read_bytes() == (straight / "recipe.toml").read_bytes()


def test_a_stopped_run_is_resumed_from_its_folder_alone(tmp_path: Path, straight: Path) -> None:
    running.run(WALK, tmp_path / "run", [Stopping(33)], registry())
    assert resumed(tmp_path / "run").train() is not None
    assert outcome(tmp_path / "run") == outcome(straight)


def test_a_finished_run_is_not_opened_again(straight: Path) -> None:
    before = outcome(straight)
    for steps in (None, 60, 30):
        assert running.reopen(straight, steps, registry=registry()) is None
    assert outcome(straight) == before


def test_a_finished_run_may_go_on_for_more_steps(tmp_path: Path) -> None:
    # nothing in it depends on where the end is, so it is the longer run
    wanted = evolve(PLAIN, settings=SETTINGS | {"priority_weight": 1.0})
    running.run(evolve(wanted, steps=80), tmp_path / "straight", registry=registry())
    running.run(wanted, tmp_path / "run", registry=registry())
    run = resumed(tmp_path / "run", steps=80)
    assert (run.clock.now.agent_steps, run.clock.total.updates) == (60, 71)
    assert not run.folder.result.exists()
    assert recipe.read(run.folder.recipe).steps == 80
    assert run.train() is not None
    records = read_metrics(run.folder.metrics)
    assert [r["agent_steps"] for r in records if r["kind"] == "evaluation"] == [20, 40, 60, 80]
    assert outcome(tmp_path / "run") == outcome(tmp_path / "straight")
    assert running.result_of(tmp_path / "run")["agent_steps"] == 80
    assert running.reopen(tmp_path / "run", registry=registry()) is None


def test_a_run_cannot_end_before_where_it_is(tmp_path: Path) -> None:
    running.run(PLAIN, tmp_path / "run", [Stopping(33)], registry())
    with pytest.raises(UsageError) as caught:
        running.reopen(tmp_path / "run", 20, registry=registry())
    assert str(caught.value) == f"{tmp_path / 'run'} is at step 33 already; give more than that, not 20"
    assert resumed(tmp_path / "run", steps=40).train() is not None
    assert running.result_of(tmp_path / "run")["agent_steps"] == 40


def test_what_is_resumed_is_the_resolved_recipe_and_no_preset(tmp_path: Path) -> None:
    running.run(evolve(PLAIN, plugins=(Chosen("sam", {"rho": 0.2}),)), tmp_path / "run", [Stopping(20)], registry())
    text = (tmp_path / "run" / "recipe.toml").read_text()
    assert 'preset = "none"' in text
    run = resumed(tmp_path / "run")
    assert run.assembly.preset == "none"
    assert run.folder.recipe.read_text() == text
    assert [(one.name, one.options["rho"]) for one in run.recipe.plugins] == [("sam", 0.2)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("learning_rate = 6.25e-05", "learning_rate = 0.01", "learning_rate is 0.01 there and was 6.25e-05 so far"),
        (
            "batch_size = 4",
            "batch_size = 8",
            "batch_size is 8 there and was 4 so far; put batch_size = 4 back to go on",
        ),
        ("threads = 1", "threads = 2", "threads is 2 there and was 1 so far"),
        ("discount = 0.9\n", "", "discount is 0.99 there and was 0.9 so far"),
        ("seed = 0", "seed = 1", "seed is 1 there and was 0 so far"),
        ("rho = 0.2", "rho = 0.3", "rho of sam is 0.3 there and was 0.2 so far; put rho = 0.2 back"),
    ],
)
def test_a_recipe_that_was_edited_is_not_gone_on_by(tmp_path: Path, old: str, new: str, words: str) -> None:
    settings = SETTINGS | {"discount": 0.9, "learning_rate": 6.25e-5}
    wanted = evolve(PLAIN, plugins=(Chosen("sam", {"rho": 0.2}),), settings=settings)
    path = tmp_path / "run"
    running.run(wanted, path, [Stopping(20)], registry())
    begun_with = (path / "recipe.toml").read_text()
    edit(path, old, new)
    kept = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    for steps in (None, 40):
        with pytest.raises(UsageError, match=re.escape(words)) as caught:
            running.reopen(path, steps, registry=registry())
        assert str(caught.value).startswith(f"the checkpoint does not fit {path / 'recipe.toml'}: ")
        assert str(caught.value).endswith(f"begin a new run with: plastic run --config {path / 'recipe.toml'}")
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == kept
    (path / "recipe.toml").write_text(begun_with)
    assert resumed(path).train() is not None


def test_steps_may_be_edited_in_the_recipe(tmp_path: Path) -> None:
    running.run(PLAIN, tmp_path / "run", [Stopping(20)], registry())
    edit(tmp_path / "run", "steps = 60", "steps = 40")
    resumed(tmp_path / "run").train()
    assert running.result_of(tmp_path / "run")["agent_steps"] == 40


def test_a_checkpoint_of_before_recipes_were_kept_in_it_is_gone_on_from_as_ever(tmp_path: Path) -> None:
    running.run(PLAIN, tmp_path / "run", [Stopping(20)], registry())
    state = checkpoint.read(last(tmp_path / "run"))
    del state["recipe"]
    checkpoint.write(last(tmp_path / "run"), state, {})
    edit(tmp_path / "run", "batch_size = 4", "batch_size = 8")
    edit(tmp_path / "run", "threads = 1", "threads = 2")
    run = resumed(tmp_path / "run")
    assert (run.settings.threads, run.recipe.settings["batch_size"]) == (1, 8)
    assert "threads = 1\n" in (tmp_path / "run" / "recipe.toml").read_text()
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: (run / "recipe.toml").unlink(), "is no run's folder: it holds no recipe.toml"),
        (lambda run: (run / "recipe.toml").write_text("agent ="), "recipe.toml is no TOML"),
        (lambda run: cut(last(run)), "0000000020.ckpt is cut off; delete it, and `plastic resume` begins the"),
        (lambda run: last(run).write_bytes(b"PK"), "0000000020.ckpt is no checkpoint of plastic; delete it, and"),
        (lambda run: last(run).write_bytes(b'plastic checkpoint\n{"format": 7, "plastic": "9"}\n'), "which is newer"),
        (lambda run: edit(run, "hidden = 8", "hidden = 9"), "recipe.toml: hidden is 9 there and was 8 so far; put"),
        (
            lambda run: edit(run, 'agent = "rainbow"', 'agent = "rainbwo"'),
            "no agent 'rainbwo'; did you mean 'rainbow'?",
        ),
    ],
)
def test_what_cannot_be_resumed_is_one_sentence(tmp_path: Path, spoil: Callable[[Path], Any], words: str) -> None:
    running.run(PLAIN, tmp_path / "run", [Stopping(20)], registry())
    metrics = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    spoil(tmp_path / "run")
    for reading in (running.reopen, running.load, running.evaluate_again):
        with pytest.raises(UsageError, match=re.escape(words)) as caught:
            reading(tmp_path / "run", registry=registry())
        assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == metrics


def last(run: Path) -> Path:
    return RunFolder(run).checkpoints()[-1]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edit(run: Path, old: str, new: str) -> None:
    path = run / "recipe.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_after_a_damaged_checkpoint_is_deleted_the_one_before_it_is_gone_on_from(
    tmp_path: Path, straight: Path
) -> None:
    wanted = evolve(WALK, settings=SETTINGS | {"checkpoint_keep": 3})
    running.run(wanted, tmp_path / "run", [Stopping(50)], registry())
    last(tmp_path / "run").unlink()
    run = resumed(tmp_path / "run")
    assert run.clock.now.agent_steps == 45
    run.train()
    assert outcome(tmp_path / "run") == outcome(straight)


def test_after_the_only_checkpoint_is_deleted_the_run_begins_anew(tmp_path: Path, straight: Path) -> None:
    running.run(WALK, tmp_path / "run", [Stopping(50)], registry())
    last(tmp_path / "run").unlink()
    assert resumed(tmp_path / "run").train() is not None
    assert outcome(tmp_path / "run") == outcome(straight)


def test_a_finished_run_that_begins_anew_is_no_longer_finished(tmp_path: Path) -> None:
    running.run(evolve(PLAIN, steps=20), tmp_path / "run", registry=registry())
    last(tmp_path / "run").unlink()
    assert resumed(tmp_path / "run", Stopping(17), steps=40).train() is None
    assert resumed(tmp_path / "run").train() is not None
    assert running.result_of(tmp_path / "run")["agent_steps"] == 40


# ------------------------------------------------------------------ two at once


def test_a_run_that_is_at_work_is_not_resumed(tmp_path: Path, straight: Path) -> None:
    path = tmp_path / "run"
    with working(path, 29) as process:
        before = (path / "metrics.jsonl").read_bytes()
        for _ in range(2):
            with pytest.raises(
                UsageError, match=rf"^process {process.pid} on .* is at work in {re.escape(str(path))}; "
            ):
                running.reopen(path, registry=registry())
        running.restore(path, registry())  # reading is free
        assert (path / "metrics.jsonl").read_bytes() == before
        process.kill()
        process.wait()
        assert resumed(path).train() is not None
    assert outcome(path) == outcome(straight)


def test_a_resumed_run_is_at_work_until_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "run"
    running.run(PLAIN, path, [Stopping(20)], registry())
    again = resumed(path, Stopping(40))
    with pytest.raises(UsageError, match="a run of this very process is at work"):
        resumed(path)
    again.train()
    assert resumed(path).train() is not None


def test_what_cannot_be_resumed_is_free_for_the_next(tmp_path: Path) -> None:
    running.run(PLAIN, tmp_path / "run", [Stopping(20)], registry())
    with pytest.raises(UsageError, match="at step 20 already") as kept:
        resumed(tmp_path / "run", steps=10)
    resumed(tmp_path / "run")
    assert kept.traceback


def test_reading_a_run_needs_no_lock(tmp_path: Path, straight: Path) -> None:
    shutil.copytree(straight, tmp_path / "run", ignore=shutil.ignore_patterns(".lock"))
    running.evaluate_again(tmp_path / "run", registry=registry())
    assert running.reopen(tmp_path / "run", registry=registry()) is None  # it has finished
    assert not (tmp_path / "run" / ".lock").exists()


# ------------------------------------------------------------------ a new run


def test_nothing_is_made_where_the_recipe_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (None, "mine"):
        with pytest.raises(UsageError, match="no plugin 'smm'"):
            running.prepare(evolve(PLAIN, plugins=(Chosen("smm"),)), out, registry=registry())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_refused(straight: Path) -> None:
    before = outcome(straight)
    with pytest.raises(UsageError, match="exists already; resume it with `plastic resume"):
        running.prepare(PLAIN, straight, registry=registry())
    assert outcome(straight) == before


def test_without_a_name_the_folder_is_named_by_agent_environment_and_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = [running.prepare(evolve(PLAIN, seed=3), registry=registry()).folder.path for _ in range(2)]
    assert [str(path) for path in made] == ["runs/rainbow-Walk-v0-s3-1", "runs/rainbow-Walk-v0-s3-2"]


def test_a_run_draws_its_curve(straight: Path) -> None:
    assert (straight / "curve.png").read_bytes().startswith(b"\x89PNG")


# ------------------------------------------------------------------ what was learnt


def test_evaluating_again_plays_the_final_evaluation(straight: Path) -> None:
    written = running.result_of(straight)
    again = running.evaluate_again(straight, registry=registry())
    assert list(again.scores) == written["scores"]
    assert (again.mean, again.normalised) == (written["mean"], written["normalised"])
    more = running.evaluate_again(straight, 5, registry())
    assert len(more.scores) == 5
    assert outcome(straight)[2] == json.dumps(written, indent=2) + "\n"


def test_what_was_learnt_on_a_larger_machine_is_used_on_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as larger:
        larger.setattr("os.cpu_count", lambda: 100)
        larger.setattr(torch, "set_num_threads", lambda threads: None)
        running.run(
            evolve(PLAIN, steps=20, settings={**PLAIN.settings, "threads": 9}), tmp_path / "run", (), registry()
        )
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert running.restore(tmp_path / "run", registry()).settings.threads == 2
    with pytest.raises(UsageError, match=r"^run: threads must be at most 2, .* not 9$"):
        running.reopen(tmp_path / "run", 40, registry=registry())


def test_evaluating_again_takes_the_threads_of_the_run(tmp_path: Path) -> None:
    running.run(evolve(PLAIN, steps=20), tmp_path / "run", registry=registry())
    restored = running.restore(tmp_path / "run", registry())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        again = running.evaluate_again(restored)
        assert torch.get_num_threads() == restored.settings.threads == 1
    finally:
        torch.set_num_threads(threads)
    assert again == running.evaluate_again(tmp_path / "run", registry=registry())


@pytest.mark.parametrize(("said", "asked", "games"), [(2, None, 2), (2, 5, 5), (0, None, 3), (0, 1, 1)])
def test_who_asks_for_an_evaluation_gets_games(tmp_path: Path, said: int, asked: int | None, games: int) -> None:
    wanted = evolve(PLAIN, steps=20, settings=SETTINGS | {"eval_episodes": said})
    running.run(wanted, tmp_path / "run", registry=registry())
    assert len(running.evaluate_again(tmp_path / "run", asked, registry()).scores) == games


def test_what_is_restored_is_what_was_saved(straight: Path) -> None:
    assembly = running.restore(straight, registry())
    saved = checkpoint.read(RunFolder(straight).checkpoints()[-1])
    assert exact(assembly.agent.learners["rainbow"].state_dict()) == exact(saved["learners"]["rainbow"])
    assert (assembly.clock.now.agent_steps, assembly.clock.now.updates) == (60, 51)


def test_beside_a_run_at_work_the_checkpoint_that_it_keeps_is_restored(
    tmp_path: Path, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(straight, tmp_path / "run")
    newer, older = last(tmp_path / "run"), RunFolder(tmp_path / "run").checkpoint(1)
    newer.rename(older)
    about = checkpoint.about

    def rotated(path: Path) -> dict[str, Any]:
        if older.exists():
            older.rename(newer)
        return about(path)

    monkeypatch.setattr(checkpoint, "about", rotated)
    assert running.restore(tmp_path / "run", registry()).clock.now.agent_steps == 60


def test_before_its_first_checkpoint_a_run_has_learnt_nothing(tmp_path: Path) -> None:
    running.prepare(PLAIN, tmp_path / "run", registry=registry())
    for reading in (running.load, running.evaluate_again, running.restore):
        with pytest.raises(UsageError) as caught:
            reading(tmp_path / "run", registry=registry())
        assert str(caught.value) == f"{tmp_path / 'run'} has no checkpoint yet"


def test_the_package_runs_and_loads(tmp_path: Path) -> None:
    wanted = plastic.Recipe(env="CartPole-v1", steps=12, settings=PLAIN.settings)
    run = plastic.run(wanted, tmp_path / "run", [heard := Hearing()])
    assert run.result is not None
    assert run.folder.path == tmp_path / "run"
    assert heard.steps == 12
    assert plastic.load(tmp_path / "run").assembly.recipe.env == "CartPole-v1"


class Hearing(Listener):
    def __init__(self) -> None:
        self.steps = 0

    def stepped(self, run: Run) -> None:
        self.steps += 1
