"""Any two plugins, and all of them in any order, work on SAC from states and from pixels and on DrQ-v2.

As in a run, plugins are addressed to learners, and one that finds nothing to act on is refused. Each set runs a
few updates of small networks across resets, injections and a checkpoint; what must be true of every learner is
compared after every update and every edit, and a plugin's traces are looked for where it acts and nowhere else.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.probe import Probe
from plastic.core.recipes.recipe import Chosen
from plastic.testing.compare import cloned, differences, near, same
from plastic.testing.invariants import faults
from plastic.testing.known import built_in
from plastic.testing.trial import SMALL, STEPS, WARM, Trial

CHECKPOINT = WARM + 2  # agent steps: after update 3, and half an update is owed where the replay ratio is 1.5
NAMES = (
    "sam",
    "swa",
    "l2",
    "layer_norm",
    "crelu",
    "reset",
    "shrink_perturb",
    "plasticity_injection",
    "adaptive_rr",
    "augmentation",
)
# Shrink and perturb after 1, 2, 3 and 4, resets and injections after 2 and 4; none after the last
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "sam": {"rho": 0.1},
    "swa": {"when": {"every": 1}},
    "l2": {"strength": 0.01},
    "reset": {"when": {"every": 2}},
    "shrink_perturb": {"when": {"every": 1}},
    "plasticity_injection": {"when": {"every": 2}},
    # rises at its first check, after update 2
    "adaptive_rr": {"low": 1.0, "high": 1.5, "tolerance": 1.0, "when": {"every": 1, "of": "agent_steps"}},
    "augmentation": {"off_at": 2, "of": "updates"},
}
PERIOD = {"reset": 2, "shrink_perturb": 1, "plasticity_injection": 2}  # updates
SHRINK = 0.8
PROBES = ("active_units", "dormant_units", "feature_rank", "gradient_norm", "weight_norm")
TWICE = {"every": 2}  # they measure on both sides of the checkpoint, at moments of edits
ONCE = {"at": 2}

SINGLY = ("states", "drq", "drqv2")
IN_PAIRS = ("states", "pixels")
BOTH = frozenset({"critic", "actor"})
CRITIC = frozenset({"critic"})
LEARNERS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("states", "pixels", "drq"), BOTH | {"temperature"}),
    "drqv2": BOTH,
}
# Where each acts unless it is addressed; a reset on all learners there are
DEFAULT: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("sam", "swa", "l2", "layer_norm", "crelu"), BOTH),
    **dict.fromkeys(("shrink_perturb", "plasticity_injection", "adaptive_rr", "augmentation"), CRITIC),
}
# What is refused, and why. The actor has no encoder, and from states nobody has one, which is what shrink and
# perturb is for unless it is told other layers; states are not augmented; the replay ratio and augmentation are
# there once; but for a reset, nothing acts on a temperature.
_NO_ENCODER = "shrink_perturb: no parameters match 'encoder'; the network has"
_NO_IMAGES = (
    "augmentation turns augmentation, which means nothing in this run; it has discount, learning_rate, n_step, "
    "replay_ratio"
)
_NUMBER = "{} acts on networks, and sac's temperature is a single number; use critic or actor"
_NOBODY = "{}: drqv2 has no 'temperature' to act on; known: actor, critic"
_ONE = "{} turns the {}, of which there is one; address one learner"
_KNOBS = {"adaptive_rr": "replay_ratio", "augmentation": "augmentation"}
REFUSED: Mapping[tuple[str, str, str | None], str] = {
    **{
        ("states", "shrink_perturb", on): f"{_NO_ENCODER} head alone; choose layers=head"
        for on in (None, "critic", "actor", "both", "all")
    },
    **{
        (kind, "shrink_perturb", on): f"{_NO_ENCODER} head, trunk"
        for kind in ("drq", "drqv2")
        for on in ("actor", "both", "all")
    },
    **{("states", "augmentation", on): _NO_IMAGES for on in (None, "critic", "actor")},
    **{
        (kind, name, on): _ONE.format(name, knob)
        for kind in SINGLY
        for name, knob in _KNOBS.items()
        for on in ("both", "all")
    },
    **{
        (kind, name, "temperature"): _NUMBER.format(name)
        for kind in ("states", "drq")
        for name in NAMES
        if name != "reset"
    },
    **{("drqv2", name, "temperature"): _NOBODY.format(name) for name in NAMES},
}
ADDRESSES = (None, "critic", "actor", "temperature", "both", "all")
# The first trace of each against the bare run: at the start, after an update, or after the edits that follow one
ACTS: Mapping[str, tuple[str, set[str]]] = {
    "sam": ("update 1", {"gradients"}),
    "swa": ("update 1", {"evaluation"}),
    "l2": ("update 1", {"gradients"}),
    "layer_norm": ("start", {"structure"}),
    "crelu": ("start", {"structure"}),
    "reset": ("edits 2", {"parameters", "copies", "optimizer state"}),
    "shrink_perturb": ("edits 1", {"parameters", "copies", "optimizer state"}),
    "plasticity_injection": ("edits 2", {"structure", "copies", "optimizer state"}),
    "adaptive_rr": ("edits 2", {"knobs"}),
    "augmentation": ("edits 2", {"knobs"}),
}


def choose(name: str, on: str | None = None, **more: Any) -> Chosen:
    return Chosen(name, {**OPTIONS.get(name, {}), **more}, on)


def chosen(kind: str, names: Sequence[str]) -> list[Chosen]:
    """At their default addresses; from states shrink and perturb takes the head, or it could not be there."""
    return [
        choose(name, on=None, **({"layers": "head"} if (kind, name) == ("states", "shrink_perturb") else {}))
        for name in names
    ]


def default(kind: str, name: str) -> frozenset[str]:
    if name == "reset":
        return LEARNERS[kind]
    return BOTH if (kind, name) == ("states", "shrink_perturb") else DEFAULT[name]


def with_probes(plugins: Sequence[Chosen], when: Mapping[str, int]) -> list[Chosen]:
    first, *rest = (Chosen(name, {"when": when}) for name in PROBES)
    return [first, *plugins, *rest]


# -------------------------------------------------------------------- what a trial looks like at a moment


@frozen(eq=False)
class State:
    """A learner, copied."""

    weights: dict[str, dict[str, Tensor]]  # by network (`model`, `target` ...) and name
    moments: dict[str, dict[str, Tensor]]  # what the optimizer remembers, by parameter
    structure: dict[str, str]
    evaluation: str | None

    @classmethod
    def of(cls, learner: Learner) -> "State":
        networks: dict[str, nn.Module] = {"model": learner.model, **learner.copies}
        remembered = learner.optimizer.state
        return cls(
            {name: cloned(network.state_dict()) for name, network in networks.items()},
            {name: cloned(remembered[p]) for name, p in learner.params.items() if p in remembered},
            {path: type(module).__name__ for path, module in learner.model.named_modules()},
            learner.evaluation,
        )

    def kinds(self, other: "State") -> set[str]:
        """What differs in another one: of the words that plugins say what they change by."""
        found = set()
        if self.structure != other.structure:
            found.add("structure")
        if self.evaluation != other.evaluation:
            found.add("evaluation")
        if not same(self.moments, other.moments):
            found.add("optimizer state")
        for network in (self.weights.keys() & other.weights.keys()) - {"swa"}:
            mine, theirs = self.weights[network], other.weights[network]
            model = network == "model"
            if any(not same(mine[name], theirs[name]) for name in mine.keys() & theirs.keys()) or (
                not model and mine.keys() != theirs.keys()
            ):
                found.add("parameters" if model else "copies")
        return found


@frozen(eq=False)
class Moment:
    """All learners at one moment, and the knobs of the run."""

    learners: dict[str, State]
    knobs: dict[str, float]

    @classmethod
    def of(cls, trial: Trial) -> "Moment":
        return cls({name: State.of(learner) for name, learner in trial.learners.items()}, dict(trial.agent.knobs))


def addresses(trial: Trial) -> dict[str, frozenset[str]]:
    return {one.example.name: frozenset(one.instances) for one in trial.assembly.plugins}


def training(trial: Trial) -> dict[str, Any]:
    """All that the further training of a trial depends on, by name; what probes keep is not among it."""
    parts: dict[str, Any] = {f"agent/{name}": value for name, value in trial.agent.state_dict().items()}
    for name, learner in trial.learners.items():
        state = learner.state_dict()
        parts |= {f"{name}/model/{path}": value for path, value in state["model"].items()}
        parts |= {f"{name}/{copy}/{path}": value for copy, of in state["copies"].items() for path, value in of.items()}
        parts |= {f"{name}/moments/{path}": learner.optimizer.state.get(p, {}) for path, p in learner.params.items()}
        parts |= {f"{name}/{key}": state[key] for key in ("updates", "noise", "augmentation", "averages")}
        counted = [plugin for plugin in learner.plugins if not isinstance(plugin, Probe)]
        parts |= {f"{name}/plugin/{plugin.name}": plugin_state(plugin) for plugin in counted}
    return parts | {"updates": trial.clock.now.updates, "actions": torch.from_numpy(np.array(trial.actions))}


# -------------------------------------------------------------------- what must be true after every step


@define(eq=False)
class Watched:
    """A trial whose every step is looked at."""

    kind: str
    plugins: Sequence[Chosen]
    where: Mapping[str, frozenset[str]]  # each plugin's learners, as they should be
    keep: bool = False  # every moment, to compare with another trial's
    trial: Trial = field(init=False)
    trail: dict[str, Moment] = field(factory=dict, init=False)

    def run(self) -> "Watched":
        self.trial = trial = Trial(self.kind, self.plugins)
        assert addresses(trial) == self.where
        trial.warm_up()
        after = self._note("start")
        while trial.clock.now.agent_steps < STEPS:
            trial.act()
            for _ in range(trial.owed()):
                before = after
                trial.update()
                update = trial.clock.now.updates
                middle = self._note(f"update {update}")
                self._check_update(before, middle)
                trial.tend()
                after = self._note(f"edits {update}")
                for name in trial.learners:
                    self._check_edits(name, middle.learners[name], after.learners[name], self._due(name, update))
        return self

    def _note(self, moment: str) -> Moment:
        for name, learner in self.trial.learners.items():
            assert faults(learner) == [], f"{name} after {moment}"
            assert learner.bad_update() is None
        critic = self.trial.learners["critic"]
        assert same(critic.model.get_submodule("encoder").state_dict(), critic.copies["actor_encoder"].state_dict())
        now = Moment.of(self.trial)
        if self.keep:
            self.trail[moment] = now
        return now

    def _due(self, learner: str, update: int) -> list[str]:
        """The edits of a learner after an update, in the user's order; none after the last."""
        if update == self.trial.clock.total.updates:
            return []
        names = [one.name for one in self.plugins if learner in self.where[one.name]]
        return [name for name in names if name in PERIOD and update % PERIOD[name] == 0]

    # ---------------------------------------------------------------- updates

    def _check_update(self, before: Moment, after: Moment) -> None:
        assert before.knobs == after.knobs
        for name, now in after.learners.items():
            was = before.learners[name]
            assert was.structure == now.structure
            for path in now.moments:
                assert not same(was.weights["model"][path], now.weights["model"][path]), f"{name}'s {path} rests"
        was, now = before.learners["critic"], after.learners["critic"]
        for path, lagging in now.weights["target"].items():
            goal = now.weights["model"][path]
            assert same(lagging, torch.lerp(was.weights["target"][path], goal, SMALL["target_rate"]))
            assert path not in now.moments or not same(lagging, goal), f"the target's {path} does not lag"
        if "temperature" in after.learners:
            self._check_temperature(before.learners["temperature"], after.learners["temperature"])

    def _check_temperature(self, before: State, after: State) -> None:
        """One step of Adam on alpha (entropy - H), whatever plugins there are."""
        objective: Any = self.trial.learners["temperature"].objective
        weight = before.weights["model"]["log_alpha"]
        gradient = weight.exp() * (-objective.actor_loss.log_probability - objective.target_entropy).mean()
        was = before.moments.get("log_alpha", {})
        count = int(was.get("step", 0)) + 1
        mean = 0.9 * was.get("exp_avg", 0.0) + 0.1 * gradient
        square = 0.999 * was.get("exp_avg_sq", 0.0) + 0.001 * gradient.square()
        root = (square / (1 - 0.999**count)).sqrt()
        stepped = weight - SMALL["learning_rate"] * (mean / (1 - 0.9**count)) / (root + 1e-8)
        assert near(after.weights["model"]["log_alpha"], stepped, 1e-4, 1e-6)

    # ---------------------------------------------------------------- edits

    def _check_edits(self, learner: str, before: State, after: State, due: Sequence[str]) -> None:
        """Every parameter of every network is new, mixed with noise, or what it was; what it should be."""
        injected = "plasticity_injection" in due
        if not injected:
            assert before.structure == after.structure
        for network, weights in after.weights.items():
            prefix = "encoder." if network == "actor_encoder" else ""
            for path, value in weights.items():
                name = prefix + path
                was = name.replace("head.old.", "head.", 1) if injected else name
                model = after.weights["model"][name]
                if self._fresh(name, due):
                    assert same(value, model), f"{learner}'s {network} has another new {name}"
                elif network == "swa" and name not in after.moments and ".old." in name:
                    assert same(value, model)  # a mean of what is trained; the rest it takes from the model
                elif self._shrunk(name, due):
                    noise = model - SHRINK * before.weights["model"][was]
                    own = before.weights[network][was.removeprefix(prefix)]
                    assert near(value - SHRINK * own, noise, 1e-4, 1e-5), f"{network}'s {name} is mixed with another"
                    assert was not in before.moments or not same(value, own), f"{network}'s {name} was left alone"
                else:
                    own = before.weights[network][was.removeprefix(prefix)]
                    assert same(value, own), f"{learner}'s {network}'s {name} was touched"
        self._check_moments(before, after, due)
        if injected:
            for name, value in after.weights["model"].items():
                if name.startswith("head.new."):
                    assert same(value, after.weights["model"][name.replace("head.new.", "head.new_frozen.", 1)])
        if learner == "temperature" and due:
            initial = torch.tensor(float(self.trial.assembly.recipe.settings["initial_temperature"])).log()
            assert same(after.weights["model"]["log_alpha"], initial)

    def _check_moments(self, before: State, after: State, due: Sequence[str]) -> None:
        for name, remembered in after.moments.items():
            if self._fresh(name, due) or self._shrunk(name, due):
                assert not any(value.any() for value in remembered.values()), f"what {name} had is remembered"
            else:
                assert same(remembered, before.moments[name])

    def _fresh(self, name: str, due: Sequence[str]) -> bool:
        """Whether all networks have the same new values of this parameter."""
        new = name.startswith(("head.new.", "head.new_frozen.")) and "plasticity_injection" in due
        return new or ("reset" in due and not name.startswith("encoder."))

    def _shrunk(self, name: str, due: Sequence[str]) -> bool:
        return "shrink_perturb" in due and name.startswith("head." if self.kind == "states" else "encoder.")


def watch(kind: str, plugins: Sequence[Chosen], where: Mapping[str, frozenset[str]], *, keep: bool = False) -> Watched:
    return Watched(kind, plugins, where, keep).run()


@cache
def bare(kind: str) -> Watched:
    return watch(kind, [], {}, keep=True)


def check_repeat(watched: Watched, when: Mapping[str, int] = TWICE) -> None:
    """The same run again with all five probes, and resumed from a checkpoint: bit for bit the same."""
    plugins = with_probes(watched.plugins, when)
    interrupted = Trial(watched.kind, plugins).warm_up().run(CHECKPOINT)
    resumed = Trial(watched.kind, plugins).load(interrupted.save())
    resumed.actions = interrupted.actions  # all of them are compared
    resumed.run()
    assert differences(training(resumed), training(watched.trial)) == []
    measured = interrupted.measured | resumed.measured
    assert measured.keys() >= ({2} if when is ONCE else {2, 4})
    for values in measured.values():
        assert {tuple(name.split("/")[:2]) for name in values} == {(on, probe) for on in BOTH for probe in PROBES}
        assert all(np.isfinite(value) for name, value in values.items() if "/overlap/" not in name)


# -------------------------------------------------------------------- the tests


def refusal(kind: str, plugins: Sequence[Chosen]) -> str:
    with pytest.raises(UsageError) as caught:
        Trial(kind, plugins)
    return str(caught.value)


def available(kind: str) -> list[str]:
    return [name for name in NAMES if (kind, name) != ("states", "augmentation")]


PAIRS = [(kind, names) for kind in IN_PAIRS for names in combinations(available(kind), 2)]
ADDRESSED = [(kind, name, on) for kind in SINGLY for name in NAMES for on in ADDRESSES]


@pytest.mark.parametrize(("kind", "name", "on"), REFUSED)
def test_what_finds_nothing_to_act_on_is_refused(kind: str, name: str, on: str | None) -> None:
    assert refusal(kind, [choose(name, on)]) == REFUSED[kind, name, on]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "augmentation"])
def test_nor_does_it_go_with_another_plugin(name: str) -> None:
    wanted = {REFUSED["states", "augmentation", None]}
    both = [*chosen("states", [name]), choose("augmentation")]
    assert {refusal("states", both), refusal("states", both[::-1])} == wanted


@pytest.mark.parametrize(("kind", "name", "on"), [case for case in ADDRESSED if case not in REFUSED])
def test_each_plugin_at_each_address(kind: str, name: str, on: str | None) -> None:
    words = {None: default(kind, name), "both": BOTH, "all": LEARNERS[kind] if name == "reset" else BOTH}
    where = words.get(on) or frozenset({str(on)})
    if on is not None and where == default(kind, name):
        assert addresses(Trial(kind, [choose(name, on)])) == {name: where}
        return
    watched = watch(kind, [choose(name, on)], {name: where}, keep=True)
    if name == "swa":
        check_evaluation(watched, where)
    else:
        check_traces(watched, name, where)
    if on is None:
        check_repeat(watched)


@pytest.mark.parametrize("on", [None, "critic", "actor"])
def test_shrink_and_perturb_from_states_with_layers_that_are_there(on: str | None) -> None:
    where = BOTH if on is None else frozenset({on})
    watched = watch("states", [choose("shrink_perturb", on, layers="head")], {"shrink_perturb": where}, keep=True)
    check_traces(watched, "shrink_perturb", where)
    check_repeat(watched)


def check_traces(watched: Watched, name: str, where: frozenset[str]) -> None:
    """Up to a plugin's first moment all is as in the bare run, then its learners differ, and at the end all."""
    first, wanted = ACTS[name]
    moments, bare_moments = list(watched.trail), list(bare(watched.kind).trail)
    before = moments[: moments.index(first)]
    assert bare_moments[: len(before)] == before
    for moment in before:
        assert traces(watched, moment, moment) == {}, f"something differs at {moment}, before {first}"
    found = traces(watched, first, first)
    if wanted == {"knobs"}:
        assert found == {"run": wanted}
    elif wanted == {"gradients"}:
        assert all("optimizer state" in found[learner] for learner in where)
        assert found.keys() >= where
        assert "critic" in where or "critic" not in found  # it learns before the actor does
    else:
        assert found == {learner: wanted - ({"copies"} if learner != "critic" else set()) for learner in where}
    assert traces(watched, moments[-1], bare_moments[-1]).keys() >= LEARNERS[watched.kind]  # all learn from all


def check_evaluation(watched: Watched, where: frozenset[str]) -> None:
    """Training is the bare run's; what acts in evaluation is not."""
    other = bare(watched.kind)
    assert watched.trail.keys() == other.trail.keys()
    for moment in watched.trail:
        wanted = {learner: {"evaluation"} for learner in where if moment != "start"}
        assert traces(watched, moment, moment) == wanted
    assert same(watched.trial.actions, other.trial.actions)
    seen = np.stack([watched.trial.observation, watched.trial.observation])
    mean, last = (one.agent.policy(torch.Generator())(seen) for one in (watched.trial, other.trial))
    acts = "actor" in where or watched.kind != "states"  # from states, critics have no part in acting
    assert (mean != last).any() == acts


def traces(watched: Watched, moment: str, bare_moment: str) -> dict[str, set[str]]:
    """What differs from the bare run, by learner; of a new structure no more than that."""
    now, without = watched.trail[moment], bare(watched.kind).trail[bare_moment]
    found = {learner: state.kinds(without.learners[learner]) for learner, state in now.learners.items()}
    if moment == "start":
        found = {learner: kinds & {"structure"} or kinds for learner, kinds in found.items()}
    found["run"] = {"knobs"} if now.knobs != without.knobs else set()
    return {name: kinds for name, kinds in found.items() if kinds}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_plugin_was_seen_to_change_it_declares(name: str) -> None:
    assert ACTS[name][1] <= built_in().find("plugin", name).changes


@pytest.mark.parametrize(
    ("kind", "names"), PAIRS, ids=lambda value: value if isinstance(value, str) else "+".join(value)
)
def test_every_pair(kind: str, names: tuple[str, ...]) -> None:
    check_repeat(together(kind, names), ONCE)


def together(kind: str, names: Sequence[str]) -> Watched:
    return watch(kind, chosen(kind, names), {name: default(kind, name) for name in names})


@pytest.mark.parametrize("kind", SINGLY)
def test_all_of_them_in_three_orders(kind: str) -> None:
    names = available(kind)
    edits = [name for name in names if name in PERIOD]
    others = [name for name in names if name not in PERIOD]
    orders = [together(kind, order) for order in (names, [*edits, *others[::-1]], names[::-1])]
    check_repeat(orders[0])
    check_repeat(orders[2], ONCE)
    first, second, third = (training(watched.trial) for watched in orders)
    assert differences(second, first) == []  # the stage decides, and among edits their order
    assert differences(third, first) != []  # the reset after an injection draws the new head again


@pytest.mark.parametrize("kind", ["states", "pixels", "drq", "drqv2"])
def test_another_seed_is_another_run(kind: str) -> None:
    once, again, other = (training(Trial(kind, seed=seed).warm_up().run()) for seed in (0, 0, 1))
    assert differences(once, again) == []
    assert {name for name in once if "/model/" in name and name.endswith("weight")} & set(differences(once, other))
