"""What the agents' port and the API answer to what is wrong, and that nobody else notices.

One server for all; while each test misbehaves, an agent on a connection of its own goes on, and must
have stayed connected and been acked without a break.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
import trio
import trio_websocket

from harness.agents import RawLink, ended, enroll_host, hello, raw_link, simulated
from harness.processes import Server, away
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimCredential


@pytest.fixture
async def bystander(shared_server: Server) -> AsyncIterator[None]:
    """Another agent, connected from before to after the test, whose reports are acked at both ends of it."""
    credential = await enroll_host(shared_server, f"quiet-{ids.new()}")
    async with simulated(shared_server, credential) as [agent]:
        agent.report(ended("home", "succeeded"))
        with trio.fail_after(30):
            await agent.settled()
        yield
        agent.report(ended("home", "succeeded"))
        with trio.fail_after(30):
            await agent.settled()
        assert agent.connections == 1, "the bystander lost its connection"
    shared_server.must_live()


@asynccontextmanager
async def greeted(server: Server, host: SimCredential) -> AsyncIterator[RawLink]:
    async with raw_link(server, host.token) as link:
        await link.hello()
        yield link


def finished(seq: int = 1, **fields: Any) -> dict[str, Any]:
    now = wire.utc_now()
    return {
        "type": "job_finished",
        "seq": seq,
        "job_id": ids.new(),
        "kind": "backup",
        "plan": "home",
        "status": "failed",
        "exit_code": 1,
        "reason": "error",
        "started_at": (now - timedelta(seconds=1)).isoformat(),
        "finished_at": now.isoformat(),
        "stats": {},
    } | fields


def without(frame: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in frame.items() if key != name}


async def is_usable(link: RawLink) -> bool:
    """Whether a good report is still taken on this connection."""
    await link.send(finished(seq=900))
    answer = await link.receive()
    return answer == {"type": "ack", "seq": 900}


# ---- before the upgrade


@pytest.mark.usefixtures("bystander")
class TestWhoMayConnect:
    async def refused(self, server: Server, token: str, **options: Any) -> int:
        with pytest.raises(trio_websocket.ConnectionRejected) as rejection:
            async with raw_link(server, token, **options):
                pass
        status: int = rejection.value.status_code
        return status

    async def test_every_answer_of_the_agents_port_says_whose_it_is(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        """So that an agent knows a 401 of the server's from one of a proxy in between."""
        mark = (b"x-restic-manager", b"agents")
        for token, path in (("nonsense", wire.PATH), ("", wire.PATH), (host.token, "/elsewhere")):
            with pytest.raises(trio_websocket.ConnectionRejected) as rejection:
                async with raw_link(shared_server, token, path=path):
                    pass
            assert mark in rejection.value.headers
        async with raw_link(shared_server, host.token) as link:
            assert mark in link.connection.handshake_headers

    async def test_an_unknown_token_is_401(self, shared_server: Server) -> None:
        assert await self.refused(shared_server, "rma_no-such-token") == 401

    async def test_an_empty_token_is_401(self, shared_server: Server) -> None:
        assert await self.refused(shared_server, "") == 401

    async def test_a_token_of_bytes_that_are_no_text_is_401(self, shared_server: Server) -> None:
        assert await self.refused(shared_server, "\xff\xfe ü") == 401

    async def test_a_used_enrollment_token_is_401(self, shared_server: Server) -> None:
        token = await away(shared_server.enrollment_token)
        frame = wire.Enroll(name=f"once-{ids.new()}", hostname="h", os="linux", arch="x86_64", agent_version="0")
        async with raw_link(shared_server, token) as link:
            await link.send(frame)
            assert (await link.receive())["type"] == "enrolled"
            assert await link.close_code() == 1000
        assert await self.refused(shared_server, token) == 401

    async def test_an_api_token_is_not_an_agents_token(self, shared_server: Server) -> None:
        assert await self.refused(shared_server, shared_server.token) == 401

    @pytest.mark.parametrize("origin", [b"https://example.org", b"null", b"http://127.0.0.1"])
    async def test_any_origin_is_403(self, shared_server: Server, host: SimCredential, origin: bytes) -> None:
        assert await self.refused(shared_server, host.token, headers=((b"Origin", origin),)) == 403

    @pytest.mark.parametrize("path", ["/", "/ws", "/ws/agent2", "/ws/agent/x", "/healthz"])
    async def test_another_path_is_404(self, shared_server: Server, host: SimCredential, path: str) -> None:
        assert await self.refused(shared_server, host.token, path=path) == 404

    async def test_a_deleted_host_is_closed_with_4003_and_then_401(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        async with greeted(shared_server, host) as link:
            await away(lambda: shared_server.ask("DELETE", f"/api/hosts/{host.host_id}"))
            assert await link.close_code() == wire.CLOSE_REVOKED
        assert await self.refused(shared_server, host.token) == 401

    async def test_a_rotated_token_ends_the_old_connection(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            fresh = await away(lambda: shared_server.ask("POST", f"/api/hosts/{host.host_id}/rotate-token"))
            assert await link.close_code() == wire.CLOSE_REVOKED
        assert await self.refused(shared_server, host.token) == 401
        async with raw_link(shared_server, fresh["agent_token"]) as link:
            await link.hello()

    @pytest.mark.parametrize(("method", "path"), [("POST", "/rotate-token"), ("DELETE", "")])
    async def test_who_had_connected_without_a_hello_when_the_credential_died_is_closed_with_4003(
        self, shared_server: Server, host: SimCredential, method: str, path: str
    ) -> None:
        async with raw_link(shared_server, host.token) as early:
            await away(lambda: shared_server.ask(method, f"/api/hosts/{host.host_id}{path}"))
            assert await early.close_code() == wire.CLOSE_REVOKED


# ---- enrollment


@pytest.mark.usefixtures("bystander")
async def test_a_name_that_is_taken_leaves_the_token_unused_and_the_socket_open(
    shared_server: Server, host: SimCredential
) -> None:
    async with greeted(shared_server, host):
        pass  # heard from, so that its name is its own
    token = await away(shared_server.enrollment_token)
    async with raw_link(shared_server, token) as link:
        frame = {"type": "enroll", "hostname": "h", "os": "linux", "arch": "x86_64", "agent_version": "0"}
        await link.send(frame | {"name": host.name.upper()})
        answer = await link.receive()
        assert (answer["type"], answer["code"]) == ("error", "name_taken")
        await link.send(frame | {"name": f"free-{ids.new()}"})
        assert (await link.receive())["type"] == "enrolled"


@pytest.mark.usefixtures("bystander")
async def test_a_name_that_could_not_stand_in_a_header_or_a_log_leaves_the_token_unused(shared_server: Server) -> None:
    token = await away(shared_server.enrollment_token)
    frame = {"type": "enroll", "hostname": "h\nx", "os": "linux", "arch": "x86_64", "agent_version": "0"}
    async with raw_link(shared_server, token) as link:
        for name in ("a\nBcc: all@example.org", "\x07", "over\u202eride", " "):
            await link.send(frame | {"name": name})
            answer = await link.receive()
            assert (answer["type"], answer["code"]) == ("error", "bad_name")
        await link.send(frame | {"name": f"<b>Ünïcödé & “signs”</b> {ids.new()}"})
        assert (await link.receive())["type"] == "enrolled"


async def test_only_so_many_names_can_be_tried_on_one_connection(shared_server: Server) -> None:
    token = await away(shared_server.enrollment_token)
    frame = {"type": "enroll", "hostname": "h", "os": "linux", "arch": "x86_64", "agent_version": "0"}
    async with raw_link(shared_server, token) as link:
        for _ in range(20):
            await link.send(frame | {"name": "\x07"})
        assert await link.close_code() == wire.CLOSE_BAD_MESSAGE


# ---- frames


Misdeed = Callable[[RawLink], Awaitable[None]]

NOT_A_MESSAGE = {
    "not JSON": "hello there",
    "an empty frame": "",
    "not an object": "[1, 2]",
    "no type": '{"seq": 1}',
    "a type that is no text": '{"type": 7}',
    "a heartbeat with a number for its time": '{"type": "heartbeat", "utc_now": 12.5}',
    "a hello without its protocol": '{"type": "hello", "instance_id": "x"}',
    "a report without a seq": '{"type": "job_finished"}',
    "deep nesting": "[" * 100_000,
    "half a surrogate": '{"type": "heartbeat", "utc_now": "\\ud800"}',
}


@pytest.mark.usefixtures("bystander")
class TestFrames:
    @pytest.mark.parametrize("text", NOT_A_MESSAGE.values(), ids=NOT_A_MESSAGE.keys())
    async def test_what_is_no_message_gets_bad_message_and_1008(
        self, shared_server: Server, host: SimCredential, text: str
    ) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(text)
            answer = await link.receive()
            assert (answer["type"], answer["code"]) == ("error", "bad_message")
            assert await link.close_code() == 1008

    async def test_an_unknown_type_is_said_and_the_connection_lives_on(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        async with greeted(shared_server, host) as link:
            await link.send({"type": "moonphase", "of": "today"})
            answer = await link.receive()
            assert (answer["type"], answer["code"]) == ("error", "unknown_type")
            assert await is_usable(link)

    async def test_unknown_fields_are_ignored(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(finished(seq=5, mood="sunny"))
            assert await link.receive() == {"type": "ack", "seq": 5}

    async def test_a_binary_frame_is_1003(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(b"\x00\x01")
            assert await link.close_code() == 1003

    async def test_more_than_a_mebibyte_is_1009(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            try:
                await link.send('{"type":"heartbeat","padding":"' + "x" * (1 << 20) + '"}')
            except trio_websocket.ConnectionClosed:
                pass  # it may close before the last byte is written
            assert await link.close_code() == 1009

    async def test_just_under_a_mebibyte_is_taken(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            await link.send('{"type":"heartbeat","padding":"' + "x" * ((1 << 20) - 100) + '"}')
            assert await is_usable(link)

    @pytest.mark.parametrize("first", ["heartbeat", "job_finished", "enroll"])
    async def test_anything_before_hello_is_hello_first_and_1008(
        self, shared_server: Server, host: SimCredential, first: str
    ) -> None:
        frames: dict[str, dict[str, Any]] = {
            "heartbeat": {"type": "heartbeat", "utc_now": wire.utc_now().isoformat()},
            "job_finished": finished(),
            "enroll": {"type": "enroll", "name": "n", "hostname": "h", "os": "o", "arch": "a", "agent_version": "0"},
        }
        async with raw_link(shared_server, host.token) as link:
            await link.send(frames[first])
            answer = await link.receive()
            assert (answer["type"], answer["code"]) == ("error", "hello_first")
            assert await link.close_code() == 1008

    async def test_no_common_protocol_is_said_with_what_is_supported_and_4002(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        async with raw_link(shared_server, host.token) as link:
            await link.send(hello(protocol={"min": 7, "max": 9}))
            answer = await link.receive()
            assert (answer["type"], answer["code"]) == ("error", "protocol_unsupported")
            assert answer["supported"] == {"min": 1, "max": 1}
            assert await link.close_code() == wire.CLOSE_PROTOCOL

    async def test_a_newer_connection_of_the_same_host_closes_the_older_with_4001(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        async with greeted(shared_server, host) as older, greeted(shared_server, host) as newer:
            assert await older.close_code() == wire.CLOSE_REPLACED
            assert await is_usable(newer)

    async def test_a_clone_is_told_to_the_operator_when_the_first_one_comes_back(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        first, copy = ids.new(), ids.new()
        for instance in (first, copy, first):
            async with raw_link(shared_server, host.token) as older:
                await older.hello(instance_id=instance)
                async with raw_link(shared_server, host.token) as newer:
                    await newer.hello(instance_id=copy if instance == first else first)
                    assert await older.close_code() == wire.CLOSE_REPLACED
                    assert await is_usable(newer)  # an ack: what came before it is on disk
        async with shared_server.client() as client:
            page = (await client.get(f"/hosts/{host.host_id}")).text
        assert "credential" in page
        assert "copied with a machine image" in page

    async def test_a_second_hello_updates_the_first(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(hello(agent_version="9.9.9"))
            assert (await link.receive())["type"] == "welcome"
            assert await is_usable(link)  # an ack: what came before it is on disk
            shown = await away(lambda: shared_server.ask("GET", f"/api/hosts/{host.host_id}"))
            assert shown["agent_version"] == "9.9.9"


# ---- reports that cannot be taken

REFUSED = {
    "an unknown job kind": finished(kind="defragment"),
    "a missing field": without(finished(), "status"),
    "a status that is none": finished(status="exploded"),
    "a time that is none": finished(finished_at="yesterday"),
    "a time without a zone": finished(finished_at="2026-01-01T00:00:00"),
    "a job id that is none": finished(job_id="../../etc/passwd"),
    "a job id with a newline behind it": finished(job_id=ids.new() + "\n"),
    "a schedule id that is none": finished(schedule_id="nightly"),
    "stats that are no object": finished(stats=[1, 2, 3]),
    "an exit code as text": finished(exit_code="one"),
}


@pytest.mark.usefixtures("bystander")
class TestReports:
    @pytest.mark.parametrize("report", REFUSED.values(), ids=REFUSED.keys())
    async def test_a_report_that_cannot_be_taken_is_refused_by_its_ack(
        self, shared_server: Server, host: SimCredential, report: dict[str, Any]
    ) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(report)
            answer = await link.receive()
            assert (answer["type"], answer["seq"]) == ("ack", 1)
            assert answer["refused"]
            assert answer["detail"]
            assert await is_usable(link), "one bad report never blocks a spool"

    async def test_an_unknown_job_kind_is_named(self, shared_server: Server, host: SimCredential) -> None:
        async with greeted(shared_server, host) as link:
            await link.send(finished(kind="defragment"))
            assert "defragment" in (await link.receive())["detail"]

    async def test_another_hosts_job_is_refused_and_stays_as_it_was(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        victim = await enroll_host(shared_server, f"victim-{ids.new()}")
        theirs = finished(seq=1, status="succeeded", reason="ok", exit_code=0)
        async with greeted(shared_server, victim) as link:
            await link.send(theirs)
            assert await link.receive() == {"type": "ack", "seq": 1}
        async with greeted(shared_server, host) as link:
            await link.send(finished(seq=1, job_id=theirs["job_id"]))
            answer = await link.receive()
            assert (answer["type"], answer["seq"], answer["refused"]) == ("ack", 1, "foreign_job")
            assert await is_usable(link)
        job = await away(lambda: shared_server.ask("GET", f"/api/jobs/{theirs['job_id']}"))
        assert (job["host_id"], job["status"]) == (victim.host_id, "succeeded")

    async def test_a_schedule_of_another_host_counts_as_none(self, shared_server: Server, host: SimCredential) -> None:
        other = await enroll_host(shared_server, f"other-{ids.new()}")
        body = {"name": "nightly", "kind": "backup", "cron": "0 3 * * *"}
        schedule = await away(lambda: shared_server.ask("POST", f"/api/hosts/{other.host_id}/schedules", body))
        report = finished(seq=3, schedule_id=schedule["id"])
        async with greeted(shared_server, host) as link:
            await link.send(report)
            assert await link.receive() == {"type": "ack", "seq": 3}
        job = await away(lambda: shared_server.ask("GET", f"/api/jobs/{report['job_id']}"))
        assert job["schedule_id"] is None

    async def test_the_same_report_is_acked_every_time_and_counted_once(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        report = finished(seq=1, plan="twice")
        async with greeted(shared_server, host) as link:
            for _ in range(3):
                await link.send(report)
            assert [await link.receive() for _ in range(3)] == [{"type": "ack", "seq": 1}] * 3
        [alert] = await away(lambda: shared_server.all_items(f"/api/alerts?host_id={host.host_id}"))
        assert alert["occurrences"] == 1

    async def test_text_that_databases_dislike_arrives_as_text(
        self, shared_server: Server, host: SimCredential
    ) -> None:
        error = "bad \u0000 byte, a lone \udc80 half, a \U0001f4a5 and \u202e"
        async with greeted(shared_server, host) as link:
            await link.send(finished(seq=1, plan="odd", error=error))
            answer = await link.receive()
            assert (answer["type"], answer["seq"]) == ("ack", 1)
            assert await is_usable(link)


# ---- the API


@pytest.mark.usefixtures("bystander")
class TestApi:
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"{not json", 400),
            (b"", 400),
            (b"\xff\xfe", 400),
            (b"[]", 422),
            (b"{}", 422),
            (b'{"kind": "webhook", "name": "x"}', 422),
            (b'{"kind": "webhook", "name": "x", "config": {"url": "http://127.0.0.1"}, "surprise": 1}', 422),
            (b"{" + b" " * (1 << 20) + b"}", 413),
        ],
    )
    async def test_a_body_that_will_not_do_is_a_problem_with_the_status_of_its_kind(
        self, shared_server: Server, body: bytes, status: int
    ) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {shared_server.token}"}
        url = f"{shared_server.url}/api/notifications"
        answer = await away(lambda: httpx.post(url, content=body, headers=headers, trust_env=False, timeout=120))
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/problem+json")
        problem = answer.json()
        assert problem["status"] == status
        assert {"type", "title", "detail"} <= set(problem)
        if status == 422:
            assert all({"pointer", "detail"} <= set(error) for error in problem["errors"])

    async def test_without_a_token_it_is_401_before_anything_else(self, shared_server: Server) -> None:
        async with shared_server.client() as client:
            answer = await client.post("/api/notifications", content=b"{", headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code == 401

    @pytest.mark.parametrize("name", ["not-an-id", "01KB0000000000000000000000", "%00", "..%2f..%2fetc"])
    async def test_an_unknown_or_malformed_id_is_404(self, shared_server: Server, name: str) -> None:
        async with shared_server.client() as client:
            answer = await client.get(f"/api/alerts/{name}")
        assert answer.status_code == 404
