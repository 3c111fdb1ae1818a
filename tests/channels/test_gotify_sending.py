"""The Gotify channel against a receiver as strict as Gotify's documentation and as its server binds a message."""

import json
import re
import ssl
from dataclasses import replace
from typing import Any

import pytest

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, LATER, RAISE, RESOLUTION, spec
from tests.channels.receivers import Request, Script, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
TOKEN = "A.bcdefghijklmn"


class StrictGotify:
    """Keeps what it takes. It answers with the whole message, as Gotify does: longer than what is read of an answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, stream: Stream, request: Request) -> None:
        status, said = self._fault(request)
        if status == 200:
            given = json.loads(request.body)
            self.messages.append(given)
            answer = {"id": len(self.messages), "appid": 5, **given, "date": "2026-11-23T03:00:12Z"}
        else:
            answer = {"error": "Error", "errorCode": status, "errorDescription": said}
        line = {200: "200 OK", 400: "400 Bad Request", 401: "401 Unauthorized", 404: "404 Not Found"}[status]
        await replies(line, json.dumps(answer).encode(), Content_Type="application/json")(stream, request)

    def _fault(self, request: Request) -> tuple[int, str]:
        if request.line.split()[:2] != ["POST", "/message"]:
            return 404, "page not found"
        if request.headers.get("x-gotify-key") != TOKEN:
            return 401, "you need to provide a valid access token or user credentials to access this api"
        if request.headers["content-type"] != "application/json":
            return 400, "extras are accepted in JSON alone"
        given = json.loads(request.body.decode())
        kinds = {"title": str, "message": str, "priority": int, "extras": dict}
        if any(type(given.get(name)) is not kind for name, kind in kinds.items()):
            return 400, "cannot unmarshal"
        if not given["message"]:
            return 400, "Field 'message' is required"
        if not all(re.fullmatch(r"[a-z]+::[a-z]+", key) for key in given["extras"]):
            return 400, "not a namespace"
        return 200, ""


async def told(
    script: Script, trust: ssl.SSLContext, *notifications: Notification, token: str = TOKEN
) -> list[Attempt]:
    async with receiving(script) as receiver:
        made = spec("gotify", server_url=receiver.url("/"), app_token=token)
        channel = make_channel(made, LOOPBACK, trust, "https://rm.example.org", lambda: LATER)
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts


async def test_the_whole_life_of_an_alert_arrives(system_trust: ssl.SSLContext) -> None:
    gotify = StrictGotify()
    attempts = await told(gotify, system_trust, RAISE, ACKNOWLEDGEMENT, RESOLUTION, GROUP)
    assert [(attempt.verdict, attempt.status_code, attempt.error) for attempt in attempts] == [
        ("delivered", 200, None)
    ] * 4
    assert [message["title"] for message in gotify.messages] == [
        "[warning] nas1: backup_failed",
        "[warning] nas1: backup_failed (acknowledged)",
        "[warning] nas1: backup_failed (resolved)",
        "[critical] nas1: multiple",
    ]


@pytest.mark.parametrize(
    "notification",
    [
        replace(RAISE, message="ä" * 50_000),  # the answer repeats it, and is read in part
        replace(RAISE, message=""),
        replace(RAISE, message="\x00\x1b[31m", host_name="nas\r\nX: 1"),
        replace(RAISE, link="https://rm.müller.example/alerts/x"),
    ],
)
async def test_a_strict_receiver_takes_whatever_an_alert_may_hold(
    notification: Notification, system_trust: ssl.SSLContext
) -> None:
    gotify = StrictGotify()
    [attempt] = await told(gotify, system_trust, notification)
    assert attempt.error is None
    assert len(gotify.messages) == 1


async def test_a_wrong_token_is_dead_at_once_and_says_what_to_do(system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(StrictGotify(), system_trust, RAISE, token="C-of-a-client")
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", 401, False)
    assert "use the token of an application" in (attempt.error or "")
    assert "C-of-a-client" not in (attempt.error or "")


async def test_a_page_that_is_not_gotifys_is_no_delivery(system_trust: ssl.SSLContext) -> None:
    page = replies("200 OK", b"<html>Sign in to the network</html>", Content_Type="text/html")
    [attempt] = await told(page, system_trust, RAISE)
    assert (attempt.verdict, attempt.in_doubt) == ("dead", True)
    assert "Gotify does not answer so" in (attempt.error or "")
    [other] = await told(replies("401 Unauthorized"), system_trust, RAISE)  # a proxy in between, perhaps
    assert (other.verdict, other.in_doubt) == ("dead", True)


async def test_what_gotify_has_against_a_message_is_shown(system_trust: ssl.SSLContext) -> None:
    body = json.dumps({"error": "Bad Request", "errorCode": 400, "errorDescription": "Field 'message' is required"})
    [attempt] = await told(replies("400 Bad Request", body.encode()), system_trust, RAISE)
    assert (attempt.verdict, attempt.error) == ("dead", "400 Bad Request: Field 'message' is required")
    [busy] = await told(replies("503 Service Unavailable", retry_after="7"), system_trust, RAISE)
    assert (busy.verdict, busy.retry_at) == ("retry", LATER + 7_000_000)


@pytest.mark.parametrize(
    ("config", "pointers"),
    [
        ({}, ["/config/server_url", "/config/app_token"]),
        ({"server_url": "https://g.example/?a=b", "app_token": "x"}, ["/config/server_url"]),
        ({"server_url": "https://g.example/message", "app_token": "x"}, ["/config/server_url"]),
        ({"server_url": "http://127.0.0.1/", "app_token": "x"}, ["/config/server_url"]),
        ({"server_url": "https://g.example", "app_token": "a\nb"}, ["/config/app_token"]),
        ({"server_url": "https://g.example", "app_token": " "}, ["/config/app_token"]),
        ({"server_url": "https://g.example/push", "app_token": "A1"}, []),
    ],
)
def test_the_rules_of_its_fields(config: dict[str, str], pointers: list[str]) -> None:
    assert [error.pointer for error in validate("gotify", "ops", config, OutboundPolicy.parse("external"))] == pointers


def test_a_preview_shows_the_request_without_the_token() -> None:
    shown = preview(spec("gotify", server_url="https://g.example", app_token=TOKEN), RAISE, "https://rm.example.org")
    assert shown.request is not None
    assert shown.request["url"] == "https://g.example/message"
    assert shown.request["headers"]["X-Gotify-Key"] == "••••"
    assert TOKEN not in str(shown.request)
