"""Any combination of the eight plugins works: all 256 subsets, every ordered pair, any order of all of them.

Each runs a few updates of a small convolutional Rainbow across resets, injections and a checkpoint. What each
plugin should change, and when, stands in the tables below; after every step everything is compared with them.
"""

import io
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from plastic.agents.rainbow.networks import Encoder
from plastic.core.edits import Edit
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import ChannelNorm, CReLU, NoisyLinear
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.modifier import Evaluate, Gradients, OptimizerModifier, Parameters
from plastic.core.plugin import LIVE, Plugin
from plastic.core.probe import Probe
from plastic.core.schedule import At, Every, Schedule
from plastic.core.subject import Subject
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.plugins.probes.active_units import ActiveUnits
from plastic.plugins.probes.dormant_units import DormantUnits
from plastic.plugins.probes.feature_rank import FeatureRank
from plastic.plugins.probes.gradient_norm import GradientNorm
from plastic.plugins.probes.weight_norm import WeightNorm
from plastic.testing.compare import cloned, differences, near, same
from plastic.testing.invariants import faults
from tests.trial import SMALL, UPDATES, Trial

CHECKPOINT = 5  # updates
LEARNING_RATE, MAX_NORM, TARGET_RATE = (SMALL[name] for name in ("learning_rate", "max_grad_norm", "target_rate"))
EPS, SIGMA = 1.5e-4, 0.5  # Rainbow's own
NORMS = (nn.LayerNorm, nn.GroupNorm, ChannelNorm)

Options = Mapping[str, Callable[[], Plugin]]

# One after the other: injection at 2, shrink and perturb at 3 and 6, reset at 4; the reset due at the last is left out
APART: Options = {
    "sam": lambda: SAM(rho=0.1),
    "swa": lambda: SWA(when=Every(1)),
    "l2": lambda: L2(strength=0.01),
    "layer_norm": LayerNorm,
    "crelu": ConcatenatedReLU,
    "reset": lambda: Reset(when=Every(4)),
    "shrink_perturb": lambda: ShrinkPerturb(when=Every(3)),
    "plasticity_injection": lambda: PlasticityInjection(when=At(2)),
}
# All edits after updates 3 and 6, and every option another one than its default
TOGETHER: Options = {
    "sam": lambda: SAM(
        0.05, "encoder", redraw="noise+augmentation+target", noiseless=True, priority="perturbed", when=Every(1)
    ),
    "swa": lambda: SWA(when=Every(2)),
    "l2": lambda: L2(strength=0.1, decoupled=True),
    "layer_norm": lambda: LayerNorm(layers="encoder", axes="image", affine=False),
    "crelu": lambda: ConcatenatedReLU(layers="head", style="input"),
    "reset": lambda: Reset(optimizer="all", when=Every(3)),
    "shrink_perturb": lambda: ShrinkPerturb(shrink=1.0, perturb=0.1, noise="gaussian", moments="keep", when=Every(3)),
    "plasticity_injection": lambda: PlasticityInjection(freeze=False, when=Every(3)),
}
NAMES = tuple(APART)
DUE = {
    "apart": {"plasticity_injection": {2}, "shrink_perturb": {3, 6}, "reset": {4}},
    "together": {"plasticity_injection": {3, 6}, "shrink_perturb": {3, 6}, "reset": {3, 6}},
}
AVERAGED = {"apart": set(range(1, UPDATES + 1)), "together": {2, 4, 6, 8}}  # when weights enter SWA's mean
# What of a learner is seen changed with a plugin, as `APART` has it
SEEN: Mapping[str, set[str]] = {
    "sam": {"gradients"},
    "swa": {"evaluation"},
    "l2": {"gradients"},
    "layer_norm": {"structure"},
    "crelu": {"structure"},
    "reset": {"parameters", "copies", "optimizer state"},
    "shrink_perturb": {"parameters", "copies", "optimizer state"},
    "plasticity_injection": {"structure", "copies", "optimizer state"},
}


# -------------------------------------------------------------------- plugins that watch


@define(eq=False)
class Inside(OptimizerModifier):
    """Remembers each evaluation: the weights it was at, and its gradients."""

    name = "inside"
    passes: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = field(factory=list, init=False, metadata=LIVE)

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        losses, gradients = evaluate()
        self.passes.append((cloned(params), cloned(gradients)))
        return losses, gradients


class Outside(Inside):
    """Remembers what the optimizer steps with."""

    name = "outside"
    stage = "decay"


@define(eq=False)
class Fresh(PlasticityIntervention):
    """Compares a fresh model with the model, after a first injection; edits nothing."""

    name = "fresh"
    when: Schedule = At(4)
    compared: bool = field(default=False, init=False, metadata=LIVE)

    def edits(self, subject: Subject) -> Iterable[Edit]:
        assert structure(subject.fresh()) == structure(subject.model)
        self.compared = True
        return ()


def buffers(model: nn.Module) -> dict[str, Tensor]:
    """By every name: a shared one is there under several."""
    return dict(model.named_buffers(remove_duplicate=False))


def structure(model: nn.Module) -> dict[str, str]:
    """Types by module, shapes by tensor, and which parameters are trained."""
    found = {path: type(module).__name__ for path, module in model.named_modules()}
    found |= {name: str(tuple(tensor.shape)) for name, tensor in model.state_dict().items()}
    return found | {f"{name}!": str(p.requires_grad) for name, p in model.named_parameters()}


@frozen(eq=False)
class State:
    """A learner at one moment, copied."""

    weights: dict[str, dict[str, Tensor]]  # by network (`model`, `target` ...) and name
    noise: dict[str, dict[str, Tensor]]
    moments: dict[str, dict[str, Tensor]]  # what the optimizer remembers, by parameter
    trained: frozenset[str]
    structure: dict[str, str]
    outputs: dict[str, Tensor]  # in training mode, on the noise at hand; where they are asked for
    knobs: dict[str, float]
    evaluation: str | None
    generator: Tensor  # torch's global one

    @classmethod
    def of(cls, trial: Trial, *, outputs: bool = False) -> "State":
        learner = trial.learner
        networks: dict[str, nn.Module] = {"model": learner.model, **learner.copies}
        images = torch.linspace(0, 9, 2 * 2 * 36 * 36).sin().view(2, 2, 36, 36)
        with torch.no_grad():
            given = {name: network(images) for name, network in networks.items()} if outputs else {}
        return cls(
            weights={name: cloned(dict(network.named_parameters())) for name, network in networks.items()},
            noise={name: cloned(buffers(network)) for name, network in networks.items()},
            moments={
                name: cloned(learner.optimizer.state[parameter])
                for name, parameter in learner.params.items()
                if parameter in learner.optimizer.state
            },
            trained=frozenset(learner.params),
            structure=structure(learner.model),
            outputs=given,
            knobs=dict(learner.knobs),
            evaluation=learner.evaluation,
            generator=torch.get_rng_state(),
        )


def training(trial: Trial) -> dict[str, Any]:
    """All that the further training of a trial depends on, by name; what SWA and probes keep is not among it."""
    learner = trial.learner
    state = learner.state_dict()
    parts: dict[str, Any] = {f"model.{name}": value for name, value in state["model"].items()}
    parts |= {f"target.{name}": value for name, value in state["copies"]["target"].items()}
    parts |= {f"moments.{name}": learner.optimizer.state.get(p, {}) for name, p in learner.params.items()}
    parts |= {f"agent.{name}": value for name, value in trial.agent.state_dict().items()}
    parts |= {name: state[name] for name in ("updates", "noise", "augmentation", "averages")}
    counted = [plugin for plugin in trial.plugins if plugin.name in NAMES and plugin.name != "swa"]
    parts |= {f"plugin.{plugin.name}": plugin_state(plugin) for plugin in counted}
    return parts


# -------------------------------------------------------------------- what must be true after every step


@define(eq=False)
class Watched:
    """A trial whose every step is compared with the tables."""

    names: Sequence[str]
    way: str  # "apart" or "together"
    encoder: Encoder = "data_efficient"
    trial: Trial = field(init=False)
    seen: set[str] = field(factory=set, init=False)  # what has been seen changed
    plugin: dict[str, Any] = field(init=False)
    injections: int = field(default=0, init=False)
    _inside: Inside = field(factory=Inside, init=False)
    _outside: Outside = field(factory=Outside, init=False)
    _fresh: Fresh = field(factory=Fresh, init=False)
    _averaged: list[dict[str, Tensor]] = field(factory=list, init=False)  # what SWA's mean should be of
    _saved: io.BytesIO = field(init=False)

    def __attrs_post_init__(self) -> None:
        plugins = make(self.names, self.way)
        self.plugin = dict(zip(self.names, plugins, strict=True))
        watching = [self._inside, *plugins, self._fresh, self._outside]
        self.trial = Trial(watching, encoder=self.encoder).warm_up()
        self._check_structure()
        if structure(self.trial.learner.model) != bare_structure(self.encoder):
            self.seen.add("structure")

    def run(self) -> "Watched":
        trial = self.trial
        after = State.of(trial)
        for update in range(1, UPDATES + 1):
            before = after  # acting changes nothing here
            trial.update()
            due = [name for name in self.names if update in DUE[self.way].get(name, ())]
            middle = State.of(trial, outputs=bool(due))
            if due:
                assert faults(trial.learner) == []
            self._check_update(before, middle, update)
            trial.tend()
            after = State.of(trial, outputs=bool(due))
            assert faults(trial.learner) == []
            self._check_edits(middle, after, due)
            self._check_evaluation(after)
            trial.act()
            if update == CHECKPOINT:
                self._saved = trial.save()
        assert self._fresh.compared
        return self

    def resumed(self) -> Trial:
        """Another trial with these plugins, from the checkpoint to the end."""
        watching = [Inside(), *make(self.names, self.way), Fresh(), Outside()]
        return Trial(watching, encoder=self.encoder).load(self._saved).run()

    # ---------------------------------------------------------------- updates

    def _check_update(self, before: State, after: State, update: int) -> None:
        (_, stepped), *more = self._outside.passes
        assert not more
        self._check_gradients(before, stepped)
        for name, weight in before.weights["model"].items():
            now = after.weights["model"][name]
            if name in before.trained:
                self._check_step(name, weight, stepped[name], before, after)
                assert not same(weight, now), f"{name} was not trained"
            else:
                assert same(weight, now), f"{name} is frozen and was changed"
            followed = torch.lerp(before.weights["target"][name], now, TARGET_RATE)
            assert same(after.weights["target"][name], followed), f"target's {name} did not follow"
        for network in ("model", "target"):
            for name, noise in before.noise[network].items():
                assert not same(noise, after.noise[network][name]), f"{network}'s {name} was not drawn anew"
                if ".new." in name:  # with noise of its own the frozen head would not cancel the new one
                    assert same(after.noise[network][name], after.noise[network][name.replace(".new.", ".new_frozen.")])
        if "swa" in self.names:
            self._check_average(before, after, update)
        assert before.structure == after.structure
        assert before.knobs == after.knobs
        assert same(before.generator, after.generator)
        self._inside.passes.clear()
        self._outside.passes.clear()

    def _check_gradients(self, before: State, stepped: dict[str, Tensor]) -> None:
        """SAM takes two passes, the second at w + rho g / |g|; L2 adds strength w to the last; nothing else does."""
        sam, l2 = self.plugin.get("sam"), self.plugin.get("l2")
        passes = self._inside.passes
        assert len(passes) == (2 if sam else 1)
        origin, first = passes[0]
        assert same(origin, {name: before.weights["model"][name] for name in before.trained})
        for _, gradients in passes:
            assert gradients.keys() == before.trained
            assert torch.stack([g.norm() for g in gradients.values()]).norm() <= MAX_NORM * 1.0001
        if sam:
            moved = passes[1][0]
            scope = [name for name in first if sam.scope == "whole" or name.startswith(f"{sam.scope}.")]
            norm = torch.stack([first[name].norm() for name in scope]).norm()
            for name, weight in origin.items():
                if name in scope:
                    assert near(moved[name], weight + sam.rho * first[name] / norm, 1e-4, 1e-6)
                else:
                    assert same(moved[name], weight)
            assert any(not same(moved[name], origin[name]) for name in scope)
        for name, gradient in passes[-1][1].items():
            if l2 and not l2.decoupled:
                decayed = gradient + l2.strength * before.weights["model"][name]
                assert near(stepped[name], decayed, 1e-5, 1e-8)
            else:
                assert same(stepped[name], gradient)
        if not same(stepped, first):
            self.seen.add("gradients")

    def _check_step(self, name: str, weight: Tensor, gradient: Tensor, before: State, after: State) -> None:
        """One step of Adam (Kingma and Ba, 2015, algorithm 1), entry by entry; decoupled decay after it."""
        remembered = before.moments.get(name, {})
        count = int(remembered.get("step", 0)) + 1
        mean = 0.9 * remembered.get("exp_avg", 0.0) + 0.1 * gradient
        square = 0.999 * remembered.get("exp_avg_sq", 0.0) + 0.001 * gradient.square()
        root = (square / (1 - 0.999**count)).sqrt()
        stepped = weight - LEARNING_RATE * (mean / (1 - 0.9**count)) / (root + EPS)
        l2 = self.plugin.get("l2")
        if l2 and l2.decoupled:
            stepped = stepped * (1 - LEARNING_RATE * l2.strength)
        assert near(after.weights["model"][name], stepped, 1e-4, 1e-6), f"the step of {name} is not Adam's"
        now = after.moments[name]
        assert int(now["step"]) == count
        assert near(now["exp_avg"], mean, 1e-4, 1e-8)

    def _check_average(self, before: State, after: State, update: int) -> None:
        assert same(before.noise["swa"], after.noise["swa"])
        if update not in AVERAGED[self.way]:
            assert same(before.weights["swa"], after.weights["swa"])
            return
        self._averaged.append(after.weights["model"])
        for name, mean in after.weights["swa"].items():
            wanted = torch.stack([weights[name] for weights in self._averaged]).mean(0)
            assert near(mean, wanted, 1e-5, 1e-7)

    def _check_evaluation(self, now: State) -> None:
        assert now.evaluation == ("swa" if self._averaged else None)
        if now.evaluation:
            self.seen.add("evaluation")

    # ---------------------------------------------------------------- edits

    def _check_edits(self, before: State, after: State, due: Sequence[str]) -> None:
        assert before.knobs == after.knobs
        assert same(before.generator, after.generator)
        if self.trial.clock.now.updates == UPDATES or not due:
            assert before.structure == after.structure
            for part in ("weights", "noise", "moments", "outputs"):
                assert same(getattr(before, part), getattr(after, part)), f"{part} changed with nothing due"
            return
        self._move_average(before, after, due)
        if "plasticity_injection" in due:
            self.injections += 1
        self._check_encoder(before, after, due)
        self._check_head(before, after, due)
        self._check_structure()
        self._note_changes(before, after)

    def _move_average(self, before: State, after: State, due: Sequence[str]) -> None:
        if list(due) != ["shrink_perturb"] or self.plugin["shrink_perturb"].moments == "clear":
            self._averaged.clear()  # a mean over old and new weights would be neither
            return
        shrink = self.plugin["shrink_perturb"].shrink  # what goes on with its moments goes on in the mean, edited alike
        noise = {name: own - shrink * before.weights["model"][name] for name, own in after.weights["model"].items()}
        edited = {name for name, own in after.weights["model"].items() if not same(own, before.weights["model"][name])}
        self._averaged = [
            {name: shrink * own + noise[name] if name in edited else own for name, own in weights.items()}
            for weights in self._averaged
        ]

    def _check_encoder(self, before: State, after: State, due: Sequence[str]) -> None:
        names = [name for name in before.weights["model"] if name.startswith("encoder.")]
        assert names == [name for name in after.weights["model"] if name.startswith("encoder.")]
        cleared = "shrink_perturb" in due and self.plugin["shrink_perturb"].moments == "clear"
        cleared |= "reset" in due and self.plugin["reset"].optimizer == "all"
        for name in names:
            if "shrink_perturb" in due:
                self._check_mixture(name, before, after)
            else:
                for network, weights in after.weights.items():
                    assert same(weights[name], before.weights[network][name]), f"{network}'s {name} was touched"
            if cleared:
                assert all(not value.any() for value in after.moments[name].values())
            else:
                assert same(after.moments[name], before.moments[name])

    def _check_mixture(self, name: str, before: State, after: State) -> None:
        """Every network has its own weights mixed with the same fresh ones, of the initialiser's size."""
        plugin = self.plugin["shrink_perturb"]
        perturb = 1 - plugin.shrink if plugin.perturb is None else plugin.perturb
        drawn = {
            network: (weights[name] - plugin.shrink * before.weights[network][name]) / perturb
            for network, weights in after.weights.items()
        }
        fresh = drawn["model"]
        for network, noise in drawn.items():
            assert not same(after.weights[network][name], before.weights[network][name])
            assert near(noise, fresh, 1e-4, 1e-5)
        layer = self.trial.learner.model.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, NORMS):
            assert near(fresh, torch.full_like(fresh, float(name.endswith("weight"))), 1e-5, 1e-5)
        elif name.endswith("weight"):
            spread = float(fresh.square().mean().sqrt()) * (3 * fresh[0].numel()) ** 0.5
            assert 0.9 < spread < 1.1, "the noise is not of the size of an initialisation"

    def _check_head(self, before: State, after: State, due: Sequence[str]) -> None:
        edits = [name for name in due if name in ("reset", "plasticity_injection")]
        head = [name for name in before.weights["model"] if name.startswith("head.")]
        place = {name: name for name in head}  # where each parameter is now
        if "plasticity_injection" in edits:
            place = {name: name.replace("head.", "head.old.", 1) for name in head}
            self._check_injection(before, after, place)
        now = [name for name in after.weights["model"] if name.startswith("head.")]
        drawn: set[str] = set()
        if edits[:1] == ["reset"]:
            drawn = set(place.values())
        elif "reset" in edits:
            drawn = set(now)
        for was, name in place.items():
            if name not in drawn:
                for network, weights in after.weights.items():
                    own = before.weights["model" if self._frozen(network, name, after) else network]
                    assert same(weights[name], own[was]), f"{network}'s {name} was touched"
                assert same(after.moments.get(name), before.moments.get(was) if name in after.trained else None)
        for name in drawn:
            self._check_drawn(name, before, after, {now: was for was, now in place.items()}.get(name))
        if edits == ["plasticity_injection"] and "shrink_perturb" not in due:
            for network in ("model", "target"):
                assert near(after.outputs[network], before.outputs[network], 1e-5, 1e-6)

    def _frozen(self, network: str, name: str, after: State) -> bool:
        """Whether SWA's copy takes this from the model: it averages what is trained, and knows of nothing else."""
        return network == "swa" and name not in after.trained and ".old." in name

    def _check_injection(self, before: State, after: State, place: Mapping[str, str]) -> None:
        """The old head is wrapped; the new pair is the same in all networks; of the pair one is trained, new."""
        bare = [name for name in before.weights["model"] if name.startswith("head.")]
        for _ in range(self.injections - 1):
            bare = [name.replace("head.new.", "head.", 1) for name in bare if name.startswith("head.new.")]
        pair = {name.replace("head.", "head.new.", 1): name.replace("head.", "head.new_frozen.", 1) for name in bare}
        head = [name for name in after.weights["model"] if name.startswith("head.")]
        assert sorted(head) == sorted([*place.values(), *pair, *pair.values()])
        for new, frozen_ in pair.items():
            for network, weights in after.weights.items():
                assert same(weights[new], weights[frozen_]), f"{network}'s new heads differ"
                assert same(weights[new], after.weights["model"][new]), f"{network} has a new head of its own"
            assert new not in after.moments
        for network, noise in after.noise.items():
            for name, sample in noise.items():
                if name.startswith("head.new."):
                    assert same(sample, noise[name.replace("head.new.", "head.new_frozen.", 1)])
                elif name.startswith("head.old."):
                    assert same(sample, before.noise[network][name.replace("head.old.", "head.", 1)])
        encoder = {name for name in before.trained if name.startswith("encoder.")}
        old = {place[name] for name in before.trained - encoder}
        freeze = self.plugin["plasticity_injection"].freeze
        assert after.trained == encoder | set(pair) | (set() if freeze else old)

    def _check_drawn(self, name: str, before: State, after: State, was: str | None) -> None:
        """A fresh value, the same in every network, and nothing remembered of the one before."""
        value = after.weights["model"][name]
        for network, weights in after.weights.items():
            assert same(weights[name], value), f"{network} has another fresh {name}"
        layer = self.trial.learner.model.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, NORMS):
            assert (value == float(name.endswith("weight"))).all()
        else:
            assert isinstance(layer, NoisyLinear)
            if name.endswith("sigma"):
                size = layer.in_features if name.endswith("weight_sigma") else layer.out_features
                assert near(value, torch.full_like(value, SIGMA / size**0.5), 1e-6, 0)
            else:
                assert value.abs().max() <= layer.in_features**-0.5
                assert was is None or not same(value, before.weights["model"][was]), f"{name} was not drawn anew"
        if ".new." in name:
            assert same(value, after.weights["model"][name.replace(".new.", ".new_frozen.")])
        assert all(not remembered.any() for remembered in after.moments.get(name, {}).values())

    def _note_changes(self, before: State, after: State) -> None:
        if before.structure != after.structure:
            self.seen.add("structure")
        if not same(before.moments, after.moments):
            self.seen.add("optimizer state")
        for network, weights in after.weights.items():
            was = before.weights[network]
            kind = "parameters" if network == "model" else "copies"
            if any(not same(weights[name], was[name]) for name in weights.keys() & was.keys()):
                self.seen.add(kind)
            if kind == "copies" and weights.keys() != was.keys():
                self.seen.add(kind)

    # ---------------------------------------------------------------- structure

    def _check_structure(self) -> None:
        """As many norms and CReLUs as layers that should have them, each norm right before its activation."""
        learner = self.trial.learner
        layers = {"encoder": 2 if self.encoder == "data_efficient" else 3, "head": 2 * (1 + 2 * self.injections)}
        for model in (learner.model, *learner.copies.values()):
            for plugin, kinds in (("layer_norm", NORMS), ("crelu", (CReLU,))):
                for part, count in layers.items():
                    chosen = plugin in self.names and self.plugin[plugin].layers in ("whole", part)
                    found = sum(isinstance(module, kinds) for module in model.get_submodule(part).modules())
                    assert found == (count if chosen else 0)
            for path, module in model.named_modules():
                if isinstance(module, NORMS):
                    parent, _, place = path.rpartition(".")
                    assert place == "0"
                    assert isinstance(model.get_submodule(f"{parent}.1"), nn.ReLU | CReLU)


def make(names: Iterable[str], way: str) -> list[Plugin]:
    return [(APART if way == "apart" else TOGETHER)[name]() for name in names]


@cache
def bare_structure(encoder: Encoder) -> dict[str, str]:
    return structure(Trial(encoder=encoder).learner.model)


@cache
def trained(names: tuple[str, ...], way: str = "apart", encoder: Encoder = "data_efficient") -> dict[str, Any]:
    """What a run with these plugins ends with, nobody watching."""
    return training(Trial(make(names, way), encoder=encoder).warm_up().run())


def probes() -> list[Probe]:
    """All five, looking when there are edits too and once before, once after the checkpoint."""
    when = Every(3)
    return [ActiveUnits(when), DormantUnits(when=when), FeatureRank(when=when), GradientNorm(when), WeightNorm(when)]


def probed(names: Iterable[str], way: str, encoder: Encoder = "data_efficient") -> Trial:
    """A trial with all five probes around its plugins."""
    first, *rest = probes()
    return Trial([first, *make(names, way), *rest], encoder=encoder)


def check_resume(watched: Watched) -> None:
    """A run that is continued from its checkpoint is bit for bit the uninterrupted one."""
    resumed = watched.resumed()
    assert resumed.actions == watched.trial.actions[-len(resumed.actions) :]
    assert differences(training(resumed), training(watched.trial)) == []


def check_probes(watched: Watched) -> None:
    """A run with probes, continued from a checkpoint or not, is bit for bit the one without."""
    interrupted = probed(watched.names, watched.way, watched.encoder).warm_up().run(CHECKPOINT)
    resumed = probed(watched.names, watched.way, watched.encoder).load(interrupted.save()).run()
    assert [*interrupted.actions, *resumed.actions] == watched.trial.actions
    assert differences(training(resumed), training(watched.trial)) == []
    for measured, update in ((interrupted.measured, 3), (resumed.measured, 6)):
        assert measured.keys() == {update}
        assert {name.split("/")[0] for name in measured[update]} == {probe.name for probe in probes()}
        assert all(np.isfinite(value) for name, value in measured[update].items() if "/overlap/" not in name)


# -------------------------------------------------------------------- the tests

WITHOUT_SWA = [names for size in range(8) for names in combinations(sorted({*NAMES} - {"swa"}), size)]
PAIRS = list(permutations(NAMES, 2))


def test_there_are_all_of_them() -> None:
    assert len({frozenset(more) for names in WITHOUT_SWA for more in (names, (*names, "swa"))}) == 256
    assert len(set(PAIRS)) == 56


@pytest.mark.parametrize("names", WITHOUT_SWA, ids=lambda names: "+".join(names) or "none")
def test_every_subset_without_and_with_swa(names: tuple[str, ...]) -> None:
    without = subset(names)
    averaging = subset(tuple(name for name in NAMES if name in (*names, "swa")))
    assert differences(training(averaging), training(without)) == []


def subset(names: tuple[str, ...]) -> Trial:
    watched = Watched(names, "apart").run()
    assert watched.seen == set().union(*(SEEN[name] for name in names))
    check_resume(watched)
    if len(names) in (0, 1, len(NAMES)):
        check_probes(watched)
    return watched.trial


@pytest.mark.parametrize("names", PAIRS, ids="+".join)
def test_every_ordered_pair(names: tuple[str, str]) -> None:
    watched = Watched(names, "together", "nature").run()
    check_probes(watched)
    other_order = trained(names[::-1], "together", "nature")
    if set(names) == {"reset", "plasticity_injection"}:  # a reset before leaves the new head alone
        assert differences(training(watched.trial), other_order) != []
    else:
        assert differences(training(watched.trial), other_order) == []


@pytest.mark.parametrize("way", ["apart", "together"])
def test_what_probes_and_plugins_remember_goes_through_a_checkpoint(way: str) -> None:
    whole = probed(NAMES, way).warm_up().run(CHECKPOINT)
    file = whole.save()
    whole.run()
    resumed = probed(NAMES, way).load(file).run()
    assert differences(resumed.learner.state_dict(), whole.learner.state_dict()) == []
    assert differences(resumed.agent.state_dict(), whole.agent.state_dict()) == []
    assert same(resumed.measured[6], whole.measured[6])
    overlaps = [value for name, value in whole.measured[6].items() if "/overlap/" in name]
    assert any(map(np.isfinite, overlaps)) == (way == "apart")  # no overlap across an injection


@pytest.mark.parametrize("way", ["apart", "together"])
@pytest.mark.parametrize("seed", range(4))
def test_the_stage_decides_and_not_the_place_in_the_list(seed: int, way: str) -> None:
    names = list(NAMES)
    random.Random(seed).shuffle(names)
    watched = Watched(names, way).run()
    others = [name for name in NAMES if name not in ("reset", "plasticity_injection")]
    edits = sorted({*NAMES} - {*others}, key=names.index)  # these two write the same, so their order counts
    assert differences(training(watched.trial), trained((*edits, *others), way)) == []


def test_what_a_plugin_was_seen_to_change_it_declares() -> None:
    for plugin in make(NAMES, "apart"):
        assert SEEN[plugin.name] <= plugin.changes


def test_edits_of_one_tick_see_each_other_in_the_order_of_the_list() -> None:
    def head(*plugins: Plugin) -> dict[str, Tensor]:
        trial = Trial(plugins).warm_up().run(3)
        return {name: p.detach() for name, p in trial.learner.model.named_parameters() if name.startswith("head.")}

    def reset() -> Plugin:
        return Reset(when=At(3))

    def shrink() -> Plugin:
        return ShrinkPerturb(shrink=0.5, perturb=0.0, layers="head", when=At(3))

    fresh = head(reset())
    assert same(head(shrink(), reset()), fresh)
    assert same(head(reset(), shrink()), {name: 0.5 * value for name, value in fresh.items()})


def test_the_same_plugin_twice() -> None:
    twice = [Reset(layers="head.value", when=At(3)), Reset(layers="head.advantage", when=At(3))]
    once = Trial([Reset(layers="head.value", when=At(3))]).warm_up().run(3)
    both = Trial(twice).warm_up().run(3)
    assert faults(both.learner) == []
    changed = set(differences(both.learner.model.state_dict(), once.learner.model.state_dict()))
    assert changed
    assert all(name.startswith("head.advantage.") for name in changed)
