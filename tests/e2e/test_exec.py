"""`exec` from the command to the pages: what a wrapped command's end raises, resolves and leaves to read."""

import resource
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.agents import AgentProcess
from harness.processes import COMMAND, ROOT, Server, away, eventually


@pytest.fixture
def agent(shared_server: Server, tmp_path: Path, restic: str, request: pytest.FixtureRequest) -> AgentProcess:
    """A host of the test's own, where no agent runs."""
    return AgentProcess(shared_server, tmp_path / "host", request.node.name[:90])


async def run(agent: AgentProcess, host_id: str, *words: str) -> dict[str, Any]:
    """The job that a wrapped command became."""
    await away(lambda: agent.command("exec", "--kind", "backup", "--plan", "home", "--", *words))
    jobs = await away(lambda: agent.server.ask("GET", f"/api/jobs?host_id={host_id}"))
    newest: dict[str, Any] = jobs["items"][0]
    return newest


async def alerts(agent: AgentProcess, host_id: str) -> list[tuple[str, str]]:
    found = await away(lambda: agent.server.ask("GET", f"/api/alerts?host_id={host_id}&status=all"))
    return [(alert["kind"], alert["status"]) for alert in found["items"]]


async def test_a_run_that_a_time_limit_ends_every_night_is_alerted_and_a_good_one_resolves(
    shared_server: Server, agent: AgentProcess
) -> None:
    host_id = await away(agent.enroll)
    job = await run(agent, host_id, "sh", "-c", "kill -TERM $$")
    assert (job["status"], job["reason"], job["error"]) == (
        "failed",
        "terminated",
        "ended by SIGTERM, which nobody here asked for",
    )
    assert await alerts(agent, host_id) == [("backup_failed", "open")]
    dry = await run(agent, host_id, *agent.restic_command, "backup", "-vn", str(agent.source))
    assert (dry["status"], dry["reason"], dry["exit_code"]) == ("skipped", "skipped", 0)
    assert await alerts(agent, host_id) == [("backup_failed", "open")], "a dry run makes nothing good"
    good = await run(agent, host_id, *agent.restic_command, "backup", str(agent.source))
    assert good["status"] == "succeeded"
    assert await alerts(agent, host_id) == [("backup_failed", "resolved")]


async def test_the_output_of_a_wrapped_command_can_be_read_with_what_is_missing(
    shared_server: Server, agent: AgentProcess
) -> None:
    host_id = await away(agent.enroll)
    job = await run(agent, host_id, "sh", "-c", "seq 0 49999; echo 'no space left' >&2; exit 5")
    assert (job["status"], job["error"]) == ("failed", "no space left")
    lines = await away(lambda: shared_server.all_items(f"/api/jobs/{job['id']}/log"))
    gaps = [line for line in lines if line["stream"] == "gap"]
    assert gaps
    assert all(gap["line"] is None for gap in gaps)
    missing = sum(int(gap["text"].removesuffix(" lines left out")) for gap in gaps)
    assert missing + len(lines) - len(gaps) == 50_001
    assert lines[0] == {"line": 0, "stream": "stdout", "text": "0"}
    assert lines[-1]["text"] in ("49999", "no space left")
    assert {"no space left", "49999"} <= {line["text"] for line in lines}


async def test_a_mistyped_schedule_is_on_the_hosts_page_once(shared_server: Server, agent: AgentProcess) -> None:
    host_id = await away(agent.enroll)
    for _ in range(2):
        await away(
            lambda: agent.command("exec", "--kind", "backup", "--schedule", "nihgtly", "--", "true", seconds=120)
        )
    jobs = await away(lambda: shared_server.ask("GET", f"/api/jobs?host_id={host_id}"))
    assert ["nihgtly" in (job["warning"] or "") for job in jobs["items"]] == [True, True]
    async with shared_server.client() as client:
        page = (await client.get(f"/hosts/{host_id}")).text
    assert page.count("exec --schedule nihgtly") == 1


@contextmanager
def no_room(agent: AgentProcess) -> Iterator[None]:
    """No file of the agent's may grow: to SQLite, a disk that takes nothing more."""
    soft, hard = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_failure_on_a_full_disk_raises_its_alert_and_the_page_says_what_is_wrong(
    shared_server: Server, agent: AgentProcess
) -> None:
    host_id = await away(agent.enroll)
    await away(lambda: agent.start(host_id))
    with no_room(agent):
        words = [*COMMAND, "agent", "exec", "--kind", "backup", "--plan", "p", "--", "sh", "-c", "exit 1"]
        done = await trio.run_process(
            ["sh", "-c", f"ulimit -f 0; exec {shlex.join(words)}"], cwd=ROOT, env=agent.environment, check=False,
            capture_stderr=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (1, b"")

        def told() -> list[tuple[str, str]]:
            found = shared_server.all_items(f"/api/alerts?host_id={host_id}&status=all")
            return [(alert["kind"], alert["subject"]) for alert in found]

        def log() -> str:
            return agent.log_file.read_text()[-4000:]

        def problem() -> str | None:
            found: str | None = shared_server.ask("GET", f"/api/hosts/{host_id}")["spool_problem"]
            return found

        await away(
            lambda: eventually(
                lambda: told() == [("backup_failed", "plan:p")], 120, lambda: agent.log_file.read_text()[-4000:]
            )
        )
        await away(lambda: eventually(lambda: problem() is not None, 120, log))
        async with shared_server.client() as client:
            page = (await client.get(f"/hosts/{host_id}")).text
        assert "Its spool cannot be written since" in page
    assert agent.stop() == 0
