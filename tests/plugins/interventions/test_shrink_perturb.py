"""Shrink and perturb: both forms, their ends, one noise for all copies, and what the optimizer keeps."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.recipes.options import build
from plastic.core.schedule import At, Every, Never
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from tests.plugins.learners import batch, changed, differences, moments, parameters, rainbow, state, train


def applied(plugin: ShrinkPerturb, *others: Any, updates: int = 3) -> tuple[Learner, dict[str, Any]]:
    """A trained learner after the plugin's edits, and what it was before them."""
    learner = rainbow(*others, plugin)
    train(learner, updates)
    before = {
        "model": parameters(learner.model),
        "target": parameters(learner.copies["target"]),
        "state": state(learner),
        "moments": {name: moments(learner, name) for name in learner.params},
        "fresh": parameters(_subject(learner, plugin).fresh()),
    }
    learner.write(plugin.edits(_subject(learner, plugin)), by=plugin)
    return learner, before


def _subject(learner: Learner, plugin: ShrinkPerturb) -> Any:
    return learner._subject(plugin, batch)


def in_encoder(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if name.startswith("encoder")}


@pytest.mark.parametrize("shrink", [0.8, 0.6, 0.3])
def test_one_number_interpolates_towards_a_fresh_network(shrink: float) -> None:
    learner, before = applied(ShrinkPerturb(shrink=shrink, when=Never()))
    for name, weights in in_encoder(parameters(learner.model)).items():
        expected = shrink * before["model"][name] + (1 - shrink) * before["fresh"][name]
        torch.testing.assert_close(weights, expected)
    assert changed(before["model"], parameters(learner.model)) == in_encoder(before["model"]).keys()


def test_two_numbers_are_ash_and_adams_form() -> None:
    learner, before = applied(ShrinkPerturb(shrink=1.0, perturb=0.01, when=Never()))
    for name, weights in in_encoder(parameters(learner.model)).items():
        torch.testing.assert_close(weights, before["model"][name] + 0.01 * before["fresh"][name])
        assert not torch.equal(weights, before["model"][name])


@pytest.mark.parametrize("plugin", [ShrinkPerturb(shrink=1.0), ShrinkPerturb(shrink=1.0, perturb=0.0)])
def test_at_1_it_changes_nothing_the_moments_neither(plugin: ShrinkPerturb) -> None:
    learner, before = applied(plugin)
    assert differences(before["state"], state(learner)) == set()


@pytest.mark.parametrize("layers", ["encoder", "whole"])
def test_at_0_it_is_a_fresh_initialisation(layers: str) -> None:
    learner, before = applied(ShrinkPerturb(shrink=0.0, layers=layers, when=Never()))
    for model in (learner.model, learner.copies["target"]):
        weights = parameters(model)
        chosen = in_encoder(weights) if layers == "encoder" else weights
        assert all(torch.equal(value, before["fresh"][name]) for name, value in chosen.items())
    assert not torch.equal(before["fresh"]["encoder.0.weight"], before["model"]["encoder.0.weight"])


def test_the_target_shrinks_its_own_weights_towards_the_same_noise() -> None:
    learner, before = applied(ShrinkPerturb(shrink=0.6, when=Never()))
    ours, target = parameters(learner.model), parameters(learner.copies["target"])
    for name in in_encoder(ours):
        assert not torch.equal(before["model"][name], before["target"][name])
        torch.testing.assert_close(target[name], 0.6 * before["target"][name] + 0.4 * before["fresh"][name])
        noise = (ours[name] - 0.6 * before["model"][name], target[name] - 0.6 * before["target"][name])
        torch.testing.assert_close(*noise, rtol=0, atol=1e-7)


def test_gaussian_noise_has_the_size_of_an_initialisation_and_not_its_values() -> None:
    learner, before = applied(ShrinkPerturb(shrink=0.0, perturb=1.0, noise="gaussian", when=Never()))
    noise = parameters(learner.model)["encoder.2.weight"]
    fresh = before["fresh"]["encoder.2.weight"]
    assert noise.square().mean().item() == pytest.approx(fresh.square().mean().item(), rel=0.04)
    assert noise.abs().max() > 1.5 * fresh.abs().max()  # an initialisation is uniform, bounded
    assert torch.equal(noise, parameters(learner.copies["target"])["encoder.2.weight"])


@pytest.mark.parametrize("kept", ["clear", "keep"])
def test_moments_are_cleared_or_kept(kept: Literal["clear", "keep"]) -> None:
    learner, before = applied(ShrinkPerturb(moments=kept, when=Never()))
    for name in learner.params:
        now, then = moments(learner, name), before["moments"][name]
        if name.startswith("encoder") and kept == "clear":
            assert not any(value.any() for value in now.values())  # the step count goes with them
        else:
            assert all(torch.equal(value, then[key]) for key, value in now.items())
            assert float(now["step"]) == 3


def test_norms_go_towards_scale_1_and_shift_0() -> None:
    learner, before = applied(ShrinkPerturb(shrink=0.5, when=Never()), LayerNorm())
    scale, shift = "encoder.1.0.weight", "encoder.1.0.bias"
    now = parameters(learner.model)
    torch.testing.assert_close(now[scale], 0.5 * before["model"][scale] + 0.5)
    torch.testing.assert_close(now[shift], 0.5 * before["model"][shift])


def test_each_time_the_noise_is_new() -> None:
    plugin = ShrinkPerturb(shrink=0.0, when=Every(2))
    learner = rainbow(plugin)
    noises = []
    for _ in range(2):
        train(learner, 2)
        noises.append(parameters(learner.model)["encoder.0.weight"])
    assert not torch.equal(*noises)


def test_with_a_reset_at_the_same_moment_each_does_its_part() -> None:
    learner = rainbow(Reset(when=At(4)), ShrinkPerturb(shrink=0.8, when=At(4)))
    train(learner, 4)
    ours, target = parameters(learner.model), parameters(learner.copies["target"])
    assert {name.split(".")[0] for name in changed(ours, target)} == {"encoder"}
    assert all(not any(value.any() for value in moments(learner, name).values()) for name in learner.params)


def test_after_an_injection_the_pair_of_heads_stays_a_pair() -> None:
    learner, before = applied(ShrinkPerturb(shrink=0.5, layers="head", when=Never()), PlasticityInjection(when=At(2)))
    now = parameters(learner.model)
    new, frozen = "head.new.value.2.weight_mu", "head.new_frozen.value.2.weight_mu"
    assert torch.equal(before["fresh"][new], before["fresh"][frozen])
    drift = before["model"][new] - before["model"][frozen]
    torch.testing.assert_close(now[new] - now[frozen], 0.5 * drift, rtol=0, atol=1e-7)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(UsageError, match="shrink_perturb: shrink must be between 0 and 1, not 2"):
        build(ShrinkPerturb, {"shrink": 2}, "shrink_perturb")
    with pytest.raises(UsageError, match="no parameters match 'trunk'"):
        rainbow(ShrinkPerturb(layers="trunk"))
