"""What ntfy's answers mean, and that a 200 alone means nothing. Bodies as ntfy 2.11 and 2.27 send them."""

import json
from typing import Any

import httpx
import pytest

from rmactors.common import clock
from rmactors.server.channels.answers import Judgement
from rmactors.server.channels.ntfy.answers import Judging

NOW = clock.from_rfc3339("2026-11-23T21:30:00Z")
OURS = {"id": "hwQ2YpKdmg", "sequence_id": "A1", "time": 1700000000, "event": "message", "topic": "backups"}


def judged(
    status: int, body: bytes | dict[str, Any], length: int | None = None, **headers: str
) -> tuple[Judgement, bool]:
    """The judgement, and whether the message was too long. `length`: of the whole body, where it says so."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if length is not None:
        named["content-length"] = str(length)
    judge = Judging("backups", "A1")
    return judge(httpx.Response(status, headers=named), sent, NOW), judge.too_long


def refusal(code: int, error: str) -> dict[str, Any]:
    return {"code": code, "http": code // 100, "error": error}


def test_our_message_in_the_answer_is_delivered() -> None:
    assert judged(200, {**OURS, "message": "x"}) == (Judgement("delivered"), False)


def test_so_it_is_from_a_server_that_knows_no_sequences() -> None:
    before_2_16 = {name: value for name, value in OURS.items() if name != "sequence_id"}
    assert judged(200, before_2_16) == (Judgement("delivered"), False)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({**OURS, "topic": "a"}, "published to the topic “a” instead"),
        ({**OURS, "topic": "a\n" * 200}, "published to the topic “a a a"),
        ({**OURS, "sequence_id": "backups"}, "overwrote an earlier message"),
    ],
)
def test_a_message_elsewhere_is_dead_at_once_and_says_what_to_change(message: dict[str, Any], said: str) -> None:
    found, _ = judged(200, message)
    assert (found.verdict, found.in_doubt) == ("dead", False)
    assert found.error is not None
    assert said in found.error
    assert "give the address alone, such as https://ntfy.example.org" in found.error


@pytest.mark.parametrize(
    "body",
    [b"ok", b"<html>Welcome to Airport WiFi</html>", b"[]", b"{}", b'{"event": "open", "topic": "backups"}',
     b'{"event": "message", "topic": 5}', b""],
)  # fmt: skip
def test_an_answer_without_a_message_may_be_another_servers(body: bytes) -> None:
    found, _ = judged(200, body, len(body))
    assert (found.verdict, found.in_doubt) == ("dead", True)
    assert found.error == "200, but this is no answer of ntfy: check the server's address"


def test_nothing_at_all_is_no_answer_of_ntfy() -> None:
    assert judged(204, b"")[0].verdict == "dead"


@pytest.mark.parametrize("length", [None, 5000])
def test_an_answer_that_breaks_off_is_still_a_message_that_was_published(length: int | None) -> None:
    assert judged(200, json.dumps(OURS).encode()[:40], length) == (Judgement("delivered"), False)
    assert judged(200, b"", length) == (Judgement("delivered"), False)


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {**OURS, "attachment": {"name": "attachment.txt"}}, "delivered"),
        (400, refusal(40014, "invalid request: attachments not allowed"), "dead"),
        (413, refusal(41301, "attachment too large, or bandwidth limit reached"), "dead"),
    ],
)
def test_what_is_too_long_is_seen_by_the_answer(status: int, body: dict[str, Any], verdict: str) -> None:
    found, too_long = judged(status, body)
    assert (found.verdict, too_long) == (verdict, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, refusal(40010, "invalid request: topic name is not allowed")),
        (413, b"Request Entity Too Large"),
        (429, refusal(42905, "limit reached: daily bandwidth reached")),
        (500, refusal(50001, "internal server error")),
    ],
)
def test_other_refusals_are_about_something_else(status: int, body: bytes | dict[str, Any]) -> None:
    assert judged(status, body)[1] is False


def test_a_page_that_ntfy_does_not_have_is_an_address_with_a_topic_in_it() -> None:
    found, _ = judged(404, refusal(40401, "page not found"))
    assert found.verdict == "dead"
    assert not found.in_doubt
    assert found.error is not None
    assert found.error.startswith("404 Not Found: page not found. The server's address seems to name a topic too")


def test_a_page_that_a_proxy_does_not_have_is_in_doubt() -> None:
    assert judged(404, b"<html>404</html>")[0].in_doubt


def test_the_daily_quota_waits_for_midnight_utc() -> None:
    found, _ = judged(429, refusal(42908, "limit reached: daily message quota reached"), retry_after="60")
    assert found.retry_at == clock.from_rfc3339("2026-11-24T00:00:00Z")
    assert found.error == "429 Too Many Requests: limit reached: daily message quota reached"


def test_other_limits_wait_as_they_say() -> None:
    body = refusal(42901, "limit reached: too many requests")
    assert judged(429, body)[0].retry_at is None
    assert judged(429, body, retry_after="7")[0].retry_at == NOW + 7 * clock.SECOND
