"""Putting a module in another's place by its path."""

from torch import nn

from plastic.core.errors import UsageError


def put(model: nn.Module, path: str, module: nn.Module) -> nn.Module:
    """`model` with `module` at the dotted `path`, which must exist; the empty path is the model itself."""
    if not path:
        return module
    parent, _, name = path.rpartition(".")
    model.get_submodule(path)
    setattr(model.get_submodule(parent), name, module)
    return model


def reinitialised(module: nn.Module) -> nn.Module:
    """`module` itself, every parameter drawn anew by the `reset_parameters` of whatever holds it.

    Raises:
        UsageError: If a module with parameters of its own has no `reset_parameters`.
    """
    for path, part in module.named_modules():
        if any(True for _ in part.parameters(recurse=False)):
            reset = getattr(part, "reset_parameters", None)
            if reset is None:
                raise UsageError(f"{type(part).__name__} at {path!r} has no reset_parameters() to initialise it with")
            reset()
    return module
