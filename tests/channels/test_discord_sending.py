"""The Discord channel against a receiver that is as strict as Discord's documentation."""

import json
import ssl

import pytest

from rmactors.common import clock
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.chats import LOOPBACK, tell
from tests.channels.notifications import GROUP, LATER, RAISE, RESOLUTION
from tests.channels.receivers import Script, cuts, replies
from tests.channels.strict_discord import PATH, TOKEN, StrictDiscord

JSON = "application/json"


async def send(script: Script, trust: ssl.SSLContext, notification: Notification = RAISE, path: str = PATH) -> Attempt:
    return await tell(
        script, trust, notification, "discord", lambda here: {"webhook_url": here + path, "username": "rm"}
    )


async def test_people_see_the_alert_and_its_end(system_trust: ssl.SSLContext) -> None:
    discord = StrictDiscord()
    for notification in (RAISE, GROUP, RESOLUTION):
        attempt = await send(discord, system_trust, notification)
        assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 200, None)
    assert [shown["title"] for shown in discord.shown] == [
        "🟠 [warning] nas1: backup_failed",
        "🔴 [critical] nas1: multiple",
        "✅ [warning] nas1: backup_failed (resolved)",
    ]


async def test_204_is_taken_as_well(system_trust: ssl.SSLContext) -> None:
    attempt = await send(StrictDiscord(), system_trust, path=f"{PATH}?wait=false")
    assert (attempt.verdict, attempt.status_code) == ("delivered", 204)


async def test_a_success_whose_end_is_not_read_is_one(system_trust: ssl.SSLContext) -> None:
    body = json.dumps({"id": "1", "content": "x" * 9000}).encode()
    assert (await send(replies("200 OK", body), system_trust)).verdict == "delivered"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/webhooks/1/x", 404, "404 Not Found: Unknown Webhook (10015): the webhook was deleted"),
        (f"{PATH}x", 401, "401 Unauthorized: Invalid Webhook Token (50027): the URL is wrong"),
    ],
)
async def test_a_wrong_url_is_dead_at_once_and_says_what_to_do(
    system_trust: ssl.SSLContext, path: str, status: int, said: str
) -> None:
    attempt = await send(StrictDiscord(), system_trust, path=path)
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", status, False)
    assert (attempt.error or "").startswith(said)


async def test_a_refused_form_names_the_field(system_trust: ssl.SSLContext) -> None:
    errors = {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Must be 256 or fewer in length."}]}}}}
    body = json.dumps({"code": 50035, "message": "Invalid Form Body", "errors": errors}).encode()
    attempt = await send(replies("400 Bad Request", body), system_trust)
    assert attempt.verdict == "dead"
    assert attempt.error == (
        "400 Bad Request: Invalid Form Body; embeds.0.title: Must be 256 or fewer in length. (50035)"
    )


# what Discord, or something before it, answers; what becomes of the message; a part of what is said; in doubt
ANSWERS = [
    ("400 Bad Request", b'{"embeds": ["0"]}', "dead", "embeds", False),
    ("400 Bad Request", b'{"code": 1, "message": "m", "errors": {"_errors": 3, "a": [], "b": {"_errors": ["x"]}}}',
     "dead", "m", False),
    ("404 Not Found", b"<html>nginx</html>", "dead", "404", True),
    ("403 Forbidden", b'{"message": "error code: 1020"}', "dead", "1020", True),
    ("200 OK", b"<html>please sign in</html>", "dead", "does not answer so", True),
    ("202 Accepted", b"", "dead", "does not answer so", True),
    ("500 Internal Server Error", b'{"message": "500: Internal Server Error", "code": 0}', "retry", "500", False),
    ("503 Service Unavailable", b'{"message": "overloaded", "code": 130000}', "retry", "overloaded", False),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "verdict", "said", "in_doubt"), ANSWERS)
async def test_answers(
    system_trust: ssl.SSLContext, status: str, body: bytes, verdict: str, said: str, in_doubt: bool
) -> None:
    attempt = await send(replies(status, body), system_trust)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)
    assert said in (attempt.error or "")


@pytest.mark.parametrize(
    ("retry_after", "header", "wait"),
    [(64.57, "65", 64_570_000), (0.2, "1", 200_000), (3, "3", 3_000_000), ("soon", "7", 7_000_000),
     (True, "7", 7_000_000), (-1, "7", 7_000_000), (1e300, "7", 7_000_000)],
)  # fmt: skip
async def test_a_limit_is_waited_for_to_the_fraction_of_a_second(
    system_trust: ssl.SSLContext, retry_after: object, header: str, wait: int
) -> None:
    body = json.dumps({"message": "You are being rate limited.", "retry_after": retry_after, "global": False}).encode()
    attempt = await send(replies("429 Too Many Requests", body, retry_after=header), system_trust)
    assert (attempt.verdict, attempt.retry_at) == ("retry", LATER + wait)
    assert attempt.error == "429 Too Many Requests: You are being rate limited."


async def test_a_limit_of_what_stands_before_discord_is_waited_for_by_its_header(system_trust: ssl.SSLContext) -> None:
    attempt = await send(replies("429 Too Many Requests", b"error code: 1015", retry_after="600"), system_trust)
    assert (attempt.verdict, attempt.retry_at) == ("retry", LATER + 600 * clock.SECOND)


async def test_no_part_of_the_url_is_shown_where_an_answer_repeats_it(system_trust: ssl.SSLContext) -> None:
    body = json.dumps({"message": f"no such webhook {PATH} {TOKEN}", "code": 10015}).encode()
    attempt = await send(replies("404 Not Found", body), system_trust)
    assert "•••• ••••" in (attempt.error or "")
    for script in (cuts, replies("302 Found", location=f"http://x{PATH}")):
        assert TOKEN not in ((await send(script, system_trust)).error or TOKEN)


@pytest.mark.parametrize("name", ["everyone", "Here", "a@b", "Discord bot", "clydesdale", "x" * 81, "😀" * 41, " "])
def test_a_name_that_discord_refuses_is_refused_before(name: str) -> None:
    config = {"webhook_url": "https://discord.com/api/webhooks/1/t", "username": name}
    assert [error.pointer for error in validate("discord", "ops", config, LOOPBACK)] == ["/config/username"]


@pytest.mark.parametrize("end", ["/slack", "/github", "/slack/?wait=true"])
def test_the_addresses_for_other_programs_messages_are_refused(end: str) -> None:
    config = {"webhook_url": f"https://discord.com/api/webhooks/1/t{end}"}
    [error] = validate("discord", "ops", config, LOOPBACK)
    assert "Leave out" in error.detail
