"""Entries by the names under which a model holds them: plain, parametrised, and computed by nobody knows what."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from plastic.core.errors import UsageError
from plastic.core.layers import Entries, columns, rows, stored


def names(module: nn.Module, path: str, found: tuple[Entries, ...]) -> list[str]:
    return [held.name for entries in found for held in stored(module, path, entries)]


@pytest.mark.parametrize(("path", "expected"), [("head.0", ["head.0.weight", "head.0.bias"]), ("", ["weight", "bias"])])
def test_a_parameter_is_held_by_its_path(path: str, expected: list[str]) -> None:
    layer = nn.Linear(3, 2)
    assert names(layer, path, rows(layer)) == expected
    (weight,) = stored(layer, path, rows(layer)[0])
    assert (weight.owner.tolist(), weight.role) == ([[0], [1]], "weight")


@pytest.mark.parametrize(
    ("parametrised", "made", "read"),
    [
        (parametrizations.spectral_norm, ["original"], ["original"]),
        (parametrizations.weight_norm, ["original0", "original1"], ["original1"]),  # a row's length reads no unit
    ],
)
def test_of_a_parametrised_weight_it_is_what_it_is_computed_from(
    parametrised: Callable[[nn.Module], nn.Module], made: list[str], read: list[str]
) -> None:
    layer = parametrised(nn.Linear(3, 2, bias=False))
    prefix = "0.parametrizations.weight."
    assert names(layer, "0", rows(layer)) == [prefix + name for name in made]
    assert names(layer, "0", columns(layer, torch.arange(3))) == [prefix + name for name in read]


def test_what_is_computed_in_an_unknown_way_is_refused() -> None:
    class Squared(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.root = nn.Parameter(torch.ones(2, 3))
            del self.weight

        @property
        def weight(self) -> Tensor:  # type: ignore[override]
            return self.root**2

    with pytest.raises(
        UsageError, match=r"^c\.weight is computed in a way that nobody knows; register rows and columns$"
    ):
        names(Squared(), "c", rows(Squared()))
