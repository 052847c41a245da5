"""Rainbow's named configurations; every value beside its source."""

from collections.abc import Mapping

from plastic.core.agent import Observations, Preset
from plastic.core.recipes.recipe import Chosen

# PLASTIC's code reruns the whole loss in SAM's second pass, so all three are drawn anew there
_SAM = {"rho": 0.1, "redraw": "noise+augmentation+target", "priority": "perturbed"}
# and rebuilds the whole optimizer at every reset of the head
_RESET = {"layers": "head", "optimizer": "all", "when": {"every": 40_000, "of": "updates"}}
_LN = {"layers": "encoder", "axes": "channel"}

PRESETS: Mapping[str, Preset] = {
    "drq": Preset(
        "DrQ-Rainbow: augmented images, EMA target, replay ratio 2",
        "Lee et al. (2023, arXiv:2306.10711), table 4, completed from its code",
        "image",
    ),
    "der": Preset(
        "DrQ-Rainbow without augmentation, the paper's DER rows",
        "Lee et al. (2023), table 1; no configuration was released, this is inferred",
        "image",
        {"augmentation": False},
    ),
    "der-classic": Preset(
        "data-efficient Rainbow as Dopamine has it",
        "van Hasselt et al. (2019, arXiv:1906.05243); dopamine, labs/atari_100k, DER.gin",
        "image",
        {
            "augmentation": False,
            "replay_ratio": 1.0,
            "learning_starts": 1_600,
            "n_step": 10,
            "target_rate": 1.0,
            "target_period": 2_000,
            "acting": "online",
            "epsilon": 0.01,
            "epsilon_evaluation": 0.001,
        },
    ),
    "plastic": Preset(
        "PLASTIC: layer norm in the encoder, CReLU in the head, SAM on the encoder, reset of the head",
        "Lee et al. (2023, NeurIPS), released scripts; the scope as its text has it (its code moves the head too)",
        "image",
        plugins=(
            Chosen("crelu", {"layers": "head", "style": "output"}),
            Chosen("layer_norm", _LN),
            Chosen("sam", _SAM | {"scope": "encoder"}),
            Chosen("reset", _RESET),
        ),
    ),
    "plastic-dagger": Preset(
        "PLASTIC without SAM and CReLU: layer norm in the encoder, reset of the head",
        "Lee et al. (2023, NeurIPS), released scripts",
        "image",
        plugins=(Chosen("layer_norm", _LN), Chosen("reset", _RESET)),
    ),
    "sam-reset": Preset(
        "SAM on the whole network and reset of the head",
        "Lee et al. (2023, arXiv v1), table 1, SAM + Reset",
        "image",
        plugins=(Chosen("sam", _SAM | {"scope": "whole"}), Chosen("reset", _RESET)),
    ),
    "v1-ours": Preset(
        "SAM, reset of the head, shrink and perturb of the encoder",
        "Lee et al. (2023, arXiv v1), table 3, Ours; alpha 0.8 as in SR-SPR",
        "image",
        plugins=(
            Chosen("sam", _SAM | {"scope": "whole"}),
            Chosen("reset", _RESET),
            Chosen("shrink_perturb", {"shrink": 0.8, "layers": "encoder", "when": _RESET["when"]}),
        ),
    ),
    "classic": Preset(
        "Rainbow on vectors, for classic control",
        "our choice; see docs/records for what it learns",
        "vector",
        {
            "hidden": 128,
            "v_min": 0.0,
            "v_max": 100.0,
            "n_step": 3,
            "replay_ratio": 1.0,
            "learning_starts": 500,
            "learning_rate": 5e-4,
        },
    ),
}
DEFAULTS: Mapping[Observations, str] = {"image": "drq", "vector": "classic"}
