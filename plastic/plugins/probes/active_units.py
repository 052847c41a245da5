"""Fraction of active units."""

from collections.abc import Mapping

from attrs import frozen
from torch import Tensor, nn

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.unit_graph import activations, module_of

_NEVER_OFF = (nn.Tanh, nn.Sigmoid, nn.Softplus)  # a sign says nothing about them


@frozen(eq=False)
class ActiveUnits(Probe):
    """Share of strictly positive entries behind the activations (Ma et al., 2024, arXiv:2310.07418, FAU).

    Entries of all samples and layers of a module are pooled, so large feature maps weigh most; a
    convolution's entries are its channels' pixels. Behind CReLU it is 0.5 by construction.
    `alive/...` is another number: the share of units (channels of convolutions) that are positive
    for at least one sample; its complement are the dead units of other papers. Layers before a tanh,
    a sigmoid or a softplus are left out.

    Attributes:
        when: At which updates.
    """

    name = "active_units"
    when: Schedule = Every(1_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """By module and in total."""
        active: dict[str, list[Tensor]] = {}
        alive: dict[str, list[Tensor]] = {}
        entries: dict[str, int] = {}
        units: dict[str, int] = {}
        for layer, values in activations(subject.model, subject.inputs).items():
            if isinstance(subject.model.get_submodule(layer.activation), _NEVER_OFF):
                continue
            positive = values > 0
            living = positive.transpose(0, 1).flatten(1).any(1)
            for key in (module_of(layer.layer), "total"):
                active.setdefault(key, []).append(positive.sum())
                alive.setdefault(key, []).append(living.sum())
                entries[key] = entries.get(key, 0) + positive.numel()
                units[key] = units.get(key, 0) + living.numel()
        shares = {key: sum(counts[1:], counts[0]) / entries[key] for key, counts in active.items()}
        living_shares = {f"alive/{key}": sum(counts[1:], counts[0]) / units[key] for key, counts in alive.items()}
        return shares | living_shares
