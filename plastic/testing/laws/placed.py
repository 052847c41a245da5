"""A run with the plugin would not mix tensors of the host with tensors of the device."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from attrs import define, field

from plastic.core.recording.capture import Recording
from plastic.testing.certificate import Law
from plastic.testing.devices import Devices
from plastic.testing.examination import LENGTH, PLACES, Examination
from plastic.testing.trial import Trial

Result = TypeVar("Result")
_MEANING = "on a GPU no call would mix tensors of the host with tensors of the device (followed on the CPU)"


def placed(examination: Examination) -> Law:
    """What it makes, it makes where the weights are."""
    broken = []
    for kind in examination.watches:
        with Devices() as devices:
            trial = Trial(kind, [examination.chosen()], steps=LENGTH, registry=examination.known)
            trial.agent.be_recorded(Following(devices))
            trial.warm_up()
            for step in range(trial.clock.now.agent_steps, LENGTH + 1):
                _put(devices, trial)
                trial.run(step)
        broken += [
            f"on {PLACES[kind]} {name} takes tensors of host and device ({line}); make it with device=...device"
            for name, line in devices.mixed.items()
        ]
    findings = [f"seven updates on {PLACES[kind]}" for kind in examination.watches]
    return Law("one device", _MEANING, "broken" if broken else "holds", broken or findings)


@define(eq=False)
class Following:
    """A recorder that records nothing, and says what would be."""

    devices: Devices
    device: torch.device = field(factory=lambda: torch.device("cpu"))

    def rehearse(self, work: Callable[[], Result]) -> Result:
        """See `plastic.core.recording.capture.Recorder`."""
        self.devices.recorded = True
        try:
            return work()
        finally:
            self.devices.recorded = False

    def record(self, work: Callable[[], Result], generators: Iterable[torch.Generator]) -> Recording[Result]:
        """See `plastic.core.recording.capture.Recorder`."""
        return Recording(lambda: self.rehearse(work), self.rehearse(work))


def _put(devices: Devices, trial: Trial) -> None:
    """Networks are on the device, also after a module was replaced."""
    for learner in trial.learners.values():
        for network in (learner.model, *learner.copies.values()):
            devices.put([*network.parameters(), *network.buffers()])
