"""The Telegram channel against a Bot API that is as strict as its documentation."""

import json
import ssl
from typing import Any

import pytest

from rmactors.common import clock
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.chats import LOOPBACK, tell
from tests.channels.notifications import GROUP, LATER, RAISE, RESOLUTION
from tests.channels.receivers import Script, cuts, replies
from tests.channels.strict_telegram import CHAT, TOKEN, TOPIC, StrictTelegram

CONFIG: dict[str, Any] = {"chat_id": str(CHAT), "bot_token": TOKEN, "message_thread_id": TOPIC}


async def send(script: Script, trust: ssl.SSLContext, notification: Notification = RAISE, **config: Any) -> Attempt:
    return await tell(
        script, trust, notification, "telegram", lambda here: {**CONFIG, "api_url": here, **config}, "low"
    )


def refusal(code: int, description: str, **parameters: Any) -> bytes:
    found = {"ok": False, "error_code": code, "description": description}
    return json.dumps(found | ({"parameters": parameters} if parameters else {})).encode()


async def test_people_see_the_alert_and_its_end(system_trust: ssl.SSLContext) -> None:
    telegram = StrictTelegram()
    for notification in (RAISE, GROUP, RESOLUTION):
        attempt = await send(telegram, system_trust, notification)
        assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 200, None)
    assert [(shown["text"].split("\n")[0], shown["quiet"]) for shown in telegram.shown] == [
        ("🟠 [warning] nas1: backup_failed", True),
        ("🔴 [critical] nas1: multiple", False),
        ("✅ [warning] nas1: backup_failed (resolved)", True),
    ]


async def test_an_answer_of_which_only_the_beginning_is_read_is_a_success(system_trust: ssl.SSLContext) -> None:
    """It repeats the message, each letter beyond ASCII as six."""
    body = json.dumps({"ok": True, "result": {"text": "ж" * 4000}}).encode()
    assert len(body) > 20_000
    assert (await send(replies("200 OK", body), system_trust)).verdict == "delivered"


@pytest.mark.parametrize(
    ("config", "status", "said"),
    [
        ({"bot_token": "110201543:" + "x" * 35}, 401, "401 Unauthorized: Unauthorized: the bot's token is wrong"),
        ({"chat_id": "-1"}, 400, "400 Bad Request: Bad Request: chat not found: check the chat id"),
        ({"message_thread_id": 7}, 400, "400 Bad Request: Bad Request: message thread not found: check the topic's id"),
        ({"api_url": "{here}/elsewhere"}, 404, "404 Not Found: Not Found: the bot's token is wrong"),
    ],
)
async def test_wrong_settings_are_dead_at_once_and_say_what_to_do(
    system_trust: ssl.SSLContext, config: dict[str, Any], status: int, said: str
) -> None:
    def made(here: str) -> dict[str, Any]:
        return {**CONFIG, "api_url": here, **config} | (
            {"api_url": config["api_url"].format(here=here)} if "api_url" in config else {}
        )

    attempt = await tell(StrictTelegram(), system_trust, RAISE, "telegram", made)
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", status, False)
    assert (attempt.error or "").startswith(said)


# what the Bot API, or something before it, answers; what becomes of the message; a part of what is said; in doubt
ANSWERS = [
    ("403 Forbidden", refusal(403, "Forbidden: bot was blocked by the user"), "dead", "unblock the bot", False),
    ("403 Forbidden", refusal(403, "Forbidden: bot was kicked from the group chat"), "dead", "add the bot to", False),
    ("400 Bad Request", refusal(400, "Bad Request: group chat was upgraded to a supergroup chat",
                                migrate_to_chat_id=-1009999999999), "dead", "store it here: -1009999999999", False),
    ("400 Bad Request", refusal(400, "Bad Request: something new"), "dead", "something new", False),
    ("502 Bad Gateway", refusal(502, "Bad Gateway"), "retry", "Bad Gateway", False),
    ("502 Bad Gateway", b"<html>", "retry", "502", False),
    ("404 Not Found", b"<html>nginx</html>", "dead", "404", True),
    ("403 Forbidden", b'{"ok": false}', "dead", "403", True),
    ("200 OK", b"<html>please sign in</html>", "dead", "does not answer so", True),
    ("200 OK", b'{"ok": false, "description": "no"}', "dead", "no", False),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "verdict", "said", "in_doubt"), ANSWERS)
async def test_answers(
    system_trust: ssl.SSLContext, status: str, body: bytes, verdict: str, said: str, in_doubt: bool
) -> None:
    attempt = await send(replies(status, body), system_trust)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)
    assert said in (attempt.error or "")


@pytest.mark.parametrize(("parameters", "wait"), [({"retry_after": 35}, 35), ({}, 3), ({"retry_after": "x"}, 3)])
async def test_a_limit_is_waited_for(system_trust: ssl.SSLContext, parameters: dict[str, Any], wait: int) -> None:
    body = refusal(429, "Too Many Requests: retry after 35", **parameters)
    attempt = await send(replies("429 Too Many Requests", body, retry_after="3"), system_trust)
    assert (attempt.verdict, attempt.retry_at) == ("retry", LATER + wait * clock.SECOND)


async def test_the_token_is_not_shown_where_an_answer_repeats_it(system_trust: ssl.SSLContext) -> None:
    body = refusal(404, f"Not Found: /bot{TOKEN}/sendMessage, /bot{TOKEN.replace(':', '%3A')}/sendMessage")
    attempt = await send(replies("404 Not Found", body), system_trust)
    assert "/bot••••/sendMessage, /bot••••/sendMessage" in (attempt.error or "")
    for script in (cuts, replies("302 Found", location=f"http://x/bot{TOKEN}/sendMessage")):
        assert TOKEN not in ((await send(script, system_trust)).error or TOKEN)


GOOD = {"chat_id": "-100123", "bot_token": TOKEN}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("chat_id", "maria", "A chat id is a number"),
        ("chat_id", "@ab", "A chat id is a number"),
        ("bot_token", "bot" + TOKEN, "a number, a colon"),
        ("bot_token", TOKEN + "/../x", "a number, a colon"),
        ("message_thread_id", 0, "whole number"),
        ("message_thread_id", True, "whole number"),
        ("message_thread_id", "5", "whole number"),
        ("api_url", "https://x.example/?a", "without ? or #"),
        ("api_url", "ftp://x.example", "scheme"),
    ],
)
def test_each_field_says_what_is_wrong_with_it(field: str, value: object, said: str) -> None:
    [error] = validate("telegram", "ops", {**GOOD, field: value}, LOOPBACK)
    assert error.pointer == f"/config/{field}"
    assert said in error.detail
