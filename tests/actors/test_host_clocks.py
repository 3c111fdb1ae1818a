"""Host actors: clocks that differ from the server's. Real rules and store."""

from datetime import timedelta
from typing import Any

from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from rmactors.server.messages.requests import Tick
from tests.actors.works import Works, agent, enrolled, start_fleet, until


def in_(seconds: float) -> Any:
    """What a clock shows that is so many seconds ahead of ours."""
    return wire.utc_now() + timedelta(seconds=seconds)


def offset(works: Works, host: str) -> float | None:
    found: float | None = works.ledger.value("SELECT clock_offset_seconds FROM hosts WHERE id = ?", host)
    return found


def is_near(found: float | None, expected: float) -> bool:
    """The way of a frame takes its time on a busy machine."""
    return found is not None and expected - 20 < found <= expected


async def test_a_hello_tells_the_clock_and_one_without_the_time_does_not(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    await agent(works, host, 1).hello(utc_now=in_(91))
    await until(lambda: is_near(offset(works, host), 91))
    await agent(works, host, 2).hello()
    await until(lambda: offset(works, host) is None)


async def test_a_command_that_reports_tells_the_clock_too_or_leaves_it_as_it_is(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    start_fleet(works)
    await agent(works, host, 1).hello(purpose="report", utc_now=in_(-600))
    await until(lambda: is_near(offset(works, host), -600))
    await agent(works, host, 2).hello(purpose="report")
    await works.settle()
    assert is_near(offset(works, host), -600)


async def test_a_clock_that_is_set_later_is_flushed_once(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works, flush_seconds=0.05)
    here = agent(works, host)
    await here.hello(utc_now=in_(1000))
    await here.says(wire.Heartbeat(in_(0)))
    await here.says(wire.Heartbeat(in_(0)))
    await until(lambda: is_near(offset(works, host), 0))
    await works.settle()
    works.heartbeats.take()
    await here.says(wire.Heartbeat(in_(0)))
    await works.settle()
    left = works.heartbeats.take()
    assert left is None or left.clock_offsets == ()


async def test_what_could_not_be_flushed_is_flushed_later(works: Works) -> None:
    host = enrolled(works)
    works.heartbeats.note(host, 1)
    works.heartbeats.note_clock(host, 91.0)
    taken = works.heartbeats.take()
    assert taken is not None
    works.heartbeats.note_clock(host, 0.0)
    works.heartbeats.put_back(taken)
    again = works.heartbeats.take()
    assert again is not None
    assert (again.signs, again.clock_offsets) == (((host, 1),), ((host, 0.0),))
    assert works.heartbeats.take() is None


async def test_a_run_on_a_host_whose_clock_is_ahead_did_start(works: Works, mock_clock: MockClock) -> None:
    """`exec` of a cron job without an agent: started at the slot by its own clock, 91 s before it by ours."""
    host = enrolled(works, hello=False)
    now = clock.now()
    slot = now - now % clock.MINUTE + 2 * clock.MINUTE
    minute, hour = slot // clock.MINUTE % 60, slot // clock.HOUR % 24
    schedule = works.ledger.schedule(
        host, cron=f"{minute} {hour} * * *", anchor_at=slot - clock.MINUTE, mode="external"
    )
    start_fleet(works)
    ahead = (slot - now) / clock.SECOND + 1
    reporter = agent(works, host)
    await reporter.hello(purpose="report", utc_now=in_(ahead))
    await reporter.starts(ids.new(), schedule_id=schedule, started_at=clock.to_datetime(slot + clock.SECOND))
    await until(lambda: bool(reporter.acked()))
    await works.to_rules.send(Tick(slot + 3 * clock.HOUR))
    await works.settle()
    assert works.ledger.rows("SELECT kind FROM alerts") == []
    assert works.ledger.value("SELECT last_run_at FROM schedules") > slot - 20 * clock.SECOND


async def test_the_clock_is_remembered_by_a_rules_actor_that_starts_again(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    now = clock.now()
    slot = now - now % clock.MINUTE
    minute, hour = slot // clock.MINUTE % 60, slot // clock.HOUR % 24
    works.ledger.schedule(host, cron=f"{minute} {hour} * * *", anchor_at=slot - clock.MINUTE)
    start_fleet(works)
    await agent(works, host).hello(utc_now=in_(-1800))
    await works.settle()
    await works.crash_rules()
    late = slot + round(2.4 * clock.HOUR)  # a tenth of the interval
    await works.to_rules.send(Tick(late + 20 * clock.MINUTE))
    await works.settle()
    assert works.ledger.rows("SELECT kind FROM alerts") == []
    await works.to_rules.send(Tick(late + 31 * clock.MINUTE))
    await works.settle()
    assert works.ledger.rows("SELECT kind FROM alerts") == [("stale_schedule",)]


async def test_no_restic_clears_the_version_and_not_a_word_leaves_it(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)

    def restic() -> tuple[Any, ...]:
        (found,) = works.ledger.rows("SELECT restic_version, restic_problem, tzdata_version FROM hosts")
        return found

    await agent(works, host, 1).hello(restic=wire.ResticInfo("0.19.1"), tzdata_version="2026f")
    await until(lambda: restic() == ("0.19.1", None, "2026f"))
    await agent(works, host, 2).hello(purpose="report")
    await works.settle()
    assert restic() == ("0.19.1", None, "2026f")
    await agent(works, host, 3).hello(restic=None, restic_problem="restic: command not found", tzdata_version="2026f")
    await until(lambda: restic() == (None, "restic: command not found", "2026f"))
    await agent(works, host, 4).hello(restic=wire.ResticInfo("0.11.0"), restic_problem="restic 0.11.0 is older")
    await until(lambda: restic() == ("0.11.0", "restic 0.11.0 is older", None))
    await agent(works, host, 5).hello(restic=None)
    await until(lambda: restic() == (None, None, None))


async def test_a_spool_that_cannot_be_written_is_known_until_a_hello_says_nothing_of_it(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    start_fleet(works)

    def spool() -> tuple[Any, ...]:
        (found,) = works.ledger.rows("SELECT spool_problem, spool_problem_since IS NOT NULL FROM hosts")
        return found

    def since() -> Any:
        return works.ledger.rows("SELECT spool_problem_since FROM hosts")[0][0]

    await agent(works, host, 1).hello()
    await works.settle()
    assert spool() == (None, 0)
    await agent(works, host, 2).hello(spool_problem="the disk is full")
    await until(lambda: spool() == ("the disk is full", 1))
    first = since()
    await agent(works, host, 3).hello(purpose="report", spool_problem="the file system is read-only")
    await until(lambda: spool() == ("the file system is read-only", 1))
    assert since() == first, "it began with the first"
    await agent(works, host, 4).hello()
    await until(lambda: spool() == (None, 0))
