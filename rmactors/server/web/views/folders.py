"""The snapshots of a plan, and the folders in one of them. Pure: rows of an agent in, what is shown out."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urlencode

from rmactors.server.web.live_items import Entry, Snapshot
from rmactors.server.web.views import file_names
from rmactors.server.web.views.file_names import Crumb, Name
from rmactors.server.web.views.lists import Head
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.texts import _, later, many
from rmactors.server.web.views.times import Moment, Time

Seal = Callable[[str], str]
"""Makes of a name what may stand in a URL."""

SNAPSHOTS_SHOWN: Final = 100
NEWEST_FIRST: Final = "-time"
_NUMBERS: Final[Mapping[str, Callable[[Snapshot], int | None]]] = {
    "time": lambda row: row.time, "size": lambda row: row.bytes, "added": lambda row: row.added_bytes,
}  # fmt: skip
_PATHS_SHOWN: Final = 5
_TYPES: Final = {
    "dir": later("folder"),
    "symlink": later("symbolic link"),
    "dev": later("device"),
    "chardev": later("device"),
    "fifo": later("named pipe"),
    "socket": later("socket"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a host's backups a page is, and the addresses from there on.

    `times` are those of snapshots, by their short ids, as far as they are known: addresses carry them on, so that each
    page says of when what it shows is.
    """

    host_id: str
    plan: str
    seal: Seal
    times: Mapping[str, int] = field(default_factory=dict)

    def _at(self, page: str, /, *snapshots: str, **query: str) -> str:
        kept = {"plan": self.plan, **query, "times": self.carried(*snapshots)}
        return f"/hosts/{self.host_id}/{page}?{urlencode({name: value for name, value in kept.items() if value})}"

    def carried(self, *snapshots: str) -> str:
        """The times of these snapshots for an address or a form: `times_from` reads them."""
        return self.seal(" ".join(f"{each[:8]}={self.times[each[:8]]}" for each in snapshots if each[:8] in self.times))

    def knowing(self, times: Iterable[tuple[str, int]]) -> "Place":
        """With the times of more snapshots."""
        return replace(self, times={**self.times, **{short_id(snapshot): at for snapshot, at in times}})

    def snapshots(self, begin: int = 0, sort: str = "") -> str:
        return self._at("snapshots", begin=str(begin or ""), sort=sort)

    def folder(self, snapshot: str, path: str = "/", cursor: str = "") -> str:
        at = "" if path == "/" else self.seal(path)
        return self._at(f"snapshots/{quote(snapshot, safe='')}", snapshot, at=at, next=self.seal(cursor))

    def changes(self, before: str, after: str, cursor: str = "") -> str:
        return self._at("changes", before, after, **{"from": before, "to": after, "next": self.seal(cursor)})

    def found(self, pattern: str = "", cursor: str = "") -> str:
        return self._at("find", what=self.seal(pattern), next=self.seal(cursor))

    def restore(self, snapshot: str) -> str:
        return self._at("restore", snapshot, snapshot=snapshot)


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """One snapshot. What restic does not tell is empty; `changes` too where none is before it. `value` is what
    a form sends to choose it."""

    id: str
    short: str
    when: Time
    size: str
    files: str
    added: str
    paths: tuple[Name, ...]
    more_paths: str
    tags: tuple[Name, ...]
    host: str
    value: str
    folder: str
    changes: str
    restore: str


@dataclass(frozen=True, slots=True)
class SnapshotList:
    """`heads` are those of the columns for when it was made, its size, and what it added. `unreadable` says what was
    left out, `more` is the next page."""

    lines: tuple[SnapshotLine, ...]
    heads: tuple[Head, Head, Head]
    has_sizes: bool
    summary: str
    unreadable: str
    more: str


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One of a folder. `value` is what a form sends to choose it; `folder` its address, for folders."""

    name: Name
    said: str
    type: str
    size: str
    when: Time | None
    folder: str
    value: str


@dataclass(frozen=True, slots=True)
class Folder:
    """One page of a folder. `twice` warns of names that look the same; `whole` chooses the folder itself."""

    crumbs: tuple[Crumb, ...]
    lines: tuple[EntryLine, ...]
    twice: str
    unreadable: str
    more: str
    whole: str
    is_root: bool


def snapshot_list(
    rows: Sequence[Snapshot], left_out: int, begin: int, place: Place, moment: Moment, *, all_of_them: bool = True,
    sort: str = NEWEST_FIRST,
) -> SnapshotList:  # fmt: skip
    """The page that begins at the row of this number, from 0; the first one where there are fewer by now. `rows` are
    newest first, which is the order where `sort` says nothing else; `all_of_them`: no older ones are left out."""
    begin = begin if begin < len(rows) else 0
    place = place.knowing((row.id, row.time) for row in rows)
    older = [*(row.id for row in rows[1:]), ""]
    shown = _sorted(list(zip(rows, older, strict=True)) if rows else [], sort)[begin : begin + SNAPSHOTS_SHOWN]
    lines = tuple(_snapshot(row, before, place, moment) for row, before in shown)
    more = begin + SNAPSHOTS_SHOWN
    return SnapshotList(
        lines, _heads(place, sort), any(line.size or line.files for line in lines),
        _how_many(len(rows), all_of_them), unreadable(left_out),
        place.snapshots(more, sort if sort != NEWEST_FIRST else "") if more < len(rows) else "",
    )  # fmt: skip


def _sorted(rows: list[tuple[Snapshot, str]], sort: str) -> list[tuple[Snapshot, str]]:
    """Of each, also the one that was made before it. What has no such number comes last; a tie stays newest first."""
    if sort == NEWEST_FIRST or sort.removeprefix("-") not in _NUMBERS:
        return rows
    number = _NUMBERS[sort.removeprefix("-")]
    known = [row for row in rows if number(row[0]) is not None]
    known.sort(key=lambda row: number(row[0]) or 0, reverse=sort.startswith("-"))
    return known + [row for row in rows if number(row[0]) is None]


def _heads(place: Place, sort: str) -> tuple[Head, Head, Head]:
    def head(column: str, word: str) -> Head:
        is_it, descending = sort.removeprefix("-") == column, sort.startswith("-")
        other = column if is_it and descending else f"-{column}"
        direction = ("descending" if descending else "ascending") if is_it else ""
        return Head(word, place.snapshots(sort=other if other != NEWEST_FIRST else ""), direction)

    return head("time", _("Created")), head("size", _("Size")), head("added", _("Added"))


def folder(
    rows: Sequence[Entry], left_out: int, cursor: str | None, snapshot: str, path: str, place: Place, moment: Moment
) -> Folder:
    """`cursor` asks for what follows."""
    lines = tuple(_entry(row, snapshot, place, moment) for row in rows)
    alike = sum(n for n in Counter(row.path for row in rows).values() if n > 1)
    return Folder(
        crumbs=file_names.crumbs(path, lambda each: place.folder(snapshot, each)),
        lines=lines,
        twice=many(
            "%(n)s entry has a name that another one has too, as far as it can be read: it cannot be chosen alone.",
            "%(n)s entries share a name, as far as it can be read: each can only be restored with the others.",
            alike,
        )
        if alike
        else "",
        unreadable=unreadable(left_out),
        more=place.folder(snapshot, path, cursor) if cursor else "",
        whole=place.seal(path),
        is_root=path == "/",
    )


def times_from(carried: str) -> dict[str, int]:
    """What `Place.carried` said; of another text, nothing."""
    pairs = (each.partition("=") for each in carried.split())
    return {short: micros for short, _between, at in pairs if (micros := number_from(at)) is not None}


def number_from(text: str) -> int | None:
    """None for what is no whole number of a usual length."""
    return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else None


def type_word(type_: str) -> str:
    """Empty for a file, which needs no word."""
    return _(_TYPES.get(type_, type_)) if type_ != "file" else ""


def time_of(at: int | None, moment: Moment) -> Time | None:
    return moment.ago(at) if at is not None else None


def unreadable(left_out: int) -> str:
    """What is said of items that are not shown; empty where all are."""
    return many("%(n)s entry cannot be shown.", "%(n)s entries cannot be shown.", left_out) if left_out else ""


def short_id(snapshot: str) -> str:
    return snapshot[:8]


def _how_many(n: int, all_of_them: bool) -> str:
    if not n:
        return ""
    if all_of_them:
        return many("%(n)s snapshot", "%(n)s snapshots", n)
    return _("The newest %s snapshots; there are older ones.") % f"{n:,}"


def _snapshot(row: Snapshot, before: str, place: Place, moment: Moment) -> SnapshotLine:
    more = len(row.paths) - _PATHS_SHOWN
    return SnapshotLine(
        id=row.id,
        short=row.short_id,
        when=moment.ago(row.time),
        size=size(row.bytes),
        files=many("%(n)s file", "%(n)s files", row.files) if row.files is not None else "",
        added=size(row.added_bytes),
        paths=_names(row.paths[:_PATHS_SHOWN]),
        more_paths=many("and %(n)s more", "and %(n)s more", more) if more > 0 else "",
        tags=_names(row.tags[:_PATHS_SHOWN]),
        host=file_names.said(row.hostname or ""),
        value=place.seal(f"{row.id} {row.time}"),
        folder=place.folder(row.id),
        changes=place.changes(before, row.id) if before else "",
        restore=place.restore(row.id),
    )


def _entry(row: Entry, snapshot: str, place: Place, moment: Moment) -> EntryLine:
    return EntryLine(
        name=file_names.name(row.name),
        said=file_names.said(row.name),
        type=type_word(row.type),
        size=size(row.size) if row.type == "file" else "",
        when=time_of(row.mtime, moment),
        folder=place.folder(snapshot, row.path) if row.type == "dir" else "",
        value=place.seal(row.path),
    )


def _names(texts: Sequence[str]) -> tuple[Name, ...]:
    return tuple(file_names.name(text) for text in texts)
