"""A badge: its parts fill it, and it has a colour of its status."""

from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.web.views.badges import badge


def test_a_badge_is_as_wide_as_its_words_and_has_a_colour_of_its_status() -> None:
    good, bad = badge("backups", "12 ok", "ok"), badge("backups", "1 needs attention", "critical")
    assert good.words == "backups: 12 ok"
    assert good.width < bad.width
    assert good.parts[0] == bad.parts[0]
    assert len({badge("b", "w", status).parts[1].colour for status in ("ok", "warning", "critical", None)}) == 4


@given(st.text(), st.text(), st.sampled_from(["ok", "warning", "critical", None]))
def test_the_parts_of_a_badge_fill_it(subject: str, words: str, status: str | None) -> None:
    made = badge(subject, words, status)
    left, right = made.parts
    assert (left.x, right.x, made.width) == (0, left.width, left.width + right.width)
    assert left.words_width < left.width
