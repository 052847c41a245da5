"""Carrying out an `Overwrite` or a `Forget`: in the model, its copies and the optimizer's state together."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.optim import Optimizer

from plastic.core.edits import Overwrite
from plastic.core.errors import UsageError
from plastic.core.layers import SpectralNorm
from plastic.core.learning.lagged_copy import LaggedCopy
from plastic.core.learning.moments import clear_moments, clear_step
from plastic.core.plugin import Plugin, named


@frozen(eq=False)
class Overwriting:
    """A learner's tensors as an edit reaches them; `by` is whose edit it is, for errors."""

    learner: str
    model: nn.Module
    lagged: Mapping[str, LaggedCopy]
    optimizer: Optimizer
    by: Plugin

    def overwrite(self, edit: Overwrite) -> None:
        """Put the values where they belong.

        Raises:
            UsageError: If a parameter or a copy is not there, or a shape does not fit.
        """
        parameter = self._tensor(edit.name)
        self._put(parameter, edit, [self._tensor(name) for name in edit.given])
        for name in self._copies(edit.copies):
            lagged = self.lagged[name]
            own = lagged.name(edit.name)
            if own is not None:
                self._put(tensor_of(lagged.module, own), edit, [self._copied(name, other) for other in edit.given])
        if edit.moments == "clear":
            clear_moments(self.optimizer, parameter, where=edit.where)
        step = edit.step or ("clear" if edit.renews else "keep")
        if step == "clear":
            clear_step(self.optimizer, parameter)

    def forget(self, names: Iterable[str]) -> None:
        """Clear what the optimizer remembers of these parameters.

        Raises:
            UsageError: If one is not there.
        """
        for name in names:
            parameter = self._tensor(name)
            clear_moments(self.optimizer, parameter)
            clear_step(self.optimizer, parameter)

    def normalised(self, parameter: str) -> Iterator[SpectralNorm]:
        """Whose power iteration begins again when this parameter is written, in the model and in its copies."""
        path = parameter.rpartition(".")[0]
        if isinstance(layer := self.model.get_submodule(path), SpectralNorm):
            yield layer
            for lagged in self.lagged.values():
                own = lagged.name(path)
                if own is not None and isinstance(copy := lagged.module.get_submodule(own), SpectralNorm):
                    yield copy

    def _tensor(self, name: str) -> Tensor:
        try:
            return tensor_of(self.model, name)
        except AttributeError:
            raise UsageError(
                f"{named(self.by)}: edits name the parameter {name!r}, which {self.learner} has not"
            ) from None

    def _copied(self, copy: str, parameter: str) -> Tensor:
        own = self.lagged[copy].name(parameter)
        if own is None:
            raise UsageError(
                f"{named(self.by)}: edits give the parameter {parameter!r}, which the copy {copy!r} has not"
            )
        return self.lagged[copy].module.get_parameter(own)

    def _copies(self, wanted: str | Collection[str]) -> Collection[str]:
        if wanted == "all":
            return self.lagged.keys()
        names = () if wanted == "none" else wanted
        for name in names:
            if name not in self.lagged:
                has = ", ".join(self.lagged)
                raise UsageError(f"{named(self.by)}: no copy {name!r} in {self.learner}; it has {has}")
        # a plugin's own copy (an origin, an iterate) gets every edit, which it would otherwise undo
        return [name for name, lagged in self.lagged.items() if name in names or lagged.rate == 0]

    def _put(self, tensor: Tensor, edit: Overwrite, given: Sequence[Tensor]) -> None:
        if isinstance(edit.value, Tensor):
            value = edit.value
        else:
            value = edit.value(*(own.detach().clone() for own in (tensor, *given)))
        for part, what in ((value, "overwrite"), (edit.where, "mask")):
            if part is not None and part.shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)}, not {tuple(part.shape)}"
                raise UsageError(f"{named(self.by)}: {edit.name} has the shape {shapes} as its {what}")
        value = value.detach().to(tensor)
        tensor.copy_(value if edit.where is None else torch.where(edit.where, value, tensor))


def tensor_of(model: nn.Module, name: str) -> Tensor:
    """The parameter or buffer of this name.

    Raises:
        AttributeError: If there is none.
    """
    try:
        return model.get_parameter(name)
    except AttributeError:
        return model.get_buffer(name)
