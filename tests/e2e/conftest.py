"""What the end-to-end tests share: real processes that are gone when a test is over."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .harness import Server, running_server
from .sink import Sink, open_sink


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server of the test's own: it may be killed."""
    with running_server(tmp_path / "server") as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a whole module of tests that must not harm it."""
    with running_server(tmp_path_factory.mktemp("shared") / "server") as running:
        yield running
        running.must_live()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with open_sink() as listening:
        yield listening


@pytest.fixture(scope="session")
def restic() -> str:
    """The path of restic. Where CI=true it must be there; elsewhere its absence skips the test."""
    found = shutil.which("restic")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("restic is not installed, and CI=true does not skip")
        pytest.skip("restic is not installed")
    return found
