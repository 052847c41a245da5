"""No option is inert: some other value of it makes another run."""

from plastic.core.errors import UsageError
from plastic.core.recipes.options import fields
from plastic.testing.certificate import Law
from plastic.testing.compare import differences
from plastic.testing.examination import Examination
from plastic.testing.values import Given, others, refusal

_MEANING = "every option is live: a changed value changes something"
_ATTEMPTS = 16  # that are made beside other options


def live(examination: Examination) -> Law:
    """Tried alone, else beside another value of a second option."""
    names = list(fields(examination.cls))
    if not names:
        return Law("options", _MEANING, "no part of it", ["it has no options"])
    broken, found = [], []
    for name in names:
        tried = others(examination.cls, name, examination.given)
        given = _first_live(examination, name, tried) or _beside(examination, name, names)
        if given is not None:
            found.append(f"{name}={given[name]}")
        elif tried:
            values = ", ".join(str(one[name]) for one in tried[:4])
            broken.append(
                f"{name} makes no difference (tried {values}); use it or take it away, or give its field a value to "
                "try: metadata=example(...)"
            )
        else:
            broken.append(f"no other value of {name} was found to try; give its field one: metadata=example(...)")
    return Law("options", _MEANING, "broken" if broken else "holds", broken or found)


def _first_live(examination: Examination, name: str, tried: list[Given]) -> Given | None:
    for given in tried[:8]:
        origin = {**given}  # with all that an example needs beside it, but this option
        origin.pop(name)
        if name in examination.given:
            origin[name] = examination.given[name]
        if refusal(examination.cls, origin) is not None:  # one of two that exclude each other
            origin = examination.given
        if any(_differ(examination, kind, origin, given) for kind in examination.kinds):
            return given
    return None


def _beside(examination: Examination, name: str, names: list[str]) -> Given | None:
    """Where it is of use only beside another option: a threshold of a trigger."""
    attempts = 0
    for second in names:
        for base in others(examination.cls, second, examination.given)[:3] if second != name else ():
            for given in others(examination.cls, name, base)[:2]:
                attempts += 1
                if attempts > _ATTEMPTS:
                    return None
                if any(_differ(examination, kind, base, given) for kind in examination.kinds):
                    return given
    return None


def _differ(examination: Examination, kind: str, one: Given, other: Given) -> bool:
    stories = [examination.story(kind, given) for given in (one, other)]
    if any(isinstance(found, UsageError) for found in stories):
        return False
    first, second = stories
    assert not isinstance(first, UsageError)
    assert not isinstance(second, UsageError)
    return bool(differences(first, second))
