"""Silences as lines: what they hold back, when, and whether they do so now. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rmactors.common import clock, cron
from rmactors.server.store.queries.silences import SilenceRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views import schedules, words
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment, duration
from rmactors.server.web.views.words import State


@dataclass(frozen=True, slots=True)
class SilenceLine:
    """`ended` silences stay in the list until they are deleted."""

    id: str
    state: State
    what: str
    when: str
    reason: str
    by: str
    ended: bool


def lines(rows: Sequence[SilenceRow], hosts: Mapping[str, str], moment: Moment) -> list[SilenceLine]:
    return guard.each(rows, lambda row: line(row, hosts, moment), guard.line(SilenceLine))


def line(row: SilenceRow, hosts: Mapping[str, str], moment: Moment) -> SilenceLine:
    ended = row.ends_at is not None and row.ends_at <= moment.now
    return SilenceLine(
        row.id, _state(row, moment), what(row, hosts), _when(row, moment), row.reason, row.created_by, ended
    )


def what(row: SilenceRow, hosts: Mapping[str, str]) -> str:
    """What is held back, as a phrase."""
    kind = _("“%s”") % words.alert_name(row.kind) if row.kind else _("everything")
    places = []
    if row.host_id is not None:
        places.append(_("on %s") % hosts.get(row.host_id, _("a deleted host")))
    if row.tag is not None:
        places.append(_("on hosts tagged %s") % row.tag)
    return words.sentence(" ".join([kind, *places]))


def _state(row: SilenceRow, moment: Moment) -> State:
    if row.ends_at is not None and row.ends_at <= moment.now:
        return State("off", _("Over"))
    if row.starts_at > moment.now:
        return State("info", _("Planned"))
    if row.recurrence is not None:
        found = json.loads(row.recurrence)
        length = clock.seconds(float(found["duration_minutes"]) * 60)
        try:
            began = cron.previous_fire(found["cron"], found["timezone"], moment.now, not_before=moment.now - length + 1)
        except ValueError:
            began = None
        if began is None:
            return State("info", _("Waiting for the next window"))
    return State("warn", _("Active"))


def _when(row: SilenceRow, moment: Moment) -> str:
    parts = []
    if row.recurrence is not None:
        found = json.loads(row.recurrence)
        parts.append(
            _("%(words)s (%(zone)s), for %(length)s")
            % {
                "words": schedules.in_words(found["cron"]),
                "zone": found["timezone"],
                "length": duration(float(found["duration_minutes"]) * 60),
            }
        )
    if row.starts_at > moment.now:
        parts.append(_("from %s") % moment.slot(row.starts_at).words)
    if row.ends_at is not None:
        over = row.ends_at <= moment.now
        parts.append((_("ended %s") if over else _("until %s")) % moment.slot(row.ends_at).words)
    return ", ".join(parts)
