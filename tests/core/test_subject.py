"""What a plugin may look at."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.learning.learner import Learner
from plastic.core.plugin import NEEDS
from plastic.core.schedule import Clock, Every
from plastic.core.subject import Subject
from tests.core.stubs import Fit, Looking, Net, Widen, learner_with, noisy_net, norm_net, train


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
        initial=asking("initial", model),
        policy=asking("policy", torch.zeros(1)),
        values=asking("values", (torch.zeros(1), torch.ones(1))),
    )
    assert asked == []
    assert (subject.batch, subject.fresh()) == (3, model)
    assert len(subject.inputs) == 1
    assert subject.loss(model).shape == (2,)
    assert subject.initial() is model
    assert subject.policy(model, subject.inputs) == 0
    assert [float(value) for value in subject.values(model)] == [0, 1]
    assert asked == ["sample", "fresh", "inputs", "losses", "initial", "inputs", "policy", "values"]
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


def looking_back() -> tuple[Looking, dict[str, Tensor]]:
    """A probe, and the model as it was at first when it last looked."""
    was: dict[str, Tensor] = {}

    def look(subject: Subject) -> dict[str, Tensor]:
        was.clear()
        was.update(subject.initial().state_dict())
        return {}

    return Looking(look), was


@pytest.mark.parametrize("make", [Net, noisy_net, norm_net])
def test_the_model_as_it_was_at_first_is_rebuilt_bit_for_bit(make: Callable[[], nn.Module]) -> None:
    probe, was = looking_back()
    learner = learner_with(probe, make=make, seed=3)
    before = {name: value.clone() for name, value in learner.model.state_dict().items() if "noise" not in name}
    train(learner, 3)
    assert all(torch.equal(was[name], value) for name, value in before.items())
    assert any(not torch.equal(learner.model.state_dict()[name], value) for name, value in before.items())


def test_what_was_replaced_since_is_there_as_it_was_when_it_was_new() -> None:
    """Also where a checkpoint of it was loaded, and what the model has learnt since does not matter."""

    def make() -> tuple[Learner, dict[str, Tensor]]:
        probe, was = looking_back()
        return learner_with(Widen(when=Every(2)), probe, seed=1), was

    learner, seen = make()
    first = {name: value.clone() for name, value in learner.model.state_dict().items()}
    new: list[Tensor] = []
    for _ in range(2):
        train(learner, 2)
        new.append(learner.params["head.1.weight"].clone())
    resumed, seen_later = make()
    resumed.load_state_dict(learner.state_dict())
    resumed.clock.now, resumed.clock.before = learner.clock.now, learner.clock.before
    for one, was in ((learner, seen), (resumed, seen_later)):
        train(one, 1)
        assert was.keys() == one.model.state_dict().keys()
        assert torch.equal(was["encoder.0.weight"], first["encoder.0.weight"])
        assert torch.equal(was["head.0.0.0.weight"], first["head.0.weight"])  # twice wrapped
        assert torch.equal(was["head.0.1.weight"], new[0])
        assert torch.equal(was["head.1.weight"], new[1])


def test_what_an_objective_does_not_offer_is_refused_at_the_start() -> None:
    class Policies(Fit):
        def policy(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
            outputs: Tensor = model(*inputs)
            return outputs.argmax(1)

    class Acting(Looking):
        name = "acting"
        needs = frozenset({"policy"})

    def look(subject: Subject) -> dict[str, Tensor]:
        return {"action": subject.policy(subject.model, subject.inputs)[0]}

    with pytest.raises(NothingToActOn, match="acting needs a policy, and fit has none") as caught:
        learner_with(Acting(look))
    assert caught.value.learner == "fit"
    (measured,) = train(learner_with(Acting(look), objective=Policies()), 1)
    assert int(measured["acting/action"]) in (0, 1)
    for what in NEEDS - {"weights"}:  # which it has
        assert not Fit().offers(what)
    with pytest.raises(NotImplementedError, match="Fit offers no policy"):
        Fit().policy(Net(), ())
    with pytest.raises(NotImplementedError, match="Fit offers no values"):
        Fit().values(Net(), None, None)


def test_a_probe_may_refuse_a_network_at_the_start_and_after_a_replace() -> None:
    class Refusing(Looking):
        name = "refusing"

        def start(self, model: nn.Module) -> None:
            if isinstance(model.get_submodule("head").get_submodule("0"), nn.Linear):
                raise NothingToActOn("the head is bare")

    def look(subject: Subject) -> dict[str, Tensor]:
        return {}

    with pytest.raises(NothingToActOn, match="refusing: the head is bare"):
        learner_with(Refusing(look))

    class Accepting(Looking):
        name = "accepting"

        def start(self, model: nn.Module) -> None:
            if isinstance(model.get_submodule("head").get_submodule("0"), nn.Sequential):
                raise NothingToActOn("the head is wrapped")

    with pytest.raises(NothingToActOn, match="accepting: the head is wrapped"):
        train(learner_with(Accepting(look), Widen(when=Every(2))), 2)
