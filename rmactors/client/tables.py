"""Text for people: tables that fit the terminal. Pure.

What comes from hosts is not trusted, names included: characters that a terminal would obey are shown as a mark.
"""

from collections.abc import Sequence

from wcwidth import clip, wcswidth

from rmactors.common.text import one_line

GAP = "  "
plain = one_line
"""How a cell is shown."""
_LEAST = 8
"""A column that is cut keeps at least this many characters."""


def cut(text: str, columns: int) -> str:
    """The text, or as much of it as fits, with `…` behind."""
    if wcswidth(text) <= columns:
        return text
    return f"{clip(text, 0, columns - 1, fillchar='')}…"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> str:
    """Aligned lines with a head. `columns` is the terminal's width; None where nothing may be cut, in a pipe say.

    Where it is too wide, the last column is cut first, then the widest one.
    """
    cells = [[plain(cell) for cell in row] for row in [head, *rows]]
    widths = [max(wcswidth(row[n]) for row in cells) for n in range(len(head))]
    while columns is not None and sum(widths) + len(GAP) * (len(widths) - 1) > columns:
        able = [n for n in range(len(widths)) if widths[n] > _LEAST and n > 0]  # the first names the row: never cut
        if not able:
            break
        last = len(widths) - 1
        widths[last if last in able else max(able, key=lambda n: widths[n])] -= 1
    lines = []
    for row in cells:
        lines.append(GAP.join(_fitted(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip())
    return "\n".join(lines)


def _fitted(cell: str, columns: int) -> str:
    shown = cut(cell, columns)
    return shown + " " * (columns - wcswidth(shown))


def sheet(pairs: Sequence[tuple[str, str]]) -> str:
    """One thing: a name and a value a line, names aligned; what is empty is left out."""
    shown = [(plain(name), plain(value)) for name, value in pairs if value]
    size = max((wcswidth(name) for name, _ in shown), default=0)
    return "\n".join(f"{_fitted(name, size)}{GAP}{value}" for name, value in shown)
