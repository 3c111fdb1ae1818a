"""What alerts and notices must be, told by what was committed, in the order in which it was.

Written from the description of the product, not from the code: it keeps everything that happened and looks through all
of it again each time, where the code keeps a few numbers. Times in microseconds.
"""

from dataclasses import dataclass, field, replace
from statistics import median
from typing import Literal

from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.schedules import SaveSchedule
from rmactors.server.messages.silences import CreateSilence
from tests.machine.things import FAILURES, LASTING, Alert, Channel, End, Key, Schedule


@dataclass
class Model:
    """`tags` of every host; `online` has since when a host is here, 0 for one that only ever sends reports.

    `most_open`: with so many open alerts of a host, what it makes up raises no other; 0: no bound.
    """

    tags: dict[str, tuple[str, ...]]
    channels: dict[str, Channel]
    most_open: int = 0
    online: dict[str, int] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    silences: dict[str, CreateSilence] = field(default_factory=dict)
    jobs: dict[str, Literal["running", "lost", "ended"]] = field(default_factory=dict)
    ends: dict[Key, list[End | None]] = field(default_factory=dict)
    """Outcomes in the order in which they came; None is a resolution by hand."""
    given_up: dict[Key, set[str]] = field(default_factory=dict)
    """Losses whose real end takes their place: nothing but losses has counted since."""
    quiet: set[Key] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    plans: dict[str, list[str]] = field(default_factory=dict)
    """Those of each host, as it said."""
    sizes: dict[Key, list[int]] = field(default_factory=dict)
    """How many files the backups held that looked well."""
    doubted: dict[Key, int] = field(default_factory=dict)
    """How many the newest held that looked wrong."""
    goods: dict[tuple[str, str, str], list[End]] = field(default_factory=dict)
    """(host, kind of alert, plan) → every good end of that plan, in the order in which they came."""

    def open(self, key: Key) -> Alert | None:
        return next((alert for alert in self.alerts if alert.key == key and alert.resolved_by is None), None)

    # ---- reports

    def start(self, report: StartReport) -> bool:
        """Whether it was news."""
        if report.job_id in self.jobs:
            return False
        self.jobs[report.job_id] = "running"
        self._ran(report)
        return True

    def end(self, report: EndReport) -> bool:
        """Whether it was news."""
        was = self.jobs.get(report.job_id)
        if was == "ended":
            return False
        self.jobs[report.job_id] = "ended"
        self._ran(report)
        schedule = self._schedule_of(report)
        partial_is_good = schedule is not None and not schedule.deleted and schedule.saved.on_partial == "ok"
        good = {"succeeded": True, "partial": partial_is_good, "failed": False}.get(report.status)
        end = End(
            report.job_id, good, report.finished_at, report.spool_id, report.seq, plan=self._plan_of(report),
            partial=report.status == "partial",
        )  # fmt: skip
        self._mark_good(report, end)
        if report.kind in FAILURES:
            self._happened(report, FAILURES[report.kind], end, report.received_at)
        if (report.kind, report.status) == ("backup", "succeeded") and report.files_total is not None:
            self._measured(report, end, report.files_total)
        return True

    def lose(self, loss: LostJob) -> bool:
        """Whether it was news."""
        if self.jobs.get(loss.job_id) != "running":
            return False
        self.jobs[loss.job_id] = "lost"
        if loss.kind not in FAILURES:
            return True
        self._happened(
            loss, FAILURES[loss.kind], End(loss.job_id, False, loss.at, lost=True, plan=self._plan_of(loss)), loss.at
        )
        return True

    def key_of(self, job: EndReport | LostJob, kind: str) -> Key | None:
        """What alert of that kind a job is about; None where its schedule is gone."""
        schedule = self._schedule_of(job)
        if schedule is not None and schedule.deleted:
            return None
        subject = schedule.saved.schedule_id if schedule is not None else f"plan:{job.plan}" if job.plan else ""
        return job.host_id, kind, subject

    def _schedule_of(self, job: StartReport | EndReport | LostJob) -> Schedule | None:
        """One of another host counts as none."""
        schedule = self.schedules.get(job.schedule_id or "")
        return schedule if schedule is not None and schedule.saved.host_id == job.host_id else None

    # ---- the same backup

    def _plan_of(self, job: EndReport | LostJob) -> str | None:
        schedule = self._schedule_of(job)
        return job.plan or (schedule.plan if schedule is not None and not schedule.deleted else None)

    def _runs(self, schedule: Schedule, plan: str) -> bool:
        """Whether that is the schedule's plan: as it says, or the only one there is, or what it ran last."""
        host = schedule.saved.host_id
        if schedule.plan is not None:
            return schedule.plan == plan
        return (schedule.saved.mode == "agent" and self.plans.get(host) == [plan]) or self._ran_last(
            (host, FAILURES[schedule.saved.kind], schedule.saved.schedule_id), plan
        )

    def _ran_last(self, key: Key, plan: str) -> bool:
        newest = self._newest(key)
        return newest is not None and newest.plan == plan

    def _happened(self, job: EndReport | LostJob, kind: str, end: End, now: int) -> None:
        """A job ended or was lost: what it means for each subject that it is about."""
        host = job.host_id
        held_before = self._held_back(host)
        of_schedule, own = self._schedule_of(job) is not None, self.key_of(job, kind)
        unclaimed = not of_schedule and own is not None and self.open(own) is None
        others: list[Key] = []
        for key in self._about(host, kind, end):
            schedule = self.schedules.get(key[2])
            differs = schedule is not None and end.partial and end.good != (schedule.saved.on_partial == "ok")
            joins = unclaimed and self.open(key) is not None
            known = schedule is None or key in self.ends
            wanted = {None: False, True: known, False: joins}[end.good] and not differs
            if key != own and (wanted or self._is_end_of_loss(key, end)):
                others.append(key)
        is_told = not of_schedule and any(self.open(key) for key in others)
        if own is not None:
            if end.good is False and not any(known and known.good is not None for known in self.ends.get(own, ())):
                before = self.goods.get((host, kind, end.plan or ""), []) if of_schedule else []
                if all(end.is_newer_than(good) for good in self._newest_of(before)):
                    self.ends[own] = [*self.ends.get(own, ()), *before]
                    self._outcome(own, end, now, not is_told)
            else:
                self._outcome(own, end, now, not is_told)
        for key in others:
            self._outcome(key, end, now, False)
        self._count_held_back(host, held_before, now)
        if end.good and end.plan:
            self.goods.setdefault((host, kind, end.plan), []).append(end)

    def _about(self, host: str, kind: str, end: End) -> list[Key]:
        """Every subject that an outcome may be about, beside its own."""
        found = [key for key in self.given_up if key[:2] == (host, kind) and self._is_end_of_loss(key, end)]
        if end.plan is not None:
            found.append((host, kind, f"plan:{end.plan}"))
            found += [
                (host, kind, schedule_id)
                for schedule_id, schedule in self.schedules.items()
                if schedule.saved.host_id == host and not schedule.deleted
                and (self._runs(schedule, end.plan) or self._ran_last((host, kind, schedule_id), end.plan))
            ]  # fmt: skip
        return list(dict.fromkeys(found))

    def _mark_good(self, job: EndReport | LostJob, end: End) -> None:
        own = self._schedule_of(job)
        for schedule in self.schedules.values():
            served = schedule is own or (
                schedule.saved.host_id == job.host_id and end.plan is not None and self._runs(schedule, end.plan)
            )
            fits = schedule.saved.kind == job.kind and not schedule.deleted
            if end.good and served and fits and (not end.partial or schedule.saved.on_partial == "ok"):
                schedule.last_good_at = max(schedule.last_good_at or 0, end.at)

    def _is_end_of_loss(self, key: Key, end: End) -> bool:
        return not end.lost and end.job in self.given_up.get(key, ())

    def _measured(self, report: EndReport, end: End, files: int) -> None:
        """A backup succeeded: whether it holds about what those before it did."""
        own = self.key_of(report, "backup_suspicious")
        measure = (report.host_id, "backup_suspicious", f"plan:{end.plan}") if end.plan else own
        if measure is None:
            return
        sizes = self.sizes.get(measure, [])[-7:]
        usual = round(median(sizes)) if len(sizes) >= 3 else None
        wrong = (files == 0 and usual != 0) or (usual is not None and files * 10 < usual)
        known = [before for before in self.ends.get(measure, ()) if before is not None and before.good is not None]
        goods = [before for before in known if before.good]
        newest = any(all(end.is_newer_than(before) for before in self._newest_of(of)) for of in (known, goods))
        if wrong:
            self.doubted[measure] = files
        elif newest:
            self.sizes.setdefault(measure, []).append(files)
        self._happened(report, "backup_suspicious", replace(end, good=not wrong), report.received_at)

    # ---- one subject

    def _outcome(self, key: Key, end: End, now: int, may_raise: bool) -> None:
        end = replace(end)
        if self._is_end_of_loss(key, end):
            self._in_place_of_loss(key, end, now)
            return
        before = self._newest(key)
        self.ends.setdefault(key, []).append(end)
        counts = end.good is not None and (before is None or end.is_newer_than(before))
        if end.lost and (counts or (before is not None and before.lost)):
            self.given_up.setdefault(key, set()).add(end.job)
        elif counts:
            self.given_up.pop(key, None)
        if not counts:
            return
        alert = self.open(key)
        if end.good and alert is not None:
            self._resolve(alert, "rule", now)
        elif not end.good and alert is not None:
            alert.occurrences += 1
            if alert.known_partial and not end.partial:
                self._worsen(alert, now)
        elif not end.good and may_raise and not self._is_crowded(key):
            self._raise(key, now, end.partial)
        elif not end.good and may_raise:
            end.told_by = self._hold_back(key[0], now)

    def _in_place_of_loss(self, key: Key, end: End, now: int) -> None:
        places = [place for place, known in enumerate(self.ends[key]) if known is not None and known.job == end.job]
        loss = self.ends[key][places[-1]]
        end.told_by = loss.told_by if loss is not None else None
        self.ends[key][places[-1]] = end
        self.given_up[key].remove(end.job)
        if self._newest(key) is end:
            self.given_up[key].clear()
        alert = self.open(key)
        if alert is not None and not self._is_wrong(key):
            self._resolve(alert, "rule", now)

    @staticmethod
    def _newest_of(ends: list[End]) -> list[End]:
        """The newest, if there is one."""
        newest: list[End] = []
        for end in ends:
            if not newest or end.is_newer_than(newest[0]):
                newest = [end]
        return newest

    def _newest(self, key: Key) -> End | None:
        newest = None
        for end in self.ends.get(key, ()):
            if end is not None and end.good is not None and (newest is None or end.is_newer_than(newest)):
                newest = end
        return newest

    def _is_wrong(self, key: Key) -> bool:
        """Whether there would be an open alert if all that is known had come as it is known now."""
        newest, wrong = None, False
        for end in self.ends[key]:
            if end is None:
                wrong = False
            elif end.good is not None and (newest is None or end.is_newer_than(newest)):
                newest, wrong = end, not end.good
        return wrong

    # ---- too many alerts

    def _is_crowded(self, key: Key) -> bool:
        """Whether its host has too many open alerts for one about what it made up itself."""
        others = [alert for alert in self.alerts if alert.key[0] == key[0] and alert.resolved_by is None]
        number = sum(alert.key[1] != "too_many_alerts" for alert in others)
        return bool(self.most_open) and key[2] not in self.schedules and number >= self.most_open

    def _hold_back(self, host: str, now: int) -> Alert:
        told = self.open((host, "too_many_alerts", ""))
        if told is not None:
            told.occurrences += 1
            return told
        return self._raise((host, "too_many_alerts", ""), now)

    def _held_back(self, host: str) -> set[Key]:
        """What is wrong and has no alert of its own, but the one that there are too many."""
        told = self.open((host, "too_many_alerts", ""))
        newest = {key: self._newest(key) for key in self.ends if key[0] == host and self.open(key) is None}
        return {key for key, end in newest.items() if told and end is not None and not end.good and end.told_by is told}

    def _count_held_back(self, host: str, before: set[Key], now: int) -> None:
        told, held = self.open((host, "too_many_alerts", "")), self._held_back(host)
        if told is not None:
            told.counts = len(held)
            if before and not held:
                self._resolve(told, "rule", now)

    # ---- conditions

    def hold(self, key: Key, now: int) -> None:
        """Something lasting is wrong."""
        if self.open(key) is None and key not in self.quiet:
            self._raise(key, now)

    def clear(self, key: Key, now: int) -> None:
        """It is not wrong any more."""
        self.quiet.discard(key)
        alert = self.open(key)
        if alert is not None:
            self._resolve(alert, "rule", now)

    def _ran(self, report: StartReport | EndReport) -> None:
        schedule = self._schedule_of(report)
        if schedule is None or schedule.deleted:
            return
        schedule.runs.append((schedule.slot_of(report.scheduled_for, report.received_at), report.started_at))
        if not schedule.missed(report.received_at):
            self.clear((report.host_id, "stale_schedule", schedule.saved.schedule_id), report.received_at)

    def tick(self, now: int) -> None:
        for alert in self.alerts:
            if alert.resolved_by is None and alert.key[1] in LASTING:
                alert.seen_at = max(alert.seen_at, now)
        self.release(now)
        self._remind(now)
        for schedule_id, schedule in self.schedules.items():
            host = schedule.saved.host_id
            if host in self.online and schedule.saved.enabled and not schedule.deleted and schedule.missed(now):
                since = self.online[host]
                if not since or now >= since + schedule.grace():
                    self.hold((host, "stale_schedule", schedule_id), now)

    # ---- operators

    def acknowledge(self, alert: Alert, by: str, now: int) -> None:
        if alert.acknowledged_by is None:
            self._release(alert, now)
            alert.acknowledged_by = by
            newest = self._newest(alert.key)
            alert.known_partial = newest is not None and newest.partial
            alert.timeline.append("acknowledged")
            self._tell(alert, "alert.acknowledged", now)

    def resolve(self, alert: Alert, by: str, now: int, *, meant: bool = False) -> None:
        if alert.resolved_by is None:
            newest = self._newest(alert.key)
            measure = (*alert.key[:2], f"plan:{newest.plan}") if newest is not None and newest.plan else alert.key
            if alert.key[1] == "backup_suspicious" and meant and measure in self.doubted:
                self.sizes[measure] = [self.doubted.pop(measure)] * 3
            self._resolve(alert, by, now)
            if alert.key[1] in LASTING:
                self.quiet.add(alert.key)
            else:
                self.ends.setdefault(alert.key, []).append(None)

    def save_schedule(self, write: SaveSchedule) -> None:
        known = self.schedules.get(write.schedule_id)
        if known is None:
            self.schedules[write.schedule_id] = Schedule(write)
            return
        if write.anchor_at != known.saved.anchor_at or not write.enabled:
            self.clear((write.host_id, "stale_schedule", write.schedule_id), write.at)
        known.saved = write

    def delete_schedule(self, schedule_id: str, now: int) -> None:
        self.schedules[schedule_id].deleted = True
        self._end_all([alert for alert in self.alerts if alert.key[2] == schedule_id], now)

    def delete_host(self, host: str, now: int) -> None:
        self.gone.add(host)
        self.online.pop(host, None)
        self._end_all([alert for alert in self.alerts if alert.key[0] == host], now)
        for schedule in self.schedules.values():
            schedule.deleted |= schedule.saved.host_id == host

    def _end_all(self, alerts: list[Alert], now: int) -> None:
        for alert in alerts:
            if alert.resolved_by is None:
                self._resolve(alert, "rule", now)

    # ---- alerts

    def _raise(self, key: Key, now: int, partial: bool = False) -> Alert:
        alert = Alert(key, now, now, timeline=["raised"], known_partial=partial)
        self.alerts.append(alert)
        self._tell(alert, "alert.raised", now)
        return alert

    def _worsen(self, alert: Alert, now: int) -> None:
        """Nobody looks after it any more, and anyone who would hear of a new alert hears of this one again."""
        since = now if alert.acknowledged_by else alert.raised_at
        alert.known_partial, alert.acknowledged_by = False, None
        alert.timeline.append("worsened")
        alert.held.clear()
        self._tell(alert, "alert.raised", now, since)
        if not self._is_silenced(alert, now):
            alert.told_at.update({name: now for name in self.channels if self._takes(name, "alert.raised", alert)})

    def _resolve(self, alert: Alert, by: str, now: int) -> None:
        self._release(alert, now)
        alert.resolved_by = by
        alert.timeline.append("resolved")
        self._tell(alert, "alert.resolved", now)

    # ---- notices

    def _tell(self, alert: Alert, event: str, now: int, since: int | None = None) -> None:
        silent = self._is_silenced(alert, now)
        takers = [name for name in self.channels if self._takes(name, event, alert)]
        if event == "alert.raised" and takers:
            since = now if since is None else since
            waiting = [name for name in takers if silent or since + self.channels[name].after > now]
            alert.held.update(dict.fromkeys(waiting, since))
            alert.silenced.difference_update(waiting)
            if silent:
                self._silence(alert, waiting)
            takers = [name for name in takers if name not in waiting]
        for name in takers:
            got_raise = alert.told.get(name, []).count("alert.raised") > alert.never_arrived[name]
            waits_for_it = self.channels[name].after > 0 and event != "alert.raised"
            if (name in alert.held or waits_for_it) and not got_raise:
                continue
            if not silent or (event == "alert.resolved" and got_raise):
                alert.told.setdefault(name, []).append(event)

    def release(self, now: int) -> None:
        for alert in self.alerts:
            self._release(alert, now)

    def _release(self, alert: Alert, now: int) -> None:
        """What nothing holds back any more, neither a silence nor the time that its channel waits."""
        if alert.resolved_by or alert.acknowledged_by:
            return
        due = [name for name, since in alert.held.items() if since + self.channels[name].after <= now]
        if self._is_silenced(alert, now):
            self._silence(alert, [name for name in due if name not in alert.silenced])
            return
        if alert.silenced.intersection(due):
            alert.timeline.append("unsilenced")
        for name in due:
            if self.channels[name].after:
                alert.timeline.append("escalated")
            alert.told.setdefault(name, []).append("alert.raised")
            alert.told_at[name] = now
            del alert.held[name]

    def _silence(self, alert: Alert, names: list[str]) -> None:
        if names:
            alert.silenced.update(names)
            alert.timeline.append("silenced")

    def _remind(self, now: int) -> None:
        for alert in self.alerts:
            if alert.resolved_by or alert.acknowledged_by or self._is_silenced(alert, now):
                continue
            for name, channel in self.channels.items():
                first = alert.raised_at + max(channel.remind, channel.after)
                due = (alert.told_at[name] + channel.remind if name in alert.told_at else first) <= now
                wanted = channel.remind and self._takes(name, "alert.reminder", alert)
                if due and wanted and name not in alert.held:
                    alert.told_at[name] = now
                    told = alert.told.setdefault(name, [])
                    if "alert.reminder" not in told[alert.answered[name] :]:  # else one waits already
                        told.append("alert.reminder")
                        alert.timeline.append("reminded")

    def _takes(self, name: str, event: str, alert: Alert) -> bool:
        channel, (host, kind, _) = self.channels[name], alert.key
        return (
            event in channel.events
            and (channel.tag is None or channel.tag in self.tags[host])
            and (not channel.critical_only or kind == "check_failed")
        )

    def _is_silenced(self, alert: Alert, now: int) -> bool:
        host, kind, _ = alert.key
        return any(
            silence.starts_at <= now
            and (silence.ends_at is None or now < silence.ends_at)
            and silence.host_id in (None, host)
            and silence.kind in (None, kind)
            and (silence.tag is None or silence.tag in self.tags[host])
            and (silence.recurrence is None or now % HOUR < 20 * MINUTE)  # the one recurrence there is
            for silence in self.silences.values()
        )
