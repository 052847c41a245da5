"""A network as the plugins make it, and what has been replaced in it since."""

from collections.abc import Callable, Sequence

import torch
from attrs import define, field, frozen
from torch import nn

from plastic.core.edits import Replace
from plastic.core.errors import UsageError
from plastic.core.intervention import BUILD_STAGES, PlasticityIntervention
from plastic.core.modules import put
from plastic.core.plugin import Plugin, named, refusing
from plastic.core.streams import derive, seeded


@frozen
class Replaced:
    """A `Replace` that was carried out, so that a fresh model or a checkpoint can repeat it."""

    plugin: int  # position in the list of plugins
    method: str
    path: str
    seed: int


@define(eq=False)
class Structure:
    """Makes a learner's network: bare, built upon by the interventions in turn, modules replaced.

    Args:
        make: Builds the bare network; called under a seed.
        plugins: The learner's.
        learner: Its name.
        seed: The run's.
        device: Where networks are put.
    """

    make: Callable[[], nn.Module]
    plugins: Sequence[Plugin]
    learner: str
    seed: int
    device: torch.device
    history: list[Replaced] = field(factory=list, init=False)

    def initial(self) -> nn.Module:
        """The network before the first update, every module that was replaced since under its own seed."""
        model = self._built(derive(self.seed, self.learner, "init"), ())
        for done in self.history:
            model = self.carry_out(done, model, done.path)
        return model

    def fresh(self, seed: int) -> nn.Module:
        """A new draw of the network as it is by now."""
        return self._built(seed, self.history)

    def _built(self, seed: int, history: Sequence[Replaced]) -> nn.Module:
        interventions = [plugin for plugin in self.plugins if isinstance(plugin, PlasticityIntervention)]
        with seeded(seed):
            model = self.make()
            for intervention in sorted(interventions, key=lambda one: BUILD_STAGES.index(one.stage)):
                with refusing(intervention, self.learner):
                    model = intervention.build(model)
            for done in history:
                model = put(model, done.path, self._wrap(done)(model.get_submodule(done.path)))
        return model.to(self.device)

    def replacement(self, edit: Replace, by: Plugin) -> Replaced:
        """What an edit is going to be remembered as.

        Raises:
            UsageError: If a checkpoint could not name it.
        """
        if getattr(edit.wrap, "__self__", None) is not by:
            raise UsageError(
                f"{named(by)}: Replace.wrap must be a method of the plugin, so that a checkpoint can name it"
            )
        position = next(place for place, plugin in enumerate(self.plugins) if plugin is by)
        seed = derive(self.seed, self.learner, by.name, "replace", len(self.history))
        return Replaced(position, edit.wrap.__name__, edit.path, seed)

    def carry_out(self, done: Replaced, model: nn.Module, path: str) -> nn.Module:
        """Put the replacement at `path` of a network: the model, or a copy in which it has another path."""
        with seeded(done.seed):
            return put(model, path, self._wrap(done)(model.get_submodule(path))).to(self.device)

    def _wrap(self, done: Replaced) -> Callable[[nn.Module], nn.Module]:
        wrap: Callable[[nn.Module], nn.Module] = getattr(self.plugins[done.plugin], done.method)
        return wrap
