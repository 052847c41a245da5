"""The command as a process: help, exit codes, pipes that close."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import plastic as package
from plastic.cli.main import main

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

COMMAND = (sys.executable, "-c", "import sys; from plastic.cli.main import main; sys.exit(main())")
QUIETLY = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize("command", ["run", "resume", "evaluate", "plugins"])
def test_help_names_every_command_and_each_has_its_own(plastic: "Plastic", command: str) -> None:
    assert f" {command} " in plastic("--help").out
    own = plastic(command, "--help")
    assert (own.code, own.err) == (0, "")
    assert own.out.startswith(f"Usage: plastic {command}")


def test_a_command_alone_is_a_request_for_help(plastic: "Plastic") -> None:
    assert plastic() == plastic("--help")


def test_the_version(plastic: "Plastic") -> None:
    assert plastic("--version").out == package.__version__ + "\n"


def test_help_of_run_states_the_defaults_of_a_recipe(plastic: "Plastic") -> None:
    text = " ".join(plastic("run", "--help").out.replace("│", " ").split())
    recipe = package.Recipe()
    for default in (recipe.agent, recipe.env, recipe.seed, recipe.steps, recipe.device):
        assert f"{default} if left out" in text


def test_threads_wait_without_spinning_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "plugins"], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, env=QUIETLY, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_reader_that_leaves_stops_a_run_with_a_checkpoint(plastic: "Plastic", tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "run", *plastic.small, "--out", "mine"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=QUIETLY,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
    assert list((tmp_path / "mine/checkpoints").glob("*.ckpt"))


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to be a full disk")


@needs_full
@pytest.mark.parametrize("command", [("--help",), ("plugins",), ("run", "--env", "CartPole-v1", "--dry-run")])
def test_a_disk_that_is_full_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *command], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=QUIETLY, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"plastic: cannot write the output: No space left on device\n")


@needs_full
def test_a_disk_that_is_full_stops_a_run_with_a_checkpoint(plastic: "Plastic", tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "run", *plastic.small, "--out", "mine"],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=QUIETLY,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        b"plastic: cannot write the output: No space left on device; "
        b"stopped after 0 steps; a checkpoint was written; go on with: plastic resume mine\n"
    )
    assert plastic("resume", "mine", "--quiet").code == 0


@pytest.mark.parametrize("command", [("--help",), ("run", "--out", "mine")])
def test_an_output_that_is_closed_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *command]
    done = subprocess.run(closed, stderr=subprocess.PIPE, cwd=tmp_path, env=QUIETLY, check=False)
    assert done.returncode == 2
    assert done.stderr == b"plastic: standard output is closed; send it to /dev/null to print nothing\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_from_outside_leaves_a_checkpoint(
    plastic: "Plastic", tmp_path: Path, number: signal.Signals, code: int
) -> None:
    small = "{ hidden = 16, learning_starts = 32, batch_size = 8, replay_capacity = 1000 }"
    Path("long.toml").write_text(f'env = "CartPole-v1"\nsteps = 1_000_000\nsettings = {small}\n')
    running = subprocess.Popen(
        [*COMMAND, "run", "--config", "long.toml", "--quiet", "--out", "mine"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=QUIETLY,
    )
    metrics = tmp_path / "mine/metrics.jsonl"
    while running.poll() is None and not metrics.exists():
        time.sleep(0.05)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (code, "")
    assert err.startswith("plastic: stopped after ")
    assert err.endswith(" steps; a checkpoint was written; go on with: plastic resume mine\n")
    assert len(list((tmp_path / "mine/checkpoints").glob("*.ckpt"))) == 1


def test_on_a_terminal_progress_is_drawn_in_place(plastic: "Plastic", tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", *plastic.small, "--out", "mine"],
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env={**QUIETLY, "TERM": "xterm-256color", "COLUMNS": "60"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end was closed
            break
        if not part:
            break
        seen += part
    assert process.wait(timeout=60) == 0
    text = seen.decode()
    assert "\x1b[?25l" in text, "the cursor was not hidden"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor was not shown again"
    assert "of 150 steps" in text
    assert "mean of 2 games" in text
