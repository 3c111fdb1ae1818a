"""What a webhook's request looks like, byte by byte."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import httpx

from rmactors import __version__
from rmactors.common import clock
from rmactors.server.channels.webhook import payload
from tests.channels.notifications import ACKNOWLEDGEMENT, ALERT, DELIVERY, GROUP, HOST, LATER, RAISE, RESOLUTION

CONFIG = {"url": "https://hooks.example/ops"}
URL = httpx.URL("https://hooks.example/ops")


def test_the_body_of_a_raise_is_exactly_this() -> None:
    assert payload.body(RAISE).decode() == (
        '{"event":"alert.raised","alert_id":"' + ALERT + '","severity":"warning","kind":"backup_failed",'
        '"host_id":"' + HOST + '","host_name":"nas1","message":"Backup of home failed: wrong password",'
        '"raised_at":"2026-11-23T03:00:12.345Z","link":"https://rm.example.org/alerts/' + ALERT + '",'
        '"subject":"plan:home","occurred_at":"2026-11-23T03:00:12.345Z","delivery_id":"' + DELIVERY + '"}'
    )


def test_acknowledgements_and_resolutions_tell_who_and_why_behind_the_other_keys() -> None:
    acknowledged = json.loads(payload.body(ACKNOWLEDGEMENT))
    resolved = json.loads(payload.body(RESOLUTION))
    assert list(acknowledged)[-3:] == ["delivery_id", "actor", "note"]
    assert (acknowledged["actor"], acknowledged["note"]) == ("dana", "on it")
    assert (resolved["actor"], resolved["note"]) == ("rule", None)
    assert acknowledged["occurred_at"] == "2026-11-23T04:30:00.000Z"
    assert acknowledged["raised_at"] == "2026-11-23T03:00:12.345Z"


def test_a_group_lists_its_members_last() -> None:
    body = json.loads(payload.body(GROUP))
    assert list(body)[-1] == "group"
    assert body["kind"] == "multiple"
    assert [list(member) for member in body["group"]] == [["alert_id", "severity", "kind", "subject", "message"]] * 2
    assert body["group"][1]["kind"] == "check_failed"


def test_a_group_over_hosts_counts_all_and_names_the_host_of_each_that_it_lists() -> None:
    first, second = GROUP.group
    of_hosts = replace(first, host_id=HOST, host_name="nas1"), replace(second, host_name="the mail channel")
    group = replace(GROUP, group=of_hosts, group_count=39, repository="rest:https://srv:8000", still_open=2)
    body = json.loads(payload.body(group))
    assert list(body)[-4:] == ["group", "group_count", "repository", "still_open"]
    assert (body["group_count"], body["repository"], body["still_open"]) == (39, "rest:https://srv:8000", 2)
    assert list(body["group"][0])[-2:] == ["host_id", "host_name"]
    assert [(each["host_id"], each["host_name"]) for each in body["group"]] == [
        (HOST, "nas1"), (None, "the mail channel"),
    ]  # fmt: skip


def test_text_beyond_ascii_goes_out_as_utf8() -> None:
    notification = replace(RAISE, host_name="näs1 ☃")
    assert "näs1 ☃".encode() in payload.body(notification)


def test_sentences_are_printable_and_keep_their_lines() -> None:
    evil = "first\x1b[2J\r\nsecond\u202e\x00"
    shown = "first\ufffd[2J\nsecond\ufffd\ufffd"
    group = tuple(replace(member, message=evil) for member in GROUP.group)
    body = json.loads(payload.body(replace(GROUP, message=evil, group=group)))
    assert [body["message"], *(member["message"] for member in body["group"])] == [shown] * 3
    assert json.loads(payload.body(replace(ACKNOWLEDGEMENT, note=evil)))["note"] == shown


def test_headers_of_a_plain_webhook() -> None:
    request = payload.render(RAISE, URL, CONFIG, LATER)
    assert (request.method, request.url) == ("POST", URL)
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw] == [
        ("Host", "hooks.example"),
        ("User-Agent", f"restic-manager/{__version__}"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", DELIVERY),
        ("Content-Length", str(len(payload.body(RAISE)))),
    ]


def test_bearer_token_and_header_are_sent_along() -> None:
    config = {**CONFIG, "bearer_token": "s3cret", "header_name": "X-Key", "header_value": "abc"}
    headers = payload.render(RAISE, URL, config, LATER).headers
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["X-Key"] == "abc"


def test_a_header_without_value_is_not_sent() -> None:
    assert "X-Key" not in payload.render(RAISE, URL, {**CONFIG, "header_name": "X-Key"}, LATER).headers


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The vector is the one that the libraries of Standard Webhooks test themselves with."""
    signature = payload.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_without_prefix_signs_as_it_is() -> None:
    request = payload.render(RAISE, URL, {**CONFIG, "signing_secret": "plain text"}, LATER)
    headers = request.headers
    stamp = str(LATER // clock.SECOND)
    signed = f"{DELIVERY}.{stamp}.".encode() + request.read()
    expected = base64.b64encode(hmac.digest(b"plain text", signed, hashlib.sha256)).decode()
    assert headers["webhook-id"] == DELIVERY
    assert headers["webhook-timestamp"] == stamp
    assert headers["webhook-signature"] == f"v1,{expected}"
