"""Layer norm over channels."""

import pytest
import torch

from plastic.core.layers import ChannelNorm


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_each_pixel_is_normalised_over_its_channels(memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = (torch.randn(2, 8, 3, 5) * 4 + 1).to(memory_format=memory_format)
    norm = ChannelNorm(8, eps=1e-6)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    mean = x.mean(1, keepdim=True)
    deviation = (x - mean).square().mean(1, keepdim=True).add(1e-6).sqrt()
    expected = (x - mean) / deviation * norm.weight.view(8, 1, 1) + norm.bias.view(8, 1, 1)
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("shape", [(2, 8, 5), (2, 8, 3, 2, 4)])
def test_of_signals_and_volumes_each_point_is(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    norm = ChannelNorm(8)
    torch.testing.assert_close(norm(x).flatten(2), norm(x.flatten(2).unsqueeze(-1)).squeeze(-1))
    torch.testing.assert_close(norm(x).mean(1), torch.zeros(shape[:1] + shape[2:]), atol=1e-6, rtol=0)


def test_without_scale_and_shift() -> None:
    norm = ChannelNorm(8, elementwise_affine=False)
    assert list(norm.parameters()) == []
    y = norm(torch.randn(2, 8, 3, 3) * 5)
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(2, 3, 3), atol=1e-4, rtol=0)
