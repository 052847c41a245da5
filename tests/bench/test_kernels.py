from collections.abc import Callable
from typing import Any

import pytest
import torch
from attrs import asdict

from plastic.bench import kernels as kernels_module
from plastic.bench.kernels import busy, dispatched, gpu_spans, idle, operations, trace
from plastic.bench.play import random_play
from plastic.bench.workload import Workload
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry


def event(cat: str, ts: float, dur: float, name: str = "aten::mm", tid: int = 1) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur}


def workload(*plugins: str, **more: Any) -> Workload:
    settings = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000}
    chosen = [Chosen.parse(plugin) for plugin in plugins]
    recipe = Recipe(env="CartPole-v1", steps=200, settings=settings, plugins=chosen, **more)
    registry = Registry().load()
    return Workload.of(recipe, registry, random_play(assemble(recipe, registry).env, seed=0))


def test_kernels_copies_and_fills_are_what_occupies_a_gpu() -> None:
    events = [
        {"ph": "M", "name": "process_name", "pid": 0, "ts": 0.0, "args": {"name": "python"}},
        event("cuda_runtime", 1.0, 3.0, "cudaLaunchKernel"),
        event("kernel", 4_000_000.0, 1_000_000.0, "gemm", tid=7),
        event("gpu_memcpy", 4_500_000.0, 1_000_000.0, "Memcpy HtoD", tid=8),
        event("gpu_memset", 7_000_000.0, 500_000.0, "Memset", tid=7),
        event("gpu_user_annotation", 4_000_000.0, 9_000_000.0, "Optimizer.step", tid=7),
        {"ph": "s", "cat": "kernel", "name": "ac2g", "pid": 0, "ts": 4.0},  # an arrow to a kernel
    ]
    assert gpu_spans(events) == [(4.0, 5.0), (4.5, 5.5), (7.0, 7.5)]
    assert busy(gpu_spans(events)) == 2.0  # half a second ran beside something else


def test_times_are_merged_whatever_their_order_and_however_they_lie() -> None:
    assert busy([]) == 0
    assert busy([(5.0, 6.0), (0.0, 4.0), (1.0, 2.0), (4.0, 5.0)]) == 6.0
    assert busy([(0.0, 10.0), (1.0, 2.0), (9.0, 11.0)]) == 11.0


def test_what_took_longer_under_the_profiler_leaves_no_time_to_be_idle() -> None:
    assert idle(0.0, 2.0) == 1.0
    assert idle(1.5, 2.0) == 0.25
    assert idle(2.5, 2.0) == 0.0


def test_operations_are_counted_thread_by_thread_without_what_they_call() -> None:
    events = [
        event("cpu_op", 0.0, 10.0, "aten::linear"),
        event("cpu_op", 0.0, 4.0, "aten::t"),  # begins in the same moment
        event("cpu_op", 5.0, 5.0, "aten::addmm"),
        event("cpu_op", 10.0, 1.0, "aten::relu"),
        event("cpu_op", 3.0, 20.0, "autograd::engine::evaluate_function: MmBackward0", tid=2),
        event("cpu_op", 4.0, 18.0, "MmBackward0", tid=2),
        event("cpu_op", 5.0, 2.0, "aten::mm", tid=2),
        event("cpu_op", 8.0, 2.0, "aten::mm", tid=2),
        event("user_annotation", 0.0, 50.0, "Optimizer.step#Adam.step"),
        {"ph": "f", "cat": "fwdbwd", "name": "fwdbwd", "pid": 1, "tid": 1, "ts": 2.0},
    ]
    assert operations(events) == 4


def test_a_real_trace_holds_the_operations_that_were_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    x = torch.ones(4, 4, requires_grad=True)

    def work() -> None:
        torch.autograd.grad((x @ x).relu().sum(), x)

    seen = trace(work)
    # matmul, relu, sum; backward: ones, expand, threshold, for each factor a transposed matrix and a product, their sum
    assert operations(seen) == 11
    assert gpu_spans(seen) == []
    assert capfd.readouterr() == ("", "")


def test_an_update_dispatches_the_same_operations_every_time_and_more_with_sam() -> None:
    bare, sam = workload(), workload("sam")
    for one in (bare, sam):
        one()
    first = dispatched(bare)
    assert first == dispatched(bare)
    assert first.kernels is None
    assert 1.3 * first.operations < dispatched(sam).operations < 2.5 * first.operations


@pytest.mark.cuda
def test_the_kernels_of_a_gpu_are_seen() -> None:
    one = workload(device="cuda")
    one()
    kernels = dispatched(one).kernels
    assert kernels is not None
    assert kernels.count > 50
    assert kernels.seconds > 0
    assert 0 <= kernels.idle < 1
    assert kernels.update > 0


def test_what_a_gpu_did_is_reckoned_for_one_update(monkeypatch: pytest.MonkeyPatch) -> None:
    one = workload()
    updates = 0

    def update(self: Workload) -> None:
        nonlocal updates
        updates += 1

    def seen(work: Callable[[], object], *, gpu: bool = False) -> list[dict[str, Any]]:
        assert gpu
        work()
        # of five updates: in each a kernel of 2 ms, beside which a copy of 1 ms runs, and an operation
        starts = [5_000.0 * update for update in range(updates)]
        kernels = [event("kernel", start, 2_000.0, "gemm", tid=7) for start in starts]
        copies = [event("gpu_memcpy", start + 500, 1_000.0, "Memcpy", tid=8) for start in starts]
        return [*kernels, *copies, *(event("cpu_op", start, 10.0) for start in starts)]

    monkeypatch.setattr(Workload, "device", torch.device("cuda"))
    monkeypatch.setattr(Workload, "settle", lambda self: None)
    monkeypatch.setattr(Workload, "update", update)
    monkeypatch.setattr(kernels_module, "trace", seen)
    monkeypatch.setattr(kernels_module, "_seconds", lambda workload: 0.0025)
    found = dispatched(one)
    assert updates == 5
    assert found.operations == 1
    assert found.kernels is not None
    assert asdict(found.kernels) == pytest.approx({"count": 2, "seconds": 0.003, "idle": 0.2, "update": 0.0025})
    monkeypatch.setattr(kernels_module, "trace", lambda work, gpu: [event("cpu_op", 0.0, 1.0)])
    assert dispatched(one).kernels is None


def test_a_stretch_is_timed_with_one_wait_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Workload, "update", lambda self: said.append("update"))
    monkeypatch.setattr(Workload, "settle", lambda self: said.append("wait"))
    assert kernels_module._seconds(workload()) > 0
    assert said == ["wait", *["update"] * 50, "wait"]
