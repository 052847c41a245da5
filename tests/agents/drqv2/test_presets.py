"""The preset against a table written from the paper's code, and what differs from task to task."""

from collections.abc import Mapping
from typing import Any

import pytest

from plastic.agents.drqv2.drqv2 import DrQv2
from plastic.agents.drqv2.presets import DEFAULTS, PRESETS, TASKS
from plastic.core.errors import UsageError
from plastic.core.recipes import options
from plastic.envs.dm_control_tasks import DMC_EASY, DMC_M
from tests.agents.actor_critic.still_tasks import ACTIONS, assembled, chosen, of_environment, settings

# Yarats et al. (2022, arXiv:2107.09645) and the task files of Ma et al. (2024, arXiv:2310.07418)
TABLE: Mapping[str, Any] = {
    "hidden": 1024,
    "encoder": "drqv2",
    "n_step": 3,
    "discount": 0.99,
    "batch_size": 256,
    "replay_ratio": 0.5,
    "replay_capacity": 1_000_000,
    "learning_starts": 2_000,
    "learning_rate": 1e-4,
    "target_rate": 0.01,
    "deviation": 1.0,
    "deviation_end": 0.1,
    "deviation_steps": 500_000,
    "clip": 0.3,
    "augmentation": True,
    "shift": 4,
    "probe_batch": 512,
}
WALKER = {"n_step": 1, "batch_size": 512}
QUADRUPED = {"replay_capacity": 100_000}


def of_task(task: str) -> dict[str, Any]:
    """What is the task's own."""
    values: dict[str, Any] = {"deviation_steps": 100_000} if task in DMC_EASY else {}
    if task.startswith("walker-"):
        values |= WALKER
    return values | (QUADRUPED if task == "quadruped-run" else {})


@pytest.mark.parametrize("task", [*DMC_M, *DMC_EASY])
def test_the_preset_is_the_table_with_what_is_the_tasks_own(task: str) -> None:
    # a replay of a million pictures is address space alone until it fills
    assembly = assembled("drqv2", task, None, "sam", "reset", hidden=16)
    assert settings(assembly) == {**TABLE, **of_task(task), "hidden": 16}
    assert of_environment(assembly) == {"pixels": True, "size": 84, "action_repeat": 2}
    assert assembly.family.grey is False  # type: ignore[attr-defined]
    (sam, reset) = chosen(assembly)
    assert sam[:2] == ("sam", "critic+actor")
    assert sam[2]["rho"] == (0.1 if task.startswith("quadruped") else 0.01)
    assert reset[:2] == ("reset", "critic+actor")
    assert reset[2]["when"] == {"every": 100_000, "of": "agent_steps"}


def test_some_tasks_spelled_out() -> None:
    assert of_task("walker-run") == WALKER
    assert of_task("walker-walk") == {**WALKER, "deviation_steps": 100_000}
    assert of_task("quadruped-run") == QUADRUPED
    assert of_task("quadruped-walk") == of_task("hopper-hop") == {}
    assert len(DMC_EASY) == 8


def test_the_bare_defaults_are_the_presets() -> None:
    assert dict(options.values(DrQv2())) == TABLE
    assert PRESETS.keys() == {"drqv2"}
    assert DEFAULTS == {"image": "drqv2"}
    assert PRESETS["drqv2"].source
    assert all(values.source for values in TASKS.values())


def test_what_the_user_says_wins_over_the_task() -> None:
    assembly = assembled("drqv2", "walker-walk", None, n_step=5, deviation_steps=7, size=64, hidden=16)
    assert settings(assembly) == {**TABLE, **WALKER, "n_step": 5, "deviation_steps": 7, "hidden": 16}
    assert of_environment(assembly)["size"] == 64


def test_one_update_in_two_agent_steps_after_the_uniform_actions() -> None:
    assembly = assembled("drqv2", "cheetah-run", None, hidden=16)
    total = assembly.clock.total
    assert (total.agent_steps, total.frames) == (100_000, 200_000)
    assert total.updates == (100_000 - 2_000 + 1) // 2


def test_networks_have_as_many_parameters_as_these_layers_add_up_to() -> None:
    learners = assembled("drqv2", "cheetah-run").agent.learners
    encoder = 32 * (9 * 9 + 1) + 3 * 32 * (32 * 9 + 1)
    trunk = 32 * 35 * 35 * 50 + 50 + 2 * 50

    def mlp(inputs: int, outputs: int) -> int:
        return (inputs + 1) * 1024 + 1025 * 1024 + 1025 * outputs

    wanted = {"critic": encoder + trunk + 2 * mlp(50 + ACTIONS, 1), "actor": trunk + mlp(50, ACTIONS)}
    assert {name: sum(p.numel() for p in learner.model.parameters()) for name, learner in learners.items()} == wanted


def test_states_are_refused_with_the_name_of_what_it_lacks() -> None:
    with pytest.raises(UsageError, match=r"^the preset 'drqv2' is for images, .* drqv2 has none for them$"):
        assembled("drqv2", "cheetah-run", pixels=False)
