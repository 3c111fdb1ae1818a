"""The Slack channel against a receiver that is as strict as Slack's documentation."""

import json
import ssl

import pytest

from rmactors.common import clock
from rmactors.server.messages.notifications import Attempt
from tests.channels.chats import tell
from tests.channels.notifications import GROUP, LATER, RAISE, RESOLUTION
from tests.channels.receivers import Script, cuts, replies
from tests.channels.strict_slack import PATH, StrictSlack

TOKEN = PATH.rpartition("/")[2]


async def send(script: Script, trust: ssl.SSLContext, notification: object = RAISE, path: str = PATH) -> Attempt:
    return await tell(script, trust, notification, "slack", lambda here: {"webhook_url": here + path})  # type: ignore[arg-type]


async def test_people_see_the_alert_and_its_end(system_trust: ssl.SSLContext) -> None:
    slack = StrictSlack()
    for notification in (RAISE, GROUP, RESOLUTION):
        attempt = await send(slack, system_trust, notification)
        assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 200, None)
    assert [shown["text"] for shown in slack.shown] == [
        "🟠 [warning] nas1: backup_failed",
        "🔴 [critical] nas1: multiple",
        "✅ [warning] nas1: backup_failed (resolved)",
    ]


# what Slack answers, what becomes of the message, a part of what is said, whether it may be another's answer
ANSWERS = [
    ("404 Not Found", b"no_service", "dead", "make a new webhook in Slack", False),
    ("403 Forbidden", b"invalid_token", "dead", "the URL is wrong", False),
    ("403 Forbidden", b"action_prohibited", "dead", "administrator", False),
    ("404 Not Found", b"channel_not_found", "dead", "the channel is not there", False),
    ("410 Gone", b"channel_is_archived", "dead", "archived", False),
    ("400 Bad Request", b"invalid_payload", "dead", "does not take this message", False),
    ("500 Server Error", b"rollup_error", "retry", "rollup_error", False),
    ("503 Service Unavailable", b"<html>busy</html>", "retry", "busy", False),
    ("404 Not Found", b"<html>nginx</html>", "dead", "404", True),  # an ingress, perhaps
    ("200 OK", b"<html>please sign in</html>", "dead", "does not answer so", True),  # a captive portal, perhaps
    ("204 No Content", b"", "dead", "does not answer so", True),
    ("302 Found", b"", "dead", "redirects are not followed", True),
]


@pytest.mark.parametrize(("status", "body", "verdict", "said", "in_doubt"), ANSWERS)
async def test_answers(
    system_trust: ssl.SSLContext, status: str, body: bytes, verdict: str, said: str, in_doubt: bool
) -> None:
    attempt = await send(replies(status, body, content_type="text/html"), system_trust)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)
    assert said in (attempt.error or "")


async def test_a_limit_is_waited_for(system_trust: ssl.SSLContext) -> None:
    body = json.dumps({"ok": False, "error": "rate_limited"}).encode()
    attempt = await send(replies("429 Too Many Requests", body, retry_after="30"), system_trust)
    assert attempt.verdict == "retry"
    assert attempt.retry_at == LATER + 30 * clock.SECOND
    assert attempt.error == "429 Too Many Requests: rate_limited"


@pytest.mark.parametrize("echo", ["{path}", "{token}", "http://x{path}", "no such hook: /services/…/{token}"])
async def test_no_part_of_the_url_is_shown_where_an_answer_repeats_it(system_trust: ssl.SSLContext, echo: str) -> None:
    said = echo.format(path=PATH, token=TOKEN)
    for script in (replies("400 Bad Request", said.encode()), replies("301 Moved Permanently", location=said)):
        attempt = await send(script, system_trust)
        assert attempt.error is not None
        assert "••••" in attempt.error
        assert TOKEN not in attempt.error


async def test_nothing_of_the_url_is_in_what_is_said_of_a_broken_connection(system_trust: ssl.SSLContext) -> None:
    attempt = await send(cuts, system_trust)
    assert attempt.verdict == "retry"
    assert "services" not in (attempt.error or "services")


async def test_a_wrong_url_is_dead_at_once_and_says_what_to_do(system_trust: ssl.SSLContext) -> None:
    attempt = await send(StrictSlack(), system_trust, path="/services/T0AAAAAAA/B0BBBBBBB/another")
    assert (attempt.verdict, attempt.status_code) == ("dead", 404)
    assert attempt.error == (
        "404 Not Found: no_service: the webhook was removed or switched off: make a new webhook in Slack,"
        " and store its URL here"
    )
