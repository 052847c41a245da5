"""In processes of their own: what an allocator has learnt, it does not forget."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Pages that the system lends anew while six tensors of 6 MB are made and freed, ten times over
LENT = """
import resource, torch
from plastic.core.learning.memory import keep_freed_memory
torch.set_num_threads(1)
def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work(rounds):
    for _ in range(rounds):
        tensors = [torch.ones(1_500_000) for _ in range(6)]
        del tensors
{call}
work(3)
before = pages()
work(10)
print(pages() - before)
"""


def lent(call: str) -> int:
    return answered(LENT, call)


def answered(program: str, call: str) -> int:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    command = [sys.executable, "-c", program.format(call=call)]
    return int(subprocess.run(command, env=bare, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other habits")
def test_freed_tensors_leave_their_memory_to_the_next() -> None:
    assert lent("keep_freed_memory()") < 500  # without it some 90,000, but what glibc does then varies


HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LARGE = """
import re, torch
from pathlib import Path
from plastic.core.learning.memory import keep_freed_memory
{call}
tensors = [torch.ones(1_500_000) for _ in range(20)]
print(re.search(r"AnonHugePages: +(\\d+) kB", Path("/proc/self/smaps_rollup").read_text())[1])
"""


def in_large_pages(call: str) -> int:
    """Kilobytes, of 120,000 that tensors take."""
    return answered(LARGE, call)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other habits")
@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[madvise]" not in HUGE_PAGES.read_text(encoding="utf-8"),
    reason="this system has no large pages for whoever asks, or has them for everybody",
)
def test_tensors_lie_in_large_pages() -> None:
    assert in_large_pages("") == 0
    assert in_large_pages("keep_freed_memory(); keep_freed_memory()") > 60_000
