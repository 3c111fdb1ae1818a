"""Host actors: a report gets its ack when it is on disk, or is refused. Real rules and store."""

from msgspec import Raw
from trio.testing import MockClock

from rmactors.common import ids, wire
from tests.actors.works import Works, agent, ago, enrolled, running, start_fleet, until, works_idle


async def test_an_ack_comes_when_the_report_is_on_disk(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.channel()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    first = await here.starts(job)
    second = await here.ends(job)
    await until(lambda: here.acked() == [first, second])
    assert works.ledger.rows("SELECT status FROM jobs") == [("failed",)]
    assert works.ledger.outbox() == [("raised", "queued")]


async def test_while_nothing_can_be_committed_there_is_no_ack_and_the_resend_is_taken(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    with works.ledger.locked():
        await here.ends(job, seq=1)
        await until(lambda: works.store_state.failing is not None)
        await works_idle()
        assert here.acked() == []
    await here.ends(job, seq=1)
    await until(lambda: set(here.acked()) == {1})  # twice, where the first is still in flight and gets there now
    assert works.ledger.value("SELECT occurrences FROM alerts") == 1


async def test_a_report_in_flight_that_comes_again_is_judged_once_and_acked_every_time(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    for _ in range(3):
        await here.ends(job, seq=5)
    await until(lambda: here.acked() == [5, 5, 5])
    await here.ends(job, seq=5)  # long after
    await until(lambda: len(here.acked()) == 4)
    assert works.ledger.value("SELECT occurrences FROM alerts") == 1


async def test_a_report_that_cannot_be_taken_is_refused_by_an_ack_and_noted(
    works: Works, mock_clock: MockClock
) -> None:
    host, other = enrolled(works), enrolled(works, name="nas2")
    job = ids.new()
    works.ledger.commit(running(other, job))
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    await here.ends(job)  # another host's
    await here.ends(ids.new(), stats=Raw(b"[]"))
    await here.says_rubbish(wire.Unreadable("unknown_kind", "unknown job kind 'x'", 9))
    await until(lambda: len(here.all(wire.Ack)) == 3)
    refused = {ack.seq: ack.refused for ack in here.all(wire.Ack)}
    assert refused == {1: "foreign_job", 2: "bad_report", 9: "unknown_kind"}
    await works.settle()
    codes = {code for (code,) in works.ledger.rows("SELECT code FROM host_notes")}
    assert codes == {"foreign_job", "bad_report", "unknown_kind"}
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0


async def test_a_start_that_is_refused_or_not_committed_leaves_no_running_job(
    works: Works, mock_clock: MockClock
) -> None:
    host, other, job = enrolled(works), enrolled(works, name="nas2"), ids.new()
    works.ledger.commit(running(other, job))
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    await here.starts(job)
    await until(lambda: len(here.all(wire.Ack)) == 1)
    again = agent(works, host, 2)
    await again.hello()  # knows of no job: were one thought to be running, it would be lost
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0


async def test_log_lines_wait_for_the_start_of_their_job(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    await here.starts(job, started_at=ago(5))
    await here.says(wire.JobLog(job, 0, [wire.LogLine("stdout", "one"), wire.LogLine("stderr", "two")]))
    await until(lambda: bool(here.acked()))
    await here.says(wire.JobLog(job, 2, [wire.LogLine("stdout", "three")]))
    await until(lambda: works.ledger.value("SELECT count(*) FROM job_logs") == 3)
    assert works.ledger.rows("SELECT line, stream, text FROM job_logs ORDER BY line") == [
        (0, "stdout", "one"), (1, "stderr", "two"), (2, "stdout", "three"),
    ]  # fmt: skip


async def test_log_lines_may_come_before_and_right_behind_the_only_report_of_their_job(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    await here.says(wire.JobLog(job, 0, [wire.LogLine("stdout", "one")]))
    await works.settle()
    await here.ends(job)
    await here.says(wire.JobLog(job, 1, [wire.LogLine("stdout", "two")]))
    await until(lambda: bool(here.acked()))
    await here.says(wire.JobLog(job, 2, [wire.LogLine("stdout", "three")]))
    await until(lambda: works.ledger.value("SELECT count(*) FROM job_logs") == 3)
    assert [text for (text,) in works.ledger.rows("SELECT text FROM job_logs ORDER BY line")] == ["one", "two", "three"]


async def test_an_unknown_schedule_is_noted_once_for_each_name(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    for name in ("nihgtly", "nihgtly", "weekyl", "nihgtly"):
        await here.ends(ids.new(), stats=Raw(b'{"unknown_schedule": "%s"}' % name.encode()))
    await until(lambda: len(here.acked()) == 4)
    await works.settle()
    noted = works.ledger.rows("SELECT code, detail FROM host_notes ORDER BY detail")
    assert [code for code, _ in noted] == ["unknown_schedule"] * 2
    assert ["nihgtly" in noted[0][1], "weekyl" in noted[1][1]] == [True, True]
    warnings = works.ledger.rows("SELECT DISTINCT warning FROM jobs ORDER BY warning")
    assert warnings == [
        ("there is no schedule 'nihgtly' on this host; counted without one",),
        ("there is no schedule 'weekyl' on this host; counted without one",),
    ]


async def test_the_log_of_a_job_that_has_ended_is_kept(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    await here.ends(job)
    await until(lambda: len(here.acked()) == 1)
    await here.says(wire.JobLog(job, 0, [wire.LogLine("stdout", "one")]))
    await until(lambda: works.ledger.value("SELECT count(*) FROM job_logs") == 1)
