"""One transaction a batch, each commit all or not at all; what a full disk or a lock does to it."""

import json
import sqlite3
import time
from contextlib import closing

import pytest

from rmactors.common import ids
from rmactors.server.messages.alerts import RaiseAlert, TouchAlert
from rmactors.server.messages.answers import Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.audit import AppendAudit
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.hosts import DeleteHost, UpdateHost
from rmactors.server.messages.jobs import JobStarted, SaveLogLines
from rmactors.server.store.database import IntegrityError
from rmactors.server.store.engines.opening import open_writer
from rmactors.server.store.transaction import Wakeups
from tests.databases import on_sqlite_alone
from tests.store.ledger import NOON, Ledger, audit, save_start, start


def test_each_commit_of_a_batch_has_its_own_answer(ledger: Ledger) -> None:
    host = ledger.host()
    alert = RaiseAlert(ids.new(), host, "backup_failed", "s", "warning", "m", NOON)
    answers, woken = ledger.writer.apply(
        [
            (alert,),
            (alert,),  # the very same
            (RaiseAlert(ids.new(), host, "backup_failed", "s", "warning", "m", NOON),),  # another for the same key
            (RaiseAlert(ids.new(), "nobody", "backup_failed", "s", "warning", "m", NOON),),
            (AppendAudit(audit()), TouchAlert(ids.new(), "m", NOON, True)),  # the second write takes the first along
            (Pulse(NOON),),
        ]
    )
    assert [type(answer) for answer in answers] == [Committed, Duplicate, Stale, Refused, Stale, Committed]
    assert ledger.value("SELECT count(*) FROM alerts") == 1
    assert ledger.value("SELECT count(*) FROM audit WHERE target_id = 't' AND action = 'x.y'") == 1  # of the enrollment
    assert ledger.value("SELECT value FROM facts WHERE name = 'pulse'") == str(NOON)
    assert "alerts" in woken.topics


def test_what_is_stale_is_so_also_as_the_first_thing_of_a_connection(ledger: Ledger) -> None:
    """On PostgreSQL, nothing can be prepared behind a statement that failed."""
    with closing(open_writer(ledger.place)) as fresh:
        (answer,), _ = fresh.apply([(TouchAlert("no such alert", "m", NOON, True),)])
    assert isinstance(answer, Stale)


def test_what_was_rolled_back_wakes_nobody(ledger: Ledger) -> None:
    host, _ = ledger.host(), ledger.channel()
    raised = RaiseAlert(ids.new(), host, "backup_failed", "s", "warning", "m", NOON)
    answers, woken = ledger.writer.apply([(raised, TouchAlert("none", "m", NOON, True))])
    assert isinstance(answers[0], Stale)
    assert (woken.channels, woken.deliveries) == (set(), {})
    assert woken.topics == set()
    assert ledger.outbox() == []


def test_what_fails_half_way_leaves_its_neighbours_and_their_deliveries_once(ledger: Ledger) -> None:
    host, channel = ledger.host(), ledger.channel()
    before, half, after = (RaiseAlert(ids.new(), host, "backup_failed", s, "warning", "m", NOON) for s in "abc")
    answers, woken = ledger.writer.apply([(before,), (half, TouchAlert("none", "m", NOON, True)), (after,)])
    assert [type(answer) for answer in answers] == [Committed, Stale, Committed]
    assert len(ledger.outbox()) == 2
    assert [delivery.alert_id for delivery in woken.deliveries[channel]] == [before.alert_id, after.alert_id]
    assert woken.counts["alert", "backup_failed", "warning"] == 2


@on_sqlite_alone
def test_a_savepoint_is_made_only_where_something_failed_half_way(ledger: Ledger) -> None:
    """SQLite copies every page that is changed after one: that costs more than the changes."""
    said: list[str] = []
    assert isinstance(ledger.connection, sqlite3.Connection)
    ledger.connection.set_trace_callback(said.append)
    raised = RaiseAlert(ids.new(), ledger.host(), "backup_failed", "s", "warning", "m", NOON)
    answers, _ = ledger.writer.apply([(raised,), (raised,), (TouchAlert("none", "m", NOON, True),), (Pulse(NOON),)])
    assert [type(answer) for answer in answers] == [Committed, Duplicate, Stale, Committed]
    assert "SAVEPOINT one" not in said
    ledger.writer.apply([(Pulse(NOON), TouchAlert("none", "m", NOON, True))])
    assert "SAVEPOINT one" in said


def failure(host_id: str, subject: str) -> RaiseAlert:
    return RaiseAlert(ids.new(), host_id, "backup_failed", subject, "warning", "m", NOON)


def test_what_is_looked_at_once_a_batch_is_looked_at_again_where_it_changes(ledger: Ledger) -> None:
    """A name, tags, the end of a host; and nothing of a change that was undone."""
    host, every, of_b = ledger.host("one"), ledger.channel(), ledger.channel(host_tags=("b",))
    answers, woken = ledger.writer.apply(
        [
            (failure(host, "plan:0"),),
            (UpdateHost(host, "two", ("b",), audit()),),
            (failure(host, "plan:1"),),
            (UpdateHost(host, "three", ("c",), audit()), failure(host, "plan:2"), TouchAlert("none", "m", NOON, True)),
            (failure(host, "plan:3"),),
            (UpdateHost(host, "four", (), audit()), failure(host, "plan:4")),
            (failure(host, "plan:5"),),
            (DeleteHost(host, NOON, audit()),),
            (failure(host, "plan:6"),),
        ]
    )
    undone, refused = answers.pop(3), answers.pop()
    assert (type(undone), type(refused)) == (Stale, Refused)
    assert {type(answer) for answer in answers} == {Committed}
    told = {
        channel: [(body["subject"], body["host_name"]) for body in (json.loads(each.body) for each in deliveries)]
        for channel, deliveries in woken.deliveries.items()
    }
    assert told == {
        every: [("plan:0", "one"), ("plan:1", "two"), ("plan:3", "two"), ("plan:4", "four"), ("plan:5", "four")],
        of_b: [("plan:1", "two"), ("plan:3", "two")],
    }


@on_sqlite_alone
def test_a_host_with_many_alerts_is_looked_at_once_a_batch(ledger: Ledger) -> None:
    said: list[str] = []
    host, _ = ledger.host(), ledger.channel()
    assert isinstance(ledger.connection, sqlite3.Connection)
    ledger.connection.set_trace_callback(said.append)
    ledger.writer.apply([(failure(host, f"plan:{n}"),) for n in range(20)])
    assert len([sql for sql in said if sql.startswith("INSERT INTO alerts ")]) == 20
    assert len([sql for sql in said if "FROM hosts" in sql and sql.startswith("SELECT")]) == 2, "its name and its tags"
    assert not [sql for sql in said if "FROM schedules" in sql], "a plan is no schedule"


def test_results_come_in_the_order_of_their_writes(ledger: Ledger) -> None:
    host = ledger.host()
    one, other = (save_start(start(host, ids.new()), deadline_at=at) for at in (77, 78))
    assert ledger.commit(Pulse(NOON), one, Pulse(NOON), other) == (JobStarted(77), JobStarted(78))


def test_a_writer_that_has_just_been_opened_may_begin_with_what_is_there_already(ledger: Ledger) -> None:
    writes = [(save_start(start(ledger.host(), ids.new()), deadline_at=77),)]
    assert isinstance(ledger.writer.apply(writes)[0][0], Committed)
    with closing(open_writer(ledger.place)) as other:
        assert isinstance(other.apply(writes)[0][0], Duplicate)


def test_what_the_schema_forbids_is_refused_and_the_rest_goes_on(ledger: Ledger) -> None:
    host = ledger.host()
    wrong = RaiseAlert(ids.new(), host, "backup_failed", "s", "huge", "m", NOON)  # type: ignore[arg-type]
    answers, _ = ledger.writer.apply([(wrong,), (Pulse(NOON),)])
    assert isinstance(answers[0], Refused)
    assert answers[0].code == "invalid"
    assert isinstance(answers[1], Committed)


def test_the_database_itself_allows_one_unresolved_alert_a_key(ledger: Ledger) -> None:
    host = ledger.host()
    first = ledger.raise_(host)
    copy = (
        "INSERT INTO alerts SELECT ?, host_id, host_name, kind, subject, severity, message, 1, NULL, 1, created_at,"
        " last_seen_at, NULL, NULL, NULL, resolved_at, NULL, NULL, resolved, 0 FROM alerts WHERE id = ?"
    )
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        ledger.connection.execute(copy, (ids.new(), first))
    ledger.resolve(first)
    ledger.connection.execute(copy, (ids.new(), first))
    assert ledger.value("SELECT count(*) FROM alerts") == 2


def written(ledger: Ledger) -> int:
    """Grows with what is written of output, also where nothing is left of it: rows that were changed, of PostgreSQL the
    size of the table, whose pages some hundred rows fill."""
    if isinstance(ledger.connection, sqlite3.Connection):
        return ledger.connection.total_changes
    return int(ledger.value("SELECT pg_relation_size('job_logs')"))


def test_log_lines_that_are_there_already_are_not_written_again(ledger: Ledger) -> None:
    host, job = ledger.host(), ids.new()
    ledger.commit(save_start(start(host, job)))
    lines = SaveLogLines(host, job, tuple((n, "stdout", f"line {n}") for n in range(200)))
    ledger.commit(lines)
    before = written(ledger)
    for _ in range(3):
        answers, woken = ledger.writer.apply([(lines,)])
        assert [type(answer) for answer in answers] == [Committed]
        assert woken.topics == set(), "nobody who looks at the job has anything new to see"
    assert written(ledger) == before
    ledger.commit(SaveLogLines(host, job, ((5, "stdout", "again"), (7_000, "stdout", "far"), (300, "stdout", "near"))))
    assert ledger.value("SELECT count(*) FROM job_logs") == 202
    assert ledger.value("SELECT text FROM job_logs WHERE line = 5") == "line 5"


def test_log_lines_that_would_go_at_once_are_not_written(ledger: Ledger) -> None:
    """Those between the head and the tail that are kept of a long log."""
    host, job = ledger.host(), ids.new()
    ledger.commit(save_start(start(host, job)))
    ledger.commit(SaveLogLines(host, job, ((1_000_000, "stdout", "the newest"),)))
    before = written(ledger)
    ledger.commit(SaveLogLines(host, job, tuple((n, "stdout", "x") for n in range(500_000, 500_200))))
    ledger.commit(SaveLogLines(host, job, ()))
    assert written(ledger) == before
    ledger.commit(SaveLogLines(host, job, tuple((n, "stdout", "x") for n in (0, 1_999, 2_000, 982_000, 982_001))))
    assert [line for (line,) in ledger.rows("SELECT line FROM job_logs ORDER BY line")] == [
        0,
        1_999,
        982_001,
        1_000_000,
    ]


@on_sqlite_alone  # who limits a database of PostgreSQL limits all of that machine
def test_a_full_disk_fails_the_whole_batch_and_is_over_when_there_is_space(ledger: Ledger) -> None:
    host, _ = ledger.host(), ledger.channel()
    pages = ledger.value("PRAGMA page_count")
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")
    job = ids.new()
    ledger_lines = SaveLogLines(host, job, tuple((n, "stdout", "x" * 1000) for n in range(200)))
    alert = RaiseAlert(ids.new(), host, "backup_failed", "s", "warning", "m", NOON)
    answers, woken = ledger.writer.apply([(alert,), (save_start(start(host, job)), ledger_lines), (Pulse(NOON),)])
    assert [type(answer) for answer in answers] == [Failed] * 3
    assert "full" in str(answers[0])
    assert woken.topics == set()
    assert not ledger.connection.in_transaction
    assert ledger.value("SELECT count(*) FROM alerts") == 0
    ledger.connection.execute("PRAGMA max_page_count = 1000000")
    answers, woken = ledger.writer.apply([(alert,), (save_start(start(host, job)), ledger_lines), (Pulse(NOON),)])
    assert [type(answer) for answer in answers] == [Committed] * 3
    assert len(woken.deliveries) == 1
    assert ledger.value("PRAGMA integrity_check") == "ok"


def says_locked(ledger: Ledger, error: str) -> bool:
    """Whether an engine's words for a lock that another one holds."""
    by_sqlite = isinstance(ledger.connection, sqlite3.Connection)
    return error == ("database is locked" if by_sqlite else "canceling statement due to lock timeout")


def test_a_locked_database_fails_the_batch_and_is_over_with_the_lock(ledger: Ledger) -> None:
    with closing(open_writer(ledger.place, busy_seconds=0.01)) as impatient:
        with ledger.locked():
            (answer,), woken = impatient.apply([(Pulse(NOON),)])
        assert isinstance(answer, Failed)
        assert says_locked(ledger, answer.detail)
        assert woken == Wakeups()
        answers, _ = impatient.apply([(Pulse(NOON),)])
        assert answers == [Committed()]


def test_a_writer_waits_for_another_one_to_end(ledger: Ledger) -> None:
    """As long as it is told to, and no longer."""
    with closing(open_writer(ledger.place, busy_seconds=0.3)) as patient, ledger.locked():
        began = time.monotonic()
        answers, _ = patient.apply([(Pulse(NOON),), (Pulse(NOON),)])
        assert [type(answer) for answer in answers] == [Failed, Failed]
        assert time.monotonic() - began >= 0.3


def test_a_proof_is_a_changed_row(ledger: Ledger) -> None:
    with closing(open_writer(ledger.place, busy_seconds=0.01)) as impatient:
        for number in range(1, 4):
            assert impatient.prove() is None
            assert ledger.value("SELECT value FROM facts WHERE name = 'proof'") == str(number)
        with ledger.locked():
            assert says_locked(ledger, impatient.prove() or "")
        assert impatient.prove() is None


@on_sqlite_alone
def test_a_proof_reaches_the_disk(ledger: Ledger) -> None:
    log = ledger.path.with_name(f"{ledger.path.name}-wal")
    for _ in range(3):
        before = log.stat().st_size
        assert ledger.writer.prove() is None
        assert log.stat().st_size > before, "nothing was written"


def test_what_is_cached_follows_what_was_rolled_back(ledger: Ledger) -> None:
    host, first = ledger.host(), ledger.channel()
    ledger.raise_(host, "a")  # the channel is known now
    from_another_batch = ledger.channel()
    ledger.raise_(host, "b")
    assert len(ledger.outbox(first)) == 2
    assert len(ledger.outbox(from_another_batch)) == 1
