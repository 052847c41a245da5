"""The squashed Gaussian against torch.distributions."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from plastic.agents.sac import squashed

BATCH, ACTIONS = 200, 3


def given(scale: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Outputs of a network and noise; `scale` is how large the outputs are."""
    random = torch.Generator().manual_seed(0)
    outputs = scale * torch.randn(BATCH, 2 * ACTIONS, generator=random, dtype=dtype)
    return outputs.requires_grad_(), torch.randn(BATCH, ACTIONS, generator=random, dtype=dtype)


def theirs(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The same by PyTorch's classes, which remember what an action came from."""
    mean, raw = outputs[:, :ACTIONS], outputs[:, ACTIONS:]
    deviation = (-10 + 6 * (1 + raw.tanh())).exp()
    transform = TanhTransform(cache_size=1)
    action = transform(mean + deviation * noise)
    density = TransformedDistribution(Normal(mean, deviation, validate_args=False), [transform], validate_args=False)
    return action, density.log_prob(action).sum(1)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_actions_and_log_densities_are_torchs_and_so_are_their_gradients(scale: float) -> None:
    outputs, noise = given(scale)
    (action, log_probability), (their_action, theirs_) = squashed.sample(outputs, noise), theirs(outputs, noise)
    assert action.shape == (BATCH, ACTIONS)
    assert log_probability.shape == (BATCH,)
    torch.testing.assert_close(action, their_action, rtol=0, atol=1e-8)
    torch.testing.assert_close(log_probability, theirs_, rtol=0, atol=1e-8)
    for ours, other in ((action, their_action), (log_probability, theirs_)):
        weight = torch.arange(ours.numel(), dtype=torch.float64).view_as(ours).cos()
        gradient, expected = (
            torch.autograd.grad((weight * one).sum(), outputs, retain_graph=True)[0] for one in (ours, other)
        )
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-8)
        assert gradient.any()


def test_a_density_adds_up_to_1() -> None:
    noise = torch.linspace(-8, 8, 20_001, dtype=torch.float64)[:, None]
    outputs = torch.tensor([[0.4, 0.55]], dtype=torch.float64).repeat(len(noise), 1)
    action, log_probability = squashed.sample(outputs, noise)
    total = torch.trapezoid(log_probability.exp(), action[:, 0])
    assert float(total) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("size", [1.0, 1e2, 1e4, 1e6])
def test_nothing_overflows_at_extreme_outputs(size: float) -> None:
    signs = torch.tensor([[a, b, c] for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0) for c in (-1.0, 0.0, 1.0)])
    outputs = (size * signs[:, :2]).requires_grad_()
    action, log_probability = squashed.sample(outputs, 6 * signs[:, 2:])
    (gradient,) = torch.autograd.grad(log_probability.sum() + action.sum(), outputs)
    for tensor in (action, log_probability, gradient):
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all()
    assert action.abs().max() <= 1


def test_where_tanh_is_1_the_digits_are_kept() -> None:
    """log(1 - tanh^2) computed from tanh is -inf from u = 9 on; it is 2 (log 2 - u) there."""
    u = torch.tensor([[-40.0], [12.0], [40.0]])
    outputs = torch.cat((u, torch.zeros(3, 1)), 1)
    _, log_probability = squashed.sample(outputs, torch.zeros(3, 1))
    expected = 4 - math.log(2 * math.pi) / 2 - 2 * (math.log(2) - u[:, 0].abs())  # log sigma is -4 at raw 0
    torch.testing.assert_close(log_probability, expected, rtol=1e-6, atol=0)


def test_the_log_deviation_is_bounded_smoothly() -> None:
    raw = torch.tensor([-1e4, -1.0, 0.0, 0.5, 1e4], dtype=torch.float64, requires_grad=True)
    mean, log_deviation = squashed.parameters(torch.stack((raw.detach() * 3, raw), 1))
    assert torch.equal(mean[:, 0], raw.detach() * 3)
    wanted = [-10.0, -10 + 6 * (1 + math.tanh(-1)), -4.0, -10 + 6 * (1 + math.tanh(0.5)), 2.0]
    torch.testing.assert_close(log_deviation[:, 0].tolist(), wanted)
    (gradient,) = torch.autograd.grad(log_deviation.sum(), raw)
    torch.testing.assert_close(gradient[1:4].tolist(), [6 * (1 - math.tanh(x) ** 2) for x in (-1.0, 0.0, 0.5)])
    random = torch.randn(1_000, 2, generator=torch.Generator().manual_seed(0)) * 10
    bounded = squashed.parameters(random)[1]
    assert bounded.min() >= -10
    assert bounded.max() <= 2


def test_the_mode_is_the_squashed_mean() -> None:
    outputs, _ = given()
    torch.testing.assert_close(squashed.mode(outputs), outputs[:, :ACTIONS].tanh())
    torch.testing.assert_close(
        squashed.mode(outputs), squashed.sample(outputs, torch.zeros(BATCH, ACTIONS).double())[0]
    )
