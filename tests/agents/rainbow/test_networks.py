import math

import pytest
import torch
from torch import Tensor, nn

from plastic.agents.encoders import features_of
from plastic.agents.rainbow.networks import Head, Network, image_encoder, noisy, vector_encoder
from plastic.core.errors import UsageError
from plastic.core.layers import NoisyLinear

ATARI = (4, 84, 84)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def plain(inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs)


def network(scale: float, *, dueling: bool = True) -> Network:
    torch.manual_seed(0)
    encoder = image_encoder("data_efficient", 1)
    return Network(encoder, Head(64, 8, 3, 5, plain, dueling=dueling), scale)


# Table 3 of Lee et al. (2023) has 6.8 million: convolutions, and noisy streams of 512 units and 51 atoms.
@pytest.mark.parametrize(("actions", "millions"), [(4, 6.76), (18, 7.50)])
def test_as_many_parameters_as_the_paper_says(actions: int, millions: float) -> None:
    encoder = image_encoder("nature", 4)
    assert count(encoder) == 77_984
    whole = Network(encoder, Head(3136, 512, actions, 51, noisy(0.5), dueling=True), 2**-0.5)
    assert round(count(whole) / 1e6, 2) == millions


def test_one_stream_alone_without_dueling() -> None:
    head = Head(3136, 512, 4, 51, noisy(0.5), dueling=False)
    assert head.value is None
    assert count(head) == 2 * (3136 * 512 + 512) + 2 * (512 * 204 + 204)


@pytest.mark.parametrize(("kind", "features"), [("nature", 64 * 7 * 7), ("data_efficient", 64 * 3 * 3)])
def test_shapes(kind: str, features: int) -> None:
    encoder = image_encoder(kind, 4)  # type: ignore[arg-type]
    assert features_of(encoder, ATARI) == features
    whole = Network(encoder, Head(features, 16, 6, 51, noisy(0.5), dueling=True), 1.0)
    assert whole(torch.zeros(2, *ATARI)).shape == (2, 6, 51)


def test_nature_encoder_is_the_one_of_dqn() -> None:
    convolutions = [layer for layer in image_encoder("nature", 4) if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding) for c in convolutions] == [
        (4, 32, (8, 8), (4, 4), (0, 0)),
        (32, 64, (4, 4), (2, 2), (0, 0)),
        (64, 64, (3, 3), (1, 1), (0, 0)),
    ]


def test_data_efficient_encoder_is_the_one_of_van_hasselt() -> None:
    convolutions = [layer for layer in image_encoder("data_efficient", 4) if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size, c.stride) for c in convolutions] == [
        (4, 32, (5, 5), (5, 5)),
        (32, 64, (5, 5), (5, 5)),
    ]


def test_vectors_have_an_encoder_of_one_hidden_layer() -> None:
    encoder = vector_encoder(4, 16)
    assert features_of(encoder, (4,)) == 16
    assert count(encoder) == 4 * 16 + 16
    assert (encoder(torch.randn(32, 4)) >= 0).all()


def test_all_four_layers_of_the_head_are_noisy_with_the_sigma_given() -> None:
    head = Head(64, 8, 3, 5, noisy(0.25), dueling=True)
    layers = [layer for layer in head.modules() if isinstance(layer, NoisyLinear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(64, 8), (8, 5), (64, 8), (8, 15)]
    for layer in layers:
        assert layer.weight_sigma.unique().item() == pytest.approx(0.25 / math.sqrt(layer.in_features))


def test_dueling_worked_by_hand() -> None:
    """2 actions, 2 atoms; the output biases are all there is: v = (1, 2), a = ((3, 5), (7, 11))."""
    head = Head(4, 3, 2, 2, plain, dueling=True)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        head.get_parameter("value.2.bias").copy_(torch.tensor([1.0, 2.0]))
        head.get_parameter("advantage.2.bias").copy_(torch.tensor([3.0, 5.0, 7.0, 11.0]))
    logits = head(torch.randn(1, 4))
    # the mean advantage is (5, 8)
    torch.testing.assert_close(logits, torch.tensor([[[1.0 + 3 - 5, 2.0 + 5 - 8], [1.0 + 7 - 5, 2.0 + 11 - 8]]]))


def test_without_dueling_the_advantage_is_all() -> None:
    head = Head(4, 3, 2, 2, plain, dueling=False)
    features = torch.randn(5, 4)
    torch.testing.assert_close(head(features).flatten(1), head.advantage(features))


def gradients(model: nn.Module) -> dict[str, Tensor]:
    images = torch.rand(3, 1, 36, 36, generator=torch.Generator().manual_seed(1))
    loss = model(images).square().sum()
    found = torch.autograd.grad(loss, list(model.parameters()))
    return {name: gradient for (name, _), gradient in zip(model.named_parameters(), found, strict=True)}


def test_the_joint_gradient_into_the_encoder_is_scaled_once() -> None:
    whole, scaled = gradients(network(1.0)), gradients(network(2**-0.5))
    assert whole.keys() == scaled.keys()
    for name, gradient in whole.items():
        factor = 2**-0.5 if name.startswith("encoder.") else 1.0
        assert gradient.any()
        torch.testing.assert_close(scaled[name], factor * gradient)


def test_the_scale_changes_no_output() -> None:
    images = torch.rand(3, 1, 36, 36)
    assert torch.equal(network(1.0)(images), network(2**-0.5)(images))


@pytest.mark.parametrize(("kind", "least"), [("nature", 36), ("data_efficient", 25)])
def test_images_too_small_are_refused_in_a_sentence(kind: str, least: int) -> None:
    encoder = image_encoder(kind, 4)  # type: ignore[arg-type]
    assert features_of(encoder, (4, least, least)) == 64
    sentence = rf"^images of {least}x{least - 1} pixels are too small .*; {least}x{least} is the least$"
    with pytest.raises(UsageError, match=sentence):
        features_of(encoder, (4, least, least - 1))
