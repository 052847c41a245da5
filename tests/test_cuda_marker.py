"""Tests marked `cuda` run where there is a GPU, and are skipped by name elsewhere."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import NO_GPU, pytest_runtest_setup
from tests.test_cuda import no_waiting


def item(*markers: str) -> Any:
    return SimpleNamespace(get_closest_marker=lambda name: name if name in markers else None)


def test_without_a_gpu_they_are_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(pytest.skip.Exception, match=NO_GPU):
        pytest_runtest_setup(item("cuda"))
    pytest_runtest_setup(item("slow"))


def test_with_one_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    pytest_runtest_setup(item("cuda"))


@pytest.mark.cuda
def test_the_fixture_is_a_gpu(cuda: torch.device) -> None:
    assert torch.ones(3, device=cuda).sum().item() == 3


def test_waiting_is_refused_within_and_allowed_again_after(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []

    def set_mode(mode: str) -> None:
        modes.append(mode)
        if len(modes) == 1:
            warnings.warn("Synchronization debug mode is a prototype feature", UserWarning, stacklevel=2)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", set_mode)
    with no_waiting():
        assert modes == ["error"]
    assert modes == ["error", "default"]
