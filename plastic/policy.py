"""Policies of trained agents, to act with."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from plastic.core.environment import Env
from plastic.core.recipes.assemble import Assembly
from plastic.core.streams import derive


class Policy:
    """Acts as the agent does in evaluation: its evaluation network, at the means of its noise.

    Attributes:
        assembly: What the run was made of.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._act = assembly.agent.policy(torch.Generator().manual_seed(derive(assembly.recipe.seed, "policy")))

    def act(self, observation: NDArray[Any]) -> Any:
        """The action for one observation of `make_env()`."""
        action = self._act(np.asarray(observation)[None])[0]
        return action if np.ndim(action) else action.item()

    def make_env(self) -> Env:
        """A new environment under the rules scores are reported by."""
        return self.assembly.evaluation_env()
