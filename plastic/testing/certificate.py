"""What came of a check: what was tried, what held, and what did not and why."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import frozen

Verdict = Literal["holds", "broken", "no part of it"]
Outcome = Literal["works", "refused", "broken"]


@frozen
class Law:
    """One law, and whether the plugin keeps it.

    Attributes:
        name: Of the law.
        meaning: What it asks for.
        verdict: `no part of it` where the plugin has nothing the law is about.
        findings: Why it is broken, or else on what it was tried; a sentence each.
    """

    name: str
    meaning: str
    verdict: Verdict
    findings: Sequence[str]


@frozen
class Meeting:
    """What came of two plugins on one agent.

    Attributes:
        other: The other plugin.
        on: The agent.
        outcome: It works, or was refused in one sentence; broken is what must not be.
        why: That sentence, or what broke.
    """

    other: str
    on: str
    outcome: Outcome
    why: str


@frozen
class Certificate:
    """What was tried of one plugin, what held, and what did not and why.

    Attributes:
        plugin: Its name.
        options: What it was tried with, by name.
        places: What came of it on each agent: it acts, it has nothing to act on, or it is refused.
        laws: In the order they were tried.
        beside: Its meetings with other plugins.
        seconds: That it took.
    """

    plugin: str
    options: Mapping[str, Any]
    places: Mapping[str, str]
    laws: Sequence[Law]
    beside: Sequence[Meeting]
    seconds: float

    @property
    def sound(self) -> bool:
        """Whether every law holds and every meeting works or was refused."""
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """Every sentence about what does not hold; empty is what a test should assert."""
        broken = [f"{law.name}: {finding}" for law in self.laws if law.verdict == "broken" for finding in law.findings]
        return broken + [f"beside {m.other} on {m.on}: {m.why}" for m in self.beside if m.outcome == "broken"]

    def __str__(self) -> str:
        """In plain lines."""
        lines = [f"{self.plugin} is {'sound' if self.sound else 'not sound'}", *self.faults]
        return "\n  ".join(lines)
