"""From a recipe to a run that could begin, or one sentence why not."""

import gc
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from attrs import define, evolve, frozen
from torch import nn

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.core.agent import Observations, Preset, TaskValues, observations_of
from plastic.core.errors import UsageError
from plastic.core.hookspecs import hookimpl
from plastic.core.intervention import PlasticityIntervention
from plastic.core.recipes import assemble as module
from plastic.core.recipes.assemble import Assembly, assemble
from plastic.core.recipes.presets import find_preset, merged
from plastic.core.recipes.recipe import Chosen, Recipe, from_toml
from plastic.core.recipes.registry import Registry
from plastic.core.schedule import Every
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.sam import SAM
from tests.core.games import TINY, Games, Walk, registry
from tests.core.test_agent import Pair

WALK = Recipe(env="walk", steps=100, settings=TINY)
# not on a walk: its hidden layers are too narrow; it wants images; it wants a tanh; and not beside prune_dormant
ALONE = ("crelu", "fourier_features", "augmentation", "saturated_units", "rational")


def together() -> tuple[Chosen, ...]:
    """Every plugin that a walk can have; of those that claim the same, the first."""
    claimed: set[str] = set()
    chosen = []
    for name, entry in registry().all("plugin").items():
        claims = entry.cls.claims | entry.cls.turns
        if name not in ALONE and not claims & claimed:
            claimed |= claims
            chosen.append(Chosen(name))
    return tuple(chosen)


# ------------------------------------------------------------------ what comes of a recipe


def test_the_resolved_recipe_says_every_value() -> None:
    done = assemble(evolve(WALK, plugins=(Chosen("sam", {"rho": 0.05}), Chosen("reset", {"when": 30}))), registry())
    recipe = done.recipe
    assert (recipe.agent, recipe.env, recipe.preset, recipe.steps, recipe.seed) == (
        "rainbow",
        "My/Walk-v0",
        "none",
        100,
        0,
    )
    assert done.preset == "classic"
    assert recipe.settings["lives"] == 2  # of the family
    assert recipe.settings["hidden"] == 8  # of the user
    assert recipe.settings["learning_rate"] == 5e-4  # of the preset
    assert recipe.settings["adam_eps"] == 1.5e-4  # of the agent
    assert recipe.settings["threads"] == 1  # of the run
    assert recipe.settings["evaluate_every"] == "none"
    sam, reset = recipe.plugins
    assert sam.options["rho"] == 0.05
    assert sam.options["redraw"] == "noise"
    assert reset.options["when"] == {"every": 30, "of": "updates"}


@pytest.mark.parametrize(
    "wanted",
    [
        WALK,
        evolve(WALK, plugins=(Chosen("swa"), Chosen("plasticity_injection", {"when": 20, "most": 2}))),
        evolve(WALK, plugins=together()),
        evolve(WALK, settings=TINY | {"evaluate_every": 10, "lives": 5}, seed=3),
    ],
)
def test_the_resolved_recipe_resolves_to_itself(wanted: Recipe) -> None:
    first = assemble(wanted, registry()).recipe
    assert from_toml(first.toml()) == first
    again = assemble(from_toml(first.toml()), registry())
    assert again.recipe == first
    assert again.preset == "none"


def test_no_preset_is_the_agents_own_defaults() -> None:
    settings = {name: value for name, value in TINY.items() if name != "hidden"}
    bare = assemble(evolve(WALK, preset="none", settings=settings), registry())
    assert bare.recipe.settings["hidden"] == Rainbow().hidden == 512
    assert bare.recipe.settings["learning_rate"] == 1e-4
    assert bare.preset == "none"
    assert assemble(from_toml(evolve(WALK, preset="none").toml()), registry()).preset == "none"


def test_totals_of_the_run() -> None:
    total = assemble(WALK, registry()).clock.total
    assert (total.updates, total.agent_steps, total.frames, total.episodes) == (91, 100, 400, 0)
    assert assemble(evolve(WALK, env="CartPole-v1"), registry()).clock.total.frames == 100


@pytest.mark.parametrize(
    ("ratio", "updates"),
    [(1, 98_001), (2, 196_002), (4, 392_004), (8, 784_008), (16, 1_568_016), (0.5, 49_000), (0.1, 9_800)],
)
def test_updates_of_an_atari_run_are_those_of_the_paper(ratio: float, updates: int) -> None:
    """Spec A6: at replay ratio 2, 100,000 agent steps and learning from 2,000 on, 196,002 updates."""
    agent = Rainbow(replay_ratio=ratio, learning_starts=2_000)
    total = module._owed(100_000, agent, 4).clock.total
    assert (total.updates, total.agent_steps, total.frames) == (updates, 100_000, 400_000)


@pytest.mark.parametrize(
    ("ratio", "resets", "steps"),
    [
        (1, 2, [41_999, 81_999]),
        (2, 4, [21_999, 41_999, 61_999, 81_999]),
        (4, 9, list(range(11_999, 92_000, 10_000))),
        (8, 19, list(range(6_999, 97_000, 5_000))),
        (16, 39, None),
    ],
)
def test_resets_of_an_atari_run_are_those_of_the_paper(ratio: int, resets: int, steps: list[int] | None) -> None:
    """Spec A6, the table of reset points; the k-th update falls on agent step 2,000 + (k - 1) // ratio."""
    updates = module._owed(100_000, Rainbow(replay_ratio=ratio), 4).clock.total.updates
    at = range(Every(40_000).period, updates, 40_000)  # none on the very last
    assert len(at) == resets
    moments = [2_000 + (update - 1) // ratio for update in at]
    assert steps is None or moments == steps
    if ratio == 16:
        assert moments[-1] == 99_499


@pytest.mark.parametrize(("said", "games"), [("none", 3), (5, 5), (0, 0)])
def test_an_evaluation_has_the_familys_number_of_games_unless_told(said: str | int, games: int) -> None:
    assert assemble(evolve(WALK, settings=TINY | {"eval_episodes": said}), registry()).games == games


def test_each_evaluation_has_an_environment_of_its_own_under_its_own_rules() -> None:
    done = assemble(WALK, registry())
    one, other = done.evaluation_env(), done.evaluation_env()
    assert isinstance(done.env, Walk)
    assert isinstance(one, Walk)
    assert len({id(env) for env in (done.env, one, other)}) == 3
    assert (done.env.lives, one.lives) == (2, 3)


# ------------------------------------------------------------------ presets and plugins


def test_the_users_options_go_to_the_presets_plugin_and_the_rest_behind() -> None:
    preset = [Chosen("sam", {"rho": 0.1, "scope": "encoder"}), Chosen("reset", {"when": 40_000})]
    chosen = [Chosen("crelu"), Chosen("sam", {"rho": 0.5}), Chosen("sam", {"rho": 0.7})]
    assert merged(preset, chosen) == [
        Chosen("sam", {"rho": 0.5, "scope": "encoder"}),
        Chosen("reset", {"when": 40_000}),
        Chosen("crelu"),
        Chosen("sam", {"rho": 0.7}),
    ]
    assert preset[0].options["rho"] == 0.1


def test_a_preset_brings_its_settings_and_plugins() -> None:
    @define(eq=False)
    class Made(Rainbow):
        name = "made"
        presets: ClassVar[Mapping[str, Preset]] = {
            "own": Preset("", "", None, {"hidden": 4, "v_max": 3.0}, (Chosen("sam", {"rho": 0.3}), Chosen("l2"))),
            "seen": Preset("", "", "image"),
        }
        defaults: ClassVar[Mapping[Observations, str]] = {"vector": "own", "image": "seen"}

    class Hooks:
        @staticmethod
        @hookimpl
        def plastic_agents() -> list[Any]:
            return [Made]

    known = registry()
    known.add(Hooks, "mine")
    settings = {name: value for name, value in TINY.items() if name != "hidden"} | {"v_max": 7.0}
    done = assemble(evolve(WALK, agent="made", settings=settings, plugins=(Chosen("sam", {"scope": "head"}),)), known)
    assert done.preset == "own"
    assert (done.recipe.settings["hidden"], done.recipe.settings["v_max"]) == (4, 7.0)
    assert [type(plugin.example) for plugin in done.plugins] == [SAM, L2]
    sam = done.plugins[0].example
    assert isinstance(sam, SAM)
    assert (sam.rho, sam.scope) == (0.3, "head")
    with pytest.raises(UsageError, match=r"^made has no preset 'owm'; did you mean 'own'\?$"):
        assemble(evolve(WALK, agent="made", preset="owm"), known)
    with pytest.raises(
        UsageError, match=r"the preset 'seen' is for images, and this environment gives vectors; use own$"
    ):
        find_preset(Made, "seen", "vector")


@define(eq=False)
class Valued(Rainbow):
    """With options of plugins that hold where they are chosen: of a preset and of a task."""

    name = "valued"
    presets: ClassVar[Mapping[str, Preset]] = {
        "own": Preset(
            "",
            "",
            settings={"hidden": 4, "atoms": 3},
            plugins=(Chosen("l2", {"strength": 0.5, "decoupled": True}),),
            values={"sam": {"rho": 0.3, "scope": "head", "noiseless": True}},
            environment={"games": {"lives": 4}, "others": {"size": 64}},
        )
    }
    defaults: ClassVar[Mapping[Observations, str]] = {"vector": "own"}
    environment = "walk"
    tasks: ClassVar[Mapping[str, TaskValues]] = {
        "My/*": TaskValues(
            "", {"atoms": 7}, {"sam": {"scope": "encoder", "noiseless": False}, "l2": {"strength": 0.7}}
        ),
        "CartPole-*": TaskValues("", {"hidden": 2}, {"sam": {"rho": 9.0}}),
    }


def valued(**changes: Any) -> Assembly:
    known = registry()
    known.add(type("Hooks", (), {"plastic_agents": staticmethod(hookimpl(lambda: [Valued]))}), "mine")
    return assemble(evolve(Recipe(agent="valued", steps=100), **changes), known)


def test_values_of_the_user_win_over_those_of_the_task_and_those_over_the_presets() -> None:
    bare = valued().recipe
    assert bare.env == "My/Walk-v0"  # the agent's own
    assert (bare.settings["hidden"], bare.settings["atoms"], bare.settings["lives"]) == (4, 7, 4)
    (l2,) = bare.plugins
    assert (l2.options["strength"], l2.options["decoupled"]) == (0.7, True)
    said = valued(settings={"atoms": 9, "lives": 5}, plugins=(Chosen("l2", {"strength": 0.9}), Chosen("sam"))).recipe
    assert (said.settings["atoms"], said.settings["lives"]) == (9, 5)
    l2, sam = said.plugins
    assert (l2.options["strength"], l2.options["decoupled"]) == (0.9, True)
    assert [sam.options[name] for name in ("rho", "scope", "noiseless")] == [0.3, "encoder", False]
    (_, sam) = valued(plugins=(Chosen("sam", {"scope": "whole"}),)).recipe.plugins
    assert [sam.options[name] for name in ("rho", "scope", "noiseless")] == [0.3, "whole", False]
    elsewhere = valued(env="CartPole-v1", plugins=(Chosen("sam"),)).recipe
    assert (elsewhere.settings["hidden"], elsewhere.settings["atoms"]) == (2, 3)
    assert elsewhere.plugins[1].options["rho"] == 9.0


def test_what_changes_nothing_is_refused_but_in_a_resolved_recipe_which_was_looked_at() -> None:
    with pytest.raises(UsageError, match="valued: shift is for images, and My/Walk-v0 gives vectors; leave it out"):
        valued(settings={"shift": 2})
    with pytest.raises(UsageError, match=r"reset: no parameters match 'nope' of layers=head[+]nope"):
        valued(plugins=(Chosen("reset", {"layers": "head+nope"}),))
    resolved = valued(plugins=(Chosen("reset"),)).recipe
    *others, reset = resolved.plugins
    odd = evolve(reset, options={**reset.options, "layers": "head+nope"})
    settings = {**resolved.settings, "shift": 2}
    again = valued(preset=resolved.preset, env=resolved.env, settings=settings, plugins=(*others, odd))
    assert again.recipe.settings["shift"] == 2
    assert again.recipe.plugins[-1] == odd


def test_a_resolved_recipe_keeps_its_values_whatever_presets_and_tasks_say() -> None:
    first = valued(settings={"atoms": 9}, plugins=(Chosen("sam", {"rho": 0.1}),)).recipe
    known = registry()
    known.add(type("Hooks", (), {"plastic_agents": staticmethod(hookimpl(lambda: [Valued]))}), "mine")
    assert assemble(from_toml(first.toml()), known).recipe == first


def test_two_of_a_name_on_learners_of_their_own_stay_two() -> None:
    preset = [Chosen("sam", {"rho": 0.1, "scope": "head"}, "critic")]
    assert merged(preset, [Chosen("sam", {"rho": 0.2}, "actor")]) == [*preset, Chosen("sam", {"rho": 0.2}, "actor")]
    for on in (None, "critic"):
        assert merged(preset, [Chosen("sam", {"rho": 0.2}, on)]) == [
            Chosen("sam", {"rho": 0.2, "scope": "head"}, "critic")
        ]
    assert merged([Chosen("sam")], [Chosen("sam", {}, "actor")]) == [Chosen("sam", {}, "actor")]


@frozen(eq=False)
class Slow(PlasticityIntervention):
    """Starts from a replay ratio of its own."""

    name = "slow"
    turns = frozenset({"replay_ratio"})
    ratio: float = 0.5

    def settings(self) -> Mapping[str, Any]:
        return {"replay_ratio": self.ratio}


@frozen(eq=False)
class Stepping(Slow):
    name = "stepping"
    turns = frozenset({"stride"})


def slow(**changes: Any) -> Assembly:
    known = registry()
    known.add(type("Hooks", (), {"plastic_interventions": staticmethod(hookimpl(lambda: [Slow, Stepping]))}), "mine")
    return assemble(evolve(WALK, plugins=(Chosen("slow"),), **changes), known)


def test_a_plugin_brings_the_settings_it_starts_from() -> None:
    done = slow()
    assert (done.agent.replay_ratio, done.agent.knobs["replay_ratio"], done.clock.total.updates) == (0.5, 0.5, 45)
    assert slow(settings=TINY | {"replay_ratio": 0.5}).agent.replay_ratio == 0.5  # as a resumed run says it
    with pytest.raises(UsageError, match=r"slow starts from replay_ratio=0\.5, and you say 2\.0; leave it out"):
        slow(settings=TINY | {"replay_ratio": 2.0})


def test_a_knob_that_means_nothing_here_is_refused() -> None:
    known = registry()
    known.add(type("Hooks", (), {"plastic_interventions": staticmethod(hookimpl(lambda: [Stepping]))}), "mine")
    with pytest.raises(UsageError, match="stepping turns stride, which means nothing in this run; it has discount, "):
        assemble(evolve(WALK, plugins=(Chosen("stepping"),)), known)


PAIR = Recipe(agent="tests.core.test_agent:Pair", env="walk", steps=40)


@define(eq=False)
class Uneven(Pair):
    """Of its learners the actor alone has a trunk."""

    name = "uneven"

    def network(self, name: str) -> Callable[[], nn.Module]:
        trunk = nn.Sequential(OrderedDict(trunk=nn.Linear(3, 2)))
        return super().network(name) if name == "critic" else lambda: deepcopy(trunk)


def with_uneven() -> Registry:
    known = registry()
    known.add(type("Hooks", (), {"plastic_agents": staticmethod(hookimpl(lambda: [Uneven]))}), "mine")
    return known


def test_a_plugin_without_an_address_goes_where_it_finds_something() -> None:
    known = with_uneven()

    def placed(*plugins: str) -> dict[str, str | None]:
        done = assemble(evolve(PAIR, agent="uneven", plugins=tuple(map(Chosen.parse, plugins))), known)
        for one in done.plugins:  # and they are there
            for learner, plugin in one.instances.items():
                assert plugin in done.agent.learners[learner].plugins
        return {one.name: one.on for one in done.recipe.plugins}

    assert placed("reset", "sam:scope=encoder", "l2:layers=head", "weight_norm") == {
        "reset": "critic+actor",
        "sam": "critic",
        "l2": "critic",
        "weight_norm": "critic+actor",
    }
    assert placed("sam:scope=trunk", "reset:layers=head") == {"sam": "actor", "reset": "critic"}
    with pytest.raises(UsageError, match="sam: no trained parameter matches scope=encoder"):
        placed("sam:scope=encoder,on=actor")
    with pytest.raises(UsageError, match="sam: no trained parameter matches scope=haed"):
        placed("sam:scope=haed")
    with pytest.raises(UsageError, match=r"uneven has no 'crtic' to act on; did you mean 'critic'\?"):
        placed("sam:on=crtic")


def test_an_agent_that_began_in_vain_is_gone_before_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replay may be most of a GPU's memory."""
    made: list[weakref.ref[Any]] = []
    there: list[bool] = []
    make = module._Beginning._made

    def watched(self: Any, plugins: Any) -> Any:
        there.append(any(agent() is not None for agent in made))
        agent = make(self, plugins)
        made.append(weakref.ref(agent))
        return agent

    monkeypatch.setattr(module._Beginning, "_made", watched)
    gc.disable()
    try:
        assemble(evolve(PAIR, agent="uneven", plugins=(Chosen("sam", {"scope": "encoder"}),)), with_uneven())
    finally:
        gc.enable()
    assert there == [False, False]


def test_an_agent_without_a_preset_for_what_it_would_see_is_refused() -> None:
    @define(eq=False)
    class Blind(Rainbow):
        name = "blind"
        presets: ClassVar[Mapping[str, Preset]] = {"seen": Preset("", "", "image")}
        defaults: ClassVar[Mapping[Observations, str]] = {"image": "seen"}

    class Hooks:
        @staticmethod
        @hookimpl
        def plastic_agents() -> list[Any]:
            return [Blind]

    known = registry()
    known.add(Hooks, "mine")
    with pytest.raises(
        UsageError, match="the preset 'seen' is for images, and this environment gives vectors; blind has none for them"
    ):
        assemble(evolve(WALK, agent="blind"), known)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent": "rainbwo"}, "no agent 'rainbwo'; did you mean 'rainbow'?"),
        ({"env": "walkk"}, "no environment 'walkk'; did you mean 'walk'?"),
        ({"env": "CartPol-v1"}, "no environment 'CartPol-v1'; did you mean 'CartPole-v1'?"),
        ({"env": "zzzz"}, "no environment 'zzzz'; known: CartPole-v1, "),
        ({"env": "Trwque-v0"}, "no environment 'Trwque-v0'; did you mean 'Torque-v0'?"),
        ({"env": "Zzzz-v0"}, "no environment 'Zzzz-v0'; known: CartPole-v1, "),
        ({"env": "Table-v0"}, "Table-v0 gives observations of Discrete(4); agents need arrays, a Box"),
        ({"env": "Torque-v0"}, "rainbow needs discrete actions; this environment has Box("),
        ({"preset": "drq"}, "the preset 'drq' is for images, and this environment gives vectors; use classic"),
        ({"preset": "clasic"}, "rainbow has no preset 'clasic'; did you mean 'classic'?"),
        ({"env": "Picture-v0", "preset": "classic"}, "the preset 'classic' is for vectors, and this environment gives"),
        ({"plugins": (Chosen("smm"),)}, "no plugin 'smm'; did you mean 'sam'?"),
        ({"plugins": (Chosen("sam", {"roh": 1}),)}, "sam has no option 'roh'; did you mean 'rho'?"),
        ({"plugins": (Chosen("sam", {"rho": -1}),)}, "sam: rho must be at least 0, not -1"),
        ({"plugins": (Chosen("sam"), Chosen("sam"))}, "'sam' is there twice and claims the ascent; choose one"),
        (
            {"plugins": (Chosen("reset", {"layers": "haed"}),)},
            "reset: no parameters match 'haed'; the network has encoder, head",
        ),
        ({"settings": {"hiden": 1}}, "no setting 'hiden'; did you mean 'hidden'?"),
        ({"settings": {"replay_ratio": float("inf")}}, "rainbow: replay_ratio must be finite, not inf"),
        ({"settings": {"v_max": float("inf")}}, "rainbow: v_max must be finite, not inf"),
        ({"settings": {"hidden": 0}}, "rainbow: hidden must be at least 1, not 0"),
        ({"settings": {"lives": 0}}, "games: lives must be at least 1, not 0"),
        ({"settings": {"threads": 0}}, "run: threads must be at least 1, not 0"),
        ({"settings": {"v_min": 5.0, "v_max": 1.0}}, "v_min must be below v_max"),
        ({"settings": {"learners": 1}}, "no setting 'learners'"),
        ({"device": "gpu"}, "no device 'gpu'; use cpu, cuda or cuda:N"),
        ({"device": "meta"}, "no device 'meta'; use cpu, cuda or cuda:N"),
        ({"device": "mps"}, "no device 'mps'; use cpu, cuda or cuda:N"),
        ({"device": "cuda:x"}, "no device 'cuda:x'; use cpu, cuda or cuda:N"),
        ({"device": ""}, "no device ''; use cpu, cuda or cuda:N"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(changes: dict[str, Any], words: str) -> None:
    wanted = evolve(WALK, **changes)
    with pytest.raises(UsageError) as caught:
        assemble(wanted, registry())
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_more_threads_than_the_machine_has_use_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert assemble(evolve(WALK, settings={**TINY, "threads": 6}), registry()).settings.threads == 6
    for threads in (7, 100_000):
        with pytest.raises(UsageError) as caught:
            assemble(evolve(WALK, settings={**TINY, "threads": threads}), registry())
        assert str(caught.value) == (
            f"run: threads must be at most 6, twice the cores of this machine (3), not {threads:,}"
        )


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device is available here; leave --device out to run on the CPU"):
        assemble(evolve(WALK, device="cuda"), registry())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="there is no cuda:1; this machine has 1 CUDA devices"):
        assemble(evolve(WALK, device="cuda:1"), registry())


def test_a_cuda_device_of_a_number_becomes_the_current_one_and_computes_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=True, deterministic=False, allow_tf32=True)
    with flags:
        assert module._device("cuda:1") == torch.device("cuda:1")
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic
    module._device("cuda")
    module._device("cpu:0")
    assert current == [torch.device("cuda:1")]


def test_a_setting_of_two_is_refused() -> None:
    @frozen
    class Doubled(Games):
        name = "doubled"
        hidden: int = 3

        def find(self, task: str) -> str | None:
            return task if task == "Doubled-v0" else None

    class Hooks:
        @staticmethod
        @hookimpl
        def plastic_envs() -> list[Any]:
            return [Doubled]

    known = registry()
    known.add(Hooks, "mine")
    with pytest.raises(UsageError, match="'hidden' is a setting of two of run, rainbow and doubled; rename one"):
        assemble(Recipe(env="Doubled-v0", settings={"hidden": 4}), known)


def test_an_unknown_task_names_the_packages_that_could_not_be_asked() -> None:
    known = Registry()
    known.broken["my-games"] = "ImportError: no"
    with pytest.raises(UsageError, match=r"no environment 'x'; known: none \(the package my-games failed to load:"):
        module.find_task("x", known)


def test_what_is_an_image() -> None:
    box = gymnasium.spaces.Box
    assert observations_of(box(0, 255, (4, 84, 84), np.uint8)) == "image"
    assert observations_of(box(0, 255, (4, 84, 84), np.float32)) == "vector"
    assert observations_of(box(0, 255, (84, 84), np.uint8)) == "vector"
    assert observations_of(box(-1, 1, (3,), np.float32)) == "vector"
