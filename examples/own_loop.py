"""DQN on CartPole in one script of its own, in CleanRL's manner: the loop stays, and a Learner does the update.

What is plastic's is marked: the loss as an Objective, one Learner instead of optimizer and target network, and three
lines in the loop. Everything else, acting, exploration and replay, is the script's.
"""

import random
import sys
from functools import partial

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.schedule import Every
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.modifiers.sam import SAM

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
START, BATCH, DISCOUNT = 200, 64, 0.99
Batch = tuple[Tensor, ...]


def q_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


class TemporalDifference(Objective):  # plastic's: the loss in parts
    def __init__(self, memory: list[tuple]) -> None:
        self.memory = memory

    def target(self, model: nn.Module, copies, batch: Batch) -> Tensor:
        _, _, rewards, following, over = batch
        return rewards + DISCOUNT * (1 - over) * copies["target"](following).max(1).values

    def losses(self, model: nn.Module, batch: Batch, target: Tensor) -> Tensor:
        chosen = model(batch[0]).gather(1, batch[1].long()[:, None]).squeeze(1)
        return nn.functional.smooth_l1_loss(chosen, target, reduction="none")

    def inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch[0],)

    def sample(self, generator: torch.Generator) -> Batch:  # what plugins look at
        rows = torch.randint(len(self.memory), (BATCH,), generator=generator)
        return stacked([self.memory[row] for row in rows.tolist()])


def stacked(steps: list[tuple]) -> Batch:
    return tuple(torch.from_numpy(np.stack(part).astype(np.float32)) for part in zip(*steps, strict=True))


memory: list[tuple] = []
learner = Learner(  # plastic's
    "q",
    q_network,
    TemporalDifference(memory),
    partial(torch.optim.Adam, lr=1e-3),
    plugins=[SAM(rho=0.02, scope="4"), Reset(layers="4", when=Every(2_000))],
)
learner.follow("target", rate=1.0, period=200)  # plastic's: resets and wraps reach the target network, too

env = gymnasium.make("CartPole-v1")
observation, _ = env.reset(seed=0)
score, scores = 0.0, [0.0]
for step in range(STEPS):
    epsilon = max(0.05, 1 - step / (0.3 * STEPS))
    if random.random() < epsilon:
        action = env.action_space.sample()
    else:
        with torch.no_grad():
            action = int(learner.model(torch.from_numpy(observation)[None]).argmax())
    following, reward, terminated, truncated, _ = env.step(action)
    memory.append((observation, action, reward, following, terminated))
    observation, score = following, score + float(reward)
    if terminated or truncated:
        scores.append(score)
        (observation, _), score = env.reset(), 0.0
    if step >= START:
        learner.clock.advance(updates=1, agent_steps=1)  # plastic's
        learner.update(stacked(random.choices(memory, k=BATCH)))
        learner.tend()
        learner.clock.tick()
print(f"mean score of the last ten episodes: {np.mean(scores[-10:]):.1f}")
