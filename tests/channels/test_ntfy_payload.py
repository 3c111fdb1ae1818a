"""What an ntfy request looks like."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from email.header import decode_header, make_header

import httpx
import pytest

from rmactors import __version__
from rmactors.common.vocabulary import Event, Priority, Severity
from rmactors.server.channels.ntfy import payload
from rmactors.server.messages.notifications import Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, DIGEST, GROUP, RAISE, REMINDER, RESOLUTION

CONFIG = {"server_url": "https://ntfy.example", "topic": "backups"}
URL = httpx.URL("https://ntfy.example/backups")


def rendered(notification: Notification, config: Mapping[str, str] = CONFIG) -> httpx.Request:
    return payload.render(notification, URL, config, None, payload.body(notification))


def test_a_raise_is_exactly_this() -> None:
    request = rendered(RAISE, {**CONFIG, "access_token": "tk_abc"})
    assert (request.method, request.url) == ("POST", URL)
    assert request.read() == b"Backup of home failed: wrong password"
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "ntfy.example"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "text/plain"),
        ("Title", "[warning] nas1 backup_failed"),
        ("Tags", "warning,backup_failed"),
        ("Click", f"https://rm.example.org/alerts/{ALERT}"),
        ("Priority", "4"),
        ("Sequence-ID", ALERT),
        (
            "Actions",
            f'[{{"action":"view","label":"View the alert","url":"https://rm.example.org/alerts/{ALERT}"}}]',
        ),
        ("Authorization", "Bearer tk_abc"),
        ("Content-Length", "37"),
    ]


def test_without_a_server_it_is_ntfy_sh_and_a_slash_at_the_end_is_no_second_one() -> None:
    assert payload.topic_url({"topic": "t"}) == "https://ntfy.sh/t"
    assert payload.topic_url({"topic": "t", "server_url": "https://ntfy.example/sub/"}) == "https://ntfy.example/sub/t"


@pytest.mark.parametrize(
    ("severity", "event", "default", "number"),
    [
        ("critical", "alert.raised", None, 5),
        ("critical", "alert.raised", "min", 5),  # always
        ("critical", "alert.resolved", None, 3),  # an end is never urgent
        ("critical", "alert.acknowledged", "urgent", 3),
        ("warning", "alert.raised", None, 4),
        ("warning", "alert.raised", "low", 2),
        ("warning", "alert.raised", "urgent", 5),
        ("warning", "alert.reminder", "high", 4),
        ("warning", "alert.resolved", "min", 1),  # lower stays lower
        ("info", "alert.raised", None, 3),
        ("info", "alert.test", "default", 3),
        ("info", "alert.raised", "high", 4),
    ],
)
def test_priority(severity: Severity, event: Event, default: Priority | None, number: int) -> None:
    assert payload.priority(replace(RAISE, severity=severity, event=event), default) == number


def test_the_title_says_what_became_of_the_alert() -> None:
    assert payload.title(ACKNOWLEDGEMENT) == "[warning] nas1 backup_failed (acknowledged)"
    assert payload.title(RESOLUTION) == "[warning] nas1 backup_failed (resolved)"
    assert payload.title(REMINDER) == "[warning] nas1 backup_failed"


def test_a_digest_is_titled_by_what_it_says_first_and_opens_the_dashboard() -> None:
    assert payload.title(DIGEST) == "Digest: 1 of 2 hosts needs a look"
    assert json.loads(payload.actions(DIGEST))[0]["label"] == "View the dashboard"


def test_a_very_long_host_name_leaves_room_for_the_end_of_the_title() -> None:
    title = payload.title(replace(RESOLUTION, host_name="x" * 1000))
    assert len(title) == payload.MAX_TITLE_CHARACTERS
    assert title.endswith("… (resolved)")


def test_line_breaks_never_reach_a_header() -> None:
    request = rendered(replace(RAISE, host_name="nas\r\nX-Evil: 1\0"))
    assert request.headers["Title"] == "[warning] nas X-Evil: 1 backup_failed"


def test_a_message_is_printable_and_keeps_its_lines() -> None:
    notification = replace(RAISE, message="first\x1b[2J\r\nsecond\u202e\x00", host_name="nas\u202e\x1b1")
    request = rendered(notification)
    assert request.read().decode() == "first\ufffd[2J\nsecond\ufffd\ufffd"
    assert request.headers["Title"] == "[warning] nas 1 backup_failed"


@pytest.mark.parametrize("name", ["näs1", "сервер " * 20, "☃" * 70, "=?utf-8?q?evil?="])
def test_what_is_not_ascii_or_looks_encoded_goes_as_encoded_words(name: str) -> None:
    value = payload.encoded(name.strip())
    assert value.isascii()
    assert all(len(word) <= 75 for word in value.split(" "))
    assert str(make_header(decode_header(value))) == name.strip()


@pytest.mark.parametrize("filler", ["x", "ä", "€", "😀"])
def test_a_long_message_is_cut_between_characters_to_at_most_4095_bytes(filler: str) -> None:
    body = rendered(replace(RAISE, message="m" + filler * 5000)).read()
    assert 4095 - 4 <= len(body) <= 4095
    assert body.decode().endswith(filler + "…")


def test_a_message_of_exactly_4095_bytes_is_left_alone_and_one_of_4096_is_cut() -> None:
    assert rendered(replace(RAISE, message="x" * 4095)).read() == b"x" * 4095
    assert rendered(replace(RAISE, message="x" * 4096)).read() == b"x" * 4092 + "…".encode()


def test_what_was_too_long_goes_on_in_steps_until_it_is_short() -> None:
    assert [payload.next_limit(refused) for refused in (4095, 1024, 1023, 256, 255, 3)] == [
        1023, 1023, 255, 255, None, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("notification", "own"),
    [
        (RAISE, False),
        (ACKNOWLEDGEMENT, False),  # changes the raise that a phone shows
        (RESOLUTION, False),
        (replace(RAISE, again=True), True),  # it got worse: a change of what is shown makes no sound
        (REMINDER, True),
        (GROUP, True),  # it stands for others as well, and must not be overwritten when the first of them ends
        (replace(GROUP, event="alert.resolved"), True),
        (replace(RAISE, event="alert.test"), True),
    ],
)
def test_what_updates_the_alerts_notification_and_what_is_one_of_its_own(notification: Notification, own: bool) -> None:
    found = payload.sequence_id(replace(notification, delivery_id=DELIVERY, alert_id=ALERT))
    assert found == (DELIVERY if own else ALERT)
    assert re.fullmatch(r"[-_A-Za-z0-9]{1,64}", found), "what ntfy takes as an id"


@pytest.mark.parametrize(
    ("severity", "event", "tags"),
    [
        ("critical", "alert.raised", "critical,backup_failed,rotating_light"),
        ("warning", "alert.raised", "warning,backup_failed"),  # an emoji itself
        ("info", "alert.reminder", "info,backup_failed,information_source"),
        ("critical", "alert.acknowledged", "critical,backup_failed,eyes"),
        ("warning", "alert.resolved", "warning,backup_failed,white_check_mark"),
    ],
)
def test_tags_are_severity_and_kind_and_behind_them_an_emoji(severity: Severity, event: Event, tags: str) -> None:
    assert rendered(replace(RAISE, severity=severity, event=event)).headers["Tags"] == tags


def test_one_button_opens_the_alert_and_one_the_page_to_act_on_it() -> None:
    act = 'https://rm.example.org/act/a;b,c=?"x'
    link = "https://rm.müller.example/alerts/x"
    header = rendered(replace(RAISE, act_link=act, link=link)).headers["Actions"]
    assert header.isascii()
    assert json.loads(str(make_header(decode_header(header)))) == [
        {"action": "view", "label": "View the alert", "url": link},
        {"action": "view", "label": "Acknowledge or silence", "url": act},
    ]


def test_the_button_of_a_test_message_opens_the_channel() -> None:
    [button] = json.loads(payload.actions(replace(RAISE, event="alert.test")))
    assert button["label"] == "View the channel"
