"""What must be true of a learner between two updates, whatever plugins it has."""

from collections import Counter
from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from plastic.core.learning.learner import Learner


def faults(learner: Learner) -> list[str]:
    """Every invariant that is broken, one sentence each; an empty list is what a test should assert.

    * The optimizer holds exactly the trained parameters, and remembers nothing of others.
    * What it remembers of one has that one's shape and layout, and no gradient is left behind.
    * Every copy has the structure of what it is a copy of, and none of it is trained.
    * No tensor lies in the memory of another network's.
    * Every number is finite; everything is in training mode; no hook is left.
    """
    return [
        *_optimizer(learner),
        *_remembered(learner),
        *(fault for name, copy in learner.copies.items() for fault in _copy(name, copy, learner.followed(name))),
        *_shared(_networks(learner)),
        *_not_finite(learner),
        *(fault for name, network in _networks(learner).items() for fault in _left_behind(name, network)),
    ]


def _networks(learner: Learner) -> dict[str, nn.Module]:
    return {"the model": learner.model, **{f"the copy {name!r}": copy for name, copy in learner.copies.items()}}


def _optimizer(learner: Learner) -> Iterator[str]:
    held = Counter(id(parameter) for group in learner.optimizer.param_groups for parameter in group["params"])
    for name, parameter in learner.model.named_parameters():
        times = held.pop(id(parameter), 0)
        if parameter.requires_grad and times != 1:
            yield f"the optimizer holds the trained parameter {name} {times} times"
        if not parameter.requires_grad and times:
            yield f"the optimizer holds the frozen parameter {name}"
        if parameter.requires_grad != (learner.params.get(name) is parameter):
            yield f"the learner's table of trained parameters is wrong about {name}"
    if held:
        yield f"the optimizer holds {len(held)} tensors that are no parameters of the model"


def _remembered(learner: Learner) -> Iterator[str]:
    names = {id(parameter): name for name, parameter in learner.params.items()}
    for parameter, state in learner.optimizer.state.items():
        name = names.get(id(parameter))
        if name is None:
            yield f"the optimizer remembers a tensor of shape {tuple(parameter.shape)} that is not trained"
            continue
        for key, value in state.items():
            if isinstance(value, Tensor) and value.dim() > 0:
                if value.shape != parameter.shape:
                    yield f"the optimizer's {key} of {name} has the shape {tuple(value.shape)}"
                elif value.stride() != parameter.stride():  # a fused optimizer would take one entry for another
                    yield f"the optimizer's {key} of {name} has other strides than {name}"
    for name, parameter in learner.model.named_parameters():
        if parameter.grad is not None:
            yield f"a gradient is left on {name}"


def _copy(name: str, copy: nn.Module, followed: nn.Module) -> Iterator[str]:
    ours, theirs = _structure(followed), _structure(copy)
    for path in sorted(ours.keys() | theirs.keys()):
        if ours.get(path) != theirs.get(path):
            is_, should = (found.get(path, "nothing") for found in (theirs, ours))
            yield f"the copy {name!r} has {is_} at {path!r}, where the model has {should}"
    for path, parameter in copy.named_parameters():
        if parameter.requires_grad:
            yield f"the parameter {path} of the copy {name!r} asks for a gradient"
        if parameter.grad is not None:
            yield f"a gradient is left on {path} of the copy {name!r}"


def _structure(model: nn.Module) -> dict[str, str]:
    """What is at each path: the module's type, the tensor's shape and type."""
    modules = {path: type(module).__name__ for path, module in model.named_modules()}
    return modules | {path: f"{list(t.shape)} {t.dtype}" for path, t in model.state_dict().items()}


def _shared(networks: Mapping[str, nn.Module]) -> Iterator[str]:
    owners: dict[int, tuple[str, str]] = {}
    for network, model in networks.items():
        for path, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.numel():
                owner, first = owners.setdefault(tensor.untyped_storage().data_ptr(), (network, path))
                if owner != network:
                    yield f"{path} of {network} lies in the memory of {first} of {owner}"


def _not_finite(learner: Learner) -> Iterator[str]:
    numbers = {
        f"{path} of {network}": tensor
        for network, model in _networks(learner).items()
        for path, tensor in model.state_dict().items()
    }
    for name, parameter in learner.params.items():
        for key, value in learner.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                numbers[f"the optimizer's {key} of {name}"] = value
    for name, tensor in numbers.items():
        if not tensor.isfinite().all():
            yield f"{name} is not finite"


def _left_behind(network: str, model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if not module.training:
            yield f"{path or 'all'} of {network} is in evaluation mode"
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            yield f"a hook is left on {path or 'all'} of {network}"
