"""Titles, facts and shortened texts, as several kinds of channels have them."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.channels.telling import facts, shortened, title, utf8, utf16
from tests.channels.notifications import DIGEST, RAISE


def test_a_title_says_what_became_of_the_alert() -> None:
    assert title(RAISE) == "[warning] nas1: backup_failed"
    resolved = replace(RAISE, event="alert.resolved")
    assert title(resolved) == "[warning] nas1: backup_failed (resolved)"


def test_a_long_title_keeps_its_ending() -> None:
    long_name = replace(RAISE, event="alert.resolved", host_name="n" * 300)
    assert len(title(long_name, 60)) == 60
    assert title(long_name, 60).endswith("… (resolved)")


def test_who_ended_an_alert_is_a_fact_where_that_is_known() -> None:
    names = [name for name, _ in facts(RAISE)]
    assert names == ["Raised at", "Severity", "Host", "Kind"]
    ended = replace(RAISE, event="alert.acknowledged", actor="ada", note="on it")
    assert facts(ended)[-2:] == [("By", "ada"), ("Note", "on it")]


def test_a_digest_is_titled_by_what_it_says_first_and_is_about_no_alert() -> None:
    assert title(DIGEST) == "Digest: 1 of 2 hosts needs a look"
    assert len(title(DIGEST, 20)) == 20
    assert facts(DIGEST) == [("Made at", "2026-11-23T03:00:12.345Z")]


@given(st.text(), st.integers(min_value=3, max_value=60), st.sampled_from([len, utf8, utf16]))
def test_what_is_shortened_fits_and_is_the_beginning_of_the_text(text: str, most: int, size: object) -> None:
    assert callable(size)
    found = shortened(text, most, size)
    assert size(found) <= most
    assert found == text or text.startswith(found.removesuffix("…"))
