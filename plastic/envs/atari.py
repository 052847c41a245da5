"""Atari 2600 games under the protocol of Atari-100k, each rule of it an option."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import gymnasium
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import UsageError, suggestion
from plastic.core.validators import between
from plastic.envs.atari_scores import REFERENCES, human_normalised
from plastic.envs.resize import RESIZES

Observation = NDArray[np.uint8]  # [frame_stack, screen_size, screen_size], newest frame last


@frozen
class Atari(EnvFamily):
    """Atari through ale-py: by default the rules that PLASTIC and its predecessors train DrQ-Rainbow under.

    They are those of its released code (Lee et al., 2023, arXiv:2306.10711, table 4). What Machado et al. (2018,
    arXiv:1709.06009) recommend instead is `sticky=0.25 noop_max=0 life_loss=never full_action_space=true`.

    A frame is one picture of the emulator, a sixtieth of a second. The frames that an agent step skips all
    hear the same action.

    Attributes:
        frame_skip: Frames an agent step.
        frame_pool: What the agent sees of the skipped frames: the brighter of the `last` two, pixel by pixel
            (`max`: sprites flicker), or the last one. Of a single frame there is nothing to pool.
        frame_stack: Agent steps whose pictures make an observation; zeros before the start.
        screen_size: Height and width of an observation, pixels.
        resize: `bilinear`, or means over the `area` that a pixel covers, as Dopamine and Gymnasium; scores differ.
        noop_max: Before the first observation of a game come 1 to this many frames without action, drawn
            uniformly; 0 is none.
        life_loss: Where the loss of a life is a terminal though the game goes on: `always`, in `training` or
            `never`. Next, one frame without action is played, its reward dropped, and the stack begins again
            from zeros. The last life is the game's end, and never counts.
        sticky: Probability that a frame repeats the action of the frame before.
        frame_cap: Frames after which a game ends; those without action at its start are not counted.
        time_limit: What that end is to the agent: a `terminal`, as in PLASTIC's code, or `truncated`, so that
            the last state is still worth something.
        reward: The `sign` of an agent step's score, or the score, `raw`. It is raw in evaluation.
        full_action_space: All 18 actions instead of those that do something in the game.
    """

    name = "atari"
    eval_episodes = 100

    frame_skip: int = field(default=4, validator=between(1))
    frame_pool: Literal["max", "last"] = "max"
    frame_stack: int = field(default=4, validator=between(1))
    screen_size: int = field(default=84, validator=between(8, 160))  # a screen is 160 wide: nothing is stretched
    resize: Literal["bilinear", "area"] = "bilinear"
    noop_max: int = field(default=30, validator=between(0))
    life_loss: Literal["always", "training", "never"] = "always"
    sticky: float = field(default=0.0, validator=between(0, 1))
    frame_cap: int = field(default=108_000, validator=between(1))
    time_limit: Literal["terminal", "truncated"] = "terminal"
    reward: Literal["sign", "raw"] = "sign"
    full_action_space: bool = False

    def tasks(self) -> Sequence[str]:
        """Of every game ale-py brings; where it cannot be imported, of those with reference scores."""
        try:
            return sorted(_roms())
        except UsageError:
            return [f"ALE/{game}-v5" for game in REFERENCES]

    def find(self, task: str) -> str | None:
        """A game by its id, or by its name in any spelling: `ms_pacman`, `MsPacman`, `ALE/MsPacman-v5`."""
        spelt = _SPELLING.fullmatch(task)
        if spelt is None:  # before ale-py is imported for somebody else's id
            return None
        return {_letters(_game(full)): full for full in self.tasks()}.get(_letters(spelt["game"]))

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        """A game; in evaluation with raw rewards.

        Raises:
            UsageError: If there is no such game, or ale-py or its ROM cannot be loaded.
        """
        full = self.find(task)
        if full is None:
            raise UsageError(f"no Atari game {task!r}; {suggestion(task.lower(), map(str.lower, REFERENCES))}")
        return AtariGame(_rom_path(full), self, evaluation=evaluation)

    def normalise(self, task: str, score: float) -> float | None:
        """Human-normalised: 0 is a random player, 1 a human."""
        full = self.find(task)
        return None if full is None else human_normalised(_game(full), score)

    def references(self, task: str) -> Mapping[str, float]:
        """A random player's score and a human's, where they are known."""
        full = self.find(task)
        known = None if full is None else REFERENCES.get(_game(full))
        return {} if known is None else {"random": known.random, "human": known.human}


class AtariGame(gymnasium.Env[Observation, Any]):
    """One game, under the rules of an `Atari`.

    The info of a step holds `raw_reward`, the score of its frames; `lives`; and `life_lost`, true where the
    step is terminal though the game goes on. The next `reset()` then continues it. Any other `reset()` begins
    a game, with a seed as that seed determines it, whatever was played before.

    Args:
        rom: Path of the game.
        rules: What the agent sees and is rewarded for.
        evaluation: Whether scores are to be reported.
    """

    render_mode = "rgb_array"

    def __init__(self, rom: Path, rules: Atari, *, evaluation: bool = False) -> None:
        ale_py = _ale_py()
        # The emulator announces itself on standard error as soon as it is made
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", rules.sticky)
        self._rom = rom
        self._load()  # only the game knows its actions

        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 60 / rules.frame_skip}
        self.frame_stack = rules.frame_stack
        self.frame_skip = rules.frame_skip
        stack = (rules.frame_stack, rules.screen_size, rules.screen_size)
        self.observation_space = gymnasium.spaces.Box(0, 255, stack, np.uint8)
        meanings = self._ale.getLegalActionSet() if rules.full_action_space else self._ale.getMinimalActionSet()
        self._actions: list[int] = [action.value for action in meanings]
        self._noop: int = ale_py.Action.NOOP.value
        self.action_space = gymnasium.spaces.Discrete(len(self._actions))

        self._rules = rules
        self._raw = evaluation or rules.reward == "raw"
        self._life_loss = rules.life_loss == "always" or (rules.life_loss == "training" and not evaluation)
        self._pool = rules.frame_pool == "max" and rules.frame_skip > 1
        size = self._ale.getScreenDims()
        self._resize = RESIZES[rules.resize](size, stack[1:])
        self._screen = np.empty(size, np.uint8)
        self._screen_before = np.empty(size, np.uint8)
        self._observation = np.zeros(stack, np.uint8)
        self._lives = 0
        self._frames = 0  # of this game that the agent has played
        self._life_lost = False  # by the last step, and the game goes on
        self._playing = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self._load()
        if self._life_lost and seed is None:
            self._ale.act(self._noop)
        else:
            self._begin()
        self._life_lost = False
        self._playing = True
        self._lives = self._ale.lives()
        self._ale.getScreenGrayscale(self._screen)
        self._observation = np.zeros_like(self._observation)
        return self._see(), {"lives": self._lives}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if not self._playing:
            raise gymnasium.error.ResetNeeded("the game or the life is over; call reset() before step()")
        ale, code = self._ale, self._actions[action]
        score = 0
        for _ in range(self.frame_skip - 1):  # once the game is over the emulator stands still
            score += ale.act(code)
        if self._pool:
            ale.getScreenGrayscale(self._screen_before)
        score += ale.act(code)
        ale.getScreenGrayscale(self._screen)
        if self._pool:
            np.maximum(self._screen, self._screen_before, out=self._screen)
        self._frames += self.frame_skip

        over = ale.game_over()
        lives = ale.lives()
        lost = self._life_loss and 0 < lives < self._lives and not over
        capped = self._frames >= self._rules.frame_cap and not over
        terminated = over or lost or (capped and self._rules.time_limit == "terminal")
        truncated = capped and not terminated
        self._lives = lives
        self._life_lost = lost and not capped
        self._playing = not (terminated or truncated)
        reward = float(score if self._raw else (score > 0) - (score < 0))
        info = {"raw_reward": float(score), "lives": lives, "life_lost": self._life_lost}
        return self._see(), reward, terminated, truncated, info

    def render(self) -> NDArray[np.uint8]:  # [height, width, 3]
        """The screen as a person sees it."""
        screen: NDArray[np.uint8] = self._ale.getScreenRGB()
        return screen

    def _load(self) -> None:
        # The emulator takes a seed only when it loads a game (0.1 s); -1 would be the clock
        self._ale.setInt("random_seed", int(self.np_random.integers(2**31)))
        self._ale.loadROM(self._rom)

    def _begin(self) -> None:
        self._frames = 0
        noops = int(self.np_random.integers(1, self._rules.noop_max, endpoint=True)) if self._rules.noop_max else 0
        self._ale.reset_game()
        for _ in range(noops):
            self._ale.act(self._noop)
            if self._ale.game_over():
                self._ale.reset_game()

    def _see(self) -> Observation:
        # A new array each time: what was given away stays as it is
        observation = np.empty_like(self._observation)
        observation[:-1] = self._observation[1:]
        observation[-1] = self._resize(self._screen)
        self._observation = observation
        return observation


_SPELLING = re.compile(r"(?:ALE/)?(?P<game>[a-z][\w ]*)(?:-v5)?", re.IGNORECASE)


def _letters(game: str) -> str:
    return re.sub(r"[\W_]", "", game).lower()


def _game(full: str) -> str:
    return full.removeprefix("ALE/").removesuffix("-v5")


def _ale_py() -> ModuleType:
    # Imported late: it takes 0.2 s, and where it is broken the other environments must stay usable
    try:
        return import_module("ale_py")
    except ImportError as error:
        raise UsageError(f"Atari games need ale-py ({error}); install it with: pip install ale-py") from error


def _roms() -> Mapping[str, str]:
    """Full ids and the names of their ROMs, as ale-py registers them on import."""
    _ale_py()
    registered = gymnasium.registry.items()
    return {name: spec.kwargs["game"] for name, spec in registered if name.startswith("ALE/")}


def _rom_path(full: str) -> Path:
    game = _roms()[full]
    try:
        # It prints the folder that ALE_ROMS_DIR names
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            path: Path = import_module("ale_py.roms").get_rom_path(game)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot read the ROM of {full} ({reason}); unset ALE_ROMS_DIR or reinstall ale-py") from error
    return path
