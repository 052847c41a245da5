"""What the losses of an actor and its critics read."""

from typing import NamedTuple

import torch
from torch import Tensor

from plastic.agents.augmentation import random_shift, to_float
from plastic.agents.replay import Batch


class Drawn(NamedTuple):
    """B transitions with all that is random in the losses: images augmented, the policy's noise drawn."""

    observation: Tensor  # [B, *observation] float
    action: Tensor  # [B, A] between -1 and 1
    returns: Tensor  # [B]
    discount: Tensor  # [B], 0 where the window ended in a terminal
    next_observation: Tensor  # [B, *observation] float
    noise: Tensor  # [B, A], N(0, 1), of the actions at the next observation


class Seen(NamedTuple):
    """What the actor learns from."""

    features: Tensor  # [B, d] of the critic's encoder
    noise: Tensor  # [B, A], N(0, 1), of its actions


def drawn(batch: Batch, generator: torch.Generator, pad: int) -> Drawn:
    """`batch` with observation and next observation shifted by up to `pad` pixels, each by draws of its own."""

    def convert(observation: Tensor) -> Tensor:
        images = observation.dim() == 4
        return to_float(random_shift(observation, pad, generator) if images else observation, channels_last=True)

    return Drawn(
        convert(batch.observation),
        batch.action,
        batch.returns,
        batch.discount,
        convert(batch.next_observation),
        torch.randn(batch.action.shape, generator=generator, device=batch.action.device),
    )
