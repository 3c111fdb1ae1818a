"""Host actors: sessions, and what an agent is sent: jobs and schedules. Real rules and store."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from rmactors.server.actors.host.core import RETRY_SECONDS
from rmactors.server.actors.host.events import HostChanged
from rmactors.server.messages.hosts import DeleteHost, RotateHostToken
from rmactors.server.messages.jobs import CancelJob, QueueJob
from tests.actors.works import Works, agent, enrolled, start_fleet, until
from tests.store.ledger import audit


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
    assert works.rules_state.presence[host].where == "online"


@pytest.mark.parametrize("the_younger_one", ["stays", "has gone"])
async def test_a_late_hello_is_closed_and_changes_nothing(
    works: Works, mock_clock: MockClock, the_younger_one: str
) -> None:
    host, running = enrolled(works), ids.new()
    start_fleet(works)
    younger, late = agent(works, host, 2), agent(works, host, 1)
    await younger.hello(connection=2, running_jobs=[running], restic=wire.ResticInfo("0.19.1"), agent_version="2")
    await younger.starts(running)
    await until(lambda: bool(younger.acked()))
    if the_younger_one == "has gone":
        younger.hangs_up()
        await works.settle()
    host_row, presence = works.ledger.rows("SELECT * FROM hosts"), works.rules_state.presence[host]
    await late.says(
        wire.Hello(
            wire.ProtocolRange(1, 1), late.instance, connection=1, restic=None, agent_version="1", spooled=3,
            plans=[wire.Plan("old")],
        )
    )  # fmt: skip
    await late.ends(running)  # it sends this again on the younger one
    await until(lambda: late.closed is not None)
    late.hangs_up()
    await works.settle()
    assert late.closed == (wire.CLOSE_REPLACED, "a younger connection of this agent said hello before")
    assert late.got == []
    assert younger.closed is None
    assert works.ledger.rows("SELECT * FROM hosts") == host_row
    assert works.ledger.rows("SELECT code FROM host_notes") == []
    assert works.ledger.rows("SELECT status FROM jobs") == [("running",)]
    assert works.rules_state.presence[host] == presence


async def test_a_reporter_replaces_no_agent_and_gets_no_jobs(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here, reporter = agent(works, host, 1), agent(works, host, 2, "exec")
    await here.hello()
    works.ledger.commit(QueueJob(ids.new(), host, "backup", None, "{}", clock.now(), audit()))
    works.directory.changed.add({host})
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
    works.directory.changed.add({host})
    await until(lambda: third.all(wire.CancelJob) == [wire.CancelJob(job)])


async def test_a_job_cancelled_before_it_began_is_cancelled_on_the_host_as_well(
    works: Works, mock_clock: MockClock
) -> None:
    host, job = enrolled(works), ids.new()
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    works.ledger.commit(QueueJob(job, host, "backup", None, "{}", clock.now(), audit()))
    works.directory.changed.add({host})
    await until(lambda: len(here.all(wire.RunJob)) == 1)
    works.ledger.commit(CancelJob(job, clock.now(), audit()))
    works.directory.changed.add({host})
    await until(lambda: here.all(wire.CancelJob) == [wire.CancelJob(job)])


async def test_changed_schedules_are_sent(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    works.ledger.schedule(host, name="Weekly")
    works.directory.changed.add({host})
    await until(lambda: [sent.schedules[0].name for sent in here.all(wire.Schedules)] == ["Weekly"])
    here.box.put_unbounded(HostChanged())
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
    works.directory.changed.add({host})
    await until(lambda: here.closed is not None)
    assert here.closed == (wire.CLOSE_REVOKED, "the host has another credential")
    again = agent(works, host, 2, token_hash="another hash")
    await again.hello()
    works.ledger.commit(DeleteHost(host, clock.now(), audit()))
    works.directory.changed.add({host})
    await until(lambda: again.closed == (wire.CLOSE_REVOKED, "revoked"))
    await until(lambda: host not in works.directory.mailboxes)


async def test_while_the_hello_cannot_be_committed_the_agent_is_sent_away(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    await works.settle()
    here = agent(works, host)
    with works.ledger.locked():
        await here.says(wire.Hello(protocol=wire.ProtocolRange(1, 1), instance_id="x"))
        await until(lambda: here.closed == (wire.CLOSE_GOING_AWAY, "the server cannot write"))


async def test_while_the_database_cannot_be_read_new_sessions_are_sent_away_and_what_waits_is_read_later(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    start_fleet(works)
    here, reporter = agent(works, host), agent(works, host, 2, "exec")
    await here.hello()
    await works.settle()  # the rules have read theirs
    database = works.reader.database
    works.reader.close()
    works.reader.database = Path("/nonexistent/rm.db")
    works.ledger.commit(QueueJob(ids.new(), host, "backup", None, "{}", clock.now(), audit()))
    works.directory.changed.add({host})
    await works.settle()
    await reporter.says(wire.Hello(wire.ProtocolRange(1, 1), "exec", "report"))
    await until(lambda: reporter.closed == (wire.CLOSE_GOING_AWAY, "the database cannot be read"))
    works.reader.database = database
    mock_clock.jump(RETRY_SECONDS)
    await until(lambda: len(here.all(wire.RunJob)) == 1)
