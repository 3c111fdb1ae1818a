"""The statistics that come with the end of a job: a flat object of numbers and short texts, whatever was sent. Pure.

Two lists that the server has a place for are taken as what they are: the snapshots of a job that lists them, and the
two sides of a comparison, which become flat.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import Raw

from rmactors.common.text import printable

KEYS: Final = 64
LONGEST_KEY: Final = 200
LONGEST_TEXT: Final = 200
HIGHEST: Final = 1 << 63
"""Numbers are within plus and minus this."""
SNAPSHOTS: Final = 100
PATHS: Final = 10
"""Snapshots that are kept of a list, the newest, and paths of each."""
REMARKS: Final = frozenset({"warning", "unknown_schedule"})
"""Words to the operator, which are cut where others are left out."""
SIDES: Final = ("added", "removed")
_NAMED: Final = 3

Value = bool | int | float | str | None
_flat: msgspec.json.Decoder[dict[str, Value]] = msgspec.json.Decoder(dict[str, Value])
_any: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_one: msgspec.json.Decoder[Value] = msgspec.json.Decoder(Value)
_side: msgspec.json.Decoder[dict[str, Value]] = msgspec.json.Decoder(dict[str, Value])
_list: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])


class Snapshot(msgspec.Struct, omit_defaults=True):
    """One snapshot of a list, as it is kept."""

    id: str = ""
    time: str = ""
    host: str = ""
    plan: str | None = None
    paths: list[str] = []
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """`values` are numbers, yes or no, and texts by name (and `snapshots`, where it was a list of those); `left_out`
    are the names of what did not fit. `as_sent`: nothing of it was changed."""

    values: dict[str, Any]
    left_out: tuple[str, ...] = ()
    as_sent: bool = field(default=False, compare=False)

    @property
    def text(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self.values).decode()

    @property
    def warning(self) -> str | None:
        """`left out of the job's statistics: a, b, c and 4 more`; None if nothing was."""
        if not self.left_out:
            return None
        names = ", ".join(self.left_out[:_NAMED])
        more = f" and {len(self.left_out) - _NAMED} more" if len(self.left_out) > _NAMED else ""
        return f"left out of the job's statistics: {names}{more}"


def fit(text: str | bytes, kind: str | None = None) -> Fitted:
    """What is kept of a JSON object. `kind` is the job's; None takes the lists of any. Never raises: what is no object
    has nothing in it."""
    try:
        found: dict[str, Any] = _flat.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            found = dict(_any.decode(text))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return Fitted({}, ("all of them",))
    else:
        if len(found) <= KEYS and all(map(_fits_as_it_is, found, found.values())):
            return Fitted(found, as_sent=True)
    values: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in found.items():
        if isinstance(value, Raw):
            fitted = _fit_raw(name, bytes(value), kind)
        else:
            value = _fit(name, value)
            fitted = None if value is None and found[name] is not None else {} if value is None else {name: value}
        key_fits = len(name) <= LONGEST_KEY and name.isprintable()
        if fitted is None or not key_fits or len(values) + len(fitted) > KEYS:
            left_out.append(printable(name[:40]))
        else:
            values |= fitted
    return Fitted(values, tuple(left_out))


def _fits_as_it_is(name: str, value: Value) -> bool:
    """As good as always."""
    kind = type(value)
    if kind is int or kind is float:
        fits = -HIGHEST <= value <= HIGHEST  # type: ignore[operator]  # and JSON has no number that is none
    elif kind is str:
        fits = len(value) <= LONGEST_TEXT and value.isprintable()  # type: ignore[arg-type,union-attr]
    else:
        fits = kind is bool
    return fits and len(name) <= LONGEST_KEY and name.isprintable()


def _fit(name: str, value: Value) -> Value:
    """None for what does not fit."""
    if isinstance(value, str):
        if name in REMARKS:
            return printable(value.strip()[:LONGEST_TEXT])
        return printable(value[:LONGEST_TEXT]) if len(value) <= LONGEST_TEXT else None
    if isinstance(value, bool) or value is None:
        return value
    return value if -HIGHEST <= value <= HIGHEST and math.isfinite(value) else None


def _fit_raw(name: str, raw: bytes, kind: str | None) -> dict[str, Any] | None:
    """Of an object that has something strange in it, this value by itself. None for what does not fit."""
    try:
        if name == "snapshots" and kind in (None, "snapshots") and raw[:1] == b"[":
            return {name: [msgspec.to_builtins(_snapshot(each)) for each in _list.decode(raw)[-SNAPSHOTS:]]}
        if name in SIDES and kind in (None, "diff") and raw[:1] == b"{":
            side = {f"{name}_{part}": _fit("", value) for part, value in _side.decode(raw).items()}
            return {part: value for part, value in side.items() if value is not None}
        plain = _one.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if plain is None:
        return {}
    value = _fit(name, plain)
    return None if value is None else {name: value}


def _snapshot(raw: Raw) -> Snapshot:
    """What can be read of it."""
    try:
        given = _any.decode(bytes(raw))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Snapshot()
    size = _plain(given.get("size"))
    return Snapshot(
        id=_word(given.get("id")) or "",
        time=_word(given.get("time")) or "",
        host=_word(given.get("host")) or "",
        plan=_word(given.get("plan")),
        paths=_paths(given.get("paths")),
        size=size if type(size) is int and 0 <= size < HIGHEST else None,
    )


def _paths(raw: Raw | None) -> list[str]:
    try:
        given = _list.decode(bytes(raw)) if raw is not None else []
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
    return [word for each in given[:PATHS] if (word := _word(each)) is not None]


def _word(raw: Raw | None) -> str | None:
    value = _plain(raw)
    return printable(value[:LONGEST_TEXT]) if isinstance(value, str) else None


def _plain(raw: Raw | None) -> Value:
    try:
        return _one.decode(bytes(raw)) if raw is not None else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
