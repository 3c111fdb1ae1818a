"""What this process has to report: in the spool file if that can be written, else in memory until it can be.

Owns the file as this process has it open, a copy of it where it can only be read, and a spool in memory for what cannot
be written. That one has an id of its own, so that no number under any id ever stands for two reports. Acks that cannot
be written are remembered: what they are of is not sent again by this process. Blocking; for one thread at a time.
Nothing here fails because of the disk, unless a method says so: `problem` tells instead, and nothing is logged of
it, since an `exec` that tells its run from memory has nothing to say.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from rmactors.agent import spool_file
from rmactors.agent.disk_trouble import Cause
from rmactors.agent.spool import MOST_REPORTS, Mark, Spool, Spooled, SpoolError, Unfinished
from rmactors.common import ids, wire

log = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_AGAIN_SECONDS: Final = 10.0
"""After a wait for a lock that was in vain, reports go into memory at once for so long."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the spool cannot be written, and since when."""

    cause: Cause
    since: datetime


class Keeper:
    """The spool of one state dir, whatever its disk does."""

    def __init__(self, file: Path) -> None:
        self.memory = Spool.in_memory()
        self.problem: Problem | None = None
        self._failed_at = 0.0
        self._file = file
        self._disk: Spool | None = None
        self._copy: Spool | None = None
        self._acked: set[int] = set()
        self._sent_logs: set[str] = set()
        self._ended: set[str] = set()
        """Jobs whose end the file does not know, because that was kept in memory."""
        try:
            self._disk = Spool(file)
        except SpoolError as error:
            self._cannot(error)
            try:
                self._copy = Spool.copy_of(file)
            except SpoolError as worse:
                log.info("what waits in the spool cannot be read either: %s", worse)
        self.spool_id = self._source.spool_id if self._source is not None else ids.new()

    def close(self) -> None:
        for spool in (self._disk, self._copy, self.memory):
            if spool is not None:
                spool.close()

    @property
    def _source(self) -> Spool | None:
        """Where what waits in the file can be read."""
        return self._disk or self._copy

    # ---- taking in

    def add(self, report: wire.Report, mark: Mark | None = None, owner: str | None = None) -> bool:
        """As a spool's. Whether it is on disk; else it is in `memory`."""
        if self.problem is None or (self._is_worth_a_try() and self.mend()):
            disk = self._disk
            assert disk is not None
            try:
                disk.add(report, mark, owner)
                return True
            except SpoolError as error:
                if isinstance(report, wire.JobFinished) and self._has_made_room(disk, report, mark):
                    return True
                self._cannot(error)
        self.memory.add(report, mark, owner)
        if isinstance(report, wire.JobFinished):
            self._ended.add(report.job_id)
        return False

    @staticmethod
    def _has_made_room(disk: Spool, report: wire.JobFinished, mark: Mark | None) -> bool:
        """An end is worth more than all logs."""
        try:
            disk.drop_logs()
            disk.add(report, mark)
        except SpoolError:
            return False
        return True

    def add_lost(self, report: wire.JobFinished) -> bool:
        """As a spool's: of several processes that notice, one tells, or each if the disk takes nothing."""
        if report.job_id in self._ended:
            return False
        if self._disk is not None and self.problem is None:
            try:
                return self._disk.add_lost(report)
            except SpoolError as error:
                self._cannot(error)
        self.memory.add(report)
        self._ended.add(report.job_id)
        return True

    def keep_log(self, job_id: str, frames: Sequence[wire.JobLog]) -> None:
        """As a spool's. Raises SpoolError: a log is never kept at the cost of a report."""
        if self.problem is not None or self._disk is None:
            self.memory.keep_log(job_id, frames)
        else:
            self._disk.keep_log(job_id, frames)

    def belong_to(self, host_id: str) -> None:
        """As a spool's. If that cannot be written now, it is no trouble: the command that enrolled the host has written
        it, or there is nothing of another host."""
        if self._disk is not None:
            with suppress(SpoolError):
                self._disk.belong_to(host_id)

    # ---- what waits in the file

    def pending(self, after: int, most: int) -> list[Spooled]:
        """As a spool's, without what was acked."""
        found: list[Spooled] = []
        while len(found) < most:
            batch = self._ask(partial(Spool.pending, after=after, most=most), list[Spooled]())
            found += [report for report in batch if report.seq not in self._acked]
            if len(batch) < most:
                break
            after = batch[-1].seq
        return found[:most]

    def count(self) -> int:
        if not self._acked:
            return self._ask(Spool.count, 0)
        return len(self._ask(Spool.seqs, set[int]()) - self._acked)

    def holds(self, job_id: str) -> bool:
        return self._ask(lambda spool: spool.holds(job_id), otherwise=False)

    def ack(self, seqs: Sequence[int]) -> None:
        """As a spool's; what cannot be written is remembered."""
        self._acked.update(seqs)
        if self.problem is None:
            self._try(self._write_acks)

    def log_of(self, job_id: str) -> list[str]:
        return self._ask(lambda spool: spool.log_of(job_id), list[str]())

    def loose_logs(self) -> list[str]:
        return [job_id for job_id in self._ask(Spool.loose_logs, list[str]()) if job_id not in self._sent_logs]

    def drop_logs(self, job_id: str | None = None) -> None:
        self._sent_logs.update(self._ask(Spool.loose_logs, list[str]()) if job_id is None else [job_id])
        if self.problem is None:
            self._try(self._write_acks)

    # ---- what both know

    def unfinished(self) -> list[Unfinished]:
        """Jobs that began and have not ended, of this process and of others."""
        written = [
            job for job in self._ask(Spool.unfinished, list[Unfinished]()) if job.started.job_id not in self._ended
        ]
        known = {job.started.job_id for job in written}
        return [*written, *(job for job in self.memory.unfinished() if job.started.job_id not in known)]

    def knows(self, job_id: str) -> bool:
        return self.memory.knows(job_id) or self._ask(lambda spool: spool.knows(job_id), otherwise=False)

    def marks(self) -> dict[str, Mark]:
        return self._ask(Spool.marks, dict[str, Mark]()) | self.memory.marks()

    def set_marks(self, marks: Iterable[Mark], forget: Iterable[str] = ()) -> None:
        """As a spool's. What is to be forgotten while that cannot be written is so the next time that somebody asks."""
        kept, gone = list(marks), list(forget)
        if self.problem is None:
            try:
                self._writable().set_marks(kept, gone)
                return
            except SpoolError as error:
                self._cannot(error)
        self.memory.set_marks(kept, gone)

    def number(self, name: str) -> int:
        """Raises SpoolError if it cannot be read."""
        if self._source is None:
            return self._writable().number(name)
        return self._source.number(name)

    def count_on(self, name: str) -> None:
        """Raises SpoolError."""
        self._writable().count_on(name)

    def _writable(self) -> Spool:
        if self._disk is None:
            assert self.problem is not None
            raise SpoolError(f"cannot use {self._file}: {self.problem.cause.words}", self.problem.cause)
        return self._disk

    # ---- trouble, and its end

    def _is_worth_a_try(self) -> bool:
        """Each try waits where the file is locked: a wrapped command should not wait again and again."""
        assert self.problem is not None
        return not self.problem.cause.busy or time.monotonic() > self._failed_at + BUSY_AGAIN_SECONDS

    def mend(self) -> bool:
        """Try to write what waits for it. Whether everything is on disk now."""
        try:
            if self._disk is None:
                self._open_again()
            disk = self._writable()
            disk.prove()
            self._write_acks()
            self._write_memory(disk)
        except SpoolError as error:
            self._cannot(error)
            return False
        self.problem = None
        return True

    def _open_again(self) -> None:
        if self.problem is not None and self.problem.cause.damaged and not spool_file.is_sound(self._file):
            try:
                spool_file.put_aside(self._file)
            except OSError as error:
                raise SpoolError(f"cannot put {self._file} aside: {error.strerror}", self.problem.cause) from error
        self._disk = Spool(self._file)
        if self._copy is not None:
            self._copy.close()
            self._copy = None
        if self._disk.spool_id != self.spool_id:  # another file: these numbers are of the one before
            self._acked.clear()
            self.spool_id = self._disk.spool_id

    def _write_acks(self) -> None:
        disk = self._writable()
        if self._acked:
            disk.ack(sorted(self._acked))
            self._acked.clear()
        while self._sent_logs:
            job_id = min(self._sent_logs)
            disk.drop_logs(job_id)
            self._sent_logs.remove(job_id)

    def _write_memory(self, disk: Spool) -> None:
        """What was kept in memory goes into the file, under numbers of the file's. If it is in flight already it is
        sent once more: a server takes each once."""
        unfinished = self.memory.unfinished()
        owners = {job.started.job_id: job.owner for job in unfinished}
        written_there = {job_id for job_id in owners if disk.knows(job_id)}
        for spooled in self.memory.pending(0, MOST_REPORTS):
            report = wire.decode_from_agent(spooled.frame)
            assert isinstance(report, wire.JobStarted | wire.JobFinished)
            if isinstance(report, wire.JobFinished):
                self._write_log(disk, report.job_id)
            if report.job_id not in written_there:
                disk.add(report, owner=owners.get(report.job_id))
            self.memory.ack([spooled.seq])
        # of a run that has written there itself, its start or its end already, that is the newer word
        new = [job for job in self.memory.unfinished() if job.started.job_id not in written_there]
        disk.set_unfinished(new, forget=self._ended)
        self.memory.set_unfinished([], forget=owners)
        self._ended.clear()
        marks = self.memory.marks()
        disk.set_marks(marks.values())
        self.memory.set_marks([], forget=marks)
        for job_id in self.memory.loose_logs():  # their end goes into the file next
            self._write_log(disk, job_id)
            self.memory.drop_logs(job_id)

    def _write_log(self, disk: Spool, job_id: str) -> None:
        frames = [wire.decode_from_agent(frame) for frame in self.memory.log_of(job_id)]
        with suppress(SpoolError):  # there is little room: it is the report that matters
            disk.keep_log(job_id, [frame for frame in frames if isinstance(frame, wire.JobLog)])

    def _cannot(self, error: SpoolError) -> None:
        cause = error.cause
        assert cause is not None
        self.problem = Problem(cause, wire.utc_now() if self.problem is None else self.problem.since)
        self._failed_at = time.monotonic()
        if cause.damaged and self._disk is not None:
            self._disk.close()
            self._disk = None

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except SpoolError as error:
            self._cannot(error)

    def _ask(self, question: Callable[[Spool], T], otherwise: T) -> T:
        source = self._source
        if source is None:
            return otherwise
        try:
            return question(source)
        except SpoolError as error:
            self._cannot(error)
            return otherwise
