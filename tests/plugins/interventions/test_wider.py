"""A wider network: widths of layers, norms and readers, beside what else changes widths."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import ChannelNorm, Conv2d, EnsembleLinear, MemberNorm
from plastic.core.layers.resize import resized, width
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.wider import Wider
from plastic.testing.invariants import faults
from tests.core.layers.critics import RELU, Actor, Critic, pair
from tests.plugins.learners import ACTIONS, ATOMS, HIDDEN, network, rainbow, train

make = partial(network, image=(4, 44, 44))  # 2x2 pixels are flattened, four features a channel
IMAGES = torch.rand(3, 4, 44, 44)
LAYERS = ["encoder.0", "encoder.2", "encoder.4", "head.value.0", "head.value.2", "head.advantage.0", "head.advantage.2"]


def widths(model: nn.Module) -> list[tuple[int, int]]:
    return [width(model.get_submodule(path)) for path in LAYERS]


def test_the_head_is_twice_as_wide_by_default_and_the_encoder_as_it_was() -> None:
    plain, model = make(), Wider().build(make())
    assert widths(model)[:3] == widths(plain)[:3]
    wide = 2 * HIDDEN
    assert widths(model)[3:] == [(256, wide), (wide, ATOMS), (256, wide), (wide, ACTIONS * ATOMS)]
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)


@pytest.mark.parametrize(("factor", "wide"), [(1.0, 16), (1.1, 18), (1.5, 24), (3, 48)])
def test_widths_are_rounded_up(factor: float, wide: int) -> None:
    assert widths(Wider(factor=factor).build(make()))[3] == (256, wide)


def test_a_tenth_more_than_ten_are_eleven() -> None:
    model = Wider(factor=1.1).build(make(hidden=10))
    assert widths(model)[3] == (256, 11)


def test_channels_widen_what_reads_their_pixels() -> None:
    model = Wider(factor=1.5, layers="encoder").build(make())
    assert widths(model)[:4] == [(4, 48), (48, 96), (96, 96), (384, HIDDEN)]
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)
    assert Wider(layers="whole").build(make())(IMAGES).shape == (3, ACTIONS, ATOMS)


@pytest.mark.parametrize("style", ["output", "input"])
@pytest.mark.parametrize("order", [1, -1])
def test_beside_crelu_and_layer_norm_in_any_order(style: Any, order: int) -> None:
    model = make()
    for plugin in (Wider(), ConcatenatedReLU(style=style))[::order]:
        model = plugin.build(model)
    model = LayerNorm().build(model)
    units, read = (HIDDEN, 2 * HIDDEN) if style == "output" else (2 * HIDDEN, 4 * HIDDEN)
    assert widths(model)[3][1] == units
    assert widths(model)[4] == (read, ATOMS)
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)


def test_of_twin_critics_and_their_actor() -> None:
    critic = Wider(factor=1.5).build(Critic())
    assert [width(critic.get_submodule(f"head.{place}")) for place in (0, 2, 4)] == [(7, 9), (9, 9), (9, 1)]
    assert isinstance(critic.get_submodule("head.2"), EnsembleLinear)
    assert critic(*pair()).shape == (16, 2)
    actor = Wider(layers="whole").build(Actor())
    assert [width(actor.get_submodule(f"head.{place}")) for place in (0, 2, 4)] == [(10, 12), (12, 12), (12, 4)]
    norm = actor.get_submodule("trunk.1")
    assert isinstance(norm, nn.LayerNorm)
    assert norm.normalized_shape == (10,)
    assert actor(torch.rand(5, 128)).shape == (5, 4)


def test_norms_of_the_network_are_made_for_the_new_width() -> None:
    model = nn.Sequential(
        Conv2d(3, 4, 3, init=RELU),
        ChannelNorm(4, 1e-3, elementwise_affine=False),
        nn.ReLU(),
        nn.Flatten(),
        EnsembleLinear(2, 16, 6),
        MemberNorm(2, 6, 1e-4, elementwise_affine=False),
        nn.ReLU(),
        EnsembleLinear(2, 6, 1),
    )
    wide = Wider(layers="whole").build(model)
    channels, member = wide[1], wide[5]  # type: ignore[index]
    assert isinstance(channels, ChannelNorm)
    assert (channels.normalized_shape, channels.eps, channels.elementwise_affine) == ((8,), 1e-3, False)
    assert isinstance(member, MemberNorm)
    assert (member.members, member.units, member.eps, member.weight) == (2, 12, 1e-4, None)
    assert wide(torch.rand(5, 3, 4, 4)).shape == (5, 2, 1)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="wider: no hidden layer matches layers=trunk"):
        Wider(layers="trunk").build(make())
    with pytest.raises(UsageError, match=r"cannot tell which layers read 'trunk\.0': cat stands between"):
        Wider(layers="trunk").build(Critic())
    with pytest.raises(ValueError, match="factor must be at least 1"):
        Wider(factor=0.5)
    with pytest.raises(ValueError, match="factor must be finite, not inf"):
        Wider(factor=math.inf)
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(UsageError, match="no rule for another width of BatchNorm1d"):
        Wider(layers="whole").build(norm)
    with pytest.raises(UsageError, match=r"no rule for another width of a norm over \(3, 4\)"):
        resized(nn.LayerNorm((3, 4)), 4, 8)


def test_it_trains() -> None:
    learner = rainbow(Wider())
    train(learner, 2)
    assert faults(learner) == []
