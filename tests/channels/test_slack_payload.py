"""What a message to Slack looks like: the shape of https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

import json
from dataclasses import replace

import httpx
from hypothesis import given

from rmactors import __version__
from rmactors.server.channels.registry import preview
from rmactors.server.channels.request import json_request
from rmactors.server.channels.slack.payload import payload
from tests.channels.chats import ACT, ACTABLE, notifications
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.receivers import Request
from tests.channels.strict_slack import PATH, StrictSlack

LINK = f"https://rm.example.org/alerts/{ALERT}"


def mrkdwn(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def test_a_raise_is_exactly_this() -> None:
    assert payload(RAISE) == {
        "text": "🟠 [warning] nas1: backup_failed",
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "🟠 [warning] nas1: backup_failed"}},
        ],
        "attachments": [
            {
                "color": "#f57c00",
                "blocks": [
                    {"type": "section", "text": mrkdwn("Backup of home failed: wrong password")},
                    {
                        "type": "context",
                        "elements": [
                            mrkdwn("*Raised at:* 2026-11-23T03:00:12.345Z"),
                            mrkdwn("*Severity:* warning"),
                            mrkdwn("*Host:* nas1"),
                            mrkdwn("*Kind:* backup_failed"),
                        ],
                    },
                    {"type": "section", "text": mrkdwn(f"<{LINK}|Open the alert>")},
                ],
            }
        ],
    }


def test_the_request_is_a_post_of_json_with_the_delivery_id() -> None:
    request = json_request(httpx.URL(f"https://hooks.slack.com{PATH}"), RAISE, payload(RAISE))
    assert request.method == "POST"
    body = request.read()
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "hooks.slack.com"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", DELIVERY),
        ("Content-Length", str(len(body))),
    ]


def shown(notification: object) -> dict[str, object]:
    """What people see of it, at a receiver that takes no more than Slack does."""
    slack = StrictSlack()
    body = json.dumps(payload(notification)).encode()  # type: ignore[arg-type]
    slack.take(Request(f"POST {PATH} HTTP/1.1", [], {"content-type": "application/json"}, body))
    assert slack.mentioned == []
    [found] = slack.shown
    return found


def test_what_became_of_an_alert_has_a_sign_and_a_colour_of_its_own() -> None:
    looks = [(shown(each)["header"], shown(each)["colours"]) for each in (ACKNOWLEDGEMENT, RESOLUTION, REMINDER)]
    assert looks == [
        ("👀 [warning] nas1: backup_failed (acknowledged)", ["#757575"]),
        ("✅ [warning] nas1: backup_failed (resolved)", ["#388e3c"]),
        ("🟠 Reminder: [warning] nas1: backup_failed", ["#f57c00"]),
    ]


def test_an_acknowledgement_says_who_and_the_note() -> None:
    context = shown(replace(ACKNOWLEDGEMENT, note="<!here> & now"))["context"]
    assert isinstance(context, list)
    assert context[-2:] == ["*By:* dana", "*Note:* <!here> & now"]


def test_a_page_to_act_on_is_a_second_link() -> None:
    assert shown(ACTABLE)["links"] == [("Open the alert", LINK), ("Acknowledge or silence", ACT)]


def test_a_group_is_a_list_with_an_end() -> None:
    [text, _] = shown(GROUP)["sections"]  # type: ignore[misc]
    assert text.split("\n") == [
        "2 alerts on nas1: backup_failed, check_failed",
        "• [warning] backup_failed: Backup of home failed",
        "• [critical] check_failed: Check found errors",
    ]
    many = replace(GROUP, group=GROUP.group * 500, message="1000 alerts:\n- …")
    [text, _] = shown(many)["sections"]  # type: ignore[misc]
    assert text.split("\n")[0] == "1000 alerts:"
    assert text.endswith("\n… and 980 more")


def test_nothing_a_host_says_mentions_anybody_or_becomes_a_link() -> None:
    hostile = "<!channel> <@U012AB3CD> <https://evil.example|https://rm.example.org> & more"
    found = shown(replace(RAISE, host_name=hostile, message=hostile))
    assert found["sections"] == [hostile, "Open the alert"]
    assert found["links"] == [("Open the alert", LINK)]


def test_a_text_is_cut_before_it_is_escaped_and_fits_as_it_is_sent() -> None:
    [text, _] = shown(replace(RAISE, message="&" * 5000))["sections"]  # type: ignore[misc]
    assert text == "&" * 599 + "…"  # of each of them five characters are sent


@given(notifications)
def test_slack_takes_whatever_a_host_says_and_nobody_is_mentioned(notification: object) -> None:
    assert shown(notification)


def test_a_preview_hides_all_of_the_url_but_its_host() -> None:
    found = preview(spec("slack", webhook_url=f"https://hooks.slack.com{PATH}"), RAISE, "https://rm.example.org")
    assert found.request is not None
    assert found.request["url"] == "https://hooks.slack.com/••••"
    assert "cccc" not in str(found)
