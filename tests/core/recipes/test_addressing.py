"""Which learners a plugin acts on, in which order plugins take effect, and which exclude each other."""

from collections.abc import Sequence

import pytest
from attrs import define, field, frozen

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.errors import UsageError
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.plugin import Claim, Plugin
from plastic.core.recipes.addressing import Addressed, in_order_of_effect, learners_of, refuse_conflicts
from plastic.core.schedule import At, Schedule
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.plugins.probes.weight_norm import WeightNorm


class Three(Rainbow):
    """Learners as an actor-critic has them."""

    name = "three"
    learns = ("critic", "actor", "temperature")  # type: ignore[assignment]  # Rainbow has one
    scalars = frozenset({"temperature"})


def one(plugin: Plugin, *learners: str) -> Addressed:
    return Addressed(dict.fromkeys(learners or ("rainbow",), plugin))


@pytest.mark.parametrize(
    ("plugin", "on", "learners"),
    [
        (SAM, None, ["critic", "actor"]),
        (WeightNorm, None, ["critic", "actor"]),
        (Reset, None, ["critic", "actor", "temperature"]),
        (PlasticityInjection, None, ["critic"]),
        (PlasticityInjection, "actor", ["actor"]),
        (SAM, "actor", ["actor"]),
        (SAM, "actor+critic", ["critic", "actor"]),
        (SAM, "both", ["critic", "actor"]),
        (SAM, "all", ["critic", "actor"]),
        (Reset, "both", ["critic", "actor"]),
        (Reset, "all", ["critic", "actor", "temperature"]),
        (Reset, "temperature+actor", ["actor", "temperature"]),
    ],
)
def test_the_learners_a_plugin_acts_on(plugin: type[Plugin], on: str | None, learners: Sequence[str]) -> None:
    assert learners_of(plugin, on, Three) == learners
    assert learners_of(plugin, None, Rainbow) == ["rainbow"]


@pytest.mark.parametrize(
    ("plugin", "on", "words"),
    [
        (SAM, "crtic", "sam: three has no 'crtic' to act on; did you mean 'critic'?"),
        (SAM, "critic+", "sam: three has no '' to act on; known: actor, critic, temperature"),
        (
            SAM,
            "critic+temperature",
            "sam acts on networks, and three's temperature is a single number; use critic or actor",
        ),
    ],
)
def test_an_address_nobody_answers_to_is_refused(plugin: type[Plugin], on: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        learners_of(plugin, on, Three)
    assert str(caught.value) == words


def test_plugins_in_the_order_of_their_effect() -> None:
    plugins: list[Plugin] = [WeightNorm(), Reset(), SWA(), L2(), SAM(), LayerNorm(), ConcatenatedReLU()]
    assert [chosen.example.name for chosen in in_order_of_effect([one(plugin) for plugin in plugins])] == [
        *("crelu", "layer_norm"),
        *("sam", "l2", "swa"),
        "reset",
        "weight_norm",
    ]


@frozen(eq=False)
class Ascent(OptimizerModifier):
    name = "ascent"
    claims = frozenset({"ascent"})


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        ([SAM(), L2(), Ascent()], "'sam' and 'ascent' both claim the ascent; choose one"),
        ([L2(), SAM(), L2()], "'l2' is there twice and claims the weight decay; choose one"),
        ([SWA(), SWA()], "'swa' is there twice and claims the evaluation copy; choose one"),
    ],
)
def test_two_that_claim_the_same_are_refused(plugins: list[Plugin], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_conflicts([one(plugin) for plugin in plugins])
    assert str(caught.value) == words


@frozen(eq=False)
class OwnReset(PlasticityIntervention):
    name = "reset"


def test_two_classes_of_one_name_are_refused_wherever_they_act() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_conflicts([one(Reset(), "critic"), one(OwnReset(), "actor")])
    assert str(caught.value) == (
        "two plugins are called 'reset', plastic.plugins.interventions.reset:Reset and "
        "tests.core.recipes.test_addressing:OwnReset; rename one"
    )
    refuse_conflicts([one(OwnReset()), one(OwnReset()), one(SAM())])


def test_two_that_claim_nothing_of_each_other_go_together() -> None:
    both = [Reset(), Reset(), SAM(), SWA(), L2(), LayerNorm(), ConcatenatedReLU(), WeightNorm(), WeightNorm()]
    refuse_conflicts([one(plugin) for plugin in both])


@frozen(eq=False)
class Sometimes(OptimizerModifier):
    name = "sometimes"
    claims = frozenset({"ascent", "evaluation copy"})
    acts: bool = True

    def claimed(self) -> frozenset[Claim]:
        return self.claims if self.acts else frozenset({"ascent"})


def test_a_claim_that_an_option_leaves_out_is_free() -> None:
    refuse_conflicts([one(Sometimes(acts=False)), one(SWA())])
    with pytest.raises(UsageError, match="'sometimes' and 'swa' both claim the evaluation copy; choose one"):
        refuse_conflicts([one(Sometimes()), one(SWA())])


def test_the_same_claim_on_different_learners_is_none_of_the_other() -> None:
    refuse_conflicts([one(SAM(), "critic"), one(SAM(rho=0.3), "actor")])
    with pytest.raises(UsageError, match="'sam' is there twice and claims the ascent; choose one"):
        refuse_conflicts([one(SAM(), "critic", "actor"), one(SAM(), "actor")])


@frozen(eq=False)
class Turning(PlasticityIntervention):
    name = "turning"
    turns = frozenset({"replay_ratio"})


@define(eq=False)
class Hurrying(Turning):
    name = "hurrying"
    when: Schedule = field(default=At(3))


def test_a_knob_of_the_run_has_one_plugin_that_turns_it() -> None:
    refuse_conflicts([one(Turning(), "critic")])
    with pytest.raises(UsageError, match="'turning' and 'hurrying' both claim the replay_ratio; choose one"):
        refuse_conflicts([one(Turning(), "critic"), one(Hurrying(), "actor")])
    with pytest.raises(UsageError, match="turning turns the replay_ratio, of which there is one; address one learner"):
        refuse_conflicts([one(Turning(), "critic", "actor")])
