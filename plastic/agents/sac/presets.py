"""SAC's named configurations; every value beside its source."""

from collections.abc import Mapping
from typing import Any

from plastic.core.agent import Observations, Preset, TaskValues
from plastic.core.recipes.recipe import Chosen

_PIXELS: Mapping[str, Mapping[str, Any]] = {"dm_control": {"pixels": True, "size": 64, "grey": True}}
_DRQ: Mapping[str, Any] = {
    "batch_size": 512,
    "replay_capacity": 100_000,
    "learning_starts": 1_000,
    "initial_temperature": 0.1,
    "target_entropy": -1.0,
}
# 0.1 for the quadruped and 0.01 else are inferred: the paper's two numbers are lost, and its code has 0.01
_SAM = {"rho": 0.01}
_RESET = {"when": {"every": 100_000, "of": "agent_steps"}}
_VALUES: Mapping[str, Mapping[str, Any]] = {
    "sam": _SAM,
    "reset": _RESET,
    "plasticity_injection": {"when": {"at": 1_000_000, "of": "frames"}},
}
_STATE_VALUES: Mapping[str, Mapping[str, Any]] = {
    "sam": _SAM,
    "reset": {"when": {"every": 200_000, "of": "agent_steps"}},
}

PRESETS: Mapping[str, Preset] = {
    "state": Preset(
        "SAC from states",
        "Nikishin et al. (2022, arXiv:2205.07802), dense rewards, from its code",
        "vector",
        values=_STATE_VALUES,
    ),
    "drq": Preset(
        "SAC from pixels with random shifts (DrQ): 64x64, grey",
        "Lee et al. (2023, arXiv:2306.10711), table 5, completed from the code of Nikishin et al. (2022)",
        "image",
        _DRQ,
        values=_VALUES,
        environment=_PIXELS,
    ),
    "plastic": Preset(
        "PLASTIC from pixels: layer norm in the encoder, CReLU in the heads, SAM on the encoder, resets",
        "Lee et al. (2023, NeurIPS), released control code: learning rate 1e-4, pictures in colour",
        "image",
        {**_DRQ, "learning_rate": 1e-4},
        plugins=(
            Chosen("crelu", {"layers": "head", "style": "input"}),
            Chosen("layer_norm", {"layers": "encoder", "axes": "channel"}),
            Chosen("sam", {**_SAM, "scope": "encoder_grad"}, "critic"),
            Chosen("reset", _RESET),
        ),
        values=_VALUES,
        environment={"dm_control": {**_PIXELS["dm_control"], "grey": False}},
    ),
    "sam-reset": Preset(
        "SAM on critic and actor, resets",
        "Lee et al. (2023, arXiv v1), table 2, SAM + Reset",
        "image",
        _DRQ,
        plugins=(Chosen("sam", {**_SAM, "scope": "whole"}, "both"), Chosen("reset", _RESET)),
        values=_VALUES,
        environment=_PIXELS,
    ),
}
DEFAULTS: Mapping[Observations, str] = {"image": "drq", "vector": "state"}

TASKS: Mapping[str, TaskValues] = {
    "dm_control/quadruped-*": TaskValues(
        "Lee et al. (2023, arXiv:2306.10711), appendix: a radius for the quadruped and one for the rest; the value "
        "is inferred",
        values={"sam": {"rho": 0.1}},
        presets=("none", "state", "drq", "sam-reset"),
    ),
    "dm_control/cheetah-run-*": TaskValues(
        "Lee et al. (2023, NeurIPS), released control code: a fifth of its 0.01",
        values={"sam": {"rho": 0.002}},
        presets=("plastic",),
    ),
}
