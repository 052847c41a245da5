"""Versions of what a run's numbers depend on."""

import pytest
import torch

from plastic.core.runs import versions as module
from plastic.core.runs.versions import versions


def test_this_package_comes_first_and_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("plastic-rl", "torch", "no-such-package-anywhere"))
    found = versions()
    assert list(found) == ["plastic-rl", "torch", "no-such-package-anywhere"]
    assert found["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert found["no-such-package-anywhere"] == "not installed"
