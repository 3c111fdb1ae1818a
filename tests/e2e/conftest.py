"""What the end-to-end tests share: real processes that are gone when a test is over."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from harness.agents import enroll_host
from harness.hostile import GROWTH_MIB, bystanders, resident_mib
from harness.processes import Server, away, eventually, running_server
from harness.sink import Sink, open_sink
from rmactors.common import ids
from rmactors.simulate.agent import SimCredential


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
async def besieged(shared_server: Server) -> AsyncIterator[Server]:
    """That server, with bystanders who notice nothing and a memory that stays as it is, or is soon again: a password
    that is being checked takes 64 MiB, and there are two at most."""
    _ = shared_server.token
    async with bystanders(shared_server):
        before = resident_mib(shared_server)
        yield shared_server

    def grown() -> float:
        return resident_mib(shared_server) - before

    await away(
        lambda: eventually(lambda: grown() < GROWTH_MIB, 120, lambda: f"the server has grown by {grown():.0f} MiB")
    )


@pytest.fixture
async def host(shared_server: Server) -> SimCredential:
    """An enrolled host of that server."""
    return await enroll_host(shared_server, f"host-{ids.new()}")


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
