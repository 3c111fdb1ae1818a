"""The hostile-host drill: one host does its worst for a minute, beside honest ones on the same real server.

    python -m bench.drill --hostile [--seconds 60] [--hosts 50]

Each honest host reports a good backup about once a second, and every few seconds one that failed, which a real webhook
tells a real receiver. Prints how long their acks and notifications took, what `/healthz` said, and the server's memory.
"""

import json
import math
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import httpx
import trio

from bench.load import connected, enrolled
from bench.process import percentile, resident_kib
from harness.processes import ROOT, Server, away, environment
from harness.rawsocket import RawSocket
from harness.sink import Request, Sink, open_sink
from rmactors.simulate.agent import SimCredential

ACK_MS = 250.0
NOTIFICATION_MS = 2_000.0
"""What the slowest hundredth of the honest acks, and all their notifications, may take: on an idle machine."""
FAILS_EACH = 5
"""Of so many reports of an honest host one is of a failure, under a plan of its own: a new alert."""
LAST_SECONDS = 20.0
"""How long the drill waits for notifications at the end. Those still missing count as slower than any limit."""


@dataclass(slots=True)
class Figures:
    """What was measured, in milliseconds; memory in MiB."""

    quiet_acks: list[float] = field(default_factory=list)
    """Before the hostile host began: what this machine takes today."""
    acks: list[float] = field(default_factory=list)
    notifications: list[float] = field(default_factory=list)
    health: dict[str, int] = field(default_factory=dict)
    health_ms: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class HostileDrill:
    def __init__(self, server: Server, sink: Sink, hosts: int, seconds: float) -> None:
        self.server, self.sink, self.hosts, self.seconds = server, sink, hosts, seconds
        self.figures = Figures()
        self._untold: dict[str, float] = {}
        self._all_told = trio.Event()

    async def run(self) -> Figures:
        server = self.server
        await away(server.start)
        await away(lambda: server.webhook(self.sink.url("/honest"), name="ops"))
        self.sink.on_request = self._told
        [hostile, *honest] = await enrolled(server, self.hosts + 1, "host")
        async with connected(server, honest) as links:
            self.figures.memory.append(resident_kib(server.pid) / 1024)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look)
                async with trio.open_nursery() as beside:
                    for link in links:
                        beside.start_soon(self._be_honest, link)
                    await trio.sleep(self.seconds / 4)
                    self.figures.quiet_acks, self.figures.acks = self.figures.acks, []
                    await self._be_hostile(hostile)
                    beside.cancel_scope.cancel()
                with trio.move_on_after(LAST_SECONDS):
                    while self._untold:
                        self._all_told = trio.Event()
                        await self._all_told.wait()
                nursery.cancel_scope.cancel()
        self.figures.notifications += [math.inf] * len(self._untold)
        server.must_live()
        if "Traceback" in server.log:
            self.figures.problems.append("there is a traceback in the server's log")
        await away(server.stop)
        return self.figures

    async def _be_hostile(self, credential: SimCredential) -> None:
        done = await trio.run_process(
            [sys.executable, "-m", "harness.hostile_host", str(self.server.agent_port), str(self.seconds)],
            stdin=f"{credential.token}\n".encode(),
            capture_stdout=True,
            cwd=ROOT,
            env=environment({}),
        )
        self.figures.sent = json.loads(done.stdout)

    async def _be_honest(self, link: RawSocket) -> None:
        number = 0
        await trio.sleep(random.uniform(0, 1))
        while True:
            number += 1
            fails = number % FAILS_EACH == 0
            plan = f"{link.credential.name}-{number}" if fails else "home"
            began = time.monotonic()
            if fails:
                self._untold[f"plan:{plan}"] = began
            await link.send(link.report(plan, failed=fails))
            await link.acks()
            self.figures.acks.append((time.monotonic() - began) * 1000)
            await trio.sleep(random.uniform(0.5, 1.5))

    def _told(self, request: Request) -> None:
        began = self._untold.pop(request.body.get("subject", ""), None)
        if began is not None:
            self.figures.notifications.append((request.at - began) * 1000)
            if not self._untold:
                self._all_told.set()

    async def _look(self) -> None:
        """What `/healthz` says and the memory, twice a second."""
        async with httpx.AsyncClient(base_url=self.server.url, trust_env=False, timeout=10) as client:
            while True:
                began = time.monotonic()
                try:
                    said = str((await client.get("/healthz")).status_code)
                except httpx.TransportError as error:
                    said = type(error).__name__
                self.figures.health[said] = self.figures.health.get(said, 0) + 1
                self.figures.health_ms.append((time.monotonic() - began) * 1000)
                self.figures.memory.append(resident_kib(self.server.pid) / 1024)
                await trio.sleep(0.5)


def judge(figures: Figures) -> list[str]:
    """What is not as it must be; nothing where all is well."""
    wrong = list(figures.problems)
    if not figures.acks or percentile(figures.acks, 0.99) >= ACK_MS:
        wrong.append(f"the honest hosts' acks took {ACK_MS:.0f} ms or more (p99)")
    if not figures.notifications or max(figures.notifications) >= NOTIFICATION_MS:
        wrong.append(f"a notification of an honest host took {NOTIFICATION_MS:.0f} ms or more")
    if set(figures.health) != {"200"}:
        wrong.append(f"/healthz: {figures.health}")
    if not figures.sent:
        wrong.append("the hostile host did nothing")
    return wrong


def show(figures: Figures) -> None:
    def spread(values: list[float]) -> str:
        return " / ".join(f"{percentile(values, share):.0f}" for share in (0.5, 0.99, 1.0)) if values else "–"

    rows = [
        ("honest reports acked before", len(figures.quiet_acks)),
        ("  ms to the ack, p50 / p99 / longest", spread(figures.quiet_acks)),
        ("honest reports acked beside the hostile host", len(figures.acks)),
        ("  ms to the ack, p50 / p99 / longest", spread(figures.acks)),
        ("honest notifications", len(figures.notifications)),
        ("  ms to the receiver, p50 / p99 / longest", spread(figures.notifications)),
        ("/healthz", ", ".join(f"{number} × {said}" for said, number in figures.health.items())),
        ("  ms to its answer, p50 / p99 / longest", spread(figures.health_ms)),
        ("server's memory, MiB, first / most / last",
         f"{figures.memory[0]:.0f} / {max(figures.memory):.0f} / {figures.memory[-1]:.0f}"),
        *((f"sent: {what}", number) for what, number in sorted(figures.sent.items())),
    ]  # fmt: skip
    for name, value in rows:
        click.echo(f"{name:<44} {value}")


def main(hosts: int, seconds: float) -> int:
    """0 where the honest hosts noticed next to nothing."""

    async def run(folder: Path) -> Figures:
        async with open_sink() as sink:
            server = Server(folder / "server", tick_seconds=1)
            try:
                return await HostileDrill(server, sink, hosts, seconds).run()
            finally:
                if server.running:
                    server.kill()

    with tempfile.TemporaryDirectory() as folder:
        figures = trio.run(run, Path(folder))
    show(figures)
    wrong = judge(figures)
    for problem in wrong:
        click.echo(problem, err=True)
    return int(bool(wrong))
