"""The Alertmanager channel against the real one, as Debian ships it, with a webhook of its own behind it."""

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from harness.alertmanager import usable_program
from harness.processes import away, eventually, free_port
from harness.tools import running
from rmactors.common import clock
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import Request, Script, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
BASE = "https://rm.example.org"
PATIENCE = 60.0


@dataclass
class Alertmanager:
    """One that runs. `told` is what it says to the webhook behind it, message by message."""

    url: str
    told: trio.MemoryReceiveChannel[dict[str, Any]]

    def alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/api/v2/alerts").json()
        return found

    async def next_alert(self, status: str) -> dict[str, Any]:
        """The alert of its next message with that status."""
        with trio.fail_after(PATIENCE):
            while True:
                message = await self.told.receive()
                found: list[dict[str, Any]] = [each for each in message["alerts"] if each["status"] == status]
                if found:
                    return found[0]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return usable_program(tmp_path_factory.mktemp("alertmanager"))


@contextmanager
def started(program: Path, folder: Path, port: int) -> Iterator[str]:
    if (templates := program.parent / "template").is_symlink() and not (folder / "template").exists():
        (folder / "template").symlink_to(templates.readlink())
    command = [
        str(program), f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        "--web.route-prefix=/am",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}/am"
    with running(command, folder) as log:

        def is_ready() -> bool:
            try:
                return httpx.get(f"{url}/-/ready").status_code == 200
            except httpx.TransportError:
                return False

        eventually(is_ready, PATIENCE, log.read_text)
        yield url


@asynccontextmanager
async def alertmanager(program: Path, folder: Path) -> AsyncIterator[Alertmanager]:
    into, told = trio.open_memory_channel[dict[str, Any]](1000)

    async def keep(stream: Stream, request: Request) -> None:
        into.send_nowait(json.loads(request.body))
        await replies("200 OK")(stream, request)

    async with receiving(keep) as behind:
        config = {
            "route": {"receiver": "hook", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": behind.url(), "send_resolved": True}]}],
        }
        (folder / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
        running_one = started(program, folder, free_port())
        url = await away(running_one.__enter__)
        try:
            yield Alertmanager(url, told)
        finally:
            with trio.CancelScope(shield=True):
                await away(lambda: running_one.__exit__(None, None, None))


async def sent(url: str, trust: ssl.SSLContext, *notifications: Notification, **config: str) -> list[Attempt]:
    channel = make_channel(spec("alertmanager", url=url, **config), LOOPBACK, trust, BASE)
    attempts = [await channel.send(notification) for notification in notifications]
    await channel.aclose()
    return attempts


def just_now(*notifications: Notification) -> list[Notification]:
    """As if they happened a moment ago, one after the other."""
    at = clock.now() - len(notifications) * clock.SECOND
    return [
        replace(each, raised_at=at, occurred_at=at + number * clock.SECOND)
        for number, each in enumerate(notifications)
    ]  # fmt: skip


async def test_an_alert_fires_and_is_resolved(program: Path, tmp_path: Path, system_trust: ssl.SSLContext) -> None:
    raised, acknowledged, resolved = just_now(RAISE, ACKNOWLEDGEMENT, RESOLUTION)
    async with alertmanager(program, tmp_path) as there:
        [attempt] = await sent(there.url, system_trust, raised)
        assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 200, None)
        firing = await there.next_alert("firing")
        assert firing["labels"] == {
            "alertname": "backup_failed", "severity": "warning", "service": "restic-manager", "host": "nas1",
            "plan": "home",
        }  # fmt: skip
        assert firing["annotations"]["description"] == RAISE.message
        assert firing["generatorURL"] == RAISE.link
        assert clock.from_rfc3339(firing["startsAt"]) // 1000 == raised.raised_at // 1000

        await sent(there.url, system_trust, acknowledged)
        [listed] = await away(there.alerts)
        assert listed["annotations"]["acknowledged_by"] == "dana"
        assert listed["status"]["state"] == "active"

        await sent(there.url, system_trust, resolved)
        ended = await there.next_alert("resolved")
        assert ended["fingerprint"] == firing["fingerprint"]
        assert ended["startsAt"] == firing["startsAt"]


async def test_a_test_fires_once_and_has_an_end(program: Path, tmp_path: Path, system_trust: ssl.SSLContext) -> None:
    [test] = just_now(replace(RAISE, event="alert.test", kind="test", subject="", severity="info"))
    async with alertmanager(program, tmp_path) as there:
        await sent(there.url, system_trust, test)
        assert (await there.next_alert("firing"))["labels"]["alertname"] == "test"
        [listed] = await away(there.alerts)
        assert clock.from_rfc3339(listed["endsAt"]) < clock.now() + 10 * clock.MINUTE


async def test_a_reminder_brings_back_what_a_restart_forgot(
    program: Path, tmp_path: Path, system_trust: ssl.SSLContext
) -> None:
    raised, reminder = just_now(RAISE, REMINDER)
    async with alertmanager(program, tmp_path) as there:
        await sent(there.url, system_trust, raised)
        await there.next_alert("firing")
    async with alertmanager(program, tmp_path) as there:
        assert await away(there.alerts) == []
        await sent(there.url, system_trust, reminder)
        [listed] = await away(there.alerts)
        assert listed["labels"]["alertname"] == "backup_failed"


async def test_the_real_one_takes_whatever_an_alert_may_hold(
    program: Path, tmp_path: Path, system_trust: ssl.SSLContext
) -> None:
    hostile = [
        replace(RAISE, host_name="nas\r\n\x00ü‮", message="\x1b[31m" + "ä" * 50_000),
        replace(RAISE, host_name="", subject="", message=""),
        replace(RAISE, host_name="größe", subject="größe-x:y", link="foo"),
        replace(RAISE, subject="host:x", link="https://rm.müller.example/alerts/x", act_link="http://exa mple"),
        GROUP,
    ]
    async with alertmanager(program, tmp_path) as there:
        attempts = await sent(there.url, system_trust, *(just_now(each)[0] for each in hostile))
        assert [attempt.error for attempt in attempts] == [None] * len(hostile)
        assert len(await away(there.alerts)) == 6


async def test_a_wrong_path_is_said(program: Path, tmp_path: Path, system_trust: ssl.SSLContext) -> None:
    async with alertmanager(program, tmp_path) as there:
        [attempt] = await sent(there.url.removesuffix("/am"), system_trust, RAISE)
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", 404, True)
    assert "no API v2 of Alertmanager at this address" in (attempt.error or "")


@pytest.mark.parametrize(
    ("answer", "verdict", "said"),
    [
        (replies("400 Bad Request", b'"start time must be before end time"\n'), "dead",
         "400 Bad Request: start time must be before end time"),
        (replies("422 Unprocessable Entity", b'{"code":601,"message":"0.generatorURL in body must be of type uri"}'),
         "dead", "422 Unprocessable Entity: 0.generatorURL in body must be of type uri"),
        (replies("401 Unauthorized"), "dead", "401 Unauthorized (check user name and password, or the token)"),
        (replies("200 OK", b"<html>Sign in</html>"), "dead",
         "200 OK: Alertmanager does not answer so: is it the right URL, or does something in between answer?"),
        (replies("503 Service Unavailable"), "retry", "503 Service Unavailable"),
    ],
)  # fmt: skip
async def test_what_an_answer_means(answer: Script, verdict: str, said: str, system_trust: ssl.SSLContext) -> None:
    async with receiving(answer) as there:
        [attempt] = await sent(there.url(""), system_trust, RAISE)
    assert (attempt.verdict, attempt.error) == (verdict, said)


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, ["/config/url"]),
        ({"url": "http://127.0.0.1:9093"}, ["/config/url"]),
        ({"url": "http://h:9093/api/v2/alerts"}, ["/config/url"]),
        ({"url": "http://h:9093/?x=1"}, ["/config/url"]),
        ({"url": "http://h:9093", "username": "a", "bearer_token": "b"}, ["/config/username"]),
        ({"url": "http://h:9093", "username": "a:b"}, ["/config/username"]),
        ({"url": "http://h:9093", "password": "b"}, ["/config/password"]),
        ({"url": "http://h:9093", "username": "a", "password": "b"}, []),
        ({"url": "http://h:9093/am", "bearer_token": "b"}, []),
    ],
)
def test_the_rules_of_its_fields(config: dict[str, str], pointers: list[str]) -> None:
    found = validate("alertmanager", "ops", config, OutboundPolicy.parse("external"))
    assert [error.pointer for error in found] == pointers


def test_a_preview_has_no_secret() -> None:
    for secret in ({"username": "rm", "password": "very-secret"}, {"bearer_token": "very-secret"}):
        shown = preview(spec("alertmanager", url="http://h:9093", **secret), RAISE, BASE)
        assert shown.request is not None
        assert "very-secret" not in str(shown.request)
        assert "dmVyeS1zZWNyZXQ" not in str(shown.request)
