"""Both kinds of agent that the tests use: a raw socket that says what it is told to, and the real agent's process."""

import json
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio_websocket

from harness.cheap_key import new_repository
from harness.processes import COMMAND, ROOT, Server, away, environment, eventually
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimCredential, SimulatedAgent, enroll


async def enroll_host(server: Server, name: str) -> SimCredential:
    """A new host, by an enrollment token of the API and the agents' port."""
    return await enroll(server.agent_url, await away(server.enrollment_token), name)


@asynccontextmanager
async def simulated(server: Server, *credentials: SimCredential) -> AsyncIterator[list[SimulatedAgent]]:
    """Protocol-true agents that run for as long as the block lasts."""
    agents = [SimulatedAgent(server.agent_url, item, reconnect_seconds=0.2) for item in credentials]
    async with trio.open_nursery() as nursery:
        for agent in agents:
            nursery.start_soon(agent.run)
        try:
            yield agents
        finally:
            nursery.cancel_scope.cancel()


def ended(
    plan: str, status: str = "failed", *, reason: str = "error", error: str | None = None, at: datetime | None = None,
    files: int | None = None,
) -> Any:  # fmt: skip
    """A report of a backup that ended, as `SimulatedAgent.report` wants it. `files`: how many it held."""
    job_id, finished = ids.new(), at or wire.utc_now()

    def make(seq: int) -> wire.JobFinished:
        return wire.JobFinished(
            seq=seq,
            job_id=job_id,
            kind="backup",
            plan=plan,
            status=status,  # type: ignore[arg-type]
            reason="ok" if status == "succeeded" else reason,  # type: ignore[arg-type]
            error=error,
            exit_code=0 if status == "succeeded" else 1,
            started_at=finished - timedelta(seconds=1),
            finished_at=finished,
            stats=msgspec.Raw(msgspec.json.encode({} if files is None else {"files_total": files})),
        )

    return make


class RawLink:
    """A WebSocket of the agents' port that sends what it is given, right or wrong, and gives back what comes."""

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self.connection = connection

    async def send(self, message: str | bytes | dict[str, Any] | wire.Frame) -> None:
        match message:
            case dict():
                message = json.dumps(message)
            case wire.Frame():
                message = wire.encode(message)
            case _:
                pass
        await self.connection.send_message(message)

    async def receive(self, seconds: float = 120.0, *, also_stats: bool = False) -> dict[str, Any]:
        """The next frame. Raises ConnectionClosed, trio.TooSlowError.

        Without `also_stats`, what the server asks at a time of its own, how large repositories are, is left out.
        """
        with trio.fail_after(seconds):
            while True:
                found: dict[str, Any] = json.loads(await self.connection.get_message())
                if also_stats or (found["type"], found.get("kind")) != ("request", "stats"):
                    return found

    async def hello(self, **fields: Any) -> dict[str, Any]:
        """Say hello, plainly or with these fields, and give the welcome."""
        await self.send(hello(**fields))
        welcome = await self.receive()
        assert welcome["type"] == "welcome", welcome
        return welcome

    async def close_code(self, seconds: float = 120.0) -> int:
        """Read on until the server has closed, and say with what."""
        with trio.fail_after(seconds):
            try:
                while True:
                    await self.connection.get_message()
            except trio_websocket.ConnectionClosed as closed:
                reason = closed.reason
        assert reason is not None, "the connection ended without a close frame"
        code: int = reason.code
        return code


def hello(**fields: Any) -> dict[str, Any]:
    frame = wire.Hello(
        wire.ProtocolRange(1, 1), ids.new(), hostname="raw", os="linux", arch="x86_64", agent_version="0"
    )
    plain: dict[str, Any] = json.loads(wire.encode(frame))
    return plain | fields


@asynccontextmanager
async def raw_link(
    server: Server, token: str, *, headers: tuple[tuple[bytes, bytes], ...] = (), path: str = wire.PATH
) -> AsyncIterator[RawLink]:
    """A connection under this token. Raises trio_websocket.ConnectionRejected where the upgrade is refused, and
    trio.TooSlowError where the server closes without an answer: trio-websocket's client does not notice.

    The stream is ours: that client leaves it open after a refusal.
    """
    authorization = (b"Authorization", b"Bearer " + token.encode() if token else b"Bearer")
    stream = await trio.open_tcp_stream("127.0.0.1", server.agent_port)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(30):
                connection = await trio_websocket.wrap_client_stream(
                    nursery,
                    stream,
                    "127.0.0.1",
                    path,
                    extra_headers=[authorization, *headers],
                    message_queue_size=64,
                    max_message_size=4 << 20,
                )
            yield RawLink(connection)
            with trio.move_on_after(1):
                await connection.aclose()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _only_one(group) from None
    finally:
        await trio.aclose_forcefully(stream)


def _only_one(error: BaseException) -> BaseException:
    """The exception in a nursery's group where there is one alone; else the group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


PASSWORD = "correct horse"
"""Of the repository beside an agent."""


class AgentProcess:
    """The real agent on a state dir and a file of its own, with a real restic repository beside them."""

    def __init__(
        self, server: Server, folder: Path, name: str, *, allow: Sequence[str] = ("backup", "check"),
        others: Sequence[Server] = (),
    ) -> None:  # fmt: skip
        """`others`: more nodes of the same server, whose addresses the agent is given as well."""
        self.server, self.folder, self.name, self.others = server, folder, name, others
        self.source, self.repository = folder / "source", folder / "repository"
        self.password_file, self.config = folder / "password", folder / "agent.toml"
        self.log_file = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.source.mkdir(parents=True)
        (self.source / "letter.txt").write_text("worth keeping\n")
        self.right_password()
        self.config.write_text(
            f"""allow = {json.dumps(list(allow))}
[repositories.main]
repository = {json.dumps(str(self.repository))}
password_file = {json.dumps(str(self.password_file))}
[plans.home]
repository = "main"
sources = [{json.dumps(str(self.source))}]
"""
        )
        new_repository(self.repository, PASSWORD)

    @property
    def environment(self) -> dict[str, str]:
        state = {"RM_AGENT_STATE_DIR": str(self.folder / "state"), "RM_AGENT_CONFIG": str(self.config)}
        certificate = self.server.settings.get("tls_cert_file")
        if certificate:
            state["SSL_CERT_FILE"] = str(certificate)
        return environment(state | {"HOME": str(self.folder), "RESTIC_CACHE_DIR": str(self.folder / "cache")})

    @property
    def restic_command(self) -> list[str]:
        return ["restic", "--repo", str(self.repository), "--password-file", str(self.password_file)]

    def right_password(self) -> None:
        self.password_file.write_text(f"{PASSWORD}\n")

    def wrong_password(self) -> None:
        self.password_file.write_text("something else\n")

    def restic(self, *arguments: str) -> None:
        subprocess.run(
            [*self.restic_command, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=60,
        )

    def command(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """`rmactors agent …`, run to its end."""
        return subprocess.run(
            [*COMMAND, "agent", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def enroll(self) -> str:
        """Enroll with a fresh token; the host's id."""
        token_file = self.folder / "enrollment-token"
        token_file.write_text(self.server.enrollment_token() + "\n")
        each = (node.agent_url.replace("ws", "http", 1).removesuffix(wire.PATH) for node in (self.server, *self.others))
        url = ",".join(each)
        done = self.command("enroll", "--server", url, "--token-file", str(token_file), "--name", self.name)
        assert done.returncode == 0, done.stderr
        [host] = [item for item in self.server.all_items("/api/hosts") if item["name"] == self.name]
        host_id: str = host["id"]
        return host_id

    def start(self, host_id: str) -> None:
        """Run the agent until the server shows the host as online."""
        self.spawn()
        eventually(
            lambda: self.server.ask("GET", f"/api/hosts/{host_id}")["status"] == "online",
            30,
            lambda: f"the agent is not online\n{self.log_file.read_text()[-4000:]}",
        )

    def spawn(self) -> None:
        """Start the process, and no more."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "agent", "run"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def run_backup(self, host_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """Ask the server for a backup of the plan, and wait until the agent has reported its end."""
        return self.run_job(host_id, "backup", {"plan": "home"}, seconds)

    def run_job(self, host_id: str, kind: str, params: dict[str, Any], seconds: float = 120.0) -> dict[str, Any]:
        """Ask the server for a job, and wait until the agent has reported its end."""
        job = self.server.ask("POST", f"/api/hosts/{host_id}/jobs", {"kind": kind, "params": params})
        return self.until_ended(job, seconds)

    def until_ended(self, job: dict[str, Any], seconds: float = 120.0) -> dict[str, Any]:
        began = time.monotonic()
        while job["status"] in ("queued", "running"):
            assert time.monotonic() - began < seconds, f"{job}\n{self.log_file.read_text()[-4000:]}"
            time.sleep(0.05)
            job = self.server.ask("GET", f"/api/jobs/{job['id']}")
        ended_job: dict[str, Any] = job
        return ended_job
