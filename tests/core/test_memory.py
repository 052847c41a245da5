"""In processes of their own: what an allocator has learnt, it does not forget."""

import os
import platform
import subprocess
import sys

import pytest

# Pages that the system lends anew while six tensors of 6 MB are made and freed, ten times over
LENT = """
import resource, torch
from plastic.core.memory import keep_freed_memory
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
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_"))}
    program = [sys.executable, "-c", LENT.format(call=call)]
    return int(subprocess.run(program, env=bare, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have other habits")
def test_freed_tensors_leave_their_memory_to_the_next() -> None:
    assert lent("keep_freed_memory()") < 500  # without it some 90,000, but what glibc does then varies
