"""What a plugin may look at between updates."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.schedule import Clock


@frozen(eq=False)
class Subject:
    """A learner as seen from outside; everything in it must be left as it was.

    The model and its copies are in evaluation mode while a plugin looks: no noise, no dropout, and
    batch statistics stay. `model(*inputs)` is always valid.
    """

    model: nn.Module
    copies: Mapping[str, nn.Module]
    clock: Clock
    generator: torch.Generator  # this plugin's own stream, on the learner's device
    knobs: Mapping[str, float | int | bool]
    _fresh: Callable[[], nn.Module] = field(alias="fresh")
    _sample: Callable[[], Any] = field(alias="sample")
    _inputs: Callable[[], tuple[Tensor, ...]] = field(alias="inputs")
    _losses: Callable[[nn.Module], Tensor] = field(alias="losses")
    _initial: Callable[[], nn.Module] = field(alias="initial")
    _policy: Callable[[nn.Module, tuple[Tensor, ...]], Tensor] = field(alias="policy")
    _values: Callable[[nn.Module], tuple[Tensor, Tensor]] = field(alias="values")

    @property
    def batch(self) -> Any:
        """A batch drawn uniformly for looking at, not augmented; the same for all at one tick."""
        return self._sample()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the model is called with for that batch."""
        return self._inputs()

    def loss(self, model: nn.Module) -> Tensor:
        """Losses [B] of `model` on that batch: fixed target, no noise, no importance weights."""
        return self._losses(model)

    def fresh(self) -> nn.Module:
        """A model of the same structure, replaced modules included, newly initialised.

        Each call of one plugin at one tick gives the same values.
        """
        return self._fresh()

    def initial(self) -> nn.Module:
        """The model as it was before the first update, rebuilt from the run's seed; nothing is stored for it.

        A module that was replaced since is replaced here too, and what is new in it as it was then.
        """
        return self._initial()

    def policy(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Greedy actions [B] of `model`, or mean actions [B, A]; for a plugin that `needs` the policy."""
        return self._policy(model, inputs)

    def values(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Returns that `model` predicts for that batch, [B] or [B, members], and its targets [B].

        For a plugin that `needs` the values.
        """
        return self._values(model)
