"""CReLU: its values, both ways to keep or double widths, and half of the entries active by construction."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import Conv2d, CReLU, EnsembleLinear, Linear, NoisyLinear
from plastic.core.layers.resize import width
from plastic.core.modules import put
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.schedule import Always
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.probes.active_units import ActiveUnits
from tests.core.layers.critics import RELU, Actor, Critic, member, pair
from tests.plugins.learners import ACTIONS, ATOMS, HIDDEN, network, parameters, rainbow, train

make = partial(network, image=(4, 44, 44))  # 2x2 pixels are flattened, four features a channel
IMAGES = torch.rand(3, 4, 44, 44, generator=torch.Generator().manual_seed(0))

LAYERS = ["encoder.0", "encoder.2", "encoder.4", "head.value.0", "head.value.2", "head.advantage.0", "head.advantage.2"]
FLAT = 64 * 4
PLAIN = [(4, 32), (32, 64), (64, 64), (FLAT, HIDDEN), (HIDDEN, ATOMS), (FLAT, HIDDEN), (HIDDEN, ACTIONS * ATOMS)]


def widths(model: nn.Module) -> list[tuple[int, int]]:
    return [width(model.get_submodule(path)) for path in LAYERS]


def size(model: nn.Module, *paths: str) -> int:
    return sum(parameter.numel() for path in paths for parameter in model.get_submodule(path).parameters())


def test_the_values_are_the_two_rectified_halves() -> None:
    x = torch.tensor([[1.0, -2.0, 0.0], [0.5, 3.0, -0.25]])
    assert torch.equal(CReLU()(x), torch.tensor([[1.0, 0, 0, 0, 2, 0], [0.5, 3, 0, 0, 0, 0.25]]))
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(CReLU()(images), torch.cat((images.relu(), (-images).relu()), 1))


def test_the_plain_network_is_what_the_table_says() -> None:
    assert widths(make()) == PLAIN


def test_output_style_halves_the_layers_and_keeps_what_follows() -> None:
    model = ConcatenatedReLU().build(make())
    halved = [(4, 16), (32, 32), (64, 32), (FLAT, HIDDEN // 2), (HIDDEN, ATOMS)]
    assert widths(model) == [*halved, (FLAT, HIDDEN // 2), (HIDDEN, ACTIONS * ATOMS)]
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)


def test_output_style_halves_the_parameters_of_hidden_layers() -> None:
    model, plain = ConcatenatedReLU().build(make()), make()
    hidden = [path for path in LAYERS if path not in ("head.value.2", "head.advantage.2")]
    assert 2 * size(model, *hidden) == size(plain, *hidden)
    assert size(model, "head.value.2", "head.advantage.2") == size(plain, "head.value.2", "head.advantage.2")


def test_input_style_keeps_the_layers_and_doubles_what_follows() -> None:
    model = ConcatenatedReLU(style="input").build(make())
    doubled = [(4, 32), (64, 64), (128, 64), (2 * FLAT, HIDDEN), (2 * HIDDEN, ATOMS)]
    assert widths(model) == [*doubled, (2 * FLAT, HIDDEN), (2 * HIDDEN, ACTIONS * ATOMS)]
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)


@pytest.mark.parametrize("style", ["output", "input"])
def test_a_layer_reads_both_halves_of_the_one_before(style: str) -> None:
    model = ConcatenatedReLU(style=style).build(make()).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        first = model.get_submodule("encoder.0")(IMAGES)
        second = model.get_submodule("encoder.2")(torch.cat((first.relu(), (-first).relu()), 1))
        third = model.get_submodule("encoder.4")(torch.cat((second.relu(), (-second).relu()), 1))
        features = torch.cat((third.relu(), (-third).relu()), 1).flatten(1)
        torch.testing.assert_close(model.get_submodule("encoder")(IMAGES), features)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("encoder", {"encoder.0", "encoder.2", "encoder.4"}),
        ("head", {"head.value.0", "head.advantage.0"}),
        ("head.value+encoder.2", {"encoder.2", "head.value.0"}),
    ],
)
def test_layers_selects_by_path(layers: str, expected: set[str]) -> None:
    model = ConcatenatedReLU(layers=layers).build(make())
    assert {u.layer for u in unit_graph(model) if isinstance(model.get_submodule(u.activation), CReLU)} == expected
    assert model(IMAGES).shape == (3, ACTIONS, ATOMS)


def test_new_layers_keep_kind_and_deviation_of_the_old() -> None:
    model = ConcatenatedReLU().build(make(make=lambda i, o: NoisyLinear(i, o, sigma=0.1)))
    layer = model.get_submodule("head.value.0")
    assert isinstance(layer, NoisyLinear)
    assert layer.weight_sigma[0, 0].item() == pytest.approx(0.1 / FLAT**0.5)
    convolution = model.get_submodule("encoder.2")
    assert isinstance(convolution, nn.Conv2d)
    assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((4, 4), (2, 2), (0, 0))


@pytest.mark.parametrize("style", ["output", "input"])
def test_half_of_the_entries_are_active_by_construction(style: str) -> None:
    learner = rainbow(ConcatenatedReLU(style=style), ActiveUnits(when=Always()))  # type: ignore[arg-type]
    train(learner, 3)
    learner.clock.advance(updates=1)
    measured = learner.tend()
    assert {key: float(measured[f"active_units/{key}"]) for key in ("encoder", "head", "total")} == {
        "encoder": 0.5,
        "head": 0.5,
        "total": 0.5,
    }


def test_it_trains() -> None:
    learner = rainbow(ConcatenatedReLU())
    before = parameters(learner.model)
    train(learner, 2)
    after = parameters(learner.model)
    assert not [name for name in before if torch.equal(before[name], after[name])]


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="crelu: no hidden layer matches layers=trunk"):
        ConcatenatedReLU(layers="trunk").build(make())
    with pytest.raises(UsageError, match="has 15 units, which cannot be halved; use style=input"):
        ConcatenatedReLU(layers="head").build(make(hidden=15))
    tanh = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    message = r"^crelu replaces ReLU, and the hidden layers of layers=whole have Tanh; choose others$"
    with pytest.raises(NothingToActOn, match=message):
        ConcatenatedReLU().build(tanh)
    with pytest.raises(NothingToActOn, match="the hidden layers of layers=trunk have Tanh; choose others"):
        ConcatenatedReLU(layers="trunk").build(Critic())
    with pytest.raises(UsageError, match="activation"):
        refuse_conflicts(
            [
                Addressed({"rainbow": ConcatenatedReLU(layers="head")}),
                Addressed({"rainbow": ConcatenatedReLU(layers="encoder")}),
            ]
        )


def test_an_odd_width_can_be_doubled() -> None:
    model = ConcatenatedReLU(layers="head", style="input").build(make(hidden=15))
    assert width(model.get_submodule("head.value.2")) == (30, ATOMS)


def test_a_norm_the_network_has_itself_keeps_its_width() -> None:
    def normed() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))

    with pytest.raises(UsageError, match="crelu: the norm 1 fixes the width of 0; use style=input"):
        ConcatenatedReLU().build(normed())
    model = ConcatenatedReLU(style="input").build(normed())
    assert model(torch.ones(5, 3)).shape == (5, 2)


CRITIC = ["encoder.1", "encoder.3", "trunk.0", "head.0", "head.2", "head.4"]


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("output", [(3, 2), (4, 4), (128, 5), (7, 3), (6, 3), (6, 1)]),
        ("input", [(3, 4), (8, 8), (256, 5), (7, 6), (12, 6), (12, 1)]),
    ],
)
def test_of_twin_critics_every_relu_is_replaced_and_the_tanh_stays(style: str, expected: list[tuple[int, int]]) -> None:
    model = ConcatenatedReLU(style=style).build(Critic())  # type: ignore[arg-type]
    assert [width(model.get_submodule(path)) for path in CRITIC] == expected
    assert [type(model.get_submodule(path)) for path in CRITIC] == [Conv2d] * 2 + [Linear] + [EnsembleLinear] * 3
    assert isinstance(model.get_submodule("trunk.2"), nn.Tanh)
    axes = {path: module.axis for path, module in model.named_modules() if isinstance(module, CReLU)}
    assert axes == {"encoder.2": 1, "encoder.4": 1, "head.1": -1, "head.3": -1}
    assert model(*pair()).shape == (16, 2)
    convolution = model.get_submodule("encoder.3")
    assert isinstance(convolution, Conv2d)
    assert convolution.init == RELU


@pytest.mark.parametrize("style", ["output", "input"])
def test_twin_critics_with_it_are_each_one_with_it(style: str) -> None:
    torch.manual_seed(0)
    model = ConcatenatedReLU(style=style).build(Critic())  # type: ignore[arg-type]
    together = model(*pair())
    for number in range(2):
        alone = member(deepcopy(model), number)
        for path in ("head.1", "head.3"):
            put(alone, path, CReLU())
        torch.testing.assert_close(alone(*pair()), together[:, number])


def test_of_an_actor_too() -> None:
    model = ConcatenatedReLU(style="input").build(Actor())
    assert [width(model.get_submodule(f"head.{place}")) for place in (0, 2, 4)] == [(5, 6), (12, 6), (12, 4)]
