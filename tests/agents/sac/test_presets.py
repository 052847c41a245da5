"""The presets against tables written from the papers and their code, and what they resolve to."""

from collections.abc import Mapping
from typing import Any

import pytest

from plastic.agents.sac.presets import DEFAULTS, PRESETS, TASKS
from plastic.agents.sac.sac import SAC
from plastic.core.errors import UsageError
from plastic.core.recipes import options
from plastic.core.schedule import Every
from plastic.envs.dm_control_tasks import DMC_EASY, DMC_M
from tests.agents.actor_critic.still_tasks import ACTIONS, VALUES, assembled, chosen, of_environment, settings

# SAC from states of Nikishin et al. (2022, arXiv:2205.07802), as its code for dense rewards has it
STATE: Mapping[str, Any] = {
    "hidden": 256,
    "encoder": "drq",
    "n_step": 1,
    "discount": 0.99,
    "batch_size": 256,
    "replay_ratio": 1.0,
    "replay_capacity": 1_000_000,
    "learning_starts": 10_000,
    "learning_rate": 3e-4,
    "target_rate": 0.005,
    "augmentation": True,
    "shift": 4,
    "probe_batch": 512,
    "initialisation": "orthogonal",
    "initial_temperature": 1.0,
    "target_entropy": -0.5,
}
# table 5 of Lee et al. (2023, arXiv:2306.10711), completed from the code of Nikishin et al. (2022)
DRQ: Mapping[str, Any] = {
    **STATE,
    "batch_size": 512,
    "replay_capacity": 100_000,
    "learning_starts": 1_000,
    "initial_temperature": 0.1,
    "target_entropy": -1.0,
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "state": STATE,
    "drq": DRQ,
    "sam-reset": DRQ,
    "plastic": {**DRQ, "learning_rate": 1e-4},  # the released code's
}
PIXELS = {"pixels": True, "size": 64, "grey": True}
SAM = {"rho": 0.01, "scope": "whole", "adaptive": False, "redraw": "noise", "noiseless": False}
SAM |= {"priority": "clean", "when": "always"}
RESET = {"layers": "not-encoder", "optimizer": "layers", "when": {"every": 100_000, "of": "agent_steps"}}
EVERYTHING = "critic+actor+temperature"
PLUGINS: Mapping[str, list[tuple[str, str, dict[str, Any]]]] = {
    "state": [],
    "drq": [],
    "sam-reset": [("sam", "critic+actor", SAM), ("reset", EVERYTHING, RESET)],
    "plastic": [
        ("crelu", "critic+actor", {"layers": "head", "style": "input"}),
        ("layer_norm", "critic", {"layers": "encoder", "axes": "channel", "affine": True}),
        ("sam", "critic", SAM | {"scope": "encoder_grad"}),
        ("reset", EVERYTHING, RESET),
    ],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_preset_is_its_table(name: str) -> None:
    assembly = assembled("sac", "hopper-hop", name)
    assert settings(assembly) == SETTINGS[name]
    colour = {"pixels": True, "size": 64}  # as PLASTIC's control code has it
    assert of_environment(assembly) == {"state": {}, "plastic": colour}.get(name, PIXELS)
    assert chosen(assembly) == PLUGINS[name]
    assert PRESETS[name].source


def test_there_are_no_others_and_the_defaults_are_the_first() -> None:
    assert PRESETS.keys() == SETTINGS.keys()
    assert DEFAULTS == {"image": "drq", "vector": "state"}
    assert dict(options.values(SAC())) == STATE == settings(assembled("sac", "cheetah-run"))
    pixels = assembled("sac", "cheetah-run", pixels=True)
    assert pixels.preset == "drq"
    assert (settings(pixels), of_environment(pixels)) == (DRQ, PIXELS)


def test_what_the_user_says_wins() -> None:
    assembly = assembled("sac", "cheetah-run", "plastic", "sam:rho=0.5", batch_size=7, grey=True, size=84)
    assert settings(assembly) == {**SETTINGS["plastic"], "batch_size": 7}
    assert of_environment(assembly) == {"pixels": True, "size": 84, "grey": True}
    assert chosen(assembly)[2] == ("sam", "critic", {**SAM, "scope": "encoder_grad", "rho": 0.5})


@pytest.mark.parametrize(
    ("preset", "plugin", "option", "value"),
    [
        ("state", "reset", "when", {"every": 200_000, "of": "agent_steps"}),
        ("drq", "reset", "when", {"every": 100_000, "of": "agent_steps"}),
        ("drq", "plasticity_injection", "when", {"at": 1_000_000, "of": "frames"}),
        ("state", "sam", "rho", 0.01),
        ("drq", "sam", "rho", 0.01),
    ],
)
def test_plugins_of_the_users_take_the_presets_values(preset: str, plugin: str, option: str, value: Any) -> None:
    ((name, on, options_),) = chosen(assembled("sac", "cheetah-run", preset, plugin))
    assert (name, options_[option]) == (plugin, value)
    assert on == {"reset": EVERYTHING, "sam": "critic+actor", "plasticity_injection": "critic"}[plugin]


@pytest.mark.parametrize("preset", ["state", "drq", "sam-reset"])
def test_sams_radius_is_that_of_the_task(preset: str) -> None:
    plugins = [] if preset == "sam-reset" else ["sam"]
    tasks = (*DMC_M, *DMC_EASY) if preset == "state" else ("hopper-hop", "quadruped-walk")
    for task in tasks:
        found = {name: values for name, _, values in chosen(assembled("sac", task, preset, *plugins))}
        assert found["sam"]["rho"] == (0.1 if task.startswith("quadruped") else 0.01), task
    said = {name: values for name, _, values in chosen(assembled("sac", "quadruped-run", preset, "sam:rho=0.7"))}
    assert said["sam"]["rho"] == 0.7
    assert all(values.source for values in TASKS.values())


def test_the_released_codes_preset_has_the_radii_of_that_code() -> None:
    for task, radius in (("hopper-hop", 0.01), ("quadruped-walk", 0.01), ("cheetah-run", 0.002)):
        found = {name: values for name, _, values in chosen(assembled("sac", task, "plastic"))}
        assert found["sam"]["rho"] == radius, task


@pytest.mark.parametrize(
    ("preset", "repeat", "steps", "resets"),
    [("drq", 2, 1_000_000, 9), ("drq", 4, 500_000, 4), ("state", 1, 1_000_000, 4)],
)
def test_so_many_resets_in_the_papers_budget(preset: str, repeat: int, steps: int, resets: int) -> None:
    """2 million frames from pixels: 9 at an action repeat of 2, 4 at one of 4 (Nikishin et al., 2022)."""
    assembly = assembled("sac", "cheetah-run", preset, "reset", steps=steps, action_repeat=repeat)
    assert assembly.clock.total.frames == (2_000_000 if preset == "drq" else steps)
    (reset,) = (plugin.example for plugin in assembly.plugins)
    clock = assembly.clock
    due = []
    while clock.now.agent_steps < steps:
        clock.advance(agent_steps=500, updates=500)
        if reset.due(clock):
            due.append(clock.now.agent_steps)
        clock.tick()
    every = 100_000 if preset == "drq" else 200_000
    assert due == list(range(every, steps + 1, every))
    assert len([step for step in due if step < steps]) == resets  # none after the very last update
    assert clock.total.updates == steps - (1_000 if preset == "drq" else 10_000) + 1
    assert isinstance(reset.when, Every)  # type: ignore[attr-defined]


# -------------------------------------------------------------------- networks


def mlp(inputs: int, outputs: int) -> int:
    return (inputs + 1) * 256 + 257 * 256 + 257 * outputs


TRUNK = 4096 * 50 + 50 + 2 * 50
COUNTS = {
    "state": (2 * mlp(VALUES + ACTIONS, 1), mlp(VALUES, 2 * ACTIONS)),
    "drq": (388_416 + TRUNK + 2 * mlp(50 + ACTIONS, 1), TRUNK + mlp(50, 2 * ACTIONS)),
}


@pytest.mark.parametrize("preset", COUNTS)
def test_networks_have_as_many_parameters_as_these_layers_add_up_to(preset: str) -> None:
    learners = assembled("sac", "cheetah-run", preset).agent.learners
    found = {name: sum(p.numel() for p in learner.model.parameters()) for name, learner in learners.items()}
    assert found == {"critic": COUNTS[preset][0], "actor": COUNTS[preset][1], "temperature": 1}


def test_in_colour_the_first_convolution_has_six_channels_more() -> None:
    model = assembled("sac", "cheetah-run", "drq", grey=False).agent.learners["critic"].model
    encoder = model.get_submodule("encoder")
    assert sum(p.numel() for p in encoder.parameters()) == 390_144 == 388_416 + 32 * 6 * 3 * 3


# -------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(("preset", "more"), [("drq", {"pixels": False}), ("state", {"pixels": True})])
def test_a_preset_for_other_observations_is_refused(preset: str, more: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"^the preset '{preset}' is for (image|vector)s, and this environment gives"):
        assembled("sac", "cheetah-run", preset, **more)


@pytest.mark.parametrize(
    ("plugin", "says"),
    [
        ("sam:on=crtic", "sac has no 'crtic' to act on; did you mean 'critic'"),
        ("sam:on=temperature", "sac's temperature is a single number; use critic or actor"),
        ("sam:scope=encoder_grad", "no trained parameter matches scope=encoder_grad"),  # from states there is none
        ("augmentation:off_at=9", "augmentation turns augmentation, which means nothing in this run"),
    ],
)
def test_a_plugin_that_finds_nothing_to_act_on_is_refused(plugin: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        assembled("sac", "cheetah-run", "state", plugin)
