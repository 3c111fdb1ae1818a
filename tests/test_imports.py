"""Which module may use which: the shape of the program, read from its folders and imports. Nothing is imported to find
out."""

import ast
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rmactors"

SHELLS = ("actor", "supervisor")
"""The modules of an actor's folder that touch the world. Every other one is pure."""
ACTORS = sorted(
    folder.name for folder in (PACKAGE / "server" / "actors").iterdir() if (folder / "actor.py").is_file()
)  # fmt: skip
ALSO_PURE = (
    "server.messages", "server.state", "server.calendars", "server.health", "server.actors.awake",
    "server.config.action_links", "server.config.role_map", "server.openid.claims", "server.openid.metadata",
    "server.openid.trouble", "server.store.routing", "server.store.guesses", "server.runtime.rate_limits",
    "server.edges.addresses", "server.edges.places", "server.edges.preauth_limits", "server.edges.turns",
    "server.edges.proxy_protocol", "server.edges.handshake", "server.edges.host_names", "server.web.live_items",
    "common.wire", "common.bounds", "common.job_stats", "common.sizes", "common.vocabulary", "common.clock",
    "common.cron", "common.ids", "common.subset", "common.idn", "common.text",
    "agent.command_line", "agent.imports.found", "agent.imports.commands", "agent.imports.crontab",
    "agent.imports.systemd", "agent.imports.resticprofile", "agent.imports.autorestic", "agent.imports.backrest",
    "agent.imports.formats",
)  # fmt: skip
"""Pure modules outside of the actors' folders."""
CONSTANTS = {"rmactors.common.zones"}
"""Reads the files of time zones and nothing else: tables that change a few times a year. Pure modules may ask it."""
IMPURE_IMPORTS = {"trio", "sqlite3", "httpx", "logging", "quart", "quart_trio", "hypercorn", "socket", "threading"}
BASE_INSTALL = (
    "common", "agent", "simulate", "client", "cli.agent", "cli.simulate", "cli.remote", "cli.alerts", "cli.hosts",
    "cli.jobs", "cli.backups", "cli.snapshots", "cli.channels", "cli.policies", "cli.completion",
    "cli.configuration", "cli.importing",
)  # fmt: skip
"""What runs without the extra `server`."""
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
    return _imports(module, ast.walk(parsed(module)))


@cache
def imports_at_once(module: str) -> frozenset[str]:
    """Those at the top level alone, not those inside functions."""
    return _imports(module, parsed(module).body)


def _imports(module: str, nodes: Iterable[ast.AST]) -> frozenset[str]:
    found: set[str] = set()
    for node in nodes:
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
def reached(module: str, *, at_once: bool = False) -> frozenset[str]:
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
            waiting += imports_at_once(name) if at_once else imports(name)
    return frozenset(seen)


def under(*names: str) -> list[str]:
    """The modules of these parts of the package, so named or below."""
    whole = tuple(f"rmactors.{name}" for name in names)
    return [module for module in modules() if module in whole or module.startswith(tuple(f"{name}." for name in whole))]


def within(names: Iterable[str], *parts: str) -> set[str]:
    return {name for name in names if name in under(*parts)}


def top(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def pure() -> list[str]:
    """The modules that take messages and state and give effects, and touch nothing of the world."""
    cores = [
        module for name in ACTORS for module in under(f"server.actors.{name}")
        if module.rpartition(".")[2] not in SHELLS
    ]  # fmt: skip
    return sorted({*cores, *under(*ALSO_PURE)})


def server_only() -> set[str]:
    """The import names of what the extra `server` brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = project["optional-dependencies"]["server"]
    return {requirement.partition(">")[0].partition("<")[0].replace("-", "_") for requirement in brought} | {"argon2"}


def test_the_folders_that_the_rules_name_are_there() -> None:
    assert ACTORS == ["delivery", "digests", "host", "policies", "repositories", "rules", "store"]
    for name in (*ALSO_PURE, *BASE_INSTALL):
        assert under(name), f"rmactors.{name} is gone: take it off the list, or put it back"


def test_the_root_of_the_package_holds_folders_alone() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}


# ---- the pure core


@pytest.mark.parametrize("module", pure())
def test_a_pure_module_leads_to_nothing_that_touches_the_world(module: str) -> None:
    reaches = reached(module)
    assert not top(reaches) & IMPURE_IMPORTS, sorted(top(reaches) & IMPURE_IMPORTS)
    packages = {name for name in modules() if modules()[name].name == "__init__.py"}
    assert {name for name in reaches if name.startswith("rmactors")} <= {*pure(), *CONSTANTS, *packages}


@pytest.mark.parametrize("module", [module for module in pure() if ".server." in module])
def test_a_pure_module_of_the_server_reads_no_clock(module: str) -> None:
    called = {
        f"{ast.unparse(node.func.value)}.{node.func.attr}"
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"clock.now", "time.time", "time.monotonic", "datetime.now", "datetime.utcnow", "ids.new"}


# ---- who may know whom


@pytest.mark.parametrize("module", under("agent", "client", "common"))
def test_the_hosts_side_and_what_both_share_reach_nothing_of_the_server(module: str) -> None:
    assert not within(reached(module), "server")


@pytest.mark.parametrize("module", under("server.actors"))
def test_no_actor_imports_another(module: str) -> None:
    own = module.removeprefix("rmactors.server.actors").split(".")[1:2]
    others = within(imports(module), "server.actors") - set(under(*(f"server.actors.{name}" for name in own)))
    assert not others - {"rmactors.server.actors"}


@pytest.mark.parametrize("module", under("server.store", "server.web", "server.edges", "server.channels"))
def test_store_web_edges_and_channels_know_no_actor(module: str) -> None:
    assert not within(reached(module), "server.actors")


@pytest.mark.parametrize("module", under("server.web.pages", "server.web.operations"))
def test_what_pages_and_api_both_do_is_an_operation(module: str) -> None:
    others = ["server.web.api"] if ".pages" in module else ["server.web.api", "server.web.pages"]
    assert not within(imports(module), *others)


@pytest.mark.parametrize(
    "module", [module for module in under("server") if module not in under("server.tree", "server.main")]
)
def test_nothing_below_the_tree_knows_the_tree(module: str) -> None:
    assert not within(reached(module), "server.tree", "server.main")


@pytest.mark.parametrize("module", under(*BASE_INSTALL))
def test_an_agent_runs_without_the_server_extra(module: str) -> None:
    reaches = reached(module)
    assert not top(reaches) & server_only(), sorted(top(reaches) & server_only())
    assert not within(reaches, "server.web", "server.actors", "server.store")


def test_the_command_line_starts_without_the_server_extra() -> None:
    assert not top(reached("rmactors.cli.main", at_once=True)) & server_only()


def test_no_imports_go_in_a_circle() -> None:
    on_the_way: list[str] = []
    done: set[str] = set()

    def follow(module: str) -> None:
        if module in on_the_way:
            circle = on_the_way[on_the_way.index(module) :]
            raise AssertionError(" → ".join([*circle, module]))
        if module in done or module not in modules():
            return
        on_the_way.append(module)
        for other in sorted(imports(module)):
            follow(other)
        on_the_way.pop()
        done.add(module)

    for module in modules():
        follow(module)


@pytest.mark.parametrize(
    ("folder", "other"), [("tests", "bench"), ("bench", "tests"), ("harness", "bench"), ("harness", "tests")]
)
def test_tests_and_benchmarks_share_the_harness_and_not_each_other(folder: str, other: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in named if name.partition(".")[0] == other], path


# ---- what belongs in one place


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
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = {
        requirement.partition(">")[0].partition("<")[0].partition(";")[0].strip().lower().replace("-", "_")
        for requirement in declared
    }
    known_as = {
        "ulid": "python_ulid", "argon2": "argon2_cffi", "yaml": "pyyaml", "hcl2": "python_hcl2",
        "psycopg": "psycopg[binary]",
    }  # fmt: skip
    used: set[str] = set()
    for module in modules():
        used |= top(imports(module))
    third_party = {known_as.get(name, name) for name in used if name not in sys.stdlib_module_names} - {"rmactors"}
    by_others = {"werkzeug", "lark"}  # quart's own types, python-hcl2's own errors
    assert third_party <= names | by_others, sorted(third_party - names)
