"""Spectral normalisation."""

from attrs import frozen
from torch import nn

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import spectrally_normalised
from plastic.core.units.known_modules import is_layer
from plastic.core.units.selection import selects
from plastic.core.units.unit_graph import unit_graph

_ENCODER = "encoder"
_BEHIND = "behind_encoder"


@frozen(eq=False)
class SpectralNorm(PlasticityIntervention):
    """Divide a layer's weights by their largest singular value (Miyato et al., 2018, arXiv:1802.05957).

    That value comes from a power iteration, one step an update, before its first pass; copies use the vectors of the
    network they follow. Of noisy layers the means are divided and not the deviations; each member of an ensemble by
    its own value; a convolution by that of its kernel as a matrix [units, inputs x pixels].

    Attributes:
        layers: Which layers, output layers too. With `behind_encoder` the first hidden ones behind the encoder: Ma et
            al. (2024, arXiv:2310.07418) have it on the first linear layer of actor and critic. On Rainbow these are
            both streams' hidden layers, on SAC from pixels the trunk's, from states the head's first.
    """

    name = "spectral_norm"
    changes = frozenset({"structure"})
    layers: str = _BEHIND

    def build(self, model: nn.Module) -> nn.Module:
        """Normalise each selected layer from now on."""
        paths = _behind_the_encoder(model) if self.layers == _BEHIND else self._selected(model)
        for path in paths:
            spectrally_normalised(model.get_submodule(path))
        return model

    def _selected(self, model: nn.Module) -> list[str]:
        found = [path for path, module in model.named_modules() if is_layer(module) and selects(self.layers, path)]
        if not found:
            raise NothingToActOn(f"spectral_norm: no layer matches layers={self.layers}")
        return found


def _behind_the_encoder(model: nn.Module) -> list[str]:
    hidden = [units for units in unit_graph(model) if not selects(_ENCODER, units.layer)]
    later = {path for units in hidden for path in units.downstream}
    found = [units.layer for units in hidden if units.layer not in later]
    if not found:
        raise NothingToActOn("spectral_norm: there is no hidden layer behind an encoder; say which layers")
    return found
