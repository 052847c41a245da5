"""Updates that are recorded and replayed, as CUDA graphs are, are the updates."""

from plastic.core.errors import UsageError
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.core.recording.programs import Programs
from plastic.testing.certificate import Law
from plastic.testing.compare import differences
from plastic.testing.examination import Examination
from plastic.testing.state import remembered_by_plugins, story
from plastic.testing.trial import WARM, Trial

_MEANING = "recorded once and replayed (`capture`), its updates are bit for bit what they are otherwise"
_LENGTH = WARM + 9  # ten updates: of those that are alike the first is carried out, the second recorded, more replayed


def recorded(examination: Examination) -> Law:
    """The device may be given an update as a recording, in which Python has no more say."""
    return examination.law(
        "replayed",
        _MEANING,
        lambda kind: replaying(kind, [examination.chosen()], examination.known),
        "ten updates",
    )


def replaying(kind: str, chosen: list[Chosen], known: Registry) -> str | None:
    """What differs between a run that replays its updates and one that does not, or None."""
    plain, replayed = (Trial(kind, chosen, steps=_LENGTH, registry=known) for _ in range(2))
    replayed.agent.be_recorded(Programs())
    plain.warm_up().run()
    try:
        replayed.warm_up().run()
    except UsageError as error:
        return f"an update cannot be recorded: {error}"
    for one, other in ((story(plain), story(replayed)), tuple(map(remembered_by_plugins, (plain, replayed)))):
        if differing := differences(one, other):
            return (
                f"{differing[0]} differs when updates are replayed; keep what lasts in tensors that are written in "
                "place, and say by `due` where updates are not alike"
            )
    return None
