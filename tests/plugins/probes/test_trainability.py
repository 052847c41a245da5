"""How far a network fits random targets: by hand, against a loop of torch's Adam, and for networks that cannot."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.core.schedule import Always, At
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.probes.trainability import Trainability
from tests.plugins.learners import Parts, assert_it_only_looks, learner_of, linear, measure, rainbow

STEPS, LR = 3, 0.01


def probed(model: nn.Module, inputs: Tensor, probe: Trainability, seed: int = 0) -> dict[str, float]:
    return measure(learner_of(lambda: model, inputs, None, probe, seed=seed))


def test_one_step_by_hand() -> None:
    """y = b, noise n: the first step of Adam goes lr towards n, so the loss is ((|n| - lr) / n)^2, one sample."""

    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)
            with torch.no_grad():
                self.layer.weight.zero_()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(0 * x)  # type: ignore[no-any-return]

    losses = {lr: probed(Constant(), torch.ones(1, 1), Trainability(1, lr, when=Always())) for lr in (0.01, 0.02)}
    size = 0.01 / (1 - losses[0.01]["trainability/loss"] ** 0.5)  # |n|, the same for both
    assert losses[0.02]["trainability/loss"] == pytest.approx((1 - 0.02 / size) ** 2, rel=1e-3)
    assert losses[0.02]["trainability/fresh"] == pytest.approx(losses[0.02]["trainability/loss"], rel=1e-4)


def test_it_is_a_loop_of_adam_on_the_networks_own_outputs_plus_noise() -> None:
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(6, 4)
    noise = torch.randn(6, 2)
    copy = deepcopy(model)
    targets = copy(inputs).detach() + noise
    optimizer = torch.optim.Adam(copy.parameters(), LR)
    first = F.mse_loss(copy(inputs), targets)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.mse_loss(copy(inputs), targets).backward()
        optimizer.step()
    got = Trainability(STEPS, LR, when=Always()).fitted(deepcopy(model), (inputs,), noise)
    torch.testing.assert_close(got, F.mse_loss(copy(inputs), targets).detach() / first.detach())


def test_a_network_whose_units_are_dead_has_lost_what_a_new_one_has() -> None:
    dead = Parts(nn.Sequential(linear([[1.0], [1.0]], [-9.0, -9.0]), nn.ReLU()), linear([[1.0, 1.0]]))
    model = [dead]

    def make() -> nn.Module:  # the first time the dead one; then new ones
        return model.pop() if model else Parts(nn.Sequential(nn.Linear(1, 16), nn.ReLU()), nn.Linear(16, 1))

    inputs = torch.linspace(-1, 1, 8)[:, None]
    learner = learner_of(make, inputs, torch.zeros(8, 1), Trainability(100, 0.05, when=Always()))
    measured = measure(learner)
    # what is left is the bias of the output, which fits the mean of the noise alone
    assert measured["trainability/loss"] > 0.7
    assert measured["trainability/relative"] > 1.5
    assert measured["trainability/relative"] == pytest.approx(
        measured["trainability/loss"] / measured["trainability/fresh"]
    )


def test_a_new_network_is_as_trainable_as_a_new_one() -> None:
    measured = measure(rainbow(Trainability(steps=20, when=Always())))
    assert 0 < measured["trainability/loss"] < 1
    assert measured["trainability/relative"] == pytest.approx(1.0, abs=0.1)


def test_each_option_is_live_and_the_stream_decides() -> None:
    options = {"steps": 4, "lr": 0.01, "samples": 6}

    def loss(seed: int = 0, **changes: float) -> float:
        probe = Trainability(**{**options, **changes}, when=Always())  # type: ignore[arg-type]
        return measure(rainbow(probe, seed=seed))["trainability/loss"]

    base = loss()
    assert loss() == base
    assert base not in {loss(steps=5), loss(lr=0.02), loss(samples=5), loss(seed=1)}
    assert loss(steps=30) < base


def test_the_frozen_heads_of_an_injection_stay_frozen() -> None:
    learner = rainbow(PlasticityInjection(when=At(1)), Trainability(steps=3, when=Always()))
    measure(learner)
    assert 0 < measure(learner)["trainability/loss"] < 1


def test_it_only_looks() -> None:
    assert_it_only_looks(Trainability(steps=2, samples=4, when=Always()))
