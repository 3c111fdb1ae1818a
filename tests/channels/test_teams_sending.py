"""The Teams channel against a workflow that is as strict as Microsoft's documentation."""

import json
import ssl

import pytest

from rmactors.common import clock
from rmactors.server.channels.validation import validate
from rmactors.server.messages.notifications import Attempt, Notification
from tests.channels.chats import LOOPBACK, tell
from tests.channels.notifications import GROUP, LATER, RAISE, RESOLUTION
from tests.channels.receivers import Script, cuts, replies
from tests.channels.strict_teams import PATH, QUERY, SIG, StrictTeams


async def send(
    script: Script, trust: ssl.SSLContext, notification: Notification = RAISE, path: str = f"{PATH}?{QUERY}"
) -> Attempt:
    return await tell(script, trust, notification, "teams", lambda here: {"webhook_url": here + path})


def problem(code: str, message: str = "m") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


async def test_people_see_the_alert_and_its_end(system_trust: ssl.SSLContext) -> None:
    teams = StrictTeams()
    for notification in (RAISE, GROUP, RESOLUTION):
        attempt = await send(teams, system_trust, notification)
        assert (attempt.verdict, attempt.status_code, attempt.error) == ("delivered", 202, None)
    assert [shown["texts"][0] for shown in teams.shown] == [
        "🟠 [warning] nas1: backup_failed",
        "🔴 [critical] nas1: multiple",
        "✅ [warning] nas1: backup_failed (resolved)",
    ]


async def test_200_of_a_workflow_with_a_response_of_its_own_is_taken_as_well(system_trust: ssl.SSLContext) -> None:
    assert (await send(replies("200 OK", b"posted", content_type="text/plain"), system_trust)).verdict == "delivered"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/powerautomate/other", 404, "404 Not Found: WorkflowNotFound: the workflow was deleted"),
        (f"{PATH}?sig=wrong", 401, "401 Unauthorized: AuthorizationFailed: the URL is wrong"),
    ],
)
async def test_a_wrong_url_is_dead_at_once_and_says_what_to_do(
    system_trust: ssl.SSLContext, path: str, status: int, said: str
) -> None:
    attempt = await send(StrictTeams(), system_trust, path=path)
    assert (attempt.verdict, attempt.status_code, attempt.in_doubt) == ("dead", status, False)
    assert (attempt.error or "").startswith(said)


# what the workflow, or something before it, answers; what becomes of the message; a part of what is said; in doubt
ANSWERS = [
    ("404 Not Found", problem("WorkflowTriggerIsNotEnabled"), "dead", "switched off: switch it on", False),
    ("400 Bad Request", problem("SomethingNew", "no such thing"), "dead", "SomethingNew: no such thing", False),
    ("502 Bad Gateway", problem("NoResponse", "timed out"), "retry", "502 Bad Gateway: NoResponse: timed out", False),
    ("404 Not Found", b"<html>nginx</html>", "dead", "404", True),
    ("400 Bad Request", b'{"error": {"code": 3}}', "dead", "400", False),
    ("400 Bad Request", b'{"error": "plain"}', "dead", "plain", False),
    ("204 No Content", b"", "dead", "does not answer so", True),
]


@pytest.mark.parametrize(("status", "body", "verdict", "said", "in_doubt"), ANSWERS)
async def test_answers(
    system_trust: ssl.SSLContext, status: str, body: bytes, verdict: str, said: str, in_doubt: bool
) -> None:
    attempt = await send(replies(status, body), system_trust)
    assert (attempt.verdict, attempt.in_doubt) == (verdict, in_doubt)
    assert said in (attempt.error or "")


async def test_a_page_to_sign_in_is_no_workflow(system_trust: ssl.SSLContext) -> None:
    attempt = await send(replies("200 OK", b"<html>", content_type="text/html; charset=utf-8"), system_trust)
    assert (attempt.verdict, attempt.in_doubt) == ("dead", True)


async def test_a_limit_is_waited_for(system_trust: ssl.SSLContext) -> None:
    body = problem("WorkflowTriggerRunsRateLimited", "too many")
    attempt = await send(replies("429 Too Many Requests", body, retry_after="45"), system_trust)
    assert (attempt.verdict, attempt.retry_at) == ("retry", LATER + 45 * clock.SECOND)
    assert attempt.error == "429 Too Many Requests: WorkflowTriggerRunsRateLimited: too many"


async def test_no_part_of_the_url_is_shown_where_an_answer_repeats_it(system_trust: ssl.SSLContext) -> None:
    body = problem("X", f"no access to {PATH}?{QUERY} with {SIG}")
    assert SIG not in ((await send(replies("403 Forbidden", body), system_trust)).error or SIG)
    for script in (cuts, replies("302 Found", location=f"http://x{PATH}?{QUERY}")):
        assert SIG not in ((await send(script, system_trust)).error or SIG)


@pytest.mark.parametrize("host", ["acme.webhook.office.com", "outlook.office.com"])
def test_a_connector_which_microsoft_has_ended_is_refused(host: str) -> None:
    [error] = validate("teams", "ops", {"webhook_url": f"https://{host}/webhookb2/x"}, LOOPBACK)
    assert "make a workflow" in error.detail
