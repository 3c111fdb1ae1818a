"""Anything that may happen to the rules and the store, in any order, against a model of what people must be told.

Hypothesis makes up what happens and shortens what goes wrong. `make machine` plays far more than the tests do.
"""

import json
import logging
import sqlite3
from collections import defaultdict
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.common.vocabulary import LIFECYCLE_EVENTS
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused
from rmactors.server.messages.hosts import DeleteHost, RecordHello
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostGone,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Request,
    Resolve,
    Tick,
)
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from tests.databases import Places, SqlitePlaces
from tests.machine.engine import Engine
from tests.machine.model import Model
from tests.machine.on_disk import alerts_by_id, compare
from tests.machine.things import CRONS, LASTING, Alert, Channel
from tests.store.ledger import NOON, audit

CHANNELS = {
    "all": Channel(LIFECYCLE_EVENTS),
    "critical": Channel(LIFECYCLE_EVENTS, critical_only=True),
    "reminded": Channel(LIFECYCLE_EVENTS, tag="db", remind=2 * HOUR),
    "raises": Channel(("alert.raised",)),
    "pager": Channel(LIFECYCLE_EVENTS, remind=2 * HOUR, after=45 * MINUTE),
    "ends": Channel(("alert.resolved",)),
}
A_FEW = settings(max_examples=200, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
POSTGRES_EXAMPLES = 40
"""Of PostgreSQL, which takes some three times as long for each: a fifth of the lives."""
LOSSES = 6
"""Of one subject in a row; the rules remember eight."""
pick = st.integers(0, 1 << 30)
"""Which of those there are."""
small_wait = st.sampled_from([0, MINUTE, 10 * MINUTE, 50 * MINUTE])


def one(of: list[Any], number: int) -> Any:
    return of[number % len(of)]


class Machine(RuleBasedStateMachine):
    """Hosts `db` (tagged) and `web` are agents, `cron` only ever sends reports."""

    places: Places

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine(self.places.new())
        ledger = self.engine.ledger
        self.now = NOON
        self.hosts = [ledger.host("db", tags='["db"]'), ledger.host("web"), ledger.host("cron", hello=False)]
        self.channels = {
            name: ledger.channel(
                name=name, events=channel.events, host_tags=(channel.tag,) if channel.tag else (),
                min_severity="critical" if channel.critical_only else "info", remind_hours=channel.remind / HOUR,
                after_minutes=channel.after / MINUTE,
            )
            for name, channel in CHANNELS.items()
        }  # fmt: skip
        self.model = Model(dict(zip(self.hosts, [("db",), (), ()], strict=True)), CHANNELS)
        self.reports: list[StartReport | EndReport] = []
        self.seqs = defaultdict[str, int](int)
        self.wrong: list[object] = []  # answers that the model would not have given
        self.answers: list[list[Answer]] = []  # of those that still live
        self.to_clear: dict[str, int] = {}  # hosts whose return is not on disk, and when it was
        self.hello(2)
        for host in self.hosts[:2]:
            self.save_schedule(0, "0 * * * *", True, "alert", 0, host=host)
        self.save_schedule(0, "0 3 * * *", True, "ok", 0, host=self.hosts[2])
        self.engine.settle()

    @initialize(most=st.sampled_from([0, 1, 1, 3]))
    def so_many_alerts_of_a_host_may_be_open(self, most: int) -> None:
        self.engine.most_open = self.model.most_open = most
        self.engine.crash_rules()

    def teardown(self) -> None:
        try:
            self.engine.settle()
            self.what_is_on_disk_is_what_the_model_says()
            assert all(len(answers) == 1 for answers in self.answers), "everybody who asks is answered"
            if isinstance(self.engine.ledger.connection, sqlite3.Connection):
                assert self.engine.ledger.rows("PRAGMA integrity_check") == [("ok",)]
        finally:
            self.engine.close()
            self.places.give_back(self.engine.ledger.place)

    # ---- agents

    @rule(
        host=pick, kind=st.sampled_from(["backup", "backup", "backup", "check", "restore"]), subject=pick, slot=pick,
        status=st.sampled_from(["succeeded", "failed", "failed", "partial", "cancelled", "skipped"]),
        ago=st.integers(0, 5), spool=st.sampled_from(["one", "two", None]), job=pick,
        files=st.sampled_from([None, 100, 100, 120, 9, 0]),
    )  # fmt: skip
    def a_run_ends(
        self,
        host: int,
        kind: Any,
        subject: int,
        slot: int,
        status: Any,
        ago: int,
        spool: str | None,
        job: int,
        files: int | None,
    ) -> None:
        about = self._about(host, kind, subject, slot, job)
        at = self.now - ago * 7 * MINUTE
        seq = None
        if spool is not None:
            self.seqs[spool] += 1
            seq = self.seqs[spool]
        report = EndReport(
            about.host_id, about.job_id, about.kind, about.plan, about.schedule_id, about.scheduled_for, status,
            "error", None, 1, min(about.started_at, at), at, "{}", spool, seq, self.now,
            files_total=files,
        )  # fmt: skip
        self._report(report)

    @rule(
        host=pick, number=st.integers(1, 5), status=st.sampled_from(["failed", "failed", "partial", "succeeded"]),
        backwards=st.booleans(),
    )  # fmt: skip
    def runs_of_plans_that_a_host_makes_up_end(self, host: int, number: int, status: Any, backwards: bool) -> None:
        host_id, at = one(self.hosts, host), self.now
        for n in range(5, 5 - number, -1) if backwards else range(number):
            report = EndReport(
                host_id, ids.new(), "backup", f"made up {n}", None, None, status, "error", None, 1, at, at, "{}", None,
                None, at,
            )  # fmt: skip
            self._report(report)

    @rule(host=pick, kind=st.sampled_from(["backup", "backup", "check"]), subject=pick, slot=pick)
    def a_run_begins(self, host: int, kind: Any, subject: int, slot: int) -> None:
        self._report(self._about(host, kind, subject, slot, None))

    @precondition(lambda self: self.reports)
    @rule(which=pick)
    def a_report_comes_again(self, which: int) -> None:
        self._report(one(self.reports, which))

    @precondition(lambda self: "running" in self.model.jobs.values())
    @rule(which=pick)
    def a_run_is_given_up(self, which: int) -> None:
        begun = [report for report in self.reports if self.model.jobs.get(report.job_id) == "running"]
        report = one(begun, which)
        loss = LostJob(
            report.host_id, report.job_id, report.kind, report.plan, report.schedule_id, report.started_at, self.now,
            "its agent came back without it",
        )  # fmt: skip
        if all(len(given_up) < LOSSES for given_up in self.model.given_up.values()):
            self._ask(
                partial(JudgeLoss, loss), taken=lambda: self.model.lose(loss), known=lambda: not self.model.lose(loss),
                refused=lambda: loss.host_id in self.model.gone,
            )  # fmt: skip

    @rule(host=pick, plans=st.sampled_from([(), ("home",), ("home",), ("home", "music")]))
    def hello(self, host: int, plans: tuple[str, ...] = ()) -> None:
        host_id = one(self.hosts, host)
        if host_id in self.model.gone:
            return
        only_reports = host_id == self.hosts[2]
        self.engine.settle()
        said = json.dumps([{"name": name} for name in plans])
        about = ("0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", said)
        self.engine.ledger.commit(RecordHello(host_id, self.now, only_reports, *about))
        self._hello(host_id, only_reports, plans)
        self.engine.settle()

    @rule()
    def a_return_that_cannot_be_committed(self) -> None:
        self.engine.settle()
        host_id = self.hosts[0]
        if host_id in self.model.gone:
            return
        with self.engine.ledger.locked():
            self.engine.say(HostReturned(host_id, self.now))
            if self.engine.in_flight:
                self.to_clear.setdefault(host_id, self.now)
                self.engine.write()
        self.model.online[host_id] = self.now

    def _hello(self, host_id: str, only_reports: bool, plans: tuple[str, ...]) -> None:
        self.engine.say(HostReturned(host_id, self.now, only_reports, None if only_reports else plans))
        if only_reports:
            self.model.online[host_id] = 0
        else:
            self.model.online[host_id] = self.now
            self.model.plans[host_id] = list(plans)
            self.model.clear((host_id, "agent_offline", ""), self.now)

    @rule(host=st.integers(0, 1))
    def a_host_hangs_up(self, host: int) -> None:
        self.engine.say(HostGone(self.hosts[host], self.now))
        self.model.online.pop(self.hosts[host], None)

    @rule(host=st.integers(0, 1))
    def a_host_is_silent(self, host: int) -> None:
        host_id, at = self.hosts[host], self.now
        if host_id in self.model.gone:
            return
        self.a_host_hangs_up(host)
        request = partial(HostWentSilent, host_id, at - HOUR, at)
        self._ask(
            request, taken=lambda: self.model.hold((host_id, "agent_offline", ""), at) or True,
            refused=lambda: host_id in self.model.gone,
        )  # fmt: skip

    # ---- operators

    @rule(which=pick, by=st.sampled_from(["anna", "token:bot"]))
    def acknowledge(self, which: int, by: str) -> None:
        found = self._an_alert(which)
        if found is not None:
            alert_id, alert = found
            at = self.now

            def taken() -> bool:
                self.model.acknowledge(alert, by, at)
                return alert.acknowledged_by is not None

            self._ask(
                partial(Acknowledge, alert_id, by, None, at, audit()), taken=taken,
                known=lambda: alert.acknowledged_by is not None, refused=lambda: alert.resolved_by is not None,
            )  # fmt: skip

    @rule(which=pick, meant=st.booleans())
    def resolve(self, which: int, meant: bool) -> None:
        found = self._an_alert(which)
        if found is not None:
            alert_id, alert = found
            at = self.now
            self._ask(
                partial(Resolve, alert_id, "anna", None, at, audit(), meant=meant),
                taken=lambda: self.model.resolve(alert, "anna", at, meant=meant) or True,
                known=lambda: alert.resolved_by is not None,
                refused=lambda: alert.key[0] in self.model.gone,
            )

    @rule(which=pick)
    def somebody_resolves_beside_the_rules(self, which: int) -> None:
        """As another server on the same database might: the rules find out when they next decide on it."""
        found = self._an_alert(which)
        if found is not None and found[1].key[1] not in LASTING and found[1].resolved_by is None:
            self.engine.ledger.resolve(found[0], self.now, by="beside")
            self.model.resolve(found[1], "beside", self.now)

    @rule(
        host=pick, kind=st.sampled_from([None, None, "backup_failed", "stale_schedule"]),
        tag=st.sampled_from([None, "db"]), starts=small_wait, lasts=st.sampled_from([MINUTE, HOUR, 5 * HOUR]),
        recurs=st.booleans(),
    )  # fmt: skip
    def silence(self, host: int, kind: Any, tag: Any, starts: int, lasts: int, recurs: bool) -> None:
        recurrence = '{"cron": "0 * * * *", "timezone": "UTC", "duration_minutes": 20}' if recurs else None
        begin = self.now + starts
        write = CreateSilence(
            ids.new(), one([None, None, *self.hosts], host), kind, tag, begin, begin + lasts, recurrence, "works",
            "anna", self.now, audit(),
        )  # fmt: skip
        self._change(write, lambda: self.model.silences.update({write.silence_id: write}))

    @precondition(lambda self: self.model.silences)
    @rule(which=pick)
    def end_a_silence(self, which: int) -> None:
        write = DeleteSilence(one(list(self.model.silences), which), self.now, audit())

        def taken() -> None:
            del self.model.silences[write.silence_id]
            self.model.release(write.at)

        self._change(write, taken, refused=lambda: write.silence_id not in self.model.silences)

    @rule(
        which=pick, cron=st.sampled_from(list(CRONS)), enabled=st.sampled_from([True, True, False]),
        on_partial=st.sampled_from(["alert", "ok"]), grace=st.sampled_from([0, 1800, 90_000]),
        params=st.sampled_from(["{}", '{"plan": "home"}', '{"plan": "music"}']),
        mode=st.sampled_from(["agent", "agent", "external"]),
    )  # fmt: skip
    def save_schedule(
        self,
        which: int,
        cron: str,
        enabled: bool,
        on_partial: Any,
        grace: int,
        params: str = "{}",
        mode: Any = "agent",
        host: str | None = None,
    ) -> None:
        known = [of for of, schedule in self.model.schedules.items() if not schedule.deleted]
        schedule_id = ids.new()
        if host is None:
            if not known:
                return
            schedule_id = one(known, which)
            host = self.model.schedules[schedule_id].saved.host_id
        write = SaveSchedule(
            schedule_id, host, "Nightly", "backup", cron, "UTC", enabled, mode, grace, 3600.0, on_partial, params,
            self.now, self.now, audit(),
        )  # fmt: skip
        self._change(write, lambda: self.model.save_schedule(write), refused=lambda: self._is_deleted(schedule_id))

    @precondition(lambda self: any(not schedule.deleted for schedule in self.model.schedules.values()))
    @rule(which=pick)
    def rename_a_schedule(self, which: int) -> None:
        known = one([schedule for schedule in self.model.schedules.values() if not schedule.deleted], which)
        write = replace(known.saved, name="Nights", at=self.now)
        self._change(write, lambda: self.model.save_schedule(write), refused=lambda: known.deleted)

    @precondition(lambda self: any(not schedule.deleted for schedule in self.model.schedules.values()))
    @rule(which=pick)
    def delete_a_schedule(self, which: int) -> None:
        known = [of for of, schedule in self.model.schedules.items() if not schedule.deleted]
        schedule_id, at = one(known, which), self.now
        host = self.model.schedules[schedule_id].saved.host_id
        self._change(
            DeleteSchedule(schedule_id, at, audit()),
            lambda: self.model.delete_schedule(schedule_id, at),
            refused=lambda: self._is_deleted(schedule_id),
        )
        if host not in self.model.gone:
            self.save_schedule(0, "0 * * * *", True, "alert", 0, host=host)

    @precondition(lambda self: not self.model.gone and len(self.model.alerts) > 4)
    @rule()
    def delete_a_host(self) -> None:
        host_id, at = self.hosts[1], self.now
        self._change(
            DeleteHost(host_id, at, audit()), lambda: self.model.delete_host(host_id, at),
            refused=lambda: host_id in self.model.gone,
        )  # fmt: skip

    # ---- time, faults, and the receivers

    @rule(by=st.sampled_from([MINUTE, 7 * MINUTE, HOUR, 3 * HOUR, DAY]))
    def time_passes(self, by: int) -> None:
        self.now += by

    @rule(fails=st.sampled_from([False, False, True]))
    def tick(self, fails: bool) -> None:
        self.engine.settle()
        if fails:
            with self.engine.ledger.locked():
                self.engine.say(Tick(self.now))
                while self.engine.in_flight:
                    self.engine.write()
            return
        self.engine.say(Tick(self.now))
        self.engine.settle()
        self.model.tick(self.now)
        for host_id, at in self.to_clear.items():
            if host_id in self.model.online:  # told as of then: a silence that began since does not hold it back
                self.model.clear((host_id, "agent_offline", ""), at)
        self.to_clear.clear()

    @rule(most=st.integers(1, 4), fails=st.sampled_from([False, False, True]))
    def write(self, most: int, fails: bool) -> None:
        if fails:
            with self.engine.ledger.locked():
                self.engine.write(most)
        else:
            self.engine.write(most)

    @rule()
    def settle(self) -> None:
        self.engine.settle()

    @rule()
    def the_rules_crash(self) -> None:
        self.engine.crash_rules()

    @rule(most=st.sampled_from([None, None, None, 0, 1, 3]))
    def the_server_is_killed(self, most: int | None) -> None:
        """And is started again, perhaps with another bound."""
        if most is not None:
            self.engine.most_open = self.model.most_open = most
        self.engine.kill()
        self.answers.clear()
        self.to_clear.clear()
        for host in self.hosts[:2]:
            self.model.online.pop(host, None)

    @rule(which=pick, verdict=st.sampled_from(["delivered", "delivered", "dead"]), most=st.sampled_from([1, 20]))
    def a_receiver_answers(self, which: int, verdict: Any, most: int) -> None:
        """The oldest that wait on a channel are told, or refused for good."""
        ledger = self.engine.ledger
        name, channel_id = one(list(self.channels.items()), which)
        queued = "SELECT id, event, alert_id FROM deliveries WHERE channel_id = ? AND state = 'queued' ORDER BY seq"
        for delivery_id, event, alert_id in ledger.rows(f"{queued} LIMIT {most}", channel_id):
            ledger.settle(delivery_id, Attempt(verdict, 200, 1.0))
            alert = self._alerts().get(alert_id)
            if alert is None:  # it is about a channel
                continue
            alert.answered[name] += 1
            if verdict == "dead" and event == "alert.raised":
                alert.never_arrived[name] += 1

    # ---- what must be so

    @invariant()
    def what_is_on_disk_is_what_the_model_says(self) -> None:
        assert not self.wrong
        compare(self.engine, self.model, self.channels)

    # ---- small words

    def _alerts(self) -> dict[str, Alert]:
        return alerts_by_id(self.engine, self.model)

    def _an_alert(self, which: int) -> tuple[str, Alert] | None:
        alerts = list(self._alerts().items())
        return alerts[-1 - which % min(len(alerts), 5)] if alerts else None

    def _is_deleted(self, schedule_id: str) -> bool:
        return schedule_id in self.model.schedules and self.model.schedules[schedule_id].deleted

    def _about(self, host: int, kind: Any, subject: int, slot: int, job: int | None) -> StartReport:
        """A start; with `job`, perhaps of a run that has begun already."""
        begun = [report for report in self.reports if self.model.jobs.get(report.job_id) in ("running", "lost")]
        if job is not None and begun and job % 3:
            return one(begun, job)
        host_id = one(self.hosts, host)
        schedule_id = one([None, None, None, *self.model.schedules], subject)
        plan = one([None, "home", "home", "music"], subject // 7)
        scheduled_for = one([None, 0, -HOUR, HOUR, 77], slot)
        if scheduled_for is not None:
            scheduled_for += self.now // HOUR * HOUR
        return StartReport(
            host_id, ids.new(), kind, plan, schedule_id, scheduled_for, self.now - slot % 3 * 7 * MINUTE, self.now
        )

    def _report(self, report: StartReport | EndReport) -> None:
        take = self.model.end if isinstance(report, EndReport) else self.model.start
        judge = JudgeEnd if isinstance(report, EndReport) else JudgeStart
        self.reports.append(report)
        self._ask(
            partial(judge, report), taken=lambda: take(report), known=lambda: not take(report),  # type: ignore[arg-type]
            refused=lambda: report.host_id in self.model.gone,
        )  # fmt: skip

    def _change(self, write: Any, taken: Any, refused: Any = lambda: False) -> None:
        host = getattr(write, "host_id", None)
        self._ask(
            partial(Change, write), taken=lambda: taken() or True, refused=lambda: refused() or host in self.model.gone
        )

    def _ask(self, request: Any, taken: Any, known: Any = lambda: False, refused: Any = lambda: False) -> None:
        """Say it. Each answer must be the one that the model would give, and what is answered so is so from then on."""
        answers: list[Answer] = []
        self.answers.append(answers)

        def reply(answer: Answer) -> None:
            answers.append(answer)
            right = {Committed: taken, Duplicate: known, Refused: refused, Failed: lambda: True}.get(type(answer))
            if len(answers) > 1 or right is None or not right():
                self.wrong.append((request, answers))

        asked: Request = request(reply)
        self.engine.say(asked)


async def test_whatever_happens_people_are_told_what_they_must_be(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    for module in ("writer", "engines.postgres_writer"):  # it says so each time that it cannot commit
        caplog.set_level(logging.CRITICAL, f"rmactors.server.store.{module}")
    Machine.places = places
    many = settings.get_current_profile_name() == "many"
    few = A_FEW if isinstance(places, SqlitePlaces) else settings(A_FEW, max_examples=POSTGRES_EXAMPLES)
    run_state_machine_as_test(Machine, settings=settings.default if many else few)
