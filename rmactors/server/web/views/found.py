"""What a pattern found in the snapshots of a plan, and what changed between two of them. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.server.web.live_items import Change, ChangeKind, Found
from rmactors.server.web.views import file_names
from rmactors.server.web.views.file_names import Name
from rmactors.server.web.views.folders import Place, short_id, time_of, type_word, unreadable
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.texts import _, later, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State, Tone


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it was in one or several snapshots: those in which size and time are the same.

    `snapshot` is the newest of them, which is where `folder` leads and from which it is restored; `times` carries its
    time on.
    """

    size: str
    changed: Time | None
    snapshot: str
    times: str
    short: str
    newest: Time
    oldest: Time | None
    count: str
    folder: str


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One path and its versions, newest first. `value` is what a form sends to choose it."""

    name: Name
    said: str
    above: Name
    type: str
    value: str
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class FoundPage:
    summary: str
    files: tuple[FoundFile, ...]
    unreadable: str
    more: str


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """`folder` leads to where it is, or was."""

    state: State
    path: Name
    folder: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """`counts` are of what is on this page, which is a `part` of all or all."""

    counts: tuple[State, ...]
    lines: tuple[ChangeLine, ...]
    unreadable: str
    more: str
    part: bool


_CHANGES: Final[dict[ChangeKind, tuple[Tone, str, str]]] = {
    "added": ("ok", later("Added"), later("%(n)s added")),
    "removed": ("bad", later("Removed"), later("%(n)s removed")),
    "modified": ("info", later("Changed"), later("%(n)s changed")),
    "metadata": ("off", later("Metadata only"), later("%(n)s with other metadata only")),
    "type": ("warn", later("Other type"), later("%(n)s of another type")),
}


def found_page(
    rows: Sequence[Found], left_out: int, cursor: str | None, pattern: str, place: Place, moment: Moment
) -> FoundPage:
    """`cursor` asks for what follows."""
    by_path: dict[tuple[str, str], list[Found]] = {}
    for hit in rows:
        by_path.setdefault((hit.path, hit.type), []).append(hit)
    place = place.knowing((hit.snapshot, hit.time) for hit in rows)
    files = tuple(_found(path, type_, hits, place, moment) for (path, type_), hits in by_path.items())
    snapshots = len({hit.snapshot for hit in rows})
    summary = _("%(files)s in %(snapshots)s") % {
        "files": many("%(n)s match", "%(n)s matches", len(files)),
        "snapshots": many("%(n)s snapshot", "%(n)s snapshots", snapshots),
    }
    return FoundPage(
        summary if files else "", files, unreadable(left_out), place.found(pattern, cursor) if cursor else ""
    )


def change_page(
    rows: Sequence[Change], left_out: int, cursor: str | None, before: str, after: str, part: bool, place: Place
) -> ChangePage:
    """`cursor` asks for what follows; `part`: it is not the first page."""
    totals = Counter(row.change for row in rows)
    lines = []
    for row in rows:
        tone, word, _n = _CHANGES[row.change]
        where = before if row.change == "removed" else after
        folder = place.folder(where, file_names.folder_of(row.path))
        lines.append(ChangeLine(State(tone, _(word)), file_names.name(row.path), folder))
    counts = tuple(
        State(tone, _(words) % {"n": f"{totals[kind]:,}"}) for kind, (tone, _word, words) in _CHANGES.items()
        if totals[kind]
    )  # fmt: skip
    return ChangePage(
        counts, tuple(lines), unreadable(left_out), place.changes(before, after, cursor) if cursor else "",
        part or cursor is not None,
    )  # fmt: skip


def _found(path: str, type_: str, hits: Sequence[Found], place: Place, moment: Moment) -> FoundFile:
    groups: dict[tuple[int | None, int | None], list[Found]] = {}
    for hit in sorted(hits, key=lambda each: -each.time):
        groups.setdefault((hit.size, hit.mtime), []).append(hit)
    above = file_names.folder_of(path)
    return FoundFile(
        name=file_names.name(file_names.last_of(path)),
        said=file_names.said(path),
        above=file_names.name(above),
        type=type_word(type_),
        value=place.seal(path),
        versions=tuple(_version(each, above, place, moment) for each in groups.values()),
    )


def _version(hits: Sequence[Found], above: str, place: Place, moment: Moment) -> Version:
    newest, oldest = hits[0], hits[-1]
    return Version(
        size=size(newest.size) if newest.type == "file" else "",
        changed=time_of(newest.mtime, moment),
        snapshot=newest.snapshot,
        times=place.carried(newest.snapshot),
        short=short_id(newest.snapshot),
        newest=moment.ago(newest.time),
        oldest=moment.ago(oldest.time) if len(hits) > 1 else None,
        count=many("in %(n)s snapshot", "in %(n)s snapshots", len(hits)),
        folder=place.folder(newest.snapshot, above),
    )
