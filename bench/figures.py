"""The figures: what must be reached, what is aimed at, and the table that shows how it came out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `must` and `aim` are in `unit`; None where nothing is asked. `note` says how it was measured."""

    measure: str
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    better: Literal["more", "less"] = "less"
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        if self._reaches(self.aim):
            return "aim"
        return "must" if self._reaches(self.must) else "BELOW"

    def _reaches(self, bound: float | None) -> bool:
        if bound is None:
            return False
        return self.value >= bound if self.better == "more" else self.value <= bound


def number(value: float | None) -> str:
    """With as many digits as mean something."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(figures: Iterable[Figure]) -> str:
    """As Markdown, so that it can be shown and kept as it is."""
    rows = [("measure", "here", "must", "aim", "reached", "how")]
    for f in figures:
        rows.append((f.measure, f"{number(f.value)} {f.unit}", number(f.must), number(f.aim), f.verdict, f.note))
    widths = [max(len(row[n]) for row in rows) for n in range(6)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
