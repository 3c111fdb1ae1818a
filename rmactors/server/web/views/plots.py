"""Numbers over time as an SVG path, made here so that a page shows it without a script. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rmactors.server.web.views.times import Moment


@dataclass(frozen=True, slots=True)
class Plot:
    """Sizes over time as an SVG path in a box of 600 by 120, with the smallest and the largest in words."""

    line: str
    area: str
    words: str
    first: str
    last: str


def plot(sizes: Sequence[tuple[int, float]], words: str, moment: Moment) -> Plot:
    """(when, how much), at least two of them, oldest first."""
    start, end = sizes[0][0], sizes[-1][0]
    low, high = min(held for _at, held in sizes), max(held for _at, held in sizes)
    room = (high - low) or max(high, 1.0)
    coordinates = [
        (600 * (at - start) / max(end - start, 1), 108 - 96 * (held - low) / room if high > low else 60.0)
        for at, held in sizes
    ]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in coordinates)
    return Plot(path, f"{path}L600 120L0 120z", words, moment.date(start), moment.date(end))
