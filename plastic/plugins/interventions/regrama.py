"""Recycling of units whose gradient is dead."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.layers import by_unit, members
from plastic.core.plugin import example
from plastic.core.subject import Subject
from plastic.core.units.recycling import Recycling
from plastic.core.units.wires import Wires, folded, mean_size
from plastic.core.validators import between


@frozen(eq=False)
class ReGraMa(Recycling):
    """Redraw units that hardly get a gradient (Liu et al., 2025, arXiv:2505.24061).

    The score of a unit is the mean of |dL/dh| over the batch, over the mean of its layer; at most `tau`, it is
    recycled as in `redo`; a layer that no gradient reaches at all is left alone. L is the loss of the batch to
    look at: fixed target, no noise, no importance weights.

    Attributes:
        tau: The paper's threshold is 0.01, and 0 for SAC with plain networks; 0 recycles units without any
            gradient.
        of: Whose gradient: the `activation`'s, eq. 2, which is large where more of the unit would help, also for one
            that never fires; or that of the incoming `weights`, as in public code, in which the whole batch has one
            mean gradient, and which is 0 for a unit that never fires.
        when: Of the paper.
    """

    name = "regrama"
    tau: float = field(default=0.01, validator=between(0), metadata=example(0.9))
    of: Literal["activation", "weights"] = "activation"

    def _below(self, subject: Subject, found: Sequence[Wires]) -> list[Tensor]:
        sizes = self._of_activations(subject, found) if self.of == "activation" else self._of_weights(subject, found)
        idle = []
        for wires, size in zip(found, sizes, strict=True):
            each = size.view(members(subject.model.get_submodule(wires.units.layer)), -1)
            mean = each.mean(1, keepdim=True)
            idle.append(((each <= self.tau * mean) & (mean > 0)).flatten())
        return idle

    def _of_activations(self, subject: Subject, found: Sequence[Wires]) -> list[Tensor]:
        values: list[list[Tensor]] = [[] for _ in found]  # behind each activation, of each call

        def keep(place: int) -> Any:
            def hook(module: nn.Module, arguments: Any, output: Tensor) -> None:
                if output.requires_grad:  # a loss may run the model for other ends, too
                    values[place].append(output)

            return hook

        handles = [
            subject.model.get_submodule(wires.units.activation).register_forward_hook(keep(place))
            for place, wires in enumerate(found)
        ]
        try:
            gradients = iter(_gradients(subject, lambda: [value for calls in values for value in calls]))
        finally:
            for handle in handles:
                handle.remove()
        sizes = []
        for wires, calls in zip(found, values, strict=True):
            layer = subject.model.get_submodule(wires.units.layer)
            of_units = [folded(wires, by_unit(layer, next(gradients))).abs() for _ in calls]
            sizes.append(torch.cat(of_units).transpose(0, 1).flatten(1).mean(1))
        return sizes

    def _of_weights(self, subject: Subject, found: Sequence[Wires]) -> list[Tensor]:
        names = list(dict.fromkeys(entries.name for wires in found for entries in wires.incoming))
        weights: list[Tensor] = [subject.model.get_parameter(name) for name in names]
        gradients = dict(zip(names, _gradients(subject, lambda: weights), strict=True))
        return [mean_size(gradients.__getitem__, wires.incoming, wires.count) for wires in found]


def _gradients(subject: Subject, of: Callable[[], list[Tensor]]) -> tuple[Tensor, ...]:
    with torch.enable_grad():
        loss = subject.loss(subject.model).sum()
        gradients: tuple[Tensor, ...] = torch.autograd.grad(loss, of(), allow_unused=True, materialize_grads=True)
    return gradients
