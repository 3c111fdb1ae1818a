"""The hosts of the links drill: an agent behind a bad link, and jobs that begin and end all the time, good and bad.

Each is the real agent with a real spool on disk, into which jobs go as a run of `exec` puts them there. A `Process` is
one of its own, fed by real runs of `exec` too; a `Daemon` runs in this process, with waits as short as the drill wants.
"""

import json
import random
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import trio

from harness.bad_link import BadLink
from harness.processes import COMMAND, ROOT, environment
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import Timings
from rmactors.agent.daemon import run_agent
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.agent.this_host import process_identity
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimCredential as Enrolled

PLANS = ("home", "etc")
NIGHTLY = "nightly"
"""The plan of the host's schedule, which has a slot each minute."""
BY_EXEC = "by-exec"
"""The plan of real runs of `exec`: they alone know the ids of their jobs."""


class Host(ABC):
    """`jobs`: how each job ended, by its id. `outcomes`: the same in order, by (host id, plan or schedule), as the
    accounts want them. `of_exec`: how often which status."""

    def __init__(self, enrolled: Enrolled, link: BadLink, dice: random.Random, rest: float, folder: Path) -> None:
        self.enrolled, self.link, self.dice = enrolled, link, dice
        self.rest = rest
        """Seconds that a job takes, or the pause after it, at most."""
        self.folder = folder
        self.schedule_id: str | None = None
        self.jobs: dict[str, str] = {}
        self.outcomes: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.of_exec: Counter[str] = Counter()
        self.problems: list[str] = []
        self.state = StateDir(folder / "state")
        url = f"ws://127.0.0.1:{link.port}{wire.PATH}"
        self.state.save_credential(HostCredential(url, enrolled.host_id, enrolled.name, enrolled.token))
        self._spool = Spool(self.state.spool_file)
        self._turn = trio.CapacityLimiter(1)
        self._owner = process_identity()

    @property
    def id(self) -> str:
        return self.enrolled.host_id

    @abstractmethod
    async def run(self) -> None:
        """The agent, until cancelled."""

    async def report(self, report: wire.Report) -> None:
        """Into the spool, and word of it to the agent."""
        owner = self._owner if isinstance(report, wire.JobStarted) else None
        await trio.to_thread.run_sync(lambda: self._spool.add(report, owner=owner), limiter=self._turn)
        self.state.wake_agent()

    async def left(self) -> int:
        """Reports that are not acked."""
        return await trio.to_thread.run_sync(self._spool.count, limiter=self._turn)

    async def work(self, stop: trio.Event) -> None:
        """Jobs of every plan, each one after the other, until `stop` is set and the last of them has ended."""
        async with trio.open_nursery() as nursery:
            for plan in PLANS:
                nursery.start_soon(self._jobs_of, plan, stop)

    async def work_by_schedule(self, stop: trio.Event) -> None:
        """A job for each slot, and one at once."""
        while not stop.is_set():
            slot = wire.utc_now().replace(second=0, microsecond=0)
            await self._job(NIGHTLY, stop, slot)
            await rest((slot + timedelta(seconds=60) - wire.utc_now()).total_seconds(), stop)

    async def _jobs_of(self, plan: str, stop: trio.Event) -> None:
        while not stop.is_set():
            await self._job(plan, stop)
            await rest(self.dice.uniform(0, self.rest), stop)

    async def _job(self, plan: str, stop: trio.Event, slot: datetime | None = None) -> None:
        job_id, started, schedule_id = ids.new(), wire.utc_now(), self.schedule_id if slot else None
        start = wire.JobStarted(0, job_id, "backup", started, plan, schedule_id, slot)
        await self.report(start)
        await rest(self.dice.uniform(0, self.rest), stop)
        good = self.dice.random() < 0.5
        self.jobs[job_id] = "succeeded" if good else "failed"
        self.outcomes[self.id, schedule_id or plan].append(self.jobs[job_id])
        await self.report(
            wire.JobFinished(
                seq=0, job_id=job_id, kind="backup", plan=plan, schedule_id=schedule_id, scheduled_for=slot,
                status="succeeded" if good else "failed", reason="ok" if good else "error",
                exit_code=0 if good else 1, error=None if good else "the disk is on fire",
                started_at=started, finished_at=wire.utc_now(),
            )
        )  # fmt: skip


async def rest(seconds: float, stop: trio.Event) -> None:
    with trio.move_on_after(max(0.0, seconds)):
        await stop.wait()


class Daemon(Host):
    def __init__(
        self, enrolled: Enrolled, link: BadLink, dice: random.Random, rest: float, folder: Path, timings: Timings
    ) -> None:
        super().__init__(enrolled, link, dice, rest, folder)
        self._timings = timings

    async def run(self) -> None:
        no_restic = AgentFile(allow=[], restic=str(self.folder / "no-restic"))  # it is asked before each connection
        await run_agent(no_restic, self.state.path, timings=self._timings)


class Process(Host):
    """Its log is in `log_file`, and what its runs of `exec` say as well."""

    def __init__(
        self, enrolled: Enrolled, link: BadLink, dice: random.Random, rest: float, folder: Path, exec_rest: float
    ) -> None:
        super().__init__(enrolled, link, dice, rest, folder)
        self._exec_rest = exec_rest
        self.log_file = folder / "agent.log"
        config = folder / "agent.toml"
        config.write_text(f"allow = []\nrestic = {json.dumps(str(folder / 'no-restic'))}\n")
        self._environment = environment(
            {"RM_AGENT_STATE_DIR": str(self.state.path), "RM_AGENT_CONFIG": str(config), "HOME": str(folder)}
        )

    async def run(self) -> None:
        code = await self._agent("run")
        self.problems.append(f"{self.enrolled.name}'s agent has ended with {code}")

    async def work(self, stop: trio.Event) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(super().work, stop)
            nursery.start_soon(self._runs_of_exec, stop)

    async def _runs_of_exec(self, stop: trio.Event) -> None:
        while not stop.is_set():
            good = self.dice.random() < 0.5
            wrapped = ("sh", "-c", f"exit {0 if good else 1}")
            code = await self._agent("exec", "--kind", "backup", "--plan", BY_EXEC, "--", *wrapped)
            if code != (0 if good else 1):
                self.problems.append(f"a run of exec on {self.enrolled.name} ended with {code}")
            status = "succeeded" if good else "failed"
            self.outcomes[self.id, BY_EXEC].append(status)
            self.of_exec[status] += 1
            await rest(self.dice.uniform(0, self._exec_rest), stop)

    async def _agent(self, *words: str) -> int:
        with self.log_file.open("ab") as log:
            done = await trio.run_process(
                [*COMMAND, "agent", *words], cwd=ROOT, env=self._environment, stdout=log, stderr=log, check=False,
                deliver_cancel=_kill,
            )  # fmt: skip
        return done.returncode


async def _kill(process: trio.Process) -> None:
    process.kill()


async def all_left(hosts: list[Host]) -> int:
    """Reports that are not acked, of all hosts."""
    return sum([await host.left() for host in hosts])
