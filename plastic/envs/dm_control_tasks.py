"""The tasks of the DeepMind Control suite by name, and what the papers fix for each of them."""

from collections.abc import Mapping

# As `dm_control.suite.ALL_TASKS`, written down so that a name is found without importing it (1 s)
TASKS: tuple[str, ...] = (
    "acrobot-swingup",
    "acrobot-swingup_sparse",
    "ball_in_cup-catch",
    "cartpole-balance",
    "cartpole-balance_sparse",
    "cartpole-swingup",
    "cartpole-swingup_sparse",
    "cartpole-three_poles",
    "cartpole-two_poles",
    "cheetah-run",
    "dog-fetch",
    "dog-run",
    "dog-stand",
    "dog-trot",
    "dog-walk",
    "finger-spin",
    "finger-turn_easy",
    "finger-turn_hard",
    "fish-swim",
    "fish-upright",
    "hopper-hop",
    "hopper-stand",
    "humanoid-run",
    "humanoid-run_pure_state",
    "humanoid-stand",
    "humanoid-walk",
    "humanoid_CMU-run",
    "humanoid_CMU-stand",
    "humanoid_CMU-walk",
    "lqr-lqr_2_1",
    "lqr-lqr_6_2",
    "manipulator-bring_ball",
    "manipulator-bring_peg",
    "manipulator-insert_ball",
    "manipulator-insert_peg",
    "pendulum-swingup",
    "point_mass-easy",
    "point_mass-hard",
    "quadruped-escape",
    "quadruped-fetch",
    "quadruped-run",
    "quadruped-walk",
    "reacher-easy",
    "reacher-hard",
    "stacker-stack_2",
    "stacker-stack_4",
    "swimmer-swimmer15",
    "swimmer-swimmer6",
    "walker-run",
    "walker-stand",
    "walker-walk",
)

# The eleven of medium difficulty of Nikishin et al. (2022, arXiv:2205.07802) and Lee et al. (2023, arXiv:2306.10711)
DMC_M: tuple[str, ...] = (
    "acrobot-swingup",
    "cartpole-swingup_sparse",
    "cheetah-run",
    "finger-turn_easy",
    "finger-turn_hard",
    "hopper-hop",
    "quadruped-run",
    "quadruped-walk",
    "reacher-easy",
    "reacher-hard",
    "walker-run",
)

# The easy ones that DrQ-v2 has beside them (Yarats et al., 2022, arXiv:2107.09645), but for cup-catch
DMC_EASY: tuple[str, ...] = (
    "cartpole-balance",
    "cartpole-balance_sparse",
    "cartpole-swingup",
    "finger-spin",
    "hopper-stand",
    "pendulum-swingup",
    "walker-stand",
    "walker-walk",
)

_REPEATS: Mapping[str, int] = {"cheetah-run": 4, "reacher-easy": 4}


def action_repeat(task: str) -> int:
    """Control steps an agent step from pixels, as the released code of both DMC-M papers looks them up.

    >>> action_repeat("cheetah-run"), action_repeat("reacher-hard")
    (4, 2)
    """
    return _REPEATS.get(task, 2)


def camera(task: str) -> int:
    """The camera that the papers look through: the four-legged one's is behind it, all others' the first."""
    return 2 if task.startswith("quadruped-") else 0
