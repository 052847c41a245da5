"""Recording on a GPU, with a stand-in for PyTorch's part that fails as that of 2.11 does."""

import gc
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from plastic.core.errors import UsageError
from plastic.core.recording import cuda_graphs
from plastic.core.recording.cuda_graphs import CudaGraphs

FAILED = "operation failed due to a previous error during capture"


class Graph:
    def __init__(self) -> None:
        self.replays = 0
        self.generators: list[Any] = []

    def replay(self) -> None:
        self.replays += 1

    def register_generator_state(self, generator: Any) -> None:
        warnings.warn("this is not needed any more", FutureWarning, stacklevel=2)
        self.generators.append(generator)


class Cuda:
    """What PyTorch's own Python and its allocator do, as far as it matters here."""

    def __init__(self) -> None:
        self.current: object = "the stream of before"
        self.recording: list[object] = []  # pools
        self.handles = 0
        self.invalid = False  # that something was done which no graph can hold
        self.unhealed: list[str] = []
        self.collecting: list[bool] = []

    def handle(self) -> int:
        self.handles += 1
        return self.handles

    def graph(self, graph: Graph, pool: object, stream: object) -> "Cuda":
        self._pool, self._stream = pool, stream
        return self

    def __enter__(self) -> None:
        self.collecting.append(gc.isenabled())
        assert not self.recording, "internal assert"
        self._before, self.current = self.current, self._stream
        self.recording.append(self._pool)
        self.unhealed.append("generator")

    def __exit__(self, *error: object) -> None:
        if self.invalid:
            self.invalid = False
            raise RuntimeError(FAILED)  # before the allocator and the stream have their turn
        self.end(0, self._pool)
        self.current = self._before
        self.unhealed.clear()

    def end(self, device: int, pool: object) -> None:
        if pool not in self.recording:
            raise RuntimeError("not currently recording to mempool_id")
        self.recording.remove(pool)

    def wait(self) -> None:
        self.invalid = True
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    made = Cuda()
    generator = SimpleNamespace(clone_state=lambda: "new", graphsafe_set_state=lambda new: made.unhealed.clear())
    for name, value in {
        "CUDAGraph": Graph,
        "Stream": lambda device: "the stream that records",
        "graph": made.graph,
        "graph_pool_handle": made.handle,
        "current_stream": lambda device: made.current,
        "set_stream": lambda stream: setattr(made, "current", stream),
        "current_device": lambda: 0,
        "default_generators": (generator,),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", made.end, raising=False)
    kept = len(cuda_graphs._FAILED)
    yield made
    del cuda_graphs._FAILED[kept:]


def test_after_a_capture_that_failed_others_are_as_before(cuda: Cuda) -> None:
    graphs = CudaGraphs(torch.device("cuda"))
    with pytest.raises(UsageError):
        graphs.record(cuda.wait, ())
    assert cuda.current == "the stream of before"
    assert cuda.unhealed == []
    recording = graphs.record(lambda: "done", ())
    assert recording.first == "done"
    assert cuda.handles == 2  # pools of their own


def test_what_is_said_is_what_went_wrong_and_not_that_something_did(cuda: Cuda) -> None:
    with pytest.raises(UsageError, match=r"\(operation not permitted when stream is capturing\); leave out capture"):
        CudaGraphs(torch.device("cuda:0")).record(cuda.wait, ())


def test_an_error_of_the_work_itself_comes_through_and_leaves_the_stream(cuda: Cuda) -> None:
    def work() -> None:
        raise UsageError("a plugin's own")

    with pytest.raises(UsageError, match=r"^a plugin's own$"):
        CudaGraphs(torch.device("cuda")).record(work, ())
    assert cuda.current == "the stream of before"
    assert not cuda.recording


@pytest.mark.parametrize("collects", [True, False])
def test_nothing_is_collected_within_a_capture(cuda: Cuda, collects: bool) -> None:
    """What is collected may be an earlier agent with its graphs."""
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        within = CudaGraphs(torch.device("cuda")).record(gc.isenabled, ()).first
        with pytest.raises(UsageError):
            CudaGraphs(torch.device("cuda")).record(cuda.wait, ())
        after = gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
    assert not within
    assert after == collects
    assert cuda.collecting == [False, False]


def test_generators_of_the_gpu_take_part_without_a_warning(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Graph()
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: made)
    there: Any = SimpleNamespace(device=torch.device("cuda"))
    CudaGraphs(torch.device("cuda")).record(lambda: None, [there, torch.Generator()])
    assert made.generators == [there]
    assert made.replays == 1
