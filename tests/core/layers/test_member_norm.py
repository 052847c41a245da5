"""Layer norm of the members of an ensemble."""

import torch
from torch import nn

from plastic.core.layers import MemberNorm
from plastic.core.modules import reinitialised


def test_each_member_is_normalised_by_itself_with_its_own_scale_and_shift() -> None:
    torch.manual_seed(0)
    norm = MemberNorm(3, 5, eps=1e-3)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.normal_(1.0, 0.5)
    x = torch.randn(3, 5, 7).permute(2, 0, 1) * 3 + 1  # as an ensemble's outputs lie in memory
    assert norm.weight is not None
    assert norm.bias is not None
    for number in range(3):
        alone = nn.LayerNorm(5, eps=1e-3)
        alone.load_state_dict({"weight": norm.weight[number], "bias": norm.bias[number]})
        torch.testing.assert_close(norm(x)[:, number], alone(x[:, number]))


def test_without_scale_and_shift() -> None:
    norm = MemberNorm(2, 50, elementwise_affine=False)
    assert list(norm.parameters()) == []
    y = norm(torch.randn(4, 2, 50) * 5)
    torch.testing.assert_close(y.mean(2), torch.zeros(4, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(2, correction=0), torch.ones(4, 2), atol=1e-4, rtol=0)


def test_it_starts_as_torchs_does_and_can_be_drawn_anew() -> None:
    norm = MemberNorm(2, 3)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.fill_(7.0)
    reinitialised(norm)
    assert norm.weight is not None
    assert norm.bias is not None
    assert torch.equal(norm.weight, torch.ones(2, 3))
    assert torch.equal(norm.bias, torch.zeros(2, 3))
    assert repr(norm) == "MemberNorm(2, 3, eps=1e-06, elementwise_affine=True)"
