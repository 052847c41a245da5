"""Layer norm: where it stands, over which axes, and its width beside CReLU."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import ChannelNorm, CReLU, FactorisedNoise, MemberNorm
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import ATOMS, HIDDEN, network, parameters, rainbow, train

HIDDEN_LAYERS = ["encoder.0", "encoder.2", "encoder.4", "head.advantage.0", "head.value.0"]  # as they run
OUTPUTS = ["head.value.2", "head.advantage.2"]
make = partial(network, image=(4, 44, 44))  # 2x2 pixels come out of the encoder, so axes differ everywhere
IMAGES = torch.rand(3, 4, 44, 44, generator=torch.Generator().manual_seed(0))


def flow(model: nn.Module, inputs: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What goes into each module and what comes out, by path."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            seen[path] = (given[0].clone(), output.clone())

        return hook

    paths = [path for path, module in model.named_modules() if not isinstance(module, FactorisedNoise)]
    handles = [model.get_submodule(path).register_forward_hook(note(path)) for path in paths]
    with torch.no_grad():
        model.eval()(inputs)
    for handle in handles:
        handle.remove()
    return seen


def test_every_hidden_layer_gets_one_norm_and_no_output_layer() -> None:
    model = LayerNorm().build(make())
    units = {found.layer: found for found in unit_graph(model)}
    assert list(units) == HIDDEN_LAYERS
    assert all(len(found.norms) == 1 for found in units.values())
    norms = [module for module in model.modules() if isinstance(module, nn.LayerNorm | nn.GroupNorm)]
    assert len(norms) == len(HIDDEN_LAYERS)


def test_it_stands_between_a_layer_and_its_activation() -> None:
    model = LayerNorm().build(make())
    values = flow(model, IMAGES)
    for units in unit_graph(model):
        (norm,) = units.norms
        assert torch.equal(values[norm][0], values[units.layer][1])
        assert torch.equal(values[units.activation][0], values[norm][1])


def test_output_layers_read_what_they_read_without() -> None:
    model = LayerNorm().build(make())
    for path in OUTPUTS:
        assert not hasattr(model.get_submodule(path), "normalized_shape")
        assert isinstance(model.get_submodule(path.replace(".2", ".1"))[1], nn.ReLU)  # type: ignore[index]


def reference(axes: str, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if x.dim() == 2:
        return F.layer_norm(x, x.shape[1:], weight, bias, 1e-6)
    if axes == "channel":
        moved = x.movedim(1, -1)
        return F.layer_norm(moved, moved.shape[-1:], weight, bias, 1e-6).movedim(-1, 1)
    return F.group_norm(x, 1, weight, bias, 1e-5)


@pytest.mark.parametrize("axes", ["channel", "image"])
@pytest.mark.parametrize("affine", [True, False])
def test_the_values_are_those_of_torch_over_the_axes_asked_for(axes: Literal["channel", "image"], affine: bool) -> None:
    model = LayerNorm(axes=axes, affine=affine).build(make())
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            for parameter in module.parameters():  # a scale of 1 and a shift of 0 would hide where they go
                nn.init.normal_(parameter, 1.0, 0.2)
    seen = flow(model, IMAGES)
    for units in unit_graph(model):
        (path,) = units.norms
        norm = model.get_submodule(path)
        given, output = seen[path]
        assert (norm.weight is not None) == affine
        weight, bias = (norm.weight, norm.bias) if affine else (None, None)
        assert isinstance(weight, Tensor | None)
        assert isinstance(bias, Tensor | None)
        torch.testing.assert_close(output, reference(axes, given, weight, bias), rtol=1e-5, atol=1e-6)


def test_over_channels_each_pixel_comes_out_with_mean_0_and_variance_1() -> None:
    seen = flow(LayerNorm().build(make()), IMAGES)
    _, output = seen["encoder.1.0"]
    assert output.shape == (3, 32, 10, 10)
    torch.testing.assert_close(output.mean(1), torch.zeros(3, 10, 10), rtol=0, atol=1e-5)
    torch.testing.assert_close(output.var(1, unbiased=False), torch.ones(3, 10, 10), rtol=0, atol=1e-2)
    assert output.mean((2, 3)).abs().max() > 0.1  # the two axes are not the same thing


def test_over_the_image_all_of_it_comes_out_with_mean_0() -> None:
    seen = flow(LayerNorm(axes="image").build(make()), IMAGES)
    _, output = seen["encoder.1.0"]
    torch.testing.assert_close(output.mean((1, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    assert output.mean(1).abs().max() > 0.1


def test_without_affine_it_has_nothing_to_learn() -> None:
    plain = sum(parameter.numel() for parameter in make().parameters())
    bare = sum(parameter.numel() for parameter in LayerNorm(affine=False).build(make()).parameters())
    full = sum(parameter.numel() for parameter in LayerNorm().build(make()).parameters())
    assert bare == plain
    assert full == plain + 2 * (32 + 64 + 64 + HIDDEN + HIDDEN)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("whole", HIDDEN_LAYERS),
        ("encoder", HIDDEN_LAYERS[:3]),
        ("backbone", HIDDEN_LAYERS[:3]),
        ("head", HIDDEN_LAYERS[3:]),
        ("head.value+encoder.2", ["encoder.2", "head.value.0"]),
    ],
)
def test_layers_selects_by_path(layers: str, expected: list[str]) -> None:
    model = LayerNorm(layers=layers).build(make())
    assert [units.layer for units in unit_graph(model) if units.norms] == expected


@pytest.mark.parametrize("turned", [False, True])
def test_with_crelu_it_norms_the_pre_activation_at_its_own_width(turned: bool) -> None:
    plugins = [ConcatenatedReLU(), LayerNorm()]
    learner = rainbow(*(reversed(plugins) if turned else plugins))
    widths = {}
    for units in unit_graph(learner.model):
        (path,) = units.norms
        norm = learner.model.get_submodule(path)
        assert isinstance(norm, nn.LayerNorm)
        assert isinstance(learner.model.get_submodule(units.activation), CReLU)
        widths[units.layer] = norm.normalized_shape
    assert widths == dict(zip(HIDDEN_LAYERS, [(16,), (32,), (32,), (HIDDEN // 2,), (HIDDEN // 2,)], strict=True))
    train(learner, 2)  # it runs


def test_it_trains() -> None:
    learner = rainbow(LayerNorm())
    before = parameters(learner.model)
    train(learner, 2)
    after = parameters(learner.model)
    scales = [path for path, module in learner.model.named_modules() if isinstance(module, nn.LayerNorm)]
    assert [type(learner.model.get_submodule(path)) for path in scales[:3]] == [ChannelNorm] * 3
    assert all(not torch.equal(before[f"{path}.weight"], after[f"{path}.weight"]) for path in scales)


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(NothingToActOn, match="layer_norm: no hidden layer matches layers=trunk"):
        LayerNorm(layers="trunk").build(make())
    with pytest.raises(NothingToActOn, match=r"layer_norm: no hidden layer matches layers=head\.value\.2"):
        LayerNorm(layers="head.value.2").build(make())  # an output layer


def test_two_norms_in_one_run_are_refused() -> None:
    with pytest.raises(UsageError, match="normalisation"):
        refuse_conflicts(
            [Addressed({"rainbow": LayerNorm(layers="encoder")}), Addressed({"rainbow": LayerNorm(layers="head")})]
        )


def test_the_function_is_another_only_by_the_norms() -> None:
    """The network with norms, worked out layer by layer with torch's own functions."""
    torch.manual_seed(0)
    model = LayerNorm().build(make())
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    features = IMAGES
    for convolution in convolutions:
        features = F.relu(reference("channel", convolution(features), None, None))
    features = features.flatten(1)

    def stream(name: str) -> Tensor:
        hidden, output = model.get_submodule(f"head.{name}.0"), model.get_submodule(f"head.{name}.2")
        pre = F.linear(features, hidden.weight_mu, hidden.bias_mu)  # type: ignore[arg-type]
        return F.linear(F.relu(F.layer_norm(pre, (HIDDEN,), eps=1e-6)), output.weight_mu, output.bias_mu)  # type: ignore[arg-type]

    value, advantage = stream("value").view(-1, 1, ATOMS), stream("advantage").view(3, -1, ATOMS)
    expected = value + advantage - advantage.mean(1, keepdim=True)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_layers_with_a_norm_of_their_own_are_left_out() -> None:
    for make_network, layers in (
        (Critic, ["encoder.1", "encoder.3", "head.0", "head.2"]),
        (Actor, ["head.0", "head.2"]),
    ):
        before = {units.layer: units.norms for units in unit_graph(make_network())}
        assert [layer for layer, norms in before.items() if norms] == ["trunk.0"]
        model = LayerNorm().build(make_network())
        after = {units.layer: units.norms for units in unit_graph(model)}
        assert after.pop("trunk.0") == before["trunk.0"]
        assert list(after) == layers
        assert all(len(norms) == 1 for norms in after.values())


def test_where_every_layer_has_a_norm_already_it_is_refused() -> None:
    message = r"^layer_norm: every hidden layer of layers=trunk has a norm already; choose others$"
    with pytest.raises(NothingToActOn, match=message):
        LayerNorm(layers="trunk").build(Critic())
    with pytest.raises(NothingToActOn, match="layers=whole has a norm already"):
        LayerNorm().build(LayerNorm().build(Actor()))


@pytest.mark.parametrize("affine", [True, False])
def test_of_twin_critics_each_has_a_norm_of_its_own(affine: bool) -> None:
    torch.manual_seed(0)
    model = LayerNorm(affine=affine).build(Critic())
    norms = [module for module in model.get_submodule("head").modules() if isinstance(module, MemberNorm)]
    assert len(norms) == 2
    for norm in norms:
        for parameter in norm.parameters():
            nn.init.normal_(parameter, 1.0, 0.2)
    seen: list[Tensor] = []
    first = model.get_submodule("head.0")
    first.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    values = model(*pair())
    layers = [model.get_submodule(f"head.{place}") for place in (0, 2, 4)]
    for number in range(2):
        (x,) = seen
        for place, layer in enumerate(layers):
            x = F.linear(x, layer.weight[number], layer.bias[number])  # type: ignore[index]
            if place < 2:
                weight, bias = norms[place].weight, norms[place].bias
                scale, shift = (None, None) if weight is None or bias is None else (weight[number], bias[number])
                x = F.layer_norm(x, (6,), scale, shift, 1e-6).relu()
        torch.testing.assert_close(values[:, number], x.squeeze(1))


def test_with_crelu_a_members_norm_has_half_the_units() -> None:
    model = LayerNorm().build(ConcatenatedReLU().build(Critic()))
    norm = model.get_submodule("head.1.0")
    assert isinstance(norm, MemberNorm)
    assert norm.units == 3
    assert model(*pair()).shape == (16, 2)
