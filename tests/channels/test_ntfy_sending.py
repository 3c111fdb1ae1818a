"""The ntfy channel against a receiver that is as strict as ntfy's documentation: what it would refuse, this refuses."""

import json
import re
import ssl
from dataclasses import replace
from email.header import decode_header, make_header
from typing import Any

import pytest
import trio
import trio.testing

from rmactors.common import clock
from rmactors.common.vocabulary import Priority
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, LATER, RAISE, RESOLUTION, spec
from tests.channels.receivers import Request, Stream, answers_as_ntfy, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")


def decoded(value: str) -> str:
    """A header as ntfy reads it: RFC 2047 in every one."""
    return str(make_header(decode_header(value)))


class StrictNtfy:
    """Takes a message as ntfy does, keeps what a phone would show, and answers as ntfy answers."""

    def __init__(self, token: str | None = None, limit: int = 4096) -> None:
        self.token = token
        self.limit = limit
        self.shown: list[dict[str, Any]] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        code, status, error = self._fault(request)
        if error:
            await replies(status, json.dumps({"code": code, "http": code // 100, "error": error}).encode())(
                stream, request
            )
            return
        headers = {name: decoded(value) for name, value in request.headers.items()}
        self.shown.append(
            {
                "topic": request.line.split()[1].removeprefix("/"),
                "title": headers["title"],
                "message": request.body.decode(),
                "priority": int(headers["priority"]),
                "tags": headers["tags"].split(","),
                "click": headers["click"],
                "actions": json.loads(headers["actions"]),
                "sequence": headers["sequence-id"],
            }
        )
        await answers_as_ntfy(stream, request)

    def _fault(self, request: Request) -> tuple[int, str, str]:
        method, path, _ = request.line.split()
        if method != "POST" or not re.fullmatch(r"/[-_A-Za-z0-9]{1,64}", path):
            return 40401, "404 Not Found", "page not found"
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return 40101, "401 Unauthorized", "unauthorized"
        if not all(value.isascii() and value.isprintable() for value in request.headers.values()):
            return 40001, "400 Bad Request", "headers must be ASCII or RFC 2047"
        if len(request.body) >= self.limit:
            return 40014, "400 Bad Request", "invalid request: attachments not allowed"
        if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", request.headers["sequence-id"]):
            return 40049, "400 Bad Request", "invalid request: sequence ID invalid"
        if not all(each["label"] and each["url"] for each in json.loads(decoded(request.headers["actions"]))):
            return 40018, "400 Bad Request", "invalid request: actions invalid"
        if request.headers["priority"] not in {"1", "2", "3", "4", "5"}:
            return 40007, "400 Bad Request", "invalid priority parameter"
        if not decoded(request.headers["click"]).startswith(("http://", "https://")):
            return 40015, "400 Bad Request", "invalid click parameter"
        request.body.decode()  # a message is UTF-8, or the receiver falls over
        return 0, "", ""


async def tell(
    ntfy: StrictNtfy,
    trust: ssl.SSLContext,
    *notifications: Notification,
    priority: Priority | None = None,
    token: str = "",
    topic: str = "backups",
) -> list[Attempt]:
    async with receiving(ntfy) as receiver:
        config = {"server_url": receiver.url("/"), "topic": topic, "access_token": token}
        channel = make_channel(
            spec("ntfy", priority, **config), LOOPBACK, trust, "https://rm.example.org", lambda: LATER
        )
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts


async def test_a_phone_shows_the_alert(system_trust: ssl.SSLContext) -> None:
    ntfy = StrictNtfy(token="tk_abc")
    [attempt] = await tell(ntfy, system_trust, RAISE, token="tk_abc")
    assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 200, None)
    assert ntfy.shown == [
        {
            "topic": "backups",
            "title": "[warning] nas1 backup_failed",
            "message": RAISE.message,
            "priority": 4,
            "tags": ["warning", "backup_failed"],
            "click": RAISE.link,
            "actions": [{"action": "view", "label": "View the alert", "url": RAISE.link}],
            "sequence": RAISE.alert_id,
        }
    ]


async def test_the_whole_life_of_an_alert(system_trust: ssl.SSLContext) -> None:
    ntfy = StrictNtfy()
    critical = [replace(notification, severity="critical") for notification in (RAISE, ACKNOWLEDGEMENT, RESOLUTION)]
    await tell(ntfy, system_trust, *critical, priority="low")
    assert [(shown["title"], shown["priority"]) for shown in ntfy.shown] == [
        ("[critical] nas1 backup_failed", 5),
        ("[critical] nas1 backup_failed (acknowledged)", 3),
        ("[critical] nas1 backup_failed (resolved)", 3),
    ]


@pytest.mark.parametrize(
    "notification",
    [
        replace(RAISE, host_name="näs1 ☃ " + "сервер" * 30),
        replace(RAISE, host_name="nas\r\nX-Priority: 5"),
        replace(RAISE, message="ä" * 9000),
        replace(RAISE, message="\x00\x1b[31m"),
        replace(RAISE, message=""),
        replace(RAISE, act_link="https://rm.example.org/act/a,b;c=?=" + "x" * 900),
        replace(RAISE, link="https://rm.müller.example/alerts/x"),
    ],
)
async def test_a_strict_receiver_takes_whatever_an_alert_may_hold(
    notification: Notification, system_trust: ssl.SSLContext
) -> None:
    ntfy = StrictNtfy()
    [attempt] = await tell(ntfy, system_trust, notification)
    assert attempt.error is None
    assert len(ntfy.shown) == 1


async def test_a_wrong_token_is_dead_and_says_why(system_trust: ssl.SSLContext) -> None:
    [attempt] = await tell(StrictNtfy(token="tk_abc"), system_trust, RAISE, token="tk_wrong")
    assert (attempt.verdict, attempt.status_code, attempt.error) == ("dead", 401, "401 Unauthorized: unauthorized")


async def test_a_server_with_a_lower_limit_gets_it_once_more_shorter_and_later_ones_short_at_once(
    system_trust: ssl.SSLContext,
) -> None:
    ntfy = StrictNtfy(limit=1024)
    long = replace(RAISE, message="ä" * 9000)
    async with receiving(ntfy) as receiver:
        config = {"server_url": receiver.url(""), "topic": "backups"}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, system_trust, "https://rm.example.org", lambda: LATER)
        attempts = [await channel.send(long), await channel.send(RAISE), await channel.send(long)]
        await channel.aclose()
    assert [attempt.verdict for attempt in attempts] == ["delivered"] * 3
    assert [len(request.body) for request in receiver.requests] == [4095, 1023, len(RAISE.message), 1023]
    assert [shown["message"][-1] for shown in ntfy.shown] == ["…", RAISE.message[-1], "…"]


async def test_a_server_that_takes_hardly_any_text_says_so_in_the_end(system_trust: ssl.SSLContext) -> None:
    async with receiving(StrictNtfy(limit=100)) as receiver:
        config = {"server_url": receiver.url(""), "topic": "backups"}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, system_trust, "https://rm.example.org", lambda: LATER)
        attempt = await channel.send(replace(RAISE, message="x" * 9000))
        await channel.aclose()
    assert (attempt.verdict, attempt.error) == ("dead", "400 Bad Request: invalid request: attachments not allowed")
    assert [len(request.body) for request in receiver.requests] == [4095, 1023, 255]


async def test_sending_it_again_shorter_has_the_rest_of_the_time_and_no_more(
    system_trust: ssl.SSLContext, mock_clock: trio.testing.MockClock
) -> None:
    second = trio.Event()

    async def takes_its_time(stream: Stream, request: Request) -> None:
        if len(request.body) > 1023:
            mock_clock.jump(4)
            body = json.dumps({"code": 40014, "http": 400, "error": "attachments not allowed"}).encode()
            await replies("400 Bad Request", body)(stream, request)
        else:
            second.set()
            await stream.receive_some(1)

    async with receiving(takes_its_time) as receiver, trio.open_nursery() as nursery:
        config = {"server_url": receiver.url(""), "topic": "backups"}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, system_trust, "https://rm.example.org")
        attempts: list[Attempt] = []

        async def send() -> None:
            attempts.append(await channel.send(replace(RAISE, message="x" * 5000)))

        nursery.start_soon(send)
        await second.wait()
        mock_clock.jump(1.1)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert [attempt.error for attempt in attempts] == ["no answer within 5 s"]


async def test_the_daily_quota_waits_for_midnight_utc(system_trust: ssl.SSLContext) -> None:
    body = json.dumps({"code": 42908, "http": 429, "error": "limit reached: daily message quota reached"}).encode()
    async with receiving(replies("429 Too Many Requests", body)) as receiver:
        config = {"server_url": receiver.url(""), "topic": "backups"}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, system_trust, "https://rm.example.org", lambda: LATER)
        attempt = await channel.send(RAISE)
        await channel.aclose()
    assert attempt.verdict == "retry"
    assert attempt.retry_at == clock.from_rfc3339("2026-11-24T00:00:00Z")


async def test_a_hanging_server_is_given_up_after_five_seconds_of_the_virtual_clock(
    system_trust: ssl.SSLContext, mock_clock: trio.testing.MockClock
) -> None:
    """The one place where the real deadline is met, on a clock that is moved by hand."""
    reached = trio.Event()

    async def hangs(stream: Stream, _: Request) -> None:
        reached.set()
        await stream.receive_some(1)

    async with receiving(hangs) as receiver, trio.open_nursery() as nursery:
        config = {"server_url": receiver.url(""), "topic": "backups"}
        channel = make_channel(spec("ntfy", **config), LOOPBACK, system_trust, "https://rm.example.org")
        attempts: list[Attempt] = []

        async def send() -> None:
            attempts.append(await channel.send(RAISE))

        nursery.start_soon(send)
        await reached.wait()
        mock_clock.jump(4.9)
        await trio.testing.wait_all_tasks_blocked(0.01)
        before = list(attempts)
        mock_clock.jump(0.2)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    assert before == []
    assert [attempt.error for attempt in attempts] == ["no answer within 5 s"]
