"""Padding as TensorFlow and Flax have it."""

import pytest
import torch
from torch import Tensor, nn

from plastic.core.layers import HalfTurn


def same(images: Tensor, weight: Tensor, bias: Tensor, stride: int = 2) -> Tensor:
    """SAME convolution pixel by pixel: ceil(n / stride) windows, the odd pixel of padding after the image."""
    batch, _, *sizes = images.shape
    kernel = weight.shape[2]
    counts = [-(-size // stride) for size in sizes]
    before = [max((count - 1) * stride + kernel - size, 0) // 2 for size, count in zip(sizes, counts, strict=True)]
    output = bias.view(1, -1, 1, 1).repeat(batch, 1, *counts)
    for row in range(counts[0]):
        for column in range(counts[1]):
            for y in range(kernel):
                for x in range(kernel):
                    at = row * stride - before[0] + y, column * stride - before[1] + x
                    if 0 <= at[0] < sizes[0] and 0 <= at[1] < sizes[1]:
                        output[:, :, row, column] += images[:, :, at[0], at[1]] @ weight[:, :, y, x].T
    return output


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (8, 7), (6, 9), (1, 2)])
def test_it_turns_padding_1_into_same_padding(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(3, 4, 3, stride=2, padding=1)]
    model = nn.Sequential(HalfTurn(), convolutions[0], nn.ReLU(), convolutions[1], HalfTurn())
    images = torch.randn(2, 2, *size)
    expected = images
    with torch.no_grad():
        for convolution in convolutions:
            assert convolution.bias is not None
            expected = same(
                expected.relu() if convolution is convolutions[1] else expected,
                convolution.weight.flip(2, 3),
                convolution.bias,
            )
        torch.testing.assert_close(model(images), expected)


def test_padding_1_alone_is_another_function_at_even_sizes() -> None:
    convolution, images = nn.Conv2d(2, 3, 3, stride=2, padding=1), torch.randn(2, 2, 8, 8)
    with torch.no_grad():
        assert convolution.bias is not None
        plain = same(images, convolution.weight, convolution.bias)
        assert (plain - convolution(images)).abs().max() > 0.1


def test_it_is_a_turn_by_180_degrees() -> None:
    images = torch.arange(6.0).view(1, 1, 2, 3)
    assert HalfTurn()(images).tolist() == [[[[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]]]
