"""`plastic run`: what it takes from where, what it prints, and what it leaves."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from plastic.core.recipes import recipe
from plastic.core.recipes.recipe import Chosen

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic


def test_a_run_leaves_a_folder_and_says_what_came_of_it(plastic: "Plastic") -> None:
    done = plastic.run("--plugin", "sam", "reset:when=50", "--out", "mine")
    assert (done.code, done.err) == (0, "")
    for name in ("recipe.toml", "run.json", "metrics.jsonl", "timing.csv", "result.json", "curve.png"):
        assert (Path("mine") / name).stat().st_size > 0
    result = json.loads(Path("mine/result.json").read_text())
    low, high = sorted(result["scores"])
    lines = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in done.out.splitlines() if "  " in line}
    assert lines["score"] == f"{(low + high) / 2:g}, mean of 2 games, from {low:g} to {high:g}"
    assert lines["folder"] == "mine"
    assert lines["curve"] == "mine/curve.png"
    assert lines["evaluate"] == "plastic evaluate mine"
    assert lines["go on"] == "plastic resume mine --steps 300"
    assert lines["load"] == "plastic.load('mine') in Python"


def test_off_a_terminal_lines_are_plain_and_whole(plastic: "Plastic") -> None:
    done = plastic.run("--plugin", "sam", "--out", "a-rather-long-name-" * 8)
    assert "\x1b" not in done.out
    assert "\r" not in done.out
    assert not any(line != line.rstrip() for line in done.out.splitlines())
    assert f"folder       {'a-rather-long-name-' * 8}\n" in done.out
    assert "random actions: 0 of 150 steps, 0 updates\n" in done.out
    assert "\nfinal evaluation of 2 games: 150 of 150 steps" in done.out


def test_quiet_prints_the_result_alone(plastic: "Plastic") -> None:
    done = plastic.run("--quiet", "--out", "mine")
    assert done.out.startswith("score ")
    assert "agent" not in done.out


def test_without_out_the_next_free_folder_is_taken(plastic: "Plastic") -> None:
    for number in (1, 2):
        assert plastic.run("--quiet", "--set", "eval_episodes=0").code == 0
        assert Path(f"runs/rainbow-CartPole-v1-s0-{number}/result.json").exists()


def test_a_run_without_an_evaluation_says_so(plastic: "Plastic") -> None:
    done = plastic.run("--quiet", "--set", "eval_episodes=0", "--out", "mine")
    assert done.out.startswith("score     no game was played (eval_episodes=0)\n")


def test_evaluations_on_the_way_are_printed(plastic: "Plastic") -> None:
    done = plastic.run("--set", "evaluate_every=100", "--out", "mine")
    assert "evaluation after 100 steps: " in done.out
    assert "evaluation after 150 steps: " not in done.out, "it is the result"


# ---------------------------------------------------------------- the plan


def test_a_dry_run_prints_the_plan_and_makes_nothing(plastic: "Plastic") -> None:
    done = plastic.run("--plugin", "reset:when=50", "crelu:layers=head", "sam:rho=0.05,scope=encoder", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert list(plastic.folder.iterdir()) == []
    plan = done.out.splitlines()
    assert "agent        rainbow" in plan
    assert "environment  CartPole-v1" in plan
    assert "steps        150 agent steps -> 119 updates in total" in plan  # one at each step from the 32nd on
    assert "device       cpu, 1 thread" in plan
    table = [line.split("  ") for line in plan[plan.index("plugins      in order of effect:") + 2 :] if line]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in table]
    assert rows == [
        ["plugin", "acts on", "when", "claims", "options"],
        ["crelu", "head", "from the start", "activation"],
        ["sam", "encoder", "always", "ascent", "rho=0.05"],
        ["reset", "not-encoder", "every 50 updates"],
    ]


@pytest.mark.parametrize(
    ("plugin", "cell"),
    [
        ("reset", "every 40,000 updates, never in this run"),
        ("reset:when=119", "every 119 updates, never in this run"),  # the last, after which nothing is edited
        ("reset:when=118", "every 118 updates"),
        ("active_units:when=119", "every 119 updates"),
        ("reset:when={at = 150, of = 'agent_steps'}", "once at 150 agent steps, never in this run"),
        ("reset:when={every = 100, start = 500, stop = 100}", "every 100 updates after 500, to 100, never in this run"),
        ("reset:when=never", "never"),
    ],
)
def test_the_plan_says_which_plugin_never_acts(plastic: "Plastic", plugin: str, cell: str) -> None:
    lines = plastic.run("--plugin", plugin, "--dry-run").out.splitlines()
    cells = [part.strip() for line in lines if line.startswith(plugin.partition(":")[0]) for part in line.split("  ")]
    assert cell in cells


def test_a_dry_run_of_several_seeds_says_which_and_how_many_at_a_time(plastic: "Plastic") -> None:
    words = ("--seeds", "0-2,7", "--together", "3", "--out", "several", "--dry-run")
    plan = plastic.run(*words).out.splitlines()
    assert "seeds        0-2,7: 4 runs, 3 at a time" in plan
    assert "folder       several" in plan
    assert not any(line.startswith(("seed ", "log")) for line in plan)
    (seeds,) = (line for line in plastic.run("--seeds", "4", "--dry-run").out.splitlines() if line.startswith("seed"))
    assert seeds == "seeds        4: 1 run, 1 at a time"
    assert list(plastic.folder.iterdir()) == []


def test_a_dry_run_says_what_logs_there_will_be(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
    assert "log          wandb" in plastic.run("--log", "wandb", "wandb", "--dry-run").out.splitlines()
    assert list(plastic.folder.iterdir()) == []


def test_a_dry_run_refuses_what_the_run_would(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert "W&B is not installed" in plastic.run("--log", "wandb", "--dry-run").error
    assert "names no seed" in plastic.run("--seeds", "3-1", "--dry-run").error
    assert "at least 1" in plastic.run("--seeds", "0-1", "--together", "0", "--dry-run").error


def test_the_plan_names_what_differs_from_the_defaults_and_only_that(plastic: "Plastic") -> None:
    plan = plastic.run("--preset", "none", "--dry-run").out.splitlines()
    (settings,) = (line for line in plan if line.startswith("settings"))
    assert settings.split()[1:] == [
        "log_every=50",
        "eval_episodes=2",
        "hidden=16",
        "batch_size=8",
        "replay_capacity=1000",
        "learning_starts=32",
    ]


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("learning_starts=151", "the first would follow step 151 (learning_starts)"),
        ("replay_ratio=1e-9", "replay_ratio=1e-09 gives less than one in all"),
        ("replay_ratio=0.008", "replay_ratio=0.008 gives less than one in all"),  # of 119 steps
    ],
)
def test_the_plan_of_a_run_that_learns_nothing_says_why(plastic: "Plastic", setting: str, why: str) -> None:
    assert f"steps        150 agent steps -> no update: {why}\n" in plastic.run("--set", setting, "--dry-run").out


def test_the_plan_of_a_game_counts_frames(plastic: "Plastic") -> None:
    pytest.importorskip("ale_py")
    plan = plastic("run", "--env", "pong", "--steps", "3000", "--dry-run").out
    assert "environment  ALE/Pong-v5\n" in plan
    assert "steps        3,000 agent steps (12,000 frames) -> 2,002 updates in total\n" in plan
    assert "plugins      none\n" in plan


# ---------------------------------------------------------------- recipes


def test_what_is_said_wins_over_the_recipe(plastic: "Plastic") -> None:
    Path("given.toml").write_text(
        """
        env = "Acrobot-v1"
        seed = 5
        steps = 90
        settings = { hidden = 16, learning_starts = 32, eval_episodes = 0 }
        plugins = [{ name = "sam", rho = 0.2 }, { name = "l2" }]
        """
    )
    done = plastic(
        *("run", "--config", "given.toml", "--env", "CartPole-v1", "--set", "hidden=24", "--quiet", "--out", "mine"),
        *("--plugin", "sam:scope=head", "reset"),
    )
    assert done.code == 0
    written = recipe.read(Path("mine/recipe.toml"))
    assert (written.env, written.seed, written.steps) == ("CartPole-v1", 5, 90)
    assert (written.settings["hidden"], written.settings["learning_starts"]) == (24, 32)
    assert [plugin.name for plugin in written.plugins] == ["sam", "l2", "reset"]
    assert written.plugins[0].options["rho"] == 0.2
    assert written.plugins[0].options["scope"] == "head"


def test_the_recipe_a_run_leaves_gives_the_same_run(plastic: "Plastic", finished: Path) -> None:
    assert plastic("run", "--config", finished / "recipe.toml", "--quiet", "--out", "again").code == 0
    for name in ("recipe.toml", "metrics.jsonl", "result.json"):
        assert (Path("again") / name).read_bytes() == (finished / name).read_bytes()


def test_a_setting_may_hold_commas_and_equal_signs(plastic: "Plastic") -> None:
    plan = plastic.run("--plugin", 'reset:layers=head,when={every = 7, of = "episodes", start = 2}', "--dry-run").out
    assert "every 7 episodes after 2" in plan


def test_a_plugin_of_ones_own_by_module_and_class(plastic: "Plastic") -> None:
    Path("twice.py").write_text(
        """
from attrs import frozen
from plastic.core.modifier import OptimizerModifier

@frozen
class Twice(OptimizerModifier):
    name = "twice"
    by: float = 2.0

    def gradients(self, evaluate, params):
        losses, gradients = evaluate()
        return losses, {name: self.by * gradient for name, gradient in gradients.items()}
"""
    )
    done = plastic.run("--plugin", "twice:Twice:by=3", "--set", "eval_episodes=0", "--out", "mine")
    assert done.code == 0
    assert recipe.read(Path("mine/recipe.toml")).plugins == (Chosen("twice:Twice", {"by": 3.0}),)


def test_metrics_for_tensorboard(plastic: "Plastic") -> None:
    pytest.importorskip("tensorboard")
    done = plastic.run("--log", "tensorboard", "--set", "eval_episodes=0", "--quiet", "--out", "mine")
    assert done.code == 0
    assert list(Path("mine/tensorboard").glob("events.*"))
