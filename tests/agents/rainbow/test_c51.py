import math

import pytest
import torch
from torch import Tensor

from plastic.agents.rainbow.c51 import atoms, cross_entropy, expected, project
from plastic.core.errors import UsageError


def slow_projection(probabilities: Tensor, returns: Tensor, discount: Tensor, support: Tensor) -> Tensor:
    """Algorithm 1 as it is printed, atom by atom, in double precision, with the l == u case spelled out."""
    z = support.double().tolist()
    delta = (z[-1] - z[0]) / (len(z) - 1)
    result = torch.zeros(len(returns), len(z), dtype=torch.float64)
    for sample in range(len(returns)):
        for j, atom in enumerate(z):
            landed = float(returns[sample].double()) + float(discount[sample].double()) * atom
            b = (min(max(landed, z[0]), z[-1]) - z[0]) / delta
            lower, upper = math.floor(b), math.ceil(b)
            mass = float(probabilities[sample, j].double())
            if lower == upper:
                result[sample, lower] += mass
            else:
                result[sample, lower] += mass * (upper - b)
                result[sample, upper] += mass * (b - lower)
    return result


def distributions(count: int, size: int, seed: int) -> Tensor:
    return (3 * torch.randn(count, size, generator=torch.Generator().manual_seed(seed))).softmax(1)


@pytest.mark.parametrize(("v_min", "v_max", "count"), [(-10.0, 10.0, 51), (0.0, 200.0, 51), (-1.0, 3.0, 2)])
def test_projection_equals_the_loop_of_the_paper(v_min: float, v_max: float, count: int) -> None:
    generator = torch.Generator().manual_seed(1)
    support = atoms(v_min, v_max, count)
    probabilities = distributions(64, count, seed=2)
    returns = (v_max - v_min) * torch.randn(64, generator=generator)
    discount = torch.rand(64, generator=generator)
    discount[::5], discount[1::5] = 0.0, 1.0
    projected = project(probabilities, returns, discount, support)
    torch.testing.assert_close(
        projected.double(), slow_projection(probabilities, returns, discount, support), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(projected.sum(1), torch.ones(64))
    assert (projected >= 0).all()


def test_terminal_puts_all_mass_beside_the_return() -> None:
    support = atoms(-2.0, 2.0, 5)
    projected = project(distributions(1, 5, seed=0), torch.tensor([0.25]), torch.zeros(1), support)
    torch.testing.assert_close(projected, torch.tensor([[0.0, 0.0, 0.75, 0.25, 0.0]]))


@pytest.mark.parametrize(
    ("reward", "expected_place"),
    [(-2.0, 0), (-1.0, 1), (0.0, 2), (2.0, 4), (2.5, 4), (1e6, 4), (-2.5, 0), (-1e6, 0)],
)
def test_return_on_an_atom_or_outside_falls_on_one_atom_whole(reward: float, expected_place: int) -> None:
    support = atoms(-2.0, 2.0, 5)
    projected = project(distributions(1, 5, seed=0), torch.tensor([reward]), torch.zeros(1), support)
    wanted = torch.zeros(1, 5)
    wanted[0, expected_place] = 1
    torch.testing.assert_close(projected, wanted)


def test_without_reward_and_discount_nothing_moves() -> None:
    support = atoms(-10.0, 10.0, 51)
    probabilities = distributions(8, 51, seed=3)
    torch.testing.assert_close(project(probabilities, torch.zeros(8), torch.ones(8), support), probabilities)


def test_worked_by_hand() -> None:
    # Atoms 0, 1, 2 with mass .5, .25, .25 land on .5, 1, 1.5; half of the outer masses goes to each side.
    projected = project(torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([0.5]), torch.tensor([0.5]), atoms(0.0, 2.0, 3))
    torch.testing.assert_close(projected, torch.tensor([[0.25, 0.625, 0.125]]))


def test_mean_is_kept_inside_the_support() -> None:
    support = atoms(-10.0, 10.0, 51)
    probabilities = distributions(16, 51, seed=4)
    returns, discount = torch.linspace(-0.5, 0.5, 16), torch.full((16,), 0.9)
    mean = expected(project(probabilities, returns, discount, support), support)
    torch.testing.assert_close(mean, returns + discount * expected(probabilities, support))


def test_what_is_no_number_does_not_hide() -> None:
    projected = project(torch.full((1, 3), math.nan), torch.zeros(1), torch.ones(1), atoms(0.0, 2.0, 3))
    assert projected.isnan().any()


def test_cross_entropy_worked_by_hand() -> None:
    target = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    probabilities = torch.tensor([[0.25, 0.5, 0.25], [1.0, 1e-30, 1e-30]])
    losses = cross_entropy(target, probabilities.log())
    torch.testing.assert_close(losses, torch.tensor([1.5 * math.log(2), 0.0]))


def test_cross_entropy_of_a_match_is_the_entropy_and_least() -> None:
    target = distributions(4, 51, seed=5)
    entropy = torch.special.entr(target).sum(1)
    torch.testing.assert_close(cross_entropy(target, target.log()), entropy)
    assert (cross_entropy(target, distributions(4, 51, seed=6).log()) > entropy).all()


def test_atoms_include_both_ends() -> None:
    support = atoms(-10.0, 10.0, 51)
    assert support.shape == (51,)
    assert (support[0].item(), support[25].item(), support[-1].item()) == (-10.0, 0.0, 10.0)


@pytest.mark.parametrize(("v_min", "v_max", "count"), [(-1.0, 1.0, 1), (1.0, 1.0, 51), (2.0, 1.0, 51)])
def test_a_support_without_extent_is_refused(v_min: float, v_max: float, count: int) -> None:
    with pytest.raises(UsageError, match=r"atoms|below"):
        atoms(v_min, v_max, count)
