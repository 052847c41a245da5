"""Recycling of dormant units."""

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.core.layers import by_member
from plastic.core.subject import Subject
from plastic.core.units.activations import activations
from plastic.core.units.recycling import Recycling
from plastic.core.units.unit_scores import scores
from plastic.core.units.wires import Wires, folded


@frozen(eq=False)
class ReDo(Recycling):
    """Redraw units that hardly ever fire (Sokar et al., 2023, arXiv:2302.12902).

    A unit is dormant if its mean size is at most `tau` of the mean over its layer (eq. 1). Its incoming weights
    are drawn anew from the layer's own initialisation, its outgoing ones become 0; the biases of the layers that
    read it stay. What is incoming of one recycled unit and outgoing of another becomes 0. Noisy layers' deviations
    go with their means. The statistics are of the batch to look at, whose size is a setting of the agent; the
    paper has 64 transitions.

    Attributes:
        tau: The paper's threshold is 0.1, and 0.025 for its default agent on Atari; 0 recycles units that never
            fire.
        bias: The unit's own bias becomes 0, as in the official code, or is drawn anew.
        step: What becomes of the step counts of the parameters in which they lie. PyTorch counts per tensor, so
            clearing them lengthens or shortens the next steps of all its entries; the official code keeps them.
        copies: Which lagged copies are written, too; the papers leave the target network as it is.
        when: Of the paper.
    """

    name = "redo"

    def _below(self, subject: Subject, found: Sequence[Wires]) -> list[Tensor]:
        values = activations(subject.model, subject.inputs)
        return [
            relative_sizes(subject.model.get_submodule(wires.units.layer), wires, values[wires.units]) <= self.tau
            for wires in found
        ]


def relative_sizes(layer: nn.Module, wires: Wires, values: Tensor) -> Tensor:
    """Mean |v| of each unit over the mean of its layer, or of its member of an ensemble; [B, columns, ...] -> [units].

    With CReLU a unit's size is the mean of both its columns'.
    """
    return torch.cat([scores(member) for member in by_member(layer, folded(wires, values))])
