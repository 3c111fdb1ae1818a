"""Web Push on a real server: a viewer subscribes, and an alert reaches their browser by a strict push service."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.agents import ended, enroll_host, simulated
from harness.certificates import Authority, make_authority
from harness.processes import Server, away, eventually, running_server
from rmactors.common import clock
from tests.channels.receivers import receiving, replies
from tests.channels.strict_push import PATH, StrictPushService, Subscription

PHRASE = "a long enough phrase"
ACCOUNT = "/settings/authentication"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.fixture
def trusting(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """It trusts the push service's certificate, and its network is named."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with running_server(tmp_path / "server", outbound_allow="127.0.0.0/8") as running:
        yield running


def signed_in(server: Server) -> httpx.Client:
    server.admin("create-user", "--username", "vera", "--role", "viewer", RM_PASSWORD=PHRASE)
    browser = httpx.Client(base_url=server.url, trust_env=False, timeout=60, verify=False)
    assert browser.post("/login", data={"username": "vera", "password": PHRASE, "next": "/"}).status_code == 303
    return browser


def subscribe(browser: httpx.Client, origin: str) -> Subscription:
    [key] = re.findall(r'data-push="([\w-]{87})"', browser.get(ACCOUNT).text)
    made = Subscription(key)
    answer = browser.post(f"{ACCOUNT}/push", data={**made.given(origin + PATH), "made_for": key})
    assert answer.status_code == 303, answer.text
    return made


async def test_an_alert_reaches_a_viewers_browser_and_a_subscription_that_has_ended_is_shown(
    trusting: Server, authority: Authority
) -> None:
    server = trusting

    def channel() -> dict[str, Any]:
        [found] = server.all_items("/api/notifications")
        return found

    async with receiving(tls=authority.server) as receiver:
        origin = receiver.url("")
        with closing(await away(lambda: signed_in(server))) as browser:
            subscription = await away(lambda: subscribe(browser, origin))
            service = StrictPushService(subscription, clock.now())
            service.origin, receiver.script = origin, service
            async with simulated(server, await enroll_host(server, "nas")) as [agent]:
                agent.report(ended("home", error="wrong password"))
                await away(lambda: eventually(lambda: len(service.shown) == 1, 120, lambda: str(channel())))
                agent.report(ended("home", "succeeded"))
                await away(lambda: eventually(lambda: len(service.shown) == 2, 120, lambda: str(channel())))
                assert [each["title"] for each in service.shown] == [
                    "[warning] nas: backup_failed", "[warning] nas: backup_failed (resolved)",
                ]  # fmt: skip
                assert service.shown[0]["url"].startswith(f"{server.url}/alerts/")
                assert len(service.waiting) == 1, "the resolution takes the place of the raise"

                receiver.script = replies("410 Gone")
                agent.report(ended("work", error="wrong password"))
                await away(
                    lambda: eventually(lambda: channel()["health"]["dead"] == 1, 120, lambda: str(channel()["health"]))
                )
            assert "subscription has ended" in channel()["health"]["last_error"]
            assert "subscription has ended" in (await away(lambda: browser.get(ACCOUNT))).text
    assert PATH not in server.log
