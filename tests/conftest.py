"""What tests of several folders share: the versions of restic, both engines of the store, and one Chromium for all that
look at pages.

Playwright runs once, in a thread.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, expect, sync_playwright

from harness.chromium import CHROMIUM, FLAGS
from harness.postgres import running_postgres
from rmactors.server.store.place import Place, PostgresUrl
from tests.databases import ENGINES, Places, PostgresDatabases, SqlitePlaces
from tests.restics import EXPECTED, header, restics
from tests.store.ledger import Ledger

PATIENCE_MS = 60_000
"""Until a test gives up on what it expects of a page."""
expect.set_options(timeout=PATIENCE_MS)

settings.register_profile("no matter how busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no matter how busy")


def pytest_configure() -> None:
    """A shell starts what runs in the background with Ctrl-C ignored, `nohup` with SIGHUP, and all that the tests start
    would inherit it."""
    usual_of = {
        signal.SIGINT: signal.default_int_handler, signal.SIGQUIT: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL,
    }  # fmt: skip
    for number, usual in usual_of.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_report_header() -> str:
    return header()


def _with(version: str) -> Any:
    """That restic. One that nobody had seen when the cases were written is tried, and its failures stop nobody."""
    unseen = pytest.mark.xfail(reason=f"restic {version} was not seen yet: see what is different")
    return pytest.param(restics()[version], id=version, marks=() if version in EXPECTED else unseen)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `each_restic` (the path of a restic) runs once for each version that is there."""
    if "each_restic" in metafunc.fixturenames:
        versions = restics()
        if not versions and os.environ.get("CI") == "true":
            pytest.fail("no restic is installed, and CI=true does not skip: apt-get install restic")
        metafunc.parametrize("each_restic", [_with(version) for version in versions], scope="session")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not shutil.which(CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing: apt-get install -y chromium")
        pytest.skip(f"needs Chromium at {CHROMIUM}: apt-get install -y chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def postgres_databases() -> Iterator[PostgresDatabases]:
    """Databases of one PostgreSQL, which runs from the first test that wants it to the end."""
    with running_postgres() as server:
        yield PostgresDatabases(server)


@pytest.fixture(params=ENGINES)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    """Where there are new databases, for a test that needs many: on each engine in turn."""
    if request.param == "sqlite":
        return SqlitePlaces(tmp_path)
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    return databases


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Where a new database is, or will be once it is opened: on each engine in turn."""
    if request.param == "sqlite":
        yield tmp_path / "rm.db"
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    given = databases.new()
    yield given
    databases.give_back(given)


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    """A new database with a writer."""
    opened = Ledger(place)
    yield opened
    opened.close()


@pytest.fixture
def postgres_place(postgres_databases: PostgresDatabases) -> Iterator[PostgresUrl]:
    """A new database on PostgreSQL, for what is about that engine alone."""
    given = postgres_databases.new()
    yield given
    postgres_databases.give_back(given)
