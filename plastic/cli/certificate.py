"""A certificate as it is shown: what was tried, what held, and what did not and why."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table

from plastic.cli.plan import facts
from plastic.cli.wording import count, option, span
from plastic.testing.certificate import Certificate, Outcome, Verdict

_SIGNS: Mapping[Verdict, str] = {"holds": "holds", "broken": "BROKEN", "no part of it": "-"}


def certificate(found: Certificate) -> RenderableType:
    """Short: a line a law, the reasons of what is broken, a line of all meetings and one of each refusal."""
    tried = " ".join(f"{name}={option(value)}" for name, value in found.options.items())
    head = facts(
        [
            ("plugin", found.plugin),
            ("tried with", tried or "no options"),
            *((place, what) for place, what in found.places.items()),
        ]
    )
    laws = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("law", "", "what it asks for"):
        laws.add_column(heading, no_wrap=heading != "what it asks for", overflow="fold")
    for law in found.laws:
        laws.add_row(law.name, _SIGNS[law.verdict], law.meaning)
    parts: list[RenderableType] = [head, "", laws]
    if found.beside:
        parts += ["", _beside(found)]
        parts += [f"  {m.other} on {m.on}: refused: {m.why}" for m in found.beside if m.outcome == "refused"]
    if found.faults:
        parts += ["", *(f"  {fault}" for fault in found.faults)]
    verdict = "sound" if found.sound else f"not sound: {count(len(found.faults), 'fault')}"
    return Group(*parts, "", f"{found.plugin} is {verdict}. ({span(found.seconds)})")


def _beside(found: Certificate) -> str:
    def number(outcome: Outcome) -> int:
        return sum(meeting.outcome == outcome for meeting in found.beside)

    return (
        f"Beside other plugins: {number('works')} of {len(found.beside)} work, {number('refused')} refused, "
        f"{number('broken')} broken."
    )
