"""A QR code on a page: an element of the page itself, which says what it is to those who do not see it."""

import re
from xml.etree import ElementTree

import pytest
import segno

from rmactors.server.web.views.qr import svg

LINK = "ntfy://ntfy.example.org/backups-x7Kq2"


def drawn_modules(picture: str) -> set[tuple[int, int]]:
    """(row, column) of every dark module, as the path draws them: runs from left to right, relative to the last one."""
    path = next(line.get("d", "") for line in ElementTree.fromstring(picture).iter("path") if line.get("stroke"))
    found: set[tuple[int, int]] = set()
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([Mmh])([^Mmh]*)", path):
        values = [float(number) for number in re.findall(r"-?[0-9.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            found |= {(int(y), int(x) + step) for step in range(int(values[0]))}
            x += values[0]
    return found


def test_what_is_drawn_is_the_code_of_the_text_with_light_around_it() -> None:
    rows = list(segno.make_qr(LINK, error="m", boost_error=False).matrix_iter(border=4))
    dark = {(y, x) for y, row in enumerate(rows) for x, module in enumerate(row) if module}
    assert drawn_modules(svg(LINK, "Subscribe")) == dark


def test_it_needs_nothing_that_the_content_security_policy_forbids() -> None:
    picture = svg(LINK, "Subscribe")
    assert picture.startswith('<svg role="img"')
    assert not re.search(r"style|script|href|url\(|<image|xmlns:xlink|\son", picture)


def test_it_is_light_behind_and_dark_before_whatever_the_page_looks_like() -> None:
    assert {"#000", "#fff"} == set(re.findall(r"#[0-9a-f]+", svg(LINK, "Subscribe")))


def test_its_name_is_text_and_never_markup() -> None:
    picture = svg(LINK, '"><script>')
    assert ElementTree.fromstring(picture).get("aria-label") == '"><script>'


def test_what_is_too_long_for_a_code_is_a_sentence() -> None:
    assert svg("x" * 2331, "Subscribe")
    with pytest.raises(ValueError, match=r"too long for a QR code\.$"):
        svg("x" * 2332, "Subscribe")
