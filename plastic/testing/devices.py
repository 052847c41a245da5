"""Where tensors would be on a GPU, followed through a run on a CPU."""

import traceback
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

Place = Literal["host", "device"]

_MADE = frozenset(
    {"zeros", "ones", "full", "empty", "eye", "arange", "linspace", "tensor", "as_tensor", "from_numpy"}
    | {"rand", "randn", "randint", "randperm", "normal"}
)
_LIKE_ITSELF = frozenset({"new_zeros", "new_ones", "new_full", "new_empty", "new_tensor"})
# which take tensors of both; the last four are how modules are moved and copied
_BETWEEN = frozenset(
    {"copy_", "_foreach_copy_", "__getitem__", "__setitem__"}
    | {"__set__", "__deepcopy__", "set_data", "_has_compatible_shallow_copy_type"}
)
_COPYING = frozenset({"copy_", "_foreach_copy_", "__getitem__", "__setitem__"})  # of these, what no graph can hold
_STRICT = frozenset({"cat", "concat", "stack", "hstack", "vstack", "lerp", "lerp_", "copy_"})  # with numbers, too
_FETCHING = frozenset({"cpu", "numpy", "tolist"})
_OURS = "plastic/testing/"


class Devices(TorchFunctionMode):
    """Follows whether each tensor would be on the host or on the device, and notes the calls that would mix them.

    What is made without a `device` is on the host, what is made with one or moved with `.to` is on the device; results
    are where their arguments are. A number without axes may mostly be anywhere, as in PyTorch, and what nobody has told
    of is nowhere. The device of a generator is not followed. Within recorded work copies between the two are noted as
    well.

    Attributes:
        mixed: The first line that did, by the name of what it called.
        recorded: Whether what is carried out is to be recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorded = False
        self.mixed: dict[str, str] = {}
        self._places: dict[int, tuple[weakref.ref[Tensor], Place]] = {}

    def put(self, tensors: Iterable[Tensor], place: Place = "device") -> None:
        """Say where these are."""
        for tensor in tensors:
            self._places[id(tensor)] = weakref.ref(tensor), place

    def place(self, tensor: Tensor) -> Place | None:
        """Where it would be, as far as that is known."""
        known = self._places.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out, and follow."""
        options = kwargs or {}
        found = func(*args, **options)
        name = getattr(func, "__name__", "")
        if name in ("cpu", "to") and found is args[0]:  # here it stays where it is, on a GPU it would be another
            found = found.view_as(found)
        given = [one for one in tree_leaves((args, options)) if isinstance(one, Tensor)]
        place = self._placed(name, args, options, given)
        if place is not None:
            self.put((one for one in tree_leaves(found) if isinstance(one, Tensor)), place)
        return found

    def _placed(self, name: str, args: Any, options: dict[str, Any], given: list[Tensor]) -> Place | None:
        if name in _MADE and not isinstance(next(iter(args), None), Tensor):
            return "device" if isinstance(options.get("device"), torch.device) else "host"
        if name.endswith("_like") and isinstance(options.get("device"), torch.device):
            return "device"
        if name in _FETCHING:
            return "host"
        if name in _LIKE_ITSELF:
            return self.place(args[0])
        if name == "to":
            if any(isinstance(one, torch.device) for one in (*args[1:], *options.values())):
                if self.recorded and self.place(args[0]) == "host":
                    self.mixed.setdefault(name, _line())
                return "device"
            return self.place(next((one for one in args[1:] if isinstance(one, Tensor)), args[0]))
        places = {self.place(one) for one in given}
        if {self.place(one) for one in self._counted(name, args, given)} >= {"host", "device"}:
            self.mixed.setdefault(name, _line())
        return "device" if "device" in places else "host" if "host" in places else None

    def _counted(self, name: str, args: Any, given: list[Tensor]) -> list[Tensor]:
        """Those of the tensors it is given that must not be apart."""
        if name in _BETWEEN and not (self.recorded and name in _COPYING):
            return []
        if name.startswith("_foreach_"):
            listed = tree_leaves([one for one in args if isinstance(one, list | tuple)])
            return [one for one in listed if isinstance(one, Tensor)]
        # a number is copied into a slice, but put at places or a mask as what it is
        puts = name == "__setitem__" and not any(isinstance(one, Tensor) for one in tree_leaves(args[1]))
        return [one for one in given if one.dim() or puts or name in _STRICT]


def _line() -> str:
    """The innermost line that is neither PyTorch's nor a check's."""
    lines = [
        frame for frame in traceback.extract_stack() if "/torch/" not in frame.filename and _OURS not in frame.filename
    ]
    return f"{lines[-1].filename.rpartition('/')[2]}:{lines[-1].lineno} {lines[-1].line}"
