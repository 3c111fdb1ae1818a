"""The tree is data; what the documentation and /healthz say of it is held against that."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from rmactors.server.health import ALWAYS, health
from rmactors.server.tree import CHECK_OF, CHILDREN, CORE, EDGES, Child

PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()


class Row(NamedTuple):
    """One row of the page's table."""

    actor: str
    owns: str
    receives: str
    mailbox: str
    full: str
    sends: str
    budget: str
    check: str


def rows() -> dict[str, Row]:
    table = PAGE.partition("| actor | owns |")[2].partition("\n\n")[0].split("\n")[2:]
    found = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in table]
    return {row.actor: row for row in found}


def drawn(group: str) -> list[str]:
    """The names below this group in the drawing, in order."""
    drawing = PAGE.partition("```\nserver\n")[2].partition("```")[0]
    part = re.split(r"^[├└]─ (\w+)", drawing, flags=re.MULTILINE)
    lines = part[part.index(group) + 1].splitlines()[1:]
    return [match[1] for line in lines if (match := re.match(r"[│ ]+[├└]─ (\S+(?: ─ \S+)?)", line))]


def with_each(child: Child) -> str:
    return child.name if child.each is None else f"{child.name} ─ {child.each.name}"


def test_the_drawing_shows_every_child_in_its_place() -> None:
    assert drawn("core") == [with_each(child) for child in CORE]
    assert drawn("edges") == [with_each(child) for child in EDGES]


def test_the_table_has_a_row_for_each_child_and_no_other() -> None:
    assert sorted(rows()) == sorted(child.name for child in CHILDREN)


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: child.name)
def test_the_table_says_of_a_child_what_the_tree_says(child: Child) -> None:
    row = rows()[child.name]
    assert row.budget == f"{child.budget.restarts} in {child.budget.seconds:g} s"
    assert row.full == child.when_full
    assert row.check == child.health
    sizes = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row.mailbox)]
    assert [size for size in (child.mailbox, child.second) if size] == sizes[: 1 + bool(child.second)]


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: child.name)
def test_a_child_that_is_down_is_what_healthz_names(child: Child) -> None:
    actor = child.name.replace("…", "01X")
    checks = health(None, 0, 0, 60, {actor: "it crashed"}, CHECK_OF).checks
    assert checks == dict.fromkeys(ALWAYS, "ok") | {child.health: "it crashed"}
