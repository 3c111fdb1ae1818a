"""The Pushover channel against a receiver as strict as https://pushover.net/api."""

import json
import ssl
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from rmactors.common import clock
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, LATER, RAISE, RESOLUTION, spec
from tests.channels.receivers import Request, Script, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
TOKEN, USER = "a" * 30, "u" * 30
KNOWN = {"token", "user", "title", "message", "priority", "timestamp", "url", "url_title", "device", "sound"}


@dataclass
class StrictPushover:
    """Keeps what phones would show, and refuses as Pushover does: status 0, with every error."""

    shown: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, stream: Stream, request: Request) -> None:
        assert request.line.split()[:2] == ["POST", "/1/messages.json"]
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        given = dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True, errors="strict"))
        errors = self._errors(given)
        said: dict[str, Any] = {"status": int(not errors), "request": "647d2300-702c-4b38-8b2f-d56326ae460b"}
        if errors:
            said |= {"errors": errors}
        else:
            self.shown.append(given)
        await replies("400 Bad Request" if errors else "200 OK", json.dumps(said).encode())(stream, request)

    def _errors(self, given: dict[str, str]) -> list[str]:
        found = [f"{name} is not known" for name in given.keys() - KNOWN]
        if given.get("token") != TOKEN:
            found.append("application token is invalid")
        if given.get("user") != USER:
            found.append("user identifier is not a valid user, group, or subscribed user key")
        if not given.get("message", "").strip():
            found.append("message cannot be blank")
        limits = {"title": 250, "message": 1024, "url": 512, "url_title": 100}
        found += [f"{name} is too long" for name, most in limits.items() if len(given.get(name, "")) > most]
        if given["priority"] not in {"-2", "-1", "0", "1"}:
            found.append("priority is invalid")
        if not given["timestamp"].isdigit():
            found.append("timestamp is invalid")
        return found


async def told(script: Script, trust: ssl.SSLContext, *notifications: Notification, user: str = USER) -> list[Attempt]:
    async with receiving(script) as receiver:
        made = spec("pushover", api_url=receiver.url(""), app_token=TOKEN, user_key=user)
        channel = make_channel(made, LOOPBACK, trust, "https://rm.example.org", lambda: LATER)
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts


async def test_the_whole_life_of_an_alert_is_shown(system_trust: ssl.SSLContext) -> None:
    phone = StrictPushover()
    attempts = await told(phone, system_trust, RAISE, ACKNOWLEDGEMENT, RESOLUTION, GROUP)
    assert [(each.verdict, each.status_code, each.error) for each in attempts] == [("delivered", 200, None)] * 4
    assert [each["title"] for each in phone.shown] == [
        "[warning] nas1: backup_failed",
        "[warning] nas1: backup_failed (acknowledged)",
        "[warning] nas1: backup_failed (resolved)",
        "[critical] nas1: multiple",
    ]


@pytest.mark.parametrize(
    "notification",
    [
        replace(RAISE, message="😀" * 5000, host_name="ü" * 300),
        replace(RAISE, message=""),
        replace(RAISE, message="\x00\x1b[31m&token=evil", host_name="nas\r\n&user=evil"),
        replace(RAISE, link="https://rm.müller.example/alerts/x"),
        replace(RESOLUTION, note="x" * 5000, act_link="https://rm.example.org/act/" + "x" * 700),
    ],
)
async def test_a_strict_receiver_takes_whatever_an_alert_may_hold(
    notification: Notification, system_trust: ssl.SSLContext
) -> None:
    phone = StrictPushover()
    [attempt] = await told(phone, system_trust, notification)
    assert attempt.error is None
    assert len(phone.shown) == 1


async def test_a_refusal_is_dead_and_says_why_without_the_key(system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(StrictPushover(), system_trust, RAISE, user="x" * 30)
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error == "400 Bad Request: user identifier is not a valid user, group, or subscribed user key"
    said = json.dumps({"status": 0, "errors": [f"{USER} has no active devices"]}).encode()
    [other] = await told(replies("400 Bad Request", said), system_trust, RAISE)
    assert other.error == "400 Bad Request: •••• has no active devices"


async def test_a_status_of_0_is_no_delivery_whatever_http_says(system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(replies("200 OK", b'{"status":0,"errors":["nope"]}'), system_trust, RAISE)
    assert (attempt.verdict, attempt.error) == ("dead", "200 OK: nope")
    [bare] = await told(replies("200 OK", b'{"status":0}'), system_trust, RAISE)
    assert bare.error == "200 OK: Pushover's status is 0"


async def test_a_used_up_month_waits_for_the_next_one(system_trust: ssl.SSLContext) -> None:
    reset = LATER // clock.SECOND + 86_400
    body = b'{"status":0,"errors":["application has exceeded its monthly message limit"]}'
    answer = replies("429 Too Many Requests", body, X_Limit_App_Remaining="0", X_Limit_App_Reset=str(reset))
    [attempt] = await told(answer, system_trust, RAISE)
    assert attempt.verdict == "retry"
    assert attempt.retry_at == reset * clock.SECOND
    assert "monthly message limit" in (attempt.error or "")
    [busy] = await told(replies("429 Too Many Requests", retry_after="3"), system_trust, RAISE)
    assert (busy.verdict, busy.retry_at) == ("retry", LATER + 3 * clock.SECOND)
    [past] = await told(replies("429 Too Many Requests", X_Limit_App_Reset="1"), system_trust, RAISE)
    assert (past.verdict, past.retry_at) == ("retry", None)


@pytest.mark.parametrize(
    ("answer", "verdict", "in_doubt"),
    [
        (replies("200 OK", b"<html>Sign in</html>"), "dead", True),
        (replies("200 OK", b'{"status":true}'), "dead", True),
        (replies("500 Internal Server Error", b'{"status":0}'), "retry", False),
        (replies("403 Forbidden"), "dead", True),
    ],
)
async def test_what_an_answer_means(answer: Script, verdict: str, in_doubt: bool, system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(answer, system_trust, RAISE)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, ["/config/app_token", "/config/user_key"]),
        ({"app_token": TOKEN, "user_key": USER}, []),
        ({"app_token": TOKEN, "user_key": USER, "device": "phone, tab-let_1", "sound": "siren"}, []),
        ({"app_token": TOKEN[1:], "user_key": "me@example.org"}, ["/config/app_token", "/config/user_key"]),
        ({"app_token": TOKEN, "user_key": USER, "device": "x" * 26}, ["/config/device"]),
        ({"app_token": TOKEN, "user_key": USER, "sound": "a b"}, ["/config/sound"]),
        ({"app_token": TOKEN, "user_key": USER, "api_url": "http://127.0.0.1"}, ["/config/api_url"]),
    ],
)
def test_the_rules_of_its_fields(config: dict[str, str], pointers: list[str]) -> None:
    found = validate("pushover", "ops", config, OutboundPolicy.parse("external"))
    assert [error.pointer for error in found] == pointers


def test_a_preview_has_no_key() -> None:
    made = spec("pushover", app_token=TOKEN, user_key=USER)
    shown = preview(made, RAISE, "https://rm.example.org")
    assert shown.request is not None
    assert shown.request["body"].startswith("token=••••&user=••••&title=")
    assert TOKEN not in str(shown.request)
    assert USER not in str(shown.request)
