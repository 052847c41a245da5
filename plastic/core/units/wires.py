"""The entries that make the units of a layer and those that read them, and sums over either."""

from collections.abc import Callable, Iterator, Sequence

import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.layers import Entries, rows, stored
from plastic.core.units.unit_graph import Units


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
        made = [held for own in rows(reader) for held in stored(reader, path, own)]
        biases = [own for own in made if own.role == "bias"]
        if entries.role == "weight" and biases:
            row = next(own.owner for own in made if own.name == entries.name)
            weight = model.get_parameter(entries.name).detach()
            added = weight * torch.cat((values, values.new_zeros(1)))[entries.owner]
            sums = _summed(added, row, int(row.max()) + 1).to(weight)[biases[0].owner]
            found[biases[0].name] = found[biases[0].name] + sums if biases[0].name in found else sums
    return found


def folded(wires: Wires, values: Tensor) -> Tensor:
    """Values [B, columns, ...] as [B * k, units, ...]: the k columns of a unit like so many samples of it."""
    order = wires.unit_of.argsort(stable=True).view(wires.count, -1)
    return torch.cat([values[:, column] for column in order.unbind(1)])


def _summed(values: Tensor, owner: Tensor, owners: int) -> Tensor:
    owner = owner.view(*(1,) * (values.dim() - owner.dim()), *owner.shape)
    alike = [axis for axis, size in enumerate(owner.shape) if size == 1]
    if alike:
        values = values.sum(alike, keepdim=True)
    # on the CPU, where a sum has one order: a run on a GPU has to be the same again, too
    index = owner.expand_as(values).flatten().cpu() % (owners + 1)  # -1 is the one too many
    return torch.bincount(index, values.flatten().double().cpu(), owners + 1)[:-1]
