"""Which module may use which: the shape of the program, read from its imports. Nothing is imported to find out."""

import ast
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rmactors"

PURE = (
    "rules", "messages", "dispatch", "notices", "routing", "liveness", "links", "under_way", "errands", "reports",
    "awake", "cron", "on_calendar", "when", "wire", "bounds", "job_stats", "vocabulary", "clock", "ids", "health",
    "subset", "idn", "plain_text", "budgets", "batches", "log_lines", "host_notes", "host_inbox", "places",
    "backlog", "addresses", "strangers", "guesses", "refusals", "turns", "proxy_protocol",
)  # fmt: skip
CONSTANTS = {"rmactors.common.zones"}
"""Reads the files of time zones and nothing else: tables that change a few times a year. Pure modules may ask it."""
IMPURE_IMPORTS = {"trio", "sqlite3", "httpx", "logging", "quart", "quart_trio", "hypercorn", "socket", "threading"}
AGENT = (
    "agent", "simulate", "client", "cli.agent", "cli.simulate", "cli.remote", "cli.alerts", "cli.hosts", "cli.jobs",
    "cli.channels", "cli.completion",
)  # fmt: skip
PARENTS = {
    ("rmactors.server.actors.host.supervisor", "rmactors.server.actors.host.actor"),
    ("rmactors.server.actors.delivery.supervisor", "rmactors.server.actors.delivery.actor"),
}
SHARED_BY_ACTORS = {"rmactors.server.edges.listener"}
"""No actor: a port, opened before the tree starts, and those who come to it."""
SQL = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "PRAGMA ", "BEGIN ", "CREATE TABLE")


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(), filename=str(modules()[module]))


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that `module` names in an import, wherever in it that stands."""
    found: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules() else node.module)
    return frozenset(found)


@cache
def reached(module: str) -> frozenset[str]:
    """Everything that importing `module` may lead to, the packages on the way included."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [".".join(name.split(".")[:n]) for n in range(1, name.count(".") + 1)]
        if name in modules():
            waiting += imports(name)
    return frozenset(seen)


def under(*names: str) -> list[str]:
    """The modules of these parts of the package, so named or below."""
    whole = tuple(f"rmactors.{name}" for name in names)
    return [module for module in modules() if module in whole or module.startswith(tuple(f"{name}." for name in whole))]


def top(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def server_only() -> set[str]:
    """The import names of what the extra `server` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = project["optional-dependencies"]["server"]
    return {requirement.partition(">")[0].partition("<")[0].replace("-", "_") for requirement in brought} | {"argon2"}


def test_the_pure_modules_are_all_there() -> None:
    for name in PURE:
        assert under(name), f"rmactors.{name} is gone: take it off the list, or put it back"


@pytest.mark.parametrize("module", under(*PURE))
def test_a_pure_module_leads_to_nothing_that_touches_the_world(module: str) -> None:
    reaches = reached(module)
    assert not top(reaches) & IMPURE_IMPORTS, sorted(top(reaches) & IMPURE_IMPORTS)
    allowed = set(under(*PURE)) | CONSTANTS | {"rmactors"}
    assert {name for name in reaches if name.startswith("rmactors")} <= allowed


@pytest.mark.parametrize(
    "module",
    under(
        "rules", "dispatch", "backlog", "refusals", "notices", "routing", "liveness", "links", "under_way", "errands"
    ),
)
def test_a_pure_module_reads_no_clock(module: str) -> None:
    called = {
        f"{ast.unparse(node.func.value)}.{node.func.attr}"
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"clock.now", "time.time", "time.monotonic", "datetime.now", "datetime.utcnow", "ids.new"}


@pytest.mark.parametrize("module", under("actors"))
def test_an_actor_knows_no_other_but_its_children(module: str) -> None:
    others = {name for name in imports(module) if name in under("actors") and name not in SHARED_BY_ACTORS}
    assert {(module, other) for other in others} <= PARENTS


@pytest.mark.parametrize("module", under("web"))
def test_routes_know_no_actor(module: str) -> None:
    assert not {name for name in reached(module) if name.startswith("rmactors.server.actors")}


@pytest.mark.parametrize("module", under("store", "channels", "web", "agent", "simulate", *PURE))
def test_nothing_below_the_tree_knows_the_tree(module: str) -> None:
    assert "rmactors.server.main" not in reached(module)


@pytest.mark.parametrize("module", under(*AGENT))
def test_an_agent_runs_without_the_server_extra(module: str) -> None:
    reaches = reached(module)
    assert not top(reaches) & server_only(), sorted(top(reaches) & server_only())
    assert not {
        name
        for name in reaches
        if name.startswith(("rmactors.server.web", "rmactors.server.actors", "rmactors.server.store"))
    }


def test_the_command_line_starts_without_the_server_extra() -> None:
    assert not top(imported_at_once("rmactors.cli.main")) & server_only()


def imported_at_once(module: str) -> frozenset[str]:
    """What importing `module` leads to by imports at the top level alone, not by those inside functions."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in parsed(name).body if name in modules() else []:
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                waiting += [node.module, *(name for name in full if name in modules())]
    return frozenset(seen)


@pytest.mark.parametrize("module", list(modules()))
def test_sql_is_spoken_in_the_store_alone(module: str) -> None:
    if module.startswith(("rmactors.server.store", "rmactors.agent.spool")):
        assert module in modules()
        return
    spoken = [
        node.value
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lstrip().startswith(SQL)
    ]
    assert not spoken


@pytest.mark.parametrize("module", list(modules()))
def test_every_module_says_what_it_is(module: str) -> None:
    empty = not modules()[module].read_text().strip()
    assert empty or ast.get_docstring(parsed(module)), f"{modules()[module]} has no docstring"


def test_third_party_imports_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    names = {
        requirement.partition(">")[0].partition("<")[0].partition(";")[0].strip().lower().replace("-", "_")
        for requirement in declared
    }
    known_as = {"ulid": "python_ulid", "argon2": "argon2_cffi"}
    used: set[str] = set()
    for module in modules():
        used |= top(imports(module))
    third_party = {known_as.get(name, name) for name in used if name not in sys.stdlib_module_names} - {"rmactors"}
    by_quart = {"werkzeug"}  # quart's own types
    assert third_party <= names | by_quart, sorted(third_party - names)
