import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import ale_py
import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium.utils import seeding
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from numpy.typing import NDArray

from plastic.core.environment import Env
from plastic.core.errors import UsageError
from plastic.core.recipes import options
from plastic.envs.atari import Atari, AtariGame
from plastic.envs.atari_scores import ATARI_100K
from plastic.envs.resize import Bilinear

NOOP, FIRE = 0, 1
BARE = Atari(noop_max=0)


class Recorder(ale_py.ALEInterface):
    """An emulator that writes down every frame: action and reward, the screen if it is asked to.

    Rewards in `script`, by the number of the frame since the list was emptied, replace the game's.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[int, int]] = []
        self.screens: list[NDArray[np.uint8]] = []
        self.keep_screens = False
        self.script: dict[int, int] = {}

    def act(self, action: Any, paddle_strength: float = 1.0) -> int:
        reward = super().act(action, paddle_strength)
        reward = self.script.get(len(self.frames), reward) if self.script else reward
        self.frames.append((action, reward))
        if self.keep_screens:
            self.screens.append(super().getScreenGrayscale())
        return reward


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """The emulators of the games that are made from here on, in order."""
    made: list[Recorder] = []

    class Noted(Recorder):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(ale_py, "ALEInterface", Noted)
    return made


def actions_of(env: Env, steps: int, seed: int = 0) -> list[int]:
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    return [int(action) for action in np.random.default_rng(seed).integers(int(env.action_space.n), size=steps)]


def play(env: Env, actions: Iterable[int]) -> Iterator[tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]]:
    """Steps with these actions; after each that ends something, `reset()` without a seed."""
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        yield observation, float(reward), terminated, truncated, info
        if terminated or truncated:
            env.reset()


def until_life_lost(env: Env, action: int = FIRE) -> tuple[int, dict[str, Any]]:
    """How many steps the first life lasts under one action, and the info of the last."""
    for step in count(1):
        _, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return step, info
    raise AssertionError


# ---------------------------------------------------------------- what the agent sees


def test_an_observation_is_four_frames_of_84_by_84_and_begins_with_zeros() -> None:
    env = Atari().make("pong")
    first, info = env.reset(seed=0)
    assert first.shape == (4, 84, 84)
    assert first.dtype == np.uint8
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
    assert first.any(axis=(1, 2)).tolist() == [False, False, False, True]
    assert info == {"lives": 0}
    second = env.step(2)[0]
    assert second.any(axis=(1, 2)).tolist() == [False, False, True, True]
    np.testing.assert_array_equal(second[2], first[3])
    assert getattr(env, "frame_stack", None) == 4


def test_what_was_given_away_stays_as_it_is() -> None:
    env = Atari().make("breakout")
    kept = [env.reset(seed=0)[0]]
    copies = [kept[0].copy()]
    for observation, *_ in play(env, actions_of(env, 60)):
        kept.append(observation)
        copies.append(observation.copy())
    assert all((one == other).all() for one, other in zip(kept, copies, strict=True))


@pytest.mark.parametrize("game", ["seaquest", "space_invaders"])
def test_a_frame_is_the_brighter_of_the_last_two_of_four_resized(game: str, recorders: list[Recorder]) -> None:
    resize = Bilinear((210, 160), (84, 84))
    rules = attrs.evolve(BARE, life_loss="never")
    bright, last = rules.make(game), attrs.evolve(rules, frame_pool="last").make(game)
    bright.reset(seed=0)
    last.reset(seed=0)
    differing = 0
    recorders[0].keep_screens = True
    for action in actions_of(bright, 60):
        recorders[0].screens.clear()
        observation, other = bright.step(action)[0], last.step(action)[0]
        *_, before, screen = recorders[0].screens
        assert len(recorders[0].screens) == 4
        np.testing.assert_array_equal(observation[-1], resize(np.maximum(before, screen)))
        np.testing.assert_array_equal(other[-1], resize(screen))
        differing += bool((observation[-1] != other[-1]).any())
    assert differing > 5  # the rule is seen at work


def test_an_action_is_repeated_over_the_skipped_frames(recorders: list[Recorder]) -> None:
    for skip in (1, 3, 4):
        env = attrs.evolve(BARE, frame_skip=skip).make("pong")
        env.reset(seed=0)
        recorders[-1].frames.clear()
        env.step(3)
        assert env.get_wrapper_attr("frame_skip") == skip
        assert [action for action, _ in recorders[-1].frames] == [ale_py.Action.LEFT.value] * skip


def test_the_stack_and_the_screen_have_the_size_asked_for() -> None:
    env = Atari(frame_stack=2, screen_size=64).make("pong")
    assert env.reset(seed=0)[0].shape == (2, 64, 64)
    assert env.observation_space.shape == (2, 64, 64)
    assert getattr(env, "frame_stack", None) == 2


def test_full_action_space() -> None:
    assert Atari().make("pong").action_space == gymnasium.spaces.Discrete(6)
    assert Atari(full_action_space=True).make("pong").action_space == gymnasium.spaces.Discrete(18)


def test_render_is_the_screen_in_colour() -> None:
    env = Atari().make("pong")
    env.reset(seed=0)
    screen = env.render()
    assert isinstance(screen, np.ndarray)
    assert screen.shape == (210, 160, 3)
    assert env.metadata["render_fps"] == 15


# ---------------------------------------------------------------- rewards


def test_the_reward_is_the_sign_of_the_sum_over_the_frames(recorders: list[Recorder]) -> None:
    env = BARE.make("pong")
    env.reset(seed=0)
    recorder = recorders[0]
    for frames, reward in [((5, 0, 0, 0), 1), ((7, 7, 7, 0), 1), ((1, 1, -3, 0), -1), ((2, -2, 0, 0), 0)]:
        recorder.frames.clear()
        recorder.script = dict(enumerate(frames))
        _, given, _, _, info = env.step(0)
        assert given == reward
        assert info["raw_reward"] == sum(frames)


@pytest.mark.parametrize("game", ["pong", "krull"])
def test_rewards_are_those_of_the_emulator(game: str, recorders: list[Recorder]) -> None:
    env = BARE.make(game)
    env.reset(seed=0)
    seen: Counter[float] = Counter()
    recorders[0].frames.clear()
    for _, reward, _, _, info in play(env, actions_of(env, 200)):
        score = sum(reward for _, reward in recorders[0].frames[-4:])
        assert info["raw_reward"] == score
        assert reward == np.sign(score)
        seen[reward] += 1
    assert seen[-1.0 if game == "pong" else 1.0] > 0


@pytest.mark.parametrize(("rules", "evaluation"), [(BARE, True), (attrs.evolve(BARE, reward="raw"), False)])
def test_raw_rewards(rules: Atari, evaluation: bool) -> None:
    env = rules.make("space_invaders", evaluation=evaluation)
    env.reset(seed=0)
    rewards = [(reward, info["raw_reward"]) for _, reward, _, _, info in play(env, actions_of(env, 150))]
    assert all(reward == raw for reward, raw in rewards)
    assert max(raw for _, raw in rewards) > 1


# ---------------------------------------------------------------- starts


def test_a_game_begins_with_1_to_30_frames_without_action(recorders: list[Recorder]) -> None:
    env = Atari().make("pong")
    env.reset(seed=0)
    drawn: Counter[int] = Counter()
    for _ in range(150):
        recorders[0].frames.clear()
        env.reset()
        assert {action for action, _ in recorders[0].frames} == {NOOP}
        drawn[len(recorders[0].frames)] += 1
    assert set(drawn) == set(range(1, 31))
    assert max(drawn.values()) < 15  # 5 each are expected


@pytest.mark.parametrize("most", [0, 1, 5])
def test_noop_max(most: int, recorders: list[Recorder]) -> None:
    env = Atari(noop_max=most).make("pong")
    env.reset(seed=0)
    for _ in range(20):
        recorders[0].frames.clear()
        env.reset()
        assert min(most, 1) <= len(recorders[0].frames) <= most


# ---------------------------------------------------------------- ends


def test_a_lost_life_is_a_terminal_and_the_game_goes_on(recorders: list[Recorder]) -> None:
    env = BARE.make("breakout")
    assert env.reset(seed=0)[1]["lives"] == 5
    recorder = recorders[0]
    _, info = until_life_lost(env)
    assert info["life_lost"]
    assert info["lives"] == 4
    assert not recorder.game_over()

    recorder.frames.clear()
    recorder.script = {0: 1000}
    frame = recorder.getEpisodeFrameNumber()
    observation, info = env.reset()
    assert recorder.frames == [(NOOP, 1000)]  # the extra frame, its reward nobody's
    assert recorder.getEpisodeFrameNumber() == frame + 1
    assert info["lives"] == 4
    assert observation.any(axis=(1, 2)).tolist() == [False, False, False, True]
    screen = Bilinear((210, 160), (84, 84))(recorder.getScreenGrayscale())
    np.testing.assert_array_equal(observation[-1], screen)
    _, _, terminated, truncated, info = env.step(NOOP)
    assert (terminated, truncated, info["life_lost"], info["raw_reward"]) == (False, False, False, 0)


@pytest.mark.parametrize("evaluation", [False, True])
def test_the_last_life_is_the_end_of_the_game(evaluation: bool) -> None:
    env = BARE.make("breakout", evaluation=evaluation)
    env.reset(seed=0)
    ends = [until_life_lost(env)[1]]
    while ends[-1]["life_lost"]:
        env.reset()
        ends.append(until_life_lost(env)[1])
    assert [end["lives"] for end in ends] == [4, 3, 2, 1, 0]
    assert env.reset()[1]["lives"] == 5


@pytest.mark.parametrize(("life_loss", "evaluation"), [("never", False), ("never", True), ("training", True)])
def test_lives_do_not_matter_where_they_are_not_to(life_loss: str, evaluation: bool) -> None:
    env = options.build(Atari, {"life_loss": life_loss}, "atari").make("breakout", evaluation=evaluation)
    env.reset(seed=0)
    _, info = until_life_lost(env)
    assert info["lives"] == 0
    assert not info["life_lost"]


def test_life_loss_in_training_alone() -> None:
    env = Atari(life_loss="training").make("breakout")
    env.reset(seed=0)
    assert until_life_lost(env)[1]["life_lost"]


def test_no_lives_left_is_no_lost_life_while_the_game_goes_on(recorders: list[Recorder]) -> None:
    env = BARE.make("pong")
    recorders[0].lives = lambda: 1  # type: ignore[method-assign]
    env.reset(seed=0)
    recorders[0].lives = lambda: 0  # type: ignore[method-assign]
    _, _, terminated, truncated, info = env.step(0)
    assert (terminated, truncated, info["life_lost"], info["lives"]) == (False, False, False, 0)


def test_a_seed_begins_a_new_game_also_after_a_lost_life(recorders: list[Recorder]) -> None:
    env = Atari().make("breakout")
    first = env.reset(seed=3)[0]
    begun = recorders[0].frames.copy()
    until_life_lost(env)
    recorders[0].frames.clear()
    again, info = env.reset(seed=3)
    assert info["lives"] == 5
    assert recorders[0].frames == begun
    assert len(begun) > 1
    np.testing.assert_array_equal(first, again)


def test_a_reset_in_the_middle_of_a_life_begins_a_new_game() -> None:
    env = BARE.make("breakout")
    env.reset(seed=0)
    until_life_lost(env)
    assert [env.reset()[1]["lives"] for _ in range(2)] == [4, 5]
    env.step(FIRE)
    assert env.reset()[1]["lives"] == 5


def test_after_an_end_comes_a_reset() -> None:
    env = BARE.make("breakout")
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    until_life_lost(env)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(0)


def test_the_cap_is_27_000_agent_steps() -> None:
    assert Atari().frame_cap == 27_000 * Atari().frame_skip


@pytest.mark.parametrize(("time_limit", "end"), [("terminal", (True, False)), ("truncated", (False, True))])
def test_the_cap_ends_a_game(time_limit: str, end: tuple[bool, bool]) -> None:
    rules = options.build(Atari, {"frame_cap": 38, "time_limit": time_limit}, "atari")
    env = rules.make("pong")
    env.reset(seed=0)
    for _ in range(2):  # the count begins anew with each game
        flags = [env.step(0)[2:4] for _ in range(9)]  # frames before the first step are not counted
        assert set(flags) == {(False, False)}
        *_, terminated, truncated, info = env.step(0)
        assert (terminated, truncated) == end
        assert not info["life_lost"]
        env.reset()


def test_the_cap_counts_over_all_lives_and_ends_the_game_also_with_a_life() -> None:
    env = BARE.make("breakout")
    env.reset(seed=0)
    first, _ = until_life_lost(env)
    env.reset()
    second, _ = until_life_lost(env)
    for time_limit in ("terminal", "truncated"):
        made = {"noop_max": 0, "frame_cap": 4 * (first + second), "time_limit": time_limit}
        env = options.build(Atari, made, "atari").make("breakout")
        env.reset(seed=0)
        assert until_life_lost(env)[1]["life_lost"]
        env.reset()
        for _ in range(second - 1):
            assert env.step(FIRE)[2:4] == (False, False)
        *_, terminated, truncated, info = env.step(FIRE)
        # To the agent the life's end is what it always is; the game is over all the same
        assert (terminated, truncated, info["life_lost"], info["lives"]) == (True, False, False, 3)
        assert env.reset()[1]["lives"] == 5


# ---------------------------------------------------------------- exactness


def digest(env: Env, actions: Iterable[int]) -> tuple[str, int]:
    """Everything that comes of these actions, and how many lives were lost on the way."""
    found, lives = sha256(), 0
    for observation, reward, terminated, truncated, info in play(env, actions):
        found.update(observation.tobytes())
        found.update(repr((reward, terminated, truncated, sorted(info.items()))).encode())
        lives += info["life_lost"]
    return found.hexdigest(), lives


@pytest.mark.parametrize("sticky", [0.0, 0.25])
@pytest.mark.parametrize("game", ["pong", "breakout", "qbert"])
def test_a_seed_and_the_actions_rebuild_an_episode(game: str, sticky: float) -> None:
    rules = Atari(sticky=sticky)
    played, fresh = rules.make(game), rules.make(game)
    actions = actions_of(played, 300)
    played.reset(seed=1)
    before, _ = digest(played, actions[:40])
    played.reset(seed=7)
    first, lives = digest(played, actions)
    fresh.reset(seed=7)
    assert digest(fresh, actions)[0] == first
    assert lives > 0 or game == "pong"
    fresh.reset(seed=7)
    assert digest(fresh, actions[:40])[0] != before


def test_sticky_actions_are_repeated() -> None:
    for sticky in (0.0, 1.0):  # a button that is never heard launches no ball
        env = attrs.evolve(BARE, life_loss="never", sticky=sticky).make("breakout")
        env.reset(seed=0)
        lives = [info["lives"] for *_, info in play(env, [FIRE] * 50)]
        assert (lives[-1] < 5) == (sticky == 0)


@pytest.mark.parametrize(
    ("game", "sticky"),
    [("pong", 0.0), ("breakout", 0.0), ("space_invaders", 0.0), ("ms_pacman", 0.0), ("breakout", 0.25)],
)
def test_the_same_stream_as_gymnasiums_preprocessing(game: str, sticky: float) -> None:
    rules = Atari(noop_max=0, life_loss="never", reward="raw", resize="area", sticky=sticky)
    env = rules.make(game)
    full = str(rules.find(game))
    bare: Env = gymnasium.make(full, frameskip=1, repeat_action_probability=sticky, disable_env_checker=True)
    emulator: Any = bare.unwrapped
    reference = FrameStackObservation(AtariPreprocessing(bare, noop_max=0), 4, padding_type="zero")

    def start(seed: int) -> None:
        emulator.ale.setInt("random_seed", int(seeding.np_random(seed)[0].integers(2**31)))
        emulator.load_game()
        np.testing.assert_array_equal(env.reset(seed=seed)[0], reference.reset()[0])

    start(seed=5)
    rewards = 0.0
    for action in actions_of(env, 300):
        ours, reward, terminated, truncated, _ = env.step(action)
        theirs, *expected = reference.step(action)
        assert [reward, terminated, truncated] == expected[:3]
        rewards += abs(float(reward))
        if terminated:  # theirs stops at the frame of the end, but shows the one of the step before
            start(seed=6)
        else:
            np.testing.assert_array_equal(ours, theirs)
    assert rewards > 0


# ---------------------------------------------------------------- names and errors


def test_all_26_games_of_atari_100k_are_there() -> None:
    family = Atari()
    for game in ATARI_100K:
        full = f"ALE/{game}-v5"
        assert family.find(game) == family.find(game.lower()) == family.find(full) == full
        env = family.make(full)
        first, _ = env.reset()
        assert env.observation_space.contains(first)
        assert isinstance(env.action_space, gymnasium.spaces.Discrete)
        assert 3 <= env.action_space.n <= 18


@pytest.mark.parametrize("task", ["pong", "Pong", "PONG", "ALE/Pong-v5", "ale/pong-v5"])
def test_spellings(task: str) -> None:
    assert Atari().find(task) == "ALE/Pong-v5"


@pytest.mark.parametrize("task", ["ms_pacman", "MsPacman", "mspacman", "Ms Pacman"])
def test_spellings_of_two_words(task: str) -> None:
    assert Atari().find(task) == "ALE/MsPacman-v5"


@pytest.mark.parametrize(
    "task",
    ["", "pung", "ALE/", "ALE/Pong-v4", "Pong-v4", "PongNoFrameskip-v4", "CartPole-v1", "dm_control/pong-v0", "a:b"],
)
def test_other_names_are_not_ours(task: str) -> None:
    assert Atari().find(task) is None


def test_every_task_is_found() -> None:
    family = Atari()
    assert len(family.tasks()) > 100
    assert all(family.find(task) == task for task in family.tasks())


def test_scores_are_human_normalised() -> None:
    family = Atari()
    assert family.normalise("pong", -20.7) == 0
    assert family.normalise("ALE/Pong-v5", 14.6) == 1
    assert family.normalise("tetris", 100) is None
    assert family.normalise("CartPole-v1", 100) is None
    assert family.references("pong") == {"random": -20.7, "human": 14.6}
    assert family.references("tetris") == family.references("CartPole-v1") == {}


def test_scores_are_means_of_100_games() -> None:
    assert Atari.eval_episodes == 100


def test_an_unknown_game() -> None:
    with pytest.raises(UsageError, match=r"^no Atari game 'pung'; did you mean 'pong'\?$"):
        Atari().make("pung")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("sticky", 1.5, "sticky must be between 0 and 1"),
        ("sticky", "often", "sticky must be a number"),
        ("noop_max", -1, "noop_max must be at least 0"),
        ("frame_skip", 0, "frame_skip must be at least 1"),
        ("frame_stack", 2.5, "frame_stack must be an integer"),
        ("frame_cap", 0, "frame_cap must be at least 1"),
        ("screen_size", 200, "screen_size must be between"),
        ("resize", "nearest", "resize must be one of bilinear, area"),
        ("life_loss", False, "life_loss must be one of always, training, never"),
        ("reward", "clip", "reward must be one of sign, raw"),
        ("time_limit", "none", "time_limit must be one of terminal, truncated"),
        ("frame_pool", "mean", "frame_pool must be one of max, last"),
        ("full_action_space", 1, "full_action_space must be true or false"),
    ],
)
def test_values_out_of_range(option: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.build(Atari, {option: value}, "atari")


def test_without_ale_py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    family = Atari()
    assert family.find("pong") == "ALE/Pong-v5"
    assert "ALE/Pong-v5" in family.tasks()
    with pytest.raises(UsageError, match=r"^Atari games need ale-py \(.*\); install it with: pip install ale-py$"):
        family.make("pong")


def test_without_the_rom(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ALE_ROMS_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=r"^cannot read the ROM of ALE/Pong-v5 \(.*\); unset ALE_ROMS_DIR or .*$"):
        Atari().make("pong")
    (tmp_path / "pong.bin").write_bytes(b"no game")
    with pytest.raises(UsageError, match="does not match"):
        Atari().make("pong")
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed() -> None:
    script = (
        "from plastic.envs.atari import Atari\n"
        "env = Atari().make('pong')\n"
        "env.reset(seed=0)\n"
        "env.step(0)\n"
        "env.close()\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_environment_is_one_of_gymnasiums() -> None:
    env = Atari().make("pong")
    assert isinstance(env, AtariGame)
    assert env.unwrapped is env
    assert env.render_mode == "rgb_array"


def test_a_run_learns_how_many_frames_a_step_is() -> None:
    env = Atari(frame_skip=3, frame_stack=2).make("pong")
    assert (env.get_wrapper_attr("frame_skip"), env.get_wrapper_attr("frame_stack")) == (3, 2)
