"""Words for parts of a network."""

import pytest
from torch import nn

from plastic.core.errors import UsageError
from plastic.core.selection import matching, selects


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
