"""A run: acting, learning, looking, evaluating and checkpointing, in one loop."""

import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from attrs import asdict, frozen

from plastic.core.errors import RunError
from plastic.core.recipes.assemble import Assembly, frame_skip
from plastic.core.runs import checkpoint
from plastic.core.runs.episodes import Episodes
from plastic.core.runs.evaluation import evaluate
from plastic.core.runs.listener import Listener
from plastic.core.runs.restoring import fitting, load_learners
from plastic.core.runs.run_folder import Lines, RunFolder, dumps
from plastic.core.runs.versions import versions
from plastic.core.schedule import Counts
from plastic.core.streams import derive


@frozen
class Result:
    """The final evaluation."""

    scores: tuple[float, ...]
    mean: float | None  # None where no game was played
    normalised: float | None  # on the environment's common scale, where it has one


class Run:
    """One assembled run in its folder. `train` carries it to its end, or to where `stop` is asked for."""

    def __init__(self, assembly: Assembly, folder: RunFolder, listeners: Sequence[Listener] = ()) -> None:
        self.assembly = assembly
        self.folder = folder
        self.listeners = tuple(listeners)
        self.agent = assembly.agent
        self.clock = assembly.clock
        self.settings = assembly.settings
        self.recipe = assembly.recipe
        self.stop = False  # set it, from a signal handler say, to end after this step with a checkpoint
        self.result: Result | None = None
        self._episodes = Episodes(assembly.env, self.recipe.seed, "episodes")
        self._frame_skip = frame_skip(assembly.env)
        self._metrics = Lines(folder.metrics)
        self._timing = Lines(folder.timing)
        self._owed = assembly.owed
        self._evaluation_owed = False  # one was stopped before its last game, or is that of the end
        self._observation: Any = None
        self._seconds = 0.0  # of earlier sessions
        self._since = time.monotonic()
        torch.set_num_threads(self.settings.threads)

    @property
    def seconds(self) -> float:
        """Wall-clock of the training so far, earlier sessions included."""
        return self._seconds + time.monotonic() - self._since

    def begin(self) -> None:
        """Write down what is run and with what, before the first step."""
        self.folder.write_text(self.folder.recipe, self.recipe.toml())
        self.folder.write_json(self.folder.path / "run.json", self._about())
        self._timing.append("agent_steps,updates,seconds")

    def discard_metrics(self) -> None:
        """Forget what an earlier session wrote before its first checkpoint."""
        self._metrics.cut(0)
        self._timing.cut(0)

    def _about(self) -> dict[str, Any]:
        return {
            "seed": self.recipe.seed,
            "threads": self.settings.threads,
            "device": self.recipe.device,
            "preset": self.assembly.preset,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
            "versions": versions(),
            **self.assembly.family.about(),
        }

    def train(self) -> Result | None:
        """To the end, the final evaluation included; None if it was stopped before.

        Raises:
            RunError: If a loss is not finite or a file cannot be written. The last good checkpoint stays.
        """
        self._since = time.monotonic()
        try:
            for listener in self.listeners:
                listener.started(self)
            if self._observation is None:
                torch.manual_seed(derive(self.recipe.seed, "torch"))  # what dropout draws from
                self._observation = self._episodes.begin()
                self.agent.start_episode(self._observation)
            if self._evaluation_owed and self.clock.now.agent_steps < self.recipe.steps:
                self._evaluate_between()
            while self.clock.now.agent_steps < self.recipe.steps and not self.stop:
                self._step()
                for listener in self.listeners:
                    listener.stepped(self)
            self._save()
            if not self.stop:
                self.result = self._final_evaluation()
        finally:
            if self.result is None:
                for listener in self.listeners:
                    listener.stopped(self)
        if self.result is not None:
            for listener in self.listeners:
                listener.finished(self, self.result)
        return self.result

    # ---------------------------------------------------------------- one agent step

    def _step(self) -> None:
        action = self.agent.act(self._observation)
        step = self._episodes.step(action)
        self.clock.advance(agent_steps=1, frames=self._frame_skip)
        self.agent.observe(action, step.reward, step.observation, step.terminated, step.truncated)
        self._observation = step.observation
        if step.terminated or step.truncated:
            if step.game_over:
                self.clock.advance(episodes=1)
                self._record_score("episode", score=self._episodes.score, length=self._episodes.length)
            self._observation = self._episodes.begin()
            self.agent.start_episode(self._observation)
        if self.clock.now.agent_steps >= self.agent.learning_starts:
            self._learn()
        self._regularly()

    def _learn(self) -> None:
        for _ in range(self._owed.after_step(self._ratio)):
            self.clock.advance(updates=1)
            self.agent.update()
            measured = self.agent.tend()
            self.clock.tick()
            if measured:
                self._record("probe", {key: float(value) for key, value in measured.items()})

    @property
    def _ratio(self) -> float:
        return float(self.agent.knobs["replay_ratio"])

    def _regularly(self) -> None:
        steps = self.clock.now.agent_steps
        if steps % self.settings.log_every == 0:
            self._log()
        if self.settings.evaluate_every and steps % self.settings.evaluate_every == 0:
            self._evaluation_owed = True
            if steps < self.recipe.steps:
                self._evaluate_between()
        if steps % self.settings.checkpoint_every == 0 and steps < self.recipe.steps:
            self._save()

    def _log(self) -> None:
        self._refuse_not_finite()
        averages: dict[str, float] = {}
        for name, learner in self.agent.learners.items():
            prefix = f"{name}/" if len(self.agent.learners) > 1 else ""
            averages |= {prefix + key: value for key, value in learner.averages().items()}
        if averages:
            self._record("train", averages)
        now = self.clock.now
        self._timing.append(f"{now.agent_steps},{now.updates},{self.seconds:.3f}")

    def _refuse_not_finite(self) -> None:
        for name, learner in self.agent.learners.items():
            update = learner.bad_update()
            if update is not None:
                kept = self.folder.checkpoints()
                where = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint had been written yet"
                raise RunError(f"loss, gradient or weights of {name} are not finite since update {update:,}; {where}")

    def _record_score(self, kind: str, *, score: float, **more: Any) -> None:
        normalised = self.assembly.family.normalise(self.recipe.env, score)
        extra = {} if normalised is None else {"normalised": normalised}
        self._record(kind, {"score": score, **extra, **more})

    def _record(self, kind: str, values: Mapping[str, Any]) -> None:
        record = {"kind": kind, **asdict(self.clock.now), **values}
        self._metrics.append(dumps(record))
        for listener in self.listeners:
            listener.recorded(record)

    # ---------------------------------------------------------------- evaluation

    def _evaluate(self) -> list[float]:
        games = self.assembly.games
        for listener in self.listeners:
            listener.evaluating(self, games)
        return evaluate(self.assembly, games, stop=lambda: self.stop)

    def _evaluate_between(self) -> None:
        scores = self._evaluate()
        self._evaluation_owed = self.stop
        if scores and not self._evaluation_owed:
            self._record_score("evaluation", score=sum(scores) / len(scores), scores=scores)

    def _final_evaluation(self) -> Result | None:
        scores = self._evaluate()
        if self.stop:
            return None
        mean = sum(scores) / len(scores) if scores else None
        normalised = None if mean is None else self.assembly.family.normalise(self.recipe.env, mean)
        if mean is not None:
            self._record_score("evaluation", score=mean, scores=scores)
        result = Result(tuple(scores), mean, normalised)
        self.folder.write_json(self.folder.result, asdict(result) | asdict(self.clock.now))
        return result

    # ---------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        self._refuse_not_finite()
        self._metrics.sync()
        path = self.folder.checkpoint(self.clock.now.agent_steps)
        checkpoint.write(path, self.state_dict(), {"plastic": versions()["plastic-rl"], **asdict(self.clock.now)})
        for old in (*self.folder.checkpoints()[: -self.settings.checkpoint_keep], *self.folder.unfinished()):
            old.unlink()

    def state_dict(self) -> dict[str, Any]:
        """Everything the rest of the run depends on."""
        return {
            "clock": {name: asdict(getattr(self.clock, name)) for name in ("now", "before")},
            "credit": self._owed.credit,
            "evaluation_owed": self._evaluation_owed,
            "agent": self.agent.state_dict(),
            "learners": {name: learner.state_dict() for name, learner in self.agent.learners.items()},
            "episodes": self._episodes.state_dict(),
            "metrics": self._metrics.size(),
            "timing": self._timing.size(),
            "seconds": self.seconds,
            "threads": self.settings.threads,
            "recipe": self.recipe.toml(),
            "torch": torch.get_rng_state(),
            "versions": versions(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called; the metrics are cut back to there.

        Raises:
            UsageError: If the state is of another agent, environment or list of plugins.
        """
        self.clock.now = Counts(**state["clock"]["now"])
        self.clock.before = Counts(**state["clock"]["before"])
        self._evaluation_owed = state["evaluation_owed"]
        load_learners(self.agent, state)
        with fitting():
            self.agent.load_state_dict(state["agent"])
        self._owed.take_up(state["credit"], self._ratio)
        self._observation = self._episodes.load_state_dict(state["episodes"])
        self._metrics.cut(state["metrics"])
        self._timing.cut(state["timing"])
        self._seconds = state["seconds"]
        torch.set_rng_state(state["torch"])
