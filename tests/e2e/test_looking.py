"""Looking into snapshots from outside: a real server, its API, and agents that answer right, wrong or not."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio_websocket
from msgspec import Raw

from harness.agents import RawLink, enroll_host, raw_link
from harness.processes import Server, away, running_server
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimCredential

from .hunt import Hunt
from .test_bad_input import finished

ID = "0123456789abcdef" * 4
AT = "2026-11-28T10:00:00Z"


@dataclass
class Client:
    """Who asks over the API, and waits."""

    http: httpx.AsyncClient
    path: str

    async def browse(self, path: str = "/home") -> httpx.Response:
        return await self.post("browse", {"snapshot": "latest", "path": path})

    async def post(self, kind: str, body: dict[str, Any]) -> httpx.Response:
        return await self.http.post(f"{self.path}/{kind}", json={"plan": "home", **body})

    async def snapshots(self) -> httpx.Response:
        return await self.http.get(f"{self.path}/snapshots?plan=home")


@asynccontextmanager
async def client_of(server: Server, host: SimCredential, token: str | None = None) -> AsyncIterator[Client]:
    async with server.client() as http:
        if token is not None:
            http.headers["Authorization"] = f"Bearer {token}"
        yield Client(http, f"/api/hosts/{host.host_id}")


@pytest.fixture
async def client(shared_server: Server, host: SimCredential) -> AsyncIterator[Client]:
    async with client_of(shared_server, host) as made:
        yield made


@asynccontextmanager
async def greeted(server: Server, host: SimCredential, **hello: Any) -> AsyncIterator[RawLink]:
    async with raw_link(server, host.token) as link:
        await link.hello(**{"allow": ["browse"], "plans": [{"name": "home"}], **hello})
        yield link


async def request_on(link: RawLink) -> str:
    """The id of the next thing that the agent is asked."""
    frame = await link.receive()
    assert frame["type"] == "request", frame
    request_id: str = frame["request_id"]
    return request_id


def response(request_id: str, *items: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "response", "request_id": request_id, "ok": True, "items": list(items), **fields}


async def answered(link: RawLink, ask: Callable[[], Any], say: Callable[[str], Any]) -> httpx.Response:
    """What who asks is told where the agent says what `say` makes of the request's id, one message or several."""
    told: list[httpx.Response] = []

    async def wait() -> None:
        told.append(await ask())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            said = say(await request_on(link))
            with suppress(trio_websocket.ConnectionClosed):  # the server reads no further
                for message in said if isinstance(said, list) else [said]:
                    await link.send(message)
    return told[0]


def entry(name: str) -> dict[str, Any]:
    return {"name": name, "path": f"/home/{name}", "type": "file", "size": 5, "mtime": AT}


# ---- who may


async def test_a_viewer_is_refused_and_the_agent_is_not_asked(shared_server: Server, host: SimCredential) -> None:
    viewer = await away(lambda: shared_server.admin("create-api-token", "--name", str(ids.new()), "--role", "viewer"))
    async with greeted(shared_server, host) as link, client_of(shared_server, host, viewer) as client:
        assert (await client.browse()).status_code == 403
        assert (await client.snapshots()).status_code == 403
        assert (await client.post("find", {"pattern": "x"})).status_code == 403
        await link.send(finished(seq=1))
        assert (await link.receive())["type"] == "ack", "nothing else came"


async def test_where_the_host_does_not_allow_it_nobody_looks(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    async with greeted(shared_server, host, allow=["backup"]) as link:
        refused = await client.browse()
        assert refused.status_code == 403
        assert refused.json()["detail"] == "the agent.toml of this host does not allow `browse`"
        await link.send(finished(seq=1))
        assert (await link.receive())["type"] == "ack", "nothing else came"


# ---- how it ends


async def test_a_page_comes_back_as_the_agent_gave_it(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    odd = ["a\nb", "-rf", "[x]", "\x1b[31m", "<b>&amp;", "ä\u202eb", "\ufffd", "x" * 255]
    async with greeted(shared_server, host) as link:
        found = await answered(
            link, client.browse, lambda id: response(id, *map(entry, odd), next_cursor="8", surprise=[{}])
        )
    assert found.status_code == 200
    assert [item["name"] for item in found.json()["items"]] == odd
    assert found.json()["next_cursor"] == "8"


async def test_a_host_that_is_not_connected_is_409(client: Client) -> None:
    assert (await client.browse()).status_code == 409


async def test_an_agent_that_does_not_know_the_frame_is_too_old(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    error = {"type": "error", "code": "unknown_type", "detail": "unknown type 'request'"}
    async with greeted(shared_server, host) as link:
        found = await answered(link, client.browse, lambda _: error)
    assert (found.status_code, found.json()["type"].rpartition(":")[2]) == (409, "agent-too-old")


class Asked:
    """Questions of a nursery's tasks, and what they came to."""

    def __init__(self, nursery: trio.Nursery, client: Client) -> None:
        self.told: list[int] = []
        self._nursery, self._client = nursery, client

    def start(self) -> None:
        self._nursery.start_soon(self._ask)

    async def _ask(self) -> None:
        self.told.append((await self._client.browse()).status_code)


async def test_who_waits_is_told_at_once_that_the_agent_has_left(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    async with trio.open_nursery() as nursery:
        asked = Asked(nursery, client)
        async with greeted(shared_server, host) as link:
            asked.start()
            await request_on(link)
        async with greeted(shared_server, host) as before:
            asked.start()
            await request_on(before)
            async with greeted(shared_server, host):
                assert await before.close_code() == wire.CLOSE_REPLACED
    assert asked.told == [409, 409]


async def test_who_waits_is_told_at_once_that_the_host_was_deleted(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    async with greeted(shared_server, host) as link, trio.open_nursery() as nursery:
        asked = Asked(nursery, client)
        asked.start()
        await request_on(link)
        await away(lambda: shared_server.ask("DELETE", f"/api/hosts/{host.host_id}"))
    assert asked.told == [409]


async def test_the_agent_is_told_that_who_asked_has_left(
    shared_server: Server, host: SimCredential, client: Client
) -> None:
    async with greeted(shared_server, host) as link:
        async with trio.open_nursery() as nursery:
            Asked(nursery, client).start()
            request_id = await request_on(link)
            nursery.cancel_scope.cancel()
        assert await link.receive() == {"type": "cancel_request", "request_id": request_id}


async def test_a_flood_of_answers_that_nobody_asked_for_displaces_no_report(
    besieged: Server, host: SimCredential, client: Client
) -> None:
    junk = wire.Response(ids.new(), ok=True, items=Raw(b'["' + b"x" * 1_000_000 + b'"]'))
    async with greeted(besieged, host) as link:
        for seq in range(1, 20):
            await link.send(junk)
            await link.send(finished(seq=seq))
        acked = {(await link.receive())["seq"] for _ in range(1, 20)}
        assert acked == set(range(1, 20))
        found = await answered(link, client.browse, lambda id: [junk, response(id, entry("a"))])
    assert [item["name"] for item in found.json()["items"]] == ["a"]


# ---- what is left behind

CANARY = "canary-of-a-file-name-5d1e"
"""In everything that the agent says, and in what is asked of it."""
DECOY = "decoy-to-be-found-again-77aa"
"""No secret: the name of the host. The search must find it, or it could find nothing."""
MALFORMED: list[Callable[[str], Any]] = [
    lambda id: response(id, {"name": CANARY}, CANARY, [CANARY], {CANARY: CANARY}, None),
    lambda id: response(id, {**entry(CANARY), "type": CANARY}, {**entry(CANARY), "path": CANARY}),
    lambda id: {**response(id), "items": CANARY},
    lambda id: {**response(id), "items": {CANARY: 1}},
    lambda id: response(id, entry(CANARY), **{CANARY: CANARY}),
    lambda id: response(id, entry(CANARY), next_cursor=CANARY),
    lambda id: response(id, next_cursor="\0" + CANARY),
    lambda id: response(id, ok=False, code=CANARY, error=f"there is no /home/{CANARY}"),
    lambda id: response(id, ok=False, code="not_found", error=f"there is no /home/{CANARY}"),
    lambda id: response(id, ok=False, code="not_allowed", error=CANARY),
    lambda id: [response(ids.new(), entry(CANARY)), response(id), response(id, entry(CANARY))],
    lambda _: {"type": "error", "code": "unknown_type", "detail": CANARY},
    lambda id: [{"type": "error", "code": CANARY, "detail": CANARY}, response(id)],
    lambda id: [{"type": CANARY, "items": [CANARY]}, response(id)],
]
"""Answers over which the connection lives on."""
FATAL: list[Callable[[str], Any]] = [
    lambda id: {**response(id, entry(CANARY)), "ok": CANARY},
    lambda id: {**response(id, entry(CANARY)), "error": [CANARY]},
    lambda id: {**response(id, entry(CANARY)), "next_cursor": {CANARY: CANARY}},
    lambda _: response(CANARY, entry(CANARY)),
    lambda _: {"type": "response", "items": [CANARY]},
    lambda id: json.dumps(response(id, entry(CANARY)))[:-2],
    lambda id: response(id, *[entry(f"{CANARY}{n}") for n in range(10_000)]),
    lambda id: json.dumps(response(id, entry(CANARY))).encode(),
    lambda id: f'{{"type":"response","request_id":"{id}","ok":true,"items":{"[" * 5_000}"{CANARY}"{"]" * 5_000}}}',
]
"""Those that end it: no frame of the protocol, or one that is larger than a frame may be."""


async def test_no_name_of_a_file_is_left_behind(tmp_path: Path) -> None:
    hunt = Hunt()
    hunt.hide("a file's name", CANARY)
    hunt.hide("DECOY", DECOY)
    with running_server(tmp_path / "server", log_level="debug") as server:
        host = await enroll_host(server, DECOY)
        async with client_of(server, host) as client:
            await everything_asked(server, host, client)
            for path in ("/metrics", "/healthz", "/api/audit", "/api/jobs", "/api/alerts", client.path):
                hunt.search(path, (await client.http.get(path)).content)
            assert (await client.http.get("/api/audit?action=snapshot.browse")).json()["items"] != []
        search_files(hunt, server)
        code, _ = await away(server.stop)
        assert code == 0
        search_files(hunt, server)
    assert {"file rm.db", "hosts.name", client.path} <= hunt.found("DECOY"), "the search does not find what is there"
    assert "snapshot.browse" in server.log, "that somebody looked is in the log"
    assert hunt.found("a file's name") == set()


async def everything_asked(server: Server, host: SimCredential, client: Client) -> None:
    """Each kind of question, answered well; and one of them answered in every wrong way."""
    file = {"path": f"/home/{CANARY}", "type": "file"}
    preview = {"include": [f"/home/{CANARY}"], "target": f"/srv/{CANARY}"}

    async def browse() -> httpx.Response:
        return await client.browse(f"/home/{CANARY}")

    good: list[tuple[Callable[[], Any], dict[str, Any]]] = [
        (client.snapshots, {"id": ID, "time": AT, "paths": [f"/home/{CANARY}"], "tags": [CANARY]}),
        (browse, entry(CANARY)),
        (lambda: client.post("find", {"pattern": f"*{CANARY}"}), {"snapshot": ID, "time": AT, **file}),
        (lambda: client.post("diff", {"from": ID, "to": ID}), {**file, "change": "added"}),
        (lambda: client.post("restore-preview", preview), {"snapshot": ID, "files": 1, "into": f"/srv/{CANARY}"}),
    ]
    async with greeted(server, host) as link:
        for ask, item in good:
            found = await answered(link, ask, lambda id, item=item: response(id, item))
            assert (found.status_code, CANARY in found.text) == (200, True), found.text
        for say in MALFORMED:
            found = await answered(link, browse, say)
            assert found.status_code in (200, 403, 404, 409, 502), found.text
    for say in FATAL:
        async with greeted(server, host) as link:
            found = await answered(link, browse, say)
        assert (found.status_code, CANARY in found.text) == (409, False), found.text


def search_files(hunt: Hunt, server: Server) -> None:
    for path in sorted(server.data_dir.iterdir()):
        hunt.search(f"file {path.name.removesuffix('-wal')}", path.read_bytes())
    hunt.search_tables(server.data_dir / "rm.db")
    hunt.search("the log", server.log.encode())
