"""What agents answer about their repositories, as the API shows it."""

from typing import Generic, TypeVar

from msgspec import Struct

from rmactors.common import clock
from rmactors.server.web import live_items
from rmactors.server.web.api.shapes.rows import shaped
from rmactors.server.web.fields import Time
from rmactors.server.web.live_items import ChangeKind, EntryType
from rmactors.server.web.operations.looking import Looked

T = TypeVar("T")


class Snapshot(Struct):
    """What restic does not say is null."""

    id: str
    short_id: str
    time: Time
    plan: str | None
    paths: list[str]
    tags: list[str]
    hostname: str | None
    files: int | None
    bytes: int | None
    added_bytes: int | None
    program_version: str | None


class Entry(Struct):
    """Names and paths are arbitrary text, line breaks included."""

    name: str
    path: str
    type: EntryType
    size: int | None
    mtime: Time | None


class Found(Struct):
    """`time` is that of the snapshot."""

    snapshot: str
    time: Time
    path: str
    type: EntryType
    size: int | None
    mtime: Time | None


class Change(Struct):
    path: str
    change: ChangeKind


class Preview(Struct):
    """What a restore would write, and where to. null: it cannot be known."""

    snapshot: str
    files: int | None
    bytes: int | None
    into: str | None
    free_bytes: int | None


class Snapshots(Struct, omit_defaults=True):
    """`left_out`: so many could not be read."""

    items: list[Snapshot]
    as_of: Time
    left_out: int = 0


class Page(Struct, Generic[T], omit_defaults=True):
    """`next_cursor` is null on the last one. `left_out`: so many could not be read."""

    items: list[T]
    next_cursor: str | None
    left_out: int = 0


# Written out: there are thousands of them at a time.


def snapshots(looked: Looked[live_items.Snapshot]) -> Snapshots:
    items = [
        Snapshot(
            one.id, one.short_id, clock.to_rfc3339(one.time), one.plan, one.paths, one.tags, one.hostname, one.files,
            one.bytes, one.added_bytes, one.program_version,
        )
        for one in looked.items
    ]  # fmt: skip
    return Snapshots(items, clock.to_rfc3339(looked.as_of), looked.left_out)


def entries(looked: Looked[live_items.Entry]) -> Page[Entry]:
    items = [Entry(one.name, one.path, one.type, one.size, _at(one.mtime)) for one in looked.items]
    return Page(items, looked.next_cursor, looked.left_out)


def found(looked: Looked[live_items.Found]) -> Page[Found]:
    items = [
        Found(one.snapshot, clock.to_rfc3339(one.time), one.path, one.type, one.size, _at(one.mtime))
        for one in looked.items
    ]
    return Page(items, looked.next_cursor, looked.left_out)


def changes(looked: Looked[live_items.Change]) -> Page[Change]:
    return Page([Change(one.path, one.change) for one in looked.items], looked.next_cursor, looked.left_out)


def preview(item: live_items.Preview) -> Preview:
    return shaped(Preview, item)


def _at(micros: int | None) -> str | None:
    return None if micros is None else clock.to_rfc3339(micros)
