"""What an agent tells of its repositories, brought within bounds. Pure.

Only who can open a repository knows restic's id of it: it is 256 random bits, and lies encrypted. So a host can say
something wrong about its own repositories, and not about those of others.
"""

import math
import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from rmactors.common import bounds
from rmactors.server.messages.repositories import FoundRepository, Measurement

MOST_REPOSITORIES: Final = 100
MOST_SHARES: Final = 200
MOST_LOCKS: Final = 20
MOST_PLANS: Final = 200
_ID: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")

_list: Final = msgspec.json.Decoder(list[Raw])
_object: Final = msgspec.json.Decoder(dict[str, Any])


def read_answer(items: Raw) -> tuple[FoundRepository, ...] | None:
    """The items of a `stats` response; None if they are no list. One that is no repository is left out."""
    try:
        given = _list.decode(items)
    except (msgspec.DecodeError, RecursionError):
        return None
    found: dict[str, FoundRepository] = {}
    for raw in given[:MOST_REPOSITORIES]:
        try:
            one = _repository(_object.decode(raw))
        except (msgspec.DecodeError, RecursionError):
            continue
        if one is not None:
            found.setdefault(one.name, one)
    return tuple(found.values())


def _repository(given: dict[str, Any]) -> FoundRepository | None:
    name = _name(given.get("name"))
    if not name:
        return None
    identifier = given.get("repository_id")
    known = isinstance(identifier, str) and _ID.fullmatch(identifier) is not None
    error = given.get("error")
    measured = _measurement(given) if known else None
    if measured is None and given.get("measured") is True:
        error = error or "its agent's answer cannot be read"
    return FoundRepository(
        name=name,
        repository_id=identifier if known else None,
        location=_name(given.get("location")),
        plans=tuple(dict.fromkeys(plan for each in _items(given.get("plans"), MOST_PLANS) if (plan := _name(each)))),
        filed_as=_name(given.get("own_host")),
        version=_count(given.get("version")),
        measurement=measured,
        error=bounds.text(error, 500) if isinstance(error, str) and error else None,
    )


def _measurement(given: dict[str, Any]) -> Measurement | None:
    size, snapshots = _count(given.get("size_bytes")), _count(given.get("snapshots"))
    if size is None or snapshots is None or given.get("error"):
        return None
    ratio = given.get("compression")
    told = isinstance(ratio, int | float) and not isinstance(ratio, bool) and math.isfinite(ratio) and 0 < ratio < 1e9
    shares = [share for each in _items(given.get("hosts"), MOST_SHARES) if (share := _share(each)) is not None]
    locks = [lock for each in _items(given.get("locks"), MOST_LOCKS) if (lock := _lock(each)) is not None]
    return Measurement(
        size_bytes=size,
        uncompressed_bytes=_count(given.get("uncompressed_bytes")),
        compression=float(ratio) if told and ratio is not None else None,
        snapshots=snapshots,
        shares=_json(shares),
        locks=_json(locks),
    )


def _share(given: object) -> dict[str, Any] | None:
    if not isinstance(given, dict):
        return None
    snapshots = _count(given.get("snapshots"))
    numbers = {name: _count(given.get(name)) for name in ("bytes", "unique_bytes")}
    return {"host": _name(given.get("host")), "snapshots": snapshots or 0, **numbers}


def _lock(given: object) -> dict[str, Any] | None:
    if not isinstance(given, dict):
        return None
    at = given.get("at")
    return {
        "host": _name(given.get("host")),
        "user": _name(given.get("user")),
        "pid": _count(given.get("pid")) or 0,
        "at": at if isinstance(at, str) and _TIME.fullmatch(at) else None,
        "exclusive": given.get("exclusive") is True,
    }


def _items(value: object, most: int) -> list[object]:
    return value[:most] if isinstance(value, list) else []


def _name(value: object) -> str:
    return bounds.name(value) if isinstance(value, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= bounds.HIGHEST else None


def _json(value: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(value).decode()
