"""The list of hosts as pages show it: what it can be narrowed to, its heads, groups and pages, and the same as a sheet.
Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from rmactors.common import clock
from rmactors.server.store.queries.host_lists import STATUSES, HostFilter, HostSort, SheetRow, TagCount, tags_in
from rmactors.server.store.queries.hosts import status_of
from rmactors.server.store.queries.pages import Fleet, HostsWanted
from rmactors.server.web.views import lists, words
from rmactors.server.web.views.fleet import HostLine
from rmactors.server.web.views.lists import Asked, Choice, Head, ListKind, Pages
from rmactors.server.web.views.measures import number
from rmactors.server.web.views.texts import _, many

_SORTS: Final[Mapping[str, str]] = MappingProxyType(
    {"name": "name", "status": "status", "last_backup": "-last_backup", "alerts": "-alerts"}
)
_WORDS: Final = MappingProxyType({"status": (*STATUSES, "alerts"), "group": ("tag",)})
HOSTS: Final = ListKind("/hosts", _SORTS, "name", _WORDS, ("q", "tag"))
OVERVIEW: Final = ListKind("/", _SORTS, "-alerts", _WORDS, ("q", "tag"))
_MOST_TAGS: Final = 500
"""Tags to choose from; what is not among them can still stand in the address."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows under one heading; without groups there is one without a name. `tag` narrows the list to it."""

    tag: str
    name: str
    words: str
    href: str
    lines: tuple[HostLine, ...]


@dataclass(frozen=True, slots=True)
class HostTable:
    """`lede` counts; `empty` is a title and a sentence where nothing is shown."""

    asked: Asked
    lede: str
    groups: tuple[Group, ...]
    grouped: bool
    heads: tuple[Head, ...]
    states: tuple[Choice, ...]
    tags: tuple[Choice, ...]
    pages: Pages
    empty: tuple[str, str] | None
    first_run: bool

    @property
    def q(self) -> str:
        return self.asked.get("q")

    @property
    def csv_href(self) -> str:
        return dataclasses.replace(self.asked, page=1).href("/hosts.csv")


def wanted(of: Asked, now: int, offline_after_seconds: float, size: int) -> HostsWanted:
    """What the database is asked for, `size` hosts on a page."""
    status = of.get("status")
    return HostsWanted(
        now - clock.seconds(offline_after_seconds),
        size,
        HostFilter(
            of.get("q"), of.get("tag"), next((each for each in STATUSES if each == status), None), status == "alerts"
        ),
        cast("HostSort", of.sort),
        (of.page - 1) * size,
        of.get("group") == "tag",
    )


def table(
    found: Fleet, lines: Sequence[HostLine], of: Asked, tags: Sequence[TagCount], size: int
) -> HostTable:  # fmt: skip
    """`lines` are those of the hosts that were found; `tags` all there are."""
    by_tag = of.get("group") == "tag"
    rows = sum(found.tags.values()) if by_tag else found.matching
    return HostTable(
        asked=of,
        lede=_lede(found, of),
        groups=_groups(found, lines, of) if by_tag else (Group("", "", "", "", tuple(lines)),),
        grouped=by_tag,
        heads=lists.heads(
            of,
            (
                ("name", _("Host")), ("status", _("State")), ("last_backup", _("Last backup")),
                ("", _("Last 30 days")), ("", _("Next due")), ("alerts", _("Alerts")),
            ),
        ),
        states=lists.choices(of, "status", [*((each, words.host_status(each).word) for each in reversed(STATUSES)),
                                            ("alerts", _("With open alerts"))]),
        tags=lists.choices(of, "tag", [(each.tag, f"{each.tag} ({number(each.hosts)})") for each in tags[:_MOST_TAGS]]),
        pages=lists.pages(of, rows, size),
        empty=_empty(of) if not lines else None,
        first_run=found.host_count == 0,
    )  # fmt: skip


def _lede(found: Fleet, of: Asked) -> str:
    if of.get("q") or of.get("tag") or of.get("status"):
        return _("%(some)s of %(all)s.") % {
            "some": number(found.matching), "all": many("%(n)s host", "%(n)s hosts", found.host_count),
        }  # fmt: skip
    return many("%(n)s host.", "%(n)s hosts.", found.host_count)


def _groups(found: Fleet, lines: Sequence[HostLine], of: Asked) -> tuple[Group, ...]:
    by_id = {line.id: line for line in lines}
    under: dict[str, list[HostLine]] = {}
    for tag, host_id in found.places:
        if host_id in by_id:
            under.setdefault(tag, []).append(by_id[host_id])
    return tuple(
        Group(
            tag,
            tag or _("Without a tag"),
            many("%(n)s host", "%(n)s hosts", found.tags.get(tag, len(theirs))),
            of.with_filter("group", "").with_filter("tag", tag).href() if tag else "",
            tuple(theirs),
        )
        for tag, theirs in under.items()
    )


def _empty(of: Asked) -> tuple[str, str]:
    if of.page > 1:
        return _("No hosts on this page"), _("The list has become shorter.")
    return _("No matches"), _("No host has this in its name, host name or tags.")


# ---- the sheet

SHEET: Final = (
    "name", "hostname", "tags", "status", "last_seen_at", "last_backup_at", "last_good_backup_at", "open_alerts",
    "agent_version", "restic_version", "id",
)  # fmt: skip


def cells(row: SheetRow, now: int, offline_after_seconds: float) -> list[str]:
    """A row of the sheet: what is not known is empty."""
    values = (
        row.name, row.hostname, ", ".join(tags_in(row.tags)), status_of(row, now, offline_after_seconds),
        _time(row.last_seen_at), _time(row.last_backup_at), _time(row.last_good_backup_at), row.open_alerts,
        row.agent_version, row.restic_version, row.id,
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def _time(at: int | None) -> str | None:
    return clock.to_rfc3339(at) if at else None
