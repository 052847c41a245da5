"""Initial feature regularisation."""

from collections.abc import Mapping

import torch
from attrs import define, field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from plastic.core.errors import NothingToActOn
from plastic.core.intervention import Lag, PlasticityIntervention
from plastic.core.layers import EnsembleLinear, expansion, members, silenced, statistics, width
from plastic.core.modules import put
from plastic.core.plugin import LIVE
from plastic.core.units.unit_graph import Units, unit_graph
from plastic.core.validators import between


class Predicting(nn.Module):
    """An activation, and linear heads that read it and that its network knows nothing of."""

    def __init__(self, activation: nn.Module, heads: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.heads = heads
        self.said: list[Tensor] | None = None  # where the heads' predictions go, while they are asked for

    def forward(self, x: Tensor) -> Tensor:
        """As the activation."""
        features: Tensor = self.activation(x)
        if self.said is not None:
            self.said.append(self.heads(features))
        return features


@define(eq=False)
class InFeR(PlasticityIntervention):
    """Keep features that can predict random outputs of the first network (InFeR, Lyle et al., 2022, arXiv:2204.09560).

    k linear heads g_i read the last hidden layer, each stream's of a dueling network and each member's of an ensemble.
    The mean over the batch of sum_i (g_i(x; theta) - beta g_i(x; theta_0))^2 is a part of the loss; the heads are
    trained with the network and nothing else reads them. After a reset or an injection theta_0 is the new draw, and
    shrink and perturb moves it along. Noisy layers are at their means here and dropout drops nothing, so that the two
    networks differ in weights alone.

    The defaults are the paper's on Atari (figure 5). A third party's code has alpha 0.05 and beta 175.

    Attributes:
        heads: How many, k.
        alpha: Strength of the penalty.
        beta: How many times the first outputs are to be predicted.
    """

    name = "infer"
    changes = frozenset({"structure", "gradients"})
    reach = "main"
    heads: int = field(default=10, validator=between(1))
    alpha: float = field(default=0.1, validator=between(0))
    beta: float = 100.0
    _origin: Mapping[str, Tensor] = field(factory=dict, init=False, metadata=LIVE)
    _paths: tuple[str, ...] = field(default=(), init=False, metadata=LIVE)

    def build(self, model: nn.Module) -> nn.Module:
        """Put heads at the activation of each last hidden layer."""
        for units in _last(model):
            layer, activation = model.get_submodule(units.layer), model.get_submodule(units.activation)
            features = width(layer)[1] * expansion(activation)
            several = members(layer)
            heads = EnsembleLinear(several, features, self.heads) if several > 1 else nn.Linear(features, self.heads)
            put(model, units.activation, Predicting(activation, heads))
        return model

    def start(self, model: nn.Module, lag: Lag) -> None:
        """Keep the first network, every edit of which reaches it, and find the heads that learn."""
        self._origin = lag("infer")
        self._paths = tuple(
            path
            for path, module in model.named_modules()
            if isinstance(module, Predicting) and all(p.requires_grad for p in module.heads.parameters())
        )

    def penalty(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        """Alpha times the mean of the squared differences."""
        with silenced(model):
            now = self._predictions(model, {}, inputs)
            with torch.no_grad():
                first = self._predictions(model, self._origin, inputs)
        apart = [
            (ours - self.beta * theirs).square().flatten(1).sum(1) for ours, theirs in zip(now, first, strict=True)
        ]
        return self.alpha * torch.stack(apart).sum(0).mean()

    def _predictions(self, model: nn.Module, weights: Mapping[str, Tensor], inputs: tuple[Tensor, ...]) -> list[Tensor]:
        # batch statistics of its own: these passes are none of the training's
        buffers = {name: buffer.clone() for name, buffer in statistics(model).items()}
        asked = [_predicting(model.get_submodule(path)) for path in self._paths]
        said: list[list[Tensor]] = [[] for _ in asked]
        for module, predictions in zip(asked, said, strict=True):
            module.said = predictions
        try:
            functional_call(model, {**weights, **buffers}, inputs)
        finally:
            for module in asked:
                module.said = None
        return [predictions[-1] for predictions in said]


def _predicting(module: nn.Module) -> Predicting:
    assert isinstance(module, Predicting)
    return module


def _last(model: nn.Module) -> list[Units]:
    """The hidden layers behind which there is no other.

    Raises:
        NothingToActOn: If there is none, or they are convolutions.
    """
    every = unit_graph(model)
    hidden = {units.layer for units in every}
    last = [units for units in every if not hidden.intersection(units.downstream)]
    if not last or any(isinstance(model.get_submodule(units.layer), _ConvNd) for units in last):
        raise NothingToActOn("infer reads the last hidden layer, and this network has none that is linear")
    return last
