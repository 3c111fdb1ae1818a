"""The spool: on disk before anybody is told, a number never used twice, several processes at once."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rmactors.agent import spool as module
from rmactors.agent.spool import Mark, Spool, SpoolError
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire

ROOT = Path(__file__).resolve().parents[2]


def started(job_id: str | None = None) -> wire.JobStarted:
    return wire.JobStarted(0, job_id or ids.new(), "backup", wire.utc_now())


def finished(job_id: str) -> wire.JobFinished:
    return wire.JobFinished(0, job_id, "backup", "failed", "error", wire.utc_now(), wire.utc_now(), 1, "boom")


def test_a_number_is_never_used_twice_even_when_all_is_acked(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    assert [spool.add(started()) for _ in range(3)] == [1, 2, 3]
    spool.ack([1, 2, 3])
    spool.close()
    spool = Spool(state.spool_file)
    assert spool.add(started()) == 4
    spool.close()


def test_the_frame_carries_its_number(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    spool.add(started())
    spool.add(started())
    frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 10)]
    spool.close()
    assert [frame.seq for frame in frames if isinstance(frame, wire.JobStarted)] == [1, 2]


def test_the_spool_id_is_made_once(state: StateDir) -> None:
    first, second = Spool(state.spool_file), Spool(state.spool_file)
    assert first.spool_id == second.spool_id
    first.close()
    second.close()


def test_only_its_owner_can_read_it(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    spool.add(started())
    modes = {file.name: file.stat().st_mode & 0o777 for file in state.path.iterdir()}
    spool.close()
    assert set(modes.values()) == {0o600}
    assert state.path.stat().st_mode & 0o777 == 0o700


def test_a_job_is_known_after_its_reports_are_gone(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    job_id = ids.new()
    assert not spool.knows(job_id)
    spool.ack([spool.add(started(job_id))])
    spool.close()
    spool = Spool(state.spool_file)
    assert spool.knows(job_id)
    spool.close()


def test_a_start_and_its_schedules_mark_stand_or_fall_together(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    spool.add(started(), Mark("s", "d", 7))
    spool.set_marks([Mark("t", "d", 1)], forget=["u"])
    assert spool.marks() == {"s": Mark("s", "d", 7), "t": Mark("t", "d", 1)}
    spool.close()


def test_counters_go_on_after_a_restart(state: StateDir) -> None:
    spool = Spool(state.spool_file)
    assert spool.number("check:main") == 0
    for _ in range(3):
        spool.count_on("check:main")
    spool.close()
    spool = Spool(state.spool_file)
    spool.count_on("check:other")
    assert (spool.number("check:main"), spool.number("check:other")) == (3, 1)
    spool.close()


def test_over_its_bound_starts_go_before_ends(state: StateDir, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(state.spool_file)
    jobs = [ids.new() for _ in range(module.MOST_REPORTS // 2)]
    with sqlite3.connect(state.spool_file) as db:  # filled in one transaction: twenty thousand would take long
        db.executemany(
            "INSERT INTO reports (job_id, event, frame) VALUES (?, ?, '{}')",
            [(job, event) for job in jobs for event in ("job_started", "job_finished")],
        )
    db.close()
    last = ids.new()
    spool.add(started(last))
    spool.add(finished(last))
    assert spool.count() == module.MOST_REPORTS
    spool.close()
    with sqlite3.connect(state.spool_file) as db:
        (ends,) = db.execute("SELECT count(*) FROM reports WHERE event = 'job_finished'").fetchone()
    db.close()
    assert ends == len(jobs) + 1
    assert "dropped job_started" in caplog.text


def test_a_damaged_file_is_put_aside_and_a_new_one_begun(state: StateDir, caplog: pytest.LogCaptureFixture) -> None:
    state.spool_file.write_bytes(b"this is not a database at all, but it is long enough to look like one" * 100)
    spool = Spool(state.spool_file)
    assert spool.add(started()) == 1
    spool.close()
    assert [file.name for file in state.path.iterdir() if "broken" in file.name]
    assert "damaged" in caplog.text


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot use"):
        Spool(tmp_path / "no" / "such" / "spool.db")


def test_several_processes_write_at_once(state: StateDir) -> None:
    script = (
        "import sys; from pathlib import Path; from rmactors.common import ids, wire\n"
        "from rmactors.agent.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]))\n"
        "for _ in range(25): spool.add(wire.JobStarted(0, ids.new(), 'backup', wire.utc_now()))\n"
        "spool.close()\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(state.spool_file)], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for writer in writers:
        _, words = writer.communicate(timeout=60)
        assert (writer.returncode, words) == (0, b"")
    spool = Spool(state.spool_file)
    seqs = [report.seq for report in spool.pending(0, 1000)]
    spool.close()
    assert seqs == list(range(1, 101))
