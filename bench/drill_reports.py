"""Agents that report all the time, and what they were promised."""

import random
import time
from collections import defaultdict

import trio

from harness.agents import ended
from rmactors.agent.connection import Timings
from rmactors.common import wire
from rmactors.simulate.agent import SimCredential, SimulatedAgent

PLANS = ("home", "etc", "mail", "photos")
_TIMINGS = Timings(connect=3, send=5, welcome=5, pong=3, ack=4)
_SPOOLED = 40
"""Reports that wait: then an agent makes no more."""


class Reporters:
    """`made` is (host id, plan, status) by job, `acked` the jobs whose end was acked, `outcomes` the statuses of each
    (host id, plan) in their order, `wrong` what the server refused."""

    def __init__(self, dice: random.Random) -> None:
        self.made: dict[str, tuple[str, str, str]] = {}
        self.acked: set[str] = set()
        self.acked_at = 0.0
        self.outcomes: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.wrong: list[str] = []
        self.agents: list[SimulatedAgent] = []
        self._dice = dice
        self._reporting = trio.CancelScope()
        self._ack = trio.Event()

    def start(self, nursery: trio.Nursery, urls: str, credentials: list[SimCredential]) -> None:
        for credential in credentials:
            agent = SimulatedAgent(
                urls, credential, on_ack=self._acked, heartbeat_seconds=1, reconnect_seconds=0.3, timings=_TIMINGS
            )
            self.agents.append(agent)
            nursery.start_soon(agent.run)
        nursery.start_soon(self._report)

    def _acked(self, report: wire.Report, ack: wire.Ack) -> None:
        if ack.refused is not None:
            self.wrong.append(f"report refused: {ack.refused}: {ack.detail}")
        elif isinstance(report, wire.JobFinished):
            self.acked.add(report.job_id)
        self.acked_at = time.monotonic()
        self._ack.set()
        self._ack = trio.Event()

    async def acked_after(self, moment: float, seconds: float) -> None:
        """Wait until an ack comes later than that, on the clock of `time.monotonic`. Raises trio.TooSlowError."""
        with trio.fail_after(seconds):
            while self.acked_at <= moment:
                await self._ack.wait()

    async def _report(self) -> None:
        with self._reporting:
            while True:
                await trio.sleep(self._dice.uniform(0.005, 0.05))
                agent = self._dice.choice(self.agents)
                if len(agent.spool) < _SPOOLED:
                    status = "failed" if self._dice.random() < 0.5 else "succeeded"
                    self._one(agent, self._dice.choice(PLANS), status)

    def _one(self, agent: SimulatedAgent, plan: str, status: str) -> None:
        host_id = agent.credential.host_id
        seq = agent.report(ended(plan, status, error="the disk is on fire"))
        self.made[agent.spool[seq].frame.job_id] = (host_id, plan, status)
        self.outcomes[host_id, plan].append(status)

    async def finish(self, seconds: float) -> None:
        """In the end every plan succeeds, and all is acked. Raises trio.TooSlowError."""
        self._reporting.cancel()
        for agent in self.agents:
            for plan in PLANS:
                self._one(agent, plan, "succeeded")
        with trio.fail_after(seconds):
            for agent in self.agents:
                await agent.settled()
