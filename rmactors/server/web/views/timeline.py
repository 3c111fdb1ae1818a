"""The history of one alert: transitions and attempts as sentences. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common import clock
from rmactors.common.vocabulary import OVER_WHILE_OFF
from rmactors.server.store.queries.alerts import AlertRow, TimelineEntry
from rmactors.server.web import rows as guard
from rmactors.server.web.views import alerts, words
from rmactors.server.web.views.measures import milliseconds
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import Tone


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a timeline."""

    at: Time
    tone: Tone
    strong: str
    rest: str
    sub: str
    delivery_id: str | None


def timeline(entries: Sequence[TimelineEntry], row: AlertRow, moment: Moment) -> list[Entry]:
    """Transitions and attempts as sentences, oldest first, and what is so now at the end. Failed attempts of one
    message are one entry, where the last of them was."""
    found = guard.each(_folded(entries), lambda entry: _entry(entry, row, moment), guard.line(Entry))
    if row.resolved_at is None:
        seen = f"{alerts.seen_word(row.kind)} {moment.ago(row.last_seen_at).words}"
        times = many("%(n)s time", "%(n)s times", row.occurrences) if row.occurrences > 1 else ""
        found.append(
            Entry(
                Time(_("now"), moment.exact(moment.now), clock.to_rfc3339(moment.now)),
                words.severity(row.severity).tone,
                _("Still happening") if alerts.still_happening(row, moment) else _("Not resolved yet"),
                "", ", ".join(filter(None, (seen, times))), None,
            )
        )  # fmt: skip
    return found


def _folded(entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    """Without failed attempts that another one of the same message, or its end, came after."""
    ends = {entry.delivery_id: at for at, entry in enumerate(entries) if entry.event in _ATTEMPTS}
    return [
        entry
        for at, entry in enumerate(entries)
        if entry.event != "attempt_failed" or entry.delivery_id is None or ends[entry.delivery_id] == at
    ]


def _entry(entry: TimelineEntry, row: AlertRow, moment: Moment) -> Entry:
    tone, strong, rest, sub = _SAYS.get(entry.event, _unknown)(entry, row)
    send_again = entry.delivery_id if entry.event == "dead" else None
    return Entry(moment.clock_time(entry.at), tone, strong, rest, sub, send_again)


_ATTEMPTS: Final = frozenset({"attempt_failed", "delivered", "dead"})
_Said = tuple[Tone, str, str, str]
"""Tone, the words in bold, the words after them, the line below."""


def _raised(entry: TimelineEntry, row: AlertRow) -> _Said:
    return words.severity(row.severity).tone, _("Raised"), words.decision(entry.reason), _changed(entry, row)


def _worsened(entry: TimelineEntry, row: AlertRow) -> _Said:
    return (
        words.severity(row.severity).tone,
        _("Got worse"),
        _joined(words.decision(entry.reason), _("(sent again)")),
        _changed(entry, row),
    )


def _acknowledged(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "info", _("Acknowledged"), _by(entry.by), _quoted(entry.note)


def _resolved(entry: TimelineEntry, row: AlertRow) -> _Said:
    return (
        "ok",
        _("Resolved"),
        _joined(_by(entry.by), words.decision(entry.reason)),
        _quoted(entry.note) or entry.message or "",
    )


def _silenced(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "off", _("Silenced"), _("for %s") % _channel(entry), entry.note or ""


def _unsilenced(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "info", _("Released"), _("to %s when the silence ended") % _channel(entry), entry.note or ""


def _reminded(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "info", _("Reminder"), _("to %s") % _channel(entry), ""


def _escalated(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "info", _("Escalated"), _("to %s: nobody had acknowledged it") % _channel(entry), ""


def _superseded(entry: TimelineEntry, row: AlertRow) -> _Said:
    if entry.note == OVER_WHILE_OFF:
        return "off", _("Not sent"), _("to %s") % _channel(entry), entry.note
    return "off", _("Combined"), _("with the resolved notification to %s") % _channel(entry), entry.note or ""


def _delivered(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "ok", _("Delivered"), _("to %s") % _channel(entry), _answer(entry)


def _attempt_failed(entry: TimelineEntry, row: AlertRow) -> _Said:
    tries = many("%(n)s attempt, retrying", "%(n)s attempts, retrying", entry.attempt or 1)
    return "warn", _("Delivery to %s failed") % _channel(entry), f"({tries})", _answer(entry)


def _dead(entry: TimelineEntry, row: AlertRow) -> _Said:
    return "bad", _("Not delivered"), _("to %s") % _channel(entry), _answer(entry) or entry.note or ""


def _unknown(entry: TimelineEntry, row: AlertRow) -> _Said:
    """What only a newer version knows."""
    return "off", entry.event.capitalize(), _by(entry.by), _quoted(entry.note) or entry.message or ""


_SAYS: Final[Mapping[str, Callable[[TimelineEntry, AlertRow], _Said]]] = {
    "raised": _raised,
    "worsened": _worsened,
    "acknowledged": _acknowledged,
    "resolved": _resolved,
    "silenced": _silenced,
    "unsilenced": _unsilenced,
    "reminded": _reminded,
    "escalated": _escalated,
    "superseded": _superseded,
    "delivered": _delivered,
    "attempt_failed": _attempt_failed,
    "dead": _dead,
}


def _changed(entry: TimelineEntry, row: AlertRow) -> str:
    """What the alert said then, if it says something else now: the heading has that."""
    return (entry.message or "") if entry.message != row.message else ""


def _joined(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _channel(entry: TimelineEntry) -> str:
    return entry.channel_name or _("a deleted channel")


def _quoted(note: str | None) -> str:
    return f"“{note}”" if note else ""


def _by(who: str | None) -> str:
    if who is None:
        return ""
    return _("automatically") if who == "rule" else _("by %s") % who


def _answer(entry: TimelineEntry) -> str:
    parts = []
    if entry.error:
        parts.append(entry.error)
    if entry.status_code is not None:
        took = milliseconds(entry.latency_ms) if entry.latency_ms is not None else ""
        parts.append(_("%(code)s in %(time)s") % {"code": entry.status_code, "time": took})
    elif entry.latency_ms is not None:
        parts.append(_("after %s") % milliseconds(entry.latency_ms))
    if entry.attempt is not None and entry.attempt > 1 and entry.event != "attempt_failed":
        parts.append(_("after %d attempts") % entry.attempt)
    return " · ".join(parts)
