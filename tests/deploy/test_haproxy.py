"""`deploy/haproxy` before both ports of a server that speaks TLS itself, and the same with version 1 of the header."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from harness.certificates import make_authority
from harness.ports import free_port
from harness.processes import Server, away, eventually, running_server
from harness.proxies import CLIENT, PASSWORD, STRANGER, UPGRADE, replaced
from harness.tools import DEPLOY, libraries, program, running


@dataclass(frozen=True)
class Balanced:
    """A server behind two HAProxies. `pages` and `agents` are their ports, by the version of the header."""

    server: Server
    pages: dict[str, int]
    agents: dict[str, int]

    def client(self, port: int, address: str) -> httpx.AsyncClient:
        """Somebody at this address who would like to be another."""
        transport = httpx.AsyncHTTPTransport(verify=self.server.verify, local_address=address)
        headers = {"X-Forwarded-For": "203.0.113.9"}
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}", transport=transport, headers=headers, timeout=120
        )

    async def log_in(self, version: str, address: str, username: str) -> int:
        async with self.client(self.pages[version], address) as browser:
            form = {"username": username, "password": PASSWORD, "next": "/alerts"}
            return (await browser.post("/login", data=form)).status_code

    async def shows(self, version: str, address: str, token: str) -> int:
        headers = {**UPGRADE, "Authorization": f"Bearer {token}"}
        async with (
            self.client(self.agents[version], address) as agent,
            agent.stream("GET", "/ws/agent", headers=headers) as answer,
        ):
            return answer.status_code


def haproxy(folder: Path, server: Server, version: str, pages: int, agents: int) -> list[str]:
    binary = program("haproxy")
    text = replaced(
        (DEPLOY / "haproxy" / "haproxy.cfg").read_text(),
        ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{server.agent_port}"),
        ("bind :443", f"bind 127.0.0.1:{pages}"),
        ("bind :8443", f"bind 127.0.0.1:{agents}"),
    )
    if version == "1":
        text = replaced(text, ("send-proxy-v2", "send-proxy"))
    file = folder / f"haproxy-{version}.cfg"
    file.write_text("global\n    maxconn 500\n" + text)
    return [binary, "-db", "-f", str(file)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    folder = tmp_path_factory.mktemp("haproxy")
    authority = make_authority(folder)
    chain = folder / "chain.pem"
    chain.write_bytes((folder / "here.pem").read_bytes() + authority.file.read_bytes())
    settings = {"tls_cert_file": chain, "tls_key_file": folder / "here.pem", "cookie_secure": "true"}
    settings |= {"trusted_proxies": "127.0.0.1/32", "log_format": "json"}
    with ExitStack() as stack:
        server = stack.enter_context(running_server(folder / "server", **settings))
        server.admin("create-user", "--username", "ann", "--role", "admin", RM_PASSWORD=PASSWORD)
        pages, agents = ({"1": free_port(), "2": free_port()} for _ in range(2))
        for version in pages:
            command = haproxy(folder, server, version, pages[version], agents[version])
            place = folder / version
            place.mkdir()
            output = stack.enter_context(running(command, place, libraries()))
            url = f"https://127.0.0.1:{pages[version]}/healthz"

            def answers(url: str = url) -> bool:
                try:
                    return httpx.get(url, verify=server.verify, trust_env=False).status_code == 200
                except httpx.TransportError:
                    return False

            eventually(answers, 60, lambda output=output: output.read_text()[-4000:])  # type: ignore[misc]
        yield Balanced(server, pages, agents)
        server.must_live()


@pytest.mark.parametrize("version", ["1", "2"])
async def test_who_logs_in_is_known_by_their_own_address(site: Balanced, version: str) -> None:
    stranger, client = (f"{address}{version}" for address in (STRANGER, CLIENT))
    assert await site.log_in(version, stranger, "nobody") == 422
    assert await site.log_in(version, client, "ann") == 303
    rows = await away(lambda: site.server.all_items("/api/audit"))
    addresses = {row["address"] for row in rows}
    assert {stranger, client} <= addresses
    assert "203.0.113.9" not in addresses, "whom they claim to be"


async def test_wrong_logins_of_one_slow_down_nobody_else(site: Balanced) -> None:
    for number in range(30):
        if await site.log_in("2", STRANGER, f"nobody-{number}") == 429:
            break
    else:
        raise AssertionError("nobody was slowed down")
    assert await site.log_in("2", CLIENT, "ann") == 303


@pytest.mark.parametrize("version", ["1", "2"])
async def test_an_agent_is_known_by_its_own_address(site: Balanced, version: str) -> None:
    token = await away(site.server.enrollment_token)
    stranger = f"{STRANGER}{version}"
    assert await site.shows(version, stranger, "rmh_wrong") == 401
    assert await site.shows(version, CLIENT, token) == 101
    lines = [json.loads(line) for line in site.server.log.splitlines() if '"agent.refused"' in line]
    told = [line["address"] for line in lines]
    assert told.count(stranger) == 1
    assert {"127.0.0.1", "203.0.113.9"}.isdisjoint(told)
