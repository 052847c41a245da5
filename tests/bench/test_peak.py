import gc

import pytest
import torch

from plastic.bench.peak import Peak
from plastic.core.recording.cuda_graphs import CudaGraphs


def test_on_a_cpu_nothing_is_counted() -> None:
    assert Peak(torch.device("cpu")).megabytes() is None


def test_what_was_there_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: said.append("begun"))
    monkeypatch.setattr(gc, "collect", lambda: said.append("collected"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: said.append("given back"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: said.append(f"{device} set back"))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300_000_000)
    peak = Peak(torch.device("cuda:1"))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 1_000_000_000)
    assert peak.megabytes() == 700.0
    assert said == ["begun", "collected", "given back", "cuda:1 set back"]


@pytest.mark.cuda
def test_what_was_let_go_counts(cuda: torch.device) -> None:
    kept = torch.ones(25_000_000, device=cuda)
    peak = Peak(cuda)
    torch.ones(100_000_000, device=cuda)
    assert peak.megabytes() == pytest.approx(400, rel=0.02)
    del kept


@pytest.mark.cuda
def test_what_a_graph_keeps_for_itself_counts(cuda: torch.device) -> None:
    peak = Peak(cuda)
    graphs = CudaGraphs(cuda)
    total = torch.zeros((), device=cuda)
    kept = [graphs.record(lambda: total.add_(torch.ones(25_000_000, device=cuda).sum()), ()) for _ in range(3)]
    assert peak.megabytes() == pytest.approx(300, rel=0.1)
    del kept
