"""Small learners for the plugins' tests: any model on fixed data, and a small convolutional Rainbow."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from plastic.agents.encoders import features_of
from plastic.agents.rainbow.loss import RainbowLoss
from plastic.agents.rainbow.networks import Head, Network, image_encoder, noisy
from plastic.agents.replay import Batch, Replay
from plastic.core.layers.noisy import noises
from plastic.core.learning.learner import Learner
from plastic.core.modifier import MakeOptimizer
from plastic.core.objective import Objective
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.schedule import Clock, Counts

SGD: MakeOptimizer = partial(torch.optim.SGD, lr=0.1)
ADAM: MakeOptimizer = partial(torch.optim.Adam, lr=1e-3, eps=1.5e-4, fused=True)
IMAGE = (4, 36, 36)  # the smallest that the Nature encoder reads; 64 features come out of it
ACTIONS, ATOMS, HIDDEN = 3, 5, 16


class Data(Objective):
    """`loss(model, inputs, targets)` on a batch (inputs, targets) that is also the one to look at."""

    def __init__(self, inputs: Tensor, targets: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.batch = (inputs, targets)
        self.loss = loss

    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        inputs, targets = batch
        return self.loss(model(inputs), targets)

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return (batch[0],)

    def sample(self, generator: torch.Generator) -> Any:
        return self.batch


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Losses [B] of outputs [B, d]."""
    return (outputs - targets).square().sum(1)


def learner_of(
    make: Callable[[], nn.Module],
    inputs: Tensor,
    targets: Tensor | None = None,
    *plugins: Plugin,
    loss: Callable[[Tensor, Tensor], Tensor] = squared_error,
    optimizer: MakeOptimizer = SGD,
    total: int = 0,
    **more: Any,
) -> Learner:
    """A learner of any model; targets are zeros if left out."""
    if targets is None:
        with torch.no_grad():
            targets = torch.zeros_like(make()(inputs))
    clock = Clock(total=Counts(updates=total))
    return Learner("small", make, Data(inputs, targets, loss), optimizer, plugins=plugins, clock=clock, **more)


class Recorded(Objective):
    """An objective that remembers what each evaluation was given."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.augmented: list[Any] = []
        self.targets: list[Any] = []
        self.evaluated: list[dict[str, Any]] = []

    def augment(self, batch: Any, generator: torch.Generator) -> Any:
        self.augmented.append(self.objective.augment(batch, generator))
        return self.augmented[-1]

    def target(self, model: nn.Module, copies: Mapping[str, nn.Module], batch: Any) -> Any:
        self.targets.append(self._seen(model))
        return self.objective.target(model, copies, batch)

    def losses(self, model: nn.Module, batch: Any, target: Any) -> Tensor:
        self.evaluated.append({**self._seen(model), "batch": batch, "target": target})
        return self.objective.losses(model, batch, target)

    def weights(self, batch: Any) -> Tensor | None:
        return self.objective.weights(batch)

    def inputs(self, batch: Any) -> tuple[Tensor, ...]:
        return self.objective.inputs(batch)

    def sample(self, generator: torch.Generator) -> Any:
        return self.objective.sample(generator)

    def _seen(self, model: nn.Module) -> dict[str, Any]:
        samples = noises(model)
        return {
            "params": {name: p.detach().clone() for name, p in model.named_parameters()},
            "noise": [buffer.clone() for sample in samples for buffer in sample.buffers()],
            "silent": {sample.silent for sample in samples},
        }


def network(
    *, dueling: bool = True, image: tuple[int, int, int] = IMAGE, hidden: int = HIDDEN, make: Any = None
) -> nn.Module:
    """Rainbow's network, small."""
    encoder = image_encoder("nature", image[0])
    linear = noisy(0.5) if make is None else make
    head = Head(features_of(encoder, image), hidden, ACTIONS, ATOMS, linear, dueling=dueling)
    return Network(encoder, head, 2**-0.5)


def replay(capacity: int = 64, steps: int = 40, seed: int = 0) -> Replay:
    """Random frames, actions and rewards of a few episodes."""
    random = torch.Generator().manual_seed(seed)
    memory = Replay(
        capacity=capacity,
        observation_shape=IMAGE,
        dtype=torch.uint8,
        n_step=3,
        discount=0.99,
        priority_exponent=0.5,
        device="cpu",
        frame_stack=IMAGE[0],
    )

    stack = torch.zeros(IMAGE, dtype=torch.uint8)

    def see(*, first: bool) -> Any:
        stack[:-1] = 0 if first else stack[1:].clone()
        stack[-1] = torch.randint(256, IMAGE[1:], generator=random, dtype=torch.uint8)
        return stack.numpy()

    memory.start(see(first=True))
    for step in range(steps):
        action = int(torch.randint(ACTIONS, (), generator=random))
        reward = float(torch.randint(-1, 2, (), generator=random))
        over = step % 13 == 12
        memory.add(action, reward, see(first=False), over, False)
        if over:
            memory.start(see(first=True))
    return memory


def rainbow(
    *plugins: Plugin,
    seed: int = 0,
    optimizer: MakeOptimizer = ADAM,
    augmentation: bool = True,
    max_grad_norm: float | None = 10.0,
    total: int = 0,
    target_rate: float = 0.1,
    recorded: bool = False,
    probe_batch: int = 16,
    make: Callable[[], nn.Module] = network,
) -> Learner:
    """A Rainbow learner with a target network, on random frames."""
    knobs: dict[str, float | int | bool] = {"augmentation": augmentation, "replay_ratio": 1.0}
    support = torch.linspace(-3, 3, ATOMS)
    loss: Objective = RainbowLoss(replay(), support, True, 2, 0.05, probe_batch, knobs)
    learner = Learner(
        "rainbow",
        make,
        Recorded(loss) if recorded else loss,
        optimizer,
        plugins=plugins,
        clock=Clock(total=Counts(updates=total)),
        seed=seed,
        max_grad_norm=max_grad_norm,
        knobs=knobs,
    )
    learner.follow("target", rate=target_rate)
    learner.draw_noise()
    return learner


_FRAMES = replay()


def batch(number: int = 0, size: int = 8) -> Batch:
    """The `number`-th batch of random transitions; the same for every learner."""
    return _FRAMES.sample(size, 0.5, torch.Generator().manual_seed(number))


def train(learner: Learner, updates: int, *, batches: Callable[[int], Any] | None = None) -> list[Tensor]:
    """Updates as a run makes them, plugins' looks and edits included; the losses [B] of each."""
    losses = []
    for _ in range(updates):
        learner.clock.advance(updates=1)
        number = learner.clock.now.updates
        given = batches(number) if batches else (batch(number) if _is_rainbow(learner) else _data(learner))
        losses.append(learner.update(given))
        learner.tend()
        learner.clock.tick()
    return losses


def _is_rainbow(learner: Learner) -> bool:
    return learner.name == "rainbow"


def _data(learner: Learner) -> Any:
    assert isinstance(learner.objective, Data)
    return learner.objective.batch


def state(learner: Learner) -> dict[str, Any]:
    """Every tensor and value that training depends on beside the plugins' own, copied, by name."""
    flat: dict[str, Any] = {}
    _flatten("", {key: value for key, value in learner.state_dict().items() if key not in ("plugins", "names")}, flat)
    flat["torch"] = torch.get_rng_state()
    for name, model in (("model", learner.model), *learner.copies.items()):
        for path, module in model.named_modules():
            flat[f"mode.{name}.{path}"] = module.training
            flat[f"hooks.{name}.{path}"] = len(module._forward_hooks) + len(module._forward_pre_hooks)
        for path, parameter in model.named_parameters():
            flat[f"gradient.{name}.{path}"] = (parameter.requires_grad, parameter.grad)
    return flat


def _flatten(prefix: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(f"{prefix}{key}/", item, into)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _flatten(f"{prefix}{place}/", item, into)
    else:
        into[prefix.rstrip("/")] = value.clone() if isinstance(value, Tensor) else value


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """The names under which two `state`s are not the same, bit for bit."""
    return {name for name in one.keys() | other.keys() if not _same(one.get(name), other.get(name))}


def _same(one: Any, other: Any) -> bool:
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return type(one) is type(other) and bool(one == other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def parameters(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def changed(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """The names whose tensors differ in any bit."""
    return {name for name in before.keys() | after.keys() if not _same(before.get(name), after.get(name))}


def norm(tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> float:
    """One L2 norm over all."""
    values = tensors.values() if isinstance(tensors, Mapping) else tensors
    return float(torch.cat([tensor.flatten() for tensor in values]).norm())


def measure(learner: Learner) -> dict[str, float]:
    """What the probes that are due measure now, one update on."""
    learner.clock.advance(updates=1)
    measured = {name: float(value) for name, value in learner.tend().items()}
    learner.clock.tick()
    return measured


def assert_it_only_looks(probe: Probe) -> None:
    """A look leaves no trace, and a run with the probe is bit for bit the run without."""
    learner, without = rainbow(probe), rainbow()
    for one, other in zip(train(learner, 3), train(without, 3), strict=True):
        assert torch.equal(one, other)
    assert differences(state(learner), state(without)) == set()
    before = state(learner)
    assert measure(learner)
    assert differences(before, state(learner)) == set()


class Parts(nn.Module):
    """An encoder and a head."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.encoder(x))
        return output


def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    """A linear layer of these weights; no bias is a bias of 0."""
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.tensor(bias))
    return layer


def moments(learner: Learner, name: str) -> dict[str, Tensor]:
    """What the optimizer remembers of a parameter, copied; empty if nothing."""
    remembered = learner.optimizer.state.get(learner.params[name], {})
    return {key: value.clone() for key, value in remembered.items()}


def gradients_at(learner: Learner, given: Any, *, training: bool = True) -> dict[str, Tensor]:
    """Gradients of the mean loss by plain autograd, on the noise and the target at hand; mode is put back."""
    modes = [(module, module.training) for module in learner.model.modules()]
    learner.model.train(training)
    for copy in learner.copies.values():
        copy.train(training)
    with torch.no_grad():
        target = learner.objective.target(learner.model, learner.copies, given)
    losses = learner.objective.losses(learner.model, given, target)
    weights = learner.objective.weights(given)
    scalar = (losses if weights is None else weights * losses).mean()
    found = torch.autograd.grad(scalar, list(learner.params.values()), materialize_grads=True)
    for module, mode in modes:
        module.training = mode
    for copy in learner.copies.values():
        copy.train()
    return dict(zip(learner.params, found, strict=True))
