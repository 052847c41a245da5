"""The replay: what it holds and what it costs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.agents.augmentation import augment
from tests.benchmarks.conftest import Report
from tests.benchmarks.pixels import CAPACITY, replay

GIGABYTE = 1e9
LIMIT = 0.75  # GB
BATCH = 32

# Bytes that the system has lent to a process, before and after all steps are there. Not the largest number of
# all times (ru_maxrss): that of a new process begins with its parent's.
FILL = """
from pathlib import Path
import tests.benchmarks.pixels as pixels
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * {page}
pixels.replay(1_000)
before = resident()
full = pixels.replay(pixels.CAPACITY)
print(resident() - before)
"""


def test_tensors_of_a_full_replay(report: Report) -> None:
    kept = replay().nbytes / GIGABYTE
    report(f"{CAPACITY:,} steps of 84x84 in the replay: {kept:.3f} GB of tensors (at most {LIMIT})")
    assert kept <= LIMIT


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_full_replay(report: Report) -> None:
    program = [sys.executable, "-c", FILL.format(page=os.sysconf("SC_PAGE_SIZE"))]
    answer = subprocess.run(program, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    lent = int(answer) / GIGABYTE
    report(f"{CAPACITY:,} steps of 84x84 in the replay: {lent:.3f} GB more in the process (at most {LIMIT})")
    assert CAPACITY * 84 * 84 / GIGABYTE * 0.95 < lent <= LIMIT  # less than its frames: then it was not measured


def test_sampling(benchmark: BenchmarkFixture) -> None:
    filled = replay()
    benchmark(lambda: filled.sample(BATCH, 0.5, torch.Generator()))


def test_writing_priorities(benchmark: BenchmarkFixture) -> None:
    filled = replay()
    index = filled.sample(BATCH, 0.5, torch.Generator()).index
    losses = torch.rand(BATCH)
    benchmark(lambda: filled.set_priorities(index, losses))


def test_augmentation(benchmark: BenchmarkFixture) -> None:
    """Of observations alone; an update augments as many next observations."""
    images = replay().sample(BATCH, 0.5, torch.Generator()).observation
    generator = torch.Generator()
    benchmark(lambda: augment(images, generator, channels_last=True))
