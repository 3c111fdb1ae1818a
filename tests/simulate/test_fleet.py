"""A simulated fleet reports at its rate and counts what came of it; its hosts are kept for the next run."""

import random
from pathlib import Path

import pytest
import trio

from rmactors.cli.simulate import line
from rmactors.common import ids
from rmactors.simulate.agent import SimCredential
from rmactors.simulate.enroll import append_credentials, load_credentials
from rmactors.simulate.fleet import Fleet, Tally, Workload

from .conftest import Listener, Peer


def hosts(count: int) -> list[SimCredential]:
    return [SimCredential(ids.new(), f"host-{n}", f"token-{n}") for n in range(count)]


async def test_each_run_is_a_start_and_an_end_and_the_share_of_failures_is_about_what_was_asked(
    listener: Listener,
) -> None:
    ends: list[str] = []
    enough = trio.Event()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        started: set[str] = set()
        while True:
            frame = await peer.receive()
            if frame["type"] == "job_started":
                started.add(frame["job_id"])
            elif frame["type"] == "job_finished":
                assert frame["job_id"] in started
                ends.append(frame["status"])
            if "seq" in frame:
                await peer.send({"type": "ack", "seq": frame["seq"]})
            if len(ends) >= 200:
                enough.set()

    listener.scripts = [script, script, script]
    fleet = Fleet(listener.url, hosts(3), Workload(2000, 0.25, 1000), dice=random.Random(7))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        with trio.fail_after(30):
            await enough.wait()
        fleet.stop_reporting()
        assert await fleet.settled(5)
        assert (fleet.connected, fleet.waiting, fleet.reconnects) == (3, 0, 0)
        nursery.cancel_scope.cancel()
    assert fleet.total.sent == fleet.total.acked == 2 * len(ends)
    assert set(ends) == {"failed", "succeeded"}
    assert 0.1 < ends.count("failed") / len(ends) < 0.4
    assert fleet.take_window().percentile(0.5) > 0
    assert fleet.take_window().sent == 0, "a window is taken once"


async def test_a_job_that_the_server_asks_for_is_run(listener: Listener) -> None:
    job_id = ids.new()

    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.send(
            {"type": "run_job", "job_id": job_id, "kind": "check", "schedule_id": None, "params": {"plan": "etc"}}
        )
        for kind in ("job_started", "job_finished"):
            frame = await peer.receive()
            assert (frame["type"], frame["job_id"]) == (kind, job_id)
            assert (frame["kind"], frame["plan"]) == ("check", "etc")

    listener.scripts = [script]
    fleet = Fleet(listener.url, hosts(1), Workload(0, 0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        with trio.fail_after(30):
            await listener.done.wait()
        nursery.cancel_scope.cancel()
    assert fleet.total.sent == 2


async def test_agents_that_the_server_does_not_want_are_counted(listener: Listener) -> None:
    listener.status = 401
    fleet = Fleet(listener.url, hosts(2), Workload(0, 0, 1000))
    with trio.fail_after(30):
        await fleet.run()
    assert fleet.ended == {"rejected: HTTP 401": 2}


def test_credentials_are_kept_for_the_next_run_and_readable_by_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "hosts.jsonl"
    assert load_credentials(file) == []
    first, second = hosts(2)
    append_credentials(file, [first])
    append_credentials(file, [second])
    assert load_credentials(file) == [first, second]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["not json", '{"host_id": "x"}', "[1]"])
def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hosts.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"hosts\.jsonl"):
        load_credentials(file)


def test_a_line_says_how_the_server_keeps_up() -> None:
    window = Tally(sent=500, acked=490, milliseconds=[float(n) for n in range(100)])
    assert line(window, 5, 60, 10, 12) == (
        "    60 s  10 connected  12 waiting  100.0 reports/s  98.0 acked/s  ack p50 50.0 ms, p99 99.0 ms"
    )
