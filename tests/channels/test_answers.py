"""What each answer of a receiver means. One row a case."""

import httpx
import pytest

from rmactors.common import clock, ids
from rmactors.server.channels.answers import judge_http, later, own_refusal, text_of, texts_of, words
from rmactors.server.channels.mail import session
from rmactors.server.config.action_links import token_for

NOW = clock.from_rfc3339("2026-11-23T21:30:00Z")


def answer(status: int, body: bytes = b"", **headers: str) -> tuple[httpx.Response, bytes]:
    """As it comes: its body is not decoded."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named), body


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, "delivered"), (201, "delivered"), (202, "delivered"), (204, "delivered"), (299, "delivered"),
        (300, "dead"), (301, "dead"), (302, "dead"), (304, "dead"), (307, "dead"), (308, "dead"),  # never followed
        (400, "dead"), (401, "dead"), (403, "dead"), (404, "dead"), (410, "dead"), (413, "dead"), (422, "dead"),
        (408, "retry"), (425, "retry"), (429, "retry"),
        (500, "retry"), (501, "retry"), (502, "retry"), (503, "retry"), (504, "retry"), (599, "retry"),
    ],
)  # fmt: skip
def test_verdict_of_a_status(status: int, verdict: str) -> None:
    judged = judge_http(*answer(status), NOW)
    assert judged.verdict == verdict
    assert (judged.error is None) == (verdict == "delivered")


@pytest.mark.parametrize(
    ("status", "in_doubt"),
    [
        (301, True), (302, True), (303, True), (307, True), (308, True),  # a captive portal, http to https
        (401, True), (403, True), (404, True), (405, True), (407, True), (421, True),  # a proxy, an ingress
        (400, False), (402, False), (409, False), (410, False), (413, False), (414, False), (422, False), (451, False),
        (200, False), (408, False), (429, False), (500, False), (503, False),  # not dead at all
    ],
)  # fmt: skip
def test_whose_refusal_it_is(status: int, in_doubt: bool) -> None:
    assert judge_http(*answer(status), NOW).in_doubt is in_doubt


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "5", 5),
        (503, " 120 ", 120),
        (429, "Mon, 23 Nov 2026 21:31:00 GMT", 60),
        (503, "Monday, 23-Nov-26 21:31:00 GMT", 60),  # the older form of a date
        (429, "0", None),
        (429, "Mon, 23 Nov 2026 21:29:00 GMT", None),  # past
        (429, "-5", None),
        (429, "1.5", None),
        (429, "soon", None),
        (429, "", None),
        (500, "5", None),  # said only on 429 and 503
        (408, "5", None),
        (429, "9" * 12, 366 * 86400),  # nonsense does not reach the database
        (429, "9" * 40, None),
    ],
)
def test_retry_after(status: int, value: str, seconds: int | None) -> None:
    expected = None if seconds is None else NOW + clock.seconds(seconds)
    assert judge_http(*answer(status, retry_after=value), NOW).retry_at == expected


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(421, "retry"), (450, "retry"), (454, "retry"), (500, "dead"), (535, "dead"), (554, "dead"), (-1, "retry")],
)
def test_verdict_of_an_smtp_reply(code: int, verdict: str) -> None:
    assert session.judge(code) == verdict


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"", "", "500 Internal Server Error"),
        (b"no such\r\n  room\x00\x1b[31m", "text/plain", "500 Internal Server Error: no such room [31m"),
        (b'{"detail":"database is away","code":7}', "application/json", "500 Internal Server Error: database is away"),
        (b'{"code":7}', "application/json", '500 Internal Server Error: {"code":7}'),
        (b"{broken", "application/json", "500 Internal Server Error: {broken"),
        (b"<html><style>p{}</style><h1>Oops</h1><p>down", "text/html", "500 Internal Server Error: Oops down"),
        (b"\xff\xfe", "", "500 Internal Server Error: \ufffd\ufffd"),
    ],
)
def test_the_receivers_words_are_told_in_a_printable_line(body: bytes, content_type: str, said: str) -> None:
    assert words(judge_http(*answer(500, body, content_type=content_type), NOW).error or "") == said


def test_a_redirect_tells_where_it_wanted_to_go() -> None:
    error = judge_http(*answer(302, location="https://elsewhere.example/"), NOW).error
    assert error == "302 Found: redirects are not followed (to https://elsewhere.example/)"


def test_words_are_short_and_hold_no_secret() -> None:
    assert words("you sent hunter2, hunter2!", ("hunter2",)) == "you sent ••••, ••••!"
    assert len(words("x" * 5000)) == 240


@pytest.mark.parametrize(
    "spelled",
    ["https://rm.example/act/", r"https:\/\/rm.example\/act\/", "https%3A%2F%2Frm.example%2Fact%2F"],
    ids=["as it is", "in JSON", "in a URL"],
)
def test_a_receiver_that_repeats_the_link_to_act_gives_it_to_nobody(spelled: str) -> None:
    token = token_for(b"k" * 32, ids.new(), ids.new(), 0)
    said = words(f'cannot parse {{"act_link": "{spelled}{token}"}}')
    assert said == f'cannot parse {{"act_link": "{spelled}••••"}}'
    assert token[:20] not in words(f"{spelled}{token[:40]}")


@pytest.mark.parametrize(
    ("value", "one", "many"),
    [(" no ", "no", ""), (None, "", ""), ({"a": 1}, "", ""), (["a", None, " b ", 5], "", "a; b"), ([], "", "")],
)
def test_of_a_field_only_text_is_shown(value: object, one: str, many: str) -> None:
    assert (text_of(value), texts_of(value)) == (one, many)


def test_a_refusal_without_words_is_its_status_alone() -> None:
    assert own_refusal(answer(400)[0], "").error == "400 Bad Request"
    assert later(answer(429)[0], "", 5, NOW).error == "429 Too Many Requests"
