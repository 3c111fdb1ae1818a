"""What is posted to Alertmanager, after https://prometheus.io/docs/alerting/latest/alerts_api/ and its openapi.yaml."""

import base64
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors import __version__
from rmactors.common import clock
from rmactors.server.channels.alertmanager import payload
from rmactors.server.messages.notifications import Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, GROUP, RAISE, REMINDER, RESOLUTION

URL = httpx.URL("http://alerts.example:9093/api/v2/alerts")
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def posted(notification: Notification) -> dict[str, Any]:
    [found] = payload.alerts(notification)
    return found


def faults(alert: dict[str, Any]) -> list[str]:
    """What the strictest of the versions about (0.25) has against an alert."""
    found = []
    for part in ("labels", "annotations"):
        found += [f"invalid name {name!r}" for name in alert[part] if not NAME.fullmatch(name)]
        found += [f"{name} is no text" for name, value in alert[part].items() if not isinstance(value, str)]
    if not any(alert["labels"].values()):
        found.append("at least one label pair required")
    times = [alert["startsAt"], alert["endsAt"]]
    if not all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times):
        found.append("not RFC 3339 with a zone")
    elif datetime.fromisoformat(times[1]) < datetime.fromisoformat(times[0]):
        found.append("start time must be before end time")
    if (url := alert.get("generatorURL")) is not None:
        parts = urlsplit(url)
        bad = not url.isascii() or re.search(r"[\s\x00-\x1f]|%(?![0-9a-fA-F]{2})", url)
        if bad or parts.scheme not in ("http", "https") or not parts.netloc:
            found.append("must be of type uri")
    return found


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, {})
    content = request.read()
    assert (request.method, request.url) == ("POST", URL)
    assert json.loads(content) == [
        {
            "labels": {
                "alertname": "backup_failed", "severity": "warning", "service": "restic-manager", "host": "nas1",
                "plan": "home",
            },
            "annotations": {
                "summary": "[warning] nas1: backup_failed",
                "description": "Backup of home failed: wrong password",
                "alert_id": ALERT,
                "link": RAISE.link,
            },
            "startsAt": "2026-11-23T03:00:12.345Z",
            "endsAt": "2027-11-24T03:00:12.345Z",
            "generatorURL": RAISE.link,
        }
    ]  # fmt: skip
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "alerts.example:9093"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
    ]


def test_all_that_is_sent_of_one_alert_has_the_same_labels_and_start() -> None:
    whole_life = [RAISE, REMINDER, ACKNOWLEDGEMENT, RESOLUTION]
    found = [posted(replace(each, message=f"now: {each.event}")) for each in whole_life]
    assert len({json.dumps(each["labels"]) for each in found}) == 1
    assert len({each["startsAt"] for each in found}) == 1


def test_a_resolution_ends_it_when_it_was_resolved_and_says_by_whom() -> None:
    found = posted(replace(RESOLUTION, actor="dana", note="disk changed"))
    assert found["endsAt"] == "2026-11-23T04:30:00.000Z"
    assert found["annotations"] == {
        "summary": "[warning] nas1: backup_failed (resolved)",
        "description": RAISE.message,
        "alert_id": ALERT,
        "link": RAISE.link,
        "resolved_by": "dana",
        "note": "disk changed",
    }


def test_an_acknowledgement_leaves_it_open_and_is_an_annotation() -> None:
    found = posted(ACKNOWLEDGEMENT)
    assert found["endsAt"] == "2027-11-24T04:30:00.000Z"
    assert (found["annotations"]["acknowledged_by"], found["annotations"]["note"]) == ("dana", "on it")


def test_a_test_is_over_by_itself() -> None:
    found = posted(replace(RAISE, event="alert.test", kind="test", subject="", host_name="restic-manager"))
    assert found["labels"] == {
        "alertname": "test", "severity": "warning", "service": "restic-manager", "host": "restic-manager",
    }  # fmt: skip
    assert (found["startsAt"], found["endsAt"]) == ("2026-11-23T03:00:12.345Z", "2026-11-23T03:05:12.345Z")


def test_an_end_is_never_before_its_start_also_where_a_clock_was_set_back() -> None:
    found = posted(replace(RESOLUTION, occurred_at=RAISE.raised_at - clock.HOUR))
    assert found["endsAt"] == found["startsAt"]


@pytest.mark.parametrize(
    ("subject", "label"),
    [
        ("plan:home", ("plan", "home")),
        ("01K9XZ3V8T5WQ1R7M2N4P6S8SS", ("schedule", "01K9XZ3V8T5WQ1R7M2N4P6S8SS")),
        ("channel:01K9", ("channel", "01K9")),
        ("host:x", ("subject", "host:x")),  # what is known already is not written over
        ("größe-x:y", ("subject", "größe-x:y")),
    ],
)
def test_what_it_is_about_is_a_label(subject: str, label: tuple[str, str]) -> None:
    assert label in posted(replace(RAISE, subject=subject))["labels"].items()


def test_an_alert_about_a_channel_is_about_no_host() -> None:
    found = posted(replace(RAISE, kind="channel_failing", subject="channel:01K9", host_name="phone", host_id=""))
    assert found["labels"] == {
        "alertname": "channel_failing", "severity": "warning", "service": "restic-manager", "channel": "01K9",
    }  # fmt: skip


@pytest.mark.parametrize("link", ["foo", "http://exa mple/x", "https://h.example/%zz", "javascript:alert(1)", ""])
def test_a_link_that_is_no_uri_is_left_out_for_it_would_mute_the_alert(link: str) -> None:
    assert "generatorURL" not in posted(replace(RAISE, link=link))


def test_a_page_to_act_on_is_an_annotation() -> None:
    assert posted(replace(RAISE, act_link="https://rm.example.org/act/x"))["annotations"]["act_link"] == (
        "https://rm.example.org/act/x"
    )


def test_a_grouped_message_from_before_is_each_of_its_alerts() -> None:
    found = payload.alerts(GROUP)
    assert [(each["labels"]["alertname"], each["labels"]["severity"]) for each in found] == [
        ("backup_failed", "warning"),
        ("check_failed", "critical"),
    ]
    assert found[1]["annotations"]["link"].endswith("/alerts/01K9XZ3V8T5WQ1R7M2N4P6S8BB")


def test_a_user_or_a_token_goes_into_the_header() -> None:
    def header(**config: str) -> str | None:
        value: str | None = payload.render(RAISE, URL, config).headers.get("Authorization")
        return value

    assert header(bearer_token=" abc ") == "Bearer abc"
    given = header(username="rm", password="pass:wörd") or ""
    assert base64.b64decode(given.removeprefix("Basic ")).decode() == "rm:pass:wörd"
    assert header(username="rm") == "Basic " + base64.b64encode(b"rm:").decode()
    assert header() is None


def test_an_address_may_have_a_path() -> None:
    assert payload.alerts_url({"url": "http://h:9093/am/"}) == "http://h:9093/am/api/v2/alerts"


@given(
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), st.text(max_size=60), st.text(),
    st.text(max_size=80), st.text(max_size=60), st.integers(-(2**61), 2**61),
)  # fmt: skip
def test_whatever_a_host_says_is_an_alert_that_the_strictest_version_takes(
    notification: Notification, host: str, message: str, note: str, link: str, occurred_at: int
) -> None:
    hostile = replace(
        notification, host_name=host, message=message * 50, note=note, actor=note, subject=message[:40],
        link=f"https://rm.example.org/{link}", act_link=link, occurred_at=occurred_at,
    )  # fmt: skip
    for alert in json.loads(payload.render(hostile, URL, {}).read()):
        assert faults(alert) == []
        assert all(len(value) <= payload.MAX_TEXT for value in alert["annotations"].values())
