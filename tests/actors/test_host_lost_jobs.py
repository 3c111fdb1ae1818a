"""Host actors: jobs whose end will not come. Real rules and store; trio's clock jumps where a test says so."""

import trio
from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from rmactors.server.messages.connections import FrameReceived
from tests.actors.works import Agent, Works, agent, ago, enrolled, running, start_fleet, until, works_idle


async def test_a_job_that_its_agent_does_not_know_is_lost_once_the_spooled_reports_are_in(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    ended, lost, runs = ids.new(), ids.new(), ids.new()
    for job in (ended, lost, runs):
        works.ledger.commit(running(host, job))
    start_fleet(works)
    here = agent(works, host)
    await here.hello(spooled=2, running_jobs=[runs])
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM jobs WHERE status = 'failed'") == 0
    await here.starts(ids.new())
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM jobs WHERE status = 'failed'") == 0
    await here.ends(ended, "succeeded")
    await until(lambda: works.ledger.value("SELECT count(*) FROM alerts") == 1)
    states = dict(works.ledger.rows("SELECT id, status || ' ' || coalesce(reason, '') FROM jobs"))
    assert (states[ended], states[lost], states[runs]) == ("succeeded ok", "failed lost", "running ")
    # Its real end comes after all.
    await here.ends(lost, "succeeded")
    await until(lambda: works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 1") == 1)


async def test_a_spooled_report_that_is_under_way_already_counts_as_in(works: Works, mock_clock: MockClock) -> None:
    host, ended, lost = enrolled(works), ids.new(), ids.new()
    works.ledger.commit(running(host, lost))
    start_fleet(works)
    before = agent(works, host)
    await before.hello(running_jobs=[lost])
    with works.ledger.locked():
        await before.ends(ended, "succeeded", seq=1)
        here = agent(works, host, 2)
        await here.box.send(_heard(here, spooled=1))
        await here.ends(ended, "succeeded", seq=1)
        await works_idle()
    await works.settle()
    if not here.acked():  # it was not committed: its agent sends it again
        await here.ends(ended, "succeeded", seq=1)
    await until(lambda: works.ledger.value("SELECT count(*) FROM jobs WHERE reason = 'lost'") == 1)
    assert works.ledger.value("SELECT id FROM jobs WHERE reason = 'lost'") == lost


async def test_a_job_is_not_lost_because_other_spooled_reports_were_sent_again(works: Works) -> None:
    host, ended = enrolled(works), ids.new()
    works.ledger.commit(running(host, ended))
    start_fleet(works)
    here = agent(works, host)
    others = [ids.new() for _ in range(3)]
    await here.hello(spooled=len(others) + 1)
    for _ in range(2):  # no ack reached the agent in time
        for seq, job in enumerate(others, 1):
            await here.ends(job, "succeeded", seq=seq)
    await works.settle()
    await here.ends(ended, "succeeded", seq=len(others) + 1)
    await until(lambda: works.ledger.value("SELECT status FROM jobs WHERE id = ?", ended) == "succeeded")
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0


def _heard(here: Agent, **changes: object) -> FrameReceived:
    hello = wire.Hello(protocol=wire.ProtocolRange(1, 1), instance_id=here.instance, spool_id="spool", **changes)  # type: ignore[arg-type]
    return FrameReceived(here.connection, hello, clock.now())


async def test_a_job_without_an_end_is_lost_after_its_longest_run_time(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(running(host, job, for_seconds=0.05))
    start_fleet(works)
    here = agent(works, host)
    await here.hello(running_jobs=[job])
    await until(lambda: works.ledger.rows("SELECT reason FROM jobs") == [("lost",)])
    assert "longest run time" in works.ledger.value("SELECT message FROM alerts")


async def test_an_old_start_whose_end_was_spooled_right_behind_it_is_no_lost_job(
    works: Works, mock_clock: MockClock
) -> None:
    """Where an agent could not reach the server for longer than a job may run."""
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello(spooled=2)
    await here.starts(job, started_at=ago(2 * 86_400))
    await until(lambda: here.acked() == [1])
    await works.settle()
    await here.ends(job, "succeeded", started_at=ago(2 * 86_400), finished_at=ago(2 * 86_400 - 60))
    await until(lambda: here.acked() == [1, 2])
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0


async def test_no_job_is_lost_before_the_restart_grace(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(running(host, job, for_seconds=-3600))
    judged = trio.current_time() + 120
    start_fleet(works, not_before=lambda: judged)
    await works.settle()
    assert works.ledger.rows("SELECT reason FROM jobs") == [(None,)]
    mock_clock.jump(121)
    await until(lambda: works.ledger.rows("SELECT reason FROM jobs") == [("lost",)])


async def test_a_loss_that_could_not_be_committed_is_judged_again(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(running(host, job))
    start_fleet(works)
    before = agent(works, host)
    await before.hello(running_jobs=[job], spooled=1)
    here = agent(works, host, 2)
    await here.hello(spooled=1)
    await works.settle()
    with works.ledger.locked():
        await here.says_rubbish(wire.Unreadable("bad_report", "x", 9))  # the one that was spooled
        await until(lambda: works.rules_state.reloads == 1)  # the loss, not the note of the report, has failed
    await works.settle()
    assert works.ledger.rows("SELECT reason FROM jobs") == [(None,)]
    mock_clock.jump(6)
    await until(lambda: works.ledger.rows("SELECT reason FROM jobs") == [("lost",)])
    assert "does not know" in works.ledger.value("SELECT error FROM jobs")
