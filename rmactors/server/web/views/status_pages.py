"""What a status page tells people without an account: the dashboard's own judgement of each host, counted. Pure.

Nothing of errors, plans, schedules or addresses; names of hosts only where the page shows hosts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from rmactors.common.vocabulary import ALERTS
from rmactors.server.store.queries.status_pages import StatusPageRow, Watched
from rmactors.server.web.views import words
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State, Tone

Status = Literal["ok", "warning", "critical"]

MOST_ITEMS: Final = 500
"""Hosts on a page, the worst first."""
_ORDER: Final[Mapping[Status, int]] = {"critical": 0, "warning": 1, "ok": 2}
_TONES: Final[Mapping[Status, Tone]] = {"critical": "bad", "warning": "warn", "ok": "ok"}


@dataclass(frozen=True, slots=True)
class HostStatus:
    """`last_backup` is when a backup ended well last, in microseconds; None if none did."""

    name: str
    status: Status
    last_backup: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Hosts by what the dashboard says of them. `failed`: those with an open alert about a backup."""

    total: int
    ok: int
    warning: int
    critical: int
    failed: int


@dataclass(frozen=True, slots=True)
class StatusView:
    """One page as of `as_of`. `items` is None where it shows no names."""

    name: str
    status: Status
    as_of: int
    hosts: Counts
    items: tuple[HostStatus, ...] | None


@dataclass(frozen=True, slots=True)
class ItemLine:
    name: str
    state: State
    last_backup: Time | None


@dataclass(frozen=True, slots=True)
class PageLine:
    """One page in the settings."""

    id: str
    name: str
    about: str
    shows: str
    created_by: str
    created: Time


def judged(row: StatusPageRow, found: Watched, now: int) -> StatusView:
    """What this page says."""
    tags = _tags(row.host_tags)
    hosts = [(host_id, name) for host_id, name, theirs in found.hosts if not tags or tags & _tags(theirs)]
    kinds: dict[str, list[str]] = {}
    for count in found.alerts:
        kinds.setdefault(count.host_id, []).append(count.kind)
    items = [
        HostStatus(name, _status(kinds.get(host_id, ())), found.last_backups.get(host_id)) for host_id, name in hosts
    ]
    by_status = {status: sum(item.status == status for item in items) for status in _ORDER}
    failed = sum(any(_of_backup(kind) for kind in kinds.get(host_id, ())) for host_id, _name in hosts)
    worst: Status = min(
        (item.status for item in items), key=_ORDER.__getitem__, default="warning"
    )  # of no host, nobody knows
    counts = Counts(len(items), by_status["ok"], by_status["warning"], by_status["critical"], failed)
    shown = tuple(sorted(items, key=lambda item: _ORDER[item.status])[:MOST_ITEMS]) if row.show == "hosts" else None
    return StatusView(row.name, worst, now, counts, shown)


def sentence(counts: Counts) -> str:
    """The page's headline."""
    if not counts.total:
        return _("No hosts yet")
    troubled = counts.warning + counts.critical
    if not troubled:
        return many("%(n)s host is fine", "All %(n)s hosts are fine", counts.total)
    return many("%(n)s host needs attention", "%(n)s hosts need attention", troubled)


def badge_words(counts: Counts) -> str:
    """What stands in the badge, right of `backups`."""
    if not counts.total:
        return _("no hosts")
    if counts.failed:
        return _("%d failed") % counts.failed
    if troubled := counts.warning + counts.critical:
        return many("%(n)s needs attention", "%(n)s need attention", troubled)
    return _("%d ok") % counts.ok


def lines(view: StatusView, moment: Moment) -> list[ItemLine]:
    return [
        ItemLine(item.name, state(item.status), moment.ago(item.last_backup) if item.last_backup is not None else None)
        for item in view.items or ()
    ]


def state(status: Status) -> State:
    word = {"ok": _("OK"), "warning": _("Needs attention"), "critical": _("Critical")}[status]
    return State(_TONES[status], word)


def page_line(row: StatusPageRow, moment: Moment) -> PageLine:
    tags = ", ".join(sorted(_tags(row.host_tags)))
    shows = _("Numbers and names of hosts") if row.show == "hosts" else _("Numbers only")
    return PageLine(row.id, row.name, tags or _("all hosts"), shows, row.created_by, moment.ago(row.created_at))


def _status(kinds: Sequence[str]) -> Status:
    if not kinds:
        return "ok"
    return "critical" if any(words.severity_of(kind) == "critical" for kind in kinds) else "warning"


def _of_backup(kind: str) -> bool:
    return any(kind == known and traits.of_backup for known, traits in ALERTS.items())


@lru_cache(maxsize=4096)
def _tags(text: str) -> frozenset[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return frozenset()
    return frozenset(str(tag) for tag in found) if isinstance(found, list) else frozenset()
