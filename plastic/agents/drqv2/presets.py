"""DrQ-v2's configuration; every value beside its source."""

from collections.abc import Mapping

from plastic.core.agent import Observations, Preset, TaskValues

_SOURCE = "Yarats et al. (2022, arXiv:2107.09645), task files of Ma et al. (2024, arXiv:2310.07418)"

PRESETS: Mapping[str, Preset] = {
    "drqv2": Preset(
        "DrQ-v2: 84x84 in colour, one update in two agent steps",
        _SOURCE,
        "image",
        values={
            "sam": {"rho": 0.01},  # as SAC; nobody has published SAM on DrQ-v2
            "reset": {"when": {"every": 100_000, "of": "agent_steps"}},
            "plasticity_injection": {"when": {"at": 1_000_000, "of": "frames"}},
        },
        environment={"dm_control": {"pixels": True, "size": 84, "grey": False, "action_repeat": 2}},
    ),
}
DEFAULTS: Mapping[Observations, str] = {"image": "drqv2"}

_EASY = TaskValues(_SOURCE, {"deviation_steps": 100_000})
TASKS: Mapping[str, TaskValues] = {
    "dm_control/cartpole-balance-v0": _EASY,
    "dm_control/cartpole-balance_sparse-v0": _EASY,
    "dm_control/cartpole-swingup-v0": _EASY,
    "dm_control/finger-spin-v0": _EASY,
    "dm_control/hopper-stand-v0": _EASY,
    "dm_control/pendulum-swingup-v0": _EASY,
    "dm_control/walker-stand-v0": _EASY,
    "dm_control/walker-walk-v0": _EASY,
    "dm_control/walker-*": TaskValues(_SOURCE, {"n_step": 1, "batch_size": 512}),
    "dm_control/quadruped-run-v0": TaskValues(_SOURCE, {"replay_capacity": 100_000}),
    "dm_control/quadruped-*": TaskValues("as SAC", values={"sam": {"rho": 0.1}}),
}
