"""What PagerDuty is sent, after https://developer.pagerduty.com/docs/events-api-v2-overview."""

import json
from dataclasses import replace
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from rmactors import __version__
from rmactors.server.channels.pagerduty import payload
from rmactors.server.messages.notifications import GroupMember, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, GROUP, RAISE, REMINDER, RESOLUTION

URL = httpx.URL(payload.DEFAULT_URL)
KEY = "0123456789abcdef0123456789abcdef"
CONFIG = {"routing_key": KEY}


def event(notification: Notification) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload.render(notification, URL, CONFIG).read())
    return found


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, CONFIG)
    content = request.read()
    assert (request.method, request.url) == ("POST", URL)
    assert json.loads(content) == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": ALERT,
        "payload": {
            "summary": "[warning] nas1: backup_failed: Backup of home failed: wrong password",
            "source": "nas1",
            "severity": "warning",
            "timestamp": "2026-11-23T03:00:12.345Z",
            "component": "plan:home",
            "class": "backup_failed",
            "custom_details": {
                "Message": RAISE.message,
                "Raised at": "2026-11-23T03:00:12.345Z",
                "Severity": "warning",
                "Host": "nas1",
                "Kind": "backup_failed",
                "Alert": ALERT,
            },
        },
        "client": "restic-manager",
        "client_url": RAISE.link,
        "links": [{"href": RAISE.link, "text": "Open the alert"}],
    }
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "events.pagerduty.com"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", DELIVERY),
        ("Content-Length", str(len(content))),
    ]


def test_all_events_of_an_alert_are_about_one_incident() -> None:
    found = [event(each) for each in (RAISE, REMINDER, ACKNOWLEDGEMENT, RESOLUTION)]
    assert [each["event_action"] for each in found] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {each["dedup_key"] for each in found} == {ALERT}


def test_an_acknowledgement_says_who_and_why() -> None:
    details = event(ACKNOWLEDGEMENT)["payload"]["custom_details"]
    assert (details["By"], details["Note"]) == ("dana", "on it")


def test_a_page_to_act_on_is_a_second_link() -> None:
    assert event(replace(RAISE, act_link="https://rm.example.org/act/x"))["links"][1:] == [
        {"href": "https://rm.example.org/act/x", "text": "Acknowledge or silence"}
    ]


def test_an_alert_about_no_host_comes_from_this_server() -> None:
    found = event(replace(RAISE, host_name="", subject=""))["payload"]
    assert found["source"] == "restic-manager"
    assert "component" not in found
    about_a_channel = event(replace(RAISE, kind="channel_failing", subject="channel:01K9", host_name="phone"))[
        "payload"
    ]
    assert (about_a_channel["source"], about_a_channel["component"]) == ("restic-manager", "channel:01K9")


@given(
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), st.text(max_size=400), st.text(),
    st.text(max_size=3000), st.integers(1, 3000),
)  # fmt: skip
def test_whatever_a_host_says_the_limits_are_kept(
    notification: Notification, host: str, message: str, note: str, times: int
) -> None:
    hostile = replace(
        notification, host_name=host, message=message * times, note=note, actor=note, subject=note,
        group=tuple(GroupMember("01", "info", host, note, message * times) for _ in notification.group) * 50,
    )  # fmt: skip
    content = payload.render(hostile, URL, CONFIG).read()
    assert len(content) <= 512_000
    found = json.loads(content)
    assert 0 < len(found["payload"]["summary"]) <= 1024
    assert 0 < len(found["payload"]["source"]) <= 255
    assert 0 < len(found["dedup_key"]) <= 255
    assert found["payload"]["summary"].isprintable()
