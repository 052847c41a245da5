"""The networks: sizes, initialisers, Flax's padding, two critics at once."""

from typing import Any

import pytest
import torch
from torch import nn

from plastic.agents.actor_critic import networks
from plastic.agents.actor_critic.networks import Actor, Critic, image_encoder, trunk
from plastic.agents.encoders import features_of
from plastic.core.errors import UsageError
from plastic.core.layers import Conv2d, EnsembleLinear, LecunNormal, Linear, Orthogonal
from tests.agents.actor_critic import reference
from tests.agents.actor_critic.handwritten import FlaxEncoder

GREY, COLOUR = 3, 9  # channels of three stacked pictures


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def convolution(inputs: int, outputs: int) -> int:
    return outputs * (inputs * 3 * 3 + 1)


@pytest.mark.parametrize(("channels", "parameters"), [(GREY, 388_416), (COLOUR, 390_144)])
def test_drqs_encoder_has_as_many_parameters_as_its_authors_say(channels: int, parameters: int) -> None:
    encoder = image_encoder("drq", channels)
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [count(layer) for layer in layers] == [convolution(channels, 32), 18_496, 73_856, 295_168]
    assert count(encoder) == parameters
    assert features_of(encoder, (channels, 64, 64)) == 4 * 4 * 256


def test_drqv2s_encoder_leaves_35_by_35_places_of_32_channels() -> None:
    encoder = image_encoder("drqv2", COLOUR)
    assert count(encoder) == convolution(9, 32) + 3 * convolution(32, 32)
    assert features_of(encoder, (COLOUR, 84, 84)) == 32 * 35 * 35
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [(layer.stride, layer.padding, layer.kernel_size) for layer in layers] == [
        ((2, 2), (0, 0), (3, 3)),
        *[((1, 1), (0, 0), (3, 3))] * 3,
    ]


@pytest.mark.parametrize("size", [64, 84, 21])
def test_drqs_encoder_is_that_of_flax(size: int) -> None:
    """With kernels turned by half; what comes out is turned as well."""
    torch.manual_seed(0)
    ours, theirs = image_encoder("drq", GREY), FlaxEncoder(GREY)
    layers = [layer for layer in ours.modules() if isinstance(layer, nn.Conv2d)]
    images = torch.rand(2, GREY, size, size)
    with torch.no_grad():
        for own, layer in zip(theirs.layers, layers, strict=True):
            own.get_parameter("weight").copy_(layer.weight.flip(2, 3))
            layer.get_parameter("bias").copy_(own.get_parameter("bias"))
        side = -(-size // 16)
        turned = ours(images).view(2, 256, side, side).flip(2, 3)
        torch.testing.assert_close(turned.flatten(1), theirs(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["drq", "drqv2"])
def test_how_everything_starts(kind: Any) -> None:
    torch.manual_seed(0)
    encoder = image_encoder(kind, GREY)
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, Conv2d)]
    assert [layer.init for layer in convolutions] == [Orthogonal(2**0.5)] * 4
    for layer in convolutions:
        matrix = layer.weight.flatten(1)
        square = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(square, 2 * torch.eye(len(square)), atol=1e-4, rtol=0)
        assert layer.bias is not None
        assert not layer.bias.any()
    linear, norm, tanh = trunk(kind, 400).children()
    assert isinstance(linear, Linear)
    assert linear.init == (LecunNormal() if kind == "drq" else Orthogonal())
    assert isinstance(norm, nn.LayerNorm)
    assert (linear.in_features, linear.out_features, norm.normalized_shape) == (400, 50, (50,))
    assert isinstance(tanh, nn.Tanh)


def test_what_a_trunk_gives_lies_between_minus_1_and_1() -> None:
    latent = trunk("drq", 100)(100 * torch.randn(30, 100))
    assert latent.shape == (30, 50)
    assert latent.abs().max() <= 1


def critic(*, pixels: bool) -> Critic:
    torch.manual_seed(0)
    init = Orthogonal(2**0.5)
    if pixels:
        encoder = image_encoder("drq", 2)
        return Critic(encoder, trunk("drq", 256), networks.critic_head(50 + 3, 8, init))
    return Critic(nn.Identity(), nn.Identity(), networks.critic_head(7 + 3, 8, init))


@pytest.mark.parametrize("pixels", [False, True])
def test_two_critics_at_once_are_two_critics_one_by_one(pixels: bool) -> None:
    model = critic(pixels=pixels)
    shape = (2, 16, 16) if pixels else (7,)
    observation, action = torch.rand(5, *shape), torch.rand(5, 3)
    heads = []
    for member in range(2):
        layers: list[nn.Module] = []
        for layer in model.head.children():
            if isinstance(layer, EnsembleLinear):
                layers.append(nn.Linear(layer.in_features, layer.out_features))
                layers[-1].load_state_dict({"weight": layer.weight[member], "bias": layer.bias[member]})
            else:
                layers.append(layer)
        heads.append(nn.Sequential(*layers))
    x = torch.cat([model.trunk(model.encoder(observation)), action], 1)
    one_by_one = torch.cat([head(x) for head in heads], 1)
    together = model(observation, action)
    assert together.shape == (5, 2)
    torch.testing.assert_close(together, one_by_one)
    torch.testing.assert_close(model.values(model.encoder(observation), action), together)
    assert not torch.isclose(together[:, 0], together[:, 1]).any()


@pytest.mark.parametrize(("kind", "eps"), [("drq", 1e-6), ("drqv2", 1e-5)])
def test_the_trunk_s_norm_is_that_of_the_library_it_comes_from(kind: networks.Encoder, eps: float) -> None:
    norm = trunk(kind, 8).get_submodule("1")
    assert isinstance(norm, nn.LayerNorm)
    assert norm.eps == eps


@pytest.mark.parametrize(("kind", "least"), [("drq", 1), ("drqv2", 15)])
def test_images_too_small_for_the_encoder_are_refused(kind: networks.Encoder, least: int) -> None:
    encoder = networks.image_encoder(kind, 2)
    assert features_of(encoder, (2, least, least)) > 0
    if least > 1:
        with pytest.raises(UsageError, match=r"images of 14x15 pixels are too small .*; 15x15 is the least"):
            features_of(encoder, (2, least - 1, least))


@pytest.mark.parametrize("pixels", [False, True])
def test_networks_are_those_written_out_number_by_number(pixels: bool) -> None:
    model = critic(pixels=pixels)
    policy = Actor(
        trunk("drq", 256) if pixels else nn.Identity(),
        networks.actor_head(50 if pixels else 7, 8, 6, Orthogonal()),
    )
    images = torch.randint(256, (4, 2, 16, 16), dtype=torch.uint8)
    observations, actions = images if pixels else torch.randn(4, 7), torch.rand(4, 3)
    with torch.no_grad():
        features = model.encoder(observations / 255 if pixels else observations)
        values, outputs = model.values(features, actions), policy(features)
    encoder = reference.part(reference.weights_of(model), "encoder")
    for sample in range(4):
        seen = reference.features(encoder, observations[sample].numpy())
        wanted = reference.values(reference.weights_of(model), seen, actions[sample].double().numpy())
        torch.testing.assert_close(values[sample].tolist(), wanted, rtol=1e-4, atol=1e-5)
        expected = reference.outputs(reference.weights_of(policy), seen)
        torch.testing.assert_close(outputs[sample].tolist(), expected.tolist(), rtol=1e-4, atol=1e-5)
