"""SAC and DrQ-v2 on the real control suite, end to end: runs, resumes, policies, and what a user can get wrong."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import plastic
from plastic import running
from plastic.agents.sac import squashed
from plastic.cli.main import main
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.runs import checkpoint
from plastic.core.runs.run_folder import RunFolder, read_metrics
from plastic.core.streams import derive
from plastic.testing.invariants import faults
from tests.core.runs.test_run import Stopping, outcome

# Episodes of 50 agent steps from states and of 25 from pixels: a thousand control steps, and a time limit
SMALL = {
    "hidden": 8,
    "batch_size": 4,
    "learning_starts": 20,
    "replay_capacity": 1_000,
    "learning_rate": 1e-3,
    "probe_batch": 8,
    "eval_episodes": 2,
    "log_every": 10,
    "checkpoint_every": 30,
}
STATES = SMALL | {"action_repeat": 20}
PIXELS = SMALL | {"action_repeat": 40, "pixels": True, "render": "ray", "size": 16, "eval_episodes": 1}


def plugins(*texts: str) -> tuple[Chosen, ...]:
    return tuple(Chosen.parse(text) for text in texts)


COMMON = (
    'adaptive_rr:low=0.5,high=2,tolerance=1,when={every=1,of="episodes"}',
    'reset:when={every=15,of="agent_steps"}',
    "weight_norm:when=8",
)
RUNS = {
    "sac from states": Recipe(
        "sac", "cartpole-swingup", plugins=plugins("sam:on=both", *COMMON), steps=75, settings=STATES
    ),
    "sac from pixels": Recipe(
        "sac",
        "reacher-easy",
        plugins=plugins("sam:on=critic,scope=encoder_grad", *COMMON, "augmentation:off_at=33,of=agent_steps"),
        steps=40,
        settings=PIXELS,
    ),
    "drqv2 from pixels": Recipe(
        "drqv2",
        "pendulum-swingup",
        plugins=plugins("sam:on=actor", *COMMON[:2]),
        steps=36,
        settings=PIXELS | {"eval_episodes": 0},
    ),
}
# One in two agent steps from the 20th on; the first after the end of an episode makes them two in each step
UPDATES = {"sac from states": 16 + 2 * 24, "sac from pixels": 3 + 2 * 15, "drqv2 from pixels": 3 + 2 * 11}


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that nobody interrupted."""
    folder = tmp_path_factory.mktemp("control")
    for name, recipe in RUNS.items():
        running.run(recipe, folder / name)
    return {name: folder / name for name in RUNS}


@pytest.mark.parametrize(
    ("name", "stops"),
    [
        ("sac from states", [10, 37, 61]),  # before learning; in the first episode; in the second, at another ratio
        ("sac from pixels", [31]),  # in the second episode, before augmentation is switched off
        ("drqv2 from pixels", [29]),
    ],
)
def test_interrupted_in_an_episode_and_resumed_it_is_the_same_run(
    name: str, stops: Sequence[int], straight: dict[str, Path], tmp_path: Path
) -> None:
    """Metrics, result, and the last checkpoint with all weights, moments, streams and the replay: bit for bit."""
    path = tmp_path / "run"
    running.run(RUNS[name], path, [Stopping(stops[0])])
    for stop in stops:
        again = running.reopen(path, listeners=[Stopping(*(later for later in stops if later > stop))])
        assert again is not None
        assert again.clock.now.agent_steps == stop
        again.train()
    assert outcome(path) == outcome(straight[name])


@pytest.mark.parametrize("name", RUNS)
def test_a_run_does_what_its_plugins_say(name: str, straight: dict[str, Path]) -> None:
    records = read_metrics(straight[name] / "metrics.jsonl")
    recipe = RUNS[name]
    long = 50 if "states" in name else 25
    episodes = [record for record in records if record["kind"] == "episode"]
    assert [record["length"] for record in episodes] == [long] * (recipe.steps // long)
    assert all(0 <= record["score"] <= 1000 for record in records if record["kind"] in ("episode", "evaluation"))
    end = checkpoint.about(RunFolder(straight[name]).checkpoint(recipe.steps))
    assert end["updates"] == UPDATES[name]
    assert end["frames"] == recipe.steps * recipe.settings["action_repeat"]
    learners = ("critic", "actor", *(("temperature",) if recipe.agent == "sac" else ()))
    trained = [record for record in records if record["kind"] == "train" and record["agent_steps"] > 20]
    assert trained
    assert all(np.isfinite(record[f"{learner}/loss"]) for record in trained for learner in learners)
    about = json.loads((straight[name] / "run.json").read_text())
    assert ("renderer" in about) == ("pixels" in name)


@pytest.mark.parametrize("name", ["sac from states", "sac from pixels"])
def test_the_policy_that_is_loaded_acts_by_its_mean_as_the_evaluation_did(
    name: str, straight: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawing(*arguments: Any) -> Any:
        raise AssertionError("an action was drawn")

    monkeypatch.setattr(squashed, "sample", drawing)
    policy = plastic.load(straight[name])
    agent = policy.assembly.agent
    critic, actor = agent.learners["critic"], agent.learners["actor"]
    written = running.result_of(straight[name])
    env = policy.make_env()
    space: Any = env.action_space
    observation, _ = env.reset(seed=derive(0, "evaluation", written["agent_steps"], 0, 1) % 2**31)  # its first game
    score, over = 0.0, False
    while not over:
        action = policy.act(observation)
        seen = torch.from_numpy(observation)[None].float() / (255 if "pixels" in name else 1)
        with torch.no_grad():
            outputs = actor.model(critic.model.get_submodule("encoder")(seen))
        mean = outputs[0].chunk(2)[0].tanh().numpy()
        np.testing.assert_allclose(action, space.low + (mean + 1) / 2 * (space.high - space.low), atol=1e-5)
        assert space.contains(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        score += float(reward)
        over = terminated or truncated
    assert score == pytest.approx(written["scores"][0], rel=1e-3, abs=1e-6)
    assert [fault for learner in agent.learners.values() for fault in faults(learner)] == []


def test_any_continuous_gymnasium_task_will_do(tmp_path: Path) -> None:
    recipe = Recipe("sac", "Pendulum-v1", steps=40, settings={**SMALL, "eval_episodes": 1})
    run = running.run(recipe, tmp_path / "run")
    assert run.result is not None
    assert run.clock.now.updates == 21
    assert run.assembly.preset == "state"


# -------------------------------------------------------------------- what a user can get wrong

WRONG = {
    "discrete actions": (
        ["--agent", "sac", "--env", "CartPole-v1"],
        "sac needs continuous actions; this environment has Discrete(2): rainbow takes discrete ones",
    ),
    "continuous actions": (
        ["--agent", "rainbow", "--env", "cheetah-run"],
        "rainbow needs discrete actions; this environment has Box(-1.0, 1.0, (6,), float32): sac takes continuous ones",
    ),
    "actions without bounds": (["--agent", "sac", "--env", "lqr-lqr_2_1"], "sac needs actions between finite bounds"),
    "a task": (["--agent", "sac", "--env", "cheetah-rum"], "no environment 'cheetah-rum'; did you mean 'cheetah-run'?"),
    "an address": (
        ["--agent", "sac", "--plugin", "sam:on=crtic"],
        "sam: sac has no 'crtic' to act on; did you mean 'critic'?",
    ),
    "an address of a number": (
        ["--agent", "sac", "--plugin", "sam:on=temperature"],
        "sam acts on networks, and sac's temperature is a single number; use critic or actor",
    ),
    "the other agent's address": (["--agent", "sac", "--plugin", "sam:on=rainbow"], "sac has no 'rainbow' to act on"),
    "images' preset for states": (
        ["--agent", "sac", "--preset", "drq", "--set", "pixels=false"],
        "the preset 'drq' is for images, and this environment gives vectors; use state",
    ),
    "images' agent for states": (
        ["--agent", "drqv2", "--env", "Pendulum-v1"],
        "the preset 'drqv2' is for images, and this environment gives vectors; drqv2 has none for them",
    ),
    "an encoder where there is none": (
        ["--agent", "sac", "--plugin", "sam:scope=encoder_grad"],
        "sam: no trained parameter matches scope=encoder_grad",
    ),
    "augmentation of states": (
        ["--agent", "sac", "--plugin", "augmentation:off_at=100"],
        "augmentation turns augmentation, which means nothing in this run",
    ),
    "a size for states": (["--agent", "sac", "--set", "size=84"], "size is for pixels alone; set pixels=true"),
    "a word for an encoder": (
        ["--agent", "sac", "--set", "encoder=nature"],
        "sac: encoder must be one of drq, drqv2, not 'nature'",
    ),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_run_that_cannot_be(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence on standard error, exit 2, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLASTIC_DEBUG", raising=False)
    assert main(["run", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("plastic: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert list(tmp_path.iterdir()) == []
