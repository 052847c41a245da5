"""Units begin anew: a network small enough to write down."""

import torch
from torch import Tensor, nn

from plastic.core.edits import Overwrite
from plastic.core.units.recycling import recycled
from plastic.core.units.wiring import wiring


def network(value: float) -> nn.Module:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def edited(*chosen: list[bool], bias: str = "zero") -> dict[str, Tensor]:
    """The network of ones after its edits; the fresh one is of sevens."""
    model = network(1.0)
    found = wiring(model, (torch.rand(2, 1),))
    units = {wires: torch.tensor(mask) for wires, mask in zip(found, chosen, strict=True)}
    edits = list(recycled(model, network(7.0), units, bias=bias))  # type: ignore[arg-type]
    assert all(isinstance(edit, Overwrite) and edit.where is not None for edit in edits)
    for edit in edits:
        assert isinstance(edit.value, Tensor)
        assert edit.where is not None
        parameter = model.get_parameter(edit.name)
        with torch.no_grad():
            parameter.copy_(torch.where(edit.where, edit.value, parameter))
    return {edit.name: model.get_parameter(edit.name).detach() for edit in edits}


def test_incoming_entries_are_fresh_outgoing_ones_and_the_bias_are_zero() -> None:
    assert {name: value.tolist() for name, value in edited([True, False], [False, False]).items()} == {
        "0.weight": [[7.0], [1.0]],
        "0.bias": [0.0, 1.0],
        "2.weight": [[0.0, 1.0], [0.0, 1.0]],
    }


def test_an_entry_that_is_both_becomes_zero() -> None:
    values = edited([True, False], [True, False])
    assert values["2.weight"].tolist() == [[0.0, 7.0], [0.0, 1.0]]
    assert values["4.weight"].tolist() == [[0.0, 1.0]]


def test_the_bias_may_be_fresh() -> None:
    assert edited([True, False], [False, False], bias="fresh")["0.bias"].tolist() == [7.0, 1.0]


def test_no_units_no_edits() -> None:
    assert edited([False, False], [False, False]) == {}
