"""What an agent need not write itself, and one with several learners as small as can be."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from attrs import define, field, frozen
from numpy.typing import NDArray
from torch import Tensor, nn

from plastic.core.agent import Act, Agent, Observations, Preset, Site
from plastic.core.edits import Edit
from plastic.core.intervention import PlasticityIntervention
from plastic.core.learning.learner import Knobs, Learner
from plastic.core.objective import Objective
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.runs.run_folder import read_metrics
from plastic.core.schedule import Always, Clock, Schedule
from plastic.core.streams import generator
from plastic.core.subject import Subject
from plastic.plugins.interventions.plasticity_injection import Injected
from plastic.testing.invariants import faults
from tests.core.runs.test_run import Stopping, outcome, start, take_up

MEMORY = 200


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 6), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(x))
        return y


class Recall(Objective):
    """Be like the target, plus one, on what was seen."""

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Tensor) -> Tensor | float:
        return copies["target"](batch) + 1 if "target" in copies else 1.0

    def losses(self, model: nn.Module, batch: Tensor, target: Tensor) -> Tensor:
        losses: Tensor = (model(batch) - target).square().sum(1)
        return losses

    def inputs(self, batch: Tensor) -> tuple[Tensor, ...]:
        return (batch,)

    def sample(self, generator: torch.Generator) -> Tensor:
        return self.pair.drawn(16, generator)


@define(eq=False)
class Pair(Agent):
    """A critic whose encoder an actor would share, and an actor."""

    name = "pair"
    presets: ClassVar[Mapping[str, Preset]] = {"only": Preset("", "")}
    defaults: ClassVar[Mapping[Observations, str]] = {"vector": "only"}
    actions = "discrete"
    environment = "walk"
    learns = ("critic", "actor")

    replay_ratio: float = 1.0
    learning_starts: int = 5

    learners: Mapping[str, Learner] = field(init=False)
    knobs: Knobs = field(init=False)
    _memory: Tensor = field(init=False)
    _seen: int = field(default=0, init=False)
    _draws: torch.Generator = field(init=False)

    def begin(self, site: Site) -> None:
        self.knobs = {"replay_ratio": self.replay_ratio}
        self._memory = torch.zeros(MEMORY, 3)
        self._draws = generator(site.seed, "pair")

        def learner(name: str) -> Learner:
            adam = partial(torch.optim.Adam, lr=1e-2)
            shared: dict[str, Any] = {"clock": site.clock, "seed": site.seed, "knobs": self.knobs}
            return Learner(name, self.network(name), Recall(self), adam, plugins=site.plugins[name], **shared)

        critic = learner("critic")
        critic.follow("target", rate=0.1)
        critic.follow("encoder", rate=1, path="encoder")
        self.learners = {"critic": critic, "actor": learner("actor")}

    def network(self, name: str) -> Callable[[], nn.Module]:
        return Body

    def drawn(self, size: int, draws: torch.Generator) -> Tensor:
        return self._memory[torch.randint(min(self._seen, MEMORY), (size,), generator=draws)]

    def _remember(self, observation: NDArray[Any]) -> None:
        self._memory[self._seen % MEMORY] = torch.from_numpy(observation)
        self._seen += 1

    def start_episode(self, observation: NDArray[Any]) -> None:
        self._remember(observation)

    def act(self, observation: NDArray[Any]) -> int:
        return int(torch.randint(2, (), generator=self._draws))

    def observe(self, action: Any, reward: float, observation: NDArray[Any], terminated: bool, truncated: bool) -> None:
        self._remember(observation)

    def learn(self) -> None:
        for learner in self.learners.values():
            learner.learn(self.drawn(8, self._draws))

    def policy(self, generator: torch.Generator) -> Act:
        @torch.no_grad()
        def act(observations: NDArray[Any]) -> NDArray[Any]:
            actions: NDArray[Any] = self.learners["actor"].model(torch.from_numpy(observations)).argmax(1).numpy()
            return actions

        return act

    def state_dict(self) -> dict[str, Any]:
        return {"memory": self._memory, "seen": self._seen, "draws": self._draws.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._memory.copy_(state["memory"])
        self._seen = state["seen"]
        self._draws.set_state(state["draws"])


def site(clock: Clock, plugins: Mapping[str, Sequence[Plugin]]) -> Site:
    return Site(
        observation_space=gymnasium.spaces.Box(-1, 1, (3,), np.float32),
        action_space=gymnasium.spaces.Discrete(2),
        frame_stack=1,
        frame_pad="zeros",
        plugins=plugins,
        clock=clock,
        seed=0,
        device=torch.device("cpu"),
    )


RECIPE = Recipe(
    agent="tests.core.test_agent:Pair",
    env="walk",
    steps=40,
    settings={"eval_episodes": 2, "log_every": 10, "checkpoint_every": 15},
    plugins=(
        Chosen("reset", {"when": 9}, "critic"),
        Chosen("plasticity_injection", {"module": "encoder", "when": 20}),
        Chosen("weight_norm", {"when": 10}),
    ),
)


def test_an_agent_of_two_learners_runs_and_measures_under_their_names(tmp_path: Path) -> None:
    run = start(tmp_path / "run", RECIPE)
    assert run.train() is not None
    records = read_metrics(run.folder.metrics)
    (last,) = [record for record in records if record["kind"] == "train" and record["agent_steps"] == 40]
    assert {key for key in last if "/" in key} == {"critic/loss", "actor/loss"}
    probes = [record for record in records if record["kind"] == "probe"]
    assert [record["updates"] for record in probes] == [10, 20, 30]
    assert {key for key in probes[0] if "/" in key} == {
        f"{learner}/weight_norm/{part}" for learner in ("critic", "actor") for part in ("encoder", "head", "total")
    }


def test_every_network_is_measured_before_any_is_edited(tmp_path: Path) -> None:
    """The edit of one learner's tick is seen by no probe of another, which may read that network, too."""
    order: list[str] = []

    @frozen(eq=False)
    class Watch(Probe):
        name = "watch"
        when: Schedule = Always()

        def measure(self, subject: Subject) -> Mapping[str, Tensor]:
            order.append("measured")
            return {"nothing": torch.zeros(())}

    @frozen(eq=False)
    class Touch(PlasticityIntervention):
        name = "touch"
        when: Schedule = Always()

        def edits(self, subject: Subject) -> Iterable[Edit]:
            order.append("edited")
            return ()

    agent = Pair()
    clock = Clock()
    agent.begin(site(clock, {name: (Watch(), Touch()) for name in Pair.learns}))
    agent.start_episode(np.zeros(3, np.float32))
    clock.advance(updates=1)
    agent.update()
    agent.tend()
    assert order == ["measured", "measured", "edited", "edited"]


def test_a_copy_of_the_part_that_is_injected_is_injected_and_follows(tmp_path: Path) -> None:
    run = start(tmp_path / "run", RECIPE)
    run.train()
    critic = run.agent.learners["critic"]
    assert isinstance(critic.model.get_submodule("encoder"), Injected)
    assert isinstance(critic.copies["encoder"], Injected)
    for learner in run.agent.learners.values():
        assert faults(learner) == []
    observations = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32))
    encoded = critic.model.get_submodule("encoder")(observations)
    assert torch.equal(critic.copies["encoder"](observations), encoded)


@pytest.mark.parametrize("stop", [4, 22, 29, 35])
def test_an_agent_of_two_learners_is_taken_up_bit_for_bit(tmp_path: Path, stop: int) -> None:
    start(tmp_path / "one", RECIPE).train()
    assert start(tmp_path / "two", RECIPE, Stopping(stop)).train() is None
    assert take_up(tmp_path / "two", RECIPE).train() is not None
    assert outcome(tmp_path / "two") == outcome(tmp_path / "one")
