"""What the three kinds of plugins share: a name, what they claim, and when they are due."""

from abc import ABC
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, get_args

from plastic.core.errors import NothingToActOn
from plastic.core.schedule import Clock, Schedule

Claim = Literal[
    "activation",
    "normalisation",
    "ascent",
    "weight decay",
    "evaluation copy",
    "optimizer",
    "weights after a step",
]
CLAIMS: frozenset[Claim] = frozenset(get_args(Claim))

Reach = Literal["networks", "main", "everything"]
REACHES: frozenset[Reach] = frozenset(get_args(Reach))

Change = Literal["structure", "parameters", "copies", "gradients", "optimizer state", "evaluation", "knobs"]
CHANGES: frozenset[Change] = frozenset(get_args(Change))

Need = Literal["policy", "values", "weights"]
NEEDS: frozenset[Need] = frozenset(get_args(Need))

LIVE: Mapping[str, bool] = {"state": False}  # metadata of a field that `start` wires up and no checkpoint holds


def example(value: Any, **beside: Any) -> Mapping[str, Any]:
    """Metadata of an option: a value for a check to try, where its type and its range do not lead to one.

    >>> example(1.5, trigger="weight_norm")
    {'example': {'value': 1.5, 'beside': {'trigger': 'weight_norm'}}}

    Args:
        value: One that makes a difference within a few updates of a small network.
        beside: Other options without which it is refused or of no effect.
    """
    return {"example": {"value": value, "beside": beside}}


class Plugin(ABC):
    """An attrs class whose fields are its options; fields with `init=False` are its state.

    The state, tensors or JSON scalars, is checkpointed. A plugin that acts at moments has a field
    `when`, a `Schedule`; others have none. A field `layers` or `scope` selects parts of the network. There is
    no field `on`: with it the user says on which of an agent's learners the plugin acts, each with an instance
    of its own.
    """

    name: ClassVar[str]
    claims: ClassVar[frozenset[Claim]] = frozenset()  # what no other plugin of the run may also claim
    changes: ClassVar[frozenset[Change]] = frozenset()  # what a check may expect to see changed
    turns: ClassVar[frozenset[str]] = frozenset()  # knobs of the run; of these, too, no other may turn one
    needs: ClassVar[frozenset[Need]] = frozenset()  # what a learner's objective must offer for it
    # Where it acts unless the user says: on every network it finds something in, on the agent's main one, or on
    # every learner, a temperature that is no network included
    reach: ClassVar[Reach] = "networks"

    def due(self, clock: Clock) -> Hashable:
        """Something true where this tick is a moment of the plugin; always, for one that has no `when`.

        A modifier that does not do the same at each of its updates says here what it will do at this one.
        """
        when: Schedule | None = getattr(self, "when", None)
        return when is None or when(clock)

    def settings(self) -> Mapping[str, Any]:
        """Settings of the agent that this plugin starts from, where the user gives no others: a replay ratio."""
        return {}

    def claimed(self) -> frozenset[Claim]:
        """Of its class's `claims`, those that stand with these options; all, unless an option leaves one out."""
        return self.claims

    def needed(self) -> frozenset[Need]:
        """Of its class's `needs`, those of these options; all, unless an option leaves one out."""
        return self.needs

    def overrides(self, seam: str) -> bool:
        """Whether this class does anything at `seam`, the name of one of its kind's methods."""
        kind = next(base for base in type(self).__mro__ if Plugin in base.__bases__)
        return getattr(type(self), seam) is not getattr(kind, seam)


@contextmanager
def refusing(plugin: Plugin, learner: str) -> Iterator[None]:
    """Inside, where the plugin finds nothing to act on, the error says which plugin it was, and on which learner."""
    try:
        yield
    except NothingToActOn as error:
        error.plugin, error.learner = plugin, learner
        if plugin.name not in str(error):
            error.args = (f"{plugin.name}: {error}",)
        raise


def named(plugin: Plugin) -> str:
    """A plugin by its name, and its package where that is another than ours."""
    package = type(plugin).__module__.partition(".")[0]
    return plugin.name if package == __name__.partition(".")[0] else f"{plugin.name} (from {package})"
