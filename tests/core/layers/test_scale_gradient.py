"""An identity with another gradient."""

import torch
from torch import nn

from plastic.core.layers import ScaleGradient, unscaled


def test_forward_is_the_identity_and_backward_is_scaled() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    y = ScaleGradient(0.25)(x)
    assert torch.equal(y, x)
    y.backward(torch.full((3, 2), 8.0))
    assert x.grad is not None
    assert torch.equal(x.grad, torch.full((3, 2), 2.0))


def test_it_scales_the_joint_gradient_of_two_streams_once() -> None:
    x = torch.ones(1, 2, requires_grad=True)
    shared = ScaleGradient(2**-0.5)(x)
    one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    (one(shared) + other(shared)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2**-0.5 * (one.weight + other.weight).detach())


def test_gradients_check_out_at_scale_one() -> None:
    assert torch.autograd.gradcheck(ScaleGradient(1.0), (torch.randn(3, dtype=torch.double, requires_grad=True),))


def test_an_unscaled_copy_has_the_derivative_of_what_it_computes() -> None:
    model = nn.Sequential(nn.Linear(3, 2), ScaleGradient(0.5), nn.Linear(2, 1))
    copy = unscaled(model)
    x = torch.randn(4, 3)
    assert torch.equal(copy(x), model(x))
    gradients = []
    for network in (model, copy):
        weight = network.get_parameter("0.weight")
        gradients.append(torch.autograd.grad(network(x).sum(), weight)[0])
    torch.testing.assert_close(gradients[1], 2 * gradients[0])
    assert not {id(p) for p in copy.parameters()} & {id(p) for p in model.parameters()}
    scale = model[1]
    assert isinstance(scale, ScaleGradient)
    assert scale.scale == 0.5  # the model is left as it was
