"""Host actors: hosts of which nothing is heard. Real rules and store; trio's clock jumps where a test says so."""

import logging

import pytest
import trio
from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from tests.actors.works import Poison, Works, agent, enrolled, start_fleet, until, works_idle


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
    """If silence is reported sooner than the gateway closes a silent connection, no hello comes."""
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
    judged = trio.current_time() + 120
    start_fleet(works, grace_until=lambda: judged)
    await works.settle()
    await agent(works, back).hello()
    mock_clock.jump(119)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    mock_clock.jump(2)
    await until(lambda: works.ledger.rows("SELECT host_id FROM alerts") == [(away,)])
    assert works.ledger.value("SELECT message FROM alerts").startswith("Nothing heard from this host since")


async def test_after_a_pause_of_the_server_only_hosts_that_stay_away_are_raised(
    works: Works, mock_clock: MockClock
) -> None:
    """The pause is longer than any host may be silent, and what hosts said in it is read only after its end."""
    here, away = enrolled(works, name="here"), enrolled(works, name="away")
    judged = [trio.current_time()]
    start_fleet(works, grace_until=lambda: judged[0])
    agents = [agent(works, host) for host in (here, away)]
    for each in agents:
        await each.hello()
    await works.settle()
    judged[0] = trio.current_time() + 1000 + 120
    mock_clock.jump(1000)
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    await agents[0].says(wire.Heartbeat())
    mock_clock.jump(121)
    await until(lambda: works.ledger.rows("SELECT host_id FROM alerts") == [(away,)])


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


async def test_a_silence_that_could_not_be_committed_is_reported_again(works: Works, mock_clock: MockClock) -> None:
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
        here.box.put_unbounded(Poison())  # type: ignore[arg-type]
        await until(lambda: here.closed is not None)
    assert here.closed == (wire.CLOSE_GOING_AWAY, "restart")
    await until(lambda: works.rules_state.presence[host].where == "away")
    await works.settle()
    assert works.ledger.value("SELECT count(*) FROM alerts") == 0
    await agent(works, host, 2).hello()
    await until(lambda: works.rules_state.presence[host].where == "online")


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


async def test_signs_of_a_large_fleet_are_written_a_hundred_at_a_time_oldest_first(
    works: Works, mock_clock: MockClock
) -> None:
    hosts = [enrolled(works, name=f"nas{n}") for n in range(250)]
    works.ledger.connection.execute("UPDATE hosts SET last_seen_at = 1")
    start_fleet(works, flush_seconds=5)
    await works.settle()
    before = works.store_state.requests
    for host in hosts[:120]:
        works.heartbeats.note(host, 2)
    mock_clock.jump(3)
    for host in hosts:  # those that wait already do not go to the end for it
        works.heartbeats.note(host, 3)
    assert seen(works, 3) == 0
    mock_clock.jump(2.5)
    await until(lambda: seen(works, 3) == 200)
    await until(lambda: works.store_state.requests - before == 2)
    mock_clock.jump(3)
    await until(lambda: seen(works, 3) == 250)


def seen(works: Works, at: int) -> int:
    return int(works.ledger.value("SELECT count(*) FROM hosts WHERE last_seen_at = ?", at))
