"""A plugin of pytest's: tests begin until the time is up, and what failed is said at once.

`python -m pytest -p tests.benchmarks.gpu.in_time`, with the end in the environment: a process that is ended from
outside leaves no report, and takes the messages of its failures with it.
"""

import os
import time

import pytest

UNTIL = "PLASTIC_TESTS_UNTIL"  # seconds since the epoch
FAILED = "because: "


def pytest_runtest_setup() -> None:
    """Leave out what would begin too late."""
    if time.time() > float(os.environ.get(UNTIL, "inf")):
        pytest.skip("no time was left")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A line of its own for each failure, with the test's name and its last words."""
    if report.failed:
        words = " ".join(line[1:] for line in report.longreprtext.splitlines() if line.startswith("E "))
        print(f"\n{FAILED}{report.nodeid}: {' '.join((words or report.longreprtext).split())[:300]}", flush=True)
