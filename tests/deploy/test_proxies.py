"""Browsers and agents behind the proxies of `deploy/`, honest ones and others."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from playwright.sync_api import Browser, expect

from harness.agents import ended, enroll_host, raw_link, simulated
from harness.processes import COMMAND, ROOT, Server, away, environment, eventually
from harness.proxies import CLIENT, PASSWORD, STRANGER, Site, caddy, nginx, running_site
from harness.tools import running
from rmactors.common import ids

LIMIT = 30
"""Requests at once from one address that nginx lets through here: fewer than `deploy/` has."""


@pytest.fixture(scope="module", params=[partial(nginx, at_once=LIMIT), caddy], ids=["nginx", "caddy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(request.param, tmp_path_factory.mktemp("proxy")) as behind:
        yield behind


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


async def test_a_page_that_asks_a_host_begins_at_once_and_its_reader_leaves_with_the_question(site: Site) -> None:
    host = await enroll_host(site.server, f"asked-{ids.new()}")
    async with raw_link(site.server, host.token) as agent:
        await agent.hello(allow=["browse"], plans=[{"name": "home", "repository": "r", "sources": ["/home"]}])
        known = partial(site.server.ask, "GET", f"/api/hosts/{host.host_id}")
        await away(lambda: eventually(lambda: known()["plans"], 60, lambda: site.server.log))  # it was welcome before
        request = (
            f"GET /hosts/{host.host_id}/snapshots/latest HTTP/1.1\r\nHost: {site.url.removeprefix('https://')}\r\n"
            f"Authorization: Bearer {site.server.token}\r\n\r\n"
        )
        heard = b""
        with trio.fail_after(120):  # a proxy that holds back would give nothing until the agent has answered
            async with await site.raw(CLIENT, request.encode()) as reader:
                while b"Asking" not in heard:
                    chunk = await reader.receive_some(4096)
                    assert chunk, heard
                    heard += chunk
                while (asked := await agent.receive()).get("kind") != "browse":
                    pass
            while (said := await agent.receive())["type"] != "cancel_request":
                pass
        assert said["request_id"] == asked["request_id"]


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


async def test_an_agent_enrolls_and_reports_through_the_proxy(site: Site, tmp_path: Path) -> None:
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


async def test_an_enrollment_is_noted_with_the_address_before_the_proxy(site: Site) -> None:
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
