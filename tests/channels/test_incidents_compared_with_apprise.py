"""Second opinion on Gotify, Pushover, PagerDuty and Matrix: what Apprise sends there, field by field, and what it calls
a success. It knows no Alertmanager. A field that only one of us has stands here with the reason."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from rmactors.server.channels.gotify import answers as gotify_answers
from rmactors.server.channels.gotify import payload as gotify
from rmactors.server.channels.matrix import answers as matrix_answers
from rmactors.server.channels.matrix import payload as matrix
from rmactors.server.channels.pagerduty import answers as pagerduty_answers
from rmactors.server.channels.pagerduty import payload as pagerduty
from rmactors.server.channels.pushover import answers as pushover_answers
from rmactors.server.channels.pushover import payload as pushover
from tests.channels import test_compared_with_apprise as shared
from tests.channels.notifications import LATER, RAISE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::SyntaxWarning")

sink = shared.sink
TOKEN, USER, ROUTING_KEY, ROOM = "a" * 30, "u" * 30, "0123456789abcdef" * 2, "!abc:h.example"
MATRIX_CONFIG = {"homeserver_url": "https://h.example", "room_id": ROOM, "access_token": "syt_x"}


@dataclass(frozen=True)
class Case:
    """One receiver: Apprise's URL for it, our request, its answer to a message, and the fields that differ."""

    url: str
    ours: httpx.Request
    answer: bytes
    only_theirs: dict[str, str]
    only_ours: dict[str, str]
    texts: Callable[[dict[str, Any]], str]
    """Title and text in one, as either of us has them."""


CASES = {
    "gotify": Case(
        "gotify://push.example/AbCdEf123456789",
        gotify.render(RAISE, httpx.URL("http://push.example/message"), {"app_token": "AbCdEf123456789"}, None),
        b'{"id": 1, "appid": 5}',
        {},
        {
            "extras.client::display.contentType": "plain is the default, and a host's words must not be Markdown",
            "extras.client::notification.click.url": "a tap leads to the alert",
        },
        lambda sent: f"{sent['title']}\n{sent['message']}",
    ),
    "pushover": Case(
        f"pover://{USER}@{TOKEN}",
        pushover.render(RAISE, httpx.URL("https://api.pushover.net/1/messages.json"),
                        {"app_token": TOKEN, "user_key": USER}, None),
        b'{"status": 1}',
        {"sound": "theirs names the default, ours leaves it to the user", "device": "left out means all"},
        {"timestamp": "when it happened, not when it came", "url": "the alert", "url_title": "the alert"},
        lambda sent: f"{sent['title']}\n{sent['message']}",
    ),
    "pagerduty": Case(
        f"pagerduty://{ROUTING_KEY}@{'k' * 20}?source=nas1&component=home&class=backup_failed&action=map&image=no",
        pagerduty.render(RAISE, httpx.URL(pagerduty.DEFAULT_URL), {"routing_key": ROUTING_KEY}),
        b'{"status": "success"}',
        {},
        {
            "payload.timestamp": "when it was raised",
            "client_url": "the alert",
            "links[].href": "the alert",
            "links[].text": "the alert",
            **{f"payload.custom_details.{name}": "the facts as a table"
               for name in ("Message", "Raised at", "Severity", "Host", "Kind", "Alert")},
        },
        lambda sent: sent["payload"]["summary"],
    ),
    "matrix": Case(
        f"matrixs://syt_x@h.example/{ROOM}",
        matrix.render(RAISE, httpx.URL(matrix.room_url(MATRIX_CONFIG)), MATRIX_CONFIG),
        b'{"user_id": "@bot:h.example", "room_id": "!abc:h.example", "event_id": "$x"}',
        {},
        {
            "format": "a link that can be read",
            "formatted_body": "likewise",
        },
        lambda sent: sent["body"].removeprefix("# "),
    ),
}  # fmt: skip


def fields(content: bytes | str, content_type: str) -> dict[str, Any]:
    text = content.decode() if isinstance(content, bytes) else content
    found: dict[str, Any] = dict(parse_qsl(text)) if "form" in content_type else json.loads(text)
    return found


@pytest.mark.parametrize("kind", CASES)
def test_what_is_sent_differs_from_apprise_only_where_a_reason_says_so(kind: str, sink: shared.Sink) -> None:
    case, sink.answer = CASES[kind], (200, CASES[kind].answer)
    assert sink.notify(case.url)
    request = sink.sent[-1]  # Matrix: it asks who it is and joins before each message; ours joins nowhere
    theirs = fields(request.body, request.headers["Content-Type"])
    ours = fields(case.ours.read(), case.ours.headers["Content-Type"])
    assert request.method == case.ours.method
    assert request.url.rpartition("/")[0] == str(case.ours.url).rpartition("/")[0]
    assert request.headers["Content-Type"] == case.ours.headers["Content-Type"]
    assert shared.paths(theirs) - shared.paths(ours) == set(case.only_theirs)
    assert shared.paths(ours) - shared.paths(theirs) == set(case.only_ours)
    for sent in (theirs, ours):
        said = case.texts(sent)
        assert said.startswith(shared.HEADLINE)
        assert shared.TEXT in said


def test_the_same_secrets_stand_in_the_same_places(sink: shared.Sink) -> None:
    sink.answer = 200, CASES["gotify"].answer
    sink.notify(CASES["gotify"].url)
    assert sink.sent[-1].headers["X-Gotify-Key"] == CASES["gotify"].ours.headers["X-Gotify-Key"]
    sink.answer = 200, CASES["matrix"].answer
    sink.notify(CASES["matrix"].url)
    assert sink.sent[-1].headers["Authorization"] == CASES["matrix"].ours.headers["Authorization"]


def test_two_alerts_in_the_same_words_are_one_incident_of_apprise_and_two_of_ours(sink: shared.Sink) -> None:
    sink.answer = 202, CASES["pagerduty"].answer
    sink.notify(CASES["pagerduty"].url)
    sink.notify(CASES["pagerduty"].url)
    theirs = {json.loads(request.body)["dedup_key"] for request in sink.sent}
    two = (RAISE, replace(RAISE, alert_id="01K9XZ3V8T5WQ1R7M2N4P6S8BB"))
    ours = {pagerduty.event(each, {"routing_key": ROUTING_KEY})["dedup_key"] for each in two}
    assert (len(theirs), len(ours)) == (1, 2)


def test_a_name_in_a_hosts_words_highlights_apprises_message_alone(sink: shared.Sink) -> None:
    sink.answer = 200, CASES["matrix"].answer
    sink.notify(CASES["matrix"].url)
    assert "m.mentions" not in json.loads(sink.sent[-1].body)
    assert matrix.content(RAISE)["m.mentions"] == {}


JUDGED: list[tuple[str, int, bytes, bool, str]] = [
    ("gotify", 200, b'{"id": 1, "appid": 5}', True, ""),
    ("gotify", 201, b'{"id": 1, "appid": 5}', False, ""),
    ("gotify", 200, b"<html>", False, "a captive portal's page is no message"),
    ("pushover", 200, b'{"status": 1}', True, ""),
    ("pushover", 200, b'{"status": 0, "errors": ["no"]}', False, "Pushover says that it did not take it"),
    ("pushover", 429, b'{"status": 0}', False, ""),
    ("pagerduty", 202, b'{"status": "success"}', True, ""),
    ("pagerduty", 202, b"<html>", False, "a captive portal's page is no incident"),
    ("pagerduty", 400, b'{"status": "invalid event"}', False, ""),
    ("matrix", 200, CASES["matrix"].answer, True, ""),
    ("matrix", 403, b'{"errcode": "M_FORBIDDEN"}', False, ""),
]
"""Receiver, answer, whether we call it a success, and why Apprise does not agree."""
JUDGES = {
    "gotify": gotify_answers.judge, "pushover": pushover_answers.judge, "pagerduty": pagerduty_answers.judge,
    "matrix": matrix_answers.judge,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "status", "body", "success", "why_not_theirs"), JUDGED)
def test_a_success_is_one_to_both_unless_a_reason_says_so(
    kind: str, status: int, body: bytes, success: bool, why_not_theirs: str, sink: shared.Sink
) -> None:
    sink.answer = status, body
    assert (JUDGES[kind](httpx.Response(status), body, LATER).verdict == "delivered") is success
    assert (sink.notify(CASES[kind].url) is success) is (not why_not_theirs)
