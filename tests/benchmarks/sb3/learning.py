"""What SAC learns beside Stable-Baselines3's, with the same hyperparameters on the same environments.

pip install -e '.[sb3]'
python tests/benchmarks/sb3/learning.py plastic cheetah-run 0       one run; prints a line of JSON
python tests/benchmarks/sb3/learning.py sb3 cheetah-run 0
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

STEPS = 25_000
GAMES = 10
# Stable-Baselines3's defaults but for the batch, a quarter of theirs, so that twelve runs fit into an hour of two
# cores, and for an earlier start
SHARED: dict[str, Any] = {"batch_size": 64, "learning_rate": 3e-4, "learning_starts": 1_000, "discount": 0.99}
OURS: dict[str, Any] = {
    **SHARED,
    "target_entropy": -1.0,
    "initialisation": "torch",
    "replay_capacity": STEPS,
    "eval_episodes": GAMES,
    "checkpoint_every": STEPS,
}


def plastic(task: str, seed: int, steps: int) -> list[float]:
    """Scores of the games after training."""
    from plastic.core.recipes.recipe import Recipe
    from plastic.running import run

    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(agent="sac", env=task, preset="state", seed=seed, steps=steps, settings=OURS)
        result = run(recipe, Path(folder) / "run").result
    assert result is not None
    return list(result.scores)


def sb3(task: str, seed: int, steps: int) -> list[float]:
    """As `plastic`."""
    from stable_baselines3 import SAC
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    from plastic.envs.dm_control import DmControl

    torch.set_num_threads(1)
    family = DmControl()
    name = family.find(task)
    assert name is not None
    model = SAC(
        "MlpPolicy",
        Monitor(family.make(name)),
        seed=seed,
        batch_size=SHARED["batch_size"],
        learning_rate=SHARED["learning_rate"],
        learning_starts=SHARED["learning_starts"],
        gamma=SHARED["discount"],
        buffer_size=STEPS,
        ent_coef="auto_1.0",
        policy_kwargs={"net_arch": [256, 256]},
        device="cpu",
    )
    model.learn(steps)
    env = Monitor(family.make(name))
    env.reset(seed=seed + 1_000)
    scores: Any = evaluate_policy(model, env, n_eval_episodes=GAMES, return_episode_rewards=True)[0]
    return [float(score) for score in scores]


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["plastic", "sb3"])
    parser.add_argument("task")
    parser.add_argument("seed", type=int)
    parser.add_argument("--steps", type=int, default=STEPS)
    said = parser.parse_args()
    play = plastic if said.library == "plastic" else sb3
    scores = play(said.task, said.seed, said.steps)
    line = {"library": said.library, "task": said.task, "seed": said.seed, "steps": said.steps}
    print(json.dumps({**line, "mean": sum(scores) / len(scores), "scores": scores}))


if __name__ == "__main__":
    main()
