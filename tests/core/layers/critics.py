"""An actor and twin critics on images, as soft actor-critic has them."""

import torch
from torch import Tensor, nn

from plastic.core.layers import Conv2d, EnsembleLinear, HalfTurn, LecunNormal, Linear, Orthogonal

IMAGE = (3, 16, 16)  # 8 channels of 4x4 come out of the encoder
ACTION = 2
HIDDEN = 6
RELU = Orthogonal(2**0.5)


class Critic(nn.Module):
    """Two values of an observation and an action."""

    def __init__(self, members: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            HalfTurn(),
            Conv2d(3, 4, 3, stride=2, padding=1, init=RELU),
            nn.ReLU(),
            Conv2d(4, 8, 3, stride=2, padding=1, init=RELU),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.trunk = trunk()
        self.head = nn.Sequential(
            EnsembleLinear(members, 5 + ACTION, HIDDEN),
            nn.ReLU(),
            EnsembleLinear(members, HIDDEN, HIDDEN),
            nn.ReLU(),
            EnsembleLinear(members, HIDDEN, 1),
        )

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """[B, 3, 16, 16] and [B, 2] -> [B, members]."""
        values: Tensor = self.head(torch.cat((self.trunk(self.encoder(observation)), action), 1))
        return values.squeeze(-1)


class Actor(nn.Module):
    """From the features of the critic's encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = trunk()
        self.head = nn.Sequential(
            Linear(5, HIDDEN, init=RELU), nn.ReLU(), Linear(HIDDEN, HIDDEN, init=RELU), nn.ReLU(), nn.Linear(HIDDEN, 4)
        )

    def forward(self, features: Tensor) -> Tensor:
        """[B, 128] -> [B, 4]."""
        outputs: Tensor = self.head(self.trunk(features))
        return outputs


def trunk() -> nn.Sequential:
    """Features of the encoder become five numbers between -1 and 1."""
    return nn.Sequential(Linear(8 * 4 * 4, 5, init=LecunNormal()), nn.LayerNorm(5), nn.Tanh())


def pair(batch: int = 16) -> tuple[Tensor, Tensor]:
    """Observations and actions, always the same."""
    random = torch.Generator().manual_seed(3)
    return torch.rand(batch, *IMAGE, generator=random), torch.rand(batch, ACTION, generator=random)


def member(model: nn.Module, number: int) -> nn.Module:
    """`model` itself, a plain linear layer of that member in the place of every ensemble."""
    for path, module in list(model.named_modules()):
        if isinstance(module, EnsembleLinear):
            alone = nn.Linear(module.in_features, module.out_features)
            with torch.no_grad():
                alone.weight.copy_(module.weight[number])
                alone.bias.copy_(module.bias[number])
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, alone)
    return model
