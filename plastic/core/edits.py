"""What an intervention may ask for between updates; the learner alone carries it out."""

from collections.abc import Callable, Sequence
from typing import Literal

from attrs import field, frozen, validators
from torch import Tensor, nn

Value = Tensor | Callable[..., Tensor]
Copies = Literal["all", "none"] | Sequence[str]
Keep = Literal["clear", "keep"]

_keep = validators.in_(("clear", "keep"))


@frozen(eq=False)
class Overwrite:
    """New values for one parameter or buffer, or for the entries of it that `where` marks.

    Args:
        name: Its name in the model. A buffer has no moments, and the copies that follow get it at each update.
        value: A tensor of the parameter's shape, or a function of the tensor it replaces, which is
            called once for the model and once for each copy with that one's own tensor, and with those of `given`.
        where: A boolean mask of the parameter's shape; None is all of it.
        copies: Which copies that follow the model are written too: "all", "none" or their names. Those that
            belong to a plugin (`lag`) receive every edit.
        moments: Whether the optimizer's moments of the entries written are cleared. If so, a whole parameter begins
            anew, and whatever plugins remember of it (an age, a running mean) does, too: see `renewed` there.
            A projection that goes on with the same weights keeps both.
        step: Whether the optimizer's step count of this parameter is cleared. By default it goes
            with the moments of a whole tensor and stays where only a part was written: PyTorch
            counts per tensor, and cleared moments under an old count make the next step
            sqrt(1 - beta2) / (1 - beta1) times smaller or larger than a first step is
            (3.16 and 0.316 with Adam's defaults).
        given: Names of other parameters that a function of a `value` reads, each network's own, as the edits
            before this one have left them.
    """

    name: str
    value: Value
    where: Tensor | None = None
    copies: Copies = "all"
    moments: Keep = field(default="clear", validator=_keep)
    step: Keep | None = field(default=None, validator=validators.optional(_keep))
    given: Sequence[str] = ()

    @property
    def renews(self) -> bool:
        """Whether the whole parameter begins anew."""
        return self.where is None and self.moments == "clear"


@frozen(eq=False)
class Replace:
    """Another module in place of the one at `path`, in the model and in every copy.

    `wrap` is a method of the plugin that asks for it, module -> module. It is called on the model's
    and on each copy's own module under the same seed, and again, by its name, when a checkpoint
    rebuilds the structure. Parameters that stay keep their optimizer state, new ones start without.
    """

    path: str
    wrap: Callable[[nn.Module], nn.Module]


@frozen
class Forget:
    """Clear the optimizer's moments and step counts of these parameters; the weights stay."""

    names: Sequence[str]


@frozen
class Tune:
    """A new value for a knob of the run: `replay_ratio`, `learning_rate`, `augmentation` ..."""

    knob: str
    value: float | int | bool


Edit = Overwrite | Replace | Forget | Tune
