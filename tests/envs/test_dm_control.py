import sys
from hashlib import sha256
from importlib import metadata
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from plastic.core.environment import Env
from plastic.core.errors import RunError, UsageError
from plastic.core.recipes import options
from plastic.envs.dm_control import ControlTask, DmControl, grey
from plastic.envs.dm_control_tasks import DMC_M, TASKS
from tests.envs.apart import run
from tests.envs.suite import PhysicsError, suite

RAY = DmControl(pixels=True, render="ray")  # so that these tests need no OpenGL


def box(env: Env) -> gymnasium.spaces.Box:
    assert isinstance(env.action_space, gymnasium.spaces.Box)
    return env.action_space


def actions_of(env: Env, steps: int, seed: int = 0) -> NDArray[np.float32]:
    low, high = box(env).low.clip(-1), box(env).high.clip(max=1)  # LQR's have no bounds
    return np.random.default_rng(seed).uniform(low, high, (steps, *low.shape)).astype(np.float32)


def digest(env: Env, seed: int, steps: int) -> str:
    """Everything that comes of an episode's first steps."""
    found = sha256(env.reset(seed=seed)[0].tobytes())
    for action in actions_of(env, steps, seed):
        observation, *rest, _ = env.step(action)
        found.update(observation.tobytes() + repr(rest).encode())
    return found.hexdigest()


# ---------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("task", "values"),
    [("cheetah-run", 17), ("finger-turn_hard", 12), ("walker-run", 24), ("stacker-stack_2", 49), ("lqr-lqr_2_1", 4)],
)
def test_states_are_what_the_suite_gives_in_its_order(task: str, values: int) -> None:
    env = DmControl(action_repeat=3).make(task)
    theirs = suite.load(*task.split("-"), task_kwargs={"random": 0})

    def expected(after: Any) -> NDArray[np.float32]:
        flat = [number for value in after.observation.values() for number in np.asarray(value).flatten()]
        return np.array(flat, np.float32)

    theirs.task.random.seed(7)
    observation, info = env.reset(seed=7)
    assert info == {}
    assert env.observation_space == gymnasium.spaces.Box(-np.inf, np.inf, (values,), np.float32)
    assert env.observation_space.contains(observation)
    np.testing.assert_array_equal(observation, expected(theirs.reset()))
    for action in actions_of(env, 5):
        observation, reward, terminated, truncated, info = env.step(action)
        after = [theirs.step(action) for _ in range(3)]
        assert reward == sum(one.reward for one in after)
        assert (terminated, truncated, info) == (False, False, {})
        np.testing.assert_array_equal(observation, expected(after[-1]))


def test_an_episode_is_the_one_that_the_suite_begins_from_that_seed() -> None:
    theirs = suite.load("reacher", "easy", task_kwargs={"random": 11}).reset().observation
    ours, _ = DmControl().make("reacher-easy").reset(seed=11)
    np.testing.assert_array_equal(ours, np.concatenate(list(theirs.values())).astype(np.float32))


def test_actions_are_bounded_as_the_task_says() -> None:
    cheetah, quadruped = (box(DmControl().make(task)) for task in ("cheetah-run", "quadruped-run"))
    assert cheetah == gymnasium.spaces.Box(-1, 1, (6,), np.float32)
    assert quadruped.dtype == np.float32
    assert (quadruped.low.min(), quadruped.high.max()) == (-1, np.float32(1.1))


def test_what_was_given_away_stays_as_it_is() -> None:
    for family in (DmControl(), attrs.evolve(RAY, frame_stack=1)):
        env = family.make("cheetah-run")
        kept = [env.reset(seed=0)[0]]
        copies = [kept[0].copy()]
        for action in actions_of(env, 4):
            kept.append(env.step(action)[0])
            copies.append(kept[-1].copy())
        np.testing.assert_array_equal(kept, copies)
        assert any((one != copies[0]).any() for one in copies)


# ---------------------------------------------------------------- pixels


def test_pixels_are_three_grey_pictures_and_the_first_stands_for_those_before() -> None:
    env = RAY.make("cheetah-run")
    first, _ = env.reset(seed=0)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (3, 64, 64), np.uint8)
    assert env.observation_space.contains(first)
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], first[2])
    second = env.step(actions_of(env, 1)[0])[0]
    np.testing.assert_array_equal(second[:2], first[:2])
    assert (second[2] != first[2]).any()
    third = env.step(actions_of(env, 1)[0])[0]
    np.testing.assert_array_equal(third[:2], second[1:])
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    np.testing.assert_array_equal(grey(picture), third[2])
    assert picture.shape == (64, 64, 3)


def test_pixels_in_colour() -> None:
    env = options.build(DmControl, {"pixels": True, "grey": False, "size": 20, "render": "ray"}, "").make("walker-run")
    env.reset(seed=0)
    before = env.render()
    observation = env.step(actions_of(env, 1)[0])[0]
    assert observation.shape == (9, 20, 20)
    np.testing.assert_array_equal(observation[3:6].transpose(1, 2, 0), before)
    np.testing.assert_array_equal(observation[6:].transpose(1, 2, 0), env.render())


def test_grey_is_exact_and_rounded_down() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(grey(np.stack([levels] * 3, -1)), levels)
    assert grey(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).tolist() == [[76, 149, 29]]
    assert grey(np.zeros((2, 3), np.uint8)).dtype == np.uint8


def test_the_camera_is_the_papers_or_the_one_that_is_named() -> None:
    def picture(task: str, **given: Any) -> NDArray[np.uint8]:
        first: NDArray[np.uint8] = attrs.evolve(RAY, size=16, **given).make(task).reset(seed=0)[0]
        return first

    np.testing.assert_array_equal(picture("quadruped-run"), picture("quadruped-run", camera=2))
    assert (picture("quadruped-run") != picture("quadruped-run", camera=0)).any()
    np.testing.assert_array_equal(picture("cheetah-run"), picture("cheetah-run", camera=0))
    assert (picture("cheetah-run") != picture("cheetah-run", camera=1)).any()
    with pytest.raises(UsageError, match=r"^cheetah-run has no camera 2; its last one is 1$"):
        picture("cheetah-run", camera=2)


def test_a_stack_of_states() -> None:
    env = DmControl(frame_stack=2).make("cartpole-swingup")
    first, _ = env.reset(seed=0)
    assert env.observation_space.shape == (10,)
    np.testing.assert_array_equal(first[:5], first[5:])
    second = env.step(np.ones(1, np.float32))[0]
    np.testing.assert_array_equal(second[:5], first[5:])
    assert (second[5:] != first[5:]).any()
    assert (env.reset(seed=0)[0] == first).all()


@pytest.mark.parametrize(
    ("family", "task", "frames"),
    [
        (DmControl(), "cheetah-run", (1, 1)),
        (RAY, "cheetah-run", (4, 3)),
        (RAY, "reacher-easy", (4, 3)),
        (RAY, "walker-run", (2, 3)),
        (attrs.evolve(RAY, action_repeat=1, frame_stack=2), "cheetah-run", (1, 2)),
        (DmControl(action_repeat=5), "reacher-easy", (5, 1)),
    ],
)
def test_a_run_learns_what_a_step_and_an_observation_are(family: DmControl, task: str, frames: tuple[int, int]) -> None:
    env = family.make(task)
    assert (env.get_wrapper_attr("frame_skip"), env.get_wrapper_attr("frame_stack")) == frames
    assert env.get_wrapper_attr("frame_pad") == "first"


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize(("repeat", "steps"), [(100, 10), (300, 4), (1000, 1)])
def test_a_thousand_control_steps_are_an_episode_and_its_end_is_no_terminal(repeat: int, steps: int) -> None:
    env = DmControl(action_repeat=repeat).make("cartpole-balance")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(1, np.float32))
    env.reset(seed=0)
    for _ in range(2):
        ends = [env.step(np.zeros(1, np.float32)) for _ in range(steps)]
        assert [end[2:4] for end in ends] == [(False, False)] * (steps - 1) + [(False, True)]
        assert 100 < sum(float(end[1]) for end in ends) <= 1000
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros(1, np.float32))
        env.reset()


def test_lqr_too_ends_though_the_suite_sets_it_no_limit() -> None:
    env = DmControl(action_repeat=500).make("lqr-lqr_2_1")
    env.reset(seed=0)
    assert [env.step(np.ones(1, np.float32))[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_a_discount_of_0_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    env = DmControl(action_repeat=4).make("cartpole-balance")
    assert isinstance(env, ControlTask)
    env.reset(seed=0)
    ends = iter([None, 0.0])
    monkeypatch.setattr(env._env.task, "get_termination", lambda physics: next(ends))
    _, reward, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
    assert (terminated, truncated) == (True, False)
    assert 1 < reward <= 2  # two steps of the four were played


def test_an_unstable_simulation_is_an_error_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    env = DmControl().make("cartpole-balance")
    assert isinstance(env, ControlTask)
    env.reset(seed=0)

    def explode(steps: int) -> None:
        raise PhysicsError("mjWARN_BADQACC")

    monkeypatch.setattr(env._env.physics, "step", explode)
    with pytest.raises(RunError, match=r"^the simulation of cartpole-balance became unstable \(mjWARN_BADQACC\); act"):
        env.step(np.zeros(1, np.float32))


def test_it_can_be_closed_twice() -> None:
    env = DmControl().make("cheetah-run")
    env.close()
    env.close()


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_and_the_actions_rebuild_an_episode(task: str) -> None:
    fresh, played = DmControl().make(task), DmControl().make(task)
    first = digest(fresh, 5, 12)
    for seed, steps in ((1, 17), (2, 6)):
        digest(played, seed, steps)
    assert digest(played, 5, 12) == first
    assert digest(played, 6, 12) != first


@pytest.mark.parametrize("task", ["reacher-hard", "quadruped-escape"])
def test_a_seed_and_the_actions_rebuild_its_pixels(task: str) -> None:
    fresh, played = RAY.make(task), RAY.make(task)
    first = digest(fresh, 5, 3)
    digest(played, 1, 4)
    assert digest(played, 5, 3) == first
    assert digest(played, 6, 3) != first


REMOTE = ("cheetah-run", "lqr-lqr_6_2", "quadruped-escape", "swimmer-swimmer6")


def states_after(task: str) -> list[float]:
    env = DmControl().make(task)
    env.reset(seed=3)
    zeros = np.zeros(box(env).shape, np.float32)
    last: NDArray[np.float32] = [env.step(zeros)[0] for _ in range(5)][-1]
    return [float(number) for number in last]


def test_another_process_plays_the_same_episodes() -> None:
    script = (
        "import numpy as np\n"
        "from plastic.envs.dm_control import DmControl\n"
        f"for task in {REMOTE}:\n"
        "    env = DmControl().make(task)\n"
        "    env.reset(seed=3)\n"
        "    zeros = np.zeros(env.action_space.shape, np.float32)\n"
        "    print([float(number) for number in [env.step(zeros)[0] for _ in range(5)][-1]])\n"
    )
    code, out, err = run(script)
    assert (code, err) == (0, "")  # nor is anything printed that nobody asked for
    assert out.splitlines() == [str(states_after(task)) for task in REMOTE]


def test_without_a_seed_episodes_go_on_from_the_last_one_and_begin_by_chance() -> None:
    def starts(env: Env, seed: int | None) -> list[Any]:
        return [env.reset(seed=seed)[0].tolist(), env.reset()[0].tolist(), env.reset()[0].tolist()]

    one, other = DmControl().make("reacher-easy"), DmControl().make("reacher-easy")
    assert starts(one, 4) == starts(other, 4)
    assert len({str(start) for start in starts(one, 4)}) == 3
    unseeded = [DmControl().make("reacher-easy").reset()[0].tolist() for _ in range(2)]
    assert unseeded[0] != unseeded[1]


@pytest.mark.parametrize("family", [DmControl(), RAY], ids=["states", "pixels"])
@pytest.mark.filterwarnings("ignore:.*(Box (observation|action) space|symmetric and normalized|no spec).*")
def test_the_environment_is_one_of_gymnasiums(family: DmControl) -> None:
    env = family.make("cheetah-run")
    assert env.unwrapped is env
    check_env(env, skip_render_check=True)


# ---------------------------------------------------------------- names and errors


@pytest.mark.parametrize(
    "task",
    [
        "cheetah-run",
        "Cheetah-Run",
        "cheetah_run",
        "cheetah-run-v0",
        "dm_control/cheetah-run",
        "dm_control/cheetah-run-v0",
    ],
)
def test_spellings(task: str) -> None:
    assert DmControl().find(task) == "dm_control/cheetah-run-v0"


@pytest.mark.parametrize("task", ["finger-turn_easy", "finger-turn-easy", "Finger_Turn_Easy"])
def test_spellings_of_more_words(task: str) -> None:
    assert DmControl().find(task) == "dm_control/finger-turn_easy-v0"


@pytest.mark.parametrize("task", ["", "cheetah", "run", "pong", "cheetah-run-v1", "CartPole-v1", "dm_control/", "a:b"])
def test_other_names_are_not_ours(task: str) -> None:
    assert DmControl().find(task) is None


def test_every_task_is_found() -> None:
    family = DmControl()
    assert all(family.find(task) == task for task in family.tasks())
    assert len(family.tasks()) == len(TASKS)
    assert set(family.tasks()) >= {f"dm_control/{task}-v0" for task in DMC_M}


def test_a_name_is_found_without_importing_the_suite() -> None:
    script = (
        "import sys\n"
        "from plastic.envs import hooks\n"
        "from plastic.envs.dm_control import DmControl\n"
        "assert DmControl().find('cheetah-run') and DmControl().find('pung') is None and DmControl().tasks()\n"
        "print([name for name in ('dm_control', 'mujoco', 'OpenGL') if name in sys.modules])\n"
    )
    assert run(script) == (0, "[]\n", "")


def test_scores_stay_as_they_are() -> None:
    family = DmControl()
    assert family.eval_episodes == 10
    assert family.normalise("cheetah-run", 500) is None
    assert family.references("cheetah-run") == {}


def test_the_record_says_what_drew() -> None:
    assert DmControl().about() == {}
    assert RAY.about() == {"renderer": "ray: its pixels differ from MuJoCo's"}


def test_an_unknown_task() -> None:
    with pytest.raises(UsageError, match=r"^no DeepMind Control task 'cheeta-run'; did you mean 'cheetah-run'\?$"):
        DmControl().make("cheeta-run")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"grey": True}, "dm_control: grey is for pixels alone; set pixels=true or leave grey out"),
        ({"size": 64}, "size is for pixels alone"),
        ({"camera": 0}, "camera is for pixels alone"),
        ({"render": "gl"}, "render is for pixels alone"),
        ({"pixels": True, "size": 4}, "size must be between 8 and 1024"),
        ({"pixels": True, "camera": -1}, "camera must be at least 0"),
        ({"pixels": True, "render": "vulkan"}, "render must be one of gl, ray"),
        ({"pixels": 1}, "pixels must be true or false"),
        ({"frame_stack": 0}, "frame_stack must be at least 1"),
        ({"action_repeat": 0}, "action_repeat must be between 1 and 1000"),
        ({"action_repeat": 1.5}, "action_repeat must be an integer"),
    ],
)
def test_values_that_cannot_be(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.build(DmControl, given, "dm_control")


def test_a_recipe_holds_every_option() -> None:
    for family in (DmControl(), RAY, DmControl(pixels=True, grey=False, size=84, camera=1, frame_stack=2)):
        assert options.build(DmControl, options.values(family), "dm_control") == family
    options.refuse_unwritable(DmControl, "dm_control")


def test_without_dm_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dm_control.suite", None)
    family = DmControl()
    assert family.find("cheetah-run") is not None
    with pytest.raises(UsageError, match=r"^DeepMind Control tasks need dm_control \(.*\); install it with: pip .*$"):
        family.make("cheetah-run")


def test_with_mujoco_4(monkeypatch: pytest.MonkeyPatch) -> None:
    versions: dict[str, str] = {"mujoco": "4.0.0"}
    monkeypatch.setattr("plastic.envs.dm_control.version", lambda name: versions[name])
    with pytest.raises(UsageError, match=r"^dm_control does not work with mujoco 4.0.0; run: .* 'mujoco>=3.17,<4'$"):
        DmControl().make("cheetah-run")
    assert int(metadata.version("mujoco").split(".")[0]) < 4


def test_nothing_is_printed_and_nothing_left_over() -> None:
    script = (
        "from plastic.envs.dm_control import DmControl\n"
        "env = DmControl(pixels=True, render='ray').make('cheetah-run')\n"
        "env.reset(seed=0)\n"
        "env.step(env.action_space.sample())\n"
    )
    assert run(script) == (0, "", "")
