"""Hosts side by side: state, last backup, strips, what is due next; and the one sentence above them. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from rmactors.common import clock
from rmactors.common.vocabulary import ALERTS
from rmactors.server.store.queries.hosts import status_of
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.pages import AlertCount, Fleet, SubjectRuns
from rmactors.server.web import rows as guard
from rmactors.server.web.views import schedules, stats, strips, words
from rmactors.server.web.views.measures import within
from rmactors.server.web.views.rows import Ended, Scheduled, Watched
from rmactors.server.web.views.strips import Past, Strip, Window
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time, rough
from rmactors.server.web.views.words import State, Tone

_MOST_LOOSE: Final = 20
"""Strips of plans without a schedule: a host may invent as many as it likes."""
_NOTHING_KNOWN: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HostLine:
    """One host, which a list shows as one line. `strip` is of all that it runs, None where it runs nothing; `next_due`
    is None where nothing is planned."""

    id: str
    name: str
    tags: tuple[str, ...]
    state: State
    last_backup: Time | None
    last_sub: str
    last_tone: Tone
    strip: Strip | None
    next_due: Time | None
    due_words: str
    alerts: str
    alerts_tone: Tone


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`critical` is how many critical alerts are open; `first_run` where there is no host yet."""

    sentence: str
    lede: str
    critical: int
    banner: str
    first_run: bool


def host_lines(
    found: Fleet, moment: Moment, offline_after_seconds: float, percents: Mapping[str, float] = _NOTHING_KNOWN
) -> tuple[HostLine, ...]:
    """In the order in which they came. `percents` says how far running jobs are, by job."""
    shown = strips.window(moment)
    runs: dict[str, list[SubjectRuns]] = {}
    for run in found.runs:
        runs.setdefault(run.host_id, []).append(run)
    counts: dict[str, list[AlertCount]] = {}
    for count in found.alerts:
        counts.setdefault(count.host_id, []).append(count)
    return tuple(
        guard.each(
            found.hosts,
            lambda view: _line(
                view,
                runs.get(view.host.id, []),
                counts.get(view.host.id, []),
                found.running.get(view.host.id),
                shown,
                moment,
                offline_after_seconds,
                percents,
            ),
            guard.line(HostLine),
        )
    )


def strips_of(view: Watched, runs: Sequence[SubjectRuns], shown: Window, moment: Moment) -> list[Strip]:
    """One for each schedule; of what runs without a schedule, one for each plan that was backed up."""
    return [strips.strip(name, past) for name, past in _pasts(view, runs, shown, moment)]


def _pasts(view: Watched, runs: Sequence[SubjectRuns], shown: Window, moment: Moment) -> list[tuple[str, Past]]:
    """(name, what became of each day) of each schedule, and of each plan that was backed up without one."""
    by_subject = {run.subject: run.runs for run in runs}
    loose = sorted(subject for subject in by_subject if not subject or subject.startswith("plan:"))  # else a schedule's
    found = [(each.name, _past(each, by_subject.get(each.id, ""), shown, moment)) for each in view.schedules]
    for subject in loose[:_MOST_LOOSE]:
        name = subject.removeprefix("plan:") or _("backups")
        found.append((name, strips.past(shown, by_subject[subject], frozenset(), moment.now, moment.now)))
    return found


def _past(schedule: Scheduled, runs: str, shown: Window, moment: Moment) -> Past:
    due = strips.expected_days(shown, schedule.when) if schedule.enabled else frozenset()
    return strips.past(shown, runs, due, schedule.anchor_at, moment.now)


def strip_of(schedule: Scheduled, runs: str, shown: Window, moment: Moment) -> Strip:
    """One schedule's."""
    return strips.strip(schedule.name, _past(schedule, runs, shown, moment))


def next_due(theirs: Sequence[Scheduled], moment: Moment, *, backups_only: bool) -> tuple[int, Scheduled] | None:
    """The next run among enabled schedules."""
    found: list[tuple[int, Scheduled]] = []
    for schedule in theirs:
        if not schedule.enabled or (backups_only and schedule.kind != "backup"):
            continue
        at = schedules.next_run(schedule.when, moment.now, schedule.counted_from)
        if at is not None:
            found.append((at, schedule))
    return min(found, key=lambda pair: pair[0], default=None)


def dashboard(found: Fleet, moment: Moment) -> Dashboard:
    """What stands above the table."""
    kinds: dict[str, int] = {}
    for count in found.alerts:
        kinds[count.kind] = kinds.get(count.kind, 0) + count.many
    critical = sum(n for kind, n in kinds.items() if words.severity_of(kind) == "critical")
    return Dashboard(
        sentence=sentence(kinds, found.host_count, found.backed_up),
        lede=_lede(found, moment),
        critical=critical,
        banner=many("%(n)s critical alert is open", "%(n)s critical alerts are open", critical),
        first_run=found.host_count == 0,
    )


_OF_BACKUPS: Final = [kind for kind, traits in ALERTS.items() if traits.of_backup]


def sentence(kinds: dict[str, int], host_count: int, backed_up: int) -> str:
    """How things are. `kinds` counts open alerts by kind."""
    if host_count == 0:
        return _("Add your first host")
    backups = sum(kinds.get(kind, 0) for kind in _OF_BACKUPS)
    silent, channels = kinds.get("agent_offline", 0), kinds.get("channel_failing", 0)
    total = sum(kinds.values())
    if total == 0:
        if backed_up == 0:
            return _("Nothing needs attention")
        return _("Everything is backed up") if backed_up >= host_count else _("Nothing needs attention")
    if backups == total:
        return many("%(n)s backup needs attention", "%(n)s backups need attention", backups)
    if silent == total:
        return many("%(n)s host is silent", "%(n)s hosts are silent", silent)
    if channels == total:
        return many("%(n)s channel does not deliver", "%(n)s channels do not deliver", channels)
    return many("%(n)s thing needs attention", "%(n)s things need attention", total)


def _lede(found: Fleet, moment: Moment) -> str:
    if found.host_count == 0:
        return _("This takes one command on the host.")
    one, several = _("%(done)s of %(all)s was"), _("%(done)s of %(all)s were")
    text = (one if found.backed_up == 1 else several) + _(" backed up in the last 24 hours.")
    text %= {
        "done": found.backed_up,
        "all": many("%(n)s host", "%(n)s hosts", found.host_count),
    }
    if len(found.hosts) < found.host_count:  # of a part of them, the next one says little
        return text
    dues = guard.each(
        found.hosts, lambda view: next_due(view.schedules, moment, backups_only=True), lambda _unshowable: None
    )
    soonest = min(((due[0], view.host.name) for due, view in zip(dues, found.hosts, strict=True) if due), default=None)
    if soonest is not None:
        text += " " + _("Next: %(host)s, %(when)s.") % {"host": soonest[1], "when": moment.until(soonest[0]).words}
    return text


def _line(
    view: Watched,
    runs: Sequence[SubjectRuns],
    counts: Sequence[AlertCount],
    running: JobRow | None,
    shown: Window,
    moment: Moment,
    offline_after_seconds: float,
    percents: Mapping[str, float],
) -> HostLine:
    host = view.host
    last = view.last_jobs.get("backup")
    last_time, last_sub, last_tone = _last_backup(last, moment)
    if last is None and view.host.last_backup_at:  # its job is kept no more
        last_time, last_sub = moment.ago(view.host.last_backup_at), ""
    due = next_due(view.schedules, moment, backups_only=False)
    away = status_of(host, moment.now, offline_after_seconds) == "offline"  # what is planned waits for it
    pasts = tuple(past for _name, past in _pasts(view, runs, shown, moment))
    many_alerts = sum(count.many for count in counts)
    tones = {words.severity_of(count.kind) for count in counts}
    return HostLine(
        id=host.id,
        name=host.name,
        tags=tags(view),
        state=state(view, running, moment, offline_after_seconds, percents),
        last_backup=last_time,
        last_sub=last_sub,
        last_tone=last_tone,
        strip=strips.of_host(host.name, pasts) if pasts else None,
        next_due=moment.until(due[0]) if due and not away else None,
        due_words=(_("when it is back") if away else due[1].name) if due else (_("off") if view.schedules else ""),
        alerts=many("%(n)s alert", "%(n)s alerts", many_alerts) if many_alerts else "",
        alerts_tone="bad" if "critical" in tones else "warn",
    )


def state(
    view: Watched,
    running: JobRow | None,
    moment: Moment,
    offline_after_seconds: float,
    percents: Mapping[str, float] = _NOTHING_KNOWN,
) -> State:
    """What the host does, else whether it is there."""
    host = view.host
    status = status_of(host, moment.now, offline_after_seconds)
    if running is not None and status in {"online", "reports_only"}:
        far = ""
        if running.id in percents:
            far = f" · {int(within(percents[running.id], 100) or 0)} %"
        elif running.started_at:
            far = f" · {rough((moment.now - running.started_at) / clock.SECOND)}"
        return State("info", words.doing(running.kind) + far, pulse=True)
    silent = rough((moment.now - host.last_seen_at) / clock.SECOND) if host.last_seen_at is not None else ""
    return words.host_status(status, silent)


def tags(view: Watched) -> tuple[str, ...]:
    return _tags(view.host.tags)


@lru_cache(maxsize=1024)
def _tags(text: str) -> tuple[str, ...]:
    found = json.loads(text)
    return tuple(str(tag) for tag in found) if isinstance(found, list) else ()


def _last_backup(last: Ended | None, moment: Moment) -> tuple[Time | None, str, Tone]:
    if last is None or last.finished_at is None:
        return None, _("none yet"), "off"
    when = moment.ago(last.finished_at)
    match last.status:
        case "succeeded":
            return when, stats.summary(last), "off"
        case "partial":
            return when, words.sentence(words.reason(last.reason or "partial")), "warn"
        case "failed":
            return when, _("Failed: %s") % (words.reason(last.reason) or _("no reason given")), "bad"
        case _:
            return when, words.job_status(last.status).word, "off"
