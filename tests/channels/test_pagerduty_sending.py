"""The PagerDuty channel against a receiver as strict as the documentation of its Events API v2."""

import json
import ssl
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, LATER, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import Request, Script, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
KEY = "0123456789abcdef0123456789abcdef"
TEST = replace(RAISE, event="alert.test", kind="test", subject="", severity="info", host_name="restic-manager")
FIELDS = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
PAYLOAD_FIELDS = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}


@dataclass
class StrictPagerDuty:
    """Keeps incidents by their key, as they stand, and everything that was done."""

    incidents: dict[str, str] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    async def __call__(self, stream: Stream, request: Request) -> None:
        if errors := self._errors(request):
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            await replies("400 Bad Request", json.dumps(said).encode())(stream, request)
            return
        given = json.loads(request.body)
        action, key = given["event_action"], given["dedup_key"]
        states = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
        if action == "trigger" or self.incidents.get(key, "resolved") != "resolved":
            self.incidents[key] = states[action]
        self.done.append(action)
        said = {"status": "success", "message": "Event processed", "dedup_key": key}
        await replies("202 Accepted", json.dumps(said).encode())(stream, request)

    def _errors(self, request: Request) -> list[str]:
        if len(request.body) > 512_000 or request.headers["content-type"] != "application/json":
            return ["JSON parse error"]
        given: dict[str, Any] = json.loads(request.body)
        found = [f"'{name}' is unknown" for name in given.keys() - FIELDS]
        if len(given.get("routing_key", "")) != 32:
            found.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        if given.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            found.append("'event_action' is invalid")
        if not 0 < len(given.get("dedup_key", "")) <= 255:
            found.append("'dedup_key' is invalid")
        urls = [given.get("client_url", "https://x.example"), *(link["href"] for link in given.get("links", ()))]
        found += [f"{url!r} is no URL" for url in urls if urlsplit(url).scheme not in ("http", "https")]
        inner = given.get("payload", {})
        if given["event_action"] != "trigger" and not inner:
            return found
        found += [f"'payload.{name}' is unknown" for name in inner.keys() - PAYLOAD_FIELDS]
        found += [
            f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not inner[name]
        ]
        if len(inner["summary"]) > 1024:
            found.append("'payload.summary' is too long")
        if inner["severity"] not in ("critical", "error", "warning", "info"):
            found.append("'payload.severity' is invalid (must be one of the following: critical, error, warning, info)")
        return found


async def told(script: Script, trust: ssl.SSLContext, *notifications: Notification, key: str = KEY) -> list[Attempt]:
    async with receiving(script) as receiver:
        made = spec("pagerduty", events_url=receiver.url("/v2/enqueue"), routing_key=key)
        channel = make_channel(made, LOOPBACK, trust, "https://rm.example.org", lambda: LATER)
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts


async def test_an_incident_follows_its_alert(system_trust: ssl.SSLContext) -> None:
    duty = StrictPagerDuty()
    attempts = await told(duty, system_trust, RAISE, REMINDER, ACKNOWLEDGEMENT, RESOLUTION)
    assert [(each.verdict, each.status_code, each.error) for each in attempts] == [("delivered", 202, None)] * 4
    assert duty.done == ["trigger", "trigger", "acknowledge", "resolve"]
    assert duty.incidents == {ALERT: "resolved"}


async def test_a_test_leaves_no_incident_open(system_trust: ssl.SSLContext) -> None:
    duty = StrictPagerDuty()
    [attempt] = await told(duty, system_trust, TEST)
    assert attempt.error is None
    assert duty.done == ["trigger", "resolve"]
    assert duty.incidents == {ALERT: "resolved"}


async def test_a_test_that_could_not_be_closed_says_so(system_trust: ssl.SSLContext) -> None:
    duty, seen = StrictPagerDuty(), 0

    async def once(stream: Stream, request: Request) -> None:
        nonlocal seen
        seen += 1
        await (duty if seen == 1 else replies("503 Service Unavailable"))(stream, request)

    [attempt] = await told(once, system_trust, TEST)
    assert attempt.verdict == "retry"
    assert (attempt.error or "").startswith("the test's incident was opened, but not closed: close it there")
    [refused] = await told(replies("503 Service Unavailable"), system_trust, TEST)
    assert (refused.verdict, refused.error) == ("retry", "503 Service Unavailable")


@pytest.mark.parametrize(
    "notification",
    [
        replace(RAISE, message="ä" * 50_000, host_name="nas\r\n\x00ü"),
        replace(RAISE, message="", host_name="", subject=""),
        replace(RAISE, message='"\\\x01' * 20_000),
        replace(RESOLUTION, note="x" * 20_000),
    ],
)
async def test_a_strict_receiver_takes_whatever_an_alert_may_hold(
    notification: Notification, system_trust: ssl.SSLContext
) -> None:
    [attempt] = await told(StrictPagerDuty(), system_trust, notification)
    assert attempt.error is None


async def test_a_refusal_is_dead_and_lists_its_errors_without_the_key(system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(StrictPagerDuty(), system_trust, RAISE, key="too-short-a-key")
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error == "400 Bad Request: Length of 'routing_key' is incorrect (should be 32 characters)"
    said = json.dumps({"status": "invalid event", "errors": [f"{KEY} is unknown"]}).encode()
    [other] = await told(replies("400 Bad Request", said), system_trust, RAISE)
    assert other.error == "400 Bad Request: •••• is unknown"


@pytest.mark.parametrize(
    ("answer", "verdict", "in_doubt"),
    [
        (replies("202 Accepted", b"{}"), "dead", True),  # not what PagerDuty says
        (replies("200 OK", b"<html>Sign in</html>"), "dead", True),
        (replies("429 Too Many Requests"), "retry", False),
        (replies("500 Internal Server Error"), "retry", False),
        (replies("400 Bad Request", b"a proxy"), "dead", False),
        (replies("403 Forbidden"), "dead", True),
    ],
)
async def test_what_an_answer_means(answer: Script, verdict: str, in_doubt: bool, system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(answer, system_trust, RAISE)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, ["/config/routing_key"]),
        ({"routing_key": KEY}, []),
        ({"routing_key": KEY[1:]}, ["/config/routing_key"]),
        ({"routing_key": KEY, "events_url": "events.pagerduty.com"}, ["/config/events_url"]),
        ({"routing_key": KEY, "events_url": "https://events.eu.pagerduty.com/v2/enqueue"}, []),
    ],
)
def test_the_rules_of_its_fields(config: dict[str, str], pointers: list[str]) -> None:
    found = validate("pagerduty", "ops", config, OutboundPolicy.parse("external"))
    assert [error.pointer for error in found] == pointers


def test_a_preview_shows_the_event_without_the_key() -> None:
    shown = preview(spec("pagerduty", routing_key=KEY), RAISE, "https://rm.example.org")
    assert shown.request is not None
    assert shown.request["url"] == "https://events.pagerduty.com/v2/enqueue"
    assert json.loads(shown.request["body"])["routing_key"] == "••••"
    assert KEY not in str(shown.request)
