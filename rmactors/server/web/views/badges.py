"""A badge: two words side by side, one of them on a colour. Pure."""

from dataclasses import dataclass
from typing import Final

_SIDE: Final = 6
_WIDTHS: Final = {**dict.fromkeys("fijlrt.,:;!|' ", 4.0), **dict.fromkeys("mwMW%", 10.5)}
_LETTER: Final = 6.9
"""Units of a letter in Verdana at 11; what is drawn is fitted to the width, so that another font fills it too."""
_COLOURS: Final = {"ok": "#1a7f37", "warning": "#8a5a00", "critical": "#b3261e"}
_GREY: Final = "#57606a"
_DARK: Final = "#3a3f45"


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle with a word in its middle; in pixels."""

    x: int
    width: int
    words: str
    words_width: int
    colour: str

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Badge:
    """`words` is what it says as text."""

    words: str
    width: int
    parts: tuple[Part, Part]


def badge(subject: str, words: str, status: str | None) -> Badge:
    """`status` is `ok`, `warning` or `critical`; None where there is nothing to judge."""
    left = _part(0, subject, _DARK)
    right = _part(left.width, words, _COLOURS.get(status or "", _GREY))
    return Badge(f"{subject}: {words}", left.width + right.width, (left, right))


def _part(x: int, words: str, colour: str) -> Part:
    width = round(sum(_WIDTHS.get(letter, _LETTER) for letter in words))
    return Part(x, width + 2 * _SIDE, words, width, colour)
