"""Normalize-and-Project: norms where layer_norm has them, and weights put back to the length they began with."""

import io
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.layers import CReLU, MemberNorm
from plastic.core.learning.learner import Learner
from plastic.core.recipes.addressing import Addressed, refuse_conflicts
from plastic.core.schedule import Always, At, Every
from plastic.core.units.unit_graph import unit_graph
from plastic.plugins.interventions.continual_backprop import ContinualBackprop
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.l2_init import L2Init
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.normalize_project import NormalizeProject
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.prune_dormant import PruneDormant
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.swa import SWA
from plastic.testing.compare import same
from plastic.testing.invariants import faults
from tests.core.layers.critics import Critic, pair
from tests.plugins.learners import batch, learner_of, moments, network, parameters, rainbow, train

NOW = NormalizeProject(when=Always(), affine="free")


def lengths(learner: Learner) -> dict[str, float]:
    weights = ("0.weight", "2.weight", "4.weight", "0.weight_mu")
    found = parameters(learner.model).items()
    return {name: float(p.norm()) for name, p in found if name.endswith(weights) and p.dim() > 1}


def project(learner: Learner) -> None:
    learner.clock.advance(updates=1)
    learner.edit()
    learner.clock.tick()


def grown(learner: Learner, factor: float = 3.0) -> None:
    """As if training had: every parameter, and those of the target, another times."""
    with torch.no_grad():
        for copy, times in ((learner.model, factor), (learner.copies["target"], 2 * factor)):
            for parameter in copy.parameters():
                parameter.mul_(times).add_(0.01)


@pytest.mark.parametrize("layers", ["whole", "encoder"])
@pytest.mark.parametrize("axes", ["channel", "image"])
@pytest.mark.parametrize("affine", ["project", "none"])
def test_norms_are_those_of_layer_norm(layers: str, axes: Any, affine: Any) -> None:
    ours = NormalizeProject(layers, axes, affine).build(network())
    theirs = LayerNorm(layers, axes, affine != "none").build(network())
    assert repr(ours) == repr(theirs)


def test_every_hidden_layer_has_the_length_it_began_with_and_output_layers_do_not() -> None:
    learner = rainbow(NormalizeProject(when=Every(3), affine="free"))
    first = lengths(learner)
    train(learner, 2)
    before = lengths(learner)
    train(learner, 1)
    after = lengths(learner)
    for name, length in after.items():
        assert before[name] != pytest.approx(first[name], rel=1e-6)
        hidden = not name.startswith("head") or "0.weight_mu" in name
        assert (length == pytest.approx(first[name], rel=1e-6)) == hidden
    assert faults(learner) == []


def test_what_the_network_computes_stays_the_same_in_every_copy() -> None:
    """Behind a norm the size of a layer does not matter: the claim that makes a projection harmless."""
    learner = rainbow(NormalizeProject(when=Always(), affine="free"))
    grown(learner)
    images = torch.rand(4, 4, 36, 36)
    networks = (learner.model, learner.copies["target"])
    before = [net(images) for net in networks]  # in training mode: with noise
    sizes = lengths(learner)
    project(learner)
    assert sizes != lengths(learner)
    for net, values in zip(networks, before, strict=True):
        torch.testing.assert_close(net(images), values, rtol=1e-3, atol=1e-3)


def test_without_it_the_step_shrinks_as_the_weights_grow_and_with_it_not() -> None:
    """The effective learning rate: how far one step of SGD turns the weights."""

    def turned(factor: float, *, projected: bool) -> float:
        random = torch.Generator().manual_seed(0)
        x, y = torch.randn(16, 5, generator=random), torch.randn(16, 2, generator=random)

        def make() -> nn.Module:
            return nn.Sequential(nn.Linear(5, 8, bias=False), nn.ReLU(), nn.Linear(8, 2))

        plugin = NormalizeProject(when=Always(), affine="none")
        learner = learner_of(make, x, y, plugin, optimizer=partial(torch.optim.SGD, lr=0.01))
        with torch.no_grad():
            learner.params["0.weight"].mul_(factor)
        if projected:
            project(learner)
        before = learner.params["0.weight"].detach().clone()
        learner.update((x, y))
        after = learner.params["0.weight"].detach()
        return 1 - float(torch.cosine_similarity(before.flatten(), after.flatten(), 0).double())

    assert turned(5.0, projected=False) < 0.1 * turned(1.0, projected=False)
    assert turned(5.0, projected=True) == pytest.approx(turned(1.0, projected=True), rel=0.05)


def test_each_member_has_a_length_of_its_own() -> None:
    inputs = pair()

    class Valued(Critic):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, inputs[1])

    learner = learner_of(Valued, inputs[0], None, NormalizeProject(when=Always()))
    first = learner.params["head.2.weight"].detach().flatten(1).norm(dim=1)
    norm = learner.model.get_submodule("head.3.0")
    assert isinstance(norm, MemberNorm)
    with torch.no_grad():
        learner.params["head.2.weight"][1].mul_(4.0)
        learner.params["head.3.0.weight"][1].mul_(2.0)
        learner.params["head.3.0.bias"][1].add_(1.0)
    before = learner.model(inputs[0]).detach()
    project(learner)
    torch.testing.assert_close(learner.params["head.2.weight"].detach().flatten(1).norm(dim=1), first)
    joint = torch.stack([learner.params[f"head.3.0.{name}"].detach() for name in ("weight", "bias")], 1)
    torch.testing.assert_close(joint.flatten(1).norm(dim=1), torch.full((2,), 6**0.5))
    torch.testing.assert_close(learner.model(inputs[0])[:, 0], before[:, 0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(learner.model(inputs[0])[:, 1], before[:, 1], rtol=1e-2)
    assert faults(learner) == []


@pytest.mark.parametrize("affine", ["project", "free"])
def test_scales_and_shifts_keep_their_joint_length_and_direction_if_asked(affine: Any) -> None:
    learner = rainbow(NormalizeProject(when=Always(), affine=affine))
    grown(learner)
    names = ("head.value.1.0.weight", "head.value.1.0.bias")
    before = torch.cat([parameters(learner.model)[name] for name in names])
    project(learner)
    after = torch.cat([parameters(learner.model)[name] for name in names])
    if affine == "free":
        assert torch.equal(before, after)
    else:
        assert after.norm().item() == pytest.approx(4.0, rel=1e-5)  # 16 ones
        torch.testing.assert_close(torch.cosine_similarity(before, after, 0), torch.tensor(1.0))
    target = torch.cat([learner.copies["target"].get_parameter(name).detach() for name in names])
    assert (target.norm().item() == pytest.approx(4.0, rel=1e-5)) == (affine == "project")


def test_moments_and_what_others_keep_stay() -> None:
    learner = rainbow(NormalizeProject(when=At(3), affine="free"), L2Init())
    origin = parameters(learner.copies["l2_init"])
    train(learner, 2)
    learner.clock.advance(updates=1)
    learner.update(batch())
    before = moments(learner, "encoder.0.weight")
    learner.edit()
    assert same(before, moments(learner, "encoder.0.weight"))
    for name, value in parameters(learner.copies["l2_init"]).items():
        torch.testing.assert_close(value, origin[name], rtol=1e-6, atol=0)


def test_nobody_begins_anew_by_a_projection() -> None:
    aging, watching = ContinualBackprop(when=Always(), maturity=100), PruneDormant(checks=100, when=Always())
    mean = SWA(when=Always())
    learner = rainbow(NormalizeProject(when=Always(), affine="free"), aging, watching, mean)
    train(learner, 5)
    assert mean.count == 5
    assert aging.ages is not None
    assert aging.ages.tolist() == [5] * len(aging.ages)
    assert watching.seen is not None
    assert watching.seen.tolist() == [5] * len(watching.seen)


def test_after_a_reset_the_length_is_that_of_the_new_draw() -> None:
    learner = rainbow(NormalizeProject(when=Every(2), affine="free"), Reset(layers="head", when=At(3)))
    first = lengths(learner)
    train(learner, 3)
    drawn = lengths(learner)
    train(learner, 1)
    for name, length in lengths(learner).items():
        if name.endswith("0.weight_mu"):
            assert length == pytest.approx(drawn[name], rel=1e-6)
            assert length != pytest.approx(first[name], rel=1e-4)
        elif name.startswith("encoder"):
            assert length == pytest.approx(first[name], rel=1e-6)


def test_after_shrink_and_perturb_and_an_injection_it_goes_on() -> None:
    plugins = NormalizeProject(when=Always()), ShrinkPerturb(when=At(1)), PlasticityInjection(when=At(2))
    learner = rainbow(*plugins)
    train(learner, 2)
    old = parameters(learner.model)
    train(learner, 2)
    now = parameters(learner.model)
    assert all(torch.equal(old[n], now[n]) for n in old if n.startswith(("head.old", "head.new_frozen")))
    torch.testing.assert_close(now["head.new.value.0.weight_mu"].norm(), old["head.new.value.0.weight_mu"].norm())
    assert faults(learner) == []


def test_with_crelu_norms_are_as_wide_as_the_layers() -> None:
    model = NormalizeProject().build(ConcatenatedReLU().build(network()))
    for units in unit_graph(model):
        assert isinstance(model.get_submodule(units.activation), CReLU)
        assert len(units.norms) == 1


def test_norms_of_the_network_are_taken_as_they_are() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))

    assert repr(NOW.build(make())) == repr(make())


def test_a_run_goes_on_exactly() -> None:
    def begin() -> Learner:
        return rainbow(NormalizeProject(when=Every(2)), Reset(when=At(3)))

    straight, first = begin(), begin()
    train(straight, 5)
    train(first, 3)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = begin()
    second.load_state_dict(torch.load(file, weights_only=True))
    second.clock.advance(updates=3)
    second.clock.tick()
    train(second, 2)
    assert same(parameters(straight.model), parameters(second.model))


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="normalize_project: no hidden layer matches layers=trunk"):
        NormalizeProject(layers="trunk").build(network())
    with pytest.raises(UsageError, match="'layer_norm' and 'normalize_project' both claim the normalisation"):
        refuse_conflicts([Addressed({"rainbow": LayerNorm()}), Addressed({"rainbow": NormalizeProject()})])
