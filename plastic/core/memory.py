"""The memory that freed tensors leave behind."""

import torch

# The largest block that glibc learns from is 32 MiB (DEFAULT_MMAP_THRESHOLD_MAX), its own book-keeping included.
LARGEST = 2**25 - 2**13  # bytes


def keep_freed_memory() -> None:
    """Have the process keep the memory of freed tensors for the next ones.

    An update makes and frees some 60 MB of gradients and activations. As it starts out, glibc hands what
    lies free at the end of its heap back to the system, which clears every page that it lends again: up to
    a quarter of an update's time (docs/performance.md). How much glibc keeps is twice the largest block that
    was ever freed (mallopt(3), M_MMAP_THRESHOLD), so one block is freed here. Nothing is written to it, so it
    takes no memory. Allocators that work otherwise do not mind, and who has set MALLOC_TRIM_THRESHOLD_ keeps that.
    """
    torch.empty(LARGEST, dtype=torch.uint8)
