"""How much is kept of what an agent says: how long its texts are, which characters they have, how many there are. Pure.

A bound stands in the type of a field, as `Meta(extra={"fit": …})` or `Meta(extra={"most": …})`; a text without one is a
`text`. `fitter` makes of a frame's type what brings each frame of it within them. A number or a list without bounds is
refused when the program starts, so that a new field cannot come in without anybody having thought of it.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

S = TypeVar("S", bound=msgspec.Struct)
Fit = Callable[[Any], Any]
"""Gives the value itself where it fits, and else one that does."""

NAME: Final = 200
TEXT: Final = 2_000
LINE: Final = 1_000
"""Longest name or version, text, and line of a log, in characters."""
HIGHEST: Final = (1 << 63) - 1

# Control characters, halves of pairs, and what turns the direction of all that follows it: in a terminal, a mail or a
# list these say something else than they show.
_ODD: Final = "\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_NOT_IN_NAMES: Final = re.compile(f"[\0-\x1f{_ODD}]")
_NOT_IN_TEXTS: Final = re.compile(f"[\0-\x08\x0b-\x1f{_ODD}]")
_NOT_IN_LINES: Final = re.compile(f"[\0-\x08\x0a-\x1f{_ODD}]")
_COLOURS: Final = re.compile("\x1b\\[[0-9;:?]{0,40}[A-Za-z]")
_INSTEAD: Final = "\ufffd"


def name(value: str) -> str:
    """One line of at most 200 characters."""
    if len(value) <= NAME and value.isprintable():
        return value
    return cut(_NOT_IN_NAMES.sub(_INSTEAD, value[: NAME + 1]), NAME)


def text(value: str, most: int = TEXT) -> str:
    """At most 2,000 characters, in lines."""
    if len(value) <= most and value.isprintable():
        return value
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return cut(_NOT_IN_TEXTS.sub(_INSTEAD, value[: most + 1]), most)


def line(value: str) -> str:
    """A line of a log: at most 1,000 characters, with its tabs and without its colours."""
    if len(value) <= LINE and value.isprintable():
        return value
    value = value.rstrip("\r\n")
    if "\x1b" in value:
        value = _COLOURS.sub("", value[: 4 * LINE])
    return cut(_NOT_IN_LINES.sub(_INSTEAD, value[: LINE + 1]), LINE)


def as_it_is(value: str) -> str:
    """Of what is judged elsewhere."""
    return value


def cut(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1] + "…"


def count(value: int) -> int:
    """From 0 to what 64 bits hold."""
    return min(max(value, 0), HIGHEST)


def percent(value: float) -> float:
    return min(max(value, 0.0), 100.0)


def duration(value: float) -> float:
    """Seconds, at most ten years."""
    return min(max(value, 0.0), 10 * 365 * 86_400.0)


def fitter(kind: type[S]) -> Callable[[S], S]:
    """What brings a value of this type within its bounds. Raises TypeError for a type that has a part without any."""
    found = _of(inspect.type_info(kind), kind.__name__)
    return found if found is not None else lambda value: value


def _of(kind: inspect.Type, where: str, extra: dict[str, Any] | None = None) -> Fit | None:
    """None if every value fits."""
    given: Fit | None = (extra or {}).get("fit")
    match kind:
        case inspect.Metadata(type=inner, extra=told):
            return _of(inner, where, told or extra)
        case inspect.UnionType(types=types):
            inner_types = [each for each in types if not isinstance(each, inspect.NoneType)]
            if len(inner_types) != 1:
                raise TypeError(f"{where}: several types")
            return _if_there(_of(inner_types[0], where, extra))
        case inspect.StructType():
            return _struct(kind, where)
        case inspect.ListType(item_type=item):
            if extra is None or "most" not in extra:
                raise TypeError(f"{where}: a list without a bound")
            return _list(_of(item, where), extra["most"])
        case inspect.StrType(pattern=None):
            return given or text
        case inspect.IntType() | inspect.FloatType():
            if given is None and (kind.ge is None or kind.le is None):
                raise TypeError(f"{where}: a number without bounds")
            return given
        case inspect.StrType() | inspect.BoolType() | inspect.LiteralType() | inspect.DateTimeType():
            return given
        case inspect.RawType() if given is not None or (extra or {}).get("judged"):
            return given
        case _:
            raise TypeError(f"{where}: there is no bound for {type(kind).__name__}")


def _if_there(fit: Fit | None) -> Fit | None:
    if fit is None:
        return None

    def fit_if_there(value: Any) -> Any:
        return value if value is None or value is msgspec.UNSET else fit(value)

    return fit_if_there


def _list(fit: Fit | None, most: int) -> Fit:
    def fit_list(values: list[Any]) -> list[Any]:
        kept = values if len(values) <= most else values[:most]
        if fit is None:
            return kept
        fitted = [fit(value) for value in kept]
        if all(new is old for new, old in zip(fitted, values, strict=False)):
            return kept
        return fitted

    return fit_list


def _struct(kind: inspect.StructType, where: str) -> Fit | None:
    plan = tuple(
        (field.name, fit)
        for field in kind.fields
        if (fit := _of(field.type, f"{where}.{field.name}")) is not None
    )  # fmt: skip
    if not plan:
        return None

    def fit_struct(value: Any) -> Any:
        changed = None
        for field, fit in plan:
            old = getattr(value, field)
            if old is not None and (new := fit(old)) is not old:
                if changed is None:
                    changed = {}
                changed[field] = new
        return value if changed is None else msgspec.structs.replace(value, **changed)

    return fit_struct
