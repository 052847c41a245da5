"""Errors that say in their own ways that there is not enough memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plastic.cli.memory import out_of_memory

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic

REST = "; make the network, the batch or the replay smaller"


@pytest.mark.parametrize(
    ("ask", "amount"),
    [
        (lambda: torch.empty(10**17), ", 400,000,000.0 GB were asked for at once"),
        (lambda: torch.empty(10**10, 10**10), ""),
        (lambda: torch.empty(10**20), ""),
        (lambda: np.empty(10**17), ", 711 PiB were asked for at once"),
        (lambda: np.empty((10**10, 10**10)), ""),
        (lambda: bytearray(10**17), ""),
    ],
)
def test_what_cannot_be_allocated(ask: Callable[[], object], amount: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # they have no class in common
        ask()
    assert isinstance(caught.value, Exception)
    assert out_of_memory(caught.value) == f"there is not enough memory{amount}{REST}"


def test_a_gpu_that_is_full() -> None:
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of")
    assert out_of_memory(error) == f"there is not enough memory, 20.00 GiB were asked for at once{REST}"


def test_other_errors_are_none_of_it() -> None:
    assert out_of_memory(RuntimeError("shapes do not fit")) is None


@pytest.mark.parametrize("size", [10**8, 10**18, 10**20])
def test_a_network_of_an_absurd_size_is_one_sentence(plastic: "Plastic", size: int) -> None:
    done = plastic("run", "--env", "CartPole-v1", "--set", f"hidden={size}")
    assert done.code == 1
    assert done.error.startswith("there is not enough memory")
    assert "unexpected" not in done.error
    assert not list(plastic.folder.iterdir())
