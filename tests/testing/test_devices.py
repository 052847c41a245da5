"""Where tensors would be on a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from plastic.testing.devices import Devices

CPU = torch.device("cpu")


def test_what_is_made_or_moved_with_a_device_is_there_and_results_follow() -> None:
    with Devices() as devices:
        there, here = torch.ones(3, device=CPU), torch.ones(3)
        moved = here.to(CPU)
        assert [devices.place(one) for one in (there, there * 2, there.sum(), there[1:])] == ["device"] * 4
        assert [devices.place(one) for one in (torch.arange(3), there.cpu(), there.new_zeros(2))] == [
            "host",
            "host",
            "device",
        ]
        assert devices.place(moved) == "device"
        assert devices.place(torch.zeros_like(there)) == "device"
        assert devices.place(torch.empty_like(here, device=CPU)) == "device"
        assert devices.place(torch.ones(3).to(there)) == "device"
    assert not devices.mixed


def test_a_call_that_would_mix_them_is_noted_with_its_line() -> None:
    with Devices() as devices:
        there, here = torch.ones(3, device=CPU), torch.ones(3)
        there + torch.tensor(1.0)  # a number may come from anywhere
        there.copy_(here)
        there[torch.tensor([0, 1])] = 0
        assert not devices.mixed
        torch.dot(there, here)
    assert list(devices.mixed) == ["dot"]
    assert devices.mixed["dot"].startswith("test_devices.py:")
    assert "torch.dot(there, here)" in devices.mixed["dot"]


def test_what_nobody_told_of_is_nowhere_until_it_is_put() -> None:
    weight = torch.ones(3)
    with Devices() as devices:
        assert devices.place(weight) is None
        weight + torch.ones(3)
        assert not devices.mixed
        devices.put([weight])
        weight + torch.ones(3)
    assert len(devices.mixed) == 1


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("stack", lambda there, here: torch.stack([there.sum(), here.sum()])),
        ("cat", lambda there, here: torch.cat([there[:1], here[:1]])),
        ("lerp", lambda there, here: torch.lerp(there, there, here.sum())),
        ("_foreach_add", lambda there, here: torch._foreach_add([there.sum()], [here.sum()])),
    ],
)
def test_some_want_numbers_in_one_place_too(name: str, call: Callable[[Tensor, Tensor], object]) -> None:
    with Devices() as devices:
        call(torch.ones(3, device=CPU), torch.ones(3))
    assert list(devices.mixed) == [name]


def put(target: Tensor, where: Any, value: Tensor) -> None:
    target[where] = value


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("copy_", lambda there, here: there.copy_(here)),
        ("copy_", lambda there, here: there[0].copy_(here[0])),
        ("__setitem__", lambda there, here: put(there, 0, here[0])),
        ("__setitem__", lambda there, here: put(there, slice(2), here[:2])),
        ("__getitem__", lambda there, here: there[here.long()]),
        ("to", lambda there, here: here.to(CPU)),
    ],
)
def test_what_is_recorded_copies_nothing_between_them(name: str, call: Callable[[Tensor, Tensor], object]) -> None:
    for recorded in (False, True):
        with Devices() as devices:
            there, here = torch.ones(3, device=CPU), torch.ones(3)
            devices.recorded = recorded
            call(there, here)
        assert list(devices.mixed) == [name] * recorded


def test_within_what_is_recorded_a_number_may_stand_at_a_place_or_a_mask() -> None:
    with Devices() as devices:
        there, number = torch.ones(3, device=CPU), torch.ones(())
        devices.recorded = True
        put(there, there > 2, number)
        there.fill_(number)
        torch._foreach_mul_([there], number)
    assert not devices.mixed
