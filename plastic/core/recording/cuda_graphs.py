"""Recording on a GPU: CUDA graphs."""

import gc
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import torch

from plastic.core.errors import UsageError
from plastic.core.recording.capture import Recording

Result = TypeVar("Result")
_FAILED: list[torch.cuda.CUDAGraph] = []  # the allocator of pinned memory may go on asking them what is theirs


class CudaGraphs:
    """Records work as CUDA graphs, each with memory of its own, so that none writes into what another keeps."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """See `Recorder`; on the stream that records, where libraries then have their workspaces."""
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            result = work()
        torch.cuda.current_stream(self.device).wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], Result], generators: Iterable[torch.Generator]) -> Recording[Result]:
        """See `Recorder`. Where it fails, other work can be recorded and carried out as before.

        Raises:
            UsageError: If the work waits for the device, or does something else that no graph can hold.
        """
        graph = torch.cuda.CUDAGraph()
        _register(graph, generators)
        pool: Any = torch.cuda.graph_pool_handle()
        first: Exception | None = None
        try:
            with (
                self._stream_put_back(),
                _nothing_collected(),
                torch.cuda.graph(graph, pool=pool, stream=self._stream),
            ):
                try:
                    result = work()
                except Exception as error:
                    first = error  # what ends the capture raises another, which only says that there was one
                    raise
        except RuntimeError as error:
            self._give_up(graph, pool)
            reason = " ".join(str(first or error).split())[:200]
            raise UsageError(f"this cannot be captured in a CUDA graph ({reason}); leave out capture") from error
        graph.replay()

        def replay() -> Result:
            graph.replay()
            return result

        return Recording(replay, result)

    @contextmanager
    def _stream_put_back(self) -> Iterator[None]:
        """PyTorch leaves the one that records current where the end of a capture fails."""
        before = torch.cuda.current_stream(self.device)
        try:
            yield
        finally:
            torch.cuda.set_stream(before)

    def _give_up(self, graph: torch.cuda.CUDAGraph, pool: Any) -> None:
        """Put right what a failed capture leaves behind.

        Up to PyTorch 2.11 the allocator goes on recording to the pool, and the next capture fails of it (#180395). The
        pool itself is not released here: newer ones do so with the graph, and a second time would end the process.
        """
        _FAILED.append(graph)
        place = torch.cuda.current_device() if self.device.index is None else self.device.index
        with suppress(RuntimeError):  # it was ended
            torch._C._cuda_endAllocateToPool(place, pool)
        # the global generator takes part in every graph, and would still believe in this one
        ours = torch.cuda.default_generators[place]
        with suppress(RuntimeError):
            ours.graphsafe_set_state(ours.clone_state())


def _register(graph: torch.cuda.CUDAGraph, generators: Iterable[torch.Generator]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer than 2.13, PyTorch finds them by itself, and warns that it does
        for generator in generators:
            if generator.device.type == "cuda":
                graph.register_generator_state(generator)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """So that no graph of an earlier agent, which waits for the garbage collector, is destroyed within a capture."""
    gc.collect()
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
