"""What reset, injection and SAM do to SAC's networks, and which of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from plastic.agents.sac.sac import SAC
from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.recipes.addressing import learners_of
from plastic.core.schedule import At, Every
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.sam import SAM
from plastic.testing.compare import cloned, near, same
from plastic.testing.invariants import faults
from tests.agents.actor_critic.handwritten import Draws
from tests.agents.actor_critic.trial import ACTIONS, Trial, weights

PLACES = [pytest.param(False, id="states"), pytest.param(True, id="pixels")]
NETWORKS = ("critic", "actor")
ALL = ("critic", "actor", "temperature")


def on(learners: Sequence[str], make: Any) -> Mapping[str, Sequence[Plugin]]:
    """An instance of a plugin for each of the learners."""
    return {name: [make()] for name in learners}


def remembered(trial: Trial) -> dict[str, dict[str, Tensor]]:
    """What the optimizers remember, by learner and parameter, copied."""
    return {
        f"{name}.{path}": cloned(learner.optimizer.state[parameter])
        for name, learner in trial.agent.learners.items()
        for path, parameter in learner.params.items()
    }


# -------------------------------------------------------------------- reset


@pytest.mark.parametrize(
    ("pixels", "address", "kept"),
    [
        # table of A6: from pixels all but the convolutions, of critic, target and the actor's copy; from states all
        pytest.param(True, None, "encoder", id="pixels"),
        pytest.param(False, None, "nothing", id="states"),
        pytest.param(True, "critic", "encoder", id="pixels, the critic alone"),
        pytest.param(False, "actor+temperature", "nothing", id="states, all but the critic"),
    ],
)
def test_a_reset_touches_this_and_nothing_else(pixels: bool, address: str | None, kept: str) -> None:
    learners = learners_of(Reset, address, SAC)
    assert learners == ([*ALL] if address is None else address.split("+"))
    trial = Trial(pixels=pixels, plugins=on(learners, lambda: Reset(when=At(4))), initial_temperature=0.1)
    trial.warm_up().run(3)
    trial.update()
    before, moments, replay = weights(trial), remembered(trial), len(trial.batch(1000).index.unique())
    alpha = trial.alpha
    assert alpha != pytest.approx(0.1, abs=1e-5)
    trial.tend()
    after = weights(trial)
    assert after.keys() == before.keys()
    fresh = 0
    for name, tensor in before.items():
        learner, which, path = name.split(".", 2)
        untouched = learner not in learners or which == "actor_encoder" or path.startswith("encoder.")
        if untouched:
            assert same(after[name], tensor), f"{name} was changed"
        elif path.endswith("bias") or path == "trunk.1.weight":
            assert torch.equal(after[name], torch.full_like(tensor, float(path == "trunk.1.weight")))
        else:
            assert not torch.isclose(after[name], tensor).any(), f"some of {name} was kept"
            fresh += 1
        if which == "target" and not untouched:
            assert same(after[name], after[f"critic.model.{path}"]), f"the target's {name} is another one"
        if which == "target" and path.startswith("encoder.") and pixels:
            assert not same(after[name], after[f"critic.model.{path}"])  # its own slow copy, as before
    assert fresh > 0
    for name, state in remembered(trial).items():
        learner, path = name.split(".", 1)
        if learner not in learners or path.startswith("encoder."):
            assert same(state, moments[name])
            assert int(state["step"]) == 4
        else:
            assert not any(value.any() for value in state.values()), f"the optimizer remembers {name}"
    if "temperature" in learners:
        assert trial.alpha == pytest.approx(0.1)
    else:
        assert trial.alpha == alpha
    assert (kept == "encoder") == any(name.startswith("critic.model.encoder.") for name in before)
    assert len(trial.batch(1000).index.unique()) == replay > 30
    assert [faults(learner) for learner in trial.agent.learners.values()] == [[], [], []]
    trial.act()
    trial.run()
    assert [faults(learner) for learner in trial.agent.learners.values()] == [[], [], []]


def test_what_is_drawn_anew_is_drawn_from_the_layers_own_distribution() -> None:
    trial = Trial(pixels=True, plugins=on(ALL, lambda: Reset(when=Every(3)))).warm_up().run(3)
    for learner in (trial.critic, trial.actor):
        assert not learner.params["trunk.0.bias"].any()
        assert torch.equal(learner.params["trunk.1.weight"], torch.ones(50))
        assert not learner.params["trunk.1.bias"].any()
    for weight in (*trial.critic.params["head.2.weight"], trial.actor.params["head.2.weight"]):
        torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(8), atol=1e-5, rtol=0)
    first = cloned(dict(trial.actor.model.named_parameters()))
    trial.run(6)
    assert not torch.isclose(trial.actor.params["head.0.weight"], first["head.0.weight"]).all()
    assert not trial.actor.params["head.0.bias"].any()


# -------------------------------------------------------------------- plasticity injection


@pytest.mark.parametrize("pixels", PLACES)
@pytest.mark.parametrize("address", [None, "actor"])
def test_an_injection_changes_no_output_and_only_the_new_head_and_what_feeds_it_learn_on(
    address: str | None, pixels: bool
) -> None:
    (injected,) = learners_of(PlasticityInjection, address, SAC)
    assert injected == (address or "critic")
    trial = Trial(pixels=pixels, plugins=on([injected], lambda: PlasticityInjection(when=At(3)))).warm_up().run(2)
    other = "actor" if injected == "critic" else "critic"
    trial.update()
    drawn = trial.drawn(32)
    before, moments, trained = outputs(trial, drawn), remembered(trial), len(trial.agent.learners[injected].params)
    trial.tend()
    after = outputs(trial, drawn)
    for name, values in before.items():
        torch.testing.assert_close(after[name], values, rtol=0, atol=1e-6)
    learner = trial.agent.learners[injected]
    here = {name if name.startswith("head") else name.split(".")[0] for name in learner.params}
    body = {"critic": {"encoder", "trunk"}, "actor": {"trunk"}}[injected] if pixels else set()
    assert here == {f"head.new.{k}.{what}" for k in (0, 2, 4) for what in ("weight", "bias")} | body
    assert len(learner.params) == trained
    heads = [learner.model.get_submodule("head")]
    if injected == "critic":
        heads.append(learner.copies["target"].get_submodule("head"))
    for head in heads:
        assert [name for name, _ in head.named_children()] == ["old", "new", "new_frozen"]
        new = dict(head.get_submodule("new").named_parameters())
        assert same(new, dict(heads[0].get_submodule("new").named_parameters()))
        assert same(new, dict(head.get_submodule("new_frozen").named_parameters()))
    assert {name.split(".")[0] for name in trial.agent.learners[other].params} <= {"encoder", "trunk", "head"}
    assert not any("new" in name for name in trial.agent.learners[other].params)
    for name, state in remembered(trial).items():
        assert same(state, {} if "head.new." in name else moments[name])  # of all else the moments stay
    start = weights(trial)
    trial.act()
    trial.run(6)
    frozen = [f"{injected}.model.head.{part}." for part in ("old", "new_frozen")]
    for name, tensor in weights(trial).items():
        if name.startswith(tuple(frozen)):
            assert same(tensor, start[name]), f"{name} is frozen"
    moved = {name for name, tensor in weights(trial).items() if not same(tensor, start[name])}
    assert {f"{injected}.model.{path}" for path in learner.params} <= moved
    assert [faults(learner) for learner in trial.agent.learners.values()] == [[], [], []]


def outputs(trial: Trial, drawn: Any) -> dict[str, Tensor]:
    """Of all networks on the same transitions."""
    with torch.no_grad():
        features = trial.critic.copies["actor_encoder"](drawn.observation)
        return {
            "critic": trial.critic.model(drawn.observation, drawn.action),
            "target": trial.critic.copies["target"](drawn.observation, drawn.action),
            "actor": trial.actor.model(features),
        }


# -------------------------------------------------------------------- SAM


def test_sam_acts_on_networks_and_on_the_temperature_never() -> None:
    assert learners_of(SAM, None, SAC) == ["critic", "actor"]
    assert learners_of(SAM, "both", SAC) == ["critic", "actor"]
    assert learners_of(SAM, "all", SAC) == ["critic", "actor"]
    assert learners_of(SAM, "actor", SAC) == ["actor"]
    with pytest.raises(UsageError, match=r"temperature is a single number; use critic or actor$"):
        learners_of(SAM, "critic+temperature", SAC)


RHO = 0.3


def first_and_second(learner: Learner, batch: Any, target: Any, rho: float) -> tuple[dict[str, Tensor], ...]:
    """Gradients at the weights, and at the weights + rho g / |g|, the norm one over the whole network; by autograd."""
    params = {name: parameter.detach().clone().requires_grad_() for name, parameter in learner.params.items()}

    def at(params: dict[str, Tensor]) -> dict[str, Tensor]:
        def model(*inputs: Tensor) -> Tensor:
            output: Tensor = functional_call(learner.model, params, inputs)
            return output

        scalar = learner.objective.losses(model, batch, target).mean()  # type: ignore[arg-type]
        return dict(zip(params, torch.autograd.grad(scalar, list(params.values())), strict=True))

    first = at(params)
    norm = torch.cat([gradient.flatten() for gradient in first.values()]).norm()
    moved = {n: (p + rho * first[n] / norm).detach().requires_grad_() for n, p in params.items()}
    return first, at(moved)


@pytest.mark.parametrize("pixels", PLACES)
@pytest.mark.parametrize("address", ["critic", "actor", "both"])
def test_sam_steps_with_the_gradient_at_the_moved_weights_of_the_learners_it_is_on(
    address: str, pixels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Adam remembers after a first step is a tenth of what it stepped with."""
    with_sam = learners_of(SAM, address, SAC)
    draws = Draws(monkeypatch)
    trial = Trial(pixels=pixels, plugins=on(with_sam, lambda: SAM(rho=RHO)), initial_temperature=0.2).warm_up()
    other = Trial(pixels=pixels, initial_temperature=0.2).warm_up()
    trial.update()
    batch = draws.batches[0]
    with torch.no_grad():
        target = other.critic.objective.target(other.critic.model, other.critic.copies, batch)
    gradients = {"critic": first_and_second(other.critic, batch, target, RHO)}
    # the actor climbs the critic as the critic's step has left it
    other.critic.load_state_dict(trial.critic.state_dict() | {"names": [], "plugins": []})
    stream = torch.Generator()
    seen = other.actor.objective.augment(batch, stream)._replace(noise=draws.noise[0])
    gradients["actor"] = first_and_second(other.actor, seen, None, RHO)
    for name, (first, second) in gradients.items():
        stepped = second if name in with_sam else first
        assert max(float((first[path] - second[path]).abs().max()) for path in first) > 1e-3
        learner = trial.agent.learners[name]
        for path, parameter in learner.params.items():
            mean = learner.optimizer.state[parameter]["exp_avg"]
            assert near(mean * 10, stepped[path], 1e-3, 1e-4), f"{name} {path}"
    if "critic" in with_sam and pixels:  # the encoder is the critic's: it moves, and steps with what is found there
        first, second = gradients["critic"]
        assert all(not torch.allclose(first[path], second[path]) for path in first if path.startswith("encoder."))
    # plain Adam on alpha (entropy - H), whatever the others have
    loss: Any = trial.actor.objective
    gradient = 0.2 * (-loss.log_probability.mean() + 0.5 * ACTIONS)
    state = trial.temperature.optimizer.state[trial.temperature.params["log_alpha"]]
    torch.testing.assert_close(state["exp_avg"] * 10, gradient, rtol=1e-4, atol=1e-6)
    assert float(trial.temperature.params["log_alpha"].detach()) == pytest.approx(
        np.log(0.2) - 3e-3 * np.sign(float(gradient)), abs=1e-5
    )


def test_with_encoder_grad_the_encoder_alone_steps_with_the_moved_weights_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = Draws(monkeypatch)
    trial = Trial(pixels=True, plugins={"critic": [SAM(rho=RHO, scope="encoder_grad")]}).warm_up()
    other = Trial(pixels=True).warm_up()
    trial.update()
    with torch.no_grad():
        target = other.critic.objective.target(other.critic.model, other.critic.copies, draws.batches[0])
    first, second = first_and_second(other.critic, draws.batches[0], target, RHO)
    for path, parameter in trial.critic.params.items():
        mean = trial.critic.optimizer.state[parameter]["exp_avg"] * 10
        encoder = path.startswith("encoder.")
        assert near(mean, (second if encoder else first)[path], 1e-3, 1e-4), path
        assert not near(mean, (first if encoder else second)[path], 1e-3, 1e-4), path


def test_with_sam_the_temperature_learns_from_the_actor_as_it_is() -> None:
    entropies = []
    for sam in ([SAM(rho=RHO)], []):
        trial = Trial(pixels=False, plugins={"actor": sam}).warm_up()
        trial.update()
        loss: Any = trial.actor.objective
        entropies.append(loss.log_probability)
    assert torch.equal(*entropies), "of the first pass, not of the one at the moved weights"
