"""Random streams: every draw has a stream of its own, derived from the run's seed and a few labels.

So what one part draws never shifts what another part sees: a probe can be added without changing
the run, a plugin without changing the order of batches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch


def derive(seed: int, *labels: str | int) -> int:
    """A seed of 63 bits for the stream named by `labels` in the run of seed `seed`.

    >>> derive(0, "noise") == derive(0, "noise"), derive(0, "noise") == derive(1, "noise")
    (True, False)
    """
    text = repr((seed, *labels)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(seed: int, *labels: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator at the start of the stream named by `labels`."""
    return torch.Generator(device).manual_seed(derive(seed, *labels))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global generator starts at `seed` inside, and is outside as if nothing had been drawn.

    For what can draw from the global generator alone: `torch.nn`'s initialisers, dropout.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
