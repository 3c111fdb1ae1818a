"""What a card for Teams looks like: the shape of https://adaptivecards.io/explorer/AdaptiveCard.html."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from rmactors.server.channels.registry import preview
from rmactors.server.channels.teams.payload import CONTENT_TYPE, MAX_WHOLE, payload
from rmactors.server.messages.notifications import Notification
from tests.channels.chats import ACT, ACTABLE, notifications, posted
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.strict_teams import PATH, QUERY, SIG, StrictTeams

LINK = f"https://rm.example.org/alerts/{ALERT}"


def test_a_raise_is_exactly_this() -> None:
    title = {"type": "TextBlock", "text": r"🟠 \[warning\] nas1: backup\_failed", "weight": "Bolder", "size": "Medium"}
    assert payload(RAISE) == {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": {"width": "Full"},
                    "body": [
                        {"type": "Container", "style": "warning", "bleed": True, "items": [{**title, "wrap": True}]},
                        {"type": "TextBlock", "text": "Backup of home failed: wrong password", "wrap": True},
                        {
                            "type": "FactSet",
                            "facts": [
                                {"title": "Raised at", "value": "2026-11-23T03:00:12.345Z"},
                                {"title": "Severity", "value": "warning"},
                                {"title": "Host", "value": "nas1"},
                                {"title": "Kind", "value": r"backup\_failed"},
                            ],
                        },
                    ],
                    "actions": [{"type": "Action.OpenUrl", "title": "Open the alert", "url": LINK}],
                },
            }
        ],
    }


def shown(notification: Notification) -> dict[str, Any]:
    """What people see of it, at a receiver that takes no more than Teams does."""
    teams = StrictTeams()
    teams.take(posted(f"{PATH}?{QUERY}", payload(notification), CONTENT_TYPE))
    assert teams.formatted == []
    [found] = teams.shown
    return found


def test_what_became_of_an_alert_has_a_sign_and_a_colour_of_its_own() -> None:
    ends = [replace(each, severity="critical") for each in (RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER)]
    assert [(shown(each)["texts"][0], shown(each)["styles"]) for each in ends] == [
        ("🔴 [critical] nas1: backup_failed", ["attention"]),
        ("👀 [critical] nas1: backup_failed (acknowledged)", ["emphasis"]),
        ("✅ [critical] nas1: backup_failed (resolved)", ["good"]),
        ("🔴 Reminder: [critical] nas1: backup_failed", ["attention"]),
    ]


def test_an_acknowledgement_says_who_and_the_note() -> None:
    note = "<at>Maria</at> **look**"
    assert shown(replace(ACKNOWLEDGEMENT, note=note))["facts"][-2:] == [("By", "dana"), ("Note", note)]


def test_a_page_to_act_on_is_a_second_link() -> None:
    assert shown(ACTABLE)["links"] == [("Open the alert", LINK), ("Acknowledge or silence", ACT)]


def test_a_group_is_a_list_with_an_end() -> None:
    many = replace(GROUP, group=GROUP.group * 500, message="1000 alerts:\n- …")
    lines = shown(many)["texts"][1].split("\n")
    assert lines[:2] == ["1000 alerts:", "• [warning] backup_failed: Backup of home failed"]
    assert lines[-1] == "… and 980 more"


def test_nothing_a_host_says_formats_anything_and_its_lines_are_kept() -> None:
    hostile = [
        "<at>Maria</at> **b** _i_ `c` ~~s~~ [x](https://evil.example) ![x](https://evil.example) &lt; \\*",
        "# h", "- l", "+ l", "* l", "1. n", "2) n", "> q", "---", "===", "| a | b |", "{{DATE(2026-11-23T03:00:12Z)}}",
    ]  # fmt: skip
    assert shown(replace(RAISE, message="\n".join(hostile)))["texts"][1].split("\n") == hostile
    assert shown(replace(RAISE, message="first\n\n      deep\n"))["texts"][1] == "first\ndeep", "no block of code"


@pytest.mark.parametrize("filler", ["x", "*", "😀", "\\", '"', "\n", "ä"])
def test_the_whole_stays_well_below_the_limit_however_bytes_are_counted(filler: str) -> None:
    long = replace(
        ACKNOWLEDGEMENT, message=filler * 9000, host_name="n" + filler * 199, actor=filler * 200, note=filler * 2000
    )
    group = replace(long, group=(replace(GROUP.group[0], message=filler * 2000),) * 100)
    for notification in (long, replace(group, event="alert.raised", act_link=ACT)):
        assert shown(notification)
        whole = json.dumps(payload(notification), ensure_ascii=False)
        assert max(len(whole.encode()), len(whole.encode("utf-16-le"))) < MAX_WHOLE * 3 / 4


@given(notifications)
def test_teams_takes_whatever_a_host_says_and_nothing_of_it_is_markup(notification: Notification) -> None:
    assert shown(notification)


def test_a_preview_hides_all_of_the_url_but_its_host() -> None:
    url = f"https://default.ab.api.powerplatform.com{PATH}?{QUERY}"
    found = preview(spec("teams", webhook_url=url), RAISE, "https://rm.example.org")
    assert found.request is not None
    assert found.request["url"] == "https://default.ab.api.powerplatform.com/••••"
    assert found.request["headers"]["Content-Type"] == "application/json; charset=utf-8"
    assert SIG not in str(found)
