"""What a message to Telegram looks like: the shape of https://core.telegram.org/bots/api#sendmessage."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from rmactors.common.vocabulary import Priority, Severity
from rmactors.server.channels.registry import preview
from rmactors.server.channels.telegram.payload import payload
from rmactors.server.messages.notifications import Notification
from tests.channels.chats import ACT, ACTABLE, notifications, posted
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, GROUP, RAISE, REMINDER, RESOLUTION, spec
from tests.channels.strict_telegram import CHAT, TOKEN, TOPIC, StrictTelegram

LINK = f"https://rm.example.org/alerts/{ALERT}"
CONFIG: dict[str, Any] = {"chat_id": str(CHAT), "bot_token": TOKEN}


def test_a_raise_is_exactly_this() -> None:
    assert payload(RAISE, {**CONFIG, "message_thread_id": TOPIC}) == {
        "chat_id": CHAT,
        "text": "<b>🟠 [warning] nas1: backup_failed</b>\n"
        "<pre>Backup of home failed: wrong password</pre>\n"
        "Raised at: <code>2026-11-23T03:00:12.345Z</code>\n"
        "Severity: <code>warning</code>\n"
        "Host: <code>nas1</code>\n"
        "Kind: <code>backup_failed</code>\n"
        "\n"
        f'<a href="{LINK}">Open the alert</a>',
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": False,
        "message_thread_id": TOPIC,
    }


def test_a_public_channel_is_named_and_without_a_topic_there_is_none() -> None:
    found = payload(RAISE, {**CONFIG, "chat_id": "@my_backups"})
    assert found["chat_id"] == "@my_backups"
    assert "message_thread_id" not in found


@pytest.mark.parametrize(
    ("priority", "severity", "quiet"),
    [
        (None, "info", False), ("min", "info", True), ("low", "warning", True), ("default", "info", False),
        ("low", "critical", False),  # never
    ],
)  # fmt: skip
def test_a_low_priority_makes_no_sound(priority: Priority | None, severity: Severity, quiet: bool) -> None:
    assert payload(replace(RAISE, severity=severity), CONFIG, priority)["disable_notification"] is quiet


def shown(notification: Notification) -> dict[str, Any]:
    """What people see of it, at a receiver that takes no more than Telegram does."""
    telegram = StrictTelegram()
    telegram.take(posted(f"/bot{TOKEN}/sendMessage", payload(notification, CONFIG)))
    assert telegram.mentioned == []
    [found] = telegram.shown
    return found


def test_what_became_of_an_alert_has_a_sign_of_its_own() -> None:
    assert [shown(each)["text"].split("\n")[0] for each in (ACKNOWLEDGEMENT, RESOLUTION, REMINDER)] == [
        "👀 [warning] nas1: backup_failed (acknowledged)",
        "✅ [warning] nas1: backup_failed (resolved)",
        "🟠 Reminder: [warning] nas1: backup_failed",
    ]


def test_an_acknowledgement_says_who_and_the_note() -> None:
    text = shown(replace(ACKNOWLEDGEMENT, note="<b>@maria</b> & all"))["text"]
    assert "By: dana\nNote: <b>@maria</b> & all\n" in text


def test_a_page_to_act_on_is_a_second_link() -> None:
    assert shown(ACTABLE)["links"] == [("Open the alert", LINK), ("Acknowledge or silence", ACT)]


def test_a_link_that_telegram_would_drop_is_written_out() -> None:
    found = shown(replace(RAISE, link="http://nas:8080/alerts/1?a=1&b=2"))
    assert found["links"] == []
    assert found["text"].endswith("\nOpen the alert: http://nas:8080/alerts/1?a=1&b=2")


def test_a_group_is_a_list_with_an_end() -> None:
    lines = shown(replace(GROUP, group=GROUP.group * 500, message="1000 alerts:\n- …"))["text"].split("\n")
    assert lines[1:3] == ["1000 alerts:", "• [warning] backup_failed: Backup of home failed"]
    assert "… and 980 more" in lines


def test_nothing_a_host_says_mentions_anybody_or_is_markup() -> None:
    hostile = "@maria </pre><a href='https://evil.example'>x</a> &lt; &amp; /start #tag"
    text = shown(replace(RAISE, message=hostile, host_name="@maria"))["text"]
    assert f"\n{hostile}\n" in text
    assert text.startswith("🟠 [warning] @\u2060maria: backup_failed\n"), "an invisible sign behind the @"


@pytest.mark.parametrize("filler", ["x", "<", "&", "@", "😀"])
def test_the_whole_is_as_long_as_may_be_and_what_became_of_it_stays(filler: str) -> None:
    """Counted as Telegram counts: without markup, an emoji as two."""
    text = shown(replace(RESOLUTION, message=filler * 9000, note=filler * 500, actor=filler * 90))["text"]
    assert 4090 <= len(text.encode("utf-16-le")) // 2 <= 4096
    assert text.endswith("\nOpen the alert")


@given(notifications)
def test_telegram_takes_whatever_a_host_says_and_nobody_is_mentioned(notification: Notification) -> None:
    assert shown(notification)


def test_a_preview_hides_the_token_in_the_path() -> None:
    found = preview(spec("telegram", **CONFIG), RAISE, "https://rm.example.org")
    assert found.request is not None
    assert found.request["url"] == "https://api.telegram.org/bot••••/sendMessage"
    assert TOKEN not in str(found)
