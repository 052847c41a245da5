"""Labels in the place of units: where in a model they arrive, and whether as they were."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.evaluating import evaluating
from plastic.core.layers import by_unit, members, unit_axis, width
from plastic.core.units.known_modules import is_layer
from plastic.core.units.unit_graph import Units

_SAMPLES = 3
_REST = 0.5  # stands wherever no label does: added to one or multiplied with it, it leaves a number that is none


class Dye:
    """One run of a model on labels: samples 3 i to 3 i + 2 have them behind the i-th layer, and nowhere else.

    A column's three labels lie between 0 and 1, above 1 and below 0, in three orders of the columns. So what is the
    same in all three samples has no label in it (an action, say), and what is one column's label in each is that
    column as it was: no clipping, no factor and no sum of others gives the right three.
    """

    def __init__(self, model: nn.Module, found: Sequence[Units]) -> None:
        """Of the hidden layers `found` of `model`; a layer's place is its index among them."""
        self.model = model
        self.found = found
        self.labels: dict[int, Tensor] = {}  # [3, columns], by the layer's place
        self.read: dict[str, list[Tensor]] = {}  # what came to each layer, call by call
        self.outputs: list[Tensor] = []

    @torch.no_grad()
    def run(self, inputs: tuple[Tensor, ...]) -> None:
        """Run the model once, on inputs like these but for their values; afterwards there is something to ask for.

        Raises:
            UsageError: If the units of a layer are not on the axis declared for it.
        """
        random = torch.Generator().manual_seed(0)
        given = []
        for each in inputs:
            one = torch.rand(each.shape[1:], generator=random).to(each) if each.is_floating_point() else each[0]
            given.append(one.expand(_SAMPLES * len(self.found), *one.shape))
        handles = []
        try:
            for place, units in enumerate(self.found):
                activation = self.model.get_submodule(units.activation)
                handles.append(activation.register_forward_hook(self._labelling(place, units, random)))
            for path, module in self.model.named_modules():
                if is_layer(module):
                    self.read[path] = []
                    handles.append(module.register_forward_pre_hook(self._reading(path), with_kwargs=True))
                    handles.append(module.register_forward_hook(_silenced))
            with evaluating(self.model):
                output = self.model(*given)
        finally:
            for handle in handles:
                handle.remove()
        self.outputs = list(output) if isinstance(output, tuple) else [output]

    def _labelling(self, place: int, units: Units, random: torch.Generator) -> Any:
        layer = self.model.get_submodule(units.layer)

        def hook(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
            number = by_unit(layer, output).shape[1]
            if number % (members(layer) * width(layer)[1]):
                raise UsageError(
                    f"{units.activation!r} gives {number} columns for the {members(layer) * width(layer)[1]} units of "
                    f"{units.layer!r}; declare where these are with unit_axis.register"
                )
            within = torch.arange(1, number + 1) / (number + 1)
            above, below = (1 + torch.randperm(number, generator=random) for _ in range(2))
            self.labels[place] = torch.stack((within, 1 + above, -below)).to(output)
            dyed = torch.full_like(output, _REST)
            ours = dyed[_of(place)] if members(layer) > 1 else dyed[_of(place)].movedim(unit_axis(layer), 1)
            columns_at = ours.shape[1:3] if members(layer) > 1 else ours.shape[1:2]
            rest = (1,) * (ours.dim() - 1 - len(columns_at))
            ours.copy_(self.labels[place].view(_SAMPLES, *columns_at, *rest).expand_as(ours))
            return dyed

        return hook

    def _reading(self, path: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
            self.read[path].append((*arguments, *named.values())[0].clone())

        return hook

    def unit_of(self, place: int) -> Tensor:
        """The unit of each column: behind an activation that doubles the width, column and column + width are one."""
        layer = self.model.get_submodule(self.found[place].layer)
        column = torch.arange(self.labels[place].shape[1], device=self.labels[place].device)
        own = column.numel() // members(layer)  # columns of one member
        units = width(layer)[1]
        return column // own * units + column % own % units

    def leaves(self, place: int) -> bool:
        """Whether an output of the model would change with the units, whatever the layers behind them do."""
        return any(bool(_differing(output[_of(place)]).any()) for output in self.outputs)

    def numbers(self, place: int, values: Tensor, path: str) -> Tensor:
        """The column that each entry of what a layer reads is, [in, ...]; -1 where it is another layer's or none's.

        Raises:
            UsageError: If something has been done to the columns on the way.
        """
        came, labels = values[_of(place)], self.labels[place]
        number = labels.shape[1]
        column = (came[0] * (number + 1)).round().nan_to_num().clamp(1, number).long() - 1
        differing = _differing(came)
        if (differing & (came != labels[:, column]).any(0)).any():
            units = self.found[place]
            raise UsageError(
                f"cannot tell what of {path!r} reads which unit of {units.layer!r}: what stands between changes or "
                f"mixes them ({', '.join(units.between) or 'no module that is known'}); leave that layer out with "
                "layers="
            )
        return torch.where(differing, column, -1)


def _silenced(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
    # so that labels come only to the layers that read them, and to none behind those
    return torch.full_like(output, _REST)


def _of(place: int) -> slice:
    return slice(_SAMPLES * place, _SAMPLES * (place + 1))


def _differing(values: Tensor) -> Tensor:
    # between samples, and more than by the rounding of two places in a batch
    return ~torch.isclose(values[1:], values[0], rtol=1e-4, atol=1e-4, equal_nan=True).all(0)
