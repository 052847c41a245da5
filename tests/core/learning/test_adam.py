"""Adam against PyTorch's, bit by bit."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from plastic.core.learning.adam import Adam

STEPS = 5


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (5,), (), (2, 3, 2))]


def give_gradients(parameters: list[nn.Parameter], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for place, parameter in enumerate(parameters):
        # the second one has none every other time
        parameter.grad = None if place == 1 and seed % 2 else torch.randn(parameter.shape, generator=random)


@pytest.mark.parametrize("lr", [3e-3, torch.tensor(3e-3)], ids=["number", "tensor"])
def test_it_is_pytorchs_bit_by_bit(lr: float | Tensor) -> None:
    ours, theirs = parameters(), parameters()
    settings = {"lr": lr, "betas": (0.8, 0.99), "eps": 1e-3}
    mine = Adam([{"params": ours[:2]}, {"params": ours[2:]}], **settings)  # type: ignore[arg-type]
    other = torch.optim.Adam([{"params": theirs[:2]}, {"params": theirs[2:]}], fused=True, **settings)  # type: ignore[arg-type]
    for step in range(STEPS):
        for optimizer, given in ((mine, ours), (other, theirs)):
            give_gradients(given, step)
            optimizer.step()
        for one, two in zip(ours, theirs, strict=True):
            assert torch.equal(one, two)
            assert mine.state[one].keys() == other.state[two].keys()
            for name, value in mine.state[one].items():
                assert torch.equal(value, other.state[two][name])
                assert value.dtype == other.state[two][name].dtype
    assert not torch.equal(ours[0], parameters()[0])


def test_either_takes_up_where_the_other_stopped() -> None:
    straight, changing = parameters(), parameters()
    whole = Adam(straight)
    optimizer: torch.optim.Optimizer = Adam(changing)
    for step in range(STEPS):
        give_gradients(straight, step)
        whole.step()
        give_gradients(changing, step)
        optimizer.step()
        saved = deepcopy(optimizer.state_dict())
        optimizer = torch.optim.Adam(changing, fused=True) if step % 2 == 0 else Adam(changing)
        optimizer.load_state_dict(saved)
    for one, two in zip(straight, changing, strict=True):
        assert torch.equal(one, two)


def test_without_gradients_nothing_is_kept_and_nothing_moves() -> None:
    held = parameters()
    optimizer = Adam(held)
    optimizer.step()
    assert not optimizer.state
    for one, two in zip(held, parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_closure_is_differentiated_and_its_loss_returned() -> None:
    (weight,) = held = [nn.Parameter(torch.ones(3))]
    optimizer = Adam(held, lr=0.1)

    def closure() -> float:
        loss = weight.square().sum()
        (weight.grad,) = torch.autograd.grad(loss, [weight])
        return float(loss.detach())

    assert optimizer.step(closure) == 3.0
    torch.testing.assert_close(weight.detach(), torch.full((3,), 0.9))
