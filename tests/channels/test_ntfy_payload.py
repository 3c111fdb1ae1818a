"""What an ntfy request looks like."""

from dataclasses import replace
from email.header import decode_header, make_header

import httpx
import pytest

from rmactors import __version__
from rmactors.common.vocabulary import Event, Priority, Severity
from rmactors.server.channels.ntfy import payload
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, RAISE, REMINDER, RESOLUTION

CONFIG = {"server_url": "https://ntfy.example", "topic": "backups"}
URL = httpx.URL("https://ntfy.example/backups")


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, {**CONFIG, "access_token": "tk_abc"}, None)
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


def test_a_very_long_host_name_leaves_room_for_the_end_of_the_title() -> None:
    title = payload.title(replace(RESOLUTION, host_name="x" * 1000))
    assert len(title) == payload.MAX_TITLE_CHARACTERS
    assert title.endswith("… (resolved)")


def test_line_breaks_never_reach_a_header() -> None:
    request = payload.render(replace(RAISE, host_name="nas\r\nX-Evil: 1\0"), URL, CONFIG, None)
    assert request.headers["Title"] == "[warning] nas X-Evil: 1 backup_failed"


def test_a_message_is_printable_and_keeps_its_lines() -> None:
    notification = replace(RAISE, message="first\x1b[2J\r\nsecond\u202e\x00", host_name="nas\u202e\x1b1")
    request = payload.render(notification, URL, CONFIG, None)
    assert request.read().decode() == "first\ufffd[2J\nsecond\ufffd\ufffd"
    assert request.headers["Title"] == "[warning] nas 1 backup_failed"


@pytest.mark.parametrize("name", ["näs1", "сервер " * 20, "☃" * 70, "=?utf-8?q?evil?="])
def test_what_is_not_ascii_or_looks_encoded_goes_as_encoded_words(name: str) -> None:
    value = payload.encoded(name.strip())
    assert value.isascii()
    assert all(len(word) <= 75 for word in value.split(" "))
    assert str(make_header(decode_header(value))) == name.strip()


@pytest.mark.parametrize("filler", ["x", "ä", "€", "😀"])
def test_a_long_message_is_cut_between_characters_to_at_most_4096_bytes(filler: str) -> None:
    body = payload.render(replace(RAISE, message="m" + filler * 5000), URL, CONFIG, None).read()
    assert 4096 - 4 <= len(body) <= 4096
    assert body.decode().endswith(filler + "…")


def test_a_message_of_exactly_4096_bytes_is_left_alone() -> None:
    assert payload.render(replace(RAISE, message="x" * 4096), URL, CONFIG, None).read() == b"x" * 4096
