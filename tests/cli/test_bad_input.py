"""Everything a user can get wrong: one line that says what to do, exit 2, and nothing is made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.core.runs import checkpoint

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

RIVAL = """
from attrs import frozen
from plastic.core.modifier import OptimizerModifier

@frozen
class Rival(OptimizerModifier):
    name = "rival"
    claims = frozenset({"ascent"})
"""

WRONG = {
    # unknown names, the nearest suggested
    "plugin": (["--plugin", "smm"], "no plugin 'smm'; did you mean 'sam'?"),
    "plugin's option": (["--plugin", "sam:roh=0.1"], "sam has no option 'roh'; did you mean 'rho'?"),
    "agent": (["--agent", "rainbo"], "no agent 'rainbo'; did you mean 'rainbow'?"),
    "environment": (["--env", "CartPol-v1"], "no environment 'CartPol-v1'; did you mean 'CartPole-v1'?"),
    "environment like none": (["--env", "Nope-v9"], "no environment 'Nope-v9'; known: "),
    "plugin in capitals": (["--plugin", "SAM"], "no plugin 'SAM'; did you mean 'sam'?"),
    "game": (["--env", "ALE/Pnog-v5"], "did you mean 'ALE/Pong-v5'?"),
    "setting": (["--set", "hiden=3"], "no setting 'hiden'; did you mean 'hidden'?"),
    "preset": (["--preset", "clasic"], "rainbow has no preset 'clasic'; did you mean 'classic'?"),
    "flag": (["--stps", "3"], "unknown option: --stps. Did you mean --steps?; see plastic run --help"),
    "log": (["--log", "tensorbord"], 'Did you mean "tensorboard"?'),
    "module": (["--plugin", "no_such_module:Clip"], "cannot load 'no_such_module:Clip'"),
    "device": (["--device", "gpu"], "no device 'gpu'; use cpu, cuda or cuda:N"),
    # wrong types and ranges
    "a word for a number": (["--plugin", "sam:rho=big"], "sam: rho must be a number, not 'big'"),
    "a number below its range": (["--plugin", "sam:rho=-1"], "sam: rho must be at least 0, not -1"),
    "a number for a truth": (["--plugin", "sam:adaptive=1"], "sam: adaptive must be true or false, not 1"),
    "a fraction for a count": (["--set", "hidden=1.5"], "rainbow: hidden must be an integer, not 1.5"),
    "a count of nothing": (["--set", "batch_size=0"], "rainbow: batch_size must be at least 1, not 0"),
    "a word not on the list": (["--set", "acting=both"], "rainbow: acting must be one of target, online, not 'both'"),
    "two that contradict": (["--set", "v_min=5", "v_max=-5"], "v_min must be below v_max"),
    "a schedule": (["--plugin", "reset:when=often"], "reset: when must be a number of updates"),
    "no steps": (["--steps", "0"], "steps must be an integer of at least 1, not 0"),
    "a word for steps": (["--steps", "many"], "steps must be an integer, not 'many'"),
    "a fraction for steps": (["--steps", "600.9"], "steps must be an integer, not '600.9'"),
    "a fraction for a seed": (["--seed", "1.5"], "seed must be an integer, not '1.5'"),
    "a fraction of a run": (["--seeds", "0-3", "--together", "1.5"], "together must be an integer, not '1.5'"),
    "a seed": (["--seed", "-1"], "seed must be an integer of at least 0, not -1"),
    "a setting without a value": (["--set", "hidden"], "--set: 'hidden' is no NAME=VALUE"),
    "options without a name": (["--plugin", "rho=0.1"], "write a plugin as NAME or NAME:OPTION=VALUE"),
    "a flag without a value": (["--plugin"], "--plugin"),
    # what cannot go together
    "the same claim twice": (["--plugin", "sam", "sam"], "'sam' is there twice and claims the ascent; choose one"),
    "two of the same claim": (
        ["--plugin", "sam", "rival:Rival"],
        "'sam' and 'rival' both claim the ascent; choose one",
    ),
    "continuous actions": (["--env", "Pendulum-v1"], "rainbow needs discrete actions"),
    "images' preset for vectors": (["--preset", "drq"], "the preset 'drq' is for images"),
    "a layer that is not there": (["--plugin", "layer_norm:layers=tail"], "layers=tail"),
    # files
    "no recipe": (["--config", "no.toml"], "cannot read no.toml"),
    "no TOML": (["--config", "rival.py"], "rival.py is no TOML"),
    "a folder below a file": (["--out", "rival.py/run"], "cannot make the run's folder rival.py/run: Not a directory"),
    "a folder that is there": (["--out", "taken"], "taken exists already; resume it with `plastic resume taken`"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_run_that_cannot_be(plastic: "Plastic", arguments: list[str], says: str) -> None:
    Path("rival.py").write_text(RIVAL)
    Path("taken").mkdir()
    Path("taken/notes.txt").touch()
    env = [] if "--env" in arguments else ["--env", "CartPole-v1"]
    done = plastic("run", *env, *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.error
    assert {path.name for path in Path().iterdir()} - {"__pycache__"} == {"rival.py", "taken"}, "something was made"
    assert [path.name for path in Path("taken").iterdir()] == ["notes.txt"]


ELSEWHERE = {
    "no such command": (["rnu"], 'unknown command "rnu". Did you mean "run"?'),
    "an argument too many": (["run", "CartPole-v1"], "unexpected argument 'CartPole-v1'; see plastic run --help"),
    "no folder": (["resume"], "requires an argument; see plastic resume --help"),
    "resume of nothing": (["resume", "nowhere"], "nowhere is no run's folder: it holds no recipe.toml"),
    "evaluation of nothing": (["evaluate", "nowhere"], "nowhere is no run's folder"),
    "no games": (["evaluate", "nowhere", "--episodes", "0"], "episodes must be at least 1, not 0"),
    "no steps": (["resume", "nowhere", "--steps", "0"], "steps must be at least 1, not 0"),
    "a fraction of a game": (["evaluate", "nowhere", "--episodes", "2.5"], "episodes must be an integer, not '2.5'"),
    "a fraction of a step": (["resume", "nowhere", "--steps=3000.5"], "steps must be an integer, not '3000.5'"),
    "a fraction to reckon with": (["bench", "--steps", "600.9"], "steps must be an integer, not '600.9'"),
    "an unknown plugin": (["plugins", "show", "rest"], "no plugin 'rest'; did you mean 'reset'?"),
    "a class that is no plugin": (["plugins", "show", "pathlib:Path"], "'pathlib:Path' is no plugin"),
}


@pytest.mark.parametrize(("arguments", "says"), ELSEWHERE.values(), ids=ELSEWHERE.keys())
def test_other_commands_that_cannot_be(plastic: "Plastic", arguments: list[str], says: str) -> None:
    done = plastic(*arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.error


def test_a_recipe_with_an_unknown_key(plastic: "Plastic") -> None:
    Path("recipe.toml").write_text('agnet = "rainbow"\n')
    done = plastic("run", "--config", "recipe.toml")
    assert done.code == 2
    assert done.error == "recipe.toml has an unknown key 'agnet'; did you mean 'agent'?"


def test_a_preset_is_refused_where_it_would_change_nothing(plastic: "Plastic", finished: Path) -> None:
    done = plastic("run", "--config", finished / "recipe.toml", "--preset", "classic", "--dry-run")
    assert done.code == 2
    assert "leave --preset out" in done.error


# ---------------------------------------------------------------- packages that fail


@pytest.fixture
def broken_package(plastic: "Plastic", monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package whose plugins cannot be imported."""
    site = plastic.folder / "site"
    about = site / "plastic_broken-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plastic-broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[plastic]\nplugins = plastic_broken_plugins\n")
    (site / "plastic_broken_plugins.py").write_text("raise RuntimeError('a library\\nis missing')\n")
    monkeypatch.syspath_prepend(site)
    return "plastic-broken"


def test_a_broken_package_is_named_in_the_list_and_the_rest_is_there(plastic: "Plastic", broken_package: str) -> None:
    done = plastic("plugins")
    assert (done.code, done.err) == (0, "")
    assert done.out.rstrip().endswith(
        "plastic-broken failed to load and is left out: RuntimeError: a library is missing"
    )
    assert "sam " in done.out


def test_a_broken_package_is_a_warning_to_a_run_of_other_plugins(plastic: "Plastic", broken_package: str) -> None:
    done = plastic("run", *plastic.small, "--plugin", "sam", "--dry-run")
    assert done.code == 0
    assert "sam" in done.out
    assert done.error.startswith("warning: the package plastic-broken failed to load and is left out: RuntimeError")


def test_a_broken_package_is_named_when_a_plugin_is_not_found(plastic: "Plastic", broken_package: str) -> None:
    done = plastic("run", *plastic.small, "--plugin", "clip")
    assert done.code == 2
    assert "no plugin 'clip'" in done.err
    assert "(the package plastic-broken failed to load: RuntimeError: a library is missing)" in done.err


# ---------------------------------------------------------------- checkpoints


def saved(folder: Path) -> Path:
    (only,) = (folder / "checkpoints").glob("*.ckpt")
    return only


COMMANDS = (["resume", "finished", "--steps", "200"], ["evaluate", "finished"])


@pytest.mark.parametrize("command", COMMANDS, ids=["resume", "evaluate"])
@pytest.mark.parametrize("kept", [-20, 2_000, 60, 0])
def test_a_truncated_checkpoint(plastic: "Plastic", finished: Path, kept: int, command: list[str]) -> None:
    path = saved(finished)
    path.write_bytes(path.read_bytes()[:kept])
    done = plastic(*command)
    assert (done.code, done.out) == (2, "")
    assert str(path) in done.error
    assert (finished / "result.json").exists(), "the run is no longer finished"


@pytest.mark.parametrize("command", COMMANDS, ids=["resume", "evaluate"])
def test_a_damaged_checkpoint(plastic: "Plastic", finished: Path, command: list[str]) -> None:
    path = saved(finished)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    done = plastic(*command)
    assert done.code == 2
    assert f"{path} is damaged" in done.error


@pytest.mark.parametrize("command", COMMANDS, ids=["resume", "evaluate"])
def test_a_file_that_is_no_checkpoint(plastic: "Plastic", finished: Path, command: list[str]) -> None:
    saved(finished).write_bytes(b"PK\x03\x04 a zip file, as torch.save writes them\n" * 20)
    done = plastic(*command)
    assert done.code == 2
    assert "is no checkpoint of plastic" in done.error


@pytest.mark.parametrize("command", COMMANDS, ids=["resume", "evaluate"])
def test_a_checkpoint_of_another_run(plastic: "Plastic", finished: Path, command: list[str]) -> None:
    assert plastic.run("--set", "hidden=24", "eval_episodes=0", "--quiet", "--out", "other").code == 0
    saved(finished).write_bytes(saved(Path("other")).read_bytes())
    done = plastic(*command)
    assert done.code == 2
    assert "does not fit" in done.error


@pytest.mark.parametrize("command", COMMANDS, ids=["resume", "evaluate"])
def test_a_checkpoint_of_a_newer_version(plastic: "Plastic", finished: Path, command: list[str]) -> None:
    path = saved(finished)
    magic, header, rest = path.read_bytes().split(b"\n", 2)
    newer = json.loads(header) | {"format": checkpoint.FORMAT + 1, "plastic": "9.0"}
    path.write_bytes(b"\n".join([magic, json.dumps(newer).encode(), rest]))
    done = plastic(*command)
    assert done.code == 2
    assert "was written by plastic 9.0, which is newer; update plastic to read it" in done.error
