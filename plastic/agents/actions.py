"""Continuous actions: what an environment takes, and what networks and replay hold, between -1 and 1."""

import gymnasium
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from plastic.core.errors import UsageError

_ENDLESS = 1e10  # what MuJoCo says of a motor that has no limit


@frozen(eq=False)
class Actions:
    """Maps between an environment's box of actions and the cube from -1 to 1 of as many dimensions."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, space: gymnasium.Space[object], agent: str) -> "Actions":
        """Of an action space.

        Raises:
            UsageError: If it is no vector of bounded numbers; `agent` is who needs one.
        """
        if not isinstance(space, gymnasium.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
            raise UsageError(
                f"{agent} needs continuous actions; this environment has {space}: rainbow takes discrete ones"
            )
        if len(space.shape) != 1 or not space.shape[0]:
            raise UsageError(
                f"{agent} needs actions that are one vector; this environment has them of shape {space.shape}"
            )
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        if not ((low > -_ENDLESS).all() and (low < high).all() and (high < _ENDLESS).all()):
            raise UsageError(f"{agent} needs actions between finite bounds; this environment has {space}")
        return cls(low, high)

    @property
    def dimensions(self) -> int:
        """How many numbers an action is."""
        return len(self.low)

    def to_env(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """[..., A] between -1 and 1 as the environment takes them."""
        scaled = self.low + (actions + 1) * ((self.high - self.low) / 2)
        return np.clip(scaled, self.low, self.high).astype(np.float32)

    def from_env(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """The reverse of `to_env`."""
        scaled = (np.asarray(actions, np.float32) - self.low) / ((self.high - self.low) / 2) - 1
        return np.clip(scaled, -1, 1).astype(np.float32)
