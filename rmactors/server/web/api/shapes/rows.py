"""How a row becomes an object of the API."""

import types
import typing
from functools import cache
from typing import Any, TypeVar

from msgspec import Raw, Struct

from rmactors.common import clock
from rmactors.server.web.fields import Time
from rmactors.server.web.what_was_sent import is_object

S = TypeVar("S", bound=Struct)


JsonObject = dict[str, Any]


def json_object(text: str) -> Any:
    """A stored JSON object of an operator's, passed on byte for byte; empty where it is none."""
    return Raw(text.encode() if text == "{}" or is_object(text) else b"{}")


def shaped(kind: type[S], row: object, **given: Any) -> S:
    """A `kind` from the attributes of `row` that are named like its fields; `given` wins. Micros become RFC 3339."""
    for name, convert in _plan(kind):
        if name not in given:
            value = getattr(row, name)
            given[name] = convert(value) if convert is not None and value is not None else value
    return kind(**given)


@cache
def _plan(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """(field, how its value is converted or None) for each field."""
    plan = []
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        options = (
            typing.get_args(hint)
            if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
            else (hint,)
        )
        convert: Any = clock.to_rfc3339 if Time in options else bool if bool in options else None
        plan.append((name, convert))
    return tuple(plan)
