"""That the comparisons the plugins' tests rest on can fail."""

from collections.abc import Callable, Mapping

import pytest
import torch
from attrs import frozen
from torch import Tensor

from plastic.core.probe import Probe
from plastic.core.schedule import Always, Schedule
from plastic.core.subject import Subject
from tests.plugins.learners import assert_it_only_looks, differences, rainbow, state, train


@frozen(eq=False)
class Meddling(Probe):
    """Measures nothing, and does what a probe must not do."""

    name = "meddling"
    fault: Callable[[Subject], object]
    when: Schedule = Always()

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        with torch.no_grad():
            self.fault(subject)
        return {"nothing": torch.zeros(())}


def _with_a_gradient(parameter: Tensor) -> None:
    parameter.grad = torch.zeros_like(parameter)


FAULTS: dict[str, Callable[[Subject], object]] = {
    "writes a weight": lambda subject: subject.model.get_parameter("head.value.2.bias_mu").add_(1e-6),
    "writes a copy's weight": lambda subject: subject.copies["target"].get_parameter("encoder.0.bias").add_(1e-6),
    "draws noise": lambda subject: subject.model.get_buffer("head.value.0.noise.inputs").normal_(),
    "leaves a hook": lambda subject: subject.model.register_forward_hook(lambda *_: None),
    "leaves a gradient": lambda subject: _with_a_gradient(subject.model.get_parameter("encoder.0.bias")),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_probe_that_meddles_is_found_out(fault: Callable[[Subject], object]) -> None:
    with pytest.raises(AssertionError):
        assert_it_only_looks(Meddling(fault))


def test_a_probe_may_draw_from_the_global_generator() -> None:
    assert_it_only_looks(Meddling(lambda subject: torch.randn(3)))


def test_learners_of_one_seed_are_the_same_and_of_two_are_not() -> None:
    one, same, other = rainbow(seed=1), rainbow(seed=1), rainbow(seed=2)
    for learner in (one, same, other):
        train(learner, 2)
    assert differences(state(one), state(same)) == set()
    assert {"model/encoder.0.weight", "noise"} <= differences(state(one), state(other))
