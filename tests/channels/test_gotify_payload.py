"""What a message to Gotify looks like, after https://gotify.net/api-docs and https://gotify.net/docs/msgextras."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors import __version__
from rmactors.common.vocabulary import Event, Priority, Severity
from rmactors.server.channels.gotify import payload
from rmactors.server.messages.notifications import GroupMember, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, GROUP, OF_HOSTS, RAISE, REMINDER, RESOLUTION

URL = httpx.URL("https://push.example/message")


def body(notification: Notification, default: Priority | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload.body(notification, default))
    return found


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, {"app_token": "AbCdEf"}, None)
    assert (request.method, request.url) == ("POST", URL)
    content = request.read()
    assert json.loads(content) == {
        "title": "[warning] nas1: backup_failed",
        "message": f"Backup of home failed: wrong password\nOpen the alert: {RAISE.link}",
        "priority": 8,
        "extras": {
            "client::display": {"contentType": "text/plain"},
            "client::notification": {"click": {"url": RAISE.link}},
        },
    }
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "push.example"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("X-Gotify-Key", "AbCdEf"),
        ("Content-Length", str(len(content))),
    ]


def test_a_server_may_stand_below_a_path() -> None:
    assert payload.message_url({"server_url": "https://push.example/gotify/"}) == "https://push.example/gotify/message"


def test_an_acknowledgement_says_who_and_why() -> None:
    found = body(ACKNOWLEDGEMENT)
    assert found["title"] == "[warning] nas1: backup_failed (acknowledged)"
    assert found["message"].splitlines()[1:3] == ["By: dana", "Note: on it"]


def test_a_page_to_act_on_is_a_second_link() -> None:
    found = body(replace(RAISE, act_link="https://rm.example.org/act/x"))
    assert found["message"].splitlines()[-1] == "Acknowledge or silence: https://rm.example.org/act/x"
    assert found["extras"]["client::notification"]["click"]["url"] == RAISE.link


def test_a_group_over_hosts_is_told_as_it_counts_and_names_itself() -> None:
    assert OF_HOSTS.message in body(OF_HOSTS)["message"]


def test_a_group_lists_its_first_ten_and_how_many_more() -> None:
    assert body(GROUP)["message"].splitlines()[:3] == [
        "2 alerts:",
        "- [warning] backup_failed: Backup of home failed",
        "- [critical] check_failed: Check found errors",
    ]
    member = GroupMember("01", "warning", "backup_failed", "", "x" * 5000)
    many = body(replace(GROUP, group=(member,) * 40))["message"].splitlines()
    assert many[0] == "40 alerts:"
    assert many[11] == "and 30 more"
    assert all(len(line) <= 200 for line in many)


def test_a_group_over_hosts_is_told_as_it_is_counted() -> None:
    said = (
        "40 alerts of 40 hosts (repository main):\n- [warning] nas1: backup_failed: no\nand 39 more\n3 are still open"
    )
    found = body(replace(GROUP, message=said, group_count=40))["message"]
    assert found == f"{said}\nOpen the alert: {RAISE.link}"


def test_an_empty_message_which_gotify_refuses_is_the_title() -> None:
    assert body(replace(RAISE, message=" \n"))["message"].splitlines()[0] == "[warning] nas1: backup_failed"


@pytest.mark.parametrize(
    ("severity", "event", "default", "number"),
    [
        ("critical", "alert.raised", None, 10),
        ("critical", "alert.raised", "min", 10),  # always
        ("critical", "alert.resolved", None, 5),  # an end is never urgent
        ("warning", "alert.raised", None, 8),
        ("warning", "alert.raised", "low", 3),
        ("warning", "alert.reminder", "urgent", 10),
        ("warning", "alert.resolved", "min", 1),  # lower stays lower
        ("info", "alert.raised", None, 5),
        ("info", "alert.raised", "high", 8),
        ("warning", "alert.acknowledged", "high", 5),
    ],
)
def test_priority(severity: Severity, event: Event, default: Priority | None, number: int) -> None:
    assert body(replace(RAISE, severity=severity, event=event), default)["priority"] == number


@given(
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), st.text(max_size=300), st.text(),
    st.text(max_size=400),
    st.integers(1, 5000),
)  # fmt: skip
def test_whatever_a_host_says_is_a_message_of_bounded_length(
    notification: Notification, host: str, message: str, note: str, times: int
) -> None:
    found = body(replace(notification, host_name=host, message=message * times, note=note, actor=note))
    assert 0 < len(found["message"]) <= payload.MAX_MESSAGE
    assert 0 < len(found["title"]) <= 200
    assert found["title"].isprintable()
    assert found["message"].replace("\n", "").isprintable()
    assert found["message"].splitlines()[-1] == f"Open the alert: {RAISE.link}"
