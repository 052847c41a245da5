"""The runs that the laws are read from: one plugin on small agents, under watch and alone, each made once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain, islice
from typing import Any

from attrs import define, field

from plastic.core.errors import NothingToActOn, UsageError
from plastic.core.plugin import Plugin
from plastic.core.probe import Probe
from plastic.core.recipes.options import fields
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.testing.certificate import Law
from plastic.testing.compare import differences
from plastic.testing.known import built_in
from plastic.testing.state import story
from plastic.testing.trial import WARM, Trial
from plastic.testing.values import Given, others, small
from plastic.testing.watch import Watch
from plastic.testing.watchers import Innermost, Outermost

PLACES: Mapping[str, str] = {"plain": "a plain network", "states": "SAC", "rainbow": "Rainbow"}  # cheap ones first
LENGTH = WARM + 6  # agent steps: seven updates, and edits after six of them
CHECKPOINT = WARM + 2  # after three updates
_ATTEMPTS = 24  # that are made to find options with which it acts


@define(eq=False)
class Examination:
    """One plugin with these options; the options are such that it acts, if there are any."""

    cls: type[Plugin]
    given: Given
    kinds: Sequence[str] = tuple(PLACES)
    known: Registry = field(init=False)
    _watched: dict[tuple[str, str], Watch | UsageError] = field(factory=dict, init=False)
    _stories: dict[tuple[str, str], dict[str, Any] | UsageError] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.known = built_in(Innermost, Outermost, self.cls)
        self.given = small(self.cls, self.given)
        if not self.differs(self.given):
            self.given = self._found() or self.given

    def chosen(self, given: Mapping[str, Any] | None = None) -> Chosen:
        """The plugin with its options, or with these."""
        return Chosen(self.cls.name, self.given if given is None else given)

    @property
    def places(self) -> dict[str, str]:
        """By kind of trial, why it is not there; empty where it is."""
        found = {kind: self.watch(kind) for kind in self.kinds}
        return {kind: "" if isinstance(one, Watch) else str(one) for kind, one in found.items()}

    @property
    def watches(self) -> dict[str, Watch]:
        """By kind of trial, wherever it is."""
        found = {kind: self.watch(kind) for kind in self.kinds}
        return {kind: one for kind, one in found.items() if isinstance(one, Watch)}

    @property
    def refused(self) -> dict[str, UsageError]:
        """Where it is refused although there is something to act on."""
        found = {kind: self.watch(kind) for kind in self.kinds}
        return {
            kind: one
            for kind, one in found.items()
            if isinstance(one, UsageError) and not isinstance(one, NothingToActOn)
        }

    def law(self, name: str, meaning: str, fault: Callable[[str], str | None], tried: str) -> Law:
        """One that is tried wherever the plugin is.

        Args:
            name: Of the law.
            meaning: What it asks for.
            fault: What is wrong on a kind of trial, or None.
            tried: What was tried on each.
        """
        found = {kind: fault(kind) for kind in self.watches}
        broken = [f"on {PLACES[kind]} {why}" for kind, why in found.items() if why is not None]
        held = [f"{tried} on {PLACES[kind]}" for kind in found]
        return Law(name, meaning, "broken" if broken else "holds", broken or held)

    def watch(self, kind: str, given: Given | None = None) -> Watch | UsageError:
        """A run with the plugin alone under watch, or why there is none."""
        options = self.given if given is None else given
        key = kind, repr(sorted(options.items()))
        if key not in self._watched:
            try:
                self._watched[key] = Watch(kind, [self.chosen(options)], self.known, LENGTH).run()
            except UsageError as error:
                self._watched[key] = error
        return self._watched[key]

    def story(self, kind: str, given: Given | None = None) -> dict[str, Any] | UsageError:
        """What a run with the plugin alone comes to, nobody watching, or why there is none."""
        options = self.given if given is None else given
        key = kind, repr(sorted(options.items()))
        if key not in self._stories:
            try:
                trial = Trial(kind, [self.chosen(options)], steps=LENGTH, registry=self.known)
                self._stories[key] = story(trial.warm_up().run())
            except UsageError as error:
                self._stories[key] = error
        return self._stories[key]

    def differs(self, given: Given) -> bool:
        """Whether a run with these options is another than the one without the plugin."""
        for kind in self.kinds:
            there = self.story(kind, given)
            if not isinstance(there, UsageError) and differences(there, bare(kind).ended):
                return True
        return False

    def _found(self) -> Given | None:
        """Options with which it acts: one changed, else two."""
        if issubclass(self.cls, Probe):
            return None
        singly = [other for name in fields(self.cls) for other in others(self.cls, name, self.given)]
        pairs = (two for one in singly for name in fields(self.cls) for two in others(self.cls, name, one))
        return next((given for given in islice(chain(singly, pairs), _ATTEMPTS) if self.differs(given)), None)


@cache
def bare(kind: str) -> Watch:
    """The run without any plugin, under watch."""
    return Watch(kind, [], built_in(Innermost, Outermost), LENGTH).run()
