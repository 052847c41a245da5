"""Which layer has which units, in networks of every shape that comes up."""

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from plastic.agents.rainbow.networks import Head, Network, image_encoder, noisy
from plastic.core.errors import UsageError
from plastic.core.layers import ChannelNorm, CReLU, MemberNorm, NoisyLinear, width
from plastic.core.units.known_modules import is_activation
from plastic.core.units.unit_graph import Units, unit_graph
from tests.core.layers.critics import Actor, Critic


def found(model: nn.Module) -> dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]]:
    """Norms, activation and readers of each layer."""
    return {units.layer: (units.norms, units.activation, units.readers) for units in unit_graph(model)}


def test_convolutions_that_are_flattened_into_two_noisy_streams() -> None:
    model = Network(image_encoder("nature", 4), Head(64, 16, 3, 5, noisy(0.5), dueling=True), 2**-0.5)
    assert found(model) == {
        "encoder.0": ((), "encoder.1", ("encoder.2",)),
        "encoder.2": ((), "encoder.3", ("encoder.4",)),
        "encoder.4": ((), "encoder.5", ("head.advantage.0", "head.value.0")),
        "head.value.0": ((), "head.value.1", ("head.value.2",)),
        "head.advantage.0": ((), "head.advantage.1", ("head.advantage.2",)),
    }


def test_layers_come_in_the_order_they_run() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))
            self.first = nn.Sequential(nn.Linear(2, 3), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(self.first(x))
            return y

    assert list(found(Backwards())) == ["first.0", "last.0"]


class Twins(nn.Module):
    """A critic of two inputs and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.Tanh())
        self.one = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))
        self.two = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 1))

    def forward(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(torch.cat((observation, action), 1))
        return self.one(features), self.two(features)


def test_twin_heads_of_a_network_with_two_inputs() -> None:
    assert found(Twins()) == {
        "trunk.0": (("trunk.1",), "trunk.2", ("one.0", "two.0")),
        "one.0": ((), "one.1", ("one.2",)),
        "two.0": ((), "two.1", ("two.2",)),
    }


def test_an_actor_and_its_twin_critics_on_images() -> None:
    head = {"head.0": ((), "head.1", ("head.2",)), "head.2": ((), "head.3", ("head.4",))}
    assert found(Actor()) == {"trunk.0": (("trunk.1",), "trunk.2", ("head.0",)), **head}
    by_layer = {units.layer: units for units in unit_graph(Critic())}
    trunk = by_layer.pop("trunk.0")
    assert (trunk.norms, trunk.activation, trunk.downstream) == (("trunk.1",), "trunk.2", ("head.0",))
    with pytest.raises(
        UsageError, match=r"^cannot tell which layers read 'trunk\.0': cat stands between \(File .*critics"
    ):
        _ = trunk.readers
    assert {path: (units.norms, units.activation, units.readers) for path, units in by_layer.items()} == {
        "encoder.1": ((), "encoder.2", ("encoder.3",)),
        "encoder.3": ((), "encoder.4", ("trunk.0",)),
        **head,
    }


def test_a_norm_of_members_is_a_norm() -> None:
    model = Critic()
    model.head[1] = nn.Sequential(MemberNorm(2, 6), nn.ReLU())
    assert {units.layer: units.norms for units in unit_graph(model)}["head.0"] == ("head.1.0",)


def test_what_is_downstream_is_known_whatever_stands_between() -> None:
    one, two, out = unit_graph(Cat())
    assert [units.downstream for units in (one, two, out)] == [("out.0",), ("out.0",), ()]
    model = Network(image_encoder("nature", 4), Head(64, 16, 3, 5, noisy(0.5), dueling=True), 1.0)
    assert all(units.downstream == units.readers for units in unit_graph(model))


@pytest.mark.parametrize(
    "layer", [nn.Conv1d(2, 3, 1), nn.Conv3d(2, 3, 1), nn.ConvTranspose2d(2, 3, 1), nn.ConvTranspose1d(2, 3, 1)]
)
def test_every_convolution_is_a_layer(layer: nn.Module) -> None:
    assert found(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(3, 1))) == {"0": ((), "1", ("3",))}


class Wave(nn.Module):
    """An activation of one's own."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x) + 0.1 * x


def waves(wave: nn.Module) -> nn.Sequential:
    hidden = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    return nn.Sequential(nn.Linear(2, 3), wave, *hidden, nn.Linear(3, 1))


def test_a_module_that_may_be_an_activation_is_refused_until_it_is_registered_as_one_or_not() -> None:
    class Mine(Wave):
        pass

    class NotMine(Wave):
        pass

    for model in (
        waves(Mine()),
        nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), Mine(), nn.Dropout(), waves(nn.ReLU())[2]),
    ):
        with pytest.raises(UsageError) as caught:
            unit_graph(model)
        path = "1" if isinstance(model[1], Mine) else "2"
        to = "2" if path == "1" else "4"
        assert str(caught.value) == (
            f"all that stands between '0' and '{to}' is '{path}', and nothing says whether Mine is an activation; "
            "say it with is_activation.register(Mine, lambda module: True), or False"
        )
    is_activation.register(Mine, lambda module: True)
    assert found(waves(Mine())) == {"0": ((), "1", ("2",)), "2": ((), "3", ("4",))}
    is_activation.register(NotMine, lambda module: False)
    assert found(waves(NotMine())) == {"2": ((), "3", ("4",))}


def test_one_that_calls_a_function_is_told_to_register_too() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) ** 2

    with pytest.raises(UsageError, match="nothing says whether Squared is an activation"):
        unit_graph(waves(Squared()))


def test_one_that_runs_twice_is_refused_alike() -> None:
    class Mine(Wave):
        pass

    wave = Mine()
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), wave, nn.Linear(3, 3), wave, nn.Linear(3, 1))
    with pytest.raises(UsageError, match="stands between '3' and '5' is '2', and nothing says whether Mine is"):
        unit_graph(model)


def test_a_registered_activation_need_not_be_traceable() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    is_activation.register(Branching, lambda module: True)
    assert found(waves(Branching()))["0"] == ((), "1", ("2",))


@pytest.mark.parametrize(
    "between",
    [
        nn.MaxPool1d(1),  # of torch.nn, and no activation
        nn.Sequential(Wave(), nn.ReLU()),  # not all that stands between
        nn.Sequential(nn.PReLU(), nn.Softmax(1)),
    ],
)
def test_modules_that_are_no_riddle_are_not_refused(between: nn.Module) -> None:
    assert [units.layer for units in unit_graph(waves(between))][-1] == "2"


def test_norms_identities_and_pools_in_between() -> None:
    model = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 4, 3),
            norm=ChannelNorm(4),
            rest=nn.Identity(),
            second=nn.GroupNorm(1, 4),
            act=nn.Sequential(nn.BatchNorm2d(4), nn.Sequential(CReLU())),
            drop=nn.Dropout2d(0.5),
            flat=nn.Flatten(),
            out=NoisyLinear(8, 2),
        )
    )
    assert found(model) == {"conv": (("norm", "second", "act.0"), "act.1.0", ("out",))}


def test_flattening_by_a_call_is_seen_through_on_both_sides() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.act, self.out = nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.act(self.conv(x).contiguous()).flatten(1))
            return y

    assert found(Flat()) == {"conv": ((), "act", ("out",))}


def test_a_reader_on_two_ways_is_one_reader() -> None:
    class Ways(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act, self.out = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
            self.rest = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(self.first(x))
            z: Tensor = self.out(y) + self.out(self.rest(y))
            return z

    assert found(Ways())["first"][2] == ("out",)


def test_a_registered_layer_has_units_too() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:  # cannot be traced, and need not be
                x = -x
            y: Tensor = x @ self.weight.T
            return y

    width.register(Masked, lambda layer: (2, 3))
    assert found(nn.Sequential(Masked(), nn.ReLU(), nn.Linear(3, 1))) == {"0": ((), "1", ("2",))}


def test_it_is_right_again_after_a_replace() -> None:
    model = Twins()
    model.one = nn.Sequential(model.one, nn.ReLU(), nn.Linear(1, 1))
    assert found(model)["one.0.0"] == ((), "one.0.1", ("one.0.2",))
    assert found(model)["one.0.2"] == ((), "one.1", ("one.2",))
    assert found(model)["trunk.0"][2] == ("one.0.0", "two.0")


def test_a_single_layer_hides_no_units() -> None:
    assert unit_graph(nn.Linear(2, 2)) == []


def test_a_layer_behind_which_streams_are_added_has_no_activation_of_its_own() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = x + self.second(self.act(self.first(x)))
            return y

    assert found(Residual()) == {"first": ((), "act", ("second",))}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (F.relu, "relu"),
        (torch.relu, "relu"),
        (torch.tanh, "tanh"),
        (torch.sigmoid, "sigmoid"),
        (F.elu, "elu"),
        (F.leaky_relu_, "leaky_relu"),
        (F.hardtanh, "hardtanh"),
        (lambda x: x.relu(), "relu"),
        (lambda x: x.sigmoid_(), "sigmoid"),
    ],
)
def test_an_activation_that_is_a_function_call_is_refused_with_its_line(
    call: Callable[[Tensor], Tensor], name: str
) -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.first(x))
            y = call(x)
            z: Tensor = self.last(y)
            return z

    with pytest.raises(UsageError) as caught:
        unit_graph(Hidden())
    message = str(caught.value)
    assert message.startswith(f"the activation '{name}' behind layer 'first' is a function call (File ")
    assert message.endswith("make it a module, such as nn.ReLU()")
    assert "test_unit_graph.py" in message
    assert ", line " in message
    assert "\n" not in message


def test_control_flow_that_depends_on_values_is_refused() -> None:
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(x)
            return y if y.sum() > 0 else -y

    with pytest.raises(
        UsageError, match=r"cannot trace Gate\.forward \(.*\); keep control flow that depends on values"
    ):
        unit_graph(Gate())


@pytest.mark.parametrize(
    "ask",
    [lambda x: torch.zeros(len(x)), lambda x: torch.zeros(int(x.shape[0])), lambda x: [row for row in x]],  # noqa: C416
)
def test_other_things_that_cannot_be_traced_are_refused_alike(ask: Callable[[Tensor], object]) -> None:
    class Asking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            ask(x)
            y: Tensor = self.layer(x)
            return y

    with pytest.raises(UsageError, match=r"cannot trace Asking\.forward"):
        unit_graph(Asking())


def test_an_activation_that_serves_two_layers_is_refused() -> None:
    """Its values would be those of its last call, and a norm put before it would stand behind both."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 1)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(self.act(self.second(self.act(self.first(x)))))
            return y

    with pytest.raises(UsageError) as caught:
        unit_graph(Shared())
    assert str(caught.value) == (
        "the activation 'act' runs behind 'first' and again behind 'second'; give each layer a module of its own"
    )


def test_layers_without_any_activation_among_them_are_refused_with_the_line() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(torch.sin(self.first(x)))
            return y

    with pytest.raises(
        UsageError, match=r"no activation found behind any layer: 'first' goes to sin \(File .*line \d+"
    ):
        unit_graph(Odd())


class Cat(nn.Module):
    """What stands between a layer and its readers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        self.out = nn.Sequential(nn.Linear(6, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(torch.cat((self.one(x), self.two(x)), 1))
        return y


def test_readers_that_cannot_be_followed_are_an_error_only_for_who_asks() -> None:
    one, _, out = unit_graph(Cat())
    assert (one.layer, one.norms, one.activation) == ("one.0", (), "one.1")
    with pytest.raises(UsageError) as caught:
        _ = one.readers
    message = str(caught.value)
    assert message.startswith("cannot tell which layers read 'one.0': cat stands between (File ")
    assert "test_unit_graph.py" in message
    with pytest.raises(
        UsageError, match=r"^cannot tell which layers read 'out\.0': they are an output of the network$"
    ):
        _ = out.readers


def test_the_line_of_an_obstacle_is_traced_only_for_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[object] = []
    trace = fx.Tracer.trace

    def counted(self: fx.Tracer, root: nn.Module) -> fx.Graph:
        traced.append(root)
        return trace(self, root)

    monkeypatch.setattr(fx.Tracer, "trace", counted)
    one, _, _ = unit_graph(Cat())
    assert len(traced) == 1
    with pytest.raises(UsageError, match=r"cat stands between \(File .*line \d+"):
        _ = one.readers
    assert len(traced) == 2


def test_what_stands_between_is_named_beside_the_readers() -> None:
    one, two, out = unit_graph(Cat())
    assert [units.between for units in (one, two, out)] == [("cat",), ("cat",), ()]


def test_units_can_be_keys() -> None:
    one, same = (Units("a", (), "b", readers=("c",), obstacle=None) for _ in range(2))
    assert {one: 1}[same] == 1
