"""Optimizer modifiers: plugins that change how gradients become steps, or what is kept of them."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import ClassVar, Literal, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from plastic.core.intervention import Lag
from plastic.core.plugin import Plugin

Draw = Literal["noise", "augmentation", "target"]
Parameters = Mapping[str, Tensor]
Gradients = Mapping[str, Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
ModifierStage = Literal["clip", "ascent", "decay", "weights", "average"]
MODIFIER_STAGES: tuple[ModifierStage, ...] = ("clip", "ascent", "decay", "weights", "average")


class Evaluate(Protocol):
    """Losses and gradients of the batch in hand, at the weights or at others, without writing any."""

    def __call__(
        self, params: Parameters | None = None, redraw: frozenset[Draw] = frozenset(), noise: bool = True
    ) -> tuple[Tensor, Gradients]:
        """Losses [B] (unweighted) and the gradients of the training loss, clipped as the agent asks.

        Args:
            params: Weights to evaluate at, all that are trained; None is where the modifier was asked
                to, the model's own or those that a modifier around it has moved to.
            redraw: What is drawn or computed anew instead of kept from the first call.
            noise: False evaluates the noisy layers at their means.
        """


class OptimizerModifier(Plugin):
    """SAM, SWA, L2, optimizer reset ...: every seam's default is its identity.

    Where the class has a `when`, `gradients` and `after_step` are called at those updates only. Updates may be
    recorded and replayed (`plastic.core.recording`): what these two remember from one update to the next, they keep in
    tensors that they write in place.
    """

    # `gradients` nest: clipping innermost, then ascent, decay around it, and around all who rules what the
    # weights become; `after_step` is called in the same order, so that a mean is one of weights which nobody
    # changes any more
    stage: ClassVar[ModifierStage] = "ascent"

    @property
    def evaluation(self) -> str | None:
        """The copy that acts in evaluation, once there is something in it; one claimant."""
        return None

    def shown(self, model: nn.Module) -> None:
        """The network to be trained, to look at: before an optimizer is made, and again before each new one."""

    def optimizer(self, make: MakeOptimizer) -> MakeOptimizer:
        """Another optimizer, or a wrapped one."""
        return make

    def start(self, params: Parameters, lag: Lag) -> None:
        """Before the first update, and again whenever a module was replaced.

        `lag(name)` gives the parameters of a copy that belongs to this plugin: it starts equal to
        the model and every edit reaches it; apart from that, this plugin alone writes it.
        """

    def prepare(self, due: Hashable) -> None:
        """Before an update for which `due` gave this, on the host; called also where the update is replayed."""

    def gradients(self, evaluate: Evaluate, params: Parameters) -> tuple[Tensor, Gradients]:
        """Losses [B] for the priorities, and the gradients the optimizer steps with."""
        return evaluate()

    def after_step(self, params: Parameters, lr: float | Tensor) -> None:
        """After each optimizer step: the one place where a modifier writes, `params` and its own lag, in place.

        Args:
            params: Detached.
            lr: The learning rate, a scalar on the device where updates are recorded.
        """

    def renewed(self, names: Collection[str]) -> None:
        """Parameters of these names began anew by an intervention's edit: whole, their moments cleared."""
