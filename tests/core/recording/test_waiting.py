"""What a GPU would wait for is refused on a CPU, and nothing else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from plastic.core.errors import UsageError
from plastic.core.recording.programs import Programs

CPU = torch.device("cpu")
MATRIX = torch.arange(6.0).view(2, 3)
SQUARE = MATRIX @ MATRIX.T + torch.eye(2)
MASK = MATRIX > 2
PLACES = torch.tensor([0, 2])
TARGET = torch.zeros(2, 3)


def put(target: torch.Tensor, where: Any, value: Any) -> None:
    target[where] = value


WAITS: dict[str, tuple[Callable[[], object], str]] = {
    "a branch": (lambda: bool(MATRIX.any()), "torch.where"),
    "allclose": (lambda: torch.allclose(MATRIX, MATRIX), "torch.where"),
    "a mask as an index": (lambda: MATRIX[MASK], "masked_fill"),
    "bytes as an index": (lambda: torch.ops.aten.index(MATRIX, [MASK.byte()]), "masked_fill"),
    "putting values at a mask": (lambda: put(TARGET, MASK, MATRIX[0]), "masked_fill"),
    "putting a tensor at a mask": (lambda: put(TARGET, MASK, torch.ones(())), "masked_fill"),
    "adding at a mask": (lambda: TARGET.index_put_((MASK,), torch.tensor(1.0), accumulate=True), "masked_fill"),
    "masked_select": (lambda: MATRIX.masked_select(MASK), "masked_fill"),
    "nonzero": (lambda: torch.where(MASK), "masked_fill"),
    "unique": (MATRIX.unique, "sort"),
    "unique rows": (lambda: torch.unique(MATRIX, dim=0), "sort"),
    "unique_consecutive": (lambda: torch.unique_consecutive(MATRIX), "sort"),
    "bincount": (lambda: torch.bincount(PLACES), "scatter_add_"),
    "repeat_interleave": (lambda: MATRIX.repeat_interleave(PLACES[:2], 0), "output_size"),
    "svdvals": (lambda: torch.linalg.svdvals(MATRIX), "power iteration"),
    "eigh": (lambda: torch.linalg.eigvalsh(SQUARE), "power iteration"),
    "inv": (lambda: torch.linalg.inv(SQUARE), "inv_ex"),
    "a list": (lambda: MATRIX.sum(0) * torch.tensor([1.0, 2.0, 3.0]), "before"),
    "a list as an index": (lambda: MATRIX[[1, 0]], "before"),
    "an array": (lambda: TARGET[0].copy_(torch.from_numpy(np.ones(3))), "before"),
    "a number put there": (lambda: torch.tensor(2.0, device=MATRIX.device) * MATRIX, r"torch\.full"),
    "new_tensor": (lambda: MATRIX.new_tensor(2.0), r"torch\.full"),
    "cpu": (MATRIX.cpu, "copied to the host"),
    "numpy": (MATRIX.numpy, "copied to the host"),
    "tolist": (MATRIX.tolist, "copied to the host"),
}


@pytest.mark.parametrize("what", WAITS)
def test_what_would_wait_is_refused_with_what_to_do_instead(what: str) -> None:
    work, instead = WAITS[what]
    with pytest.raises(UsageError, match=f" waits for the device: .*{instead}"):
        Programs().record(work, ())


GOES: dict[str, Callable[[], object]] = {
    "a number of Python": lambda: MATRIX * torch.tensor(2.0),
    "a number at a mask": lambda: put(TARGET.clone(), MASK, 1.0),
    "numbers at places": lambda: put(TARGET.clone(), (slice(None), PLACES), 1.0),
    "places as an index": lambda: MATRIX[:, PLACES],
    "repeats of one number": lambda: MATRIX.repeat_interleave(2, 0),
    "repeats of known length": lambda: MATRIX.repeat_interleave(PLACES[:2], 0, output_size=2),
    "a tensor that is there": lambda: torch.as_tensor(MATRIX, device=CPU) + 1,
    "a full tensor": lambda: torch.full((), 2.0, device=CPU) * MATRIX,
    "an inverse without the question": lambda: torch.linalg.inv_ex(SQUARE),
    "where": lambda: torch.where(MASK, MATRIX, 0.0).masked_fill(MASK, 1.0),
}


@pytest.mark.parametrize("what", GOES)
def test_what_does_not_wait_is_recorded(what: str) -> None:
    Programs().record(GOES[what], ()).replay()
