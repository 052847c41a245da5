"""Recording on a CPU."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from plastic.core.errors import UsageError
from plastic.core.recording.programs import Programs


def test_a_recording_repeats_what_was_done_on_what_was_there() -> None:
    total, step = torch.zeros(3), torch.ones(3)

    def work() -> Tensor:
        total.add_(step * 2)
        return total.view(3, 1).sum(0)

    recording = Programs().record(work, ())
    assert total.tolist() == [2, 2, 2]
    assert recording.first.item() == 6
    assert recording.replay().item() == 12
    assert total.tolist() == [4, 4, 4]
    step.fill_(5)
    assert recording.replay().item() == 42
    assert total.tolist() == [14, 14, 14]


def test_gradients_and_what_is_made_new_are_repeated() -> None:
    weight, inputs = torch.tensor([2.0, 3.0], requires_grad=True), torch.tensor([1.0, 1.0])
    given = torch.zeros(2)

    def work() -> None:
        (gradient,) = torch.autograd.grad((weight * inputs).square().tanh().sum(), weight)
        given.copy_(torch.zeros(2).add_(gradient))

    recording = Programs().record(work, ())
    for value in (1.0, 0.3, 0.1):
        inputs.fill_(value)
        recording.replay()
        replayed = given.clone()
        work()
        assert torch.equal(given, replayed)
        assert given.any()


def test_views_made_before_and_within_are_views_of_the_same_memory() -> None:
    matrix = torch.arange(6.0).view(2, 3)

    def work() -> tuple[Tensor, Tensor]:
        made = matrix * 2
        made[0].zero_()
        return made.view(-1)[:2], matrix[1]

    recording = Programs().record(work, ())
    matrix.add_(1)
    made, view = recording.replay()
    assert made.tolist() == [0, 0]
    assert view.data_ptr() == matrix[1].data_ptr()


def test_nothing_of_a_time_is_kept_for_the_next() -> None:
    """Neither the tensors in between nor the history of what was there."""
    weight = torch.ones(1_000, requires_grad=True)
    seen: list[weakref.ref[Tensor]] = []

    def work() -> Tensor:
        between = weight * 3
        seen.append(weakref.ref(between))
        return between.sum().detach()

    recording = Programs().record(work, ())
    gc.collect()
    assert seen[0]() is None
    assert recording.replay().item() == 3_000


def test_numbers_of_python_stay_as_they_were_and_draws_go_on() -> None:
    numbers, generator, drawn = [1.0], torch.Generator().manual_seed(0), torch.zeros(4)

    def work() -> Tensor:
        torch.nn.init.uniform_(drawn, generator=generator)
        return torch.ones(1) * numbers[0]

    recording = Programs().record(work, [generator])
    first = drawn.clone()
    numbers[0] = 7.0
    assert recording.replay().item() == 1.0
    expected = torch.Generator().manual_seed(0)
    assert torch.equal(first, torch.rand(4, generator=expected))
    assert torch.equal(drawn, torch.rand(4, generator=expected))


def test_an_argument_may_be_named_as_a_word_of_python_is() -> None:
    drawn, generator = torch.zeros(50), torch.Generator().manual_seed(0)

    def work() -> Tensor:
        torch.ops.aten.random_(drawn, **{"from": 3, "to": 9}, generator=generator)
        return drawn * 1

    recording = Programs().record(work, [generator])
    assert not torch.equal(recording.first, recording.replay())
    assert set(drawn.tolist()) <= {3, 4, 5, 6, 7, 8}


def test_what_a_graph_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="waits for the device"):
        Programs().record(lambda: float(torch.ones(()) + 1), ())
    with pytest.raises(UsageError, match="draws from a generator that a recorded update cannot have"):
        Programs().record(lambda: torch.rand(2, generator=torch.Generator()), [torch.Generator()])
