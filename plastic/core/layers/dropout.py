"""Dropout whose masks are drawn in updates alone, from a stream of the update."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class _Stream:
    """A generator on each device that asks for one, all at the start of the same stream."""

    def __init__(self, seed: Callable[[], int]) -> None:
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device) -> torch.Generator:
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed())
        return self.generators[device]


_stream: _Stream | None = None  # of the evaluation that is under way


@contextmanager
def masks(seed: Callable[[], int]) -> Iterator[None]:
    """Inside, `Dropout` drops units; `seed` is asked for the stream's seed if a mask is drawn at all."""
    global _stream  # noqa: PLW0603  (a network knows nothing of the update it is evaluated in)
    before, _stream = _stream, _Stream(seed)
    try:
        yield
    finally:
        _stream = before


class Dropout(nn.Dropout):
    """As torch.nn.Dropout, but outside of `masks` it drops nothing, in training mode neither.

    So an agent that acts in training mode, for the noise of its noisy layers, acts with the whole network, and no
    draw shifts another.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[...] -> [...], entries zero with probability p, the others scaled by 1 / (1 - p)."""
        if not self.training or _stream is None:
            return input
        kept = torch.empty_like(input).bernoulli_(1 - self.p, generator=_stream.on(input.device))
        return input * kept.div_(1 - self.p)
