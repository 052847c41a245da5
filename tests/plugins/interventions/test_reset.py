"""Reset: exactly the layers' parameters, moments and counts; equal heads; how often and when."""

import math
from functools import partial
from typing import Literal

import pytest
import torch

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.schedule import At, Clock, Counts, Every, Never
from plastic.core.streams import derive
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from tests.plugins.learners import HIDDEN, batch, changed, moments, parameters, rainbow, train


def trained(*plugins: Reset, updates: int = 3, **more: object) -> Learner:
    learner = rainbow(*plugins, **more)  # type: ignore[arg-type]
    train(learner, updates)
    return learner


def apply(learner: Learner, reset: Reset) -> None:
    """Carry the reset out now, whatever its schedule."""
    learner.write(reset.edits(learner._subject(reset, batch)), by=reset)


# ------------------------------------------------------------------ what


@pytest.mark.parametrize(
    ("layers", "part", "count"),
    [("head", "head.", 16), ("head.*.2", ".2.", 8), ("encoder", "encoder.", 6), ("whole", "", 22)],
)
def test_exactly_the_layers_parameters_are_drawn_anew(layers: str, part: str, count: int) -> None:
    reset = Reset(layers=layers, when=Never())
    learner = trained(reset)
    before, copied = parameters(learner.model), parameters(learner.copies["target"])
    apply(learner, reset)
    expected = {name for name in before if part in name and not (part == ".2." and name.startswith("encoder"))}
    assert len(expected) == count
    assert changed(before, parameters(learner.model)) == expected
    assert changed(copied, parameters(learner.copies["target"])) == expected


def test_the_new_values_are_those_of_an_initialisation() -> None:
    reset = Reset(when=Never())
    learner = trained(reset)
    apply(learner, reset)
    fresh = parameters(learner.model)
    for stream, fan in ((f"head.{which}.{layer}", fan) for which in ("value", "advantage") for layer, fan in FANS):
        bound = 1 / math.sqrt(fan)
        means = fresh[f"{stream}.weight_mu"]
        assert means.abs().max() <= bound
        assert means.std() == pytest.approx(bound / math.sqrt(3), rel=0.2)
        torch.testing.assert_close(fresh[f"{stream}.weight_sigma"], torch.full_like(means, 0.5 * bound))


FANS = ((0, 64), (2, HIDDEN))  # layer of a stream, how many features it reads


def test_norms_of_a_reset_layer_are_reset_too() -> None:
    reset = Reset(when=Never())
    learner = rainbow(LayerNorm(), reset)
    train(learner, 3)
    assert not torch.equal(learner.params["head.value.1.0.weight"], torch.ones(HIDDEN))
    apply(learner, reset)
    assert torch.equal(learner.params["head.value.1.0.weight"], torch.ones(HIDDEN))
    assert torch.equal(learner.params["head.value.1.0.bias"], torch.zeros(HIDDEN))
    assert not torch.equal(learner.params["encoder.1.0.weight"], torch.ones(32))


def test_the_target_gets_the_same_new_head_and_keeps_its_encoder() -> None:
    learner = trained(Reset(when=At(4)))
    assert changed(parameters(learner.model), parameters(learner.copies["target"])) == set(learner.params)
    train(learner, 1)
    different = changed(parameters(learner.model), parameters(learner.copies["target"]))
    assert different == {name for name in learner.params if name.startswith("encoder")}


def test_every_reset_draws_other_values_and_the_same_run_the_same() -> None:
    heads = []
    for seed in (0, 0, 1):
        learner = trained(Reset(when=Every(2)), updates=2, seed=seed)
        heads.append(parameters(learner.model)["head.value.0.weight_mu"])
        train(learner, 2)
        heads.append(parameters(learner.model)["head.value.0.weight_mu"])
    first, second, again, again_second, *others = heads
    assert torch.equal(first, again)
    assert torch.equal(second, again_second)
    assert not any(torch.equal(first, other) for other in (second, *others))
    with torch.random.fork_rng():
        torch.manual_seed(derive(0, "rainbow", "init"))
        assert not torch.equal(first, rainbow().params["head.value.0.weight_mu"])  # nor the run's first values


# ------------------------------------------------------------------ the optimizer


def test_moments_and_step_counts_of_the_layers_are_cleared_and_no_others() -> None:
    learner = trained(Reset(when=At(5)), updates=4)
    before = {name: moments(learner, name) for name in learner.params}
    plain = trained(updates=5)
    train(learner, 1)
    for name in learner.params:
        now = moments(learner, name)
        if name.startswith("head"):
            assert before[name]["exp_avg"].any()
            assert float(now["step"]) == 0
            assert not now["exp_avg"].any()
            assert not now["exp_avg_sq"].any()
        else:  # as if nothing had happened
            assert {key: torch.equal(value, now[key]) for key, value in moments(plain, name).items()} == {
                "step": True,
                "exp_avg": True,
                "exp_avg_sq": True,
            }


def test_the_encoder_is_bit_for_bit_what_it_would_be_without() -> None:
    learner, plain = trained(Reset(when=At(3))), trained()
    same = parameters(plain.model)
    assert changed(parameters(learner.model), same) == {name for name in same if name.startswith("head")}


def test_optimizer_all_forgets_everything() -> None:
    reset = Reset(optimizer="all", when=Never())
    learner = trained(reset)
    before = parameters(learner.model)
    apply(learner, reset)
    assert {name.split(".")[0] for name in changed(before, parameters(learner.model))} == {"head"}
    for name in learner.params:
        now = moments(learner, name)
        assert float(now["step"]) == 0
        assert not now["exp_avg"].any()
        assert not now["exp_avg_sq"].any()


@pytest.mark.parametrize("optimizer", ["layers", "all"])
def test_the_first_step_after_it_is_as_long_as_a_first_step(optimizer: Literal["layers", "all"]) -> None:
    """Cleared moments under an old step count would make it 3.16 times too short or too long."""
    adam = partial(torch.optim.Adam, lr=1e-3, eps=1e-12)
    learner = trained(Reset(when=At(6), optimizer=optimizer), updates=6, optimizer=adam)
    before = parameters(learner.model)
    learner.clock.advance(updates=1)
    learner.update(batch(7))
    step = parameters(learner.model)["head.value.2.bias_mu"] - before["head.value.2.bias_mu"]
    torch.testing.assert_close(step.abs(), torch.full_like(step, 1e-3), rtol=1e-3, atol=0)


# ------------------------------------------------------------------ beside an injection


def test_after_an_injection_all_three_heads_are_drawn_anew_and_the_pair_is_equal() -> None:
    learner = rainbow(PlasticityInjection(when=At(2)), Reset(when=At(6)))
    train(learner, 5)
    before = parameters(learner.model)
    train(learner, 1)
    after = parameters(learner.model)
    moved = changed(before, after)
    assert {n for n in before if n.startswith("head.") and not ("new_frozen" in n and "sigma" in n)} <= moved
    for model in (learner.model, learner.copies["target"]):
        values = parameters(model)
        for name in [name for name in values if name.startswith("head.new.")]:
            assert torch.equal(values[name], values[name.replace("head.new.", "head.new_frozen.")])
            old = values[name.replace("head.new.", "head.old.")]
            assert torch.equal(values[name], old) == ("sigma" in name)  # deviations start from a constant
        assert changed({n: v for n, v in values.items() if n.startswith("head")}, heads(learner)) == set()
    assert not any(p.requires_grad for n, p in learner.model.named_parameters() if n.startswith("head.old"))
    train(learner, 1)


def heads(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: value for name, value in parameters(learner.model).items() if name.startswith("head")}


# ------------------------------------------------------------------ when


@pytest.mark.parametrize(
    ("ratio", "updates", "resets", "first", "last"),
    [
        (1, 98_001, 2, 41_999, 81_999),
        (2, 196_002, 4, 21_999, 81_999),
        (4, 392_004, 9, 11_999, 91_999),
        (8, 784_008, 19, 6_999, 96_999),
        (16, 1_568_016, 39, 4_499, 99_499),
    ],
)
def test_the_default_interval_gives_the_papers_resets(
    ratio: int, updates: int, resets: int, first: int, last: int
) -> None:
    """Atari-100k: 100,000 agent steps, the first update on step 2,000; the step of a reset is that of its update."""
    when = Reset().when
    total = Counts(updates=updates)
    fired = [
        update
        for multiple in range(1_000, updates + 1, 1_000)
        for update in range(multiple - 1, min(multiple + 2, updates + 1))
        if when(Clock(Counts(updates=update), Counts(updates=update - 1), total))
    ]
    assert len(fired) == resets
    assert fired == [40_000 * (place + 1) for place in range(resets)]
    steps = [1_999 + math.ceil(update / ratio) for update in fired]
    assert (steps[0], steps[-1]) == (first, last)
    clock = Clock(total=total)
    crossed = 0
    while clock.now.updates < updates:  # by crossings, in strides that hit no multiple
        clock.advance(updates=997)
        crossed += when(clock)
        clock.tick()
    assert crossed == resets


def test_a_reset_that_would_fall_on_the_last_update_is_skipped() -> None:
    learner, plain = rainbow(Reset(when=Every(2)), total=4), rainbow(total=4)
    train(learner, 2)
    train(plain, 2)
    assert changed(parameters(learner.model), parameters(plain.model))
    train(learner, 1)
    before = heads(learner)
    train(learner, 1)
    assert all((before[name] - value).abs().max() < 0.02 for name, value in heads(learner).items())  # a step, no draw


def test_layers_that_are_not_there_are_refused_before_the_first_update() -> None:
    with pytest.raises(UsageError, match="no parameters match 'haed'; the network has encoder, head"):
        rainbow(Reset(layers="haed"))
