"""Keys of Web Push: what follows from the server's own, and what is taken from a browser."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rmactors.server.channels.webpush import keys


@given(some.binary(min_size=32, max_size=32))
def test_whatever_the_servers_key_is_one_for_web_push_follows_from_it(seed: bytes) -> None:
    own = keys.own_key(seed)
    assert own == keys.own_key(seed)
    assert len(own) == 43
    assert len(keys.public_text(own)) == 87
    assert (
        keys.browser_key(keys.public_text(own)).public_numbers() == keys.private_key(own).public_key().public_numbers()
    )


def test_another_seed_gives_another_key() -> None:
    assert keys.own_key(b"a") != keys.own_key(b"b")


@pytest.mark.parametrize("text", ["", "A", "A" * 42, "A" * 43, "_" * 43, "ü" * 43, "A" * 44, "A B"])
def test_what_is_no_private_key_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"This is not a private key of Web Push\.$"):
        keys.private_key(text)


def test_padding_is_taken_as_some_browsers_send_it() -> None:
    assert keys.auth_secret("AAAAAAAAAAAAAAAAAAAAAA==") == keys.auth_secret("AAAAAAAAAAAAAAAAAAAAAA") == bytes(16)


@given(some.text(max_size=100))
def test_no_text_from_a_browser_is_more_than_a_sentence(text: str) -> None:
    for read in (keys.auth_secret, keys.browser_key, keys.private_key):
        assert said_by(read, text).endswith(".")


def said_by(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return "It is one."
