"""Whose the entries of a layer's parameters are, by hand."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers import (
    ChannelNorm,
    EnsembleLinear,
    Entries,
    MemberNorm,
    NoisyLinear,
    columns,
    norm_rows,
    one_number,
    rows,
)


def owners(found: tuple[Entries, ...]) -> dict[str, list[int]]:
    return {entries.name: entries.owner.flatten().tolist() for entries in found}


def roles(found: tuple[Entries, ...]) -> dict[str, str]:
    return {entries.name: entries.role for entries in found}


def test_a_linear_layer() -> None:
    layer = nn.Linear(3, 2)
    assert owners(rows(layer)) == {"weight": [0, 1], "bias": [0, 1]}
    assert [entries.owner.shape for entries in rows(layer)] == [(2, 1), (2,)]
    assert roles(rows(layer)) == {"weight": "weight", "bias": "bias"}
    assert owners(columns(layer, torch.tensor([1, -1, 0]))) == {"weight": [1, -1, 0]}
    assert owners(rows(nn.Linear(3, 2, bias=False))) == {"weight": [0, 1]}


def test_a_noisy_layer_has_means_and_deviations() -> None:
    layer = NoisyLinear(3, 2)
    assert roles(rows(layer)) == {
        "weight_mu": "weight",
        "weight_sigma": "deviation",
        "bias_mu": "bias",
        "bias_sigma": "deviation",
    }
    assert roles(columns(layer, torch.zeros(3).long())) == {"weight_mu": "weight", "weight_sigma": "deviation"}


def test_an_ensembles_units_count_on_from_member_to_member() -> None:
    layer = EnsembleLinear(2, 3, 2)
    assert owners(rows(layer)) == {"weight": [0, 1, 2, 3], "bias": [0, 1, 2, 3]}
    assert [entries.owner.shape for entries in rows(layer)] == [(2, 2, 1), (2, 2)]
    shared, own = columns(layer, torch.tensor([0, 1, -1])), columns(layer, torch.tensor([[0, 1, 2], [3, 4, 5]]))
    assert owners(shared) == {"weight": [0, 1, -1, 0, 1, -1]}
    assert owners(own) == {"weight": [0, 1, 2, 3, 4, 5]}
    assert own[0].owner.shape == (2, 1, 3)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_convolutions_owners_are_those_whose_channels_an_entry_connects(kind: type[nn.Conv2d], groups: int) -> None:
    """Seen by switching on one channel of the input after the other."""
    layer = kind(4, 6, 3, groups=groups)
    (read,) = columns(layer, torch.arange(4)[:, None, None].expand(4, 5, 5))
    made = rows(layer)[0]
    for channel in range(4):
        images = torch.zeros(1, 4, 5, 5)
        images[0, channel] = 1.0
        weight = layer.weight.detach().clone().requires_grad_()
        outputs = torch.func.functional_call(layer, {"weight": weight}, (images,))
        (gradient,) = torch.autograd.grad(outputs.square().sum(), weight)
        assert torch.equal((gradient != 0).any(-1).any(-1), (read.owner == channel).expand_as(weight)[:, :, 0, 0])
    for unit in range(6):
        weight = layer.weight.detach().clone().requires_grad_()
        outputs = torch.func.functional_call(layer, {"weight": weight}, (torch.ones(1, 4, 5, 5),))
        (gradient,) = torch.autograd.grad(outputs[:, unit].sum(), weight)
        assert torch.equal(gradient != 0, (made.owner == unit).expand_as(weight))


def test_padding_beside_a_channel_does_not_count() -> None:
    images = torch.tensor([[[-1, 7], [-1, 7]], [[-1, -1], [-1, -1]]])
    assert one_number(images, 0).tolist() == [7, -1]


def test_two_units_in_one_column_are_refused() -> None:
    with pytest.raises(UsageError, match="one column of the weights reads several units"):
        columns(nn.Linear(2, 1), torch.tensor([[0, 1], [0, 2]]))


@pytest.mark.parametrize(
    ("norm", "members", "units", "expected"),
    [
        (nn.LayerNorm(3), 1, 3, {"weight": [0, 1, 2], "bias": [0, 1, 2]}),
        (nn.GroupNorm(1, 3), 1, 3, {"weight": [0, 1, 2], "bias": [0, 1, 2]}),
        (nn.BatchNorm2d(3), 1, 3, {"weight": [0, 1, 2], "bias": [0, 1, 2]}),
        (ChannelNorm(3), 1, 3, {"weight": [0, 1, 2], "bias": [0, 1, 2]}),
        (nn.RMSNorm(3), 1, 3, {"weight": [0, 1, 2]}),
        (MemberNorm(2, 2), 2, 2, {"weight": [0, 1, 2, 3], "bias": [0, 1, 2, 3]}),
        (nn.LayerNorm(2), 2, 2, {}),  # one scale for both members: it makes neither's unit
        (nn.LayerNorm(3, elementwise_affine=False), 1, 3, {}),
    ],
)
def test_norms(norm: nn.Module, members: int, units: int, expected: dict[str, list[int]]) -> None:
    assert owners(norm_rows(norm, members, units)) == expected


def test_a_norm_of_images_has_a_scale_for_each_pixel() -> None:
    (scale, _) = norm_rows(nn.LayerNorm((2, 4, 4)), 1, 2)
    assert scale.owner.shape == (2, 1, 1)


def test_a_layer_that_nobody_knows_is_told_to_register() -> None:
    class Mine(nn.Module):
        pass

    with pytest.raises(UsageError, match=r"rows of Mine; register one with rows\.register"):
        rows(Mine())
    with pytest.raises(UsageError, match=r"columns of Mine; register one with columns\.register"):
        columns(Mine(), torch.zeros(1).long())


def test_a_layer_of_ones_own_registers() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(3))

    @rows.register
    def _(layer: Scaled) -> tuple[Entries, ...]:
        return (Entries("gain", torch.arange(3), "weight"),)

    @columns.register
    def _(layer: Scaled, read: Tensor) -> tuple[Entries, ...]:
        return (Entries("gain", read, "weight"),)

    assert owners(rows(Scaled())) == {"gain": [0, 1, 2]}
    assert owners(columns(Scaled(), torch.tensor([2, 0, 1]))) == {"gain": [2, 0, 1]}
