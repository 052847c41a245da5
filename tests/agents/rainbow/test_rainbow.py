"""The agent: acting, updates, evaluation, knobs and state, on a small Rainbow fed by hand."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from attrs import frozen
from torch import Tensor, nn

from plastic.agents.rainbow.rainbow import Rainbow
from plastic.agents.replay import Batch, Replay
from plastic.core.environment import Env, EnvFamily
from plastic.core.errors import UsageError
from plastic.core.hookspecs import hookimpl
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers.noisy import noises, silenced
from plastic.core.plugin import Plugin
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.runs import checkpoint
from plastic.core.runs.run import Run
from plastic.core.runs.run_folder import RunFolder
from plastic.core.schedule import At, Every
from plastic.core.streams import generator
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.testing.compare import cloned, differences, same
from plastic.testing.invariants import faults
from tests.agents.turn import Turn
from tests.trial import ACTIONS, SMALL, UPDATES, WARM, Trial, observation, site


class Draws:
    """What the replay was asked for and gave, and which losses came back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.betas: list[float] = []
        self.batches: list[Batch] = []
        self.losses: list[Tensor] = []
        sample, set_priorities = Replay.sample, Replay.set_priorities

        def sampling(replay: Replay, size: int, beta: Tensor, stream: torch.Generator) -> Batch:
            self.betas.append(float(beta))
            self.batches.append(sample(replay, size, beta, stream))
            return self.batches[-1]

        def writing(replay: Replay, index: Tensor, losses: Tensor) -> None:
            self.losses.append(losses)
            set_priorities(replay, index, losses)

        monkeypatch.setattr(Replay, "sample", sampling)
        monkeypatch.setattr(Replay, "set_priorities", writing)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Draws:
    return Draws(monkeypatch)


def prefer(model: nn.Module, action: int) -> None:
    """Make one action's returns the highest, whatever is seen and whatever the noise."""
    with torch.no_grad():
        for name in ("head.advantage.2.bias_mu", "head.advantage.2.weight_mu", "head.advantage.2.weight_sigma"):
            model.get_parameter(name).zero_()
        model.get_parameter("head.advantage.2.bias_sigma").zero_()
        model.get_parameter("head.advantage.2.bias_mu").view(ACTIONS, -1)[action, -1] = 10.0


def greedy(model: nn.Module, images: np.ndarray[Any, Any], support: Tensor) -> list[int]:
    """The best actions for images [N, ...] in the model's mode, on the noise at hand."""
    with torch.no_grad():
        distributions = model(torch.from_numpy(images) / 255).softmax(2)
    return [int(action) for action in (distributions * support).sum(2).argmax(1)]


def streams(trial: Trial) -> dict[str, Any]:
    """Every random stream, and the noise."""
    state = trial.agent.state_dict()
    learner = trial.learner
    parts = {"batches": state["batches"], "exploration": state["exploration"], "torch": torch.get_rng_state()}
    parts |= {name: learner.state_dict()[name] for name in ("noise", "augmentation")}
    networks = {"model": learner.model, **learner.copies}
    return parts | {f"noise of {name}": cloned(dict(model.named_buffers())) for name, model in networks.items()}


SUPPORT = torch.linspace(-3, 3, 11)


# -------------------------------------------------------------------- acting


def test_actions_are_random_to_the_end_of_learning_starts() -> None:
    trial = Trial()
    prefer(trial.learner.copies["target"], 1)
    trial.warm_up()
    stream = generator(0, "exploration")
    assert trial.actions == [int(torch.randint(ACTIONS, (), generator=stream)) for _ in range(WARM)]
    assert set(trial.actions) == set(range(ACTIONS))
    before = trial.agent.state_dict()["exploration"]
    trial.run()
    assert set(trial.actions[WARM:]) == {1}
    assert same(trial.agent.state_dict()["exploration"], before)  # nothing random is left


def test_the_target_network_acts_on_its_own_noise_which_no_action_draws() -> None:
    trial = Trial().warm_up().run(3)
    target = trial.learner.copies["target"]
    before = streams(trial)
    images = np.stack([observation(step) for step in range(1, 30)])
    wanted = greedy(target, images, SUPPORT)
    assert [trial.agent.act(image) for image in images] == wanted
    assert [trial.agent.act(image) for image in images] == wanted
    assert streams(trial).keys() == before.keys()
    assert differences(streams(trial), before) == []
    trial.update()
    changed = differences(streams(trial), before)
    assert {"noise of target", "noise of model"} <= set(changed)


def test_the_noise_decides_how_it_acts() -> None:
    trial = Trial(noisy_sigma=5.0).warm_up().run(1)
    target = trial.learner.copies["target"]
    images = np.stack([observation(step) for step in range(1, 30)])
    noisy = greedy(target, images, SUPPORT)
    with silenced(target):
        assert greedy(target, images, SUPPORT) != noisy
    assert [trial.agent.act(image) for image in images] == noisy


@pytest.mark.parametrize(("acting", "action"), [("target", 2), ("online", 0)])
def test_which_network_acts(acting: str, action: int) -> None:
    trial = Trial(acting=acting).warm_up()
    prefer(trial.learner.copies["target"], 2)
    prefer(trial.learner.model, 0)
    assert trial.agent.act(observation(1)) == action
    act = trial.agent.policy(torch.Generator().manual_seed(0))
    assert act(np.stack([observation(1)] * 3)).tolist() == [action] * 3


@pytest.mark.parametrize(("epsilon", "low", "high"), [(0.0, 1.0, 1.0), (0.3, 0.75, 0.85), (1.0, 0.28, 0.38)])
def test_epsilon_is_the_share_of_random_actions(epsilon: float, low: float, high: float) -> None:
    trial = Trial(epsilon=epsilon).warm_up()
    prefer(trial.learner.copies["target"], 1)
    chosen = [trial.agent.act(observation(1)) for _ in range(1_000)]
    assert low <= chosen.count(1) / 1_000 <= high  # 1 - epsilon + epsilon / 3


# -------------------------------------------------------------------- evaluation


def test_evaluation_is_without_noise_and_leaves_no_trace() -> None:
    trial = Trial(noisy_sigma=5.0, epsilon_evaluation=0.0).warm_up().run(4)
    target = trial.learner.copies["target"]
    before, state = streams(trial), cloned(trial.learner.model.state_dict())
    images = np.stack([observation(step) for step in range(1, 30)])
    with silenced(target):
        means = greedy(target, images, SUPPORT)
    assert greedy(target, images, SUPPORT) != means
    act = trial.agent.policy(torch.Generator().manual_seed(0))
    assert act(images).tolist() == means
    assert act(images[:1]).tolist() == means[:1]
    assert differences(streams(trial), before) == []
    assert same(trial.learner.model.state_dict(), state)
    assert faults(trial.learner) == []  # back in training mode among them


def test_evaluation_between_updates_changes_no_run() -> None:
    quiet, evaluated = Trial().warm_up(), Trial().warm_up()
    act = evaluated.agent.policy(torch.Generator().manual_seed(0))
    for update in range(1, UPDATES + 1):
        quiet.run(update)
        evaluated.run(update)
        act(np.stack([observation(step) for step in range(1, 6)]))
    assert evaluated.actions == quiet.actions
    assert differences(evaluated.learner.state_dict(), quiet.learner.state_dict()) == []


@pytest.mark.parametrize(("epsilon", "low", "high"), [(0.0, 1.0, 1.0), (0.001, 0.998, 1.0), (1.0, 0.28, 0.38)])
def test_the_share_of_random_actions_in_evaluation(epsilon: float, low: float, high: float) -> None:
    trial = Trial(epsilon=1.0, epsilon_evaluation=epsilon).warm_up()
    prefer(trial.learner.copies["target"], 1)
    images = np.stack([observation(1)] * 2_000)

    def actions(seed: int) -> list[int]:
        return [int(action) for action in trial.agent.policy(torch.Generator().manual_seed(seed))(images)]

    assert low <= actions(0).count(1) / 2_000 <= high
    assert actions(0) == actions(0)
    if epsilon == 1.0:
        assert actions(0) != actions(1)


def test_swa_evaluates_once_it_holds_something() -> None:
    trial = Trial([SWA(when=Every(1, start=2))]).warm_up()
    act = trial.agent.policy(torch.Generator().manual_seed(0))

    def evaluated() -> int:
        prefer(trial.learner.copies["target"], 2)
        prefer(trial.learner.copies["swa"], 0)
        return int(act(observation(1)[None])[0])

    assert evaluated() == 2
    trial.run(2)
    assert evaluated() == 2
    trial.run(3)
    assert evaluated() == 0
    assert trial.agent.act(observation(1)) == 2  # in training the target network goes on acting


# -------------------------------------------------------------------- updates


def test_beta_of_the_kth_draw_is_k_parts_of_the_way_to_1(draws: Draws) -> None:
    Trial(priority_weight=0.4).warm_up().run()
    assert draws.betas == pytest.approx([0.4 + 0.6 * k / UPDATES for k in range(1, UPDATES + 1)])


STRUCTURES: dict[str, Sequence[Plugin]] = {
    "bare": (),
    "crelu": (ConcatenatedReLU(),),
    "layer_norm, crelu": (LayerNorm(), ConcatenatedReLU(style="input")),
}


def gradients(trial: Trial, given: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Losses [B], and gradients of their weighted mean by `backward`, on a trial's noise at hand."""
    learner, objective = trial.learner, trial.learner.objective
    with torch.no_grad():
        target = objective.target(learner.model, learner.copies, given)
    losses = objective.losses(learner.model, given, target)
    (given.weight * losses).mean().backward()
    trained = {name: p for name, p in learner.model.named_parameters() if p.requires_grad}
    found = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in trained.items()}
    learner.model.zero_grad()
    return losses.detach(), found


@pytest.mark.parametrize("structure", STRUCTURES)
def test_updates_are_those_of_a_loop_written_by_hand(structure: str, draws: Draws) -> None:
    """Backward, clip, Adam and average as PyTorch has them, nothing fused, and every number as it should be."""
    options: dict[str, Any] = {"augmentation": False, "max_grad_norm": 0.5}
    trial = Trial(STRUCTURES[structure], **options).warm_up()
    other = Trial(STRUCTURES[structure], **options).warm_up()
    model, target = other.learner.model, other.learner.copies["target"]
    optimizer = torch.optim.Adam(model.parameters(), lr=SMALL["learning_rate"], eps=1.5e-4, fused=False, foreach=False)
    for update in range(3):
        trial.update()
        trial.tend()
        other.learner.draw_noise()
        losses, _ = gradients(other, other.learner.objective.augment(draws.batches[update], torch.Generator()))
        other_losses = draws.losses[update]
        torch.testing.assert_close(other_losses, losses, rtol=1e-4, atol=1e-5)
        priorities = trial.agent.state_dict()["replay"]["priority"][draws.batches[update].index] / 2.0**32
        last = {int(index): place for place, index in enumerate(draws.batches[update].index)}  # of duplicates the last
        wanted = torch.stack([losses[last[int(index)]] for index in draws.batches[update].index])
        torch.testing.assert_close(priorities.float(), (wanted + 1e-10).sqrt(), rtol=1e-3, atol=1e-5)
        _, found = gradients(other, other.learner.objective.augment(draws.batches[update], torch.Generator()))
        for name, parameter in model.named_parameters():
            parameter.grad = found[name]
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for own, followed in zip(target.parameters(), model.parameters(), strict=True):
                own.mul_(0.9).add_(0.1 * followed)
    for mine, theirs in ((trial.learner.model, model), (trial.learner.copies["target"], target)):
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_gradients_reach_the_encoder_through_all_heads_of_an_injection(
    draws: Draws, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial([PlasticityInjection(when=At(2))], augmentation=False, max_grad_norm=1e9).warm_up().run(3)
    other = Trial([PlasticityInjection(when=At(2))], augmentation=False, max_grad_norm=1e9)
    other.load(trial.save())
    head: Any = other.learner.model.get_submodule("head")
    monkeypatch.setattr(head, "forward", lambda z: head.old(z) + head.new(z) - head.new_frozen(z))
    before = cloned(dict(trial.learner.model.named_parameters()))
    trial.update()
    other.learner.draw_noise()
    _, found = gradients(other, other.learner.objective.augment(draws.batches[-1], torch.Generator()))
    assert {name.split(".")[0] for name in found} == {"encoder", "head"}
    assert all(name.startswith(("encoder.", "head.new.")) for name in found)
    for name, parameter in trial.learner.model.named_parameters():
        if name not in found:
            assert same(parameter, before[name])
        elif name.startswith("encoder."):
            mean = trial.learner.optimizer.state[parameter]["exp_avg"]
            was = other.learner.optimizer.state[other.learner.params[name]]["exp_avg"]
            torch.testing.assert_close((mean - 0.9 * was) / 0.1, found[name], rtol=1e-3, atol=1e-5)


def test_priorities_come_from_the_first_pass_unless_asked(draws: Draws) -> None:
    plain = Trial().warm_up().run(1)
    clean = Trial([SAM(rho=1.0)]).warm_up().run(1)
    perturbed = Trial([SAM(rho=1.0, priority="perturbed")]).warm_up().run(1)
    first, second, third = draws.losses
    assert torch.equal(first, second)
    assert not torch.isclose(first, third).any()
    assert len(perturbed.actions) == len(clean.actions) == len(plain.actions)


@pytest.mark.parametrize(("rate", "period"), [(1.0, 3), (0.25, 1), (0.5, 2)])
def test_the_target_follows_at_its_rate_and_period(rate: float, period: int) -> None:
    trial = Trial(target_rate=rate, target_period=period).warm_up()
    for update in range(1, UPDATES + 1):
        before = cloned(dict(trial.learner.copies["target"].named_parameters()))
        trial.run(update)
        online = dict(trial.learner.model.named_parameters())
        for name, value in trial.learner.copies["target"].named_parameters():
            if update % period:
                assert same(value, before[name])
            else:
                torch.testing.assert_close(value, before[name] + rate * (online[name].detach() - before[name]))


def test_the_augmentation_knob(draws: Draws) -> None:
    augmented, plain = Trial().warm_up(), Trial(augmentation=False).warm_up()
    assert augmented.agent.knobs["augmentation"] is True
    assert plain.agent.knobs["augmentation"] is False
    augmented.run(1)
    plain.run(1)
    one, other = draws.batches
    assert same(one, other)
    assert not torch.isclose(draws.losses[0], draws.losses[1]).any()
    assert same(augmented.learner.state_dict()["noise"], plain.learner.state_dict()["noise"])
    assert not same(augmented.learner.state_dict()["augmentation"], plain.learner.state_dict()["augmentation"])


# -------------------------------------------------------------------- knobs


def test_tuning_the_learning_rate_takes_effect_and_nothing_before() -> None:
    plain, tuned = Trial().warm_up(), Trial([Turn("learning_rate", 0.0)]).warm_up()
    plain.run(2)
    tuned.run(2)
    assert same(plain.learner.model.state_dict(), tuned.learner.model.state_dict())
    before = cloned(dict(tuned.learner.model.named_parameters()))
    tuned.run(5)
    assert same(dict(tuned.learner.model.named_parameters()), before)
    assert [group["lr"] for group in tuned.learner.optimizer.param_groups] == [0.0]


def test_tuning_the_window_and_the_discount_takes_effect(draws: Draws) -> None:
    Trial([Turn("n_step", 1), Turn("discount", 0.5, At(4))]).warm_up().run(6)
    longest = [float(given.discount[given.discount > 0].min()) for given in draws.batches]
    assert longest == pytest.approx([0.99**3] * 2 + [0.99] * 2 + [0.5] * 2)


def test_tuning_augmentation_takes_effect(draws: Draws) -> None:
    tuned = Trial([Turn("augmentation", False)]).warm_up().run(2)
    before = tuned.learner.state_dict()["augmentation"]
    tuned.run(4)
    assert same(tuned.learner.state_dict()["augmentation"], before)  # nothing was drawn for it


def test_a_knob_there_is_not_is_named() -> None:
    with pytest.raises(UsageError, match="no knob 'entropy' in this run; it has augmentation, discount, learning_rate"):
        Trial([Turn("entropy", 1.0)]).warm_up().run(2)


class Pixels(gymnasium.Env[Any, Any]):
    """Games of seven steps in noise."""

    frame_stack = 1

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (1, 36, 36), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(ACTIONS)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return self._see(), float(action), self.steps == 7, False, {}

    def _see(self) -> Any:
        return self.np_random.integers(0, 256, (1, 36, 36), np.uint8)


@frozen
class Noise(EnvFamily):
    name = "noise"
    eval_episodes = 2

    def tasks(self) -> list[str]:
        return ["pixels"]

    def find(self, task: str) -> str | None:
        return "pixels" if task == "pixels" else None

    def make(self, task: str, *, evaluation: bool = False) -> Env:
        return Pixels()


class Hooks:
    @staticmethod
    @hookimpl
    def plastic_envs() -> list[type[EnvFamily]]:
        return [Noise]

    @staticmethod
    @hookimpl
    def plastic_interventions() -> list[type[PlasticityIntervention]]:
        return [Turn]


def played(folder: Path, *plugins: Chosen, steps: int = 20) -> Run:
    """A whole run on noise: learning starts at step 10."""
    registry = Registry()
    registry.add(importlib.import_module("plastic.agents.hooks"), "plastic-rl")
    registry.add(Hooks, "test")
    settings = {**SMALL, "learning_starts": 10}
    run = Run(
        assemble(Recipe(env="pixels", plugins=plugins, steps=steps, settings=settings), registry),
        RunFolder.create(folder, "run"),
    )
    run.begin()
    run.train()
    return run


def test_tuning_the_replay_ratio_takes_effect(tmp_path: Path) -> None:
    assert played(tmp_path / "one").clock.now.updates == 11  # steps 10 to 20
    tuned = played(tmp_path / "three", Chosen("turn", {"value": 3.0, "when": {"at": 4, "of": "updates"}}))
    assert tuned.clock.now.updates == 4 + 7 * 3  # the first four by step 13


def test_a_replay_ratio_below_1_updates_now_and_then(tmp_path: Path) -> None:
    slow = played(tmp_path / "slow", Chosen("turn", {"value": 0.25, "when": {"at": 1, "of": "updates"}}), steps=30)
    assert slow.clock.now.updates == 1 + 20 // 4


# -------------------------------------------------------------------- state


def test_the_state_goes_through_a_checkpoint_file(tmp_path: Path) -> None:
    turning = Turn("n_step", 2, At(1))
    trial = Trial([turning]).warm_up().run(4)
    path = tmp_path / "state"
    state = {"agent": trial.agent.state_dict(), "learner": trial.learner.state_dict()}
    checkpoint.write(path, state, {})
    read = checkpoint.read(path)
    assert differences(read["agent"], trial.agent.state_dict()) == []
    other = Trial([turning], seed=1)
    other.agent.load_state_dict(read["agent"])
    other.learner.load_state_dict(read["learner"])
    assert differences(other.agent.state_dict(), trial.agent.state_dict()) == []
    assert differences(other.learner.state_dict(), trial.learner.state_dict()) == []
    assert other.agent.knobs == trial.agent.knobs
    assert other.agent.knobs["n_step"] == 2


def test_the_seed_decides_everything() -> None:
    one, same_, other = (Trial(seed=seed).warm_up().run(3) for seed in (0, 0, 1))
    assert differences(one.learner.state_dict(), same_.learner.state_dict()) == []
    assert one.actions == same_.actions != other.actions
    assert len(differences(one.learner.state_dict()["model"], other.learner.state_dict()["model"])) > 10


def test_the_target_begins_equal_but_with_noise_of_its_own() -> None:
    learner = Trial().learner
    target = learner.copies["target"]
    assert same(dict(learner.model.named_parameters()), dict(target.named_parameters()))
    for mine, theirs in zip(noises(learner.model), noises(target), strict=True):
        assert not same(mine.inputs, theirs.inputs)
        assert mine.inputs.any()


# -------------------------------------------------------------------- what does not fit


def begin(**changes: Any) -> None:
    Rainbow(**SMALL).begin(site(**changes))


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(UsageError, match="rainbow needs discrete actions; this environment has Box"):
        begin(action_space=gymnasium.spaces.Box(-1, 1, (2,), np.float32))


def test_actions_that_do_not_count_from_0_are_refused() -> None:
    with pytest.raises(UsageError, match="rainbow needs actions counted from 0"):
        begin(action_space=gymnasium.spaces.Discrete(3, start=1))


def test_tiny_images_are_refused_in_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"^images of 24x24 pixels are too small .*; 25x25 is the least$"):
        begin(observation_space=gymnasium.spaces.Box(0, 255, (2, 24, 24), np.uint8))


@pytest.mark.parametrize("shape", [(3, 5), (3, 36, 36), ()])
def test_numbers_that_are_no_vector_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="rainbow reads vectors, or images of bytes"):
        begin(observation_space=gymnasium.spaces.Box(-1, 1, shape, np.float32), frame_stack=1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("hidden", 0), ("atoms", 1), ("replay_ratio", 0.0), ("discount", 1.1), ("target_rate", 0.0), ("epsilon", -0.1)],
)
def test_values_out_of_range_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        Rainbow(**{option: value})


def test_a_support_without_extent_is_refused() -> None:
    with pytest.raises(UsageError, match="v_min must be below v_max"):
        Rainbow(**{**SMALL, "v_min": 1.0, "v_max": 1.0}).begin(site())


# -------------------------------------------------------------------- vectors


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_vectors_of_any_type_are_acted_on_as_they_are_learnt_from(dtype: Any) -> None:
    agent = Rainbow(**{**SMALL, "learning_starts": 1, "n_step": 1, "noisy": False, "epsilon": 0.0})
    limits = (0, 9) if dtype != np.float32 else (-9, 9)
    place = site(observation_space=gymnasium.spaces.Box(*limits, (4,), dtype), frame_stack=1)
    agent.begin(place)
    seen = np.arange(4).astype(dtype)
    agent.start_episode(seen)
    for _ in range(12):
        action = agent.act(seen)
        place.clock.advance(agent_steps=1)
        agent.observe(action, 1.0, seen, False, False)
    place.clock.advance(updates=1)
    agent.update()
    objective = agent.learners["rainbow"].objective
    (learnt_from,) = objective.inputs(objective.sample(torch.Generator().manual_seed(0)))
    assert learnt_from.dtype == torch.float32
    with torch.no_grad():
        values = agent.learners["rainbow"].copies["target"](learnt_from[:1]).softmax(2) @ SUPPORT
    assert agent.act(seen) == int(values.argmax())
    scale = 255 if dtype == np.uint8 else 1
    torch.testing.assert_close(learnt_from[0] * scale, torch.arange(4.0))
