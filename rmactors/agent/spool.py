"""Unacked reports on disk: a SQLite file that the running agent and every `exec` share.

Owns `spool.db`: reports under a `seq` that is never used twice, the jobs that this host has taken on, how far each
schedule has come, and small counters. A report is on disk (synchronous=FULL) before `add` returns and stays
until it is acked. Blocking: tasks use it through `queue`. Must not know about connections.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from rmactors.agent import spool_file, spool_owner
from rmactors.agent.disk_trouble import Cause, cause_of
from rmactors.common import ids, wire

log = logging.getLogger(__name__)

MOST_REPORTS: Final = 20_000
"""About 10 MiB: a host with fifty jobs a day is unheard for more than half a year."""
MOST_JOBS: Final = 2_000
MOST_LOG_BYTES: Final = 8 << 20
"""Of all logs together; beyond it the oldest job's goes."""
LEAST_ROOM_BYTES: Final = 16 << 20
"""Free space below which no log is kept: what there is, is for reports."""


class SpoolError(Exception):
    """The spool cannot be read or written: disk full, locked for long, no rights. The message says what.

    `cause` says why, and what helps; None if only a log is not kept.
    """

    def __init__(self, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Spooled:
    """One unacked report: its number, its frame as JSON text, and the job whose end it is."""

    seq: int
    frame: str
    ends: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that began and has not ended, and the process (`this_host.process_identity`) that will tell its end."""

    owner: str
    started: wire.JobStarted


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a schedule has come: the newest slot taken, microseconds, under the definition it had."""

    schedule_id: str
    definition: str
    slot: int


class Spool:
    """One open spool. Not for use by two threads at once. Every method raises SpoolError if the disk fails."""

    def __init__(self, file: Path, opened: sqlite3.Connection | None = None) -> None:
        """On disk, unless it was `opened` elsewhere."""
        self.file = file
        self._host_id: str | None = None
        with self._trouble():
            self._db = spool_file.open_or_create(file) if opened is None else opened
            self._in_memory = opened is not None
        try:
            self.spool_id = self._make_id()
        except SpoolError:
            self._db.close()
            raise

    @classmethod
    def in_memory(cls) -> "Spool":
        """An empty one that lasts as long as this process does, under an id of its own."""
        return cls(Path(":memory:"), spool_file.open_in_memory())

    @classmethod
    def copy_of(cls, file: Path) -> "Spool":
        """In memory, what is in a file that can be read and not be written. Its numbers are the file's: add nothing."""
        try:
            return cls(file, spool_file.copy_into_memory(file))
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(f"cannot read {file}: {error}", cause_of(error, file)) from error

    def close(self) -> None:
        self._db.close()

    def add(self, report: wire.Report, mark: Mark | None = None, owner: str | None = None) -> int:
        """Put a report on disk under the next `seq`, which replaces the one it has, and mark its schedule.

        A start with an `owner` is unfinished until its end is added. Over the bound the oldest report goes, starts
        before ends: a start is implied by its end.
        """
        with self._transaction():
            seq = self._insert(report)
            if isinstance(report, wire.JobFinished):
                self._db.execute("DELETE FROM unfinished WHERE job_id = ?", (report.job_id,))
            elif owner is not None:
                self._db.execute(
                    "INSERT INTO unfinished (job_id, owner, started) VALUES (?, ?, ?) ON CONFLICT (job_id) DO NOTHING",
                    (report.job_id, owner, wire.encode(report)),
                )
            if mark is not None:
                self._set_mark(mark)
            self._keep_bound()
        return seq

    def add_lost(self, report: wire.JobFinished) -> bool:
        """As `add`, but only if the job is unfinished still: of several that notice, one tells."""
        with self._transaction():
            gone = self._db.execute("DELETE FROM unfinished WHERE job_id = ?", (report.job_id,)).rowcount
            if gone:
                self._insert(report)
                self._keep_bound()
        return bool(gone)

    def belong_to(self, host_id: str) -> int:
        """What is here is about that host from now on. What is about another one is set aside until this machine is
        that host again: how many such reports there are. From here on `pending` gives this host's alone, also when
        another process has made the spool another host's.
        """
        with self._trouble():
            is_theirs = spool_owner.owner(self._db) == host_id
        if not is_theirs:  # else nothing is written: the disk may be full, or another process at it
            with self._transaction():
                for returned in spool_owner.change_owner(self._db, host_id):
                    report = wire.decode_from_agent(returned.frame)
                    if isinstance(report, wire.JobStarted | wire.JobFinished):
                        self._insert(report)
        self._host_id = host_id
        with self._trouble():
            return spool_owner.count(self._db)

    def unfinished(self) -> list[Unfinished]:
        with self._trouble():
            rows = self._db.execute("SELECT owner, started FROM unfinished ORDER BY job_id").fetchall()
        decoded = [(owner, wire.decode_from_agent(started)) for owner, started in rows]
        return [Unfinished(owner, started) for owner, started in decoded if isinstance(started, wire.JobStarted)]

    def set_unfinished(self, jobs: Iterable[Unfinished], forget: Iterable[str] = ()) -> None:
        """These began, and have not ended; of those to forget, the end is known elsewhere."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO unfinished (job_id, owner, started) VALUES (?, ?, ?) ON CONFLICT (job_id) DO NOTHING",
                [(job.started.job_id, job.owner, wire.encode(job.started)) for job in jobs],
            )
            self._db.executemany("DELETE FROM unfinished WHERE job_id = ?", [(gone,) for gone in forget])

    def _insert(self, report: wire.Report) -> int:
        """Its number; 0 if it is set aside."""
        if spool_owner.keep_if_of_another(self._db, report.job_id, wire.encode(report)):
            return 0
        row = self._db.execute(
            "INSERT INTO reports (job_id, event, frame) VALUES (?, ?, '')",
            (report.job_id, "job_started" if isinstance(report, wire.JobStarted) else "job_finished"),
        )
        seq = row.lastrowid
        assert seq is not None
        frame = wire.encode(msgspec.structs.replace(report, seq=seq))
        self._db.execute("UPDATE reports SET frame = ? WHERE seq = ?", (frame, seq))
        self._remember(report.job_id)
        return seq

    def pending(self, after: int, most: int) -> list[Spooled]:
        """Unacked reports with a `seq` over `after`, oldest first."""
        with self._trouble():
            rows = self._db.execute(
                "SELECT seq, frame, CASE event WHEN 'job_finished' THEN job_id END FROM reports"
                " WHERE seq > ?1 AND (?3 IS NULL OR (SELECT value FROM meta WHERE name = 'host_id') = ?3)"
                " ORDER BY seq LIMIT ?2",
                (after, most, self._host_id),
            ).fetchall()
        return [Spooled(*row) for row in rows]

    def seqs(self) -> set[int]:
        """The numbers of all unacked reports."""
        with self._trouble():
            return {seq for (seq,) in self._db.execute("SELECT seq FROM reports")}

    def count(self) -> int:
        with self._trouble():
            (number,) = self._db.execute("SELECT count(*) FROM reports").fetchone()
        return int(number)

    def holds(self, job_id: str) -> bool:
        """Whether a report of that job, or its log, is unacked."""
        with self._trouble():
            found = self._db.execute(
                "SELECT 1 FROM reports WHERE job_id = ?1 UNION ALL SELECT 1 FROM logs WHERE job_id = ?1 LIMIT 1",
                (job_id,),
            ).fetchone()
        return found is not None

    def ack(self, seqs: Sequence[int]) -> None:
        """Forget reports that the server has, or will never take, and the logs that went before them."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM logs WHERE job_id = (SELECT job_id FROM reports WHERE seq = ? AND event = 'job_finished')",
                [(seq,) for seq in seqs],
            )
            self._db.executemany("DELETE FROM reports WHERE seq = ?", [(seq,) for seq in seqs])

    # ---- logs: what may be lost, and never at the cost of a report

    def keep_log(self, job_id: str, frames: Sequence[wire.JobLog]) -> None:
        """If there is room for it, beside the report of the job's end, which is added after it."""
        if not frames:
            return
        if not self._in_memory:
            with self._trouble():
                found = os.statvfs(self.file)
            if found.f_bavail * found.f_frsize < LEAST_ROOM_BYTES:
                raise SpoolError(f"there is little room left beside {self.file}")
        with self._transaction():
            self._db.execute("DELETE FROM logs WHERE job_id = ?", (job_id,))
            for frame in map(wire.encode, frames):
                if not spool_owner.keep_if_of_another(self._db, job_id, frame, is_log=True):
                    self._db.execute("INSERT INTO logs (job_id, frame) VALUES (?, ?)", (job_id, frame))
            while self._log_bytes() > MOST_LOG_BYTES:
                self._db.execute(
                    "DELETE FROM logs WHERE job_id = (SELECT job_id FROM logs ORDER BY n LIMIT 1)",
                )

    def _log_bytes(self) -> int:
        (size,) = self._db.execute("SELECT coalesce(sum(length(CAST(frame AS BLOB))), 0) FROM logs").fetchone()
        return int(size)

    def log_of(self, job_id: str) -> list[str]:
        """The frames of a kept log, as JSON text."""
        with self._trouble():
            rows = self._db.execute("SELECT frame FROM logs WHERE job_id = ? ORDER BY n", (job_id,)).fetchall()
        return [frame for (frame,) in rows]

    def loose_logs(self) -> list[str]:
        """Jobs whose log is here still, while their end is neither here nor to come."""
        with self._trouble():
            rows = self._db.execute(
                "SELECT DISTINCT job_id FROM logs WHERE job_id NOT IN (SELECT job_id FROM reports)"
                " AND job_id NOT IN (SELECT job_id FROM unfinished)"
            ).fetchall()
        return [job_id for (job_id,) in rows]

    def drop_logs(self, job_id: str | None = None) -> None:
        """The log of that job, or every log."""
        with self._transaction():
            self._db.execute("DELETE FROM logs WHERE ? IS NULL OR job_id = ?", (job_id, job_id))

    def knows(self, job_id: str) -> bool:
        """Whether this host has taken on that job, in this life or an earlier one."""
        with self._trouble():
            return self._db.execute("SELECT 1 FROM jobs WHERE job_id = ?", (job_id,)).fetchone() is not None

    def marks(self) -> dict[str, Mark]:
        with self._trouble():
            rows = self._db.execute("SELECT schedule_id, definition, slot FROM marks").fetchall()
        return {row[0]: Mark(*row) for row in rows}

    def set_marks(self, marks: Iterable[Mark], forget: Iterable[str] = ()) -> None:
        """Keep these marks and forget those of schedules that are gone."""
        with self._transaction():
            for mark in marks:
                self._set_mark(mark)
            self._db.executemany("DELETE FROM marks WHERE schedule_id = ?", [(gone,) for gone in forget])

    def number(self, name: str) -> int:
        """How often that name was counted on; 0 at first."""
        with self._trouble():
            row = self._db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else 0

    def count_on(self, name: str) -> None:
        with self._transaction():
            self._db.execute(
                "INSERT INTO counters (name, value) VALUES (?, 1)"
                " ON CONFLICT (name) DO UPDATE SET value = counters.value + 1",
                (name,),
            )

    def prove(self) -> None:
        """Write something, to see whether that can be done."""
        self.count_on("proved")

    def _make_id(self) -> str:
        with self._transaction():
            self._db.execute(
                "INSERT INTO meta (name, value) VALUES ('spool_id', ?) ON CONFLICT (name) DO NOTHING", (ids.new(),)
            )
            (value,) = self._db.execute("SELECT value FROM meta WHERE name = 'spool_id'").fetchone()
        return str(value)

    def _remember(self, job_id: str) -> None:
        self._db.execute("INSERT INTO jobs (job_id) VALUES (?) ON CONFLICT (job_id) DO NOTHING", (job_id,))
        self._db.execute("DELETE FROM jobs WHERE n <= (SELECT max(n) FROM jobs) - ?", (MOST_JOBS,))

    def _set_mark(self, mark: Mark) -> None:
        self._db.execute(
            "INSERT INTO marks (schedule_id, definition, slot) VALUES (?, ?, ?) ON CONFLICT (schedule_id)"
            " DO UPDATE SET definition = excluded.definition, slot = excluded.slot",
            (mark.schedule_id, mark.definition, mark.slot),
        )

    def _keep_bound(self) -> None:
        (number,) = self._db.execute("SELECT count(*) FROM reports").fetchone()
        if number <= MOST_REPORTS:
            return
        dropped = self._db.execute(
            "DELETE FROM reports WHERE seq = (SELECT coalesce("
            " (SELECT min(s.seq) FROM reports s WHERE s.event = 'job_started' AND EXISTS"
            "  (SELECT 1 FROM reports f WHERE f.job_id = s.job_id AND f.event = 'job_finished')),"
            " (SELECT min(seq) FROM reports))) RETURNING job_id, event"
        ).fetchone()
        log.error(
            "%s holds %d reports that the server has not taken; dropped %s of job %s",
            self.file, MOST_REPORTS, dropped[1], dropped[0],
        )  # fmt: skip

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._trouble():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            cause = cause_of(error, self.file)
            raise SpoolError(f"cannot use {self.file}: {cause.words}", cause) from error
