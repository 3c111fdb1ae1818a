"""What of Jinja2 a body template may use: enough to write a body, and nothing that runs long. Pure.

An administrator writes one, and still a mistake must not stop the server, whose event loop renders it. So a
template is no program. There are no calls, macros, arithmetic or `range`; what a filter or `~` may make is counted
(`template.Budget`), loops are over what there is, and a loop pays for all its rounds before the first. What is left has
an end that is known beforehand. A deadline would need a process of its own: a thread cannot be stopped.
"""

import math
from collections.abc import Iterator
from typing import Final, cast

from jinja2 import nodes

MAX_PARTS: Final = 1_000
"""Nodes: each takes its time when a template is read, and a long body has tens."""
MAX_DEPTH: Final = 40
MAX_LOOPS: Final = 2
"""Loops inside one another."""

FILTERS: Final = frozenset({
    "capitalize", "default", "escape", "indent", "length", "lower", "replace", "tojson", "trim", "truncate", "upper",
    "urlencode",
})  # fmt: skip
TESTS: Final = frozenset({"defined", "none", "undefined"})
_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.List, nodes.Dict, nodes.Pair, nodes.Assign,
)  # fmt: skip
_WORDS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "a call with ( )", nodes.Macro: "macro", nodes.CallBlock: "call", nodes.FilterBlock: "filter",
    nodes.AssignBlock: "set without =", nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "import",
    nodes.Extends: "extends", nodes.Block: "block", nodes.With: "with", nodes.Scope: "with",
    nodes.Mul: "*", nodes.Pow: "**", nodes.Add: "+ (join texts with ~)", nodes.Sub: "-", nodes.Div: "/",
    nodes.FloorDiv: "//", nodes.Mod: "%", nodes.Neg: "-", nodes.Pos: "+", nodes.Tuple: "a list in ( )",
    nodes.Keyword: "name=value behind a filter", nodes.ScopedEvalContextModifier: "autoescape",
}  # fmt: skip


class NotAllowed(ValueError):
    """The template uses what it may not. Its words are a sentence that begins with the line."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"Line {line}: {detail}.")


def check(template: nodes.Template, variables: frozenset[str]) -> None:
    """Raises NotAllowed for what is not in the language, and for a name that means nothing."""
    names = {*variables, *(name.name for name in template.find_all(nodes.Name) if name.ctx != "load")}
    for count, (node, depth, loops) in enumerate(_all_of(template)):
        line = node.lineno or 1
        if count >= MAX_PARTS:
            raise NotAllowed(line, "the template has too many parts")
        if not isinstance(node, _ALLOWED):
            raise NotAllowed(line, f"{_WORDS.get(type(node), type(node).__name__)} cannot be used here")
        if depth > MAX_DEPTH or loops > MAX_LOOPS:
            raise NotAllowed(line, "this is nested too deeply")
        detail = _fault(node, names, within_loop=loops > 0)
        if detail is not None:
            raise NotAllowed(line, detail)


def _fault(node: nodes.Node, names: set[str], *, within_loop: bool) -> str | None:
    match node:
        case nodes.Name(name=name, ctx="load") if name not in names and not (within_loop and name == "loop"):
            return f"nothing here is called {name}; there are {', '.join(sorted(names))}"
        case nodes.Name(name="loop", ctx=ctx) if ctx != "load":
            return "loop is taken: choose another name"
        case nodes.Const(value=float(number)) if not math.isfinite(number):
            return "this number is too large"
        case nodes.Getattr(attr=attr) if attr.startswith("_"):
            return f"nothing here is called {attr}"
        case nodes.Filter(name=name) if name not in FILTERS:
            return f"there is no filter {name}; there are {', '.join(sorted(FILTERS))}"
        case nodes.Test(name=name) if name not in TESTS:
            return f"“is {name}” cannot be asked here; there are {', '.join(sorted(TESTS))}"
        case nodes.For(recursive=True):
            return "a loop cannot be recursive here"
        case nodes.Assign() if any(True for _ in node.find_all((nodes.List, nodes.Dict))):
            return "set takes a text, no list"
    return None


def _all_of(root: nodes.Node) -> Iterator[tuple[nodes.Node, int, int]]:
    """Every node, how deep it stands, and in how many loops. Without recursion: the depth is what is looked for."""
    waiting = [(root, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        inside = loops + isinstance(node, nodes.For)
        yield node, depth, inside
        if depth <= MAX_DEPTH:
            waiting += [(child, depth + 1, inside) for child in node.iter_child_nodes()]


def counted(template: nodes.Template) -> nodes.Template:
    """The template, with each `~` and each loop through a filter that pays for it."""
    for node in list(_all_of(template)):
        _count_below(node[0])
    return template


def _count_below(node: nodes.Node) -> None:
    for name, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, name, [_paid(each) for each in value])
        else:
            setattr(node, name, _paid(value))
    if isinstance(node, nodes.For):
        cost = sum(1 for _ in node.find_all(nodes.Node))
        node.iter = _filter(node.iter, "_rounds", cost)


def _paid(value: object) -> object:
    if isinstance(value, nodes.Concat):
        return _filter(nodes.List(value.nodes, lineno=value.lineno), "_joined")
    return value


def _filter(node: nodes.Node, name: str, *arguments: int) -> nodes.Filter:
    given: list[nodes.Expr] = [nodes.Const(argument) for argument in arguments]
    return nodes.Filter(cast(nodes.Expr, node), name, given, [], None, None, lineno=node.lineno)
