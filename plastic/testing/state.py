"""A learner at one moment, in the words by which plugins say what they change."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch import nn

from plastic.core.learning.learner import Learner
from plastic.core.learning.plugin_state import plugin_state
from plastic.core.plugin import Change
from plastic.testing.compare import copied, differences, same
from plastic.testing.trial import Trial


@frozen(eq=False)
class State:
    """Copies, by name; `structure` is which modules and tensors there are, `left` what nobody may leave behind."""

    structure: Mapping[str, str]
    parameters: Mapping[str, Any]  # buffers among them
    copies: Mapping[str, Mapping[str, Any]]
    moments: Mapping[str, Any]  # what the optimizer remembers, by parameter
    optimizer: str
    evaluation: str | None
    knobs: Mapping[str, Any]
    left: Mapping[str, Any]

    @classmethod
    def of(cls, learner: Learner) -> "State":
        """As it is now."""
        networks: dict[str, nn.Module] = {"the model": learner.model, **learner.copies}
        remembered = learner.optimizer.state
        return cls(
            structure=_structure(learner.model),
            parameters=copied(learner.model.state_dict()),
            copies={name: copied(copy.state_dict()) for name, copy in learner.copies.items()},
            moments={name: copied(remembered[p]) for name, p in learner.params.items() if p in remembered},
            optimizer=type(learner.optimizer).__name__,
            evaluation=learner.evaluation,
            knobs=dict(learner.knobs),
            left={
                f"{path or 'all'} of {name}": (
                    module.training,
                    len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks),
                    [parameter.grad is None for parameter in module.parameters(recurse=False)],
                )
                for name, network in networks.items()
                for path, module in network.named_modules()
            },
        )

    def changes(self, later: "State", *, own: frozenset[str] = frozenset()) -> dict[Change, str]:
        """What differs at a later moment, and an example of it.

        What of the copies and the optimizer's state belongs to tensors that are no longer, or newly, there is the
        structure's.

        Args:
            later: The other state.
            own: Names of copies to leave out.
        """
        found: dict[Change, str] = {}
        for name in differences(self.structure, later.structure):
            found.setdefault("structure", name)
        for name in differences(self.knobs, later.knobs):
            found.setdefault("knobs", name)
        common = self.parameters.keys() & later.parameters.keys()
        for name in sorted(common):
            if not same(self.parameters[name], later.parameters[name]):
                found.setdefault("parameters", name)
        for copy in sorted((self.copies.keys() & later.copies.keys()) - own):
            was, now = self.copies[copy], later.copies[copy]
            for name in differences(was, now):
                found.setdefault("copies", f"{name} of {copy}")
        for name in differences(self.moments, later.moments):
            found.setdefault("optimizer state", name)
        if self.optimizer != later.optimizer:
            found.setdefault("optimizer state", f"{later.optimizer} instead of {self.optimizer}")
        if self.evaluation != later.evaluation:
            found["evaluation"] = f"the copy {later.evaluation!r} acts in evaluation"
        return found


def _structure(model: nn.Module) -> dict[str, str]:
    found = {f"{path}": type(module).__name__ for path, module in model.named_modules()}
    found |= {f"{name} as a tensor": f"{list(t.shape)}" for name, t in model.state_dict().items()}
    return found | {f"{name} as trained": str(p.requires_grad) for name, p in model.named_parameters()}


def random_streams() -> dict[str, Any]:
    """The global generators of torch, numpy and Python, which no plugin may draw from."""
    numpys = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state(),
        "numpy": (numpys["state"]["key"].tobytes(), numpys["state"]["pos"]),
        "random": hash(random.getstate()),
    }


def story(trial: Trial, *, probes: bool = True) -> dict[str, Any]:
    """All that a run has come to, by name: what training on depends on, the actions, and what was measured."""
    parts: dict[str, Any] = {f"agent/{name}": copied(value) for name, value in trial.agent.state_dict().items()}
    for name, learner in trial.learners.items():
        state = learner.state_dict()
        parts |= {f"{name}/model/{path}": value for path, value in copied(state["model"]).items()}
        for copy, of in state["copies"].items():
            parts |= {f"{name}/{copy}/{path}": value for path, value in copied(of).items()}
        remembered = learner.optimizer.state
        parts |= {f"{name}/moments/{path}": copied(remembered.get(p, {})) for path, p in learner.params.items()}
        parts |= {f"{name}/{key}": copied(state[key]) for key in ("updates", "noise", "augmentation", "averages")}
        parts[f"{name}/evaluation"] = learner.evaluation
    parts |= {"updates": trial.clock.now.updates, "actions": torch.from_numpy(np.array(trial.actions))}
    return {**parts, "measured": trial.measured} if probes else parts


def remembered_by_plugins(trial: Trial) -> dict[str, Any]:
    """The plugins' own state, by learner and place in the list; probes' too."""
    return {
        f"{name}/{plugin.name} ({place})/{key}": copied(value)
        for name, learner in trial.learners.items()
        for place, plugin in enumerate(learner.plugins)
        for key, value in plugin_state(plugin).items()
    }
