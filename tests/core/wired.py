"""Networks of every shape, and where their units are."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from plastic.core.layers import EnsembleLinear, Entries
from plastic.core.units.wires import Wires
from plastic.core.units.wiring import wiring
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from tests.core.layers.critics import Actor, Critic, pair
from tests.plugins.learners import network

IMAGES = (torch.rand(8, 4, 36, 36, generator=torch.Generator().manual_seed(1)),)
VECTORS = (torch.rand(8, 4, generator=torch.Generator().manual_seed(1)),)
PICTURES = (torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)),)


class Sliced(nn.Module):
    """Half of the units go to one reader, all of them, backwards and beside the input, to another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(4, 6), nn.Tanh()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(10, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.first(x))
        y: Tensor = self.left(h[:, :3]) + self.right(torch.cat((x, h.flip(1)), 1))
        return y


class Shared(nn.Module):
    """One layer reads the units twice, in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.out = nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.first(x))
        y: Tensor = self.out(h) + self.out(h.roll(1, 1)) + self.out(h)
        return y


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.ZeroPad2d(1),
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Sequential(nn.BatchNorm2d(6), nn.LeakyReLU()),
        nn.ConvTranspose2d(6, 4, 2, groups=2),
        nn.ELU(),
        nn.Dropout2d(0.5),
        nn.Flatten(),
        nn.Linear(100, 2),
    )


def crelu(model: nn.Module, style: str) -> nn.Module:
    return ConcatenatedReLU(style=style).build(model)  # type: ignore[arg-type]


def injected(model: nn.Module) -> nn.Module:
    model.head = PlasticityInjection().inject(model.get_submodule("head"))
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "plain": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.GELU(), nn.Linear(3, 2)), VECTORS),
    "rainbow": (network, IMAGES),
    "rainbow, no dueling": (lambda: network(dueling=False), IMAGES),
    "rainbow, crelu": (lambda: crelu(network(), "output"), IMAGES),
    "rainbow, crelu doubles the readers": (lambda: crelu(network(), "input"), IMAGES),
    "rainbow, injected": (lambda: injected(injected(network())), IMAGES),
    "rainbow, crelu, injected": (lambda: injected(crelu(network(), "output")), IMAGES),
    "twin critics": (Critic, pair()),
    "twin critics, crelu": (lambda: crelu(Critic(), "output"), pair()),
    "actor": (Actor, (torch.rand(8, 128),)),
    "convolutions": (convolutional, PICTURES),
    "sliced": (Sliced, VECTORS),
    "shared": (Shared, VECTORS),
}


@cache
def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...], list[Wires]]:
    torch.manual_seed(0)
    make, inputs = NETWORKS[name]
    model = make().eval()
    return model, inputs, wiring(model, inputs)


def outputs(model: nn.Module, inputs: tuple[Tensor, ...], wires: Wires, moved: Tensor) -> Tensor:
    """What the model gives if the values of the moved units are others."""
    layer = model.get_submodule(wires.units.layer)

    def hook(module: nn.Module, arguments: object, output: Tensor) -> Tensor:
        shift = moved[wires.unit_of].float() * 3
        if output.dim() == 3 and isinstance(layer, EnsembleLinear):
            return output + shift.view(output.shape[1:])
        return output + shift.view(-1, *(1 for _ in output.shape[2:]))

    handle = model.get_submodule(wires.units.activation).register_forward_hook(hook)
    try:
        with torch.no_grad():
            found: Tensor = model(*inputs)
            return found
    finally:
        handle.remove()


def by_name(found: tuple[Entries, ...]) -> dict[str, list[int]]:
    return {entries.name: entries.owner.flatten().tolist() for entries in found}
