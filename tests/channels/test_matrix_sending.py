"""The Matrix channel against a homeserver as strict as the specification, and as Synapse was seen to be."""

import json
import ssl
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import pytest

from rmactors.common import clock
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel, preview
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, LATER, RAISE, RESOLUTION, spec
from tests.channels.receivers import Request, Script, Stream, receiving, replies

LOOPBACK = OutboundPolicy.parse("loopback")
TOKEN = "syt_Ym90_abcdef_0123"
ROOM = "!ciUs_-pXa0"


@dataclass
class StrictHomeserver:
    """One room with a bot in it. A transaction that was taken is answered again, without a look at its content."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def __call__(self, stream: Stream, request: Request) -> None:
        status, said = self._answer(request)
        await replies(status, json.dumps(said).encode(), Content_Type="application/json")(stream, request)

    def _answer(self, request: Request) -> tuple[str, dict[str, Any]]:
        method, path, _ = request.line.split()
        parts = path.split("/")
        if method != "PUT" or parts[:5] != ["", "_matrix", "client", "v3", "rooms"] or parts[6:8] != [
            "send", "m.room.message",
        ]:  # fmt: skip
            return "404 Not Found", {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            said = {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed.", "soft_logout": False}
            return "401 Unauthorized", said
        transaction = unquote(parts[8])
        if transaction in self.events:
            return "200 OK", {"event_id": f"${transaction}"}
        if unquote(parts[5]) != ROOM:
            said = {"errcode": "M_FORBIDDEN", "error": f"User @bot:h.example not in room {unquote(parts[5])}"}
            return "403 Forbidden", said
        if len(request.body) > 64_000:
            return "413 Content Too Large", {"errcode": "M_TOO_LARGE", "error": "event too large"}
        if fault := self._fault(request.body):
            return "400 Bad Request", {"errcode": "M_BAD_JSON", "error": fault}
        self.events[transaction] = json.loads(request.body)
        return "200 OK", {"event_id": f"${transaction}"}

    def _fault(self, body: bytes) -> str:
        def refuse(_: str) -> None:
            raise ValueError("Bad JSON value: float")

        try:
            found = json.loads(body.decode(), parse_float=refuse, parse_constant=refuse)
        except ValueError as error:
            return str(error)
        if not all(isinstance(found.get(name), str) for name in ("msgtype", "body")):
            return "'body' not a string type"
        if not isinstance(found.get("m.mentions", {}), dict):
            return "m.mentions is no object"
        return "" if ("format" in found) == ("formatted_body" in found) else "format without formatted_body"


async def told(
    script: Script, trust: ssl.SSLContext, *notifications: Notification, token: str = TOKEN, room: str = ROOM
) -> list[Attempt]:
    async with receiving(script) as receiver:
        made = spec("matrix", homeserver_url=receiver.url("/"), room_id=room, access_token=token)
        channel = make_channel(made, LOOPBACK, trust, "https://rm.example.org", lambda: LATER)
        attempts = [await channel.send(notification) for notification in notifications]
        await channel.aclose()
    return attempts


async def test_the_whole_life_of_an_alert_is_in_the_room(system_trust: ssl.SSLContext) -> None:
    server = StrictHomeserver()
    later = [replace(each, delivery_id=f"01K9{number}") for number, each in enumerate((ACKNOWLEDGEMENT, RESOLUTION))]
    attempts = await told(server, system_trust, RAISE, *later, replace(GROUP, delivery_id="01K99"))
    assert [(each.verdict, each.status_code, each.error) for each in attempts] == [("delivered", 200, None)] * 4
    assert [event["body"].splitlines()[0] for event in server.events.values()] == [
        "[warning] nas1: backup_failed",
        "[warning] nas1: backup_failed (acknowledged)",
        "[warning] nas1: backup_failed (resolved)",
        "[critical] nas1: multiple",
    ]


async def test_a_retry_is_shown_once_and_other_words_are_not_swallowed(system_trust: ssl.SSLContext) -> None:
    server = StrictHomeserver()
    attempts = await told(server, system_trust, RAISE, RAISE, replace(RAISE, message="raised, and more"))
    assert [each.verdict for each in attempts] == ["delivered"] * 3
    assert len(server.events) == 2


@pytest.mark.parametrize(
    "notification",
    [
        replace(RAISE, message="ä" * 70_000),
        replace(RAISE, message='"&<' * 30_000, host_name="\x00\x1b[31m" * 100),
        replace(RAISE, message=""),
        replace(RAISE, link="https://rm.müller.example/alerts/x", act_link="https://rm.example.org/" + "x" * 5000),
    ],
)
async def test_a_strict_homeserver_takes_whatever_an_alert_may_hold(
    notification: Notification, system_trust: ssl.SSLContext
) -> None:
    [attempt] = await told(StrictHomeserver(), system_trust, notification)
    assert attempt.error is None


async def test_a_wrong_token_and_a_room_without_the_bot_are_dead_and_say_what_to_do(
    system_trust: ssl.SSLContext,
) -> None:
    [attempt] = await told(StrictHomeserver(), system_trust, RAISE, token="syt_old")
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert attempt.error == (
        "401 Unauthorized: the access token is not valid, or not any more: log the bot in again, and store its new"
        " access token here (Invalid access token passed.)"
    )
    [attempt] = await told(StrictHomeserver(), system_trust, RAISE, room="!other:h.example")
    assert (attempt.verdict, attempt.in_doubt) == ("dead", False)
    assert (attempt.error or "").startswith(
        "403 Forbidden: the bot is not in this room, or there is none with this id: invite the bot into the room and"
        " let it join; of a room that was upgraded, use the new id"
    )


def refusal(status: str, errcode: str, error: str, **more: Any) -> Script:
    headers = {name: str(more.pop(name)) for name in ("retry_after",) if name in more}
    return replies(status, json.dumps({"errcode": errcode, "error": error, **more}).encode(), **headers)


@pytest.mark.parametrize(
    ("answer", "verdict", "said", "retry_at"),
    [
        (refusal("429 Too Many Requests", "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after_ms=4839, retry_after=5),
         "retry", "429 Too Many Requests: Too Many Requests", LATER + 4839 * 1000),
        (refusal("429 Too Many Requests", "M_LIMIT_EXCEEDED", "Too Many Requests", retry_after=5),
         "retry", "429 Too Many Requests: Too Many Requests", LATER + 5 * clock.SECOND),
        (refusal("401 Unauthorized", "M_UNKNOWN_TOKEN", "Access token has expired", soft_logout=True),
         "dead", "the access token has expired: log the bot in again", None),
        (refusal("403 Forbidden", "M_FORBIDDEN",
                 "You don't have permission to post that to the room. user_level (0) < send_level (50)"),
         "dead", "raise its power level; of a room that was upgraded, use the new id", None),
        (refusal("403 Forbidden", "M_FORBIDDEN", "no"), "dead", "invite the bot into the room", None),
        (refusal("404 Not Found", "M_UNRECOGNIZED", "Unrecognized request"), "dead",
         "check the homeserver's address", None),
        (refusal("413 Content Too Large", "M_TOO_LARGE", "event too large"), "dead", "event too large", None),
        (refusal("400 Bad Request", "M_BAD_JSON", "Bad JSON value: float"), "dead", "Bad JSON value: float", None),
        (refusal("500 Internal Server Error", "M_UNKNOWN", "Internal server error"), "retry", "500", None),
        (replies("502 Bad Gateway", b"<html>"), "retry", "502 Bad Gateway", None),
    ],
)  # fmt: skip
async def test_what_an_answer_means(
    answer: Script, verdict: str, said: str, retry_at: int | None, system_trust: ssl.SSLContext
) -> None:
    [attempt] = await told(answer, system_trust, RAISE)
    assert (attempt.verdict, attempt.retry_at, attempt.in_doubt) == (verdict, retry_at, False)
    assert said in (attempt.error or "")


@pytest.mark.parametrize("body", [b"{}", b"<html>Sign in</html>", b'{"event_id":7}'])
async def test_a_success_without_an_event_is_none(body: bytes, system_trust: ssl.SSLContext) -> None:
    [attempt] = await told(replies("200 OK", body), system_trust, RAISE)
    assert (attempt.verdict, attempt.in_doubt) == ("dead", True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("room_id", "#backups:h.example", "This is an alias"),
        ("room_id", "backups", "begins with !"),
        ("room_id", "!a b", "no spaces"),
        ("room_id", "!" + "x" * 255, "begins with !"),
        ("room_id", "", "A room is needed"),
        ("homeserver_url", "https://h.example/_matrix/client", "without /_matrix"),
        ("homeserver_url", "http://127.0.0.1:8008", "loopback"),
        ("access_token", " ", "must not be blank"),
        ("access_token", "", "access token is needed"),
    ],
)
def test_the_rules_of_its_fields(field: str, value: str, said: str) -> None:
    good = {"homeserver_url": "https://h.example", "room_id": "!abc:h.example", "access_token": TOKEN}
    policy = OutboundPolicy.parse("external")
    assert validate("matrix", "ops", good, policy) == []
    assert validate("matrix", "ops", good | {"room_id": ROOM}, policy) == []
    [error] = validate("matrix", "ops", good | {field: value}, policy)
    assert error.pointer == f"/config/{field}"
    assert said in error.detail


def test_a_preview_shows_the_event_without_the_token() -> None:
    made = spec("matrix", homeserver_url="https://h.example", room_id=ROOM, access_token=TOKEN)
    shown = preview(made, RAISE, "https://rm.example.org")
    assert shown.request is not None
    assert shown.request["method"] == "PUT"
    assert shown.request["headers"]["Authorization"] == "Bearer ••••"
    assert TOKEN not in str(shown.request)
