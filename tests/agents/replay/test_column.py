"""A column and what the host keeps of it."""

import io

import numpy as np
import pytest
import torch

from plastic.agents.replay.column import Column
from tests.test_cuda import no_waiting


def test_on_a_cpu_host_and_tensor_are_one_memory() -> None:
    column = Column(torch.zeros(4, 2))
    column.put(1, np.array([3.0, 4.0]))
    assert column.tensor.tolist() == [[0, 0], [3, 4], [0, 0], [0, 0]]
    column.tensor[2] = 5
    assert column.host[2].tolist() == [5, 5]
    assert column.nbytes == column.tensor.nbytes


def test_a_number_of_the_device_is_written_like_any_other() -> None:
    column = Column(torch.zeros(3, dtype=torch.long))
    column.put(2, torch.tensor(2**60 + 1))
    assert column.tensor.tolist() == [0, 0, 2**60 + 1]


def test_the_head_is_a_view_that_is_saved_without_the_rest() -> None:
    column = Column(torch.arange(100_000))
    head = column.head(3)
    head[0] = 7
    assert column.tensor[0] == 7
    file = io.BytesIO()
    torch.save(head, file)
    assert file.tell() < 10_000


def test_rows_are_loaded_and_cleared_in_place() -> None:
    column = Column(torch.arange(5), known=True)
    place = column.tensor.data_ptr()
    column.load(torch.tensor([8, 9]))
    assert column.tensor.tolist() == column.host.tolist() == [8, 9, 2, 3, 4]
    column.clear(3)
    assert column.tensor.tolist() == column.host.tolist() == [8, 9, 2, 0, 0]
    assert column.tensor.data_ptr() == place


@pytest.mark.cuda
@pytest.mark.parametrize("known", [False, True])
def test_elsewhere_the_host_keeps_a_copy_of_what_it_must_know(known: bool, cuda: torch.device) -> None:
    column = Column(torch.zeros(5, dtype=torch.long, device=cuda), known=known)
    assert column.nbytes == 40 * (1 + known)
    column.put(1, 6)
    column.put(2, np.int64(7))
    assert column.head(3).device.type == "cpu"
    assert column.head(3).tolist() == [0, 6, 7]
    column.load(torch.tensor([3]))
    column.clear(2)
    assert column.tensor.tolist() == [3, 6, 0, 0, 0]
    assert (column.host.tolist() if known else column.host) == ([3, 6, 0, 0, 0] if known else None)


@pytest.mark.cuda
def test_writing_waits_for_nothing(cuda: torch.device) -> None:
    numbers, rows = Column(torch.zeros(5, device=cuda)), Column(torch.zeros(5, 2, device=cuda))
    values = (1, 2.5, True, np.int64(4), torch.ones((), device=cuda))
    with no_waiting():
        for place, value in enumerate(values):
            numbers.put(place, value)
        rows.put(3, np.array([1.0, 2.0], np.float32))
    assert numbers.tensor.tolist() == [1, 2.5, 1, 4, 1]
    assert rows.tensor[3].tolist() == [1, 2]
