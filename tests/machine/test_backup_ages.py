"""The table of backup ages says what the rules say, over whatever may happen to a fleet.

It must never call a plan's backup in time while the rules have a `backup_overdue` about it, nor overdue where they have
none. The rules decide at a tick, so the two are compared after each; where an operator resolved the alert by hand, the
rules are quiet, and the backup is overdue all the same.
"""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.rules.plans import runs_plan
from rmactors.server.messages.hosts import DeleteHost, RecordHello
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import Change, HostClock, HostReturned, JudgeEnd, Resolve, Tick
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.state import ages
from rmactors.server.state.ages import PlanAge
from rmactors.server.store.load_rules import load_rules
from rmactors.server.store.place import Place
from rmactors.server.store.queries.plan_ages import plan_ages
from tests.machine.engine import Engine
from tests.store.ledger import NOON, audit

STEPS = 250
PLANS = ("home", "music", "photos")
LIMITS = (None, 1.0, 5.0, 26.0, 100.0)


class Fleet:
    """Three hosts, of which one only ever sends reports, and their schedules."""

    def __init__(self, place: Place, seed: int) -> None:
        self.engine, self.any, self.now = Engine(place), random.Random(seed), NOON
        self.hosts = [self.engine.ledger.host(name, hello=name != "cron") for name in ("nas", "web", "cron")]
        self.schedules: dict[str, SaveSchedule] = {}
        self.ever_overdue = self.ever_in_time = self.ever_resolved = 0

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            self.a_run_ends, self.a_run_ends, self.a_run_ends, self.a_schedule_is_saved, self.a_host_says_hello,
            self.an_alert_is_resolved_by_hand, self.time_passes, self.time_passes,
        ]  # fmt: skip
        self.any.choice(steps)()
        if self.any.random() < 0.02:
            self.something_is_deleted()
        self.engine.settle()
        if self.any.random() < 0.05:
            self.engine.kill()
        self.say(Tick(self.now))

    def say(self, message: Any) -> None:
        self.engine.say(message)
        self.engine.settle()

    # ---- what may happen

    def a_run_ends(self) -> None:
        host_id = self.any.choice(self.hosts)
        theirs = [of for of, saved in self.schedules.items() if saved.host_id == host_id]
        schedule_id = self.any.choice([None, *theirs])
        plan = self.any.choice([None, *PLANS])
        status: Any = self.any.choice(["succeeded", "succeeded", "partial", "failed", "cancelled", "skipped"])
        reason: Any = "no_source" if status == "partial" and self.any.random() < 0.3 else "ok"
        at = self.now - self.any.choice([0, 0, MINUTE, 3 * HOUR, 2 * DAY])
        kind: Any = self.any.choice(["backup", "backup", "backup", "check"])
        report = EndReport(
            host_id, ids.new(), kind, plan, schedule_id, None, status, reason, None, 0, at - MINUTE, at, "{}", None,
            None, self.now,
        )  # fmt: skip
        self.say(JudgeEnd(report, lambda _: None))

    def a_schedule_is_saved(self) -> None:
        known = self.any.choice([None, *self.schedules])
        host_id = self.schedules[known].host_id if known else self.any.choice(self.hosts)
        plan, every = self.any.choice([None, *PLANS]), self.any.random() < 0.2
        mode: Any = self.any.choice(["agent", "external"])
        write = SaveSchedule(
            known or ids.new(), host_id, "Nightly", self.any.choice(["backup", "backup", "backup", "check"]),
            None if every else "0 3 * * *", "UTC", self.any.random() < 0.85, mode, 0.0,
            3600.0, self.any.choice(["alert", "ok"]), json.dumps({"plan": plan} if plan else {}), self.now, self.now,
            audit(), every_hours=3.0 if every else None, max_age_hours=self.any.choice(LIMITS),
        )  # fmt: skip
        self.say(Change(write, lambda _: None))
        self.schedules[write.schedule_id] = write

    def a_host_says_hello(self) -> None:
        host_id = self.any.choice(self.hosts[:2])
        plans = self.any.choice([(), ("home",), ("music",), ("home", "music")])
        offset = self.any.choice([None, 0.0, -1800.0, 900.0, -90_000.0])
        said = json.dumps([{"name": name, "repository": "/srv", "sources": []} for name in plans])
        about = ("0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", said)
        self.engine.ledger.commit(RecordHello(host_id, self.now, False, *about, clock_offset_seconds=offset))
        self.say(HostReturned(host_id, self.now, False, plans))
        self.say(HostClock(host_id, offset))

    def an_alert_is_resolved_by_hand(self) -> None:
        found = self.engine.ledger.rows("SELECT id FROM alerts WHERE kind = 'backup_overdue' AND resolved = 0")
        if found:
            (alert_id,) = self.any.choice(found)
            self.say(Resolve(alert_id, "anna", None, self.now, audit(), lambda _: None))

    def something_is_deleted(self) -> None:
        if self.schedules and self.any.random() < 0.7:
            gone = self.any.choice(list(self.schedules))
            self.say(Change(DeleteSchedule(gone, self.now, audit()), lambda _: None))
            del self.schedules[gone]
        elif len(self.hosts) == 3:
            host_id = self.hosts.pop(1)
            self.say(Change(DeleteHost(host_id, self.now, audit()), lambda _: None))
            self.schedules = {of: saved for of, saved in self.schedules.items() if saved.host_id != host_id}

    def time_passes(self) -> None:
        self.now += self.any.choice([MINUTE, HOUR, 7 * HOUR, DAY])

    # ---- what must be so

    def compare(self) -> None:
        ledger = self.engine.ledger
        kind = "kind = 'backup_overdue'"
        is_open = {of for (of,) in ledger.rows(f"SELECT subject FROM alerts WHERE {kind} AND resolved = 0")}
        is_quiet = {of for (of,) in ledger.rows(f"SELECT subject FROM tracks WHERE {kind} AND quiet = 1")}
        rows = plan_ages(ledger.connection, self.now)
        shown = {schedule.id for row in rows for schedule in row.schedules}
        assert is_open <= shown, "each has a row"
        for row in rows:
            theirs = {schedule.id for schedule in row.schedules}
            if theirs & is_open:
                assert row.state == "overdue", row
                self.ever_overdue += 1
            elif row.state == "overdue":
                assert theirs & is_quiet, row
                self.ever_resolved += 1
            elif row.state == "ok":
                self.ever_in_time += 1
        self.compare_plans(rows)

    def compare_plans(self, rows: list[PlanAge]) -> None:
        """Each plan's schedules are those that run it as the rules see it, and the limit that ends first is shown."""
        known = load_rules(self.engine.ledger.connection)
        assert {row.host.id for row in rows} <= set(known)
        for row in rows:
            if row.plan is not None:
                of_kind = [s for s in known[row.host.id].schedules.values() if s.kind == "backup" and not s.deleted]
                runs = {schedule.id for schedule in of_kind if runs_plan(known[row.host.id], schedule, row.plan)}
                assert {schedule.id for schedule in row.schedules} == runs, row
            host = known[row.host.id]
            dues = [ages.due_at(host.schedules[schedule.id], host.clock_offset) for schedule in row.schedules]
            assert row.due_at == min((due for due in dues if due is not None), default=None), row


@pytest.mark.parametrize("seed", range(4))
async def test_the_table_says_what_the_rules_say(place: Place, seed: int) -> None:
    fleet = Fleet(place, seed)
    for _ in range(STEPS):
        fleet.step()
        fleet.compare()
    assert fleet.ever_overdue > 20, "a history in which nothing is overdue shows nothing"
    assert fleet.ever_in_time > 20
    fleet.engine.close()
