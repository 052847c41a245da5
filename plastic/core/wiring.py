"""Which entries of which parameters make a unit, and which read it.

What makes a unit is said by its layer (`plastic.core.layers.rows`). What reads it is seen, not derived: the model
runs once with labels in the place of the values behind each activation, and every layer downstream is looked at
for the columns in which labels arrive. So flattened images, concatenations, rotations and slices are right by
themselves; where a label arrives changed, or mixed with another, there is an error.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor, nn
from torch.nn.utils import parametrize

from plastic.core.errors import UsageError
from plastic.core.evaluating import evaluating
from plastic.core.known_modules import is_layer
from plastic.core.layers import Entries, by_unit, columns, members, norm_rows, rows, unit_axis, width
from plastic.core.selection import hidden_layers
from plastic.core.unit_graph import Units, trainable

# Stands wherever no label does: added to one or multiplied with it, it leaves a number that is none
_REST = 0.5


@frozen(eq=False)
class Wires:
    """The entries of one hidden layer's units; all masks and sums are without a loop over units.

    Attributes:
        units: Layer, norms, activation.
        unit_of: Which unit each column behind the activation belongs to, [columns]: with CReLU a unit has two.
            The columns are those of `activations`, an ensemble's members one after the other.
        incoming: The entries that make the units, norms behind the layer included; owners are units.
        outgoing: The entries that read them, in every reader, a frozen one too; owners are columns.
        read_by: The path of the layer in which each of these lies.
    """

    units: Units
    unit_of: Tensor
    incoming: tuple[Entries, ...]
    outgoing: tuple[Entries, ...]
    read_by: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many units, all members together."""
        return int(self.unit_of.max()) + 1

    def into(self, chosen: Tensor) -> Iterator[tuple[Entries, Tensor]]:
        """The entries that make the chosen units, each with its mask [units] -> what the owner's shape is."""
        for entries in self.incoming:
            yield entries, marked(entries, chosen)

    def out_of(self, chosen: Tensor) -> Iterator[tuple[Entries, Tensor]]:
        """The entries that read the chosen units, likewise."""
        for entries in self.outgoing:
            yield entries, marked(entries, chosen[self.unit_of])


def marked(entries: Entries, chosen: Tensor) -> Tensor:
    """Whether each entry belongs to a chosen owner, [owners] -> in the shape of `entries.owner`."""
    mask: Tensor = torch.cat((chosen, chosen.new_zeros(1)))[entries.owner]  # owner -1 is the last
    return mask


def mean_size(value: Callable[[str], Tensor], found: Sequence[Entries], owners: int) -> Tensor:
    """Mean |w| over the weights among the entries, biases and noise left out, for each owner; 0 without any.

    Args:
        value: Gives the tensor for a parameter's name: `model.get_parameter`, or the gradients'.
        found: Incoming or outgoing entries.
        owners: How many there are.
    """
    total = number = torch.zeros(owners, dtype=torch.double)
    for entries in found:
        if entries.role == "weight":
            size = value(entries.name).detach().abs()
            total = total + _summed(size, entries.owner, owners)
            number = number + _summed(torch.ones_like(size), entries.owner, owners)
    return (total / number.clamp(min=1)).to(value(found[0].name))


def passed_on(model: nn.Module, wires: Wires, values: Tensor) -> dict[str, Tensor]:
    """What constant values of the columns, [columns], add to what each reader gives, by the reader's bias.

    A reader without a bias has no entry. Of a convolution it is what it adds where no padding is read, of a reader
    that is called on the units in several orders the sum over these.
    """
    found: dict[str, Tensor] = {}
    for path, entries in zip(wires.read_by, wires.outgoing, strict=True):
        reader = model.get_submodule(path)
        made = [stored for own in rows(reader) for stored in _stored(reader, path, own)]
        biases = [own for own in made if own.role == "bias"]
        if entries.role == "weight" and biases:
            row = next(own.owner for own in made if own.name == entries.name)
            weight = model.get_parameter(entries.name).detach()
            added = weight * torch.cat((values, values.new_zeros(1)))[entries.owner]
            sums = _summed(added, row, int(row.max()) + 1).to(weight)[biases[0].owner]
            found[biases[0].name] = found[biases[0].name] + sums if biases[0].name in found else sums
    return found


def _summed(values: Tensor, owner: Tensor, owners: int) -> Tensor:
    owner = owner.view(*(1,) * (values.dim() - owner.dim()), *owner.shape)
    alike = [axis for axis, size in enumerate(owner.shape) if size == 1]
    if alike:
        values = values.sum(alike, keepdim=True)
    # on the CPU, where a sum has one order: a run on a GPU has to be the same again, too
    index = owner.expand_as(values).flatten().cpu() % (owners + 1)  # -1 is the one too many
    return torch.bincount(index, values.flatten().double().cpu(), owners + 1)[:-1]


def folded(wires: Wires, values: Tensor) -> Tensor:
    """Values [B, columns, ...] as [B * k, units, ...]: the k columns of a unit like so many samples of it."""
    order = wires.unit_of.argsort(stable=True).view(wires.count, -1)
    return torch.cat([values[:, column] for column in order.unbind(1)])


def hidden(model: nn.Module, layers: str = "whole") -> list[Units]:
    """The selected layers whose units can be exchanged: those that still learn and that another layer reads.

    Raises:
        NothingToActOn: If there are none.
    """
    return hidden_layers(
        model,
        layers,
        what="hidden layer that learns",
        fits=lambda units: trainable(model, units) and bool(units.downstream),
    )


def wiring(model: nn.Module, inputs: tuple[Tensor, ...], layers: str = "whole") -> list[Wires]:
    """Where the units of the selected hidden layers are, in the order they run.

    Raises:
        NothingToActOn: If no such layer is there.
        UsageError: If units cannot be followed to what reads them, or leave the network as they are.
    """
    found = hidden(model, layers)
    dye = _Dye(model, found)
    dye.run(inputs)
    modules = dict(model.named_modules())
    wires = []
    for place, units in enumerate(found):
        if dye.leaves(place):
            raise UsageError(
                f"the units of {units.layer!r} are an output of the network, which would change with them; "
                "leave that layer out with layers="
            )
        outgoing: list[tuple[str, Entries]] = []
        for path, samples in dye.read.items():
            for sample in samples:
                outgoing += (
                    (path, entries) for entries in _read(modules[path], path, dye.numbers(place, sample, path))
                )
        kept = _distinct(outgoing)
        wires.append(
            Wires(
                units,
                dye.unit_of(place),
                _incoming(modules, units),
                outgoing=tuple(entries for _, entries in kept),
                read_by=tuple(path for path, _ in kept),
            )
        )
    return wires


_SAMPLES = 3


class _Dye:
    """One run of a model on labels: samples 3 i to 3 i + 2 have them behind the i-th layer, and nowhere else.

    A column's three labels lie between 0 and 1, above 1 and below 0, in three orders of the columns. So what is the
    same in all three samples has no label in it (an action, say), and what is one column's label in each is that
    column as it was: no clipping, no factor and no sum of others gives the right three.
    """

    def __init__(self, model: nn.Module, found: Sequence[Units]) -> None:
        self.model = model
        self.found = found
        self.labels: dict[int, Tensor] = {}  # [3, columns], by the layer's place
        self.read: dict[str, list[Tensor]] = {}  # what came to each layer, call by call
        self.outputs: list[Tensor] = []

    @torch.no_grad()
    def run(self, inputs: tuple[Tensor, ...]) -> None:
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


def _incoming(modules: Mapping[str, nn.Module], units: Units) -> tuple[Entries, ...]:
    layer = modules[units.layer]
    own = [(units.layer, entries) for entries in rows(layer)]
    for path in units.norms:
        own += [(path, entries) for entries in norm_rows(modules[path], members(layer), width(layer)[1])]
    return tuple(stored for path, entries in own for stored in _stored(modules[path], path, entries))


def _read(layer: nn.Module, path: str, numbers: Tensor) -> list[Entries]:
    if not (numbers >= 0).any():
        return []
    return [stored for entries in columns(layer, numbers) for stored in _stored(layer, path, entries)]


def _stored(module: nn.Module, path: str, entries: Entries) -> Iterator[Entries]:
    """The entries by the names of the model's parameters; of a parametrised weight, what it is computed from."""
    prefix = f"{path}." if path else ""
    shape = getattr(module, entries.name).shape
    originals = {entries.name: shape}
    if parametrize.is_parametrized(module, entries.name):
        computed_from = module.get_submodule(f"parametrizations.{entries.name}").named_parameters(recurse=False)
        originals = {f"parametrizations.{entries.name}.{name}": tensor.shape for name, tensor in computed_from}
    known = dict(module.named_parameters())
    found = [
        evolve(entries, name=prefix + name)
        for name, own in originals.items()
        if name in known and _broadcasts(entries.owner.shape, own)
    ]
    if not found:
        raise UsageError(f"{prefix}{entries.name} is computed in a way that nobody knows; register rows and columns")
    yield from found


def _broadcasts(shape: torch.Size, to: torch.Size) -> bool:
    try:
        return bool(torch.broadcast_shapes(shape, to) == to)
    except RuntimeError:
        return False


def _distinct(found: Sequence[tuple[str, Entries]]) -> list[tuple[str, Entries]]:
    # a layer that is called twice on the same units reads them with the same entries
    kept: list[tuple[str, Entries]] = []
    for path, entries in found:
        if not any(entries.name == other.name and torch.equal(entries.owner, other.owner) for _, other in kept):
            kept.append((path, entries))
    return kept
