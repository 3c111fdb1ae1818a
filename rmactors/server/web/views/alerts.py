"""Alerts as a list and one by one: filters that live in the URL, sentences. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rmactors.common import clock
from rmactors.common.bounds import cut
from rmactors.common.vocabulary import ALERT_KINDS, FAILURE_ALERT, SEVERITIES
from rmactors.server.store.queries.alerts import AlertRow, Counts
from rmactors.server.web import rows as guard
from rmactors.server.web.views import lists, words
from rmactors.server.web.views.lists import Asked, Choice
from rmactors.server.web.views.measures import number
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State

STILL_HAPPENING: Final = 60 * clock.SECOND
"""Seen within this time, an unresolved condition is said to be happening still."""
_OF_RUNS: Final = frozenset(FAILURE_ALERT.values())


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert in the list. `last_seen` is None where it says no more than `raised`.

    `title` is short; `message` says more. `host_name`: of its host, else of its channel, whose page is `about_href`;
    then `host_id` is empty. `others_href` has the other alerts about it.
    """

    id: str
    host_id: str
    host_name: str
    about_href: str
    others_href: str
    kind: str
    kind_name: str
    severity: str
    state: State
    status: str
    title: str
    message: str
    raised: Time
    last_seen: Time | None
    seen_word: str
    still_happening: bool
    occurrences: str
    acknowledged: str
    note: str
    resolved: str

    @property
    def may_acknowledge(self) -> bool:
        return self.status == "open"

    @property
    def may_resolve(self) -> bool:
        return self.status != "resolved"

    @property
    def may_be_meant(self) -> bool:
        """Whether an operator may answer that what looks wrong is meant."""
        return self.may_resolve and self.kind == "backup_suspicious"


@dataclass(frozen=True, slots=True)
class StatusLink:
    """A status with how many there are of it, and the list of these."""

    word: str
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class AlertList:
    """`empty` is None where there is something to show, else a title and a sentence. `host` is what the field for it
    shows: the name of the host that is chosen, or what was typed."""

    asked: Asked
    lede: str
    statuses: tuple[StatusLink, ...]
    severities: tuple[Choice, ...]
    kinds: tuple[Choice, ...]
    tags: tuple[Choice, ...]
    sorts: tuple[Choice, ...]
    host: str
    lines: tuple[AlertLine, ...]
    empty: tuple[str, str] | None
    next_href: str | None

    @property
    def query(self) -> str:
        return self.asked.query()

    @property
    def status(self) -> str:
        return self.asked.get("status") or "open"

    @property
    def narrowed(self) -> bool:
        return any(name != "status" for name, _value in self.asked.chosen)

    @property
    def csv_href(self) -> str:
        return self.asked.href("/alerts.csv")


def lede(counts: Counts) -> str:
    return _("%(open)s open, %(acknowledged)s acknowledged, %(resolved)s resolved in the last 24 hours.") % {
        "open": number(counts.open),
        "acknowledged": number(counts.acknowledged),
        "resolved": number(counts.resolved_24h),
    }


def alert_list(
    rows: Sequence[AlertRow],
    counts: Counts,
    of: Asked,
    moment: Moment,
    *,
    host: str = "",
    tags: Sequence[str] = (),
    cursor: str | None = None,
) -> AlertList:
    """`host` is the name of the one that is chosen; `tags` are those to choose from;
    `cursor` is where the next page begins."""
    status = of.get("status") or "open"
    statuses: dict[str, tuple[str, int | None]] = {
        "open": (_("Open"), counts.open),
        "acknowledged": (_("Acknowledged"), counts.acknowledged),
        "resolved": (_("Resolved"), None),
        "all": (_("All"), None),
    }
    sorts = (("severity", _("Critical first")), ("newest", _("Newest first")), ("oldest", _("Oldest first")))
    narrowed = any(name != "status" for name, _value in of.chosen)
    query = of.query()
    return AlertList(
        asked=of,
        lede=lede(counts),
        statuses=tuple(
            StatusLink(
                word if n is None else f"{word} {number(n)}",
                of.with_filter("status", name if name != "open" else "").href(),
                status == name,
            )
            for name, (word, n) in statuses.items()
        ),
        severities=lists.choices(of, "severity", [(name, words.severity(name).word) for name in reversed(SEVERITIES)]),
        kinds=lists.choices(of, "kind", [(kind, words.alert_name(kind)) for kind in ALERT_KINDS]),
        tags=lists.choices(of, "tag", [(tag, tag) for tag in tags]),
        sorts=tuple(Choice(value, word, value == of.sort) for value, word in sorts),
        host=host or of.get("host"),
        lines=tuple(guard.each(rows, lambda row: listed_line(row, moment), guard.line(AlertLine))),
        empty=None if rows else _empty(status, narrowed),
        next_href=f"/alerts?{query}{'&' if query else ''}cursor={cursor}" if cursor else None,
    )


TITLED: Final = 60
"""Characters of a schedule's or plan's name in a title."""
LISTED: Final = 500
"""Characters of a message and of a note in the list; the alert's page has all of them."""


def listed_line(row: AlertRow, moment: Moment) -> AlertLine:
    """One alert as the list shows it."""
    whole = line(row, moment)
    if max(len(whole.message), len(whole.note)) <= LISTED:
        return whole
    return replace(whole, message=cut(whole.message, LISTED), note=cut(whole.note, LISTED))


def line(row: AlertRow, moment: Moment) -> AlertLine:
    """One alert with all that is said of it."""
    acknowledged = resolved = note = ""
    if row.acknowledged_at is not None and row.resolved_at is None:
        acknowledged = _("acknowledged by %(who)s %(when)s") % {
            "who": row.acknowledged_by, "when": moment.ago(row.acknowledged_at).words,
        }  # fmt: skip
        note = row.acknowledged_note or ""
    if row.resolved_at is not None:
        who = _("automatically") if row.resolved_by == "rule" else _("by %s") % row.resolved_by
        resolved = _("resolved %(who)s %(when)s") % {"who": who, "when": moment.ago(row.resolved_at).words}
        note = row.resolved_note or ""
    return AlertLine(
        id=row.id,
        host_id=row.host_id,
        host_name=row.host_name,
        about_href=_place(row),
        others_href=f"/alerts?host={row.host_id}" if row.host_id else f"/alerts?kind={row.kind}",
        kind=row.kind,
        kind_name=words.alert_name(row.kind),
        severity=row.severity,
        state=words.severity(row.severity),
        status=row.status,
        title=title(row),
        message=row.message,
        raised=moment.ago(row.created_at),
        last_seen=moment.ago(row.last_seen_at) if row.last_seen_at - row.created_at >= clock.SECOND else None,
        seen_word=seen_word(row.kind),
        still_happening=still_happening(row, moment),
        occurrences=many("%(n)s time", "%(n)s times", row.occurrences) if row.occurrences > 1 else "",
        acknowledged=acknowledged,
        note=note,
        resolved=resolved,
    )


def title(row: AlertRow) -> str:
    """`Check failed: etc on db-02`, `Host silent: db-02`."""
    about, name = about_of(row), words.alert_name(row.kind)
    if not about:
        return _("%(kind)s: %(host)s") % {"kind": name, "host": row.host_name}
    return _("%(kind)s: %(about)s on %(host)s") % {"kind": name, "about": cut(about, TITLED), "host": row.host_name}


def about_of(row: AlertRow) -> str:
    """The schedule or the plan that it is about, by name; empty where it is about neither."""
    return row.schedule_name or (row.subject.removeprefix("plan:") if row.subject.startswith("plan:") else "")


def _place(row: AlertRow) -> str:
    """The page of what an alert is about."""
    if row.host_id:
        return f"/hosts/{row.host_id}"
    return f"/settings/notifications/{row.subject.removeprefix('channel:')}/log"


def still_happening(row: AlertRow, moment: Moment) -> bool:
    """Only a condition goes on: a run that failed is over."""
    lasts = row.kind not in _OF_RUNS
    return lasts and row.resolved_at is None and moment.now - row.last_seen_at <= STILL_HAPPENING


def seen_word(kind: str) -> str:
    return _("last failed") if kind in _OF_RUNS else _("last seen")


def _empty(status: str, narrowed: bool) -> tuple[str, str]:
    shows_up = _("An alert appears here when a backup fails or does not run, or a host goes silent.")
    if narrowed:
        return _("No matches"), _("No alert matches these filters. Clear one, or search all alerts.")
    match status:
        case "open":
            return _("No open alerts"), shows_up
        case "acknowledged":
            return _("Nothing acknowledged"), _("Alerts that are acknowledged and not resolved yet are listed here.")
        case "resolved":
            return _("Nothing resolved yet"), _(
                "Alerts move here when their cause is gone or an operator resolves them."
            )
        case _:
            return _("No alerts yet"), shows_up


# ---- the sheet

SHEET: Final = (
    "raised_at", "severity", "kind", "status", "host", "about", "message", "occurrences", "last_seen_at",
    "acknowledged_by", "resolved_at", "resolved_by", "id",
)  # fmt: skip


def cells(row: AlertRow) -> list[str]:
    """A row of the sheet: what is not so is empty."""
    values = (
        clock.to_rfc3339(row.created_at), row.severity, row.kind, row.status, row.host_name, about_of(row), row.message,
        row.occurrences, clock.to_rfc3339(row.last_seen_at), row.acknowledged_by,
        clock.to_rfc3339(row.resolved_at) if row.resolved_at is not None else None, row.resolved_by, row.id,
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]
