"""By module and in total: norms, sums and shares of several tensors as of one."""

import pytest
import torch

from plastic.core.units.pooling import by_module, counted, joint_norm, share, total

TENSORS = [
    ("encoder.0.weight", torch.tensor([[3.0, 0.0], [0.0, 4.0]])),
    ("head.value.0.bias", torch.tensor([12.0])),
    ("encoder.2.bias", torch.tensor([0.0, 84.0, 0.0])),
]


def test_a_joint_norm_is_that_of_all_entries() -> None:
    norms = by_module(((path, tensor.norm()) for path, tensor in TENSORS), joint_norm)
    whole = torch.cat([tensor.flatten() for _, tensor in TENSORS]).norm()
    assert {key: float(norm) for key, norm in norms.items()} == {
        "encoder": pytest.approx((25 + 84**2) ** 0.5),
        "total": pytest.approx(float(whole)),
        "head": 12.0,
    }


def test_a_share_weighs_tensors_by_their_entries() -> None:
    shares = by_module(((path, counted(tensor == 0)) for path, tensor in TENSORS), share)
    assert {key: float(one) for key, one in shares.items()} == {
        "encoder": pytest.approx(4 / 7),  # not the mean of 2 / 4 and 2 / 3
        "total": 4 / 8,
        "head": 0.0,
    }


def test_a_total_is_a_sum() -> None:
    sums = by_module(((path, tensor.sum()) for path, tensor in TENSORS), total)
    assert {key: float(one) for key, one in sums.items()} == {"encoder": 91.0, "total": 103.0, "head": 12.0}


def test_of_no_parts_there_is_no_value() -> None:
    assert by_module([], total) == {}
