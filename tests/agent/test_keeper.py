"""The spool and the memory in front of it, with a database that SQLite itself calls full, read-only or damaged."""

import errno
import math
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmactors.agent import disk_trouble
from rmactors.agent import keeper as module
from rmactors.agent.keeper import Keeper
from rmactors.agent.report_queue import open_queue
from rmactors.agent.spool import Mark, Spool, SpoolError
from rmactors.agent.state_dir import StateDir
from rmactors.agent.unwritten import Announced
from rmactors.common import ids, wire

from .test_spool import finished, started


@pytest.fixture
def keeper(state: StateDir) -> Iterator[Keeper]:
    made = Keeper(state.spool_file)
    yield made
    made.close()


def database(keeper: Keeper) -> sqlite3.Connection:
    assert keeper._disk is not None
    return keeper._disk._db


def no_room(keeper: Keeper) -> None:
    """As on a full disk: the file cannot grow."""
    (pages,) = database(keeper).execute("PRAGMA page_count").fetchone()
    database(keeper).execute(f"PRAGMA max_page_count = {pages}")


def room(keeper: Keeper) -> None:
    database(keeper).execute("PRAGMA max_page_count = 100000")


def read_only(keeper: Keeper, on: bool = True) -> None:
    """As on a read-only file system: whatever is written is refused."""
    database(keeper).execute(f"PRAGMA query_only = {int(on)}")


def on_disk(state: StateDir) -> list[wire.Report]:
    spool = Spool(state.spool_file)
    frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 1000)]
    spool.close()
    return [frame for frame in frames if isinstance(frame, wire.JobStarted | wire.JobFinished)]


def in_memory(keeper: Keeper) -> list[str]:
    found = [wire.decode_from_agent(report.frame) for report in keeper.memory.pending(0, 1000)]
    return [report.job_id for report in found if isinstance(report, wire.JobStarted | wire.JobFinished)]


def test_a_full_file_and_its_memory_use_numbers_of_their_own(keeper: Keeper, state: StateDir) -> None:
    assert keeper.add(started())
    no_room(keeper)
    jobs = []
    while keeper.add(report := started()):  # what room there is within the file is used
        jobs.append(report.job_id)
    assert keeper.problem is not None
    assert "is full" in keeper.problem.cause.words
    assert in_memory(keeper) == [report.job_id]
    assert keeper.memory.spool_id != keeper.spool_id
    room(keeper)
    assert keeper.mend()
    assert keeper.problem is None
    assert in_memory(keeper) == []
    written = on_disk(state)
    assert [each.job_id for each in written][1:] == [*jobs, report.job_id]
    assert len({each.seq for each in written}) == len(written)


def test_acks_that_cannot_be_written_are_remembered_and_written_later(keeper: Keeper, state: StateDir) -> None:
    jobs = [ids.new() for _ in range(5)]
    for job in jobs:
        keeper.add(finished(job))
    read_only(keeper)
    keeper.ack([1, 2, 4])
    assert keeper.problem is not None
    assert [report.seq for report in keeper.pending(0, 1)] == [3], (
        "what was acked is passed over, however little is asked"
    )
    assert [report.seq for report in keeper.pending(0, 64)] == [3, 5]
    assert keeper.count() == 2
    assert not keeper.mend()
    assert len(on_disk(state)) == 5
    read_only(keeper, on=False)
    assert keeper.mend()
    assert [report.job_id for report in on_disk(state)] == [jobs[2], jobs[4]]
    assert keeper.count() == 2


def test_an_end_that_only_memory_knows_is_nobodys_orphan(keeper: Keeper, state: StateDir) -> None:
    job = ids.new()
    keeper.add(started(job), owner="1:gone")
    read_only(keeper)
    keeper.add(finished(job))
    assert keeper.unfinished() == []
    assert not keeper.add_lost(finished(job))
    keeper.memory.ack([keeper.memory.pending(0, 1)[0].seq])  # it was told
    read_only(keeper, on=False)
    assert keeper.mend()
    spool = Spool(state.spool_file)
    assert spool.unfinished() == []
    spool.close()
    assert [type(report).__name__ for report in on_disk(state)] == ["JobStarted"]


def test_a_start_that_was_told_from_memory_is_on_disk_as_unfinished_once_there_is_room(
    keeper: Keeper, state: StateDir
) -> None:
    read_only(keeper)
    job = ids.new()
    assert not keeper.add(started(job), Mark("s", "d", 7), owner="1:gone")
    assert keeper.knows(job)
    assert keeper.marks() == {"s": Mark("s", "d", 7)}
    keeper.memory.ack([keeper.memory.pending(0, 1)[0].seq])
    read_only(keeper, on=False)
    assert keeper.mend()
    spool = Spool(state.spool_file)
    assert [(each.owner, each.started.job_id) for each in spool.unfinished()] == [("1:gone", job)]
    assert spool.marks() == {"s": Mark("s", "d", 7)}
    spool.close()
    assert on_disk(state) == []


@pytest.mark.parametrize("told", [False, True], ids=["unacked", "acked"])
def test_a_run_whose_end_its_own_process_has_written_is_not_unfinished_again(
    keeper: Keeper, state: StateDir, told: bool
) -> None:
    """Its start was handed over to this agent while there was no room; the end came when there was."""
    job = ids.new()
    read_only(keeper)
    assert not keeper.add(started(job), owner="1:gone")
    if told:
        keeper.memory.ack([report.seq for report in keeper.memory.pending(0, 10)])
    read_only(keeper, on=False)
    its_own = Spool(state.spool_file)
    its_own.add(finished(job))
    its_own.close()
    assert keeper.mend()
    assert keeper.unfinished() == []
    assert [type(report) for report in on_disk(state)] == [wire.JobFinished]


def test_an_orphan_is_told_once_where_the_disk_takes_nothing(keeper: Keeper) -> None:
    job = ids.new()
    keeper.add(started(job), owner="1:gone")
    read_only(keeper)
    assert [keeper.add_lost(finished(job)) for _ in range(3)] == [True, False, False]
    assert in_memory(keeper) == [job]
    assert keeper.unfinished() == []


def test_a_log_travels_with_an_end_in_memory(keeper: Keeper) -> None:
    read_only(keeper)
    job = ids.new()
    keeper.add(started(job))
    keeper.keep_log(job, [wire.JobLog(job_id=job, first_line=0, lines=[wire.LogLine("stdout", "hello")])])
    keeper.add(finished(job))
    assert len(keeper.memory.log_of(job)) == 1
    read_only(keeper, on=False)
    assert keeper.mend()
    assert keeper.memory.log_of(job) == []
    assert len(keeper.log_of(job)) == 1


def test_a_log_in_memory_goes_along_with_an_end_that_can_be_written_again(keeper: Keeper) -> None:
    """A backup may itself make the room that was missing, or what it runs at its end."""
    job = ids.new()
    read_only(keeper)
    keeper.add(started(job))
    keeper.keep_log(job, [wire.JobLog(job_id=job, first_line=0, lines=[wire.LogLine("stdout", "hello")])])
    read_only(keeper, on=False)
    assert keeper.add(finished(job))
    assert len(keeper.log_of(job)) == 1
    assert keeper.memory.loose_logs() == []


def test_logs_that_were_sent_are_not_sent_again(keeper: Keeper) -> None:
    job = ids.new()
    keeper.keep_log(job, [wire.JobLog(job_id=job, first_line=0, lines=[wire.LogLine("stdout", "hello")])])
    assert keeper.loose_logs() == [job]
    read_only(keeper)
    keeper.drop_logs(job)
    assert keeper.loose_logs() == []
    read_only(keeper, on=False)
    assert keeper.mend()
    assert keeper.log_of(job) == []


def test_a_file_that_is_damaged_while_it_is_open_costs_no_report(state: StateDir) -> None:
    keeper = Keeper(state.spool_file)
    for _ in range(40):
        keeper.add(started())
    database(keeper).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database(keeper).execute("PRAGMA cache_size=0")
    with state.spool_file.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    job = ids.new()
    keeper.pending(0, 64)
    keeper.add(finished(job))
    assert keeper.mend()
    assert job in [report.job_id for report in on_disk(state)]
    keeper.close()
    assert [file.name for file in state.path.iterdir() if "broken" in file.name]


async def test_an_ack_that_was_in_flight_is_none_of_a_new_files_reports(state: StateDir) -> None:
    """They have the same numbers as those of the file that was damaged and put aside."""
    async with open_queue(state) as queue:
        await queue.add(finished(ids.new()))
        before = queue.spool_id
        database(queue._keeper).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        database(queue._keeper).execute("PRAGMA cache_size=0")
        with state.spool_file.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        assert await queue.pending(0, 64) == []
        await queue.add(finished(job := ids.new()))
        assert queue.spool_id != before
        await queue.ack([1], before)
        assert [(report.seq, report.ends) for report in await queue.pending(0, 64)] == [(1, job)]
        await queue.ack([1], queue.spool_id)
        assert await queue.count() == 0


def test_a_file_that_somebody_else_has_locked_is_waited_for_once(
    keeper: Keeper, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_AGAIN_SECONDS", math.inf)
    tries: list[str] = []
    database(keeper).execute("PRAGMA busy_timeout = 10")
    database(keeper).set_trace_callback(lambda statement: tries.append(statement) if "BEGIN" in statement else None)
    other = sqlite3.connect(state.spool_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert [keeper.add(started()) for _ in range(3)] == [False] * 3
    assert len(tries) == 1
    other.execute("ROLLBACK")
    assert keeper.mend()
    assert keeper.add(started())
    assert len(on_disk(state)) == 4
    other.close()


def test_a_place_that_is_not_there_yet_is_used_once_it_is(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "no" / "spool.db")
    assert keeper.problem is not None
    before = keeper.spool_id
    job = ids.new()
    assert not keeper.add(started(job))
    assert (keeper.pending(0, 64), keeper.count(), keeper.marks()) == ([], 0, {})
    keeper.set_marks([Mark("s", "d", 7)])
    (tmp_path / "no").mkdir()
    assert keeper.mend()
    assert keeper.spool_id != before, "the numbers are the file's now"
    assert [report.ends for report in keeper.pending(0, 64)] == [None]
    assert keeper.marks() == {"s": Mark("s", "d", 7)}
    keeper.close()


def test_the_name_of_the_place_need_not_be_text(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "spool.db").mkdir()  # not to be opened as a file
    keeper = Keeper(folder / "spool.db")
    assert keeper.problem is not None
    keeper.close()


def test_counters_say_that_they_cannot_be_kept(keeper: Keeper) -> None:
    read_only(keeper)
    with pytest.raises(SpoolError):
        keeper.count_on("check:main")
    assert keeper.number("check:main") == 0


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EPERM, "no permission"),
        (errno.EIO, "input/output error"),
        (errno.EFBIG, "larger than a file may be"),
        (errno.ENOTDIR, "not a directory"),
        (0, "unknown error"),
    ],
)
def test_the_words_fit_the_cause(number: int, words: str) -> None:
    cause = disk_trouble.of_errno(number, Path("/var/lib/x/spool.db"))
    assert words in cause.words
    assert "another user" not in cause.words
    assert cause.advice


def test_a_file_that_is_no_database_where_nothing_can_be_moved_is_called_so(tmp_path: Path) -> None:
    error = sqlite3.DatabaseError("file is not a database")
    error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
    cause = disk_trouble.cause_of(error, tmp_path / "spool.db")
    assert cause.damaged
    assert "is damaged" in cause.words


def test_trouble_is_told_at_once_and_its_end_later_each_time_it_came_back() -> None:
    announced = Announced(10.0)
    assert announced.wait(in_trouble=True) is None, "the first hello will say it"
    announced.said(in_trouble=False)
    pauses = []
    for _ in range(12):
        assert announced.wait(in_trouble=False) is None
        assert announced.wait(in_trouble=True) == 0.0
        announced.said(in_trouble=True)
        announced.said(in_trouble=True)  # a reconnect
        assert announced.wait(in_trouble=True) is None
        pauses.append(announced.wait(in_trouble=False))
        announced.said(in_trouble=False)
    assert pauses[:4] == [10.0, 20.0, 40.0, 80.0]
    assert pauses[-1] == 3600.0
