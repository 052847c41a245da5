"""An account of an update: what it computes, what that takes at the least, and what it takes.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python -m tests.benchmarks.account rainbow --preset plastic

Every operation that an update asks of PyTorch is written down, those of the backward pass too, with the shapes,
strides and values of its arguments. Equal ones are timed by themselves, on tensors laid out alike that stay in the
caches as far as they fit, again and again between whole updates of the same process. The *limit* is the sum of
their best times: no update made of these operations is faster. All times are processor times.

Beside it stands what the machine's measured limits imply: an operation takes no less than its multiplications at the
speed of a large matrix product, nor than its bytes at the speed of a large addition, or if they are few, of a small
one.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from attrs import define, field, frozen
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.flop_counter import flop_registry

from plastic.bench.play import random_play
from plastic.bench.turns import Quartiles
from plastic.bench.workload import Workload
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry

ROUNDS = 60
UPDATES = 4  # a round
WARM_UP = 12  # updates
CALLS = 3  # of each operation a round; small ones are timed many at a time
LEAST = 50e-6  # seconds that are timed at a time
HUGE = 2**26  # bytes; what is larger (the frames of a replay) is read in its own place
IN_CACHE = 2**24  # bytes that an operation touches, below which they may come from the caches
DEAREST = 10


@frozen(eq=False)
class Machine:
    """What the machine can do on one thread, the best of many times.

    Attributes:
        gflops: 10^9 operations a second of a product of square matrices, 2,048 wide.
        memory: 10^9 bytes a second, read and written, of adding 256 MB to as many.
        cache: The same of adding 128 kB to as many, over and over.
    """

    gflops: float
    memory: float
    cache: float

    @classmethod
    def measured(cls) -> "Machine":
        """Take half a minute to find out."""
        width = 2_048
        a, b, c = (torch.randn(width, width) for _ in range(3))
        return cls(
            2 * width**3 / best(lambda: torch.mm(a, b, out=c), 10) / 1e9,
            _adding(2**28),
            _adding(2**17),
        )

    def implied(self, operations: float, moved: float) -> float:
        """Seconds."""
        speed = self.cache if moved < IN_CACHE else self.memory
        return max(operations / self.gflops, moved / speed) / 1e9


def _adding(size: int) -> float:
    first, second = torch.ones(size // 4), torch.ones(size // 4)
    return 3 * size / best(lambda: second.add_(first), 10) / 1e9


def best(work: Callable[[], object], calls: int) -> float:
    """The least processor time of one call, of `calls` or, if it is short, of many at a time."""
    began = time.process_time()
    work()
    together = max(1, math.ceil(LEAST / max(time.process_time() - began, 1e-7)))
    return min(_seconds(work, together) for _ in range(calls))


def _seconds(work: Callable[[], object], together: int) -> float:
    began = time.process_time()
    for _ in range(together):
        work()
    return (time.process_time() - began) / together


@define(eq=False)
class Operation:
    """One operation of PyTorch on arguments of one layout, and how often an update asks for it.

    Attributes:
        function: An overload of ATen's.
        kind: What it is for, or of.
        shapes: Of its tensors, the result last.
        operations: Additions and multiplications of one call.
        moved: Bytes that one call reads and writes.
        count: In one update.
        rounds: Seconds, the least that a call by itself has taken in each round.
    """

    function: Any
    kind: str
    shapes: str
    operations: float
    moved: float
    arguments: Any
    keywords: Any
    count: int = 0
    rounds: list[float] = field(factory=list)
    _together: int = 0

    @property
    def name(self) -> str:
        return str(self.function).removeprefix("aten.").removesuffix(".default")

    @property
    def total(self) -> float:
        """Seconds of an update: as many calls at the least that any has taken."""
        return self.count * min(self.rounds)

    def time(self) -> None:
        """Call it a few times."""
        if not self._together:
            self._call()
            self._together = max(1, math.ceil(LEAST / max(_seconds(self._call, 3), 1e-7)))
        self.rounds.append(min(_seconds(self._call, self._together) for _ in range(CALLS)))

    def _call(self) -> None:
        self.function(*self.arguments, **self.keywords)


class Recording(TorchDispatchMode):
    """Writes down the operations of what is done inside.

    Args:
        formed: Shapes of the parameters that are formed anew from others in each pass: those of noisy layers.
    """

    def __init__(self, formed: set[tuple[int, ...]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[Any, Operation] = {}
        self.part: str | None = None
        self._formed = formed

    def __torch_dispatch__(  # type: ignore[no-untyped-def]
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ):
        kwargs = kwargs or {}
        flat, how = tree_flatten((args, kwargs))
        key = (func, self.part, tuple(_layout(value) for value in flat), str(how))
        if key not in self.found:
            copies: dict[Any, Tensor] = {}
            kept = [_alike(value, copies) for value in flat]  # before it is carried out: it may write
            result = func(*args, **kwargs)
            tensors = [v for v in (*flat, *tree_flatten(result)[0]) if isinstance(v, Tensor)]
            arguments, keywords = tree_unflatten(kept, how)
            self.found[key] = Operation(
                func,
                self.part or self._kind(func, tensors),
                _shapes(flat, result),
                _operations(func, args, kwargs, result),
                _moved(func, args, kwargs, result),
                arguments,
                keywords,
            )
        else:
            result = func(*args, **kwargs)
        self.found[key].count += 1
        return result

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Inside, everything is of this kind."""
        before, self.part = self.part, part
        try:
            yield
        finally:
            self.part = before

    def _kind(self, function: Any, tensors: Sequence[Tensor]) -> str:
        name = function._schema.name.removeprefix("aten::")
        if "convolution" in name:
            return "convolutions"
        if name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot"):
            return "matrix products"
        if name.startswith(("_fused_adam", "_foreach")):
            return "passes over all parameters"
        if any(alias_of(function)):
            return "views"
        if any(tuple(tensor.shape) in self._formed for tensor in tensors):
            return "noisy weights"
        return "elementwise and sums"


def alias_of(function: Any) -> Iterator[bool]:
    """Of each result whether it is a view of an argument."""
    return (r.alias_info is not None and not r.alias_info.is_write for r in function._schema.returns)


def _layout(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.dtype, tuple(value.shape), value.stride()
    return None if isinstance(value, torch.Generator) else (type(value), str(value))


def _alike(value: Any, copies: dict[Any, Tensor]) -> Any:
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if not isinstance(value, Tensor):
        return value
    value = value.detach()
    extent = 1 + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    if extent * value.element_size() > HUGE or not value.numel():
        return value
    place = (value.data_ptr(), extent)  # an argument that is given twice is one tensor here too
    if place not in copies:
        copies[place] = value.as_strided((extent,), (1,)).clone()
    return copies[place].as_strided(value.shape, value.stride(), 0)


def _shapes(flat: Sequence[Any], result: Any) -> str:
    given = [v for v in flat if isinstance(v, Tensor) and v.dim()]
    made = [v for v in tree_flatten(result)[0] if isinstance(v, Tensor)]
    if len(given) > 6:
        return f"{len(given)} tensors, {sum(v.numel() for v in given) / 1e6:.1f} million numbers"
    return ", ".join(map(_shape, given)) + " -> " + ", ".join(map(_shape, made))


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"


def _operations(function: Any, args: Any, kwargs: Any, result: Any) -> float:
    packet = function.overloadpacket
    if packet in flop_registry:
        return float(flop_registry[packet](*args, **kwargs, out_val=result))
    if any(alias_of(function)):
        return 0.0
    return float(sum(v.numel() for v in tree_flatten(result)[0] if isinstance(v, Tensor)))


def _moved(function: Any, args: Any, kwargs: Any, result: Any) -> float:
    """What is read once, what is new once, and what is written over once more."""
    if any(alias_of(function)):
        return 0.0
    if "index_select" in function._schema.name or "gather" in function._schema.name:
        return 2.0 * _bytes(result)  # of what is picked from, no more than what is picked
    sizes: dict[tuple[int, bool], int] = {}
    for place, argument in enumerate(function._schema.arguments):
        given = args[place] if place < len(args) else kwargs.get(argument.name)
        written = argument.alias_info is not None and argument.alias_info.is_write and argument.name != "grads"
        for value in tree_flatten(given)[0]:
            if isinstance(value, Tensor):
                spread = math.prod(s for s, step in zip(value.shape, value.stride(), strict=True) if step)
                sizes[value.data_ptr(), False] = spread * value.element_size()
                if written:
                    sizes[value.data_ptr(), True] = spread * value.element_size()
    overwritten = {place for place, written in sizes if written}
    new = sum(
        v.numel() * v.element_size()
        for v in tree_flatten(result)[0]
        if isinstance(v, Tensor) and v.data_ptr() not in overwritten
    )
    return float(sum(sizes.values()) + new)


def _bytes(result: Any) -> int:
    return sum(v.numel() * v.element_size() for v in tree_flatten(result)[0] if isinstance(v, Tensor))


def record(workload: Workload) -> list[Operation]:
    """The operations of one update."""
    agent = workload.assembly.agent
    models = [learner.model for learner in agent.learners.values()]
    deviations = [p for m in models for name, p in m.named_parameters() if name.endswith("weight_sigma")]
    recording = Recording({tuple(parameter.shape) for parameter in deviations})
    replay, objectives = agent._replay, [learner.objective for learner in agent.learners.values()]  # type: ignore[attr-defined]
    seams = [(type(replay), "sample", "replay"), (type(replay), "set_priorities", "replay")]
    seams += [(type(objective), "augment", "augmentation") for objective in objectives]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in seams]
    for (owner, name, original), (_, _, part) in zip(originals, seams, strict=True):
        setattr(owner, name, _charged(original, recording, part))
    capture, agent.capture = agent.capture, None
    try:
        workload.assembly.clock.advance(updates=1)
        with recording:
            agent.update()
        workload.assembly.clock.tick()
    finally:
        agent.capture = capture
        for owner, name, original in originals:
            setattr(owner, name, original)
    return list(recording.found.values())


def _charged(original: Callable[..., Any], recording: Recording, part: str) -> Callable[..., Any]:
    def within(*arguments: Any, **keywords: Any) -> Any:
        with recording.within(part):
            return original(*arguments, **keywords)

    return within


@frozen(eq=False)
class Account:
    """What came of it; `updates` are the processor seconds of whole ones, [rounds, updates]."""

    operations: Sequence[Operation]
    updates: NDArray[np.float64]
    machine: Machine

    @property
    def limit(self) -> float:
        """Seconds: the sum of the operations' best times."""
        return sum(operation.total for operation in self.operations)

    @property
    def ratio(self) -> Quartiles:
        """Of the updates' times to the limit."""
        return Quartiles.of(self.updates.ravel() / self.limit)

    @property
    def ratio_by_round(self) -> Quartiles:
        """Of each round's updates to the sum of the operations' best times in that round.

        What else a machine does slows memory and caches down for minutes. The best times of all rounds are those of
        its quietest moments, and an update at other times is then above the limit for no reason of its own.
        """
        limits = sum(one.count * np.array(one.rounds) for one in self.operations)
        return Quartiles.of((self.updates / np.reshape(limits, (-1, 1))).ravel())

    def implied(self, operation: Operation) -> float:
        """Seconds of an update that the operation takes at the least, by the machine's limits."""
        return operation.count * self.machine.implied(operation.operations, operation.moved)

    def kinds(self) -> Mapping[str, Sequence[Operation]]:
        """The dearest kind first."""
        names = {operation.kind for operation in self.operations}
        grouped = {name: [one for one in self.operations if one.kind == name] for name in names}
        return dict(sorted(grouped.items(), key=lambda item: -sum(one.total for one in item[1])))


def account(workload: Workload, rounds: int = ROUNDS) -> Account:
    """Time updates and their operations by turns."""
    for _ in range(WARM_UP):
        workload()
    operations = record(workload)
    updates: list[list[float]] = []
    machine = Machine.measured()
    for _ in range(rounds):
        workload()  # behind the operations: its memory is elsewhere
        updates.append([_update(workload) for _ in range(UPDATES)])
        with torch.no_grad():
            for operation in operations:
                operation.time()
    return Account(operations, np.array(updates), machine)


def _update(workload: Workload) -> float:
    workload.assembly.clock.advance(updates=1)
    began = time.process_time()
    workload.assembly.agent.update()
    seconds = time.process_time() - began
    workload.assembly.clock.tick()
    return seconds


def workload(
    agent: str, preset: str | None = None, env: str = "", plugins: Sequence[str] = (), *, capture: bool = False
) -> Workload:
    """An agent that learns from random play of its environment."""
    registry = Registry().load()
    recipe = Recipe(
        agent=agent, preset=preset, env=env, plugins=tuple(map(Chosen.parse, plugins)), settings={"capture": capture}
    )
    assembly = assemble(recipe, registry)
    torch.set_num_threads(assembly.settings.threads)
    play = random_play(assembly.env, 0)
    assembly.env.close()
    return Workload.of(assembly.recipe, registry, play)


def told(account: Account, dearest: int = DEAREST) -> Iterator[str]:
    """The account in lines, tables as Markdown has them."""
    machine = account.machine
    yield (
        f"The machine: {machine.gflops:.0f} GFLOP/s in a matrix product 2,048 wide; adding 256 MB to 256 MB moves "
        f"{machine.memory:.1f} GB/s, adding 128 kB to 128 kB {machine.cache:.1f} GB/s."
    )
    flops = sum(one.count * one.operations for one in account.operations)
    moved = sum(one.count * one.moved for one in account.operations)
    calls = sum(one.count for one in account.operations)
    yield (
        f"An update: {calls} operations of {len(account.operations)} kinds of arguments, {flops / 1e9:.2f} GFLOP, "
        f"{moved / 1e6:.0f} MB; implied {1e3 * sum(map(account.implied, account.operations)):.1f} ms, "
        f"limit {1e3 * account.limit:.1f} ms, measured {1e3 * float(np.median(account.updates)):.1f} ms "
        f"(at best {1e3 * float(np.min(account.updates)):.1f} ms): {account.ratio} of the limit, and of the best times "
        f"of the same round {account.ratio_by_round}; {account.updates.size} updates in {len(account.updates)} rounds."
    )
    yield ""
    yield "| kind | calls | GFLOP | MB | implied, ms | limit, ms |"
    yield "|---|---|---|---|---|---|"
    for kind, ones in account.kinds().items():
        yield _row(account, kind, ones)
    yield _row(account, "all", account.operations)
    yield ""
    yield "| operation | arguments | calls | GFLOP | MB | implied, ms | limit, ms |"
    yield "|---|---|---|---|---|---|---|"
    for one in sorted(account.operations, key=lambda one: -one.total)[:dearest]:
        yield _row(account, f"{one.name} | {one.shapes}", [one])


def _row(account: Account, name: str, ones: Sequence[Operation]) -> str:
    calls = sum(one.count for one in ones)
    flops, moved = (sum(one.count * getattr(one, what) for one in ones) for what in ("operations", "moved"))
    implied, limit = sum(map(account.implied, ones)), sum(one.total for one in ones)
    return f"| {name} | {calls} | {flops / 1e9:.3f} | {moved / 1e6:.1f} | {1e3 * implied:.2f} | {1e3 * limit:.2f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="An account of an update.")
    parser.add_argument("agent")
    parser.add_argument("--preset")
    parser.add_argument("--env", default="")
    parser.add_argument("--plugin", action="append", default=[])
    parser.add_argument("--capture", action="store_true", help="updates are recorded and replayed")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--dearest", type=int, default=DEAREST)
    chosen = parser.parse_args()
    chosen_workload = workload(chosen.agent, chosen.preset, chosen.env, chosen.plugin, capture=chosen.capture)
    measured = account(chosen_workload, chosen.rounds)
    for line in told(measured, chosen.dearest):
        print(line)


if __name__ == "__main__":
    main()
