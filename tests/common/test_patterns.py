"""A regular expression writes the end of a text as `\\Z`, or is held against all of it: `$` lets a line feed follow."""

import ast
import re
from re import _constants, _parser  # type: ignore[attr-defined]

import pytest

from tests.test_imports import modules, parsed

FUNCTIONS = {"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"}


def patterns(tree: ast.AST) -> list[tuple[int, str, int]]:
    """Line, text and flags of every regular expression that is written out; of what is put into one, a letter."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if (
            isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "re"
            and node.func.attr in FUNCTIONS
        ):
            given = node.args[0] if node.args else None
        elif ast.unparse(node.func).rpartition(".")[2] == "Meta":
            given = next((keyword.value for keyword in node.keywords if keyword.arg == "pattern"), None)
        else:
            continue
        text = written(given)
        if text is not None:
            found.append((node.lineno, text, flags_of(node)))
    return found


def written(node: ast.expr | None) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(written(part) or "x" for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (written(left) or "x") + (written(right) or "x")
    return None


def flags_of(call: ast.Call) -> int:
    names = {
        node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "re"
    }
    return sum(flag for flag in (re.MULTILINE, re.DOTALL, re.VERBOSE) if flag.name in names)


def ends_loosely(pattern: str, flags: int = 0) -> bool:
    """Whether it has a `$` that is not meant for the ends of lines."""
    parsed_pattern = _parser.parse(pattern, flags)
    if parsed_pattern.state.flags & re.MULTILINE:
        return False
    waiting = [parsed_pattern]
    while waiting:
        part = waiting.pop()
        if part == (_constants.AT, _constants.AT_END):
            return True
        if isinstance(part, (tuple, list, _parser.SubPattern)):
            waiting += list(part)
    return False


def test_a_loose_end_is_told_from_others() -> None:
    assert ends_loosely("^[a-z]+$")
    assert ends_loosely("(?=.{1,9}$)[a-z]+")
    assert ends_loosely("a(b|c$)?")
    assert not ends_loosely(r"\A[a-z]+\Z")
    assert not ends_loosely(r"[$]\$")
    assert not ends_loosely("^[a-z]+$", re.MULTILINE)
    assert not ends_loosely("(?m)^[a-z]+$")


def test_every_kind_of_call_is_read() -> None:
    source = (
        'x = re.compile(rf"^{y}$")\nId = Annotated[str, Meta(pattern="^a$")]\nre.match("a" + "$", z, re.MULTILINE)\n'
    )
    assert sorted(patterns(ast.parse(source))) == [(1, "^x$", 0), (2, "^a$", 0), (3, "a$", re.MULTILINE)]
    assert sum(len(patterns(parsed(module))) for module in modules()) > 40


@pytest.mark.parametrize("module", list(modules()))
def test_no_pattern_lets_a_line_feed_follow_its_end(module: str) -> None:
    assert [text for _, text, flags in patterns(parsed(module)) if ends_loosely(text, flags)] == []


@pytest.mark.parametrize("module", list(modules()))
def test_what_is_made_a_number_is_asked_for_what_a_number_takes(module: str) -> None:
    """`int` takes no `²`, which `isdigit` does: it is `isdecimal`, or together with `isascii`."""
    with_ascii = [ast.unparse(node) for node in ast.walk(parsed(module)) if isinstance(node, ast.BoolOp)]
    asked = [
        ast.unparse(node)
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("isdigit", "isnumeric")
    ]
    assert [call for call in asked if not any(call in text and "isascii" in text for text in with_ascii)] == []
