"""What Pushover is sent, after https://pushover.net/api."""

from dataclasses import replace
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors import __version__
from rmactors.common.vocabulary import Event, Priority, Severity
from rmactors.server.channels.pushover import payload
from rmactors.server.messages.notifications import GroupMember, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, RAISE, REMINDER, RESOLUTION

CONFIG = {"app_token": "a" * 30, "user_key": "u" * 30}
URL = httpx.URL("https://api.pushover.net/1/messages.json")


def form(notification: Notification, priority: Priority | None = None, **config: str) -> dict[str, str]:
    content = payload.render(notification, URL, CONFIG | config, priority).read().decode("ascii")
    pairs = parse_qsl(content, keep_blank_values=True, strict_parsing=True, errors="strict")
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, CONFIG, None)
    content = request.read()
    assert (request.method, request.url) == ("POST", URL)
    assert form(RAISE) == {
        "token": "a" * 30,
        "user": "u" * 30,
        "title": "[warning] nas1: backup_failed",
        "message": "Backup of home failed: wrong password",
        "priority": "1",
        "timestamp": "1795402812",
        "url": RAISE.link,
        "url_title": "Open the alert",
    }
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "api.pushover.net"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(content))),
    ]


def test_a_device_and_a_sound_are_named_where_they_are_set() -> None:
    found = form(RAISE, device="phone, tablet", sound="siren")
    assert (found["device"], found["sound"]) == ("phone,tablet", "siren")


def test_an_acknowledgement_says_who_and_why_and_a_page_to_act_on_is_a_link_in_the_text() -> None:
    assert form(ACKNOWLEDGEMENT)["message"].splitlines()[1:] == ["By: dana", "Note: on it"]
    found = form(replace(RAISE, message="x" * 3000, act_link="https://rm.example.org/act/x"))["message"]
    assert found.splitlines()[-1] == "Acknowledge or silence: https://rm.example.org/act/x"
    assert len(found) == 1024


def test_a_link_that_is_too_long_is_left_out_for_pushover_would_refuse_the_message() -> None:
    assert "url" not in form(replace(RAISE, link=""))
    found = form(replace(RAISE, link="https://rm.example.org/" + "x" * 600))
    assert "url" not in found
    assert "url_title" not in found


@pytest.mark.parametrize(
    ("severity", "event", "default", "number"),
    [
        ("critical", "alert.raised", None, 1),  # 2 would sound until acknowledged there
        ("critical", "alert.raised", "min", 1),
        ("critical", "alert.resolved", None, 0),
        ("warning", "alert.raised", None, 1),
        ("warning", "alert.raised", "low", -1),
        ("warning", "alert.raised", "urgent", 1),
        ("warning", "alert.resolved", "min", -2),
        ("info", "alert.raised", None, 0),
        ("info", "alert.test", "high", 1),
    ],
)
def test_priority(severity: Severity, event: Event, default: Priority | None, number: int) -> None:
    assert form(replace(RAISE, severity=severity, event=event), default)["priority"] == str(number)


@given(
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), st.text(max_size=400), st.text(),
    st.text(max_size=800), st.text(max_size=700), st.integers(1, 2000),
)  # fmt: skip
def test_whatever_a_host_says_the_limits_are_kept(
    notification: Notification, host: str, message: str, note: str, path: str, times: int
) -> None:
    hostile = replace(
        notification, host_name=host, message=message * times, note=note, actor=note,
        link=f"https://rm.example.org/{path}", act_link=f"https://rm.example.org/{path}",
        group=tuple(GroupMember("01", "info", host, note, message * times) for _ in notification.group) * 50,
    )  # fmt: skip
    found = form(hostile)
    assert 0 < len(found["title"]) <= 250
    assert 0 < len(found["message"].strip()) <= 1024
    assert len(found.get("url", "")) <= 512
    assert len(found.get("url_title", "")) <= 100
