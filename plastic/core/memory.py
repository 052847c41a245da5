"""The memory that freed tensors leave behind."""

import ctypes
import sys

# Of glibc's malloc.h; see mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

OWN_MAPPING = 2**25  # bytes; larger blocks go back to the system as they are freed, and glibc allows no more
KEPT = 2**28  # bytes; SAM's two passes over Rainbow need a third of it


def keep_freed_memory() -> None:
    """Have the process keep the memory of freed tensors for the next ones.

    An update makes and frees tens of megabytes of gradients and activations. By itself, glibc hands what lies
    free at the end of its heap back to the system, which clears every page that it lends again: up to a
    quarter of an update's time (docs/performance.md). Allocators that work otherwise are left alone.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING)
        mallopt(_M_TRIM_THRESHOLD, KEPT)
