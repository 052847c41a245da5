"""Rows and columns of units: they are what moving a weight or a value moves, in networks of every shape."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import (
    ChannelNorm,
    EnsembleLinear,
    Entries,
    by_unit,
    columns,
    rows,
    width,
)
from plastic.core.units.wires import Wires, marked
from plastic.core.units.wiring import hidden, wiring
from plastic.plugins.interventions.layer_norm import LayerNorm
from tests.core.layers.critics import Critic, pair
from tests.core.wired import IMAGES, NETWORKS, PICTURES, VECTORS, by_name, crelu, injected, made, outputs
from tests.plugins.learners import network

every_network = pytest.mark.parametrize("name", NETWORKS)


def halves(wires: Wires) -> tuple[Tensor, Tensor]:
    """Some of the units, and the others."""
    chosen = torch.arange(wires.count) % 3 == 1
    return chosen, ~chosen


@every_network
def test_without_their_outgoing_entries_units_go_nowhere_and_the_others_as_before(name: str) -> None:
    model, inputs, found = made(name)
    assert found
    for wires in found:
        chosen, others = halves(wires)
        without = deepcopy(model)
        for entries, mask in wires.out_of(chosen):
            with torch.no_grad():
                without.get_parameter(entries.name).masked_fill_(mask, 0)
        nobody = torch.zeros_like(chosen)
        still = outputs(without, inputs, wires, nobody)
        torch.testing.assert_close(outputs(without, inputs, wires, chosen), still)
        assert not torch.allclose(outputs(without, inputs, wires, others), still, atol=1e-4)
        # and nothing but the readers' view of these units was taken away
        silent = deepcopy(model)
        layer = silent.get_submodule(wires.units.layer)

        def quiet(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
            shape = (2, -1) if isinstance(layer, EnsembleLinear) else (-1, *(1 for _ in output.shape[2:]))  # noqa: B023
            return output * others[wires.unit_of].view(shape)  # noqa: B023

        silent.get_submodule(wires.units.activation).register_forward_hook(quiet)
        if name not in ("shared",):  # a column of it is another unit's, too
            with torch.no_grad():
                torch.testing.assert_close(silent(*inputs), still, atol=1e-5, rtol=1e-4)


def before_norm_and_activation(model: nn.Module, inputs: tuple[Tensor, ...], wires: Wires) -> Tensor:
    """What the layer itself gives, [B, units, ...]."""
    layer = model.get_submodule(wires.units.layer)
    given: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, arguments, output: given.append(by_unit(layer, output)))
    with torch.no_grad():
        model(*inputs)
    handle.remove()
    return given[0]


@every_network
def test_the_incoming_entries_of_a_unit_move_that_unit_alone(name: str) -> None:
    model, inputs, found = made(name)
    for wires in found:
        chosen, _ = halves(wires)
        other = deepcopy(model)
        for entries, mask in wires.into(chosen):
            with torch.no_grad():
                parameter = other.get_parameter(entries.name)
                parameter.add_(mask * torch.rand(parameter.shape))
        moved = before_norm_and_activation(other, inputs, wires) != before_norm_and_activation(model, inputs, wires)
        assert torch.equal(moved.transpose(0, 1).flatten(1).any(1), chosen)


@every_network
def test_every_trained_entry_of_a_hidden_layer_makes_one_of_its_units(name: str) -> None:
    model, _, found = made(name)
    for wires in found:
        everything = torch.ones(wires.count, dtype=torch.bool)
        layer = {
            f"{path}.{own}" if path else own
            for path in (wires.units.layer, *wires.units.norms)
            for own, _ in model.get_submodule(path).named_parameters()
        }
        assert {entries.name for entries, _ in wires.into(everything)} == layer
        assert all(mask.all() for _, mask in wires.into(everything))


def test_a_channel_is_a_block_of_columns() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 7), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    (wires,) = wiring(model, PICTURES)
    assert by_name(wires.outgoing) == {"3.weight": [0, 0, 0, 0, 1, 1, 1, 1]}


def test_a_unit_of_twins_is_one_members() -> None:
    wires = {wires.units.layer: wires for wires in wiring(Critic(), pair())}["head.0"]
    assert wires.count == 12
    chosen = torch.zeros(12, dtype=torch.bool)
    chosen[7] = True  # the second critic's second
    masks = {entries.name: mask for entries, mask in (*wires.into(chosen), *wires.out_of(chosen))}
    assert masks["head.0.bias"].nonzero().tolist() == [[1, 1]]
    assert masks["head.2.weight"].nonzero().tolist() == [[1, 0, 1]]


def test_the_frozen_heads_of_an_injection_read_the_encoder_and_have_no_units_to_exchange() -> None:
    model = injected(network())
    found = {wires.units.layer: wires for wires in wiring(model, IMAGES)}
    assert [layer for layer in found if layer.startswith("head")] == ["head.new.advantage.0", "head.new.value.0"]
    readers = {entries.name for entries in found["encoder.4"].outgoing}
    assert readers == {
        f"head.{which}.{stream}.0.{kind}"
        for which in ("old", "new", "new_frozen")
        for stream in ("value", "advantage")
        for kind in ("weight_mu", "weight_sigma")
    }


def test_norms_between_layer_and_activation_belong_to_the_units() -> None:
    model = LayerNorm().build(crelu(network(), "output"))
    found = {wires.units.layer: wires for wires in wiring(model, IMAGES)}
    assert {"encoder.1.0.weight", "encoder.1.0.bias"} < {entries.name for entries in found["encoder.0"].incoming}
    twins = {wires.units.layer: wires for wires in wiring(LayerNorm().build(Critic()), pair())}["head.0"]
    assert by_name(twins.incoming)["head.1.0.weight"] == list(range(12))


def test_only_selected_layers_are_wired_and_what_stands_behind_others_does_not_matter() -> None:
    found = wiring(network(), IMAGES, "encoder.2+head.value")
    assert [wires.units.layer for wires in found] == ["encoder.2", "head.value.0"]
    with pytest.raises(NothingToActOn, match="no hidden layer that learns matches layers=elsewhere"):
        hidden(network(), "elsewhere")


def test_output_layers_and_frozen_ones_have_no_units_to_exchange() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2), nn.Tanh())
    assert [wires.units.layer for wires in wiring(model, VECTORS)] == ["0", "2"]
    model[0].requires_grad_(False)
    assert [wires.units.layer for wires in wiring(model, VECTORS)] == ["2"]


@pytest.mark.parametrize(
    ("parametrised", "names"),
    [
        (parametrizations.spectral_norm, {"original"}),
        (parametrizations.weight_norm, {"original0", "original1"}),
        (parametrizations.orthogonal, None),
    ],
)
def test_of_a_parametrised_weight_it_is_what_it_is_computed_from(
    parametrised: Callable[[nn.Module], nn.Module], names: set[str] | None
) -> None:
    model = nn.Sequential(parametrised(nn.Linear(4, 4)), nn.ReLU(), parametrised(nn.Linear(4, 2)))
    if names is None:
        names = {"original"}
    (wires,) = wiring(model, VECTORS)
    assert {e.name for e in wires.incoming} == {"0.bias"} | {f"0.parametrizations.weight.{name}" for name in names}
    read = names - {"original0"}  # the length of a row reads no unit
    assert {e.name for e in wires.outgoing} == {f"2.parametrizations.weight.{name}" for name in read}
    for entries in (*wires.incoming, *wires.outgoing):
        marked(entries, torch.ones(4, dtype=torch.bool)).expand(model.get_parameter(entries.name).shape)


# ------------------------------------------------------------------ what is refused


def test_units_that_leave_the_network_are_refused() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act, self.out = nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            features = self.act(self.first(x))
            return self.out(features), 2 * features

    with pytest.raises(UsageError, match=r"^the units of 'first' are an output of the network.*leave that layer out"):
        wiring(Features(), VECTORS)


def test_an_obstacle_in_one_place_is_none_for_the_layers_elsewhere() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.out = (nn.Linear(4, 4) for _ in range(3))
            self.act, self.act2 = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.act2(self.second(2 * self.act(self.first(x)))))
            return y

    with pytest.raises(UsageError, match="'second' reads which unit of 'first'"):
        wiring(Two(), VECTORS)
    assert [wires.units.layer for wires in wiring(Two(), VECTORS, "second")] == ["second"]


def test_weights_that_are_computed_in_an_unknown_way_are_refused() -> None:
    class Computed(nn.Linear):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__(inputs, outputs)
            self.root = nn.Parameter(self.weight.detach().sqrt().nan_to_num())
            del self.weight

        @property
        def weight(self) -> Tensor:  # type: ignore[override]
            return self.root**2

    model = nn.Sequential(OrderedDict(a=nn.Linear(4, 3), b=nn.ReLU(), c=Computed(3, 2)))
    with pytest.raises(UsageError, match=r"c\.weight is computed in a way that nobody knows; register rows and"):
        wiring(model, VECTORS)


def test_a_layer_of_ones_own_declares_its_rows_and_columns() -> None:
    class Transposed(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(inputs, outputs))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x @ self.kernel
            return y

    width.register(Transposed, lambda layer: tuple(layer.kernel.shape))
    model = nn.Sequential(Transposed(4, 3), nn.ReLU(), Transposed(3, 2))
    with pytest.raises(UsageError, match="columns of Transposed"):
        wiring(model, VECTORS)

    @rows.register
    def _(layer: Transposed) -> tuple[Entries, ...]:
        return (Entries("kernel", torch.arange(layer.kernel.shape[1]), "weight"),)

    @columns.register
    def _(layer: Transposed, read: Tensor) -> tuple[Entries, ...]:
        return (Entries("kernel", read[:, None], "weight"),)

    (wires,) = wiring(model, VECTORS)
    assert by_name(wires.outgoing) == {"2.kernel": [0, 1, 2]}


def test_channels_of_images_are_normalised_by_a_norm_of_channels() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 7), ChannelNorm(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    (wires,) = wiring(model, PICTURES)
    assert by_name(wires.incoming)["1.weight"] == [0, 1]
