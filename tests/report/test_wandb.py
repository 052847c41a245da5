"""Metrics for Weights & Biases, with a stand-in for its package."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plastic.core.errors import UsageError
from plastic.core.runs.run_folder import RunFolder
from plastic.report.wandb import WandB


class Account:
    """What the package was asked for; every new run gets another id."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.opened: list[dict[str, Any]] = []
        self.logged: list[dict[str, Any]] = []
        self.finished: list[dict[str, Any]] = []

    def init(self, **options: Any) -> "Account":
        self.opened.append(options)
        self.id = options.get("id") or f"made-{len(self.opened)}"
        return self

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def finish(self, **options: Any) -> None:
        self.finished.append(options)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account()
    monkeypatch.setitem(sys.modules, "wandb", account)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    return account


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return SimpleNamespace(
        folder=RunFolder.create(tmp_path / "mine-1", ""),
        recipe=SimpleNamespace(agent="rainbow", env="ALE/Pong-v5", seed=3, settings={"replay_ratio": 2.0}),
    )


def test_a_run_is_opened_in_its_folder_under_its_name_and_offline_without_an_account(
    account: Account, run: Any
) -> None:
    WandB().started(run)
    (options,) = account.opened
    assert options["name"] == "mine-1"
    assert options["dir"] == str(run.folder.path)
    assert options["mode"] == "offline"
    assert options["config"] == {"agent": "rainbow", "env": "ALE/Pong-v5", "seed": 3, "replay_ratio": 2.0}


def test_a_resumed_run_goes_on_in_the_same_one_and_another_folder_in_another(
    account: Account, run: Any, tmp_path: Path
) -> None:
    one, other = run.folder, RunFolder.create(tmp_path / "mine-2", "")
    for run.folder in (one, one, other, one):
        WandB().started(run)
    assert [options.get("id") for options in account.opened] == [None, "made-1", None, "made-1"]
    assert {options["resume"] for options in account.opened} == {"allow"}


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "WANDB_MODE"])
def test_with_an_account_its_own_mode_holds(
    account: Account, run: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "online")
    WandB().started(run)
    assert account.opened[0]["mode"] is None


def test_numbers_are_sent_over_agent_steps_and_the_end_is_told(account: Account, run: Any) -> None:
    listener = WandB()
    listener.started(run)
    listener.recorded({"kind": "train", "updates": 4, "agent_steps": 10, "loss": 0.5, "scores": [1.0]})
    assert account.logged == [{"train/loss": 0.5, "agent_steps": 10}]
    listener.finished(run, None)  # type: ignore[arg-type]
    assert account.finished == [{}]


def test_a_run_that_is_stopped_is_marked_so(account: Account, run: Any) -> None:
    listener = WandB()
    listener.stopped(run)  # before it began
    assert account.finished == []
    listener.started(run)
    listener.stopped(run)
    assert account.finished == [{"exit_code": 1}]


def test_without_wandb_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError) as caught:
        WandB()
    assert str(caught.value) == "W&B is not installed; run: pip install 'plastic-rl[wandb]'"
