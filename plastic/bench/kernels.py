"""What an update asks of the machine: operations, the kernels of a GPU, their time, and the time the GPU is idle.

Read off the trace that PyTorch's profiler writes for Chrome, whose form is the same in all its versions; the objects
that it hands out are not.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from attrs import frozen
from torch.profiler import ProfilerActivity, profile

from plastic.bench.workload import Workload

_AUTOGRAD = ("autograd::", "torch::autograd::")
_GPU = ("kernel", "gpu_memcpy", "gpu_memset")  # what occupies a GPU; its other entries are annotations
_PROFILED = 5  # updates on a GPU; the host's operations are the same in each, but for a captured one's first
_STRETCH = 50  # updates one behind the other
_STRETCHES = 3

Event = Mapping[str, Any]  # of a trace: times in microseconds
Span = tuple[float, float]  # from and to, in seconds


@frozen
class Kernels:
    """What a GPU does in an update.

    Times within a CUDA graph may be wrong with CUDA 13.0 (pytorch/kineto, issue 1165). What holds in any case: the
    kernels' seconds of an update that is not recorded, over the time by the clock of one that is.

    Attributes:
        count: Kernels that are launched, copies and fills of memory among them.
        seconds: Of all of them, each by itself.
        idle: Share of the time in which it does nothing, from 0 to 1, in a stretch of updates one behind the other,
            with a wait at its end alone.
        update: Seconds by the clock of one update in such a stretch.
    """

    count: float
    seconds: float
    idle: float
    update: float


@frozen
class Dispatched:
    """What an update asks of the machine.

    Attributes:
        operations: Of PyTorch, that the host dispatches; views count, and what an operation calls itself does not.
        kernels: Of the GPU; None on a CPU, and where the profiler sees none.
    """

    operations: float
    kernels: Kernels | None


def dispatched(workload: Workload) -> Dispatched:
    """Look at updates of an agent that has made one before."""
    if workload.device.type != "cuda":
        return Dispatched(operations(trace(workload.update)), None)
    seen = trace(lambda: _stretch(workload, _PROFILED), gpu=True)
    spans = gpu_spans(seen)
    counted = operations(seen) / _PROFILED
    if not spans:
        return Dispatched(counted, None)
    update = float(np.median([_seconds(workload) for _ in range(_STRETCHES)]))
    kernels = Kernels(
        count=len(spans) / _PROFILED,
        seconds=sum(end - start for start, end in spans) / _PROFILED,
        idle=idle(busy(spans) / _PROFILED, update),
        update=update,
    )
    return Dispatched(counted, kernels)


def _stretch(workload: Workload, updates: int) -> None:
    for _ in range(updates):
        workload.update()
    workload.settle()


def _seconds(workload: Workload) -> float:
    """Of one update in a stretch without the profiler, whose own work would count as idle time."""
    workload.settle()
    began = time.perf_counter()
    _stretch(workload, _STRETCH)
    return (time.perf_counter() - began) / _STRETCH


def trace(work: Callable[[], object], *, gpu: bool = False) -> Sequence[Event]:
    """The events of doing something; on a GPU it must wait for the GPU at its end."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or the profiler writes lines of its own to standard error
    activities = [ProfilerActivity.CPU, *((ProfilerActivity.CUDA,) if gpu else ())]
    with profile(activities=activities) as profiler:
        work()
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events: list[Event] = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return events


def operations(events: Iterable[Event]) -> int:
    """How many operations the host dispatched, thread by thread, without those that another one calls.

    >>> operation = {"cat": "cpu_op", "pid": 1, "tid": 1}
    >>> operations([
    ...     {**operation, "name": "aten::matmul", "ts": 0.0, "dur": 10.0},
    ...     {**operation, "name": "aten::mm", "ts": 1.0, "dur": 8.0},
    ...     {**operation, "name": "aten::relu", "ts": 10.0, "dur": 2.0},
    ... ])
    2
    """
    threads: dict[tuple[Any, Any], list[Span]] = defaultdict(list)
    for event in events:
        # autograd's own entries lie around the operations that a derivative consists of
        if event.get("cat") == "cpu_op" and "::" in event["name"] and not event["name"].startswith(_AUTOGRAD):
            threads[event.get("pid"), event.get("tid")].append(_span(event))
    count = 0
    for spans in threads.values():
        until = float("-inf")
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            if start >= until:
                count, until = count + 1, end
    return count


def gpu_spans(events: Iterable[Event]) -> list[Span]:
    """When each kernel, copy and fill of the GPU ran, in seconds."""
    return [_span(event) for event in events if event.get("cat") in _GPU and "dur" in event]


def busy(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of these was running.

    >>> busy([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def idle(busy: float, clock: float) -> float:
    """The share of some time by the clock in which nothing ran; 0 where what ran took longer under the profiler.

    >>> idle(0.75, 1.0), idle(1.1, 1.0)
    (0.25, 0.0)
    """
    return max(0.0, 1 - busy / clock)


def _span(event: Event) -> Span:
    return event["ts"] / 1e6, (event["ts"] + event["dur"]) / 1e6
