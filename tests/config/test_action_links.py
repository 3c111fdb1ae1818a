"""Tokens of links in messages: what is signed is believed, and nothing else is."""

import base64
import string

from hypothesis import given
from hypothesis import strategies as some

from rmactors.common import clock, ids
from rmactors.server.config.action_links import LASTS, ActionLink, read, token_for

KEY, OTHER = b"k" * 32, b"o" * 32
NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")
ALERT, CHANNEL = "01K9XZ3V8T5WQ1R7M2N4P6S8AA", "01K9XZ3V8T5WQ1R7M2N4P6S8CC"
TOKEN = token_for(KEY, ALERT, CHANNEL, NOON)
LETTERS = string.ascii_letters + string.digits + "-_"


def test_a_token_says_what_it_was_made_for() -> None:
    assert read([KEY], TOKEN) == ActionLink(ALERT, CHANNEL, NOON + LASTS)


def test_it_is_short_and_stands_in_an_address_as_it_is() -> None:
    assert len(TOKEN) == 72
    assert set(TOKEN) <= set(LETTERS)


def test_the_same_message_has_the_same_token_each_time_it_is_sent() -> None:
    assert token_for(KEY, ALERT, CHANNEL, NOON) == TOKEN


def test_alert_channel_end_and_key_all_make_another_token() -> None:
    others = {
        token_for(KEY, ids.new(), CHANNEL, NOON), token_for(KEY, ALERT, ids.new(), NOON),
        token_for(KEY, ALERT, CHANNEL, NOON + clock.SECOND), token_for(OTHER, ALERT, CHANNEL, NOON),
    }  # fmt: skip
    assert len(others | {TOKEN}) == 5


def test_each_of_the_keys_is_believed_and_no_other() -> None:
    assert read([OTHER, KEY], TOKEN) is not None
    assert read([OTHER], TOKEN) is None
    assert read([], TOKEN) is None


def test_whatever_bit_is_changed_it_is_no_token_any_more() -> None:
    """All of them, in the bytes and in the text: no spelling of a token but its own is one."""
    raw = base64.urlsafe_b64decode(TOKEN)
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        assert read([KEY], base64.urlsafe_b64encode(changed).decode()) is None
    for place, there in enumerate(TOKEN):
        for letter in LETTERS:
            if letter != there:
                assert read([KEY], TOKEN[:place] + letter + TOKEN[place + 1 :]) is None


@given(some.text(max_size=100) | some.text(LETTERS, min_size=72, max_size=72))
def test_no_text_is_a_token_that_was_not_signed(text: str) -> None:
    assert read([KEY], text) is None


@given(some.sampled_from([" ", "\n", "=", "A", "%0a", "ü"]))
def test_nothing_may_stand_around_it(more: str) -> None:
    assert read([KEY], TOKEN + more) is None
    assert read([KEY], more + TOKEN) is None


@given(some.binary(min_size=16, max_size=16), some.binary(min_size=16, max_size=16), some.integers(0, 1 << 55))
def test_any_alert_channel_and_time_come_back(alert: bytes, channel: bytes, at: int) -> None:
    alert_id, channel_id = ids.from_bytes(alert), ids.from_bytes(channel)
    found = read([KEY], token_for(KEY, alert_id, channel_id, at))
    assert found is not None
    assert (found.alert_id, found.channel_id) == (alert_id, channel_id)
    end = min((at + LASTS) // clock.SECOND, (1 << 32) - 1)
    assert found.ends_at == end * clock.SECOND
