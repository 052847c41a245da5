"""Spectral normalisation: where it stands, and what becomes of it in training, edits and checkpoints."""

import io
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.layers import SpectralNorm as Normalised
from plastic.core.layers import matrices
from plastic.core.learning.learner import Learner
from plastic.core.schedule import At
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.spectral_norm import SpectralNorm
from plastic.plugins.modifiers.sam import SAM
from plastic.testing.compare import same
from plastic.testing.invariants import faults
from tests.core.layers.critics import Actor, Critic
from tests.plugins.learners import batch, learner_of, network, parameters, rainbow, train


def normalised(model: nn.Module) -> dict[str, Normalised]:
    return {path: module for path, module in model.named_modules() if isinstance(module, Normalised)}


def plain() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (network, {"head.value.0", "head.advantage.0"}),
        (Critic, {"trunk.0"}),
        (Actor, {"trunk.0"}),
        (plain, {"0"}),
    ],
)
def test_by_default_it_is_the_first_layer_behind_the_encoder(make: Any, expected: set[str]) -> None:
    assert normalised(SpectralNorm().build(make())).keys() == expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("head.*.2", {"head.value.2", "head.advantage.2"}),
        ("encoder.2+head.value.0", {"encoder.2", "head.value.0"}),
    ],
)
def test_layers_selects_by_path_outputs_too(layers: str, expected: set[str]) -> None:
    assert normalised(SpectralNorm(layers).build(network())).keys() == expected


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(NothingToActOn, match="spectral_norm: no layer matches layers=trunk"):
        SpectralNorm("trunk").build(network())
    with pytest.raises(NothingToActOn, match="spectral_norm: there is no hidden layer behind an encoder"):
        SpectralNorm().build(nn.Linear(3, 2))


def test_the_scale_of_the_weights_no_longer_matters() -> None:
    """The claim: the layer stays of norm one, however its weights grow."""
    torch.manual_seed(0)
    model = SpectralNorm("0").build(plain())
    x = torch.rand(5, 6)
    before = model(x)
    layer = model.get_submodule("0")
    with torch.no_grad():
        layer.get_parameter("weight").mul_(100.0)
    torch.testing.assert_close(model(x), before)


def vectors(model: nn.Module) -> list[Tensor]:
    return [buffer.clone() for layer in normalised(model).values() for buffer in layer.buffers(recurse=False)]


def test_the_vectors_advance_once_an_update_whatever_the_passes() -> None:
    ours, other = rainbow(SpectralNorm(), SAM()), rainbow(SpectralNorm())
    start = vectors(ours.model)
    for learner in (ours, other):
        learner.update(batch())
    assert all(map(torch.equal, vectors(ours.model), vectors(other.model)))
    assert not any(map(torch.equal, start, vectors(ours.model)))
    after = vectors(ours.model)
    ours.model(torch.rand(2, 4, 36, 36))  # acting in training mode
    assert all(map(torch.equal, after, vectors(ours.model)))


def test_the_power_iteration_follows_the_weights() -> None:
    random = torch.Generator().manual_seed(0)
    data = torch.randn(16, 6, generator=random), torch.randn(16, 2, generator=random)
    learner = learner_of(plain, *data, SpectralNorm("0+2"), optimizer=partial(torch.optim.SGD, lr=0.02))
    before = {path: layer.largest().detach() for path, layer in normalised(learner.model).items()}
    train(learner, 60)
    learner.optimizer.param_groups[0]["lr"] = 0.0
    train(learner, 40)
    for path, layer in normalised(learner.model).items():
        exact = torch.linalg.matrix_norm(matrices(layer).detach(), 2)
        torch.testing.assert_close(layer.largest().flatten(), exact, rtol=1e-2, atol=0)
        assert abs(before[path] - exact) > 0.02 * exact  # so it had something to follow
    assert faults(learner) == []


def test_copies_have_the_models_vectors_and_their_own_weights() -> None:
    learner = rainbow(SpectralNorm(), target_rate=0.1)
    train(learner, 2)
    assert all(map(torch.equal, vectors(learner.model), vectors(learner.copies["target"])))
    assert not torch.equal(
        learner.model.get_parameter("head.value.0.weight_mu"),
        learner.copies["target"].get_parameter("head.value.0.weight_mu"),
    )
    assert faults(learner) == []


def test_without_a_radius_sam_is_adam_bit_for_bit() -> None:
    ours, adam = rainbow(SpectralNorm(), SAM(rho=0.0, redraw="none")), rainbow(SpectralNorm())
    for learner in (ours, adam):
        train(learner, 3)
    assert same(parameters(ours.model), parameters(adam.model))


@pytest.mark.parametrize("injected", [False, True])
def test_after_a_reset_it_is_normalised_at_once(injected: bool) -> None:
    plugins: list[Any] = [SpectralNorm(), Reset(when=At(3))]
    if injected:
        plugins.append(PlasticityInjection(when=At(2)))
    learner = rainbow(*plugins)
    train(learner, 3)
    for network_ in (learner.model, learner.copies["target"]):
        layers = normalised(network_)
        assert len(layers) == (6 if injected else 2)
        for layer in layers.values():
            exact = torch.linalg.matrix_norm(matrices(layer).detach(), 2)
            torch.testing.assert_close(layer.largest().flatten(), exact, rtol=0.05, atol=0)
    if injected:  # the new head and its frozen copy are equal, so that they cancel
        head = learner.model.get_submodule("head")
        new, frozen = head.get_submodule("new"), head.get_submodule("new_frozen")
        assert same(dict(new.state_dict()), dict(frozen.state_dict()))
    train(learner, 1)
    assert faults(learner) == []


def test_an_injections_frozen_heads_stay_what_they_were() -> None:
    learner = rainbow(SpectralNorm(), PlasticityInjection(when=At(1)))
    train(learner, 1)
    features = torch.rand(3, 64)
    learner.model.eval()
    frozen = [learner.model.get_submodule(f"head.{name}") for name in ("old", "new_frozen")]
    before = [head(features).clone() for head in frozen]
    learner.model.train()
    train(learner, 3)
    learner.model.eval()
    assert all(torch.equal(head(features), value) for head, value in zip(frozen, before, strict=True))
    assert not torch.equal(learner.model.get_submodule("head.new")(features), before[1])


def test_a_checkpoint_holds_the_vectors() -> None:
    begin = partial(rainbow, SpectralNorm(), Reset(when=At(2)))
    straight, first = begin(), begin()
    train(straight, 4)
    train(first, 3)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second: Learner = begin()
    second.load_state_dict(torch.load(file, weights_only=True))
    second.clock.advance(updates=3)
    second.clock.tick()
    train(second, 1)
    assert same(dict(straight.model.state_dict()), dict(second.model.state_dict()))
