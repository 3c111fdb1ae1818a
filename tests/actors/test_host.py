"""Host actors between links and the real rules and store. trio's clock jumps where a test says so."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from msgspec import Raw
from trio.testing import MockClock

from rmactors import clock, ids, wire
from rmactors.actors.host import Look
from rmactors.messages.links import Heard
from rmactors.messages.writes import CancelJob, DeleteHost, QueueJob, RotateHostToken, SaveStart
from tests.actors.works import Agent, Poison, Works, ago, open_works, start_fleet, until
from tests.store.ledger import audit, save_start, start


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock(rate=1.0)


@pytest.fixture
async def works(tmp_path: Path, mock_clock: MockClock) -> AsyncIterator[Works]:
    async with open_works(tmp_path / "rm.db") as opened:
        yield opened


def agent(works: Works, host: str, number: int = 1, instance: str = "instance") -> Agent:
    return Agent(works.directory.mailbox_of(host), number, instance)


def enrolled(works: Works, **changes: object) -> str:
    """A host that is known since now."""
    return works.ledger.host(at=clock.now(), **changes)  # type: ignore[arg-type]


def running(host: str, job: str, for_seconds: float = 86_400) -> SaveStart:
    """The start of a job that may run for so long from now."""
    now = clock.now()
    return save_start(start(host, job, at=now), deadline_at=now + clock.seconds(for_seconds))


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
    await until(lambda: here.acked() == [1])
    assert works.ledger.value("SELECT occurrences FROM alerts") == 1


async def works_idle() -> None:
    await trio.testing.wait_all_tasks_blocked(0.02)


async def test_a_report_under_way_that_comes_again_is_judged_once_and_acked_every_time(
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


# ---- lost jobs


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


def _heard(here: Agent, **changes: object) -> Heard:
    hello = wire.Hello(protocol=wire.ProtocolRange(1, 1), instance_id=here.instance, spool_id="spool", **changes)  # type: ignore[arg-type]
    return Heard(here.link, hello, clock.now())


async def test_a_job_without_an_end_is_lost_after_its_longest_run_time(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(running(host, job, for_seconds=0.05))
    start_fleet(works)
    here = agent(works, host)
    await here.hello(running_jobs=[job])
    await until(lambda: works.ledger.rows("SELECT reason FROM jobs") == [("lost",)])
    assert "longest run time" in works.ledger.value("SELECT message FROM alerts")


async def test_no_job_is_lost_before_the_restart_grace(works: Works, mock_clock: MockClock) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(running(host, job, for_seconds=-3600))
    start_fleet(works, not_before=trio.current_time() + 120)
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


# ---- silence


async def test_a_silent_host_is_raised_and_its_hello_resolves(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    mock_clock.jump(899)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    await here.says(wire.Heartbeat())
    await works.settle()
    mock_clock.jump(899)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    mock_clock.jump(3)
    await until(lambda: works.ledger.rows("SELECT kind, resolved FROM alerts") == [("agent_offline", 0)])
    await agent(works, host, 2).hello()
    await until(lambda: works.ledger.rows("SELECT kind, resolved FROM alerts") == [("agent_offline", 1)])


async def test_a_host_that_was_silent_on_an_open_link_is_back_with_its_next_sign_of_life(
    works: Works, mock_clock: MockClock
) -> None:
    """Where silence is told of sooner than the gateway cuts a silent link off, no hello comes."""
    host = enrolled(works)
    start_fleet(works, offline_alert=10.0)
    here = agent(works, host)
    await here.hello()
    await works.settle()
    mock_clock.jump(11)
    await until(lambda: works.ledger.rows("SELECT kind, resolved FROM alerts") == [("agent_offline", 0)])
    await here.says(wire.Heartbeat())
    await until(lambda: works.ledger.rows("SELECT kind, resolved FROM alerts") == [("agent_offline", 1)])
    await here.says(wire.Heartbeat())
    await works.settle()
    mock_clock.jump(11)
    await until(lambda: works.ledger.value("SELECT count(*) FROM alerts WHERE resolved = 0") == 1)


async def test_after_a_server_start_only_hosts_that_stay_away_are_raised(works: Works, mock_clock: MockClock) -> None:
    back, away = enrolled(works, name="back"), enrolled(works, name="away")
    long_ago = clock.now() - clock.HOUR
    works.ledger.connection.execute("UPDATE hosts SET last_seen_at = ?", (long_ago,))
    start_fleet(works, not_before=trio.current_time() + 120)
    await works.settle()
    await agent(works, back).hello()
    mock_clock.jump(119)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    mock_clock.jump(2)
    await until(lambda: works.ledger.rows("SELECT host_id FROM alerts") == [(away,)])
    assert works.ledger.value("SELECT message FROM alerts").startswith("Nothing heard from this host since")


async def test_a_host_that_was_never_here_is_never_silent(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works, hello=False)
    start_fleet(works)
    reporter = agent(works, host)
    await reporter.hello(purpose="report")
    await reporter.ends(ids.new(), "succeeded")
    await until(lambda: reporter.acked() == [1])
    mock_clock.jump(100_000)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    assert works.ledger.rows("SELECT first_hello_at, last_seen_at FROM hosts") == [(None, None)]


async def test_a_silence_that_could_not_be_committed_is_told_again(works: Works, mock_clock: MockClock) -> None:
    enrolled(works)
    start_fleet(works)
    await works.settle()
    with works.ledger.locked():
        mock_clock.jump(901)
        await until(lambda: works.store_state.failing is not None)
        await works_idle()
    mock_clock.jump(6)
    await until(lambda: works.ledger.value("SELECT count(*) FROM alerts") == 1)


async def test_a_restarted_host_actor_counts_from_the_last_sign_of_life(
    works: Works, mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    host = enrolled(works)
    start_fleet(works, flush_seconds=0.01)
    mock_clock.jump(800)
    here = agent(works, host)
    await here.hello()
    await works.settle()
    mock_clock.jump(200)  # long after the fleet started, shortly after the hello
    with caplog.at_level(logging.CRITICAL):
        here.box.answer(Poison())  # type: ignore[arg-type]
        await until(lambda: here.closed is not None)
    assert here.closed == (wire.CLOSE_GOING_AWAY, "restart")
    await until(lambda: works.rules_state.presence[host][0] == "away")
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    await agent(works, host, 2).hello()
    await until(lambda: works.rules_state.presence[host][0] == "online")


async def test_a_flapping_link_writes_little_and_raises_nothing(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    works.ledger.channel()
    start_fleet(works)
    before = works.store_state.requests
    for number in range(1, 51):
        here = agent(works, host, number)
        await here.hello()
        for _ in range(20):
            await here.says(wire.Heartbeat())
        here.hangs_up()
    await works.settle()
    assert works.store_state.requests - before <= 50 + 10  # a hello each, and nothing for heartbeats
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    assert works.ledger.outbox() == []


async def test_signs_of_life_are_written_together_now_and_then(works: Works, mock_clock: MockClock) -> None:
    hosts = [enrolled(works, name=f"nas{n}") for n in range(5)]
    start_fleet(works, flush_seconds=5)
    for n, host in enumerate(hosts):
        await agent(works, host, n + 1).hello()
    await works.settle()
    works.ledger.connection.execute("UPDATE hosts SET last_seen_at = 1")
    before = works.store_state.requests
    mock_clock.jump(6)
    await until(lambda: works.ledger.value("SELECT min(last_seen_at) FROM hosts") > 1)
    await works.settle()
    assert works.store_state.requests - before <= 1 + 6


# ---- links


async def test_a_newer_connection_wins_and_a_clone_is_noted(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    first, second = agent(works, host, 1, "original"), agent(works, host, 2, "copy")
    await first.hello()
    await second.hello()
    await until(lambda: first.closed == (wire.CLOSE_REPLACED, "replaced by a newer connection"))
    first.hangs_up()  # its end says nothing about the host
    await works.settle()
    assert works.ledger.rows("SELECT code FROM host_notes") == []
    third = agent(works, host, 3, "original")
    await third.hello()
    await works.settle()
    assert works.ledger.rows("SELECT code FROM host_notes") == [("cloned_agent",)]
    assert works.rules_state.presence[host][0] == "online"


async def test_the_same_agent_that_comes_back_is_no_clone(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    for number in range(1, 4):
        await agent(works, host, number, "the one").hello()
    await works.settle()
    assert works.ledger.rows("SELECT code FROM host_notes") == []


async def test_a_reporter_replaces_nobody_and_gets_no_jobs(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here, reporter = agent(works, host, 1), agent(works, host, 2, "exec")
    await here.hello()
    works.ledger.commit(QueueJob(ids.new(), host, "backup", None, "{}", clock.now(), audit()))
    works.directory.wake({host})
    await until(lambda: len(here.all(wire.RunJob)) == 1)
    await reporter.hello(purpose="report")
    await works.settle()
    assert here.closed is None
    assert reporter.all(wire.RunJob) == []


async def test_a_job_that_waits_is_sent_after_each_hello_until_it_has_begun(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    works.ledger.commit(QueueJob(job, host, "backup", None, '{"plan": "home"}', clock.now(), audit()))
    start_fleet(works)
    first = agent(works, host, 1)
    await first.hello()
    await until(lambda: first.all(wire.RunJob) == [wire.RunJob(job, "backup", None, {"plan": "home"})])
    second = agent(works, host, 2)
    await second.hello()
    await until(lambda: len(second.all(wire.RunJob)) == 1)
    await second.starts(job)
    await until(lambda: bool(second.acked()))
    third = agent(works, host, 3)
    await third.hello(running_jobs=[job])
    await works.settle()
    assert third.all(wire.RunJob) == []
    works.ledger.commit(CancelJob(job, clock.now(), audit()))
    works.directory.wake({host})
    await until(lambda: third.all(wire.CancelJob) == [wire.CancelJob(job)])


async def test_a_job_cancelled_before_it_began_is_cancelled_on_the_host_as_well(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    works.ledger.commit(QueueJob(job, host, "backup", None, "{}", clock.now(), audit()))
    works.directory.wake({host})
    await until(lambda: len(here.all(wire.RunJob)) == 1)
    works.ledger.commit(CancelJob(job, clock.now(), audit()))
    works.directory.wake({host})
    await until(lambda: here.all(wire.CancelJob) == [wire.CancelJob(job)])


async def test_changed_schedules_are_sent(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    works.ledger.schedule(host, name="Weekly")
    works.directory.wake({host})
    await until(lambda: [sent.schedules[0].name for sent in here.all(wire.Schedules)] == ["Weekly"])
    here.box.answer(Look())
    await works.settle()
    assert len(here.all(wire.Schedules)) == 1


async def test_a_rotated_credential_ends_the_connection_and_a_deleted_host_its_actor(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    works.ledger.commit(RotateHostToken(host, "another hash", audit()))
    works.directory.wake({host})
    await until(lambda: here.closed is not None)
    assert here.closed == (wire.CLOSE_REVOKED, "the credential was rotated")
    again = agent(works, host, 2)
    await again.hello()
    works.ledger.commit(DeleteHost(host, clock.now(), audit()))
    works.directory.wake({host})
    await until(lambda: again.closed == (wire.CLOSE_REVOKED, "revoked"))
    await until(lambda: host not in works.directory.mailboxes)


async def test_a_link_that_says_no_hello_first_is_told_to(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    stranger = agent(works, host)
    await stranger.says(wire.Heartbeat())
    await until(lambda: stranger.closed == (wire.CLOSE_GOING_AWAY, "say hello again"))
    other = agent(works, host, 2)
    await other.says_rubbish(wire.Unreadable("bad_report", "x", 1))
    await until(lambda: other.closed is not None)
    third = agent(works, host, 3)
    await third.hello()
    await third.says(wire.Enroll("x", "x", "x", "x", "x"))
    await until(lambda: third.closed == (wire.CLOSE_BAD_MESSAGE, "bad_message"))


async def test_while_the_hello_cannot_be_committed_the_agent_is_sent_away(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    await works.settle()
    here = agent(works, host)
    with works.ledger.locked():
        await here.says(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance_id="x"))
        await until(lambda: here.closed == (wire.CLOSE_GOING_AWAY, "the server cannot write"))


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
