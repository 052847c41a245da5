"""Labels that run through a model: where they arrive, and what is refused because they do not arrive as they were."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.layers import CReLU
from plastic.core.units.dye import Dye
from plastic.core.units.known_modules import is_activation
from plastic.core.units.unit_graph import unit_graph
from tests.core.layers.critics import Critic, pair
from tests.core.wired import IMAGES, PICTURES, VECTORS, Sliced, convolutional, crelu
from tests.plugins.learners import network


def dyed(model: nn.Module, inputs: tuple[Tensor, ...]) -> Dye:
    """Behind all of its hidden layers."""
    dye = Dye(model, unit_graph(model))
    dye.run(inputs)
    return dye


def arrived(dye: Dye, place: int, path: str) -> list[int]:
    """What a layer reads in its first call."""
    return dye.numbers(place, dye.read[path][0], path).tolist()


def test_columns_are_found_where_they_arrive() -> None:
    dye = dyed(Sliced(), VECTORS)
    assert arrived(dye, 0, "left") == [0, 1, 2]
    assert arrived(dye, 0, "right") == [-1, -1, -1, -1, 5, 4, 3, 2, 1, 0]  # behind the input
    assert not dye.leaves(0)


def test_labels_come_to_the_next_layer_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2), nn.Tanh())
    dye = dyed(model, VECTORS)
    assert [arrived(dye, 0, path) for path in ("0", "2", "4")] == [[-1] * 4, [0, 1, 2], [-1] * 3]
    assert [arrived(dye, 1, path) for path in ("0", "2", "4")] == [[-1] * 4, [-1] * 3, [0, 1, 2]]
    assert [dye.leaves(place) for place in range(3)] == [False, False, True]


def test_an_actions_columns_are_nobodys_even_if_it_looks_like_a_label() -> None:
    torch.manual_seed(0)
    images, _ = pair()
    dye = dyed(Critic(), (images, torch.full((16, 2), 3.0)))
    trunk = [units.layer for units in dye.found].index("trunk.0")
    assert arrived(dye, trunk, "head.0") == [0, 1, 2, 3, 4, -1, -1]


def test_units_on_an_axis_that_nobody_declared_are_refused() -> None:
    model = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(UsageError, match=r"'2' gives 1 columns for the 3 units of '1'; .*unit_axis\.register"):
        dyed(model, VECTORS)


def test_it_leaves_the_model_as_it_was() -> None:
    torch.manual_seed(0)
    model = network()
    before, mode = {name: value.clone() for name, value in model.state_dict().items()}, model.training
    random = torch.get_rng_state()
    dyed(model, IMAGES)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training is mode
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_batch_statistics_and_dropout_stay_out_of_it() -> None:
    model = convolutional()  # in training mode
    mean = model.get_buffer("5.0.running_mean").clone()
    assert [units.layer for units in dyed(model, PICTURES).found] == ["0", "4", "6"]
    assert torch.equal(model.get_buffer("5.0.running_mean"), mean)


def test_hooks_are_gone_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
    with pytest.raises(RuntimeError):
        dyed(model, VECTORS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Between(nn.Module):
    """Something stands between the units and what reads them."""

    def __init__(self, act: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)
        self.norm, self.gate = nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())
        self.pool = nn.AvgPool1d(2, 1, 1)
        self.between = act

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.between(self, self.relu(self.first(x)), x))  # type: ignore[call-arg, arg-type]
        return y


@pytest.mark.parametrize(
    ("between", "named"),
    [
        (lambda m, h, x: h + x, "add"),
        (lambda m, h, x: h * x, "mul"),
        (lambda m, h, x: 2 * h, "mul"),
        (lambda m, h, x: h + 1, "add"),
        (lambda m, h, x: m.norm(h), "norm"),
        (lambda m, h, x: m.gate(x) * h, "mul"),
        (lambda m, h, x: m.first(x) + h, "add"),  # a residual stream: the column is not the unit's alone
        (lambda m, h, x: (h + h.flip(1)) / 2, "flip, add, truediv"),
        (lambda m, h, x: h.cumsum(1), "cumsum"),
        (lambda m, h, x: h.clamp(max=1), "clamp"),
        (lambda m, h, x: h.clamp(max=0.01), "clamp"),
        (lambda m, h, x: h.abs(), "abs"),
        (lambda m, h, x: F.softmax(h, 1), "softmax"),
    ],
)
def test_what_changes_or_mixes_units_is_refused_by_name(between: Callable[..., Tensor], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        arrived(dyed(Between(between), VECTORS), 0, "last")
    assert str(caught.value) == (
        "cannot tell what of 'last' reads which unit of 'first': what stands between changes or mixes them "
        f"({named}); leave that layer out with layers="
    )


def test_both_columns_of_a_crelus_unit_are_the_units() -> None:
    model = nn.Sequential(nn.Linear(4, 3), CReLU(), nn.Linear(6, 1))
    assert dyed(model, VECTORS).unit_of(0).tolist() == [0, 1, 2, 0, 1, 2]
    twins = dyed(crelu(Critic(), "output"), pair())
    head = [units.layer for units in twins.found].index("head.0")
    assert twins.unit_of(head).tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]


def test_any_activation_that_doubles_the_width_is_understood() -> None:
    class Waves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat((x.sin(), x.cos()), 1)

    is_activation.register(Waves, lambda module: True)
    dye = dyed(nn.Sequential(nn.Linear(4, 2), Waves(), nn.Linear(4, 1)), VECTORS)
    assert dye.unit_of(0).tolist() == [0, 1, 0, 1]
