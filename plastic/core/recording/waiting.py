"""What would make the host wait for a GPU, told on a CPU, where nothing waits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from plastic.core.errors import UsageError

_BY_MASK = (
    "how many entries a mask has, the device alone knows; use torch.where, masked_fill or a product with the mask"
)
_DECIDES = "a branch cannot depend on what the device holds; use torch.where"
_DECOMPOSED = "it looks for failures on the host; use products alone (power iteration, say), or do it between updates"
_LIFTED = "the host's numbers are copied; make the tensor before, in start, or as an attribute that prepare writes into"
_FETCHED = "what the device holds is copied to the host; go on with tensors where they are"
_CHECKED = "whether it succeeded is asked on the host; use the variant without the question, as torch.linalg.inv_ex"

_INSTEAD: Mapping[str, str] = {
    "aten::_local_scalar_dense": _DECIDES,
    "aten::is_nonzero": _DECIDES,
    "aten::equal": _DECIDES,
    "aten::allclose": _DECIDES,
    "aten::nonzero": _BY_MASK,
    "aten::masked_select": _BY_MASK,
    **dict.fromkeys(
        [
            f"aten::{name}"
            for name in ("_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive")
        ],
        "how many values differ, the device alone knows; sort them instead",
    ),
    "aten::bincount": "how long it gets, the device alone knows; use scatter_add_ into a tensor that is long enough",
    "aten::_linalg_svd": _DECOMPOSED,
    "aten::_linalg_eigh": _DECOMPOSED,
    "aten::linalg_eig": _DECOMPOSED,
    "aten::_linalg_eigvals": _DECOMPOSED,
    "aten::_linalg_check_errors": _CHECKED,
}
_INDEXING = frozenset({"aten::index", "aten::_unsafe_index"})
_PUTTING = frozenset({"aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index_put"})
_MASKS = (torch.bool, torch.uint8)
_MAKING = frozenset({"tensor", "as_tensor", "asarray"})
_FETCHING = frozenset({"cpu", "numpy", "tolist", "__array__"})


class Waiting:
    """Refuses, operation by operation, what would wait on a GPU.

    Those whose result's length depends on values, copies of lists and arrays that are made within the work, and those
    that look for failures.
    """

    def __init__(self) -> None:
        self._numbers: list[Tensor] = []  # of Python, which an operation on a GPU takes as they are

    def refuse(self, operator: Any, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Look at an operation, with what it is given.

        Raises:
            UsageError: If it would wait.
        """
        name = operator._schema.name
        instead = _INSTEAD.get(name)
        if name == "aten::lift_fresh":  # what torch.tensor, lists as an index and arrays of NumPy come to
            instead = _LIFTED if args[0].dim() else None
            self._numbers.append(args[0])
        elif name == "aten::repeat_interleave" and operator._overloadname == "Tensor":
            known = options.get("output_size", args[1] if len(args) > 1 else None) is not None
            instead = None if known else "how long it gets, the device alone knows; say it as output_size"
        elif name in _INDEXING and _masks(args[1]):
            instead = _BY_MASK
        elif name in _PUTTING and _masks(args[1]):
            instead = None if self._fills(args, options) else _BY_MASK
        if instead is not None:
            raise UsageError(f"{name} waits for the device: {instead}")

    def _fills(self, args: Sequence[Any], options: Mapping[str, Any]) -> bool:
        """Whether a number is put where a mask is, which PyTorch then does by masked_fill."""
        indices, value = args[1], args[2]
        accumulates = options.get("accumulate", args[3] if len(args) > 3 else False)
        alone = sum(one is not None for one in indices) == 1
        number = any(value.data_ptr() == one.data_ptr() for one in self._numbers)
        return alone and number and value.dim() == 0 and not accumulates


class Fetching(TorchFunctionMode):
    """Refuses what no operation of PyTorch's shows on a CPU: copies to the host, and numbers put on a device."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Carry out, unless it would wait.

        Raises:
            UsageError: If it would.
        """
        options = kwargs or {}
        name = getattr(func, "__name__", "")
        made = name in _MAKING and options.get("device") is not None and not isinstance(next(iter(args), None), Tensor)
        if made or name == "new_tensor":
            raise UsageError(f"{name} waits for the device: {_LIFTED}, or use torch.full")
        if name in _FETCHING:
            raise UsageError(f"{name} waits for the device: {_FETCHED}")
        return func(*args, **options)


def _masks(indices: Sequence[Tensor | None]) -> bool:
    return any(one is not None and one.dtype in _MASKS for one in indices)
