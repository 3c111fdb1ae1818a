"""What a message to Discord looks like: the shape of https://discord.com/developers/docs/resources/webhook#execute-webhook."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from rmactors.server.channels.discord.payload import payload, webhook_url
from rmactors.server.channels.registry import preview
from rmactors.server.messages.notifications import Notification
from tests.channels.chats import ACT, ACTABLE, notifications, posted
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.strict_discord import PATH, TOKEN, StrictDiscord

LINK = f"https://rm.example.org/alerts/{ALERT}"


def test_a_raise_is_exactly_this() -> None:
    assert payload(RAISE, "backups") == {
        "username": "backups",
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": r"🟠 \[warning\] nas1: backup\_failed",
                "description": f"Backup of home failed: wrong password\n\n[Open the alert]({LINK})",
                "color": 0xF57C00,
                "fields": [
                    {"name": "Raised at", "value": "2026-11-23T03:00:12.345Z", "inline": True},
                    {"name": "Severity", "value": "warning", "inline": True},
                    {"name": "Host", "value": "nas1", "inline": True},
                    {"name": "Kind", "value": r"backup\_failed", "inline": True},
                ],
                "timestamp": "2026-11-23T03:00:12.345Z",
            }
        ],
    }
    assert "username" not in payload(RAISE)


def shown(notification: Notification) -> dict[str, Any]:
    """What people see of it, at a receiver that takes no more than Discord does."""
    discord = StrictDiscord()
    discord.take(posted(PATH, payload(notification)))
    assert (discord.notified, discord.formatted) == ([], [])
    [found] = discord.shown
    return found


def test_what_became_of_an_alert_has_a_sign_and_a_colour_of_its_own() -> None:
    looks = [(shown(each)["title"], shown(each)["color"]) for each in (ACKNOWLEDGEMENT, RESOLUTION, REMINDER)]
    assert looks == [
        ("👀 [warning] nas1: backup_failed (acknowledged)", 0x757575),
        ("✅ [warning] nas1: backup_failed (resolved)", 0x388E3C),
        ("🟠 Reminder: [warning] nas1: backup_failed", 0xF57C00),
    ]


def test_an_acknowledgement_says_who_and_the_note() -> None:
    note = "@everyone **look**"
    assert shown(replace(ACKNOWLEDGEMENT, note=note))["fields"][-2:] == [("By", "dana"), ("Note", note)]


def test_a_page_to_act_on_is_a_second_link() -> None:
    assert shown(ACTABLE)["links"] == [("Open the alert", LINK), ("Acknowledge or silence", ACT)]


def test_a_link_to_a_host_without_a_dot_is_taken_too() -> None:
    """As the embed's own `url`, it would have the message refused."""
    assert shown(replace(RAISE, link="http://nas:8080/alerts/(x)"))["links"] == [
        ("Open the alert", "http://nas:8080/alerts/%28x%29")
    ]


def test_a_group_is_a_list_with_an_end() -> None:
    many = replace(GROUP, group=GROUP.group * 500, message="1000 alerts:\n- …")
    lines = shown(many)["text"].split("\n")
    assert lines[:2] == ["1000 alerts:", "• [warning] backup_failed: Backup of home failed"]
    assert lines[-3] == "… and 980 more"


def test_nothing_a_host_says_notifies_formats_or_becomes_a_link() -> None:
    hostile = (
        "@everyone <@80351110224678912> **b** ||s|| [x](https://evil.example) https://evil.example \\* \n# h\n- l\n-# s"
    )
    assert shown(replace(RAISE, message=hostile))["text"] == f"{hostile}\n\nOpen the alert"


@pytest.mark.parametrize("filler", ["x", "*", "😀", "\\"])
def test_a_text_is_cut_before_it_is_escaped_and_fits_as_it_is_sent(filler: str) -> None:
    title = replace(
        ACKNOWLEDGEMENT, message=filler * 5000, host_name=filler * 200, actor=filler * 200, note=filler * 2000
    )
    assert shown(title)["text"].endswith(f"{filler}…\n\nOpen the alert")


@given(notifications)
def test_discord_takes_whatever_a_host_says_and_nobody_is_notified(notification: Notification) -> None:
    assert shown(notification)


@pytest.mark.parametrize(
    ("given", "posted_to"),
    [
        ("https://discord.com/api/webhooks/1/t", "https://discord.com/api/webhooks/1/t?wait=true"),
        (
            "https://discord.com/api/webhooks/1/t?thread_id=7",
            "https://discord.com/api/webhooks/1/t?thread_id=7&wait=true",
        ),
        ("https://discord.com/api/webhooks/1/t?wait=false", "https://discord.com/api/webhooks/1/t?wait=false"),
    ],
)
def test_discord_is_asked_to_say_what_became_of_the_message(given: str, posted_to: str) -> None:
    assert str(webhook_url(given)) == posted_to


def test_a_preview_hides_all_of_the_url_but_its_host() -> None:
    found = preview(spec("discord", webhook_url=f"https://discord.com{PATH}?thread_id=7"), RAISE, "https://x.example")
    assert found.request is not None
    assert found.request["url"] == "https://discord.com/••••?wait=true"
    assert TOKEN not in str(found)
