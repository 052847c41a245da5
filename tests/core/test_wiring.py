"""Rows and columns of units: they are what moving a weight or a value moves, in networks of every shape."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.known_modules import is_activation
from plastic.core.layers import (
    ChannelNorm,
    CReLU,
    EnsembleLinear,
    Entries,
    NoisyLinear,
    by_unit,
    columns,
    rows,
    width,
)
from plastic.core.wiring import Wires, folded, hidden, marked, mean_size, passed_on, wiring
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import network

IMAGES = (torch.rand(8, 4, 36, 36, generator=torch.Generator().manual_seed(1)),)
VECTORS = (torch.rand(8, 4, generator=torch.Generator().manual_seed(1)),)
PICTURES = (torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)),)


class Sliced(nn.Module):
    """Half of the units go to one reader, all of them, backwards and beside the input, to another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(4, 6), nn.Tanh()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.first(x))
        y: Tensor = self.left(h[:, :3]) + self.right(torch.cat((x, h.flip(1)), 1))
        return y


class Shared(nn.Module):
    """One layer reads the units twice, in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.out = nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.first(x))
        y: Tensor = self.out(h) + self.out(h.roll(1, 1)) + self.out(h)
        return y


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.ZeroPad2d(1),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Sequential(nn.BatchNorm2d(6), nn.LeakyReLU()),
        nn.ConvTranspose2d(6, 4, 2, groups=2),
        nn.ELU(),
        nn.Dropout2d(0.5),
        nn.Flatten(),
        nn.Linear(100, 2),
    )


def crelu(model: nn.Module, style: str) -> nn.Module:
    return ConcatenatedReLU(style=style).build(model)  # type: ignore[arg-type]


def injected(model: nn.Module) -> nn.Module:
    model.head = PlasticityInjection().inject(model.get_submodule("head"))
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "plain": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.GELU(), nn.Linear(3, 2)), VECTORS),
    "rainbow": (network, IMAGES),
    "rainbow, no dueling": (lambda: network(dueling=False), IMAGES),
    "rainbow, crelu": (lambda: crelu(network(), "output"), IMAGES),
    "rainbow, crelu doubles the readers": (lambda: crelu(network(), "input"), IMAGES),
    "rainbow, injected": (lambda: injected(injected(network())), IMAGES),
    "rainbow, crelu, injected": (lambda: injected(crelu(network(), "output")), IMAGES),
    "twin critics": (Critic, pair()),
    "twin critics, crelu": (lambda: crelu(Critic(), "output"), pair()),
    "actor": (Actor, (torch.rand(8, 128),)),
    "convolutions": (convolutional, PICTURES),
    "sliced": (Sliced, VECTORS),
    "shared": (Shared, VECTORS),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...], list[Wires]]:
    torch.manual_seed(0)
    make, inputs = NETWORKS[name]
    model = make().eval()
    return model, inputs, wiring(model, inputs)


def outputs(model: nn.Module, inputs: tuple[Tensor, ...], wires: Wires, moved: Tensor) -> Tensor:
    """What the model gives if the values of the moved units are others."""
    layer = model.get_submodule(wires.units.layer)

    def hook(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
        shift = moved[wires.unit_of].float() * 3
        if output.dim() == 3 and isinstance(layer, EnsembleLinear):
            return output + shift.view(output.shape[1:])
        return output + shift.view(-1, *(1 for _ in output.shape[2:]))

    handle = model.get_submodule(wires.units.activation).register_forward_hook(hook)
    try:
        with torch.no_grad():
            found: Tensor = model(*inputs)
            return found
    finally:
        handle.remove()


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


def test_it_leaves_the_model_as_it_was() -> None:
    torch.manual_seed(0)
    model = network()
    before, mode = {name: value.clone() for name, value in model.state_dict().items()}, model.training
    random = torch.get_rng_state()
    wiring(model, IMAGES)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training is mode
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_batch_statistics_and_dropout_stay_out_of_it() -> None:
    model = convolutional()  # in training mode
    mean = model.get_buffer("5.0.running_mean").clone()
    assert [wires.units.layer for wires in wiring(model, PICTURES)] == ["0", "4", "6"]
    assert torch.equal(model.get_buffer("5.0.running_mean"), mean)


def by_name(found: tuple[Entries, ...]) -> dict[str, list[int]]:
    return {entries.name: entries.owner.flatten().tolist() for entries in found}


def test_a_channel_is_a_block_of_columns() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 7), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    (wires,) = wiring(model, PICTURES)
    assert by_name(wires.outgoing) == {"3.weight": [0, 0, 0, 0, 1, 1, 1, 1]}


def test_an_actions_columns_are_nobodys_even_if_it_looks_like_a_label() -> None:
    torch.manual_seed(0)
    images, _ = pair()
    trunk = {wires.units.layer: wires for wires in wiring(Critic(), (images, torch.full((16, 2), 3.0)))}["trunk.0"]
    assert by_name(trunk.outgoing) == {"head.0.weight": 2 * [0, 1, 2, 3, 4, -1, -1]}


def test_a_unit_of_twins_is_one_members() -> None:
    wires = {wires.units.layer: wires for wires in wiring(Critic(), pair())}["head.0"]
    assert wires.count == 12
    chosen = torch.zeros(12, dtype=torch.bool)
    chosen[7] = True  # the second critic's second
    masks = {entries.name: mask for entries, mask in (*wires.into(chosen), *wires.out_of(chosen))}
    assert masks["head.0.bias"].nonzero().tolist() == [[1, 1]]
    assert masks["head.2.weight"].nonzero().tolist() == [[1, 0, 1]]


def test_both_columns_of_a_crelus_unit_are_the_units() -> None:
    model = nn.Sequential(nn.Linear(4, 3), CReLU(), nn.Linear(6, 1))
    (wires,) = wiring(model, VECTORS)
    assert wires.unit_of.tolist() == [0, 1, 2, 0, 1, 2]
    _, twins, *_ = wiring(crelu(Critic(), "output"), pair())[2:]
    assert twins.unit_of.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]


def test_columns_of_a_unit_are_folded_into_samples() -> None:
    (wires,) = wiring(nn.Sequential(nn.Linear(4, 2), CReLU(), nn.Linear(4, 1)), VECTORS)
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    assert sorted(folded(wires, values).T.tolist()) == [[1.0, 5.0, 3.0, 7.0], [2.0, 6.0, 4.0, 8.0]]


def test_any_activation_that_doubles_the_width_is_understood() -> None:
    class Waves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat((x.sin(), x.cos()), 1)

    is_activation.register(Waves, lambda module: True)
    (wires,) = wiring(nn.Sequential(nn.Linear(4, 2), Waves(), nn.Linear(4, 1)), VECTORS)
    assert wires.unit_of.tolist() == [0, 1, 0, 1]


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


class Between(nn.Module):
    """Something stands between the units and what reads them."""

    def __init__(self, act: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
        self.norm, self.gate = nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())
        self.pool = nn.AvgPool1d(2, 1, 1)
        self.between = act

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.between(self, self.relu(self.first(x)), x))  # type: ignore[call-arg, arg-type]
        return y


@pytest.mark.parametrize(
    ("between", "named"),
    [
        (lambda m, h, x: h + x, "add"),
        (lambda m, h, x: h * x, "mul"),
        (lambda m, h, x: 2 * h, "mul"),
        (lambda m, h, x: h + 1, "add"),
        (lambda m, h, x: m.norm(h), "norm"),
        (lambda m, h, x: m.gate(x) * h, "mul"),
        (lambda m, h, x: m.first(x) + h, "add"),  # a residual stream: the column is not the unit's alone
        (lambda m, h, x: (h + h.flip(1)) / 2, "flip, add, truediv"),
        (lambda m, h, x: h.cumsum(1), "cumsum"),
        (lambda m, h, x: h.clamp(max=1), "clamp"),
        (lambda m, h, x: h.clamp(max=0.01), "clamp"),
        (lambda m, h, x: h.abs(), "abs"),
        (lambda m, h, x: F.softmax(h, 1), "softmax"),
    ],
)
def test_what_changes_or_mixes_units_is_refused_by_name(between: Callable[..., Tensor], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        wiring(Between(between), VECTORS)
    assert str(caught.value) == (
        "cannot tell what of 'last' reads which unit of 'first': what stands between changes or mixes them "
        f"({named}); leave that layer out with layers="
    )


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


def test_units_on_an_axis_that_nobody_declared_are_refused() -> None:
    model = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"'2' gives 1 columns for the 3 units of '1'; .*unit_axis\.register"):
        wiring(model, VECTORS)


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


def test_hooks_are_gone_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(RuntimeError):
        wiring(model, VECTORS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# ------------------------------------------------------------------ sums


def test_mean_sizes_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), NoisyLinear(2, 2))
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.tensor([[-2.0], [1.0]]))
        model.get_parameter("2.weight_mu").copy_(torch.tensor([[1.0, -4.0], [-3.0, 6.0]]))
    (wires,) = wiring(model, (torch.rand(2, 1),))
    assert mean_size(model.get_parameter, wires.incoming, 2).tolist() == [2.0, 1.0]
    assert mean_size(model.get_parameter, wires.outgoing, 2).tolist() == [2.0, 5.0]  # of the means alone


def test_what_is_nobodys_is_in_no_mean() -> None:
    torch.manual_seed(0)
    model = Critic()
    wires = wiring(model, pair(), "trunk")[0]
    weight = model.get_parameter("head.0.weight").detach()
    torch.testing.assert_close(mean_size(model.get_parameter, wires.outgoing, 5), weight.abs().mean((0, 1))[:5])


def test_what_constant_values_pass_on_by_hand() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), NoisyLinear(2, 2))
    with torch.no_grad():
        model.get_parameter("2.weight_mu").copy_(torch.tensor([[1.0, -4.0], [-3.0, 6.0]]))
    (wires,) = wiring(model, (torch.rand(2, 1),))
    assert {name: value.tolist() for name, value in passed_on(model, wires, torch.tensor([2.0, 0.5])).items()} == {
        "2.bias_mu": [0.0, -3.0]
    }


@pytest.mark.parametrize("name", ["plain", "rainbow", "rainbow, crelu doubles the readers", "twin critics"])
def test_what_constant_values_pass_on_is_what_the_readers_get(name: str) -> None:
    model, inputs, found = made(name)
    for wires in found:
        if name == "twin critics" and wires.units.layer.startswith("encoder"):
            continue  # the next convolution pads
        given: dict[str, Tensor] = {}

        def keep(path: str) -> Callable[..., None]:
            def hook(module: nn.Module, arguments: object, output: Tensor) -> None:
                given[path] = output.detach()  # noqa: B023

            return hook

        changed = deepcopy(model)
        for path in set(wires.read_by):
            changed.get_submodule(path).register_forward_hook(keep(path))
        nobody, everybody = torch.zeros(wires.count, dtype=torch.bool), torch.ones(wires.count, dtype=torch.bool)
        outputs(changed, inputs, wires, nobody)
        before = dict(given)
        given.clear()
        outputs(changed, inputs, wires, everybody)  # 3 more, in every column
        shifts = passed_on(model, wires, torch.full((wires.unit_of.numel(),), 3.0))
        for path in set(wires.read_by):
            own = next(value for bias, value in shifts.items() if bias.startswith(f"{path}."))
            more = given[path] - before[path]
            own = own.view(*own.shape, *(1 for _ in more.shape[own.dim() + 1 :]))
            torch.testing.assert_close(more, own.expand_as(more), atol=1e-3, rtol=1e-3)


def test_channels_of_images_are_normalised_by_a_norm_of_channels() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 7), ChannelNorm(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    (wires,) = wiring(model, PICTURES)
    assert by_name(wires.incoming)["1.weight"] == [0, 1]
