"""How many updates a second SAC makes from states, beside Stable-Baselines3's on the same networks and batches.

    pip install -e '.[sb3]'
    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python tests/benchmarks/sb3/speed.py

Both have an actor 17-256-256-12, twin critics 23-256-256-1, their targets, a learned temperature and batches of 256,
on one thread; what they learn from is drawn at random. Each library runs in a process of its own, since plastic
changes how a process keeps freed memory (`plastic.core.learning.memory`) and would lend that to the other; and so does
plastic once more, with capture=true. They take turns of ten updates, every other time the other way round, so that
what else the machine does meets all alike.
"""

import argparse
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray

OBSERVATION = Box(-np.inf, np.inf, (17,), np.float32)  # as of the cheetah
ACTION = Box(-1.0, 1.0, (6,), np.float32)
CAPACITY = 100_000
FILLED = 10_000  # transitions at hand
EPISODE = 1_000  # agent steps
TURN = 10  # updates
WARM_UP = 5  # turns
PAIRS = 100

Vector = NDArray[np.float32]
Updates = Callable[[int], None]


class Drawn(gymnasium.Env[Vector, Vector]):
    """An environment that heeds no action."""

    observation_space = OBSERVATION
    action_space = ACTION

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Vector, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return self._observation(), {}

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        return self._observation(), float(self.np_random.random()), False, self._steps == EPISODE, {}

    def _observation(self) -> Vector:
        return self.np_random.normal(size=OBSERVATION.shape).astype(np.float32)


def recorded() -> Updates:
    """As `plastic`, with capture=true."""
    return plastic(capture=True)


def plastic(*, capture: bool = False) -> Updates:
    """All that a run does between two agent steps."""
    from plastic.agents.sac.sac import SAC
    from plastic.core.agent import Site
    from plastic.core.recording.programs import Programs
    from plastic.core.schedule import Clock, Counts

    agent = SAC(learning_starts=FILLED, replay_capacity=CAPACITY)
    clock = Clock(total=Counts(updates=10**9, agent_steps=10**9))
    agent.begin(
        Site(
            observation_space=OBSERVATION,
            action_space=ACTION,
            frame_stack=1,
            frame_pad="zeros",
            plugins=dict.fromkeys(agent.learns, ()),
            clock=clock,
            seed=0,
            device=torch.device("cpu"),
        )
    )
    if capture:
        agent.be_recorded(Programs())
    env = Drawn()
    observation, _ = env.reset(seed=0)
    agent.start_episode(observation)
    for _ in range(FILLED):
        action = agent.act(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        agent.observe(action, reward, observation, terminated, truncated)
        if truncated:
            observation, _ = env.reset()
            agent.start_episode(observation)

    def updates(count: int) -> None:
        for _ in range(count):
            clock.advance(updates=1)
            agent.update()
            agent.tend()
            clock.tick()

    return updates


def sb3() -> Updates:
    """`train`, which is given all updates of a turn in one call."""
    from stable_baselines3 import SAC

    model = SAC(
        "MlpPolicy",
        Drawn(),
        buffer_size=CAPACITY,
        learning_starts=FILLED,
        batch_size=256,
        ent_coef="auto_1.0",
        policy_kwargs={"net_arch": [256, 256]},
        device="cpu",
        seed=0,
    )
    model.learn(FILLED)  # all of it before learning starts

    def updates(count: int) -> None:
        model.train(gradient_steps=count, batch_size=256)

    return updates


WORKERS = {"plastic": plastic, "plastic, recorded": recorded, "sb3": sb3}


def work(name: str, turns: Connection) -> None:
    """Make as many updates as each message says, and answer with the seconds by the clock and of processor time."""
    torch.set_num_threads(1)
    updates = WORKERS[name]()
    while count := turns.recv():
        clock, processor = time.perf_counter(), time.process_time()
        updates(count)
        turns.send((time.perf_counter() - clock, time.process_time() - processor))


def measure(pairs: int) -> NDArray[np.float64]:
    """Seconds an update of each worker: [pairs, workers, 2, by the clock and of processor time]."""
    spawning = get_context("spawn")
    ends, workers = [], []
    for name in WORKERS:
        ours, theirs = spawning.Pipe()
        workers.append(spawning.Process(target=work, args=(name, theirs), daemon=True))
        workers[-1].start()
        theirs.close()  # a worker that fails is then noticed
        ends.append(ours)
    seconds = np.empty((WARM_UP + pairs, len(WORKERS), 2))
    places = range(len(WORKERS))
    for pair in range(WARM_UP + pairs):
        for place in places if pair % 2 == 0 else reversed(places):
            ends[place].send(TURN)
            seconds[pair, place] = ends[place].recv()
    for end, worker in zip(ends, workers, strict=True):
        end.send(0)
        worker.join()
    return seconds[WARM_UP:] / TURN


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Updates a second of plastic's SAC beside Stable-Baselines3's.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"turns of each, of {TURN} updates")
    seconds = measure(parser.parse_args().pairs)
    for place, name in enumerate(WORKERS):
        processor = np.median(seconds[:, place, 1])
        print(f"{name}: {1e3 * processor:.2f} ms of processor time an update, {1 / processor:.1f} updates a second")
    theirs = list(WORKERS).index("sb3")
    for place, name in enumerate(WORKERS):
        for kind, what in ((1, "of processor time"), (0, "by the clock")) if place != theirs else ():
            lower, median, upper = np.quantile(seconds[:, theirs, kind] / seconds[:, place, kind], (0.25, 0.5, 0.75))
            print(f"updates a second, {name} / sb3: {median:.3f} [{lower:.3f}, {upper:.3f}] {what}")


if __name__ == "__main__":
    main()
