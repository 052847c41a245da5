"""Plasticity injection: nothing jumps, the right things learn afterwards, and it can be told when."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers.noisy import noises
from plastic.core.learning.learner import Learner
from plastic.core.recipes.options import build
from plastic.core.schedule import Always, At, Every, Never
from plastic.plugins.interventions.plasticity_injection import Injected, PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.sam import SAM
from tests.plugins.learners import batch, changed, gradients_at, moments, norm, parameters, rainbow, train

OBSERVATIONS = torch.rand(6, 4, 36, 36, generator=torch.Generator().manual_seed(0))


def trained(plugin: PlasticityInjection, *others: Any, updates: int = 4) -> Learner:
    learner = rainbow(plugin, *others)
    train(learner, updates)
    return learner


def inject(learner: Learner, plugin: PlasticityInjection) -> None:
    """Inject now, whatever the schedule."""
    learner.write(plugin.edits(learner._subject(plugin, batch)), by=plugin)


@torch.no_grad()
def outputs(learner: Learner, *, training: bool) -> list[Tensor]:
    """Of the model and of its target, in training mode on the noise at hand."""
    models = (learner.model, learner.copies["target"])
    found = [model.train(training)(OBSERVATIONS) for model in models]
    for model in models:
        model.train()
    return found


def trainable(learner: Learner) -> int:
    return sum(parameter.numel() for parameter in learner.model.parameters() if parameter.requires_grad)


def head(learner: Learner) -> Injected:
    injected = learner.model.get_submodule("head")
    assert isinstance(injected, Injected)
    return injected


# ------------------------------------------------------------------ the moment itself


@pytest.mark.parametrize("training", [True, False])
def test_the_output_is_the_same_right_after_as_right_before(training: bool) -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    before = outputs(learner, training=training)
    inject(learner, plugin)
    for then, now in zip(before, outputs(learner, training=training), strict=True):
        assert (then - now).abs().max() <= 1e-6
        assert now.abs().max() > 0.01
    learner.draw_noise()  # and it stays so on other noise: the pair shares its sample
    injected = head(learner).train(training)
    features = learner.model.get_submodule("encoder")(OBSERVATIONS)
    assert (injected(features) - injected.old(features)).abs().max() <= 1e-6


def test_the_target_gets_the_same_new_head() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    ours, target = parameters(learner.model), parameters(learner.copies["target"])
    assert ours.keys() == target.keys()
    different = changed(ours, target)
    assert not any("new" in name for name in different)
    assert {"head.old.value.0.weight_mu", "encoder.0.weight"} <= different  # what lagged before lags still


def test_the_number_of_trained_parameters_stays_and_the_heads_are_three() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    count = trainable(learner)
    size = sum(parameter.numel() for parameter in learner.model.get_submodule("head").parameters())
    inject(learner, plugin)
    assert trainable(learner) == count
    assert sum(parameter.numel() for parameter in head(learner).parameters()) == 3 * size


def test_the_new_head_is_a_new_draw_of_the_same_kind() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    old, new = parameters(head(learner).old), parameters(head(learner).new)
    assert {name: value.shape for name, value in old.items()} == {name: value.shape for name, value in new.items()}
    assert changed(old, new) == old.keys()
    assert new["value.0.weight_mu"].abs().max() <= 1 / 8  # 1 / sqrt(64 features)
    assert (new["value.0.weight_sigma"] == 0.5 / 8).all()


def test_the_pair_shares_one_noise_module_in_the_model_and_in_the_target() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    samples = set()
    for model in (learner.model, learner.copies["target"]):
        injected = model.get_submodule("head")
        assert isinstance(injected, Injected)
        assert injected.new_frozen is not None
        assert list(map(id, noises(injected.new))) == list(map(id, noises(injected.new_frozen)))
        assert not {*map(id, noises(injected.new))} & {*map(id, noises(injected.old))}
        samples |= {*map(id, noises(injected))}
    assert len(samples) == 2 * 8  # two streams of two layers, old and new; none shared with the target


# ------------------------------------------------------------------ afterwards


def test_afterwards_encoder_and_new_head_learn_and_nothing_else() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    before = parameters(learner.model)
    train(learner, 3)
    moved = changed(before, parameters(learner.model))
    assert moved == {name for name in before if name.startswith(("encoder.", "head.new."))}


def test_the_targets_frozen_heads_follow_like_any_parameter() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    name = "head.old.value.0.weight_mu"
    target, model = (m.get_parameter(name) for m in (learner.copies["target"], learner.model))
    distances = []
    for _ in range(3):
        distances.append((target - model).norm().item())
        train(learner, 1)
    assert distances[1] == pytest.approx(0.9 * distances[0], rel=1e-3)  # the rate is 0.1
    assert distances[2] == pytest.approx(0.9 * distances[1], rel=1e-3)


def test_the_gradient_reaches_the_encoder_through_all_three_terms() -> None:
    """At the injection the two new terms cancel, so it is the gradient from before; a detached term breaks that."""
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    given = learner.objective.augment(batch(), torch.Generator().manual_seed(0))
    before = gradients_at(learner, given)
    inject(learner, plugin)
    after = gradients_at(learner, given)
    injected = head(learner)
    for name in (name for name in after if name.startswith("encoder")):
        torch.testing.assert_close(after[name], before[name], rtol=1e-4, atol=1e-7)
    assert all(after[name].any() for name in after if name.startswith("head.new"))

    class Detached(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            assert injected.new_frozen is not None
            output: Tensor = injected.old(z) + injected.new(z) - injected.new_frozen(z.detach())
            return output

    learner.model.head = Detached()
    detached = gradients_at_encoder(learner, given)
    name = "encoder.4.weight"
    assert (detached[name] - before[name]).norm() > 0.1 * before[name].norm()


def gradients_at_encoder(learner: Learner, given: Any) -> dict[str, Tensor]:
    with torch.no_grad():
        target = learner.objective.target(learner.model, learner.copies, given)
    losses = learner.objective.losses(learner.model, given, target)
    encoder = dict(learner.model.get_submodule("encoder").named_parameters(prefix="encoder"))
    found = torch.autograd.grad((given.weight * losses).mean(), list(encoder.values()))
    return dict(zip(encoder, found, strict=True))


def test_the_optimizer_has_the_new_parameters_drops_the_old_and_keeps_the_rest() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    kept = {name: moments(learner, name) for name in learner.params if name.startswith("encoder")}
    inject(learner, plugin)
    learner.knobs["learning_rate"] = 0.5e-3
    held = [id(parameter) for group in learner.optimizer.param_groups for parameter in group["params"]]
    wanted = [id(parameter) for parameter in learner.model.parameters() if parameter.requires_grad]
    assert held == wanted
    assert {id(parameter) for parameter in learner.optimizer.state} <= set(wanted)
    for name, remembered in kept.items():
        assert all(torch.equal(value, remembered[key]) for key, value in moments(learner, name).items())
        assert float(remembered["step"]) == 4
    assert all(moments(learner, name) == {} for name in learner.params if name.startswith("head"))
    train(learner, 1)
    assert float(moments(learner, "head.new.value.0.weight_mu")["step"]) == 1
    assert float(moments(learner, "encoder.0.weight")["step"]) == 5


# ------------------------------------------------------------------ the paper's ablations


def test_without_the_third_term_the_output_jumps_by_the_new_head() -> None:
    plugin = PlasticityInjection(third_term=False, when=Never())
    learner = trained(plugin)
    before = outputs(learner, training=False)[0]
    inject(learner, plugin)
    after = outputs(learner, training=False)[0]
    assert (after - before).abs().max() > 0.01
    features = learner.model.get_submodule("encoder")(OBSERVATIONS)
    torch.testing.assert_close(after - before, head(learner).new.eval()(features), rtol=0, atol=1e-5)
    assert head(learner).new_frozen is None


def test_unfrozen_the_old_head_learns_on() -> None:
    plugin = PlasticityInjection(freeze=False, when=Never())
    learner = trained(plugin)
    count = trainable(learner)
    inject(learner, plugin)
    assert trainable(learner) > count
    before = parameters(learner.model)
    train(learner, 2)
    moved = changed(before, parameters(learner.model))
    assert moved == {name for name in before if not name.startswith("head.new_frozen.")}


def test_unfrozen_and_injected_again_the_frozen_copies_stay_frozen() -> None:
    plugin = PlasticityInjection(freeze=False, when=Never())
    learner = trained(plugin)
    inject(learner, plugin)
    inject(learner, plugin)
    before = parameters(learner.model)
    train(learner, 2)
    moved = changed(before, parameters(learner.model))
    assert moved == {name for name in before if "new_frozen" not in name}


def test_injected_again_the_sum_so_far_is_frozen() -> None:
    plugin = PlasticityInjection(when=Never())
    learner = trained(plugin)
    count = trainable(learner)
    inject(learner, plugin)
    train(learner, 2)
    before = outputs(learner, training=True)
    inject(learner, plugin)
    for then, now in zip(before, outputs(learner, training=True), strict=True):
        assert (then - now).abs().max() <= 1e-6
    assert trainable(learner) == count
    injected = head(learner)
    assert isinstance(injected.old, Injected)
    assert not isinstance(injected.new, Injected)
    values = parameters(learner.model)
    train(learner, 2)
    moved = changed(values, parameters(learner.model))
    assert moved == {name for name in values if name.startswith(("encoder.", "head.new."))}


def test_a_schedule_injects_again_and_again() -> None:
    plugin = PlasticityInjection(when=Every(2))
    learner = rainbow(plugin, total=6)
    train(learner, 6)
    assert plugin.injections == 2  # the run ends with the sixth update


# ------------------------------------------------------------------ when


def test_a_bare_number_is_once() -> None:
    plugin: PlasticityInjection = build(PlasticityInjection, {"when": 2}, "plasticity_injection")
    assert plugin.when == At(2)
    train(rainbow(plugin), 5)
    assert plugin.injections == 1


def test_most_bounds_the_injections() -> None:
    plugin = PlasticityInjection(most=2, when=Always())
    train(rainbow(plugin), 5)
    assert plugin.injections == 2


@pytest.mark.parametrize(("factor", "injections"), [(1.9, 0), (2.1, 1)])
def test_the_norm_trigger_fires_when_the_head_has_grown_so_many_times(factor: float, injections: int) -> None:
    plugin = PlasticityInjection(trigger="weight_norm", threshold=2.0, when=Always())
    learner = trained(plugin, updates=1)
    assert plugin.injections == 0
    with torch.no_grad():
        for name, parameter in learner.params.items():
            if name.startswith("head"):
                parameter.mul_(factor)  # in place of much training
    train(learner, 1)
    assert plugin.injections == injections
    train(learner, 2)  # the new head has its own norm to start from
    assert plugin.injections == injections


def test_the_norm_trigger_measures_what_is_trained() -> None:
    plugin = PlasticityInjection(trigger="weight_norm", threshold=2.0, when=Never())
    learner = trained(plugin)
    new = [learner.params[name] for name in learner.params if name.startswith("head")]
    torch._foreach_mul_([parameter.data for parameter in new], 2.1)
    inject(learner, plugin)
    assert plugin.norm is not None
    trained_now = [p.detach() for name, p in learner.params.items() if name.startswith("head.new.")]
    assert float(plugin.norm) == pytest.approx(norm(trained_now), rel=1e-5)
    inject(learner, plugin)
    assert plugin.injections == 1  # the frozen head is large, the new one has not grown
    torch._foreach_mul_([learner.params[name].data for name in learner.params if name.startswith("head")], 2.1)
    inject(learner, plugin)
    assert plugin.injections == 2


def test_the_norm_trigger_measures_from_the_last_reset() -> None:
    plugin = PlasticityInjection(trigger="weight_norm", threshold=2.0, when=Never())
    reset = Reset(when=Never())
    learner = trained(plugin, reset, updates=1)
    assert plugin.norm is not None
    first = plugin.norm.clone()
    learner.params["head.value.0.weight_mu"].data.mul_(3)
    learner.write(reset.edits(learner._subject(reset, batch)), by=reset)
    assert not torch.equal(plugin.norm, first)
    assert float(plugin.norm) == pytest.approx(float(first), rel=0.05)


@pytest.mark.parametrize(("bias", "injections"), [(10.0, 0), (-10.0, 1)])
def test_the_activity_trigger_fires_when_few_units_are_active(bias: float, injections: int) -> None:
    plugin = PlasticityInjection(trigger="active_units", threshold=0.1, most=1, when=Always())
    learner = rainbow(plugin)
    with torch.no_grad():
        for stream in ("value", "advantage"):
            learner.params[f"head.{stream}.0.bias_mu"].fill_(bias)
    train(learner, 1)
    assert plugin.injections == injections


@pytest.mark.parametrize("module", ["head.value", "head.advantage"])
def test_the_activity_trigger_looks_at_its_own_module(module: str) -> None:
    plugin = PlasticityInjection(module=module, trigger="active_units", threshold=0.1, most=1, when=Always())
    learner = rainbow(plugin)
    with torch.no_grad():
        learner.params["head.value.0.bias_mu"].fill_(-10.0)
        learner.params["head.advantage.0.bias_mu"].fill_(10.0)
    train(learner, 1)
    assert plugin.injections == (module == "head.value")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"module": "haed"}, "plasticity_injection: no module 'haed'; did you mean 'head'"),
        ({"module": "head.*"}, "plasticity_injection: no module"),
        ({"module": ""}, "plasticity_injection: no module"),
        (
            {"module": "head.value.2", "trigger": "active_units"},
            "has no hidden layer that can be off, for trigger=active_units",
        ),
        ({"trigger": "weight_norm", "threshold": 1}, "threshold must be above 1"),
        ({"trigger": "active_units", "threshold": 1.5}, "threshold must be between 0 and 1"),
        ({"threshold": 2}, "trigger=time has no threshold"),
    ],
)
def test_what_it_cannot_do_is_refused_before_the_first_update(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rainbow(build(PlasticityInjection, options, "plasticity_injection"))


# ------------------------------------------------------------------ elsewhere


@pytest.mark.parametrize("module", ["head.value", "encoder", "encoder.2"])
def test_another_module_can_be_injected(module: Literal["head.value", "encoder", "encoder.2"]) -> None:
    plugin = PlasticityInjection(module=module, when=Never())
    learner = trained(plugin)
    before = outputs(learner, training=True)
    inject(learner, plugin)
    for then, now in zip(before, outputs(learner, training=True), strict=True):
        assert (then - now).abs().max() <= 1e-5
    train(learner, 1)


def test_a_checkpoint_builds_the_heads_again() -> None:
    plugin, again = PlasticityInjection(when=At(2)), PlasticityInjection(when=At(2))
    learner = trained(plugin)
    other = rainbow(again)
    other.load_state_dict(learner.state_dict())
    assert changed(parameters(learner.model), parameters(other.model)) == set()
    assert again.injections == 1
    assert len(noises(other.model)) == len(noises(learner.model)) == 8
    other.clock.advance(updates=4)
    other.clock.tick()
    for one, two in zip(train(learner, 2), train(other, 2), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Reset(layers="head.value"), "reset: no parameters match 'head.value'; the network has encoder, head"),
        (SAM(scope="encoder+head.value"), None),
        (SAM(scope="head.value"), "sam: no trained parameter matches scope=head.value"),
    ],
)
def test_what_it_moved_away_from_under_another_plugin_is_said_at_once(other: Reset | SAM, words: str | None) -> None:
    learner = rainbow(PlasticityInjection(when=At(2)), other)
    if words is None:
        train(learner, 3)
        return
    with pytest.raises(UsageError) as caught:
        train(learner, 3)
    assert learner.updates == 2
    option = "layers" if isinstance(other, Reset) else "scope"
    assert str(caught.value) == (
        f"{words}; plasticity_injection has replaced 'head', and what was in it has other paths now: "
        f"write {option}=head*.value, which holds before and after"
    )


def test_a_selection_that_holds_before_and_after_is_accepted() -> None:
    learner = rainbow(PlasticityInjection(when=At(2)), Reset(layers="head*.value", when=At(3)))
    train(learner, 4)
    assert learner.updates == 4
