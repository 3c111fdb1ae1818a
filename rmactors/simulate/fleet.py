"""A simulated fleet: who reports what and when, and what the server makes of it.

It owns the workload and the figures. A run of a backup is a `job_started` and a `job_finished`; which host, which
plan and how it ends are drawn again for each run. Jobs that the server asks for are run the same way.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import trio

from rmactors.common import ids, wire
from rmactors.common.vocabulary import JobKind, JobReason
from rmactors.simulate.agent import SimCredential, SimulatedAgent

PLANS = ("home", "etc", "mail", "photos")
FAILURES: tuple[tuple[JobReason, str], ...] = (
    ("wrong_password", "Fatal: wrong password or no key found"),
    ("locked", "unable to create lock in backend: repository is already locked by PID 4711 on simulated"),
    ("no_repository", "Fatal: unable to open config file: connection refused"),
    ("error", "Fatal: unable to save snapshot: no space left on device"),
)


@dataclass(frozen=True, slots=True)
class Workload:
    """`reports_per_second` over the whole fleet, two for each run; `fail_rate` of the runs end as failed (0 to 1).

    `connects_per_second` spreads the first connections, so that a start measures no stampede unless it is meant to.
    """

    reports_per_second: float
    fail_rate: float
    connects_per_second: float = 200.0
    heartbeat_seconds: float | None = None


@dataclass(slots=True)
class Tally:
    """What was counted since the last look, and since the start. Milliseconds are from report to ack."""

    sent: int = 0
    acked: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Of the milliseconds; 0 if there are none."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _ignored(host_id: str, plan: str, outcome: str) -> None:
    """For callers who keep no account of the outcomes."""


class Fleet:
    """Runs until cancelled. `window` is what happened since it was last taken away.

    `on_outcome` gets the host id, the plan and the status of each backup, in the order in which a host reports.
    """

    def __init__(
        self,
        url: str,
        credentials: list[SimCredential],
        workload: Workload,
        *,
        dice: random.Random | None = None,
        on_outcome: Callable[[str, str, str], None] = _ignored,
    ) -> None:
        self.workload = workload
        self._on_outcome = on_outcome
        self.total = Tally()
        self.window = Tally()
        self._dice = dice or random.Random()  # noqa: S311 - a workload, no secret
        self._handed_in: dict[str, float] = {}
        self._reporting = trio.CancelScope()
        self.agents = [self._agent(url, credential) for credential in credentials]

    @property
    def connected(self) -> int:
        return sum(agent.connected for agent in self.agents)

    @property
    def waiting(self) -> int:
        """Reports without an ack."""
        return sum(len(agent.spool) for agent in self.agents)

    @property
    def reconnects(self) -> int:
        return sum(max(0, agent.connections - 1) for agent in self.agents)

    @property
    def ended(self) -> Counter[str]:
        """Agents that the server does not want, by reason."""
        return Counter(agent.ended for agent in self.agents if agent.ended is not None)

    def take_window(self) -> Tally:
        """What happened since the last call."""
        window, self.window = self.window, Tally()
        return window

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            if self.workload.reports_per_second > 0:
                nursery.start_soon(self._report_at_the_rate)
            for agent in self.agents:
                nursery.start_soon(agent.run)
                await trio.sleep(1 / self.workload.connects_per_second)

    async def settled(self, seconds: float) -> bool:
        """Stop reporting first. Whether everything was acked within that time."""
        with trio.move_on_after(seconds) as deadline:
            for agent in self.agents:
                if agent.ended is None:
                    await agent.settled()
        return not deadline.cancelled_caught

    def stop_reporting(self) -> None:
        self._reporting.cancel()

    async def _report_at_the_rate(self) -> None:
        due = trio.current_time()
        with self._reporting:
            while True:
                due += self._dice.expovariate(self.workload.reports_per_second / 2)
                await trio.sleep_until(due)  # in the past when it cannot keep up: then it goes on at once
                agent = self._dice.choice(self.agents)
                if agent.connected or agent.spool:
                    self._run_backup(agent, ids.new(), self._dice.choice(PLANS), "backup", None)

    def _agent(self, url: str, credential: SimCredential) -> SimulatedAgent:
        def asked(job: wire.RunJob) -> None:
            plan = job.params.get("plan")
            name = plan if isinstance(plan, str) else PLANS[0]
            self._run_backup(agent, job.job_id, name, job.kind, job.schedule_id)

        agent = SimulatedAgent(
            url,
            credential,
            on_ack=self._acked,
            on_job=asked,
            heartbeat_seconds=self.workload.heartbeat_seconds,
        )
        return agent

    def _run_backup(
        self, agent: SimulatedAgent, job_id: str, plan: str, kind: JobKind, schedule_id: str | None
    ) -> None:
        now = wire.utc_now()
        failed = self._dice.random() < self.workload.fail_rate
        reason: JobReason = "ok"
        error: str | None = None
        if failed:
            reason, error = self._dice.choice(FAILURES)
        common: dict[str, Any] = {"job_id": job_id, "kind": kind, "plan": plan, "schedule_id": schedule_id}
        agent.report(_started(common, now))
        agent.report(_finished(common, now, reason, error))
        self._on_outcome(agent.credential.host_id, plan, "failed" if failed else "succeeded")
        self._handed_in[job_id] = trio.current_time()
        for tally in (self.total, self.window):
            tally.sent += 2

    def _acked(self, report: wire.Report, ack: wire.Ack) -> None:
        took = None
        if isinstance(report, wire.JobFinished) and (began := self._handed_in.pop(report.job_id, None)) is not None:
            took = (trio.current_time() - began) * 1000
        for tally in (self.total, self.window):
            if ack.refused is not None:
                tally.refused[ack.refused] += 1
                continue
            tally.acked += 1
            if took is not None and tally is self.window:  # the total would grow without bound
                tally.milliseconds.append(took)


def _started(common: dict[str, Any], at: datetime) -> Callable[[int], wire.Report]:
    return lambda seq: wire.JobStarted(seq=seq, started_at=at, **common)


def _finished(
    common: dict[str, Any], at: datetime, reason: JobReason, error: str | None
) -> Callable[[int], wire.Report]:
    return lambda seq: wire.JobFinished(
        seq=seq,
        started_at=at,
        finished_at=at,
        status="succeeded" if error is None else "failed",
        reason=reason,
        error=error,
        exit_code=0 if error is None else 1,
        **common,
    )
