"""What the benchmarks found is said once more at the end, with the machine it was found on."""

import os
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
import torch

Report = Callable[[str], None]
_LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Takes a line for the end."""
    return request.config.stash.setdefault(_LINES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("benchmarks")
        terminalreporter.write_line(_machine())
        for line in lines:
            terminalreporter.write_line(line)


def _machine() -> str:
    described = Path("/proc/cpuinfo")
    text = described.read_text(encoding="utf-8") if described.exists() else ""
    models = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    threads = torch.get_num_threads()
    return (
        f"{date.today()}, {model}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)}, "
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    )
