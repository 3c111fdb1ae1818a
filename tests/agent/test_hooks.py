"""Commands around a backup: what they see, and that the second runs whatever became of the first and of the job."""

from pathlib import Path

import pytest
import trio

from rmactors.agent.agent_file import Hooks
from rmactors.agent.daemon import run_agent
from rmactors.agent.state_dir import StateDir

from .conftest import FAST
from .repositories import ResticRepository
from .server_double import ServerDouble, eventually
from .test_jobs_with_restic import outcome


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    """Both write down when they were called, and how the job had ended."""
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\necho "$1 $RM_PLAN $RM_JOB_STATUS" >> {tmp_path}/told\n')
    hook.chmod(0o755)
    return Hooks(before=[str(hook), "before"], after=[str(hook), "after"])


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_hooks_run_around_a_backup_and_see_its_end(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path, hooks: Hooks, status: str
) -> None:
    if status == "failed":
        repository.password_file.write_text("wrong")
    end = await outcome(server, enrolled, repository.agent_file(plan={"hooks": hooks}), "backup")
    assert end.status == status
    assert (tmp_path / "told").read_text() == f"before home \nafter home {status}\n"


async def test_a_hook_that_fails_stops_the_backup_and_is_named_and_after_runs_all_the_same(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path, hooks: Hooks
) -> None:
    failing = Hooks(before=["/bin/sh", "-c", "echo the database is away >&2; exit 1"], after=hooks.after)
    end = await outcome(server, enrolled, repository.agent_file(plan={"hooks": failing}), "backup")
    assert (end.status, end.error) == ("failed", "the hook `before` failed: the database is away")
    assert repository.restic("snapshots", "--json").stdout.strip() == "[]"
    assert (tmp_path / "told").read_text() == "after home failed\n"


async def test_what_the_first_hook_makes_is_backed_up(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    dump = tmp_path / "dump.sql"
    making = Hooks(before=["/bin/sh", "-c", f"echo rows > {dump}"])
    end = await outcome(
        server, enrolled, repository.agent_file(plan={"hooks": making, "sources": [str(dump)]}), "backup"
    )
    assert (end.status, end.error) == ("succeeded", None)


async def test_after_runs_also_where_the_agent_is_stopped_in_mid_backup(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path, hooks: Hooks
) -> None:
    """And the lock of a restic that had to be killed is cleared."""
    (repository.source / "big").write_bytes(bytes(range(256)) * 40_000)
    agent_file = repository.agent_file(
        plan={"hooks": hooks},
        repository={"limit_upload": 300},
        cancel_grace_seconds=0.0,
        restic=ignoring_sigint(tmp_path),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        await server.run_job("backup")
        await eventually(repository.locks)
        nursery.cancel_scope.cancel()
    assert (tmp_path / "told").read_text() == "before home \nafter home failed\n"
    assert repository.locks() == []


def ignoring_sigint(folder: Path) -> str:
    """A restic whose backup does not hear SIGINT, so that it has to be ended by what leaves its lock behind."""
    script = folder / "stubborn"
    script.write_text('#!/bin/sh\n[ "$1" = unlock ] || trap "" INT\nexec restic "$@"\n')
    script.chmod(0o755)
    return str(script)
