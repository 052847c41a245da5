"""Small agents on random observations, assembled as a run is and fed by hand."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plastic.core.agent import Agent
from plastic.core.recipes import options
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.testing.fed import Fed
from plastic.testing.known import built_in
from plastic.testing.noise import FRAMES

WARM = 24  # agent steps; the first update follows the last of them
STEPS = WARM + 4  # of a whole trial: five updates at one a step
SMALL: Mapping[str, Any] = {
    "hidden": 16,  # with fewer, all units of a layer may be off at once
    "batch_size": 6,
    "n_step": 2,
    "replay_capacity": 28,  # so that it wraps
    "learning_starts": WARM,
    "learning_rate": 3e-3,
    "target_rate": 0.1,
    "probe_batch": 8,
}
_SHIFTED = {**SMALL, "shift": 2}
_ATOMS = {
    "encoder": "data_efficient",
    "atoms": 11,
    "v_min": -3.0,
    "v_max": 3.0,
    "max_grad_norm": 0.5,
}  # so that it clips
KINDS: Mapping[str, Mapping[str, Any]] = {  # what a trial is of; `pixels` has a smaller encoder than `drq`
    "rainbow": {"agent": "rainbow", "env": "Noise/Buttons-v0", "settings": {**_SHIFTED, **_ATOMS}},
    "states": {"agent": "sac", "env": "Noise/States-v0", "settings": SMALL},
    "pixels": {"agent": "sac", "env": "Noise/Pixels-v0", "settings": {**_SHIFTED, "encoder": "drqv2"}},
    "drq": {"agent": "sac", "env": "Noise/Pixels-v0", "settings": _SHIFTED},
    "drqv2": {"agent": "drqv2", "env": "Noise/Pixels-v0", "settings": _SHIFTED},
    "plain": {"agent": "plain", "env": "Noise/States-v0", "preset": "none", "settings": {"learning_starts": WARM}},
}


_built_in = cache(built_in)  # for trials, which only read it


@cache
def _drawn(env: str, steps: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Random frames [steps, *frame] and rewards [steps]."""
    generator = np.random.default_rng(0)
    shape = (steps + 2, *FRAMES[env])
    images = len(shape) > 2
    frames = generator.integers(0, 256, shape, np.uint8) if images else generator.normal(size=shape).astype(np.float32)
    return frames, generator.normal(size=steps + 2)


class Trial(Fed[Agent]):
    """An agent with these plugins, assembled as a run's is and fed by hand, and what it did.

    Raises:
        UsageError: If the plugins cannot be put together, as a run's.
    """

    frames = 2

    def __init__(
        self,
        kind: str,
        chosen: Sequence[Chosen] = (),
        *,
        seed: int = 0,
        steps: int = STEPS,
        registry: Registry | None = None,
        device: str = "cpu",
    ) -> None:
        known = _built_in() if registry is None else registry
        said = KINDS[kind]
        starts = {name for one in chosen for name in _settings_of(one, known)}
        settings = {
            name: value for name, value in {"replay_ratio": 1.0, **said["settings"]}.items() if name not in starts
        }
        recipe = Recipe(
            said["agent"],
            said["env"],
            said.get("preset"),
            plugins=chosen,
            seed=seed,
            steps=steps,
            device=device,
            settings=settings,
        )
        self.assembly = assemble(recipe, known)
        self.steps = steps
        self._frames, self._rewards = _drawn(said["env"], steps)
        super().__init__(self.assembly.agent, self.assembly.clock)

    def _first(self, step: int) -> NDArray[Any]:
        frame = self._frames[step]
        padded = self.assembly.env.get_wrapper_attr("frame_pad") == "zeros"
        return np.concatenate([np.zeros_like(frame) if padded else frame, frame])

    def _after(self, step: int) -> NDArray[Any]:
        return np.concatenate([self._frames[step], self._frames[step + 1]])

    def _reward(self, step: int) -> float:
        return float(self._rewards[step])

    def warm_up(self) -> "Trial":
        """Fill the replay, to just before the step that the first update follows."""
        return self.begin(WARM - 1)

    def owed(self) -> int:
        """Updates after this step; what a run owes."""
        return self.assembly.owed.after_step(float(self.agent.knobs["replay_ratio"]))

    def run(self, until: int | None = None) -> "Trial":
        """On to that many agent steps, with the updates that are owed after each."""
        while self.clock.now.agent_steps < (self.steps if until is None else until):
            self.act()
            for _ in range(self.owed()):
                self.update()
                self.tend()
        return self

    def state_dict(self) -> dict[str, Any]:
        """With the updates owed."""
        return {**super().state_dict(), "credit": self.assembly.owed.credit}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """With the updates owed."""
        super().load_state_dict(state)
        self.assembly.owed.take_up(state["credit"], float(self.agent.knobs["replay_ratio"]))


def _settings_of(one: Chosen, known: Registry) -> Mapping[str, Any]:
    """Settings of the agent that a plugin starts from; the trial must not give others."""
    plugin = options.build(known.find("plugin", one.name), one.options, one.name)
    starts: Mapping[str, Any] = plugin.settings()
    return starts
