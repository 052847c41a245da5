"""The replay: what it holds and what it costs."""

import subprocess
import sys
from pathlib import Path

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from plastic.agents.augmentation import augment
from tests.benchmarks.conftest import Report
from tests.benchmarks.pixels import CAPACITY, replay

GIGABYTE = 1e9
LIMIT = 0.75  # GB
BATCH = 32

# What the system has lent to the process, before and after all 100,000 steps are there
FILL = """
import resource
import tests.benchmarks.pixels as pixels
def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
pixels.replay(1_000)
before = resident()
full = pixels.replay(pixels.CAPACITY)
print(resident() - before, full.nbytes)
"""


def test_memory_of_a_full_replay(report: Report) -> None:
    program = [sys.executable, "-c", FILL]
    answer = subprocess.run(program, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout
    lent, kept = (int(count) / GIGABYTE for count in answer.split())
    report(f"{CAPACITY:,} steps of 84x84 in the replay: {lent:.3f} GB more in the process, {kept:.3f} GB of tensors")
    assert lent <= LIMIT
    assert kept <= LIMIT


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
