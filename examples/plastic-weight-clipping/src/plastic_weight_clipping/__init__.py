"""Weight clipping, a plugin for plastic."""

from plastic.core.hookspecs import hookimpl
from plastic.core.modifier import OptimizerModifier
from plastic_weight_clipping.weight_clipping import WeightClipping


@hookimpl
def plastic_modifiers() -> list[type[OptimizerModifier]]:
    """What this package brings."""
    return [WeightClipping]
