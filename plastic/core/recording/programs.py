"""Recording on a CPU: the operations of an update as a program without branches, modules and autograd."""

import math
import re
from collections.abc import Callable, Iterable
from keyword import iskeyword
from typing import Any, TypeVar

import torch
from attrs import define, field
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from plastic.core.errors import UsageError
from plastic.core.recording.capture import Recording
from plastic.core.recording.waiting import Fetching, Waiting

Result = TypeVar("Result")
_Place = tuple[Any, ...]  # storage, offset, sizes, strides and dtype: what a tensor is, whatever object holds it


@define(eq=False)
class Programs:
    """Writes operations down as they are carried out, those of the backward pass too, and carries them out again.

    By the rules of a CUDA graph: what was there before stays where it is, plain numbers and branches stay as they were,
    random draws go on, and what would wait for the device is refused (`Waiting`). So what is right here is right there.
    What an operation makes is made anew each time and given up after its last use, as without a recording. What is left
    out is the Python between two operations and autograd's bookkeeping: much of an update of small networks.
    """

    device: torch.device = field(factory=lambda: torch.device("cpu"))

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """See `plastic.core.recording.capture.Recorder`."""
        return work()

    def record(self, work: Callable[[], Result], generators: Iterable[torch.Generator]) -> Recording[Result]:
        """See `plastic.core.recording.capture.Recorder`.

        Raises:
            UsageError: If the work waits for the device, or draws from another generator.
        """
        writing = _Writing(generators)
        with Fetching(), writing:
            result = work()
        return Recording(writing.program(result), result)


class _Writing(TorchDispatchMode):
    """Writes a line for every operation."""

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generators = {_identity(generator) for generator in generators}
        self._waiting = Waiting()
        self._lines: list[tuple[str, str]] = []  # what is assigned, and to what
        self._given: dict[str, Any] = {}  # names of what was there before
        self._names: dict[Any, str] = {}  # of tensors by their place, and of all else that is given by identity
        self._made: dict[int, str] = {}  # by storage, the name of a tensor in it
        self._count = 0
        self._alive: list[Any] = []  # so that no identity is used twice

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        name = operator._schema.name
        self._waiting.refuse(operator, args, options)
        arguments = [self._written(one, name) for one in args]
        arguments += [_named(key, self._written(one, name)) for key, one in options.items()]
        given = [one for one in tree_leaves((args, options)) if isinstance(one, Tensor)]
        found = operator(*args, **options)
        self._alive += [given, found]
        several = isinstance(found, list | tuple)
        new = [self._new(one, given) for one in (found if several else [found])]
        writes = any(argument.alias_info is not None and argument.alias_info.is_write for argument in _all(operator))
        if writes or any(new):
            names = ", ".join(one or "_" for one in new) + ("," if several else "")
            # ._op is the operator itself; around it is a function of Python's
            call = f"{self._name(operator._op)}({', '.join(arguments)})"
            self._lines.append((names if any(new) else "", call))
        return found

    def _new(self, found: Any, given: list[Tensor]) -> str | None:
        """The name of a result, if there has to be one."""
        if not isinstance(found, Tensor) or any(found is one for one in given) or _place(found) in self._names:
            return None
        storage = found.untyped_storage()._cdata
        if storage not in self._made and any(storage == one.untyped_storage()._cdata for one in given):
            return None  # a view of what was there before is there, too
        return self._call(found)

    def _call(self, tensor: Tensor) -> str:
        self._count += 1
        name = f"t{self._count}"
        self._names[_place(tensor)] = name
        self._made.setdefault(tensor.untyped_storage()._cdata, name)
        return name

    def _written(self, value: Any, operator: str) -> str:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, list | tuple):
            return f"[{', '.join(self._written(one, operator) for one in value)}]"
        if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
            return repr(value)
        if isinstance(value, torch.Generator) and _identity(value) not in self._generators:
            raise UsageError(f"{operator} draws from a generator that a recorded update cannot have")
        return self._name(value)

    def _tensor(self, value: Tensor) -> str:
        place = _place(value)
        if place in self._names:
            return self._names[place]
        storage = value.untyped_storage()._cdata
        if storage not in self._made:
            return self._name(value.detach(), place)  # with its history it would keep what that holds
        base = self._made[storage]  # seen otherwise than any operation gave it, as autograd may do by itself
        self._alive.append(value)
        call = f"{self._name(torch.ops.aten.as_strided.default._op)}({base}, {place[2]}, {place[3]}, {place[1]})"
        name = self._call(value)
        self._lines.append((name, call))
        return name

    def _name(self, value: Any, key: Any = None) -> str:
        key = id(value) if key is None else key
        if key not in self._names:
            self._count += 1
            self._names[key] = f"c{self._count}"
            self._given[self._names[key]] = value
            self._alive.append(value)
        return self._names[key]

    def program(self, result: Any) -> Callable[[], Any]:
        """All lines as a function of Python's, which gives what the work gave."""
        source = ["def replay():"]
        answer = self._written(result, "what an update gives")
        dying = _last_uses([*(f"{names} {call}" for names, call in self._lines), answer])
        for (names, call), dead in zip(self._lines, dying, strict=False):
            source.append(f"    {names} = {call}" if names else f"    {call}")
            if dead:
                source.append(f"    {' = '.join(dead)} = None")
        scope = dict(self._given)
        exec("\n".join([*source, f"    return {answer}"]), scope)
        replay: Callable[[], Any] = scope["replay"]

        def without_autograd() -> Any:
            with torch.no_grad():
                return replay()

        return without_autograd


def _place(tensor: Tensor) -> _Place:
    storage = tensor.untyped_storage()._cdata
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _last_uses(lines: list[str]) -> list[list[str]]:
    """For each line, the names that no later line has."""
    last = {name: number for number, line in enumerate(lines) for name in re.findall(r"\bt\d+\b", line)}
    dying: list[list[str]] = [[] for _ in lines]
    for name, number in last.items():
        dying[number].append(name)
    return dying


def _named(key: str, value: str) -> str:
    return f"**{{{key!r}: {value}}}" if iskeyword(key) else f"{key}={value}"  # `from` of what draws


def _all(operator: Any) -> Any:
    return operator._schema.arguments


def _identity(generator: torch.Generator) -> int:
    # Operators are given the generator in another Python object than ours.
    found: int = generator._cdata  # type: ignore[attr-defined]
    return found
