"""The replay against a slow reference that keeps whole transitions in Python lists."""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from plastic.agents.replay import Batch, Replay
from plastic.core.errors import UsageError

Observation = np.ndarray[Any, Any]
EXAMPLES = settings(max_examples=80, deadline=None, derandomize=True, database=None)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(**changes: Any) -> Replay:
    options: dict[str, Any] = {
        "capacity": 24,
        "observation_shape": (2, 1, 3),
        "dtype": torch.uint8,
        "frame_stack": 2,
        "n_step": 3,
        "discount": 0.5,
        "priority_exponent": 0.5,
        "device": "cpu",
    }
    return Replay(**{**options, **changes})


@dataclass
class Row:
    """What the reference keeps: whole observations, as they were fed."""

    observation: Observation
    step: int
    action: Any = 0
    reward: float = 0.0
    terminal: bool = False
    last: bool = False  # the last observation of an episode that was cut short
    open: bool = True  # no action was taken here yet


class Feeder:
    """An environment of stacked, unmistakable frames that feeds a replay and a reference alike.

    Its actions are numbers from 0 to 5, or pairs of real numbers if the replay is one of `continuous` ones.
    """

    def __init__(self, replay: Replay, dtype: Any = np.uint8, continuous: bool = False) -> None:
        self.replay = replay
        self.continuous = continuous
        self.rows: list[Row] = []
        self.drawn = np.random.default_rng(0)
        self.frames = 0
        self.stack = np.zeros(replay.observation_shape, dtype)

    def observe(self, first: bool) -> Observation:
        channels = self.stack.shape[0] // self.replay.frame_stack
        frame = np.empty((channels, *self.stack.shape[1:]), self.stack.dtype)
        self.frames += 1
        frame[:] = self.frames % 251 + 1  # never 0, and far from any frame in the same ring
        kept = self.stack[channels:]
        if first and self.replay.frame_pad == "first":
            kept = np.concatenate([frame] * self.replay.frame_stack)[channels:]
        elif first:
            kept = np.zeros_like(kept)
        self.stack = np.concatenate([kept, frame])
        return self.stack.copy()

    def start(self) -> None:
        if self.rows and self.rows[-1].open:
            self.rows[-1].open, self.rows[-1].last = False, True
        observation = self.observe(first=True)
        self.replay.start(observation)
        self.rows.append(Row(observation, 0))

    def add(self, terminated: bool = False, truncated: bool = False, reward: float | None = None) -> None:
        if not self.rows or not self.rows[-1].open:
            self.start()
        row = self.rows[-1]
        row.action = self.drawn.random(2, np.float32) if self.continuous else int(self.drawn.integers(6))
        row.reward = float(self.drawn.normal()) if reward is None else reward
        row.terminal, row.open = terminated, False
        observation = self.observe(first=False)
        self.replay.add(row.action, row.reward, observation, terminated, truncated)
        if not terminated:
            self.rows.append(Row(observation, row.step + 1, last=truncated, open=not truncated))

    def window(self, number: int) -> tuple[float, float, Observation] | None:
        """Return, discount and next observation from row `number` on; None where that cannot be known yet."""
        result = 0.0
        for ahead in range(self.replay.n_step + 1):
            row = self.rows[number + ahead]
            if row.last or ahead == self.replay.n_step:
                return result, self.replay.discount**ahead, row.observation
            if row.open:
                return None
            result += self.replay.discount**ahead * row.reward
            if row.terminal:
                return result, 0.0, row.observation
        raise AssertionError

    def drawable(self) -> dict[int, int]:
        """The numbers of the rows that may be drawn, by their place in the ring."""
        capacity, depth = self.replay.capacity, self.replay.frame_stack - 1
        oldest = max(0, len(self.rows) - capacity)
        return {
            number % capacity: number
            for number in range(oldest, len(self.rows))
            if not self.rows[number].last
            and number - min(self.rows[number].step, depth) >= oldest
            and self.window(number) is not None
        }

    def check(self) -> None:
        """Every row that may be drawn is drawn, no other is, and each is what was fed."""
        drawable = self.drawable()
        assert set(self.replay.priorities.nonzero().flatten().tolist()) == set(drawable)
        assert len(self.replay) == len(drawable)
        if not drawable:
            return
        probe = self.replay.sample_uniformly(40 * len(drawable), stream())  # one in e**40 leaves a certain row out
        assert set(probe.index.tolist()) == set(drawable)
        # With equal priorities each row has some of so many strata to itself; independent draws need more.
        draws = 4 if self.replay.priority_exponent else 40
        batch = self.replay.sample(draws * len(drawable), 1.0, stream())
        places = {index: place for place, index in enumerate(batch.index.tolist())}
        assert set(places) == set(drawable)
        for index, place in places.items():
            number = drawable[index]
            row, window = self.rows[number], self.window(number)
            assert window is not None
            returns, discount, following = window
            assert np.array_equal(batch.observation[place].numpy(), row.observation)
            assert np.array_equal(batch.next_observation[place].numpy(), following)
            assert np.array_equal(batch.action[place].numpy(), row.action)
            assert batch.returns[place].item() == pytest.approx(returns, abs=1e-5)
            assert batch.discount[place].item() == pytest.approx(discount, abs=1e-6)


def filled(replay: Replay, steps: int = 100, seed: int = 0) -> Feeder:
    feeder, ends = Feeder(replay), np.random.default_rng(seed).random((steps, 2))
    for terminated, truncated in ends < 0.07:
        feeder.add(bool(terminated), bool(truncated))
    return feeder


EVENTS = st.lists(
    st.sampled_from(["go", "go", "go", "go", "terminal", "truncated", "both", "abandon"]), min_size=1, max_size=90
)


def play(feeder: Feeder, events: Sequence[str]) -> Iterator[None]:
    for event in events:
        if event == "abandon":
            feeder.start()
        else:
            feeder.add(event in ("terminal", "both"), event in ("truncated", "both"))
        yield


@EXAMPLES
@given(EVENTS, st.integers(1, 5), st.integers(1, 4), st.integers(0, 12))
@example(["go"] * 60, 3, 4, 0)
@example(["truncated"] * 40, 5, 3, 0)
@example(["abandon"] * 40, 2, 4, 1)
def test_rows_are_the_transitions_that_were_fed(events: list[str], n: int, stack: int, more: int) -> None:
    feeder = Feeder(small(capacity=n + stack + more, frame_stack=stack, observation_shape=(2 * stack, 1, 2), n_step=n))
    for _ in play(feeder, events):
        feeder.check()


@EXAMPLES
@given(st.lists(st.tuples(EVENTS, st.integers(1, 6), st.floats(0, 1)), min_size=2, max_size=4))
@example([(["go"] * 9, 2, 0.9), (["go"], 6, 0.5), (["go"], 1, 0.5)])
def test_n_step_and_discount_change_while_running(parts: list[tuple[list[str], int, float]]) -> None:
    feeder = Feeder(small(capacity=15))
    for events, n_step, discount in parts:
        feeder.replay.n_step, feeder.replay.discount = n_step, discount
        feeder.check()
        for _ in play(feeder, events):
            feeder.check()


@EXAMPLES
@given(
    EVENTS,
    st.sampled_from([1, 3]),
    st.integers(1, 4),
    st.integers(0, 12),
    st.booleans(),
    st.sampled_from([(), (2,)]),
    st.sampled_from([0, 0.5]),
)
@example(["go"] * 60, 3, 4, 0, False, (), 0.5)
@example(["truncated"] * 40, 3, 3, 0, True, (2,), 0)
@example(["terminal"] * 40, 1, 3, 3, False, (2,), 0)
@example(["go", "go", "abandon", "go", "both"] * 12, 1, 4, 5, True, (), 0.5)
def test_before_an_episode_its_first_frame_stands_again(
    events: list[str], n: int, stack: int, more: int, vectors: bool, action_shape: tuple[int, ...], exponent: float
) -> None:
    replay = small(
        capacity=n + stack + more,
        observation_shape=(3 * stack,) if vectors else (2 * stack, 1, 2),
        dtype=torch.float32 if vectors else torch.uint8,
        frame_stack=stack,
        frame_pad="first",
        n_step=n,
        priority_exponent=exponent,
        action_shape=action_shape,
        action_dtype=torch.float32 if action_shape else torch.long,
    )
    feeder = Feeder(replay, np.float32 if vectors else np.uint8, bool(action_shape))
    for _ in play(feeder, events):
        feeder.check()


def test_many_laps_of_a_ring() -> None:
    feeder = filled(small(capacity=37, n_step=5, frame_stack=4, observation_shape=(4, 2, 2)), steps=1000)
    assert len(feeder.rows) > 25 * 37
    feeder.check()


def test_terminal_and_truncated_at_once_is_a_terminal() -> None:
    feeder = Feeder(small())
    feeder.add(terminated=True, truncated=True)
    assert feeder.replay.sample(1, 1.0, stream()).discount.item() == 0


def test_vectors_and_continuous_actions() -> None:
    replay = small(
        observation_shape=(3,),
        dtype=torch.float32,
        frame_stack=1,
        n_step=1,
        action_shape=(2,),
        action_dtype=torch.float32,
    )
    first, second = np.array([0.5, -1.0, 2.0]), np.array([1.5, 0.25, -3.0])
    replay.start(first)
    replay.add(np.array([0.1, -0.2]), 2.0, second, terminated=False, truncated=False)
    batch = replay.sample(5, 0.4, stream())
    assert batch.observation.dtype == torch.float32
    assert torch.equal(batch.observation, torch.tensor(first, dtype=torch.float32).expand(5, 3))
    assert torch.equal(batch.next_observation, torch.tensor(second, dtype=torch.float32).expand(5, 3))
    assert torch.equal(batch.action, torch.tensor([0.1, -0.2]).expand(5, 2))
    assert batch.discount.tolist() == [0.5] * 5


def test_what_is_fed_may_be_reused_by_the_environment() -> None:
    replay = small(frame_stack=1, observation_shape=(2,), n_step=1)
    observation = np.array([7, 8], np.uint8)
    replay.start(observation)
    replay.add(0, 0.0, np.array([9, 9], np.uint8), terminated=True, truncated=False)
    observation[:] = 0
    assert replay.sample(1, 1.0, stream()).observation.tolist() == [[7, 8]]


def test_a_late_write_does_not_revive_a_row() -> None:
    feeder = Feeder(small(n_step=1, capacity=8))
    for _ in range(6):
        feeder.add()
    index = feeder.replay.sample(32, 1.0, stream()).index
    for _ in range(4):
        feeder.add()
    feeder.replay.set_priorities(index, torch.ones(32))  # 1 is also what new rows have
    feeder.check()


def test_weights_worked_by_hand() -> None:
    feeder = Feeder(small(n_step=3))
    for _ in range(4):
        feeder.add()
    feeder.start()  # cuts the episode short, which closes the windows of rows 2 and 3: N is 4
    feeder.replay.set_priorities(torch.arange(4), torch.tensor([1.0, 4.0, 9.0, 16.0]))
    for beta in (0.4, torch.tensor(0.4)):
        batch = feeder.replay.sample(100, beta, stream())
        wanted = {row: (10 / ((row + 1) * 4) + 1e-5) ** 0.4 for row in range(4)}
        for row, weight in zip(batch.index.tolist(), batch.weight.tolist(), strict=True):
            assert weight == pytest.approx(wanted[row] / wanted[0], rel=3e-7)
        assert batch.weight.max() == 1
        assert set(batch.index.tolist()) == {0, 1, 2, 3}


def test_exponent_0_is_uniform_replay() -> None:
    feeder = filled(small(priority_exponent=0))
    rows = sorted(feeder.drawable())
    feeder.replay.set_priorities(torch.tensor(rows), torch.arange(1.0, len(rows) + 1))
    assert feeder.replay.priorities[rows].tolist() == [1] * len(rows)
    batch = feeder.replay.sample(len(rows), 0.4, stream())
    assert batch.weight.tolist() == [1] * len(rows)
    assert batch.index.tolist() != rows  # not stratified
    counts = feeder.replay.sample(1000 * len(rows), 0.4, stream()).index.bincount(minlength=24)[rows]
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)


def test_probes_draw_uniformly_from_their_own_stream() -> None:
    feeder, alone = filled(small()), filled(small())
    rows = sorted(feeder.drawable())
    for each in (feeder, alone):
        each.replay.set_priorities(torch.tensor(rows), torch.arange(len(rows)).float())
    mine, theirs = stream(1), stream(1)
    probe = feeder.replay.sample_uniformly(1000 * len(rows), stream(5))
    counts = probe.index.bincount(minlength=24)
    assert (counts[rows] - 1000).abs().max() < 5 * math.sqrt(1000)
    assert counts.sum() == counts[rows].sum()
    assert (probe.weight == 1).all()
    assert same(feeder.replay.sample(32, 0.5, mine), alone.replay.sample(32, 0.5, theirs))


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_uniform_draws_after_many_laps_and_withdrawals_are_as_likely_as_one_another(exponent: float) -> None:
    feeder, changes = Feeder(small(capacity=80, n_step=2, priority_exponent=exponent)), np.random.default_rng(4)
    for terminated, truncated, abandoned, changed in changes.random((3000, 4)) < [0.04, 0.04, 0.02, 0.05]:
        feeder.add(bool(terminated), bool(truncated))
        if abandoned:
            feeder.start()
        if changed:  # withdraws the newest rows, or admits them
            feeder.replay.n_step = int(changes.integers(1, 9))
    rows = sorted(feeder.drawable())
    assert len(feeder.rows) > 30 * 80
    feeder.replay.set_priorities(torch.tensor(rows), torch.rand(len(rows), generator=stream(1)))
    expected = 400
    count, generator = expected * len(rows), stream(2)
    if exponent:
        index = feeder.replay.sample_uniformly(count, generator).index
    else:
        index = feeder.replay.sample(count, 0.4, generator).index
    counts = index.bincount(minlength=80)
    assert counts.nonzero().flatten().tolist() == rows
    # Pearson's statistic of as many equal cells is chi-square distributed: k - 1 and as much as 2 (k - 1) variance.
    freedom = len(rows) - 1
    chi_square = ((counts[rows] - expected) ** 2 / expected).sum().item()
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)
    # One draw says nothing of the next: of two in a row as many are equal as chance has it.
    pairs = (index[1:] == index[:-1]).sum().item()
    assert abs(pairs - expected) < 5 * math.sqrt(expected)


class NoSearch(TorchDispatchMode):
    """Refuses operations that read or write as many numbers as the ring has rows, other than to gather some."""

    def __init__(self, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.capacity = capacity

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in (*args, result) if isinstance(each, Tensor)]
        if func is not torch.ops.aten.index_select.default and max(sizes, default=0) >= self.capacity:
            raise AssertionError(f"{func} goes through the whole ring")
        return result


def test_a_uniform_draw_does_not_go_through_the_ring() -> None:
    for pad in ("zeros", "first"):
        feeder = filled(small(capacity=5_000, priority_exponent=0, frame_pad=pad))
        with NoSearch(5_000):
            feeder.replay.sample(8, 0.5, stream())
    feeder = filled(small(capacity=5_000))
    with NoSearch(5_000):
        feeder.replay.sample_uniformly(8, stream())
    with pytest.raises(AssertionError, match="cumsum"), NoSearch(5_000):
        feeder.replay.sample(8, 0.5, stream())


class NoHostWait(TorchDispatchMode):
    """Refuses what a GPU would have to wait for: values or shapes that go back to the host, or come from it.

    What it cannot see on a CPU is `tolist` and `numpy`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.operations += 1
        waits = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        if func is torch.ops.aten.index.Tensor:
            waits = {each for each in args[1] if each is not None and each.dtype in (torch.bool, torch.uint8)}
        if waits or func is torch.ops.aten.lift_fresh.default:
            raise AssertionError(f"{func} waits for the host")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.tensor([1, 2]),
        lambda x: x.long().unique(),
    ],
)
def test_the_guard_against_waiting_sees_it(wait: Any) -> None:
    with pytest.raises(AssertionError, match="waits for the host"), NoHostWait():
        wait(torch.ones(3))


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_sampling_and_writing_never_wait_for_the_host(exponent: float) -> None:
    feeder, generator, beta = filled(small(priority_exponent=exponent)), stream(), torch.tensor(0.4)
    losses, operations = torch.rand(512), []
    for size in (8, 512):
        with NoHostWait() as guard:
            batch = feeder.replay.sample(size, beta, generator)
            feeder.replay.set_priorities(batch.index, losses[:size])
        operations.append(guard.operations)
    assert operations[0] == operations[1]  # nothing is done sample by sample


def test_a_hundred_thousand_frames_of_84_by_84_fit_into_three_quarters_of_a_gigabyte() -> None:
    replay = small(
        capacity=100_000, observation_shape=(4, 84, 84), frame_stack=4, n_step=10, discount=0.99, priority_exponent=0.5
    )
    assert 100_000 * 84 * 84 < replay.nbytes < 0.75e9


def test_the_bytes_of_each_row() -> None:
    def a_row(**changes: Any) -> float:
        sizes = [small(capacity=rows, observation_shape=(17,), frame_stack=1, **changes).nbytes for rows in (100, 200)]
        return (sizes[1] - sizes[0]) / 100

    # action 8, reward 4, three flags and the history, priority 8, the list of rows and the place in it 4 each
    assert a_row(priority_exponent=0) == 17 + 8 + 4 + 3 + 8 + 4 + 4
    assert a_row() == a_row(priority_exponent=0) + 8 + 8  # the sums and the places in a batch


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def storage(replay: Replay) -> dict[str, int]:
    """Where a captured graph would look for the tensors of this replay; n_step's two may move."""
    windows = ("replay._windows._ahead", "replay._windows._powers")
    return {name: tensor.data_ptr() for name, tensor in tensors(replay, "replay") if name not in windows}


def tensors(thing: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """All that a replay keeps, by the attributes that lead there."""
    if isinstance(thing, Tensor):
        yield name, thing
    elif type(thing).__module__.startswith("plastic."):
        for attribute, value in vars(thing).items():
            yield from tensors(value, f"{name}.{attribute}")


def saved(replay: Replay) -> tuple[dict[str, Any], int]:
    """The state as a checkpoint keeps it, and its size in bytes."""
    file = io.BytesIO()
    torch.save(replay.state_dict(), file)
    size = file.tell()
    file.seek(0)
    return torch.load(file, weights_only=True), size


@pytest.mark.parametrize("steps", [0, 2, 15, 100])
@pytest.mark.parametrize("exponent", [0.0, 0.5])
@pytest.mark.parametrize("pad", ["zeros", "first"])
def test_a_restored_replay_goes_on_alike(steps: int, exponent: float, pad: str) -> None:
    feeder = filled(small(priority_exponent=exponent, frame_pad=pad), steps=steps)
    feeder.add()
    feeder.replay.n_step, feeder.replay.discount = 2, 0.75
    for seed in range(5 if len(feeder.replay) else 0):
        batch = feeder.replay.sample(4, 1.0, stream(seed))
        feeder.replay.set_priorities(batch.index, torch.rand(4, generator=stream(seed)) * 5)
    state, _ = saved(feeder.replay)
    restored = filled(small(priority_exponent=exponent, frame_pad=pad), steps=9, seed=3).replay
    places = storage(restored)  # that of something else before
    restored.load_state_dict(state)
    assert (len(restored), restored.n_step, restored.discount) == (len(feeder.replay), 2, 0.75)
    other = Feeder(restored)
    vars(other).update({k: deepcopy(v) for k, v in vars(feeder).items() if k != "replay"})
    mine, theirs = stream(7), stream(7)
    for step in range(40):
        for each in (feeder, other):
            each.add(terminated=step % 9 == 8, truncated=step % 13 == 12)
        one, two = feeder.replay.sample(4, 0.5, mine), other.replay.sample(4, 0.5, theirs)
        assert same(one, two)
        assert same(feeder.replay.sample_uniformly(4, mine), other.replay.sample_uniformly(4, theirs))
        for each, batch in ((feeder, one), (other, two)):
            each.replay.set_priorities(batch.index, batch.returns.abs() + step)
    assert torch.equal(feeder.replay.priorities, other.replay.priorities)
    assert storage(restored) == places
    if not exponent:
        other.check()


def test_only_the_filled_rows_are_saved() -> None:
    replay = small(capacity=50_000, observation_shape=(2, 10, 10))
    filled(replay, steps=20)
    state, size = saved(replay)
    assert len(state["frames"]) < 50
    assert size < 50_000


def test_saving_does_not_copy_the_frames() -> None:
    replay = small(capacity=50_000, observation_shape=(2, 10, 10))
    filled(replay, steps=20)
    frames = replay.state_dict()["frames"]
    assert isinstance(frames, Tensor)
    frames.fill_(77)
    assert replay.sample(1, 1.0, stream()).observation.max() == 77


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observation_shape": (2, 3, 3)}, r"frames are torch.uint8 of shape \(1, 1, 3\) a row.*\(1, 3, 3\)"),
        ({"dtype": torch.float32}, "torch.uint8 .* torch.float32"),
        ({"action_shape": (2,)}, "action"),
        ({"action_dtype": torch.float32}, "action"),
        ({"capacity": 25}, "capacity 24, this one 25"),
        ({"frame_stack": 1}, "frame_stack 2, this one 1"),
        ({"frame_pad": "first"}, "frame_pad zeros, this one first"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(changes: dict[str, Any], message: str) -> None:
    state, _ = saved(filled(small()).replay)
    other = small(**changes)
    with pytest.raises(UsageError, match=message):
        other.load_state_dict(state)
    assert len(other) == 0


def test_what_is_no_replay_state_is_refused() -> None:
    with pytest.raises(UsageError, match="has no 'frames'"):
        small().load_state_dict({"model": 1})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:-1],
        lambda rows: torch.cat((rows, rows[:1])),
        lambda rows: torch.cat((rows[:-1], rows[:1])),
        lambda rows: rows + 1,
        lambda rows: rows.long(),
    ],
)
def test_a_list_of_other_rows_than_have_priorities_is_refused(spoil: Any) -> None:
    state, _ = saved(filled(small()).replay)
    other = small()
    with refused("lists other rows to draw"):
        other.load_state_dict({**state, "rows": spoil(state["rows"])})
    assert len(other) == 0
    other.load_state_dict({**state, "rows": state["rows"].flip(0)})
    assert len(other) == len(state["rows"])


def test_a_replay_is_not_copied() -> None:
    with pytest.raises(TypeError, match="state_dict"):
        deepcopy(small())


@contextmanager
def refused(message: str) -> Iterator[None]:
    with pytest.raises(UsageError, match=message) as info:
        yield
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"capacity": 4}, "at least 5"),
        ({"n_step": 0}, "n_step"),
        ({"discount": 1.5}, "discount"),
        ({"priority_exponent": -1.0}, "exponent"),
        ({"frame_stack": 3}, "not a stack of 3 frames"),
        ({"observation_shape": ()}, "not a stack"),
        ({"capacity": 2**31}, "32 bits"),
        ({"frame_pad": "last"}, "no frame_pad 'last'; use 'zeros' or 'first'"),
    ],
)
def test_values_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with refused(message):
        small(**changes)


def test_changes_out_of_range_are_refused_and_change_nothing() -> None:
    feeder = filled(small())
    with refused("at least 25"):
        feeder.replay.n_step = 23
    with refused("discount"):
        feeder.replay.discount = -0.1
    feeder.check()


def test_an_empty_replay_cannot_be_sampled() -> None:
    replay = small()
    with refused("nothing to draw"):
        replay.sample_uniformly(1, stream())
    with refused("nothing to draw"):
        replay.sample(1, 1.0, stream())


def test_add_before_start_is_refused() -> None:
    feeder = Feeder(small())
    with refused("start"):
        feeder.replay.add(0, 0.0, feeder.stack, terminated=False, truncated=False)
    feeder.add(terminated=True)
    with refused("start"):
        feeder.replay.add(0, 0.0, feeder.stack, terminated=False, truncated=False)
