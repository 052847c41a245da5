"""A plain torch network with a plain loss, in the clothes of an agent: the third place a plugin is tried at."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray
from torch import Tensor, nn

from plastic.core.agent import Act, Agent, Site
from plastic.core.learning.learner import Knobs, Learner
from plastic.core.objective import Objective
from plastic.core.streams import generator

INPUTS, CLASSES, ROWS = 10, 3, 64


class Labels(Objective):
    """Cross-entropies to labels at random."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.rows = inputs, labels

    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        """Losses [B]."""
        inputs, labels = batch
        return nn.functional.cross_entropy(model(inputs), labels, reduction="none")

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        """The network reads vectors."""
        return (batch[0],)

    def sample(self, generator: torch.Generator) -> Any:
        """All rows in an order of their own."""
        order = torch.randperm(ROWS, generator=generator, device=generator.device)
        return tuple(part[order] for part in self.rows)


def network(hidden: int) -> nn.Module:
    """A multilayer perceptron with a tanh and a ReLU, behind batch statistics, which a look must not advance."""
    return nn.Sequential(
        nn.BatchNorm1d(INPUTS),
        nn.Linear(INPUTS, hidden),
        nn.Tanh(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, CLASSES),
    )


@define(eq=False)
class Plain(Agent):
    """A classifier of noise, trained by SGD with momentum; what it does in its environment is nothing.

    Attributes:
        hidden: Width of its hidden layers.
        batch_size: Rows of an update.
        learning_rate: Of SGD.
        replay_ratio: Updates per agent step.
        learning_starts: Agent steps.
    """

    name = "plain"
    presets = MappingProxyType({})
    defaults = MappingProxyType({})
    actions = "continuous"
    environment = "Noise/States-v0"
    learns = ("network",)

    hidden: int = 16
    batch_size: int = 8
    learning_rate: float = 0.05
    replay_ratio: float = 1.0
    learning_starts: int = 2
    learners: Mapping[str, Learner] = field(init=False)
    knobs: Knobs = field(init=False)
    _objective: Labels = field(init=False)
    _batches: torch.Generator = field(init=False)

    def begin(self, site: Site) -> None:
        """See `Agent.begin`."""
        data = generator(0, "rows")
        inputs, labels = torch.randn(ROWS, INPUTS, generator=data), torch.randint(CLASSES, (ROWS,), generator=data)
        self._objective = Labels(inputs.to(site.device), labels.to(site.device))
        self._batches = generator(site.seed, "batches", device=site.device)
        self.knobs = {"learning_rate": self.learning_rate, "replay_ratio": self.replay_ratio}
        learner = Learner(
            "network",
            partial(network, self.hidden),
            self._objective,
            partial(torch.optim.SGD, lr=self.learning_rate, momentum=0.9),
            plugins=site.plugins["network"],
            clock=site.clock,
            seed=site.seed,
            device=site.device,
            knobs=self.knobs,
        )
        self.learners = {"network": learner}

    def start_episode(self, observation: NDArray[Any]) -> None:
        """Nothing is kept of it."""

    def act(self, observation: NDArray[Any]) -> NDArray[Any]:
        """Nothing."""
        return np.zeros(2, np.float32)

    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        """Nothing is kept of it."""

    def learn(self) -> None:
        """One update from rows drawn at random."""
        rows = torch.randperm(ROWS, generator=self._batches, device=self._batches.device)[: self.batch_size]
        self.learners["network"].learn(tuple(part[rows] for part in self._objective.rows))

    def generators(self) -> Iterator[torch.Generator]:
        """See `Agent.generators`."""
        yield from super().generators()
        yield self._batches

    def policy(self, generator: torch.Generator) -> Act:
        """Nothing, for each observation."""
        return lambda observations: np.zeros((len(observations), 2), np.float32)

    def state_dict(self) -> dict[str, Any]:
        """See `Agent.state_dict`."""
        return {"batches": self._batches.get_state(), "knobs": dict(self.knobs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Agent.load_state_dict`."""
        self._batches.set_state(state["batches"])
        self.knobs.update(state["knobs"])
