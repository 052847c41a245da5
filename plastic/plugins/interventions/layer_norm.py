"""Layer normalisation of every hidden layer."""

from attrs import frozen
from torch import nn

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import NormAxes
from plastic.core.units.normalising import normalise
from plastic.core.units.selection import hidden_layers


@frozen(eq=False)
class LayerNorm(PlasticityIntervention):
    """Normalise between each hidden layer and its activation (Ba et al., 2016, arXiv:1607.06450).

    Never after an output layer, nor where the network has a norm of its own. With CReLU the
    pre-activation is normalised, at the layer's own width; of an ensemble each member by itself.

    Attributes:
        layers: Which layers, by the layer's path; the paper's baseline has all, PLASTIC the encoder's.
        axes: For convolutions: `channel` normalises each pixel over its channels, as PLASTIC's code
            does; `image` normalises over channels and pixels together.
        affine: Whether a scale and a shift are learned.
    """

    name = "layer_norm"
    claims = frozenset({"normalisation"})
    changes = frozenset({"structure"})
    stage = "normalisation"
    layers: str = "whole"
    axes: NormAxes = "channel"
    affine: bool = True

    def build(self, model: nn.Module) -> nn.Module:
        """Put a norm before the activation of each selected layer."""
        bare = [units for units in hidden_layers(model, self.layers, self.name) if not units.norms]
        if not bare:
            raise NothingToActOn(
                f"layer_norm: every hidden layer of layers={self.layers} has a norm already; choose others"
            )
        normalise(model, bare, self.axes, affine=self.affine)
        return model
