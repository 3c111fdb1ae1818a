"""`deploy/nginx` and `deploy/caddy` as they are, before both ports of a real server: only names and files differ.

The proxy is reached by TLS from 127.0.0.2, so that the server can tell it (127.0.0.1) from who is behind it.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trio
from playwright.sync_api import Browser, expect

from tests.channels.certificates import Authority, make_authority
from tests.deploy.tools import DEPLOY, program, running
from tests.e2e.agents import ended, enroll_host, raw_link, simulated
from tests.e2e.harness import COMMAND, ROOT, Server, away, environment, eventually, free_port, running_server

PASSWORD = "a long enough password"
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
CLIENT = "127.0.0.2"
STRANGER = "127.0.0.3"
LIMIT = 30
"""Requests at once from one address that nginx lets through here; `deploy/` has more."""


@dataclass(frozen=True)
class Site:
    """A server behind a proxy. `url` and `agents_url` are the proxy's."""

    server: Server
    url: str
    agents_url: str
    authority: Authority
    is_nginx: bool

    def browser(self, *, address: str = CLIENT, **headers: str) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=self.authority.trusting(), local_address=address)
        return httpx.AsyncClient(base_url=self.url, transport=transport, headers=headers, timeout=60)

    async def shows(self, token: str, address: str) -> int:
        """What the agents' name answers to an upgrade with this token."""
        transport = httpx.AsyncHTTPTransport(verify=self.authority.trusting(), local_address=address)
        headers = {**UPGRADE, "Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=self.agents_url, transport=transport, timeout=60) as client,
            client.stream("GET", "/ws/agent", headers=headers) as answer,
        ):
            return answer.status_code

    async def raw(self, address: str, data: bytes) -> trio.SSLStream[trio.SocketStream]:
        """A connection to the pages' name on which this has been sent."""
        port = int(self.url.rpartition(":")[2])
        tcp = await trio.open_tcp_stream("127.0.0.1", port, local_address=address)
        stream = trio.SSLStream(tcp, self.authority.trusting(), server_hostname="localhost", https_compatible=True)
        await stream.send_all(data)
        return stream

    async def sign_in(self, browser: httpx.AsyncClient) -> httpx.Response:
        """As a browser does: with the origin that the proxy's address is to it."""
        form = {"username": "ann", "password": PASSWORD, "next": "/alerts"}
        return await browser.post("/login", data=form, headers={"Origin": self.url})


def replaced(text: str, *pairs: tuple[str, object]) -> str:
    """What an administrator would change. Each must be there to be changed."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, str(new))
    return text


def nginx(folder: Path, server: Server, pages: int, agents: int, certificate: Path) -> list[str]:
    binary = program("nginx")
    site = replaced(
        (DEPLOY / "nginx" / "rmactors.conf").read_text(),
        ("/etc/ssl/backup.example.org.pem", certificate),
        ("/etc/ssl/private/backup.example.org.key", certificate),
        ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{server.agent_port}"),
        ("443 ssl http2;\n    server_name backup.example.org", f"{pages} ssl http2;\n    server_name localhost"),
        ("443 ssl http2;\n    server_name agents.example.org", f"{agents} ssl http2;\n    server_name localhost"),
    )  # fmt: skip
    site = replaced(site, ("limit_conn rmactors_pages 500", f"limit_conn rmactors_pages {LIMIT}"))
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; user root;\n"
        f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
    )
    return [binary, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def caddy(folder: Path, server: Server, pages: int, agents: int, certificate: Path) -> list[str]:
    binary = program("caddy")
    site = replaced(
        (DEPLOY / "caddy" / "Caddyfile").read_text(),
        ("\n{\n\tservers {", "\n{\n\tadmin off\n\tauto_https off\n\tservers {"),
        ("}:8080", f"}}:{server.port}"),
        ("}:8081", f"}}:{server.agent_port}"),
        ("\n{$RM_DOMAIN:backup.example.org} {", f"\nhttps://localhost:{pages} {{\n\ttls {certificate} {certificate}"),
        (
            "\n{$RM_AGENTS_DOMAIN:agents.example.org} {",
            f"\nhttps://localhost:{agents} {{\n\ttls {certificate} {certificate}",
        ),
    )
    (folder / "Caddyfile").write_text(site)
    return [binary, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("proxy")
    authority = make_authority(folder)
    pages, agents = free_port(), free_port()
    url, agents_url = f"https://localhost:{pages}", f"https://localhost:{agents}"
    settings = {"base_url": url, "agent_url": agents_url.replace("http", "ws"), "trusted_proxies": "127.0.0.1/32"}
    settings["log_format"] = "json"
    with running_server(folder / "server", cookie_secure="true", **settings) as server:
        server.admin("create-user", "--username", "ann", "--role", "admin", RM_PASSWORD=PASSWORD)
        command = request.param(folder, server, pages, agents, folder / "here.pem")
        with running(command, folder, {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}) as output:

            def answers() -> bool:
                try:
                    return httpx.get(f"{url}/healthz", verify=authority.trusting(), trust_env=False).status_code == 200
                except httpx.TransportError:
                    return False

            eventually(answers, 60, lambda: output.read_text()[-4000:])
            yield Site(server, url, agents_url, authority, request.param is nginx)


async def test_a_browser_signs_in_through_the_proxy_and_is_known_by_its_own_address(site: Site) -> None:
    async with site.browser(**{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}) as browser:
        first = await browser.get("/alerts")
        assert (first.status_code, first.headers["location"]) == (303, "/login?next=/alerts")
        assert "max-age" in first.headers["strict-transport-security"]
        signed_in = await site.sign_in(browser)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/alerts")
        assert "__Host-rm" in browser.cookies
        assert (await browser.get("/alerts")).status_code == 200
        sessions = (await browser.get("/api/sessions")).json()["items"]
        assert [session["address"] for session in sessions if session["current"]] == [CLIENT]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=lambda headers: next(iter(headers)),
)
async def test_what_another_site_sends_is_refused_behind_the_proxy_too(site: Site, headers: dict[str, str]) -> None:
    async with site.browser() as browser:
        await site.sign_in(browser)
        refused = await browser.post("/api/enrollment-tokens", json={}, headers=headers)
        assert refused.status_code == 403
        taken = await browser.post(
            "/api/silences", json={"reason": "x", "ends_at": "2099-01-01T00:00:00Z"}, headers={"Origin": site.url}
        )
        assert taken.status_code == 201, taken.text


async def test_a_name_that_is_not_ours_gets_nothing(site: Site) -> None:
    async with site.browser(Host="rebound.example") as browser:
        answer = await browser.get("/login")
        assert answer.status_code == 421 or not answer.content  # the first by us, the second by Caddy


async def test_events_come_at_once(site: Site) -> None:
    head = f"GET /events HTTP/1.1\r\nHost: {site.url.removeprefix('https://')}\r\n"
    request = f"{head}Authorization: Bearer {site.server.token}\r\n\r\n"
    port = int(site.url.rpartition(":")[2])
    heard = b""
    with trio.fail_after(30):  # a proxy that holds back would give nothing for longer
        async with await trio.open_ssl_over_tcp_stream(
            "localhost", port, https_compatible=True, ssl_context=site.authority.trusting()
        ) as browser:
            await browser.send_all(request.encode())
            while b"text/event-stream" not in heard:
                heard += await browser.receive_some(4096)
            silence = {"reason": "x", "ends_at": "2099-01-01T00:00:00Z"}
            await away(lambda: site.server.ask("POST", "/api/silences", silence))
            while b"silences" not in heard:
                chunk = await browser.receive_some(4096)
                assert chunk, heard
                heard += chunk
    assert heard.startswith(b"HTTP/1.1 200")


def test_a_page_in_a_browser_changes_by_itself_behind_the_proxy(site: Site, browser: Browser) -> None:
    visitor = browser.new_context(base_url=site.url, ignore_https_errors=True)  # the authority is ours alone
    try:
        page = visitor.new_page()
        page.goto("/alerts")
        page.get_by_label("User name").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("html[data-listens=true]")).to_have_count(1)
        name = f"live-{site.url[-5:]}"
        trio.run(fail_a_backup, site.server, name)
        expect(page.locator("[id^=alert-]").filter(has_text=name).first).to_be_visible()
    finally:
        visitor.close()


async def fail_a_backup(server: Server, name: str) -> None:
    credential = await enroll_host(server, name)
    async with simulated(server, credential) as [agent]:
        agent.report(ended("home", "failed"))
        with trio.fail_after(30):
            await agent.settled()


async def test_a_body_that_is_too_large_is_refused_by_the_server_not_the_proxy(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.server.token}", "Content-Type": "application/json"}
    async with site.browser(**headers) as browser:
        answer = await browser.post("/api/silences", content=b" " * (1_100_000))
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"


async def test_an_agent_enrols_and_reports_through_the_proxy(site: Site, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(await away(site.server.enrollment_token))
    variables = {"RM_AGENT_STATE_DIR": str(tmp_path / "state"), "SSL_CERT_FILE": str(site.authority.file)}

    def agent(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, "agent", *words], cwd=ROOT, env=environment(variables), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    name = f"behind-{site.agents_url[-5:]}"
    done = await away(
        lambda: agent("enroll", "--server", site.agents_url, "--token-file", str(token_file), "--name", name)
    )
    assert done.returncode == 0, done.stderr
    with running([*COMMAND, "agent", "run"], tmp_path, variables | {"PYTHONPATH": str(ROOT)}):

        def host() -> dict[str, object]:
            [found] = [item for item in site.server.all_items("/api/hosts") if item["name"] == name]
            return dict(found)

        await away(lambda: eventually(lambda: host()["status"] == "online", 60, lambda: f"{host()}"))
        failed = await away(lambda: agent("exec", "--kind", "backup", "--", "false"))
        assert failed.returncode == 1
        await away(
            lambda: eventually(
                lambda: any(alert["host_name"] == name for alert in site.server.all_items("/api/alerts")), 30,
                lambda: "no alert",
            )
        )  # fmt: skip


async def test_an_enrolment_is_noted_with_the_address_before_the_proxy(site: Site) -> None:
    enroll = {"type": "enroll", "name": f"noted-{site.url[-5:]}", "hostname": "h", "os": "linux", "arch": "x"}
    enroll["agent_version"] = "0"
    for forwarded, noted in ((b"203.0.113.9, 198.51.100.7", "198.51.100.7"), (b"nonsense", "127.0.0.1")):
        enroll["name"] += "x"
        token = await away(site.server.enrollment_token)
        async with raw_link(site.server, token, headers=((b"X-Forwarded-For", forwarded),)) as link:
            await link.send(enroll)
            assert (await link.receive())["type"] == "enrolled"
        rows = await away(lambda: site.server.all_items("/api/audit"))
        assert [row["address"] for row in rows if row["actor"] == enroll["name"]] == [noted]


async def test_the_agents_port_shows_nothing_else_through_the_proxy(site: Site) -> None:
    context = site.authority.trusting()
    async with httpx.AsyncClient(base_url=site.agents_url, verify=context, trust_env=False) as client:
        assert (await client.get("/login")).status_code == 404
    assert await site.shows("wrong", CLIENT) == 401


# ---- a stranger who means it ill


async def test_wrong_tokens_are_noted_with_the_address_before_the_proxy_and_keep_nobody_else_out(site: Site) -> None:
    host = await enroll_host(site.server, f"beside-{site.url[-5:]}")
    answers: list[int] = []

    async def guess() -> None:
        answers.append(await site.shows("rmh_wrong", STRANGER))

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(guess)
        assert await site.shows(host.token, CLIENT) == 101
    assert set(answers) == {401}
    lines = [json.loads(line) for line in site.server.log.splitlines() if '"agent.refused"' in line]
    told = Counter(line["address"] for line in lines)
    assert told[STRANGER] == 30
    assert told["127.0.0.1"] == 0, "the proxy itself"


async def test_slow_bodies_keep_nobody_else_out(site: Site) -> None:
    """nginx holds them back, Caddy passes them on: both are asked to by `deploy/`."""
    name = site.url.removeprefix("https://")
    slow = f"POST /login HTTP/1.1\r\nHost: {name}\r\nContent-Length: 100\r\n\r\nu".encode()
    async with site.browser() as browser, AsyncExitStack() as open_ones:
        await site.sign_in(browser)
        for _ in range(LIMIT - 10):
            open_ones.push_async_callback(trio.aclose_forcefully, await site.raw(STRANGER, slow))
        assert (await browser.get("/alerts")).status_code == 200
        async with site.browser(address="127.0.0.4") as somebody:
            assert (await somebody.get("/login")).status_code == 200


async def test_nginx_bounds_the_requests_of_one_address(site: Site) -> None:
    """Caddy has no such limit; behind it, the server's own is the only one."""
    name = site.url.removeprefix("https://")
    listen = f"GET /events HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {site.server.token}\r\n\r\n".encode()
    heads: list[bytes] = []
    async with AsyncExitStack() as open_ones:
        for _ in range(LIMIT + 1):
            stream = await site.raw("127.0.0.5", listen)
            open_ones.push_async_callback(trio.aclose_forcefully, stream)
            with trio.fail_after(60):
                heads.append(bytes(await stream.receive_some(65536)).split(b"\r\n")[0])
        async with site.browser() as somebody:
            assert (await somebody.get("/login")).status_code == 200
    refused = sum(b" 429 " in head for head in heads)
    assert refused == (1 if site.is_nginx else 0), heads
