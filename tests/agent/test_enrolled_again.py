"""A machine that is enrolled a second time: what is asked first, and whose its unsent reports are."""

from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.enrollment import EnrollmentFailed, enroll, set_credential
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, NotEnrolled, StateDir
from rmactors.cli.main import main
from rmactors.common import ids, wire

from .conftest import FAST
from .server_double import ServerDouble, eventually, serving

NOTHING = AgentFile(allow=[])


def ended(job_id: str) -> wire.JobFinished:
    now = wire.utc_now()
    return wire.JobFinished(0, job_id, "backup", "failed", "error", now, now, 1, "boom")


def fill(state: StateDir, jobs: int) -> list[str]:
    """Ends of some jobs, as runs of `exec` leave them."""
    job_ids = [ids.new() for _ in range(jobs)]
    spool = Spool(state.spool_file)
    for job_id in job_ids:
        spool.add(ended(job_id))
    spool.close()
    return job_ids


async def test_a_credential_is_replaced_only_when_that_is_said(enrolled: StateDir, server: ServerDouble) -> None:
    before = enrolled.credential()
    with pytest.raises(EnrollmentFailed) as refused:
        await enroll(server.url, "enroll-1", enrolled.path, name="another", timings=FAST)
    for word in ("enrolled already", "'nas'", before.host_id, server.url, str(enrolled.credential_file), "--again"):
        assert word in str(refused.value)
    assert enrolled.credential() == before
    assert not server.sessions, "the token is not spent"
    await enroll(server.url, "enroll-1", enrolled.path, name="another", timings=FAST, again=True)
    assert enrolled.credential().name == "another"


async def test_the_command_says_so_before_it_asks_for_a_token(enrolled: StateDir) -> None:
    arguments = ["agent", "enroll", "--server", "http://127.0.0.1:1", "--token-file", "-"]
    command = [*arguments, "--state-dir", str(enrolled.path)]
    done = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, command, input=""))
    assert done.exit_code == 1
    assert "is enrolled already, as 'nas'" in done.output
    assert "rmactors agent enroll --again" in done.output


async def test_a_damaged_credential_is_replaced_without_more_ado(enrolled: StateDir, server: ServerDouble) -> None:
    enrolled.credential_file.write_text("{")
    await enroll(server.url, "enroll-1", enrolled.path, name="nas", timings=FAST)
    assert enrolled.credential().token == "agent-1"


async def test_a_token_for_a_host_gives_the_machine_its_name(state: StateDir, server: ServerDouble) -> None:
    server.token_is_for = "db-03"
    with pytest.raises(EnrollmentFailed, match=r"'db-03'.*leave out --name; the token can still be used"):
        await enroll(server.url, "enroll-1", state.path, name="db-04", timings=FAST)
    assert (await enroll(server.url, "enroll-1", state.path, timings=FAST)).credential.name == "db-03"
    assert state.credential().name == "db-03"


async def test_what_waits_is_sent_as_the_same_host_s(enrolled: StateDir, server: ServerDouble) -> None:
    waiting = fill(enrolled, 3)
    found = await enroll(server.url, "enroll-1", enrolled.path, name="nas", timings=FAST, again=True)
    assert found.others == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
        await eventually(lambda: [end.job_id for end in server.ends()] == waiting)
        nursery.cancel_scope.cancel()


async def test_what_waits_is_never_sent_as_another_host_s_and_comes_back_with_its_own(
    enrolled: StateDir, server: ServerDouble
) -> None:
    first = enrolled.credential()
    waiting = fill(enrolled, 3)
    spool = Spool(enrolled.spool_file)
    spool.belong_to(first.host_id)
    running = wire.JobStarted(0, ids.new(), "backup", wire.utc_now())
    spool.add(running, owner="1 a process")
    async with serving(ServerDouble()) as another:
        found = await enroll(another.url, "enroll-1", enrolled.path, name="other", timings=FAST, again=True)
        assert found.others == 4, "with the start of what runs"
        spool.add(ended(running.job_id))
        [new] = fill(enrolled, 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
            await eventually(lambda: [end.job_id for end in another.ends()] == [new])
            await eventually(lambda: spool.count() == 0)
            nursery.cancel_scope.cancel()
        assert [report.job_id for report in another.received] == [new]
    spool.close()
    server.tokens.add("enroll-2")
    server.taken_names.clear()
    assert (await enroll(server.url, "enroll-2", enrolled.path, name="nas", timings=FAST, again=True)).others == 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
        await eventually(lambda: len(server.received) == 5)
        nursery.cancel_scope.cancel()
    assert [report.job_id for report in server.received] == [*waiting, running.job_id, running.job_id]
    assert server.agents() == []


async def test_a_running_agent_goes_over_to_the_new_host_at_once(enrolled: StateDir, server: ServerDouble) -> None:
    async with serving(ServerDouble()) as another, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
        old = await server.an_agent()
        await enroll(another.url, "enroll-1", enrolled.path, name="other", timings=FAST, again=True)
        await another.an_agent()
        await eventually(lambda: old.gone)
        nursery.cancel_scope.cancel()


async def test_a_new_credential_takes_the_place_of_the_old_one(enrolled: StateDir, server: ServerDouble) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
        first = await server.an_agent()
        server.tokens = {"rmh_new"}
        await first.socket.aclose(wire.CLOSE_REVOKED)
        await eventually(lambda: not server.agents())
        before = enrolled.credential()
        set_credential(enrolled.path, "rmh_new\n")
        assert (await server.an_agent()).token == "rmh_new"
        nursery.cancel_scope.cancel()
    after = enrolled.credential()
    assert (after.host_id, after.name, after.server_url) == (before.host_id, before.name, before.server_url)


@pytest.mark.parametrize("typed", ["", "two words", "rme_a-token"])
async def test_what_is_no_credential_is_refused(enrolled: StateDir, typed: str) -> None:
    with pytest.raises(EnrollmentFailed):
        set_credential(enrolled.path, typed)
    assert enrolled.credential().token == "agent-1"


def test_a_credential_needs_a_host_that_was_enrolled(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("rmh_new\n")
    with pytest.raises(NotEnrolled):
        set_credential(tmp_path / "state", "rmh_new")
    command = ["agent", "credential", "--token-file", str(tmp_path / "token"), "--state-dir"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "state")])
    assert (done.exit_code, "run `rmactors agent enroll` first" in done.output) == (1, True)
    StateDir(tmp_path / "state").make()
    StateDir(tmp_path / "state").save_credential(HostCredential("ws://x/ws/agent", ids.new(), "nas", "agent-1"))
    done = CliRunner().invoke(main, [*command, str(tmp_path / "state")])
    assert (done.exit_code, "rmh_new" in done.output) == (0, False)
    assert StateDir(tmp_path / "state").credential().token == "rmh_new"


async def test_without_a_credential_the_file_still_knows_whose_reports_wait(
    enrolled: StateDir, server: ServerDouble
) -> None:
    spool = Spool(enrolled.spool_file)
    spool.belong_to(enrolled.credential().host_id)
    spool.close()
    fill(enrolled, 2)
    enrolled.credential_file.unlink()
    server.host_id = ids.new()
    assert (await enroll(server.url, "enroll-1", enrolled.path, name="other", timings=FAST)).others == 2
