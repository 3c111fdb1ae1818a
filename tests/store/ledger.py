"""A real database with the real writer on it, and short words for what tests write into it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from rmactors.common import clock, ids
from rmactors.common.vocabulary import LIFECYCLE_EVENTS, AlertKind
from rmactors.server.messages.alerts import AcknowledgeAlert, RaiseAlert, ResolveAlert
from rmactors.server.messages.answers import Answer, Committed, Result
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.channels import SaveChannel, SettleAttempt
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.jobs import SaveEnd, SaveLoss, SaveStart
from rmactors.server.messages.made_tokens import CreateEnrollmentToken
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.schedules import SaveSchedule
from rmactors.server.messages.silences import CreateSilence
from rmactors.server.store import transaction
from rmactors.server.store.database import Row
from rmactors.server.store.engines.opening import BatchWriter, connect, open_writer
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place
from rmactors.server.store.transaction import Wakeups
from rmactors.server.store.writer import Writer

NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")
MINUTE = clock.MINUTE
OK = Attempt("delivered", 204, 1.0)


def audit(action: str = "x.y", target: str = "t") -> Audit:
    return Audit(NOON, "anna", "user", action, "thing", target, address="192.0.2.1")


class Ledger:
    """One database. `commit` insists that what it writes is taken; `apply` gives the answer.

    `connection` commits each statement; on SQLite it is the writer's own. A writer that finds the database locked waits
    for `busy_seconds`.
    """

    def __init__(self, place: Place, busy_seconds: float = 5.0) -> None:
        self.place = place
        self.connection = connect(place, busy_seconds=busy_seconds)
        migrate(self.connection)
        self.writer: BatchWriter
        if isinstance(self.connection, sqlite3.Connection):
            self.writer = Writer(self.connection)
        else:
            self.writer = open_writer(place, busy_seconds=busy_seconds)
        self.woken = Wakeups()

    def close(self) -> None:
        self.connection.close()
        self.writer.close()

    @property
    def path(self) -> Path:
        """The file, for tests that are about SQLite's."""
        assert isinstance(self.place, Path)
        return self.place

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nothing can be committed meanwhile: another connection holds what every writer must have first."""
        with closing(connect(self.place)) as other:
            transaction.begin_writing(other)
            try:
                yield
            finally:
                transaction.end(other, "ROLLBACK")

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """No connection can be opened meanwhile."""
        if isinstance(self.place, Path):
            moved = self.place.with_suffix(".away")
            self.place.rename(moved)
            yield
            moved.rename(self.place)
            return
        name = self.value("SELECT current_database()")
        self.connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        try:
            yield
        finally:
            self.connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")

    # ---- writing and reading

    def apply(self, *writes: object) -> Answer:
        answers, self.woken = self.writer.apply([writes])
        return answers[0]

    def commit(self, *writes: object) -> tuple[Result, ...]:
        answer = self.apply(*writes)
        assert isinstance(answer, Committed), answer
        return answer.results

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.execute(sql, parameters)]

    def value(self, sql: str, *parameters: object) -> Any:
        ((found,),) = self.rows(sql, *parameters)
        return found

    def row(self, sql: str, *parameters: object) -> Row:
        found: list[Row] = self.connection.execute(sql, parameters).fetchall()
        (only,) = found
        return only

    # ---- things to write

    def host(self, name: str = "nas1", *, hello: bool = True, tags: str = "[]", at: int = NOON) -> str:
        token, host_id = ids.new(), ids.new()
        enroll = EnrollHost(token, host_id, name, "nas.lan", "linux", "x86_64", "0.1", f"hash of {host_id}", at, "")
        self.commit(CreateEnrollmentToken(token, f"hash of {token}", at, at + clock.HOUR, audit()), enroll)
        if hello:
            self.commit(RecordHello(host_id, at, False, "0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", "[]"))
        self.connection.execute("UPDATE hosts SET tags = ? WHERE id = ?", (tags, host_id))
        return host_id

    def schedule(self, host_id: str, **changes: Any) -> str:
        write = SaveSchedule(
            ids.new(), host_id, "Nightly", "backup", "0 3 * * *", "UTC", True, "agent", 0.0, 3600.0, "alert", "{}",
            NOON, NOON, audit(),
        )  # fmt: skip
        self.commit(replace(write, **changes))
        return write.schedule_id

    def channel(self, **changes: Any) -> str:
        write = channel(ids.new(), **changes)
        self.commit(write)
        return write.channel_id

    def raise_(
        self, host_id: str, subject: str = "s", kind: AlertKind = "backup_failed", at: int = NOON, **changes: Any
    ) -> str:
        write = RaiseAlert(ids.new(), host_id, kind, subject, "warning", f"{kind} of {subject}", at)
        write = structs.replace(write, **changes)
        self.commit(write)
        return write.alert_id

    def acknowledge(self, alert_id: str, at: int = NOON, note: str | None = None) -> Answer:
        return self.apply(AcknowledgeAlert(alert_id, at, "anna", note, audit("alert.acknowledge", alert_id)))

    def resolve(self, alert_id: str, at: int = NOON, by: str = "rule", message: str | None = None) -> Answer:
        return self.apply(ResolveAlert(alert_id, at, by, None, message))

    def silence(self, starts_at: int = NOON, ends_at: int | None = NOON + clock.HOUR, **changes: Any) -> str:
        write = CreateSilence(
            ids.new(), None, None, None, starts_at, ends_at, None, "works", "anna", NOON, audit("silence.create")
        )
        write = replace(write, **changes)
        self.commit(write)
        return write.silence_id

    def settle(self, delivery_id: str, result: Attempt = OK, at: int = NOON, **changes: Any) -> Answer:
        row = self.row("SELECT * FROM deliveries WHERE id = ?", delivery_id)
        write = SettleAttempt(
            ids.new(),
            delivery_id,
            row["channel_id"],
            row["alert_id"],
            row["event"],
            row["attempts"] + 1,
            result,
            at,
            None,
        )
        return self.apply(replace(write, **changes))

    # ---- what became of them

    def outbox(self, channel_id: str | None = None) -> list[tuple[str, str]]:
        """(event, state) of every delivery, in the order of its channel."""
        return [
            (event.removeprefix("alert."), state)
            for event, state, of in self.rows(
                "SELECT event, state, channel_id FROM deliveries ORDER BY channel_id, seq"
            )
            if channel_id in (None, of)
        ]

    def timeline(self, alert_id: str) -> list[str]:
        return [
            event for (event,) in self.rows("SELECT event FROM alert_events WHERE alert_id = ? ORDER BY pos", alert_id)
        ]


def channel(channel_id: str, **changes: Any) -> SaveChannel:
    write = SaveChannel(
        channel_id, "webhook", "ops", True, b"sealed", None, "info", LIFECYCLE_EVENTS, (), 0.0, 0.0, NOON, True, audit()
    )
    return replace(write, **changes)


def start(host_id: str, job_id: str, *, schedule_id: str | None = None, at: int = NOON) -> StartReport:
    return StartReport(host_id, job_id, "backup", None, schedule_id, None, at, at)


def end(host_id: str, job_id: str, *, schedule_id: str | None = None, at: int = NOON, **changes: Any) -> EndReport:
    report = EndReport(
        host_id, job_id, "backup", None, schedule_id, None, "succeeded", "ok", None, 0, at, at, "{}", None, None, at
    )
    return structs.replace(report, **changes)


def save_start(report: StartReport, deadline_at: int = NOON + clock.DAY) -> SaveStart:
    return SaveStart(report, report.schedule_id, report.schedule_id or "", deadline_at, None)


def save_end(report: EndReport) -> SaveEnd:
    return SaveEnd(report, report.schedule_id, report.schedule_id or "", None)


def save_loss(host_id: str, job_id: str, at: int = NOON) -> SaveLoss:
    return SaveLoss(LostJob(host_id, job_id, "backup", None, None, at, at, "gone"))
