"""Numbers of the units of several layers: whose they are, and what stays when the layers change."""

import torch

from plastic.core.units.unit_numbers import drawn_anew, layout, places, refitted

CPU = torch.device("cpu")
BEFORE = layout({"0": (2, 3), "head.0": (1, 1), "head.01": (3, 2)})


def test_the_numbers_of_a_layer_lie_together_and_after_those_before() -> None:
    assert BEFORE == "0:2:3 head.0:1:1 head.01:3:2"
    assert places(BEFORE) == {
        "0": (slice(0, 2), slice(0, 3)),
        "head.0": (slice(2, 3), slice(3, 4)),
        "head.01": (slice(3, 6), slice(4, 6)),
    }
    assert places("") == {}


def test_layers_are_found_by_whole_names_of_their_parameters() -> None:
    assert drawn_anew(BEFORE, {"head.0.weight", "elsewhere.bias"}) == [(slice(2, 3), slice(3, 4))]
    assert drawn_anew(BEFORE, {"head.01.weight_mu", "0.bias"}) == [
        (slice(0, 2), slice(0, 3)),
        (slice(3, 6), slice(4, 6)),
    ]
    assert drawn_anew(BEFORE, {"head"}) == []


def test_numbers_stay_with_layers_that_are_as_they_were() -> None:
    units, columns = torch.arange(1.0, 7), torch.arange(1.0, 7)
    now = layout({"head.01": (3, 2), "0": (2, 4), "new": (1, 1), "head.0": (1, 1)})
    assert refitted(units, 0, BEFORE, now, CPU).tolist() == [
        4,
        5,
        6,
        0,
        0,
        0,
        3,
    ]  # "0" has other columns: it is another
    assert refitted(columns, 1, BEFORE, now, CPU).tolist() == [5, 6, 0, 0, 0, 0, 0, 4]
    assert refitted(None, 0, "", BEFORE, CPU).tolist() == [0] * 6
