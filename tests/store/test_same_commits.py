"""The same commits, meddled with, to the writers of both engines: the same answers, and the same rows in the end.

What a writer makes up by itself may differ: the ids of deliveries and log rows, and the gaps in their numbers.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from rmactors.common import clock, ids
from rmactors.server.messages.alerts import (
    AcknowledgeAlert,
    ExpectAlertState,
    ExpectOpen,
    ForgetAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
    TouchConditions,
    WorsenAlert,
)
from rmactors.server.messages.answers import Answer, Refused
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.hosts import DeleteHost, RecordHello, RecordSigns, TagHost, UpdateHost
from rmactors.server.messages.jobs import QueueJob, SaveLogLines
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.schedules import MarkGood, MarkRun
from tests.conftest import PostgresDatabases
from tests.store.ledger import MINUTE, NOON, Ledger, audit, end, save_end, save_loss, save_start, start

COMMITS: Final = 10_000
BATCH: Final = 40
_SUBJECTS: Final = ("", "plan:home", "plan:etc")
_KINDS: Final = ("backup_failed", "check_failed", "agent_offline")
_TABLES: Final = (
    "hosts", "host_notes", "schedules", "jobs", "job_logs", "tracks", "alerts", "alert_events", "deliveries",
    "channels", "held", "told", "group_windows", "shared_windows", "notification_log", "audit", "good_ends",
    "care_ends",
)  # fmt: skip
_MADE_UP: Final = {
    "deliveries": {"id", "seq", "carried_by", "group_key"}, "notification_log": {"id", "delivery_id", "n"},
    "audit": {"id", "n"}, "channels": {"next_seq"}, "shared_windows": {"group_key"},
}  # fmt: skip
"""What a writer draws lots for, or counts with gaps."""
_ORDER: Final = {"deliveries": "channel_id, seq", "notification_log": "n", "audit": "n"}
"""Of rows whose key is made up, the order in which they were committed; of others, every column."""


@dataclass
class World:
    """What a random commit may be about. `known` are alert ids, `jobs` ids and their hosts."""

    lot: random.Random
    hosts: list[str]
    schedules: list[tuple[str, str]]
    channels: list[str]
    jobs: list[tuple[str, str]] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    versions: dict[tuple[str, str, str], int] = field(default_factory=dict)
    now: int = NOON

    def any_host(self) -> str:
        return self.lot.choice(self.hosts)

    def commits(self) -> Iterator[tuple[Any, ...]]:
        """Most as the actors would send them, many with something wrong."""
        make = (
            self.begins, self.ends, self.ends, self.is_lost, self.goes_wrong, self.goes_wrong, self.goes_wrong,
            self.goes_well, self.goes_well, self.operator, self.hello, self.lines, self.marks, self.rare,
        )  # fmt: skip
        while True:
            self.now += self.lot.choice((0, 1, 1000, MINUTE))
            commit = self.lot.choice(make)()
            yield commit
            if self.lot.random() < 0.15:  # the answer got lost
                yield commit

    def job(self) -> tuple[str, str]:
        """One that is known, perhaps under another host, or a new one."""
        if not self.jobs or self.lot.random() < 0.5:
            self.jobs.append((self.any_host(), ids.new()))
            return self.jobs[-1]
        host_id, job_id = self.lot.choice(self.jobs[-30:])
        return (self.any_host() if self.lot.random() < 0.1 else host_id), job_id

    def schedule(self) -> str | None:
        return self.lot.choice((None, *(schedule_id for _, schedule_id in self.schedules)))

    def begins(self) -> tuple[Any, ...]:
        host_id, job_id = self.job()
        return (save_start(start(host_id, job_id, schedule_id=self.schedule(), at=self.now)),)

    def ends(self) -> tuple[Any, ...]:
        host_id, job_id = self.job()
        status, kind = (
            self.lot.choice(("succeeded", "succeeded", "partial", "failed")),
            self.lot.choice(("backup", "check", "forget")),
        )
        report = end(
            host_id, job_id, schedule_id=self.schedule(), at=self.now, status=status, kind=kind,
            plan=self.lot.choice((None, "home", "etc")), stats=self.lot.choice(("{}", '{"pruned": true}')),
        )  # fmt: skip
        return (save_end(report),)

    def is_lost(self) -> tuple[Any, ...]:
        return (save_loss(*self.job(), at=self.now),)

    def state(self, *, wrong: bool) -> tuple[tuple[str, str, str], SaveAlertState]:
        key = (self.any_host(), self.lot.choice(_KINDS), self.lot.choice(_SUBJECTS))
        version = self.versions.get(key, 0) + 1
        if wrong:
            version = self.lot.choice((1, version + 1, max(1, version - 1)))
        else:
            self.versions[key] = version
        return key, SaveAlertState(*key, version, "{}", None, self.lot.choice((None, self.now)), False)  # type: ignore[arg-type]

    def goes_wrong(self) -> tuple[Any, ...]:
        """An outcome with its alert: raised, touched or worse; every third of them on a state that moved on."""
        key, saved = self.state(wrong=self.lot.random() < 0.3)
        alert_id = ids.new() if self.lot.random() < 0.6 or not self.alerts else self.lot.choice(self.alerts[-40:])
        self.alerts.append(alert_id)
        severity = self.lot.choice(("info", "warning", "critical", "critical"))
        about = self.lot.choice((
            RaiseAlert(alert_id, key[0], key[1], key[2], severity, f"{key[1]} failed", self.now),  # type: ignore[arg-type]
            RaiseAlert(alert_id, key[0], key[1], key[2], severity, f"{key[1]} failed", self.now),  # type: ignore[arg-type]
            TouchAlert(alert_id, "again", self.now, again=True, job_id=None),
            WorsenAlert(alert_id, "worse", "it got worse", self.now),
        ))  # fmt: skip
        writes = (self.ends()[0], saved, about) if self.lot.random() < 0.7 else (saved, about, self.ends()[0])
        if self.lot.random() < 0.05:  # the last write of a commit fails: a CHECK of the schema
            writes = (
                *writes,
                structs.replace(about, severity="dreadful")
                if isinstance(about, RaiseAlert)
                else save_end(end(self.any_host(), ids.new(), status="odd")),
            )  # type: ignore[arg-type]
        return writes

    def goes_well(self) -> tuple[Any, ...]:
        _, saved = self.state(wrong=self.lot.random() < 0.2)
        alert_id = self.lot.choice(self.alerts[-40:]) if self.alerts else ids.new()
        return (saved, ResolveAlert(alert_id, self.now, self.lot.choice(("rule", "anna")), None, "it is well again"))

    def operator(self) -> tuple[Any, ...]:
        alert_id = self.lot.choice(self.alerts[-40:]) if self.alerts else ids.new()
        host_id = self.any_host()
        return (self.lot.choice((
            AcknowledgeAlert(alert_id, self.now, "anna", self.lot.choice((None, "seen")), audit("x.y", alert_id)),
            UpdateHost(host_id, self.lot.choice((None, f"Größe {self.lot.randrange(6)}")), None, audit("x.y", host_id)),
            TagHost(host_id, self.lot.choice(("prod", "lab")), self.lot.random() < 0.5, audit("host.tag", host_id)),
            QueueJob(ids.new(), host_id, "backup", self.schedule(), '{"plan": "home"}', self.now, audit("job.queue")),
            QueueReminders(self.now),
            ReleaseHeld(self.now),
        )),)  # fmt: skip

    def hello(self) -> tuple[Any, ...]:
        host_id = self.any_host()
        if self.lot.random() < 0.5:
            return (RecordSigns(((host_id, self.now), (self.any_host(), self.now - 5)), ()),)
        return (
            RecordHello(host_id, self.now, self.lot.random() < 0.2, "0.2", "nas", "linux", "arm64", "UTC", None, "[]"),
        )

    def lines(self) -> tuple[Any, ...]:
        first = self.lot.randrange(5)
        return (SaveLogLines(*self.job(), tuple((first + n, "stdout", f"line {n}") for n in range(3))),)

    def marks(self) -> tuple[Any, ...]:
        schedule_id = self.lot.choice(self.schedules)[1]
        slot = self.now - self.lot.randrange(3) * MINUTE
        return (
            self.lot.choice(
                (
                    MarkRun(schedule_id, slot, None, False),
                    MarkRun(schedule_id, None, slot, True),
                    MarkGood(schedule_id, slot),
                )
            ),
        )

    def rare(self) -> tuple[Any, ...]:
        key = (self.any_host(), self.lot.choice(_KINDS), self.lot.choice(_SUBJECTS))
        version = self.versions.get(key, 0)
        return (self.lot.choice((
            TouchConditions(self.now),
            ExpectOpen(key[0], self.lot.choice((1, 3)), self.lot.random() < 0.5),
            ExpectAlertState(*key, version),  # type: ignore[arg-type]
            ForgetAlertState(*key, version + 5),  # type: ignore[arg-type]
            RaiseAlert(ids.new(), "no such host", "backup_failed", "", "info", "x", self.now),
            DeleteHost(self.hosts[-1], self.now, audit("host.delete", self.hosts[-1])),
        )),)  # fmt: skip


def attempts(ledger: Ledger, lot: random.Random, now: int) -> list[tuple[Any, ...]]:
    """How some of what is queued was sent, told by each database's own ids; some of it told twice."""
    queued = ledger.rows(
        "SELECT id, channel_id, alert_id, event, attempts FROM deliveries WHERE state = 'queued'"
        " ORDER BY channel_id, seq"
    )
    commits = []
    for delivery_id, channel_id, alert_id, event, tries in queued[:20]:
        ended = lot.choice((
            Attempt("delivered", 200, 1.5), Attempt("delivered", 200, 1.5),
            Attempt("retry", 503, 2.0, "busy", now + MINUTE), Attempt("dead", 404, 2.0, "gone"),
        ))  # fmt: skip
        settle = SettleAttempt(ids.new(), delivery_id, channel_id, alert_id, event, tries + 1, ended, now, now + MINUTE)
        commits += [(settle,)] * lot.choice((1, 1, 1, 2))
    return commits


def rows_of(ledger: Ledger, table: str) -> list[tuple[Any, ...]]:
    """Without what is made up, in the order of commit, or by all columns."""
    row = ledger.connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
    kept = [name for name in row.keys() if name not in _MADE_UP.get(table, set())] if row is not None else []  # noqa: SIM118
    order = _ORDER.get(table) or ", ".join(str(place + 1) for place in range(len(kept)))
    return ledger.rows(f"SELECT {', '.join(kept)} FROM {table} ORDER BY {order}") if kept else []


class Recorded(Ledger):
    """Remembers what it was given, for another one to be given the same."""

    sent: list[tuple[object, ...]]

    def apply(self, *writes: object) -> Answer:
        self.sent.append(writes)
        return super().apply(*writes)


@pytest.fixture
def twins(tmp_path: Path, postgres_databases: PostgresDatabases) -> Iterator[tuple[Recorded, Ledger]]:
    sqlite = Recorded(tmp_path / "rm.db")
    sqlite.sent = []
    place = postgres_databases.new()
    postgres = Ledger(place)
    yield sqlite, postgres
    sqlite.close()
    postgres.close()
    postgres_databases.give_back(place)


def settle_down(sqlite: Recorded, postgres: Ledger, lot: random.Random) -> World:
    """A few hosts with schedules, channels of every way to group, and a silence."""
    hosts = [sqlite.host(f"nas{n}") for n in range(5)]
    for host_id in hosts[:3]:
        sqlite.commit(TagHost(host_id, "prod", True, audit("host.tag", host_id)))
    schedules = [(host_id, sqlite.schedule(host_id, params='{"plan": "home"}')) for host_id in hosts[:4]]
    channels = [
        sqlite.channel(),
        sqlite.channel(group_seconds=300.0, remind_hours=0.5),
        sqlite.channel(group_seconds=600.0, group_by="all", min_severity="critical"),
        sqlite.channel(after_minutes=5.0, host_tags=("prod",)),
    ]
    sqlite.silence(tag="lab", ends_at=NOON + 30 * clock.DAY)
    for writes in sqlite.sent:
        postgres.commit(*writes)
    return World(lot, hosts, schedules, channels)


@pytest.mark.parametrize("seed", range(2))
def test_meddled_commits_get_the_same_answers_and_leave_the_same_rows(
    twins: tuple[Recorded, Ledger], seed: int
) -> None:
    sqlite, postgres = twins
    lot = random.Random(seed)
    world = settle_down(sqlite, postgres, lot)
    commits = world.commits()
    counted: Counter[str] = Counter()
    while counted.total() < COMMITS // 2:
        batch = [next(commits) for _ in range(lot.randrange(1, 2 * BATCH))]
        state = lot.getrandbits(64)
        sent = [  # before what may resolve the alerts: each database has ids of its own
            attempts(ledger, random.Random(state), world.now) if state % 3 == 0 else [] for ledger in (sqlite, postgres)
        ]
        assert len(sent[0]) == len(sent[1])
        expected, woken = sqlite.writer.apply([*sent[0], *batch])
        found, woken_too = postgres.writer.apply([*sent[1], *batch])
        for writes, one, other in zip([*sent[0], *batch], expected, found, strict=True):
            assert same(one, other), (seed, counted.total(), writes, one, other)
        assert (woken.channels, woken.hosts, woken.repositories, woken.topics, woken.counts) == (
            woken_too.channels, woken_too.hosts, woken_too.repositories, woken_too.topics, woken_too.counts,
        )  # fmt: skip
        counted.update(type(answer).__name__ for answer in expected)
    for table in _TABLES:
        assert rows_of(postgres, table) == rows_of(sqlite, table), table
    assert min(counted[name] for name in ("Committed", "Duplicate", "Stale", "Refused")) > COMMITS // 200, counted


def same(one: Answer, other: Answer) -> bool:
    """Word for word, but for what the schema refused: each engine says that in words of its own."""
    if isinstance(one, Refused) and isinstance(other, Refused) and one.code == "invalid":
        return other.code == "invalid"
    return one == other
