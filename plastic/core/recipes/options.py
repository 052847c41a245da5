"""Options: TOML values to the typed fields of attrs classes, strictly, and back."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs
import cattrs

from plastic.core.errors import UsageError, suggestion
from plastic.core.recipes.schedule_forms import form, schedule
from plastic.core.schedule import At, Schedule


def fields(cls: type[Any]) -> dict[str, "attrs.Attribute[Any]"]:
    """The options of an attrs class: the fields its constructor takes."""
    return {field.name: field for field in attrs.fields(cls) if field.init}


def default_of(field: "attrs.Attribute[Any]") -> Any:
    """An option's default; `attrs.NOTHING` where it has none, or one that depends on other options."""
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs' stubs take the class for a function
        return attrs.NOTHING if default.takes_self else default.factory()
    return default


def build(cls: type[Any], options: Mapping[str, Any], owner: str) -> Any:
    """An instance of `cls` with these options; `owner` names it in errors.

    Raises:
        UsageError: If an option is unknown, of the wrong type, or out of its range.
    """
    try:
        return cls(**_structured(cls, options, owner))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{owner}: {_reason(error)}") from error


def refuse_unwritable(cls: type[Any], owner: str) -> None:
    """Refuse a class that has an option whose default a recipe could not hold and give back.

    Raises:
        UsageError: Naming the option and its type; a run could otherwise not be resumed.
    """
    for name, field in fields(cls).items():
        default = default_of(field)
        if default is not attrs.NOTHING:
            try:
                value = _toml(default)
            except TypeError as error:
                raise UsageError(f"{owner}: the default of {name} is {error}, which a recipe cannot hold") from error
            _structured(cls, {name: value}, owner)


def _structured(cls: type[Any], options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    known = fields(cls)
    try:
        hints = get_type_hints(cls)
    except NameError as error:  # imported under TYPE_CHECKING alone
        raise UsageError(f"{owner}: the type of an option cannot be read: {error}; import it at run time") from error
    values = {}
    for name, value in options.items():
        if name not in known:
            raise UsageError(f"{owner} has no option {name!r}; {suggestion(name, known)}")
        try:
            values[name] = structure(value, hints[name], known[name].default)
            if known[name].validator is None:
                _refuse_infinite(values[name], default_of(known[name]))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{owner}: {name} {_reason(error)}") from error
        except cattrs.errors.StructureHandlerNotFoundError as error:
            raise UsageError(f"{owner}: {name} is of the type {hints[name]}, which a recipe cannot hold") from error
    return values


def _reason(error: BaseException) -> str:
    # attrs' validators put the attribute and the value behind the message; the first argument is the sentence
    return " ".join(str(error.args[0] if error.args else error).split())


def structure(value: Any, hint: Any, default: Any = None) -> Any:
    """A TOML value as the type `hint`; nothing is coerced but an integer where a number is wanted.

    Raises:
        ValueError: If it is of another type.
    """
    kinds = get_args(hint)
    if type(None) in kinds:
        if value is None or value == "none":  # TOML has no null
            return None
        if len(kinds) == 2:
            hint = kinds[kinds[0] is type(None)]
    if isinstance(hint, type) and issubclass(hint, Schedule):
        return schedule(value, once=isinstance(default, At))
    return _converter.structure(value, hint)


_ARTICLES = {int: "an integer", float: "a number", bool: "true or false", str: "a word", list: "a list"}


def _exactly(kind: type, also: type | None = None) -> Callable[[Any, Any], Any]:
    # cattrs would coerce: 1.7 to 1, 1 to "1"
    def hook(value: Any, _: Any) -> Any:
        if type(value) not in (kind, also):
            raise ValueError(f"must be {_ARTICLES[kind]}, not {value!r}")
        return kind(value)

    return hook


def _number(value: Any, hint: Any) -> float:
    number: float = _exactly(float, also=int)(value, hint)
    if math.isnan(number):
        raise ValueError("must be a number, not nan")  # it would pass every range
    return number


def _refuse_infinite(value: Any, default: Any) -> None:
    """Refuse an infinite number for an option without a validator, unless it is the default."""
    for number in value if isinstance(value, tuple | list | frozenset) else (value,):
        if isinstance(number, float) and math.isinf(number) and value != default:
            raise ValueError(f"must be finite, not {number!r}")


def _is_sequence(hint: Any) -> bool:
    return get_origin(hint) in (tuple, list, frozenset, Sequence)


def _sequence(value: Any, hint: Any) -> Any:
    # cattrs would take a word for the list of its letters
    items = _exactly(list, also=tuple)(value, hint)
    origin, kinds = get_origin(hint), get_args(hint)
    if origin is tuple and kinds[-1] is not ...:
        if len(items) != len(kinds):
            raise ValueError(f"must be a list of {len(kinds)}, not {value!r}")
    else:
        kinds = (kinds[0],) * len(items)
    found = [structure(item, kind) for item, kind in zip(items, kinds, strict=True)]
    return tuple(found) if origin is Sequence else origin(found)


def _is_literal(hint: Any) -> bool:
    return get_origin(hint) is Literal


def _literal(value: Any, hint: Any) -> Any:
    if value not in get_args(hint):
        raise ValueError(f"must be one of {', '.join(map(str, get_args(hint)))}, not {value!r}")
    return value


_converter = cattrs.Converter(detailed_validation=False)
_converter.register_structure_hook(int, _exactly(int))
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook(bool, _exactly(bool))
_converter.register_structure_hook(str, _exactly(str))
_converter.register_structure_hook_func(_is_literal, _literal)
_converter.register_structure_hook_func(_is_sequence, _sequence)


def values(instance: Any) -> dict[str, Any]:
    """The options of an instance, as TOML can hold them; None is the word `none`."""
    return {name: _toml(getattr(instance, name)) for name in fields(type(instance))}


def _toml(value: Any) -> Any:
    if value is None:
        return "none"
    if isinstance(value, tuple | list | frozenset):
        return [_toml(item) for item in value]
    if isinstance(value, Schedule):
        return form(value)
    if isinstance(value, Mapping):
        return {name: _toml(item) for name, item in value.items()}
    if not isinstance(value, str | int | float):
        raise TypeError(repr(value))
    return value
