"""The memory that freed tensors leave behind."""

import ctypes
import sys
from pathlib import Path

# Of glibc's malloc.h and Linux' mman.h; see mallopt(3) and madvise(2).
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_MADV_HUGEPAGE = 14

OWN_MAPPING = 2**25  # bytes; larger blocks go back to the system as they are freed, and glibc allows no more
KEPT = 2**28  # bytes; SAM's two passes over Rainbow need a third of it
AT_A_TIME = 3 * 2**26  # bytes that the heap grows by, less than what is kept: else they would go back at once
_HUGE = 2**21  # bytes of a large page on x86 and most of ARM; where it is another, the kernel rounds


def keep_freed_memory() -> None:
    """Have the process keep the memory of freed tensors for the next ones, in large pages.

    An update makes and frees tens of megabytes of gradients and activations. By itself, glibc hands what lies
    free at the end of its heap back to the system, which clears every page that it lends again: up to a
    quarter of an update's time. And in pages of 4 kB a processor looks most addresses up anew, up to a twentieth
    (docs/performance.md). Allocators that work otherwise are left alone.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    mallopt = getattr(libc, "mallopt", None)  # musl has none
    if mallopt is None:
        return
    mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING)
    mallopt(_M_TRIM_THRESHOLD, KEPT)
    mallopt(_M_TOP_PAD, AT_A_TIME)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.free(libc.malloc(OWN_MAPPING - _HUGE))  # the heap grows now if it must, before it is spoken of
    for begin, end in _heap():
        first = -(-begin // _HUGE) * _HUGE
        if first < end:
            libc.madvise(first, end - first, _MADV_HUGEPAGE)  # a system that has none refuses, and all stays as it is


def _heap() -> list[tuple[int, int]]:
    maps = Path("/proc/self/maps")
    lines = maps.read_text(encoding="utf-8").splitlines() if maps.exists() else []
    ranges = [line.split()[0].split("-") for line in lines if line.endswith("[heap]")]
    return [(int(begin, 16), int(end, 16)) for begin, end in ranges]
