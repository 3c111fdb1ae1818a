"""What agents answer about their repositories, item by item, in the types that pages and API show. Pure.

An answer is judged here and kept nowhere. Names of files are arbitrary text, line breaks and whatever turns the
direction of text included, and stay as they are: who shows them escapes them. An item that does not fit is left out
and counted; of what is only said beside it, a value that makes no sense is None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from rmactors.common import clock

T = TypeVar("T")

MOST_ITEMS: Final = 2_000
"""Of one answer; an agent of ours gives no more at once."""

EntryType = Literal["file", "dir", "symlink", "dev", "chardev", "fifo", "socket"]
ChangeKind = Literal["added", "removed", "modified", "metadata", "type"]
ENTRY_TYPES: Final[tuple[EntryType, ...]] = get_args(EntryType)
CHANGE_KINDS: Final[tuple[ChangeKind, ...]] = get_args(ChangeKind)


class Snapshot(Struct, frozen=True):
    """`time` in microseconds. What restic does not say is None."""

    id: str
    short_id: str
    time: int
    plan: str | None
    paths: list[str]
    tags: list[str]
    hostname: str | None
    files: int | None
    bytes: int | None
    added_bytes: int | None
    program_version: str | None


class Entry(Struct, frozen=True):
    """In a folder of a snapshot. `size` in bytes, `mtime` in microseconds."""

    name: str
    path: str
    type: EntryType
    size: int | None
    mtime: int | None


class Found(Struct, frozen=True):
    """A file or folder in one of the snapshots of a plan. `time` is that of the snapshot."""

    snapshot: str
    time: int
    path: str
    type: EntryType
    size: int | None
    mtime: int | None


class Change(Struct, frozen=True):
    """Between two snapshots."""

    path: str
    change: ChangeKind


class Preview(Struct, frozen=True):
    """What a restore would do. `into` is the folder on the host."""

    snapshot: str
    files: int | None
    bytes: int | None
    into: str | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    items: list[T]
    left_out: int


class NotAListError(ValueError):
    """The answer is no list at all."""


# ---- as agents send it

_Id = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8,64}\Z")]
_Path = Annotated[str, Meta(pattern=r"\A/[^\x00]*\Z", max_length=32_768)]
_Name = Annotated[str, Meta(pattern=r"\A[^\x00/]+\Z", max_length=4_096)]
_SHORT: Final = 8


class _Snapshot(Struct):
    id: _Id
    time: str
    plan: Any = None
    paths: Any = None
    tags: Any = None
    hostname: Any = None
    files: Any = None
    bytes: Any = None
    added_bytes: Any = None
    program_version: Any = None


class _Entry(Struct):
    name: _Name
    path: _Path
    type: EntryType
    size: Any = None
    mtime: Any = None


class _Found(Struct):
    snapshot: _Id
    time: str
    path: _Path
    type: EntryType
    size: Any = None
    mtime: Any = None


class _Change(Struct):
    path: _Path
    change: ChangeKind


class _Preview(Struct):
    snapshot: _Id
    files: Any = None
    bytes: Any = None
    into: Any = None
    free_bytes: Any = None


def snapshots(raw: Raw) -> Items[Snapshot]:
    """Raises NotAListError, as all of these do."""
    return _each(raw, _Snapshot, _snapshot)


def entries(raw: Raw) -> Items[Entry]:
    return _each(raw, _Entry, lambda said: Entry(said.name, said.path, said.type, _count(said.size), _time(said.mtime)))


def found(raw: Raw) -> Items[Found]:
    return _each(raw, _Found, _found)


def changes(raw: Raw) -> Items[Change]:
    return _each(raw, _Change, lambda said: Change(said.path, said.change))


def previews(raw: Raw) -> Items[Preview]:
    return _each(
        raw,
        _Preview,
        lambda said: Preview(
            said.snapshot, _count(said.files), _count(said.bytes), _text(said.into), _count(said.free_bytes)
        ),
    )


def _snapshot(said: _Snapshot) -> Snapshot:
    return Snapshot(
        said.id, said.id[:_SHORT], _when(said.time), _text(said.plan), _texts(said.paths), _texts(said.tags),
        _text(said.hostname), _count(said.files), _count(said.bytes), _count(said.added_bytes),
        _text(said.program_version),
    )  # fmt: skip


def _found(said: _Found) -> Found:
    return Found(said.snapshot, _when(said.time), said.path, said.type, _count(said.size), _time(said.mtime))


def _each(raw: Raw, kind: type[Any], made: Callable[[Any], T]) -> Items[T]:
    try:
        listed = msgspec.json.decode(raw, type=list[Raw])
    except (msgspec.DecodeError, RecursionError):
        raise NotAListError("the answer is not a list") from None
    items, decoder = [], msgspec.json.Decoder(kind)
    for one in listed[:MOST_ITEMS]:
        try:
            items.append(made(decoder.decode(one)))
        except (ValueError, OverflowError, RecursionError):  # msgspec's errors are ValueErrors
            continue
    return Items(items, len(listed) - len(items))


# ---- one value


def _when(text: str) -> int:
    """Raises ValueError, OverflowError."""
    return clock.from_rfc3339(text)


def _time(value: object) -> int | None:
    try:
        return _when(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and "\0" not in value else None


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str) and "\0" not in text] if isinstance(value, list) else []
