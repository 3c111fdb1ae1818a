"""What is put into a room of Matrix, after https://spec.matrix.org/latest/client-server-api/#instant-messaging."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors import __version__
from rmactors.server.channels.matrix import payload
from rmactors.server.messages.notifications import GroupMember, Notification
from tests.channels.notifications import ACKNOWLEDGEMENT, DELIVERY, GROUP, RAISE, REMINDER, RESOLUTION

CONFIG = {"homeserver_url": "https://matrix.example/", "room_id": "!abc:example", "access_token": "syt_x"}
URL = httpx.URL("https://matrix.example/_matrix/client/v3/rooms/%21abc%3Aexample/send/m.room.message")
MAX_EVENT = 65_536
ADDED = 2_500
"""Bytes that a server adds at the most: ids, hashes, up to 20 events before and 10 that allow it, signatures."""


def content(notification: Notification) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload.render(notification, URL, CONFIG).read())
    return found


class Shown(HTMLParser):
    """The text that a client shows, and the tags and links that are in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.links = "", set[str](), list[str | None]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self.text += "\n" if tag == "br" else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_raise_is_exactly_this() -> None:
    request = payload.render(RAISE, URL, CONFIG)
    encoded = request.read()
    assert request.method == "PUT"
    assert json.loads(encoded) == {
        "msgtype": "m.text",
        "body": f"[warning] nas1: backup_failed\nBackup of home failed: wrong password\nOpen the alert: {RAISE.link}",
        "format": "org.matrix.custom.html",
        "formatted_body": "<strong>[warning] nas1: backup_failed</strong><br>Backup of home failed: wrong password<br>"
        f'<a href="{RAISE.link}">Open the alert</a>',
        "m.mentions": {},
    }
    path, _, transaction = request.url.raw_path.decode().rpartition("/")
    assert path == "/_matrix/client/v3/rooms/%21abc%3Aexample/send/m.room.message"
    assert transaction.startswith(f"{DELIVERY}-")
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "matrix.example"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer syt_x"),
        ("Content-Length", str(len(encoded))),
    ]


def test_a_transaction_is_the_same_for_the_same_words_alone() -> None:
    """What came once under an id is the only thing that ever comes under it."""
    paths = {
        payload.render(each, URL, CONFIG).url.path
        for each in (RAISE, RAISE, replace(RAISE, message="other"), RESOLUTION, replace(RAISE, delivery_id="01X"))
    }
    assert len(paths) == 4


def test_what_needs_somebody_is_a_text_and_what_calms_down_a_notice() -> None:
    kinds = {each.event: content(each)["msgtype"] for each in (RAISE, REMINDER, ACKNOWLEDGEMENT, RESOLUTION, GROUP)}
    assert kinds == {
        "alert.raised": "m.text", "alert.reminder": "m.text", "alert.acknowledged": "m.notice",
        "alert.resolved": "m.notice",
    }  # fmt: skip


def test_a_room_of_version_12_has_no_colon() -> None:
    url = payload.room_url({"homeserver_url": "https://h.example/sub", "room_id": "!ciUs_-pXa0"})
    assert url == "https://h.example/sub/_matrix/client/v3/rooms/%21ciUs_-pXa0/send/m.room.message"


def test_words_of_hosts_are_no_html_and_mention_nobody() -> None:
    found = content(replace(RAISE, host_name="<b>x</b>", message='<script>alert("1")</script>\n@room & @bob:h.example'))
    shown = Shown(found["formatted_body"])
    assert shown.tags == {"strong", "br", "a"}
    assert '<script>alert("1")</script>\n@room & @bob:h.example' in shown.text
    assert found["m.mentions"] == {}


def test_an_acknowledgement_says_who_and_why_and_a_page_to_act_on_is_a_link() -> None:
    found = content(replace(ACKNOWLEDGEMENT, act_link="https://rm.example.org/act/x?a=1&b=2"))
    assert found["body"].splitlines()[2:4] == ["By: dana", "Note: on it"]
    assert Shown(found["formatted_body"]).links == [RAISE.link, "https://rm.example.org/act/x?a=1&b=2"]


@pytest.mark.parametrize("filler", ["x", '"', "&", "ü", "😀", "\n", "\\", "'"])
def test_the_longest_message_fits_into_an_event_however_it_is_encoded(filler: str) -> None:
    hostile = replace(
        RESOLUTION, host_name=filler * 5000, message="m" + filler * 70_000 + "m", note=filler * 5000,
        actor=filler * 500, link="https://rm.example.org/" + '"' * 970, act_link="https://rm.example.org/" + '"' * 970,
    )  # fmt: skip
    assert len(payload.render(hostile, URL, CONFIG).read()) + ADDED <= MAX_EVENT


@given(
    st.sampled_from([RAISE, ACKNOWLEDGEMENT, RESOLUTION, REMINDER, GROUP]), st.text(max_size=300), st.text(),
    st.text(max_size=400), st.integers(1, 3000),
)  # fmt: skip
def test_whatever_a_host_says_is_an_event_of_texts_alone(
    notification: Notification, host: str, message: str, note: str, times: int
) -> None:
    hostile = replace(
        notification, host_name=host, message=message * times, note=note, actor=note, link=f"https://h.example/{note}",
        group=tuple(GroupMember("01", "info", host, note, message * times) for _ in notification.group) * 50,
    )  # fmt: skip
    request = payload.render(hostile, URL, CONFIG)
    assert len(request.read()) + ADDED <= MAX_EVENT
    found = json.loads(request.read())
    assert found.pop("m.mentions") == {}
    assert all(isinstance(value, str) and value for value in found.values())
    shown = Shown(found["formatted_body"])
    assert shown.tags <= {"strong", "br", "a"}
    assert found["body"].replace("\n", "").isprintable()
