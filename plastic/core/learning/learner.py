"""The learner: one network, one optimizer, and the one place that writes either."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from plastic.core.edits import Edit, Forget, Overwrite, Replace, Tune
from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.evaluating import evaluating
from plastic.core.intervention import PlasticityIntervention
from plastic.core.layers import SpectralNorm, draw_noise
from plastic.core.layers.noisy import noises
from plastic.core.learning import learning_rate
from plastic.core.learning.averages import Averages
from plastic.core.learning.blame import blaming
from plastic.core.learning.lagged_copy import LaggedCopy
from plastic.core.learning.mask_streams import MaskStreams
from plastic.core.learning.memory import keep_freed_memory
from plastic.core.learning.overwriting import Overwriting
from plastic.core.learning.plugin_state import load_plugin_state, plugin_state
from plastic.core.learning.structure import Replaced, Structure
from plastic.core.learning.update import Evaluation, Loss, nest
from plastic.core.modifier import MODIFIER_STAGES, MakeOptimizer, OptimizerModifier, Parameters
from plastic.core.objective import Objective
from plastic.core.plugin import Need, Plugin, named, refusing
from plastic.core.probe import Probe
from plastic.core.schedule import Clock
from plastic.core.streams import derive, generator, seeded
from plastic.core.subject import Subject

Knobs = dict[str, float | int | bool]
_NEEDED: Mapping[Need, str] = {
    "policy": "a policy",
    "values": "predicted returns",
    "weights": "importance weights",
}


class Learner:
    """Trains one network, lets plugins look at it between updates, and carries out their edits.

    Args:
        name: What it learns (`critic`); part of every random stream's label.
        make: Builds the bare network; called under a seed, and again for fresh ones.
        objective: What is minimised.
        optimizer: Makes the optimizer of a list of parameters.
        plugins: In the user's order; each instance belongs to this learner alone.
        clock: Counts of the run; the caller advances and ticks it.
        seed: The run's.
        device: Where the network and everything random lives.
        max_grad_norm: Gradients are clipped to this global norm in every evaluation; None is never.
        knobs: Settings that a `Tune` may turn while running, shared by the learners of an agent.
    """

    @blaming("at")
    def __init__(
        self,
        name: str,
        make: Callable[[], nn.Module],
        objective: Objective,
        optimizer: MakeOptimizer,
        *,
        plugins: Sequence[Plugin] = (),
        clock: Clock | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        max_grad_norm: float | None = None,
        knobs: Knobs | None = None,
    ) -> None:
        self.plugins = tuple(plugins)
        self.updates = 0
        self.name = name
        self.objective = objective
        self.clock = Clock() if clock is None else clock
        self.seed = seed
        self.device = torch.device(device)
        self.max_grad_norm = max_grad_norm
        self.knobs: Knobs = {} if knobs is None else knobs
        self.copies: dict[str, nn.Module] = {}
        self._lagged: dict[str, LaggedCopy] = {}
        self._structure = Structure(make, self.plugins, name, seed, self.device)
        self._modifiers = [p for p in self.plugins if isinstance(p, OptimizerModifier)]
        self._interventions = [p for p in self.plugins if isinstance(p, PlasticityIntervention)]
        self._probes = [p for p in self.plugins if isinstance(p, Probe)]
        self._make_optimizer = optimizer
        for modifier in self._modifiers:
            self._make_optimizer = modifier.optimizer(self._make_optimizer)
        by_stage = sorted(self._modifiers, key=lambda m: MODIFIER_STAGES.index(m.stage))
        self._ascending = [m for m in by_stage if m.overrides("gradients")]
        self._stepping = [m for m in by_stage if m.overrides("after_step")]
        # of the update that was prepared
        self._due: Sequence[Hashable] = ()  # by modifier
        self._moving: Sequence[bool] = ()  # by copy
        self._penalising = [i for i in self._interventions if i.overrides("penalty")]
        self._editing = [i for i in self._interventions if i.overrides("edits")]
        for plugin in self.plugins:
            with refusing(plugin, self.name):
                _refuse_missing_knobs(plugin, self.knobs)
                _refuse_missing_offers(plugin, objective, name)
        self._noise = generator(seed, name, "noise", device=self.device)
        self._augmentation = generator(seed, name, "augmentation", device=self.device)
        self._masks = MaskStreams(seed, name)
        self._averages = Averages(self.device)
        self.layout = 0  # counted up by whatever puts tensors elsewhere than a recorded update has them
        # a GPU reads the rate in single precision, so that recorded updates and others are the same numbers
        self._reads_rate = self.device.type == "cuda"
        self._rate: float | None = None  # that the optimizer was given last
        keep_freed_memory()
        self.model = self._structure.initial()
        self._index()
        self.optimizer = self._new_optimizer()
        self._start()

    # ---------------------------------------------------------------- what there is

    def _index(self) -> None:
        self.layout += 1
        named = self.model.named_parameters()
        self.params: dict[str, nn.Parameter] = {name: p for name, p in named if p.requires_grad}
        for lagged in self._lagged.values():
            lagged.index(self.model)
        self._loss = Loss(self.model, self.copies, self.objective, self._penalising)
        drawn = [self.model, *(lagged.module for lagged in self._lagged.values() if lagged.rate > 0)]
        # frozen ones keep their vectors: an injection's frozen head must stay what it was
        self._iterated = [
            module
            for module in self.model.modules()
            if isinstance(module, SpectralNorm) and any(p.requires_grad for p in module.parameters())
        ]
        self._noise_buffers = [b for model in drawn for sample in noises(model) for b in sample.buffers()]

    def _new_optimizer(self) -> Optimizer:
        for modifier in self._modifiers:
            with refusing(modifier, self.name):
                modifier.shown(self.model)
        optimizer = self._make_optimizer(self.params.values())
        self._rate = None
        if self._reads_rate:
            learning_rate.read_from_device(optimizer, self.device)
        return optimizer

    def _start(self) -> None:
        detached = self._detached()
        for modifier in self._modifiers:
            with refusing(modifier, self.name):
                modifier.start(detached, self.lag)
        for intervention in self._interventions:
            with refusing(intervention, self.name):
                intervention.start(self.model, self.lag)
        for probe in self._probes:
            with refusing(probe, self.name):
                probe.start(self.model)

    def _detached(self) -> Parameters:
        return {name: parameter.detach() for name, parameter in self.params.items()}

    def follow(self, name: str, rate: float, period: int = 1, path: str = "") -> nn.Module:
        """Keep a copy that follows the model (or its part at `path`) after every update.

        The copy starts equal to the model. It moves `rate` of the way every `period` updates.

        Raises:
            UsageError: If a copy of that name is there already, an agent's or a plugin's.
        """
        if name in self._lagged:
            raise UsageError(f"{self.name} has a copy {name!r} already; choose another name")
        self._lagged[name] = LaggedCopy(self.model, rate=rate, period=period, path=path)
        self.copies[name] = self._lagged[name].module
        self._index()
        return self.copies[name]

    def lag(self, name: str) -> Mapping[str, Tensor]:
        """The trained parameters of a copy that a plugin writes itself; every edit reaches it."""
        if name not in self._lagged:
            self.follow(name, rate=0)
        own = dict(self.copies[name].named_parameters())
        return {parameter: own[parameter] for parameter in self.params}

    def followed(self, copy: str) -> nn.Module:
        """What the copy of this name is a copy of: the model, or a part of it."""
        return self.model.get_submodule(self._lagged[copy].path)

    @property
    def evaluation(self) -> str | None:
        """The copy that a modifier wants evaluated, if one has any by now."""
        return next((m.evaluation for m in self._modifiers if m.evaluation is not None), None)

    # ---------------------------------------------------------------- updates

    def update(self, batch: Any) -> Tensor:
        """One optimizer step on `batch`; the losses [B] of its first evaluation, unweighted.

        The caller has advanced the clock to this update. Nothing here waits for the device.
        """
        self.prepare()
        return self.learn(batch)

    @blaming("at")
    def prepare(self) -> Hashable:
        """The host's part of an update: who is due, and whatever the device is to read.

        What it gives tells apart the updates that are not the same operations.
        """
        self.updates += 1
        self._masks.begin(self.updates)
        self._due = tuple(modifier.due(self.clock) for modifier in self._modifiers)
        for modifier, due in zip(self._modifiers, self._due, strict=True):
            if due:
                modifier.prepare(due)
        self._moving = tuple(lagged.due(self.updates) for lagged in self._lagged.values())
        rate = self.knobs.get("learning_rate")
        if rate is not None and rate != self._rate:
            learning_rate.set_rate(self.optimizer, rate)
            self._rate = rate
        return self._due, self._moving, learning_rate.rates_on_host(self.optimizer)

    @blaming("at")
    def learn(self, batch: Any) -> Tensor:
        """The device's part of the update that was prepared: tensor operations alone, which can be recorded."""
        for layer in self._iterated:
            layer.advance()
        evaluation = Evaluation(
            self._loss, self.params, batch, self.draw_noise, self._augmentation, self._masks, self.max_grad_norm
        )
        losses, gradients = nest(self._at_work(self._ascending), evaluation, self.params)
        self._step(gradients)
        for lagged, due in zip(self._lagged.values(), self._moving, strict=True):
            lagged.follow(due=due)
        self._averages.note(losses, evaluation.norms, evaluation.notes)
        return losses

    def draw_noise(self) -> None:
        """Draw the noise of the model and of the copies that follow it anew."""
        draw_noise(self._noise_buffers, self._noise)

    def _step(self, gradients: Mapping[str, Tensor]) -> None:
        for name, parameter in self.params.items():
            parameter.grad = _laid_out_as(parameter, gradients[name])
        self.optimizer.step()
        for parameter in self.params.values():
            parameter.grad = None
        for modifier in self._at_work(self._stepping):
            with torch.no_grad():
                modifier.after_step(self._detached(), self.optimizer.param_groups[0]["lr"])

    def _at_work(self, modifiers: Sequence[OptimizerModifier]) -> Sequence[OptimizerModifier]:
        if not modifiers:
            return ()
        due = {id(modifier) for modifier, due in zip(self._modifiers, self._due, strict=True) if due}
        return [modifier for modifier in modifiers if id(modifier) in due]

    def be_recorded(self) -> None:
        """From now on `learn` may be recorded and repeated, see `plastic.core.recording.capture`.

        Raises:
            UsageError: If the network draws from torch's global generator.
        """
        if self._loss.draws:
            raise UsageError(
                f"{self.name} has dropout of torch's own, whose masks a recorded update would repeat; "
                "use plastic's dropout, or leave out capture"
            )
        self._reads_rate = True
        self._rate = None
        learning_rate.read_from_device(self.optimizer, self.device)

    def generators(self) -> Iterator[torch.Generator]:
        """What `learn` draws from."""
        yield self._noise
        yield self._augmentation
        yield from self._masks

    def averages(self) -> dict[str, float]:
        """Means of loss and gradient norms (before clipping) since the last call; waits for the device."""
        return self._averages.take()

    def bad_update(self) -> int | None:
        """The update since which loss, gradient or weights are known not to be finite, or None.

        Waits for the device. The weights are looked at as well, because no loss has seen yet what the
        last step and the edits after it made of them.
        """
        finite = self._averages.finite()
        if finite < self.updates:
            return finite + 1
        weights = torch.stack([parameter.isfinite().all() for parameter in self.params.values()])
        return None if bool(weights.all()) else self.updates

    # ---------------------------------------------------------------- looking and writing

    @blaming("after")
    def measure(self) -> dict[str, Tensor]:
        """What the probes that are due measure; all see one state, before any edit of this tick."""
        measured: dict[str, Tensor] = {}
        if not self._probes:
            return measured
        batch = self._batch_to_look_at()
        for probe in self._probes:
            if probe.due(self.clock):
                with self._looking(probe):
                    seen = probe.measure(self._subject(probe, batch))
                if not isinstance(seen, Mapping):
                    raise UsageError(f"{named(probe)}: measure gave {seen!r}; give a dictionary of tensors by name")
                measured |= {f"{self._label(probe)}/{key}": value for key, value in seen.items()}
        return measured

    @blaming("after")
    def edit(self) -> None:
        """Carry out what the interventions that are due ask for, in the user's order.

        Each sees the result of the one before. After the run's last update nothing is edited: what an
        edit breaks, no update could mend, and the evaluation would measure the break.
        """
        if self.clock.last_update or not self._editing:
            return
        batch = self._batch_to_look_at()
        for intervention in self._editing:
            if intervention.due(self.clock):
                with self._looking(intervention):  # to the end, before the first edit is written
                    asked = intervention.edits(self._subject(intervention, batch))
                    if not isinstance(asked, Iterable):
                        raise UsageError(
                            f"{named(intervention)}: edits gave {asked!r}; give a list of edits, or yield them"
                        )
                    edits = tuple(asked)
                with self._own_stream(intervention, "write"):
                    self.write(edits, by=intervention)

    def tend(self) -> dict[str, Tensor]:
        """`measure`, then `edit`: what a loop with a single learner calls after each update."""
        measured = self.measure()
        self.edit()
        return measured

    def _batch_to_look_at(self) -> Callable[[], Any]:
        @cache  # drawn once, and only if somebody looks
        def batch() -> Any:
            return self.objective.sample(
                generator(self.seed, self.name, "subject", self.clock.now.updates, device=self.device)
            )

        return batch

    def _label(self, plugin: Plugin) -> str:
        same = [other for other in self.plugins if other.name == plugin.name]
        place = next(place for place, other in enumerate(same) if other is plugin)
        return plugin.name if place == 0 else f"{plugin.name}-{place + 1}"

    def _labels(self, plugin: Plugin) -> tuple[str | int, ...]:
        return self.name, self._label(plugin), self.clock.now.updates

    def _own_stream(self, plugin: Plugin, moment: str) -> AbstractContextManager[None]:
        # what a plugin draws from torch's global generator neither shifts the run nor another plugin
        return seeded(derive(self.seed, *self._labels(plugin), moment))

    @contextmanager
    def _looking(self, plugin: Plugin) -> Iterator[None]:
        with evaluating(self.model, *self.copies.values()), self._own_stream(plugin, "look"):
            yield

    def _subject(self, plugin: Plugin, batch: Callable[[], Any]) -> Subject:
        labels = self._labels(plugin)

        @cache
        @torch.no_grad()
        def target() -> Any:
            return self.objective.target(self.model, self.copies, batch())

        return Subject(
            model=self.model,
            copies=self.copies,
            clock=self.clock,
            generator=generator(self.seed, *labels, "draw", device=self.device),
            knobs=dict(self.knobs),
            fresh=lambda: self._structure.fresh(derive(self.seed, *labels, "fresh")).eval(),
            sample=batch,
            inputs=lambda: self.objective.inputs(batch()),
            losses=lambda model: self.objective.losses(model, batch(), target()),
            initial=lambda: self._structure.initial().eval(),
            policy=self.objective.policy,
            values=lambda model: self.objective.values(model, batch(), target()),
        )

    @torch.no_grad()
    def write(self, edits: Iterable[Edit], by: Plugin) -> None:
        """Carry out edits in order, in the model, the copies and the optimizer's state together.

        Raises:
            UsageError: If an edit names what is not there, or is none of the four kinds.
        """
        renewed: list[str] = []
        written: dict[SpectralNorm, None] = {}
        for edit in edits:
            into = Overwriting(self.name, self.model, self._lagged, self.optimizer, by)
            match edit:
                case Overwrite():
                    into.overwrite(edit)
                    written |= dict.fromkeys(into.normalised(edit.name))
                    if edit.renews:
                        renewed.append(edit.name)
                case Replace():
                    self._replace(edit, by)
                case Forget():
                    into.forget(edit.names)
                case Tune():
                    self._tune(edit, by)
                case _:
                    raise UsageError(
                        f"{named(by)}: edits gave {edit!r}, which is no Overwrite, Replace, Forget or Tune"
                    )
        for layer in written:
            layer.settle()
        if renewed:
            for modifier in self._modifiers:
                modifier.renewed(renewed)
            for intervention in self._interventions:
                intervention.renewed(renewed)

    def _replace(self, edit: Replace, by: Plugin) -> None:
        if edit.path not in dict(self.model.named_modules()) or not edit.path:
            raise UsageError(f"{named(by)}: Replace names the module {edit.path!r}, which {self.name} has not")
        for name, lagged in self._lagged.items():
            if lagged.path.startswith(f"{edit.path}."):
                raise UsageError(
                    f"{named(by)}: cannot replace {edit.path!r} around {lagged.path!r}, which the copy {name!r} follows"
                )
        try:
            self._carry_out(self._structure.replacement(edit, by))
        except NothingToActOn as error:
            error.args = (f"{error}{_moved(error.plugin, edit.path, by)}",)
            raise

    def _carry_out(self, done: Replaced) -> None:
        self._structure.carry_out(done, self.model, done.path)
        for name, lagged in self._lagged.items():
            own = lagged.name(done.path)
            if own is not None:
                self.copies[name] = lagged.module = self._structure.carry_out(done, lagged.module, own)
        self._structure.history.append(done)
        kept = self.optimizer.state
        groups = self.optimizer.param_groups
        self._index()
        self.optimizer = self._new_optimizer()
        for parameter in self.params.values():
            if parameter in kept:
                self.optimizer.state[parameter] = kept[parameter]
        for new, old in zip(self.optimizer.param_groups, groups, strict=True):
            new.update({key: value for key, value in old.items() if key != "params"})
        self._start()

    def _tune(self, edit: Tune, by: Plugin) -> None:
        if edit.knob not in self.knobs:
            has = ", ".join(sorted(self.knobs)) or "none"
            raise UsageError(f"{named(by)}: no knob {edit.knob!r} in this run; it has {has}")
        self.knobs[edit.knob] = edit.value

    # ---------------------------------------------------------------- checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Everything that training on depends on: tensors and plain values only.

        The tensors are the live ones, for writing at once.
        """
        return {
            "updates": self.updates,
            "history": [attrs.asdict(done) for done in self._structure.history],
            "model": self.model.state_dict(),
            "copies": {name: copy.state_dict() for name, copy in self.copies.items()},
            "optimizer": self.optimizer.state_dict(),
            "names": [plugin.name for plugin in self.plugins],
            "plugins": [plugin_state(plugin) for plugin in self.plugins],
            "noise": self._noise.get_state(),
            "augmentation": self._augmentation.get_state(),
            "averages": self._averages.state_dict(),
        }

    @blaming("after")
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was called; replaced modules are built again first.

        Raises:
            ValueError: If the state is of other plugins.
            RuntimeError: If it is of another network.
        """
        if state["names"] != [plugin.name for plugin in self.plugins]:
            raise ValueError(f"it is of the plugins {', '.join(state['names']) or 'none'}")
        for done in state["history"][len(self._structure.history) :]:
            self._carry_out(Replaced(**done))
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
        for name, values in state["copies"].items():
            self.copies[name].load_state_dict(values)
        learning_rate.load(self.optimizer, state["optimizer"])
        self._rate = None
        self.layout += 1
        for plugin, values in zip(self.plugins, state["plugins"], strict=True):
            load_plugin_state(plugin, values, self.device)
        self._noise.set_state(state["noise"])
        self._augmentation.set_state(state["augmentation"])
        self._averages.load_state_dict(state["averages"])


def _refuse_missing_offers(plugin: Plugin, objective: Objective, learner: str) -> None:
    for need in sorted(plugin.needed()):
        if not objective.offers(need):
            raise NothingToActOn(f"{plugin.name} needs {_NEEDED[need]}, and {learner} has none; leave it out there")


def _refuse_missing_knobs(plugin: Plugin, knobs: Knobs) -> None:
    for knob in sorted(plugin.turns.difference(knobs)):
        has = ", ".join(sorted(knobs)) or "none"
        raise NothingToActOn(f"{plugin.name} turns {knob}, which means nothing in this run; it has {has}")


def _moved(plugin: object, path: str, by: Plugin) -> str:
    """The end of an error about a plugin that found something until the module at `path` was replaced."""
    end = f"; {named(by)} has replaced {path!r}, and what was in it has other paths now"
    for option in ("layers", "scope"):
        pattern = getattr(plugin, option, None)
        if isinstance(pattern, str) and f"{path}." in pattern:
            return f"{end}: write {option}={pattern.replace(f'{path}.', f'{path}*.')}, which holds before and after"
    return end


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    # A fused optimizer walks through memory whatever the strides say, and what autograd gives for a
    # convolution of channels-last images is channels last, also where its weights are not.
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
