"""Spectrally normalised layers: the largest singular value of what they compute, and what advances when."""

from collections.abc import Callable
from copy import deepcopy
from functools import singledispatch

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from plastic.core.errors import UsageError
from plastic.core.layers import (
    Conv2d,
    EnsembleLinear,
    LecunNormal,
    Linear,
    NoisyLinear,
    SpectralNorm,
    matrices,
    members,
    resized,
    spectrally_normalised,
    width,
)
from plastic.core.layers.spectral_norm import _Divided
from plastic.core.units.known_modules import is_layer
from tests.core.layers.critics import RELU

MAKES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(7, 5),
    "initialised": lambda: Linear(7, 5, init=RELU),
    "without bias": lambda: nn.Linear(7, 5, bias=False),
    "noisy": lambda: NoisyLinear(7, 5),
    "ensemble": lambda: EnsembleLinear(3, 7, 5),
    "convolution": lambda: nn.Conv2d(2, 5, 3, stride=2, padding=1),
    "initialised convolution": lambda: Conv2d(2, 5, 3, padding=1, init=LecunNormal()),
}
every_kind = pytest.mark.parametrize("kind", MAKES)


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return MAKES[kind]()


@singledispatch
def inputs(layer: nn.Module) -> Tensor:
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(0))


@inputs.register
def _(layer: nn.Conv2d) -> Tensor:
    return torch.randn(4, 2, 6, 6, generator=torch.Generator().manual_seed(0))


def reference(layer: nn.Module, plain: nn.Module) -> nn.Module:
    """`plain` with its means divided by their largest singular value, exactly."""
    for name, parameter in plain.named_parameters():
        if name in ("weight", "weight_mu"):
            largest = torch.linalg.matrix_norm(matrices(plain).detach(), 2)
            with torch.no_grad():
                parameter.div_(largest.reshape(-1, *[1] * (parameter.dim() - 1)))
    return plain


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_it_computes_with_weights_of_largest_singular_value_one(kind: str, training: bool) -> None:
    layer, plain = made(kind).train(training), made(kind).train(training)
    if isinstance(layer, NoisyLinear):
        for noisy in (layer, plain):
            for buffer, value in zip(noisy.get_submodule("noise").buffers(), (0.5, -2.0), strict=True):
                buffer.fill_(value)
    normalised = spectrally_normalised(layer)
    assert isinstance(normalised, SpectralNorm)
    for _ in range(200):
        normalised.advance()
    x = inputs(layer)
    torch.testing.assert_close(normalised(x), reference(layer, plain)(x), rtol=1e-4, atol=1e-4)


def test_members_may_read_one_input_or_their_own() -> None:
    layer = spectrally_normalised(made("ensemble"))
    x = inputs(layer)
    torch.testing.assert_close(layer(x), layer(x.unsqueeze(1).expand(-1, 3, -1)))
    assert layer(x).shape == (4, 3, 5)


@every_kind
def test_its_gradient_is_that_of_the_quotient(kind: str) -> None:
    """Scaling the weights changes nothing, so the gradient is at right angles to them."""
    layer = spectrally_normalised(made(kind)).eval()
    assert isinstance(layer, SpectralNorm)
    layer(inputs(layer)).square().sum().backward()
    weight = layer.get_parameter("weight_mu" if isinstance(layer, NoisyLinear) else "weight")
    assert weight.grad is not None
    assert weight.grad.norm() > 0.1
    held = weight.detach()
    assert abs(float((weight.grad * held).sum())) < 1e-3 * float(weight.grad.norm() * held.norm())


@every_kind
def test_it_stays_a_layer_of_its_kind_with_its_names(kind: str) -> None:
    layer = made(kind)
    names, sizes = [name for name, _ in layer.named_parameters()], width(layer)
    normalised = spectrally_normalised(layer)
    assert normalised is layer
    assert spectrally_normalised(layer) is layer
    assert type(layer).__name__.startswith("SpectralNorm")
    assert isinstance(layer, type(made(kind)))
    assert [name for name, _ in layer.named_parameters()] == names
    assert width(layer) == sizes
    assert is_layer(layer)
    assert members(layer) == (3 if kind == "ensemble" else 1)
    assert isinstance(layer.get_parameter(names[0]), nn.Parameter)
    assert not isinstance(resized(layer, 3, 2), SpectralNorm)


def test_no_pass_advances_anything() -> None:
    layer = spectrally_normalised(made("linear"))
    before = [buffer.clone() for buffer in layer.buffers()]
    layer.train()(inputs(layer))
    assert all(map(torch.equal, before, layer.buffers()))
    layer.advance()  # type: ignore[operator]
    assert not any(map(torch.equal, before, layer.buffers()))


def test_one_step_finds_what_a_power_iteration_finds() -> None:
    layer = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
    normalised = spectrally_normalised(layer)
    assert isinstance(normalised, SpectralNorm)
    normalised.left.copy_(torch.tensor([[0.6, 0.8]]))
    normalised.advance()
    right = torch.tensor([1.8, 3.2])  # W'u
    left = torch.tensor([3 * 1.8, 4 * 3.2])
    torch.testing.assert_close(normalised.right[0], right / right.norm())
    torch.testing.assert_close(normalised.left[0], left / left.norm())
    torch.testing.assert_close(
        normalised.largest(), (left / left.norm()) @ torch.tensor([[3.0, 0], [0, 4]]) @ (right / right.norm())
    )


@every_kind
def test_drawn_anew_it_is_normalised_again_and_alike_for_alike_weights(kind: str) -> None:
    layer = spectrally_normalised(made(kind))
    assert isinstance(layer, SpectralNorm)
    before = layer.largest()
    torch.manual_seed(5)
    layer.reset_parameters()
    exact = torch.linalg.matrix_norm(matrices(layer).detach(), 2)
    torch.testing.assert_close(layer.largest().flatten(), exact, rtol=0.05, atol=0)
    if kind != "initialised":  # orthogonal: always alike
        assert not torch.equal(before, layer.largest())
    copy = deepcopy(layer)
    for _ in range(3):
        copy.advance()
    assert not torch.equal(copy.right, layer.right) or kind == "initialised"
    copy.settle()
    assert torch.equal(copy.left, layer.left)
    assert torch.equal(copy.right, layer.right)


def test_weights_that_vanish_give_zeros_and_no_nan() -> None:
    layer = spectrally_normalised(nn.Linear(3, 2, bias=False))
    assert isinstance(layer, SpectralNorm)
    with torch.no_grad():
        layer.get_parameter("weight").zero_()
    layer.settle()
    assert torch.equal(layer(torch.ones(2, 3)), torch.zeros(2, 2))


def test_other_weights_can_be_given_to_it() -> None:
    layer = spectrally_normalised(made("linear"))
    x = inputs(layer)
    other = functional_call(layer, {"weight": 5 * layer.get_parameter("weight")}, x)
    torch.testing.assert_close(other, layer(x))


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no rule for the matrix of Bilinear; register one with matrices\.register"):
        spectrally_normalised(nn.Bilinear(2, 2, 2))


def test_the_written_gradient_of_a_divided_matrix_is_autograds_and_can_be_differentiated() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(4, 6, dtype=torch.double, requires_grad=True)
    left, right = torch.randn(4, dtype=torch.double).abs(), torch.randn(6, dtype=torch.double)
    right = torch.sign(left @ matrix.detach() @ right) * right  # so that sigma is not at its least value
    weights = torch.randn(4, 6, dtype=torch.double)

    def ours(matrix: Tensor) -> Tensor:
        divided: Tensor = _Divided.apply(matrix, left, right)  # type: ignore[no-untyped-call]
        return divided

    theirs = matrix / (left @ matrix @ right)
    torch.testing.assert_close(ours(matrix), theirs)
    for made, wanted in zip(
        torch.autograd.grad((ours(matrix) * weights).sum(), matrix),
        torch.autograd.grad((theirs * weights).sum(), matrix),
        strict=True,
    ):
        torch.testing.assert_close(made, wanted)
    assert torch.autograd.gradgradcheck(ours, matrix)


def test_where_a_matrix_vanishes_sigma_is_a_constant_to_the_gradient_as_clamp_has_it() -> None:
    matrix, ones = torch.zeros(4, 6, dtype=torch.double, requires_grad=True), torch.ones(6, dtype=torch.double)
    made = _Divided.apply(matrix, ones[:4], ones)  # type: ignore[no-untyped-call]
    theirs = matrix / (ones[:4] @ matrix @ ones).clamp(min=1e-12)
    (gradient,), (wanted,) = torch.autograd.grad(made.sum(), matrix), torch.autograd.grad(theirs.sum(), matrix)
    torch.testing.assert_close(gradient, wanted)
