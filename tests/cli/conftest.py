"""Calling the command line in this process, and runs that take a second."""

import shutil
from pathlib import Path

import pytest
from attrs import frozen

from plastic.cli.main import main

SMALL = (
    *("--env", "CartPole-v1", "--steps", "150"),
    *("--set", "hidden=16", "learning_starts=32", "batch_size=8", "replay_capacity=1000"),
    *("--set", "eval_episodes=2", "log_every=50"),
)


@frozen
class Done:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that an error is."""
        assert self.err.startswith("plastic: ")
        assert self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("plastic: ").rstrip("\n")


class Plastic:
    """`plastic ARGUMENTS`, in an empty folder."""

    small = SMALL

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys = capsys
        self.folder = folder

    def __call__(self, *arguments: object) -> Done:
        """Carry out a command."""
        code = main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Done(code, captured.out, captured.err)

    def run(self, *arguments: object) -> Done:
        """`plastic run` of a second or two."""
        return self("run", *SMALL, *arguments)


@pytest.fixture
def plastic(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plastic:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])  # put back afterwards: `module:Class` changes it
    monkeypatch.delenv("PLASTIC_DEBUG", raising=False)
    return Plastic(capsys, tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert main(["run", *SMALL, "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def finished(made_once: Path, plastic: Plastic) -> Path:
    """A finished run of 150 steps in the folder one stands in, to do with as one likes."""
    folder = plastic.folder / "finished"
    shutil.copytree(made_once, folder)
    return Path("finished")
