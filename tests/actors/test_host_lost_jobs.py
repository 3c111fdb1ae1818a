"""Host actors: jobs whose end will not come. Real rules and store; trio's clock jumps where a test says so."""

from typing import Any

import trio
from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from rmactors.server.messages.answers import Failed
from rmactors.server.messages.connections import FrameReceived
from rmactors.server.messages.requests import JudgeEnd, JudgeLoss, Request
from rmactors.server.runtime.mailbox import Mailbox
from tests.actors.works import Agent, Works, agent, ago, enrolled, running, start_fleet, until


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


async def test_a_spooled_report_that_is_in_flight_already_counts_as_in(works: Works) -> None:
    here, lost, judging, report = await _sent_again_while_in_flight(works)
    await works.to_rules.send(report)
    works.nursery.start_soon(_pass_on, judging, works)
    await until(lambda: _lost(works) == [lost])
    await until(lambda: here.acked() == [1])
    assert works.ledger.value("SELECT status FROM jobs WHERE id = ?", report.report.job_id) == "succeeded"


async def test_a_job_whose_spooled_end_fails_in_flight_is_not_lost_and_ends_when_it_has_come_again(
    works: Works,
) -> None:
    here, lost, judging, report = await _sent_again_while_in_flight(works)
    report.reply(Failed("disk full"))
    works.nursery.start_soon(_pass_on, judging, works)
    await until(lambda: _lost(works) == [lost])
    await works.settle()
    ended = report.report.job_id
    assert (here.acked(), works.ledger.value("SELECT status FROM jobs WHERE id = ?", ended)) == ([], "running")
    await here.ends(ended, "succeeded", seq=1)
    await until(lambda: here.acked() == [1])
    assert works.ledger.value("SELECT status FROM jobs WHERE id = ?", ended) == "succeeded"
    assert _lost(works) == [lost]


def _lost(works: Works) -> list[str]:
    return [job for (job,) in works.ledger.rows("SELECT id FROM jobs WHERE reason = 'lost'")]


async def _sent_again_while_in_flight(works: Works) -> tuple[Agent, str, Mailbox[Request], JudgeEnd]:
    """An agent is connected a second time, and has sent its one spooled report both times. Another job of it will not
    be heard of. The report is with the rules, which the test stands in for."""
    host, ended, lost = enrolled(works), ids.new(), ids.new()
    for job in (ended, lost):
        works.ledger.commit(running(host, job))
    judging: Mailbox[Request] = Mailbox("rules", 100)
    start_fleet(works, to_rules=judging)
    before = agent(works, host)
    await before.hello(running_jobs=[ended, lost])
    await before.ends(ended, "succeeded", seq=1)
    report = await _pass_on_until(JudgeEnd, judging, works)
    here = agent(works, host, 2)
    await here.box.send(_heard(here, spooled=1))
    await here.ends(ended, "succeeded", seq=1)
    await works.to_rules.send(await _pass_on_until(JudgeLoss, judging, works))
    return here, lost, judging, report


async def _pass_on_until(kind: type[Any], judging: Mailbox[Request], works: Works) -> Any:
    while not isinstance(message := await judging.receive(), kind):
        await works.to_rules.send(message)
    return message


async def _pass_on(judging: Mailbox[Request], works: Works) -> None:
    while True:
        await works.to_rules.send(await judging.receive())


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
    start_fleet(works, grace_until=lambda: judged)
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
