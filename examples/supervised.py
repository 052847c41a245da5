"""LayerNorm, SAM and ReDo on a classifier whose labels change: plain torch, any module, any loss."""

import sys
from functools import partial

import torch
from torch import Tensor, nn

from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.schedule import Every
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.modifiers.sam import SAM


class Labels(Objective):  # what is minimised, and what plugins may look at
    def losses(self, model: nn.Module, batch: tuple[Tensor, Tensor], target: None) -> Tensor:
        return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="none")

    def inputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return (batch[0],)

    def sample(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return images, labels


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


updates = int(sys.argv[1]) if len(sys.argv) > 1 else 500  # a task
plugins = [LayerNorm(), SAM(rho=0.05), ReDo(tau=0.1, when=Every(100))]
images = torch.randn(256, 32)
learner = Learner("classifier", network, Labels(), partial(torch.optim.Adam, lr=1e-3), plugins=plugins)
for task in range(5):
    labels = torch.randint(10, (256,))
    for _ in range(updates):
        learner.clock.advance(updates=1)
        losses = learner.update((images, labels))
        learner.tend()
        learner.clock.tick()
    print(f"task {task}: loss {losses.mean():.3f}")
