"""Rainbow's network: an encoder for images or vectors, and a dueling distributional head."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from plastic.core.layers import NoisyLinear, ScaleGradient

Linear = Callable[[int, int], nn.Module]
Encoder = Literal["nature", "data_efficient"]


class Head(nn.Module):
    """Logits [B, actions, atoms] from features [B, d]: v + a - mean_a(a), or a alone without dueling.

    Dueling after Wang et al. (2016, arXiv:1511.06581, eq. 9), on the logits of the distributions.
    """

    def __init__(self, features: int, hidden: int, actions: int, atoms: int, linear: Linear, *, dueling: bool) -> None:
        super().__init__()
        self.actions = actions
        self.atoms = atoms
        self.value: nn.Module | None = _stream(features, hidden, atoms, linear) if dueling else None
        self.advantage = _stream(features, hidden, actions * atoms, linear)

    def forward(self, features: Tensor) -> Tensor:
        """[B, d] -> [B, actions, atoms]."""
        advantage: Tensor = self.advantage(features).unflatten(1, (self.actions, self.atoms))
        if self.value is None:
            return advantage
        value: Tensor = self.value(features).unsqueeze(1)
        return value + advantage - advantage.mean(1, keepdim=True)


class Network(nn.Module):
    """An `encoder` and a `head`; the head's gradient reaches the encoder scaled, as dueling networks have it."""

    def __init__(self, encoder: nn.Module, head: nn.Module, gradient_scale: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.scale = ScaleGradient(gradient_scale)
        self.head = head

    def forward(self, observation: Tensor) -> Tensor:
        """[B, *observation] float -> logits [B, actions, atoms]."""
        logits: Tensor = self.head(self.scale(self.encoder(observation)))
        return logits


def image_encoder(kind: Encoder, channels: int) -> nn.Sequential:
    """The convolutions of DQN (Mnih et al., 2015), or the two larger ones of data-efficient Rainbow."""
    if kind == "nature":
        sizes = [(channels, 32, 8, 4), (32, 64, 4, 2), (64, 64, 3, 1)]
    else:
        sizes = [(channels, 32, 5, 5), (32, 64, 5, 5)]
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride in sizes:
        layers += [nn.Conv2d(inputs, outputs, kernel, stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


def vector_encoder(features: int, hidden: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU())


def _stream(features: int, hidden: int, outputs: int, linear: Linear) -> nn.Sequential:
    return nn.Sequential(linear(features, hidden), nn.ReLU(), linear(hidden, outputs))


def noisy(sigma: float) -> Linear:
    """Noisy linear layers."""
    return lambda inputs, outputs: NoisyLinear(inputs, outputs, sigma)
