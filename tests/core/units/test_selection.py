"""Words for parts of a network."""

import pytest
from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.units.selection import hidden_layers, matching, module_of, selects, unmatched
from plastic.core.units.unit_graph import trainable


@pytest.mark.parametrize(
    ("pattern", "path", "selected"),
    [
        ("whole", "anything.0.bias", True),
        ("all", "anything.0.bias", True),
        ("*", "anything.0.bias", True),
        ("encoder", "encoder.0.bias", True),
        ("backbone", "encoder.0.bias", True),
        ("encoder", "encoder", True),
        ("encoder", "encoders.0.bias", False),
        ("encoder", "head.encoder.0.bias", False),
        ("head", "encoder.0.bias", False),
        ("head.value", "head.value.0.weight_mu", True),
        ("head.value", "head.value2.0.weight_mu", False),
        ("head.*.2", "head.value.2.bias", True),
        ("head.*.2", "head.value.0.bias", False),
        ("head.*.2", "head.value.20.bias", False),
        ("*.bias", "head.value.2.bias", True),
        ("*.bias", "head.value.2.weight", False),
        ("encoder.[01]", "encoder.1.bias", True),
        ("encoder.[01]", "encoder.2.bias", False),
        ("encoder+head.*.2", "encoder.0.bias", True),
        ("encoder+head.*.2", "head.a.2.bias", True),
        ("encoder+head.*.2", "head.a.0.bias", False),
        ("Encoder", "encoder.0.bias", False),
    ],
)
def test_selects(pattern: str, path: str, selected: bool) -> None:
    assert selects(pattern, path) is selected


def test_matching_gives_frozen_parameters_too() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    model["head"].weight.requires_grad_(False)
    found = matching(model, "head")
    assert [name for name, _ in found] == ["head.weight", "head.bias"]
    assert found[0][1] is model["head"].weight


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    model = nn.ModuleDict({"encoder": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    with pytest.raises(UsageError, match=r"^no parameters match 'trunk'; the network has encoder, head$"):
        matching(model, "trunk")
    with pytest.raises(UsageError, match=r"'encoder'; the network has head alone; choose layers=head$"):
        matching(nn.ModuleDict({"head": nn.Linear(1, 1)}), "encoder")


def test_the_part_that_no_model_has_is_named_with_what_to_write_instead() -> None:
    one, other = (
        nn.ModuleDict({"encoder": nn.Linear(1, 1)}),
        nn.ModuleDict({"head": nn.ModuleDict({"value": nn.ReLU()})}),
    )
    assert unmatched([one], "encoder+backbone+*.bias+not-head") is None
    assert unmatched([one, other], "encoder+head.value") is None, "a layer without parameters is a layer"
    assert unmatched([one], "encoder+value") == ("value", "the network has encoder alone; choose layers=encoder")
    assert unmatched([one, other], "encoder+head.vale") == ("head.vale", "did you mean 'head.value'?")
    assert unmatched([one], "not-encodr") == ("not-encodr", "did you mean 'not-encoder'?")
    assert unmatched([one], "nope") is None, "left to whoever selects"


def three_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def test_hidden_layers_come_as_they_run_without_the_output() -> None:
    model = three_layers()
    assert [units.layer for units in hidden_layers(model, "whole")] == ["0", "2"]
    assert [units.layer for units in hidden_layers(model, "2+4")] == ["2"]
    model[0].requires_grad_(False)  # type: ignore[index]
    assert [units.layer for units in hidden_layers(model, "whole", fits=lambda u: trainable(model, u))] == ["2"]


def test_without_such_a_hidden_layer_it_is_refused_in_the_name_of_who_asked() -> None:
    model = three_layers().requires_grad_(False)
    with pytest.raises(NothingToActOn, match=r"^mine: no hidden layer matches layers=4$"):
        hidden_layers(model, "4", "mine")
    with pytest.raises(NothingToActOn, match=r"^no hidden layer that learns matches layers=0$"):
        hidden_layers(model, "0", what="hidden layer that learns", fits=lambda units: trainable(model, units))


def test_module_of_a_path() -> None:
    assert [module_of(path) for path in ("encoder.0.bias", "head", "head.value.0")] == ["encoder", "head", "head"]
