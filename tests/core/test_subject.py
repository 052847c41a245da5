"""What a plugin may look at."""

from typing import Any

import pytest
import torch
from torch import Tensor

from plastic.core.schedule import Clock
from plastic.core.subject import Subject
from tests.core.stubs import Looking, Net, learner_with, train


def test_everything_is_asked_for_only_when_looked_at() -> None:
    asked: list[str] = []

    def asking(name: str, value: Any) -> Any:
        def ask(*arguments: Any) -> Any:
            asked.append(name)
            return value

        return ask

    model = Net()
    subject = Subject(
        model=model,
        copies={},
        clock=Clock(),
        generator=torch.Generator(),
        knobs={},
        fresh=asking("fresh", model),
        sample=asking("sample", 3),
        inputs=asking("inputs", (torch.zeros(1),)),
        losses=asking("losses", torch.ones(2)),
    )
    assert asked == []
    assert (subject.batch, subject.fresh()) == (3, model)
    assert len(subject.inputs) == 1
    assert subject.loss(model).shape == (2,)
    assert asked == ["sample", "fresh", "inputs", "losses"]
    with pytest.raises(AttributeError):
        subject.model = Net()  # type: ignore[misc]


def test_the_law_the_model_can_be_called_with_the_inputs() -> None:
    seen: list[Subject] = []

    def look(subject: Subject) -> dict[str, Tensor]:
        seen.append(subject)
        for model in (subject.model, subject.copies["target"], subject.fresh()):
            assert model(*subject.inputs).shape == (16, 2)
        return {}

    knobs: dict[str, float | int | bool] = {"discount": 0.9}
    learner = learner_with(Looking(look), knobs=knobs)
    train(learner, 1)
    (subject,) = seen
    assert subject.knobs == knobs
    assert subject.knobs is not knobs  # a look at them, not a hold on them
    assert subject.clock is learner.clock
