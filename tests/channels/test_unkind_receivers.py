"""Receivers that repeat what they were sent, or whose JSON is of another shape: the words shown are fit for people."""

import base64
import json
import ssl
from typing import Any

import pytest

from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from tests.channels.notifications import RAISE, spec
from tests.channels.receivers import Request, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
BASE = "https://rm.example.org"
SECRET = "verysecret4711"
OF_32 = SECRET + "a" * 18
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("webhook", {"url": "{here}/x", "bearer_token": SECRET}),
    ("webhook", {"url": "{here}/x", "header_name": "Authorization", "header_value": f"Token {SECRET}"}),
    ("ntfy", {"server_url": "{here}", "topic": "backups", "access_token": SECRET}),
    ("slack", {"webhook_url": "{here}/services/T0/B0/" + SECRET}),
    ("discord", {"webhook_url": "{here}/api/webhooks/1/" + SECRET}),
    ("teams", {"webhook_url": "{here}/powerautomate/x?sig=" + SECRET}),
    ("telegram", {"chat_id": "-1001", "bot_token": f"110201543:{SECRET}aaaaaaaaaa", "api_url": "{here}"}),
    ("matrix", {"homeserver_url": "{here}", "room_id": "!abc", "access_token": SECRET}),
    ("gotify", {"server_url": "{here}", "app_token": SECRET}),
    ("pushover", {"app_token": SECRET + "a" * 16, "user_key": SECRET + "b" * 16, "api_url": "{here}"}),
    ("pagerduty", {"routing_key": OF_32, "events_url": "{here}/v2/enqueue"}),
    ("alertmanager", {"url": "{here}", "bearer_token": SECRET}),
    ("alertmanager", {"url": "{here}", "username": "rm", "password": SECRET}),
]
SHAPES: list[Any] = [
    {"code": 10015, "errors": [{"x": None}, None], "status": 0, "errcode": "M_X", "errorCode": 400, "ok": False},
    {"code": 50035, "errors": {"a": {"_errors": [None, {"message": None}]}}, "status": "bad", "error": {"code": "X"}},
    {"errcode": "M_LIMIT_EXCEEDED", "ok": False, "description": "", "parameters": {"migrate_to_chat_id": -1}},
    {"errorCode": 400, "errorDescription": {"a": 1}, "error": ["x"], "message": {"a": 1}, "retry_after": "soon"},
]  # fmt: skip


async def repeats(stream: Stream, request: Request) -> None:
    """Refuse with the request itself: its first line, what carries credentials, and the body."""
    named = [f"{name}: {value}" for name, value in request.headers.items() if name in ("authorization", "x-gotify-key")]
    body = "\n".join([request.line, *named]).encode() + b"\n" + request.body
    await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def error_of(kind: str, config: dict[str, Any], script: Any, trust: ssl.SSLContext) -> str:
    async with receiving(script) as receiver:
        given = {
            name: value.replace("{here}", receiver.url("").rstrip("/")) if isinstance(value, str) else value
            for name, value in config.items()
        }
        channel = make_channel(spec(kind, **given), LOOPBACK, trust, BASE)
        attempt = await channel.send(RAISE)
        await channel.aclose()
    assert attempt.error is not None
    return attempt.error


@pytest.mark.parametrize(("kind", "config"), KINDS, ids=lambda part: part if isinstance(part, str) else "")
async def test_a_receiver_that_repeats_the_request_shows_no_credential(
    kind: str, config: dict[str, Any], system_trust: ssl.SSLContext
) -> None:
    said = await error_of(kind, config, repeats, system_trust)
    assert "••••" in said
    assert SECRET not in said
    assert base64.b64encode(f"rm:{SECRET}".encode()).decode() not in said, "Basic is no cipher"


@pytest.mark.parametrize("status", ["400 Bad Request", "429 Too Many Requests"])
@pytest.mark.parametrize("shape", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize(("kind", "config"), KINDS, ids=lambda part: part if isinstance(part, str) else "")
async def test_an_answer_of_another_shape_is_told_without_what_python_makes_of_it(
    kind: str, config: dict[str, Any], shape: Any, status: str, system_trust: ssl.SSLContext
) -> None:
    script = replies(status, json.dumps(shape).encode(), content_type="application/json")
    said = await error_of(kind, config, script, system_trust)
    assert said.startswith(status)
    assert "None" not in said
    assert "{'" not in said
    assert "['" not in said
    assert ": :" not in said
    assert not said.endswith(":")
