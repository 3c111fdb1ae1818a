"""Nothing grows until it has to be read twice: the size of every file and function of the package."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rmactors"
LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
LINES_OF_AN_ACTOR = {"server/actors/rules/actor.py": 150, "server/actors/host/actor.py": 150}
"""These two only receive a message, ask their core, and carry out what it says."""
FILES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("name", FILES)
def test_a_file_and_its_functions_are_short_enough_to_be_read_at_once(name: str) -> None:
    text = FILES[name].read_text()
    assert len(text.splitlines()) <= LINES_OF_AN_ACTOR.get(name, LINES_OF_A_FILE), f"{name}: split it by subject"
    too_long = [
        f"{node.name} at line {node.lineno}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LINES_OF_A_FUNCTION
    ]
    assert not too_long, f"{name}: split by idea"


def test_the_actors_with_a_bound_of_their_own_are_there() -> None:
    assert set(LINES_OF_AN_ACTOR) <= set(FILES)
