"""A list survives each of its rows: one that cannot be shown is one row that says so.

Rows are judged where they come in, and what shows them takes any value. This is for what neither thought of.
"""

import dataclasses
import logging
import types
import typing
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

from rmactors.common import clock
from rmactors.common.logs import fields
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Time
from rmactors.server.web.views.words import State

R = TypeVar("R")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_SHORT = 200


def each(rows: Iterable[R], show: Callable[[R], T], instead: Callable[[R], T]) -> list[T]:
    """What `show` makes of each row. Where it fails, what `instead` makes of it; logged once for each row."""
    found = []
    for row in rows:
        try:
            found.append(show(row))
        except Exception as error:
            _tell(type(_itself(row)).__name__, _id(row), f"{type(error).__name__}: {error}"[:_SHORT])
            found.append(instead(row))
    return found


def line(kind: type[T]) -> Callable[[object], T]:
    """As one line of a page: the row's names, and words where its state would stand, or where text would."""

    def stand_in(row: object) -> T:
        row = _itself(row)
        given: dict[str, Any] = {}
        hints = typing.get_type_hints(kind)
        for name, hint in hints.items():
            given[name] = _blank(hint, getattr(row, name, None))
        if State not in hints.values():
            texts = [name for name, hint in hints.items() if hint is str and name not in ("id", "tone")]
            given[next(iter(texts))] = cannot()
        return kind(**given)

    return stand_in


def item(row: object) -> dict[str, Any]:
    """As one object of the API: what of it is plain, empty where it is not, and `problem`."""
    row = _itself(row)
    given: dict[str, Any] = {"problem": cannot()}
    for name in _names(row):
        value = getattr(row, name, None)
        if isinstance(value, str) and value[:1] in ("{", "["):
            given[name] = {} if value[0] == "{" else []
        elif isinstance(value, int) and name.endswith(("_at", "_for")):
            given[name] = clock.to_rfc3339(value)
        elif isinstance(value, str):
            given[name] = value[:_SHORT]
        elif value is None or isinstance(value, int):
            given[name] = value
    return given


def cannot() -> str:
    return _("Cannot be shown")


def _blank(hint: Any, value: object) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in options:
        return None
    match hint:
        case _ if hint is str:
            return value[:_SHORT] if isinstance(value, str) else ""
        case _ if hint is bool:
            return False
        case _ if hint is int:
            return 0
        case _ if hint is State:
            return State("off", cannot())
        case _ if hint is Time:
            return Time("", "", "")
        case _ if typing.get_origin(hint) is tuple:
            return ()
        case _ if typing.get_origin(hint) is typing.Literal:
            return "off" if "off" in typing.get_args(hint) else typing.get_args(hint)[0]
        case _:
            return None


def _names(row: object) -> list[str]:
    if dataclasses.is_dataclass(row):
        return [field.name for field in dataclasses.fields(row)]
    return list(getattr(row, "_fields", ()))


def _itself(row: object) -> object:
    """Of a row with others beside it, the row."""
    if isinstance(row, tuple) and not hasattr(row, "_fields"):
        row = row[0]
    return getattr(row, "host", row)


def _id(row: object) -> str:
    return str(getattr(_itself(row), "id", ""))[:_SHORT]


@lru_cache(maxsize=1024)
def _tell(kind: str, row_id: str, why: str) -> None:
    """Once for each: lists are fetched again and again."""
    _log.error("%s %s cannot be shown: %s", kind, row_id, why, extra=fields("row.unshowable", row=row_id))
