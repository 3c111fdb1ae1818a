"""One host says everything that the types of the protocol let it say, and much that they do not, to a real server.

Afterwards every page, list, feed and API is there, readable, and bounded in bytes; another host's reports are acked
throughout. Frames are made from the types, pages are found in the table of routes: what is new is in here.

`RM_FUZZ_TYPES=all` sends every frame (a minute or two), `RM_FUZZ_TYPES_CASES` says how many random ones.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import product

import httpx
import msgspec
import pytest
import trio
import trio_websocket
from hypothesis import HealthCheck, Phase, given, settings

import rmactors.server.web.app  # noqa: F401 - it fills the table of routes
from harness.agents import RawLink, ended, enroll_host, raw_link, simulated
from harness.processes import Server, away
from rmactors.common import ids, wire
from rmactors.server.web.access import ROUTES
from rmactors.simulate.agent import SimCredential

from .frames_by_type import JOBS, any_frame, one_odd_field

ALL = os.environ.get("RM_FUZZ_TYPES") == "all"
CASES = int(os.environ.get("RM_FUZZ_TYPES_CASES", "150"))
OF_THE_UNREADABLE = 1 if ALL else 20
"""One in so many of the frames that end their connection: each costs one, and none gets past the gateway."""
LOOK_EVERY = 50 if ALL else 250
"""Frames between two looks at what shows the newest of a host."""
MOST_BYTES = 2_000_000
ENDLESS = {"/events", "/static/<path:filename>"}
OF_AGENTS = re.compile(r"/hosts/\w+/(snapshots|find|changes|restore)\b")
"""What is asked of the host's agent: it is not there any more when these are read."""
CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def fatal(frame: str) -> bool:
    """Whether this frame is the last of its connection."""
    found = wire.decode_from_agent(frame)
    if isinstance(found, wire.Hello):
        return not found.protocol.min <= wire.PROTOCOL <= found.protocol.max
    return isinstance(found, wire.Enroll) or (isinstance(found, wire.Unreadable) and found.seq is None)


def random_frames() -> list[str]:
    found: list[str] = []

    @settings(
        max_examples=CASES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(any_frame())
    def collect(frame: str) -> None:
        found.append(frame)

    collect()
    return found


@asynccontextmanager
async def reporting_throughout(server: Server) -> AsyncIterator[None]:
    """Another host, each of whose reports is acked before the next one."""
    other = await enroll_host(server, f"honest-{ids.new()}")
    done = trio.Event()
    acked = 0
    async with simulated(server, other) as [agent], trio.open_nursery() as nursery:

        async def report() -> None:
            nonlocal acked
            while not done.is_set() or not acked:
                agent.report(ended("home", "failed" if acked % 2 else "succeeded"))
                with trio.fail_after(60):
                    await agent.settled()
                acked += 1
                with trio.move_on_after(0.05):
                    await done.wait()

        nursery.start_soon(report)
        yield
        done.set()
    assert agent.connections == 1, "the honest host lost its connection"
    assert acked > 1


async def say_all(
    server: Server, host: SimCredential, frames: Sequence[str], look: Callable[[], Awaitable[None]]
) -> None:
    """Frames that are answered go over one connection, each that ends it over one of its own. `look` is called
    now and then: what a page shows of a host is the newest that it said."""
    last = [frame for frame in frames if fatal(frame)]
    async with raw_link(server, host.token) as link:
        await link.hello()
        for number, job in enumerate(JOBS):
            begun = wire.JobStarted(3_000_000 + number, job, "backup", wire.utc_now(), "home")
            await link.send(begun)
        for number, frame in enumerate(each for each in frames if not fatal(each)):
            await link.send(frame)
            if number % 20 == 19:
                await answered(link, 1_000_000 + number)
            if number % LOOK_EVERY == LOOK_EVERY - 1:
                await look()
        await answered(link, 2_000_000)
        await look()
    for frame in last[::OF_THE_UNREADABLE]:
        async with raw_link(server, host.token) as link:
            await link.hello(purpose="report")
            await link.send(frame)
            assert await link.close_code() in (wire.CLOSE_BAD_MESSAGE, wire.CLOSE_PROTOCOL), frame[:300]


async def answered(link: RawLink, seq: int) -> None:
    """Whatever was said, a good report that follows is acked on this connection: all before it is on disk."""
    await link.send(msgspec.structs.replace(ended("home")(seq), kind="check"))  # the newest backup stays an odd one
    try:
        while (answer := await link.receive(60)) != {"type": "ack", "seq": seq}:
            assert answer["type"] in ("ack", "error", "welcome", "schedules"), answer
    except trio_websocket.ConnectionClosed as closed:
        raise AssertionError(f"the connection ended: {closed.reason}") from closed


def of_the_host(host: SimCredential) -> list[str]:
    """What shows the newest of it."""
    return ["/", "/hosts", f"/hosts/{host.host_id}", "/jobs", "/alerts", "/api/hosts", "/api/jobs?limit=200"]


def every_page(server: Server, host: SimCredential) -> list[str]:
    """Each route that reads, with what there is in the places of its ids."""
    alerts = server.all_items(f"/api/alerts?status=all&host_id={host.host_id}")
    jobs = [job["id"] for job in server.all_items(f"/api/jobs?limit=200&host_id={host.host_id}")]
    assert len(jobs) > 300, "what was said was not taken"
    known = {
        "host_id": [host.host_id], "job_id": [*JOBS[:4], *jobs[:: 1 if ALL else 25]],
        "alert_id": [alert["id"] for alert in alerts[:: 1 if ALL else 8]],
        "snapshot": ["latest"], "repository_id": [], "schedule_id": [], "policy_id": [], "page_id": [],
        "channel_id": [], "silence_id": [], "delivery_id": [], "user_id": [],
    }  # fmt: skip
    paths = []
    for (_endpoint, method), rule in ROUTES.items():
        if method != "GET" or rule.path in ENDLESS or rule.need in ("public", "signed_in"):
            continue
        names = re.findall(r"<(?:\w+:)?(\w+)>", rule.path)
        assert all(name in known for name in names), f"what stands for {names} in {rule.path}?"
        spelled = re.sub(r"<(?:\w+:)?(\w+)>", "{}", rule.path)
        paths += [spelled.format(*values) for values in product(*(known[name] for name in names))]
    more = [f"/jobs/{job}?all=1" for job in JOBS[:3]]
    lists = [f"/api/{name}?limit=200" for name in ("hosts", "jobs", "alerts", "audit")]
    return [*paths, *more, *lists, "/alerts?status=all", f"/jobs?host={host.host_id}", "/healthz"]


def what_is_wrong(server: Server, paths: list[str]) -> list[str]:
    """Of each of these that is not as it should be, a word."""
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=60) as client:
        return [found for path in paths if (found := _look_at(client, path))]


def _look_at(client: httpx.Client, path: str) -> str | None:
    answer = client.get(path)
    if answer.status_code not in ((200, 303, 409, 422) if OF_AGENTS.search(path) else (200, 303)):
        return f"{path}: {answer.status_code}"
    if len(answer.content) > MOST_BYTES:
        return f"{path}: {len(answer.content)} bytes"
    if answer.headers.get("content-type", "").startswith("application/json"):
        texts = json.dumps(answer.json(), ensure_ascii=False)  # any reader of JSON reads it
        if CONTROL.search(texts) or "\\u0000" in texts or "\\u001b" in texts:
            return f"{path}: control characters"
    elif CONTROL.search(answer.text):
        return f"{path}: control characters"
    return None


async def test_whatever_a_host_says_every_page_is_there_and_others_are_heard(shared_server: Server) -> None:
    host = await enroll_host(shared_server, f"fuzzing-{ids.new()}")
    frames = [*one_odd_field(), *random_frames()]

    async def look_at_all(paths: list[str]) -> None:
        assert await away(lambda: what_is_wrong(shared_server, paths)) == []

    async with reporting_throughout(shared_server):
        await say_all(shared_server, host, frames, lambda: look_at_all(of_the_host(host)))
        await look_at_all(await away(lambda: every_page(shared_server, host)))
    shared_server.must_live()
    assert "Traceback" not in shared_server.log, shared_server.log[-4000:]
    assert "cannot be shown" not in shared_server.log, "what came in was judged there"


@pytest.mark.parametrize("number", ["1" * 401, "1e999", "1" * 5000])
async def test_one_number_of_one_host_takes_no_page_away(shared_server: Server, number: str) -> None:
    host = await enroll_host(shared_server, f"odd-{ids.new()}")
    report = json.dumps(json.loads(wire.encode(ended("home", "succeeded")(1))) | {"stats": {}, "error": "a\0b"})
    names = ("total_bytes_processed", "files_new", "backup_duration", "seconds")
    stats = ", ".join(f'"{name}": {number}' for name in names)
    async with raw_link(shared_server, host.token) as link:
        await link.hello()
        await link.send(report.replace('"stats": {}', f'"stats": {{{stats}, "fine": 7}}'))
        assert await link.receive() == {"type": "ack", "seq": 1}
    [job] = await away(lambda: shared_server.all_items(f"/api/jobs?host_id={host.host_id}"))
    assert (job["stats"], job["error"]) == ({"fine": 7}, "a\ufffdb")
    assert (
        job["warning"]
        == "left out of the job's statistics: total_bytes_processed, files_new, backup_duration and 1 more"
    )
    paths = [*of_the_host(host), f"/jobs/{job['id']}", f"/api/jobs/{job['id']}", "/metrics"]
    assert await away(lambda: what_is_wrong(shared_server, paths)) == []
