"""Gradients of single samples: each layer against one backward pass for each sample."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from plastic.core.errors import UsageError
from plastic.core.layers import ChannelNorm, EnsembleLinear, MemberNorm, NoisyLinear
from plastic.core.learning import per_sample as module
from plastic.core.learning.per_sample import Squares, per_sample, sample_gradients

BATCH = 5
LINES, IMAGES = (4, 9), (4, 9, 8)
MakeLayer = Callable[[], nn.Module]


def losses_of(*inputs: Tensor) -> Callable[[nn.Module], Tensor]:
    """Losses of each sample that bend everywhere."""

    def losses(model: nn.Module) -> Tensor:
        output = model(*inputs).flatten(1)
        bent: Tensor = (output + output.square() * torch.arange(1, output.shape[1] + 1)).tanh().sum(1)
        return bent

    return losses


def drawn(*shape: int) -> Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(7))


def one_after_the_other(model: nn.Module, losses: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """By as many backward passes as there are samples."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    values = losses(model)
    rows = [torch.autograd.grad(one, list(trained.values()), retain_graph=True, allow_unused=True) for one in values]
    return {
        name: torch.stack([one.square().sum() for row in rows if (one := row[place]) is not None])
        for place, name in enumerate(trained)
        if rows[0][place] is not None
    }


def check(model: nn.Module, losses: Callable[[nn.Module], Tensor]) -> None:
    model.eval()
    found, wanted = sample_gradients(model, losses), one_after_the_other(model, losses)
    assert list(found) == list(wanted)
    for name, squares in wanted.items():
        torch.testing.assert_close(found[name], squares, rtol=1e-4, atol=1e-9)
    assert not any(part._forward_hooks for part in model.modules())
    assert all(p.grad is None for p in model.parameters())


def changed(layer: nn.Module) -> nn.Module:
    """With parameters that are neither 0 nor 1."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.3)
    return layer


LAYERS: dict[str, tuple[MakeLayer, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(4, 3), (4,)),
    "without bias": (lambda: nn.Linear(4, 3, bias=False), (4,)),
    "tokens": (lambda: nn.Linear(4, 3), (6, 4)),
    "few tokens, wide": (lambda: nn.Linear(20, 30), (2, 20)),
    "noisy": (lambda: NoisyLinear(4, 3), (4,)),
    "ensemble that shares": (lambda: EnsembleLinear(2, 4, 3), (4,)),
    "ensemble": (lambda: EnsembleLinear(2, 4, 3), (2, 4)),
    "convolution": (lambda: nn.Conv2d(4, 3, 3), IMAGES),
    "strides, dilation, padding": (lambda: nn.Conv2d(4, 3, (3, 2), (2, 1), (1, 0), (2, 1)), IMAGES),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1), IMAGES),
    "same size, in a circle": (lambda: nn.Conv2d(4, 3, 4, padding="same", padding_mode="circular"), IMAGES),
    "few pixels": (lambda: nn.Conv2d(4, 16, (8, 8)), IMAGES),
    "lines": (lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1, bias=False), LINES),
    "nobody knows": (lambda: nn.ConvTranspose2d(4, 3, 3), IMAGES),
    "layer norm": (lambda: nn.LayerNorm(4), (4,)),
    "layer norm of two axes": (lambda: nn.LayerNorm((3, 4)), (2, 3, 4)),
    "channel norm": (lambda: ChannelNorm(4), IMAGES),
    "member norm": (lambda: MemberNorm(2, 4), (2, 4)),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGES),
    "statistics": (lambda: nn.BatchNorm2d(4), IMAGES),
    "slopes": (lambda: nn.PReLU(4), (4,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer(name: str) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(0)
    check(nn.Sequential(changed(make()), nn.Tanh()), losses_of(drawn(*shape)))


def test_a_layer_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENTRIES", 2 * 56 * 36 + 400)  # two images at a time, and then one
    check(nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU()), losses_of(drawn(9, 10).unsqueeze(1).expand(-1, 4, -1, -1)))


def test_activations_in_place_do_not_deceive() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(126, 3), nn.ELU(inplace=True)
    )
    check(model, losses_of(drawn(*IMAGES)))


def test_frozen_and_unreached_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), NoisyLinear(3, 3)).eval()
    model[0].bias.requires_grad_(False)
    assert set(sample_gradients(model, losses_of(drawn(4)))) == {"0.weight", "2.weight_mu", "2.bias_mu"}


class Twice(nn.Module):
    """A layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x).tanh())  # type: ignore[no-any-return]


class Tied(nn.Module):
    """One weight in two layers, one scale of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).tanh()) * self.scale  # type: ignore[no-any-return]


class Elsewhere(nn.Module):
    """A layer whose weight is read behind its back, too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh() + F.linear(x, self.layer.weight)  # type: ignore[no-any-return]


class Doubled(nn.Linear):
    """Inherits what is known of linear layers, and is none."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(2 * x)


class ByName(nn.Module):
    """A layer that is called by a name."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Doubled(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x=x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "make",
    [Twice, Tied, Elsewhere, lambda: nn.Sequential(Doubled(4, 3)), ByName, lambda: spectral_norm(nn.Linear(4, 3))],
    ids=["twice", "tied", "elsewhere", "subclass", "by name", "spectral norm"],
)
def test_uses_that_a_rule_for_layers_would_get_wrong(make: MakeLayer) -> None:
    torch.manual_seed(0)
    check(make(), losses_of(drawn(4)))


def test_targets_computed_on_the_way_do_not_count() -> None:
    model = nn.Sequential(nn.Linear(4, 3))

    def losses(model: nn.Module) -> Tensor:
        with torch.no_grad():
            target = model(drawn(4) + 1)
        losses: Tensor = (model(drawn(4)) - target).square().sum(1)
        return losses

    check(model, losses)


def test_a_layer_of_ones_own_can_be_made_known() -> None:
    class Mine(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).mul(3)

    asked: list[Any] = []

    def rule(layer: Mine, inputs: tuple[Tensor, ...], gradient: Tensor) -> Squares:
        asked.append(layer)
        return {"weight": 9 * gradient.square().sum(1) * inputs[0].square().sum(1)}  # and nothing of the bias

    model = nn.Sequential(Mine(4, 3))
    check(model, losses_of(drawn(4)))
    assert not asked
    per_sample.register(Mine, rule)
    check(model, losses_of(drawn(4)))
    assert asked == [model[0]]


def test_a_rule_that_is_wrong_is_found_out_and_not_believed() -> None:
    class Wrong(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    per_sample.register(Wrong, lambda layer, inputs, gradient: {"weight": gradient.square().sum(1)})
    check(nn.Sequential(Wrong(1, 3)), losses_of(drawn(1)))


class Mixing(nn.Module):
    """Less the mean of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


def test_samples_that_mix_are_refused() -> None:
    with pytest.raises(UsageError, match=r"single sample cannot be differentiated by 0\.weight"):
        sample_gradients(nn.Sequential(nn.Linear(4, 3), Mixing()), losses_of(drawn(4)))
    with pytest.raises(UsageError, match="cannot be differentiated by weight"):
        sample_gradients(nn.Linear(4, 3), lambda model: losses_of(drawn(4))(model).mean().expand(BATCH))


def test_what_is_not_finite_is_passed_on() -> None:
    layer = nn.Linear(4, 3)
    model = nn.Sequential(layer)
    with torch.no_grad():
        layer.weight.fill_(float("nan"))
    assert all(squares.isnan().all() for squares in sample_gradients(model, losses_of(drawn(4))).values())
