"""Actions between -1 and 1, and as environments take them."""

import gymnasium
import numpy as np
import pytest

from plastic.agents.actions import Actions
from plastic.core.errors import UsageError

Box = gymnasium.spaces.Box


def of(low: list[float], high: list[float]) -> Actions:
    return Actions.of(Box(np.array(low, np.float32), np.array(high, np.float32)), "sac")


def test_the_ends_and_the_middle_are_those_of_the_environment() -> None:
    actions = of([-2, 0.5], [1, 0.75])
    assert actions.dimensions == 2
    cube = np.array([[-1, -1], [0, 0], [1, 1], [-1, 1], [0.5, -0.5]], np.float32)
    theirs = actions.to_env(cube)
    assert theirs.dtype == np.float32
    np.testing.assert_allclose(theirs, [[-2, 0.5], [-0.5, 0.625], [1, 0.75], [-2, 0.75], [0.25, 0.5625]])
    np.testing.assert_allclose(actions.from_env(theirs), cube, atol=1e-6)
    np.testing.assert_allclose(actions.to_env(cube[0]), [-2, 0.5])


def test_there_and_back_is_the_same_action_and_never_out_of_bounds() -> None:
    random = np.random.default_rng(0)
    low = random.normal(size=6).astype(np.float32) * 10
    high = low + random.uniform(0.1, 30, 6).astype(np.float32)
    actions = Actions.of(Box(low, high), "sac")
    cube = random.uniform(-1, 1, (1_000, 6)).astype(np.float32)
    cube[:2] = [[-1] * 6, [1] * 6]
    theirs = actions.to_env(cube)
    assert all(Box(low, high).contains(action) for action in theirs)  # not a digit beyond
    back = actions.from_env(theirs)
    assert back.dtype == np.float32
    assert np.abs(back).max() <= 1
    np.testing.assert_allclose(back, cube, atol=1e-4)


def test_what_lies_beyond_is_brought_to_the_bound() -> None:
    actions = of([-2], [4])
    np.testing.assert_array_equal(actions.to_env(np.array([[-1.5], [9.0]], np.float32)), [[-2], [4]])
    np.testing.assert_array_equal(actions.from_env(np.array([[-2.5], [9.0]], np.float32)), [[-1], [1]])


def test_bounds_of_minus_1_and_1_change_nothing() -> None:
    cube = np.random.default_rng(0).uniform(-1, 1, (100, 3)).astype(np.float32)
    actions = of([-1] * 3, [1] * 3)
    np.testing.assert_allclose(actions.to_env(cube), cube, atol=1e-7)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (gymnasium.spaces.Discrete(4), "sac needs continuous actions; this environment has Discrete(4)"),
        (gymnasium.spaces.MultiDiscrete([2, 3]), "sac needs continuous actions"),
        (Box(0, 9, (2,), np.int64), "sac needs continuous actions"),
        (Box(-1, 1, (2, 3), np.float32), "sac needs actions that are one vector; this environment has them of shape"),
        (Box(-1, 1, (), np.float32), "sac needs actions that are one vector"),
        (Box(-1, 1, (0,), np.float32), "sac needs actions that are one vector"),
        (Box(-np.inf, np.inf, (2,), np.float32), "sac needs actions between finite bounds; this environment has Box"),
        (Box(-1e10, 1e10, (2,), np.float32), "between finite bounds"),  # LQR's motors, as MuJoCo says it
        (Box(np.array([-1, 0], np.float32), np.array([1, np.inf], np.float32)), "between finite bounds"),
        (Box(np.array([-1, 3], np.float32), np.array([1, 3], np.float32)), "between finite bounds"),
    ],
    ids=str,
)
def test_other_actions_are_refused_in_a_sentence(space: gymnasium.Space[object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Actions.of(space, "sac")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
