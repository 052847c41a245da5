"""How readily the network learns something new."""

from collections.abc import Mapping
from copy import deepcopy

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.validators import between


@frozen(eq=False)
class Trainability(Probe):
    """How far a copy of the network fits random targets in a few steps of Adam, and a new network beside it.

    The targets are what the network gives, plus noise of N(0, 1) on every output: its own outputs on `samples`
    observations of the batch, and the new network's own for that one. So both begin at the same loss whatever the
    size of their outputs. After Lyle et al. (2023, arXiv:2303.01486), who fit a random function of the observation,
    shifted by the mean output; that of Lyle et al. (2022, arXiv:2204.09560) is not shifted.

    `loss` is the mean squared error after the last step over that before the first: 1 is a network that learns
    nothing. `fresh` is the same of a newly initialised network, and `relative` the one over the other: above 1
    the network has lost plasticity. Both fit the same noise.

    Attributes:
        steps: Of Adam.
        lr: Adam's learning rate.
        samples: Observations that are fitted, the first of the batch.
        when: At which updates.
    """

    name = "trainability"
    steps: int = field(default=50, validator=between(1))
    lr: float = field(default=1e-3, validator=between(0, above=True))
    samples: int = field(default=64, validator=between(1))
    when: Schedule = Every(10_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """Of the network as it is, and of a new one."""
        inputs = tuple(value[: self.samples] for value in subject.inputs)
        with torch.no_grad():
            outputs = subject.model(*inputs)
        noise = torch.randn(outputs.shape, generator=subject.generator, device=outputs.device)
        now = self.fitted(deepcopy(subject.model), inputs, noise)
        fresh = self.fitted(subject.fresh(), inputs, noise)
        return {"loss": now, "fresh": fresh, "relative": now / fresh}

    def fitted(self, model: nn.Module, inputs: tuple[Tensor, ...], noise: Tensor) -> Tensor:
        """Train `model`, and give the loss after the last step relative to the first."""
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, self.lr)
        with torch.no_grad():
            targets = model(*inputs) + noise
        for _ in range(self.steps):
            with torch.enable_grad():
                loss = (model(*inputs) - targets).square().mean()
                gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
        with torch.no_grad():
            last: Tensor = (model(*inputs) - targets).square().mean()
        return last / noise.square().mean()  # which the first was
