"""The links drill: agents behind links that lose, hold, delay, cut and refuse, and jobs that end all the while.

    python -m bench.drill --links [--seconds 600] [--seed N]
    python -m bench.drill --links --short           # each fault twice, and none for long

A real server, and twenty real agents, four of them as processes of their own (see `link_hosts`), each behind a link of
its own (`bad_link`), to which one fault after the other is done (`link_faults`). No fault lasts as long as a host may
be silent before it is alerted, and the next one waits until agent and server are in touch again. In the end all links
are well, and: each job is in the database once and as it ended; the alerts are those that the outcomes make, and no
others; each was notified; no host was taken for a clone, and no log has a traceback.
"""

import logging
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio

from bench.link_hosts import NIGHTLY, Daemon, Host, Process, all_left
from harness.accounts import Account, account_of, copy_of
from harness.bad_link import BadLink
from harness.link_faults import FAULTS, LATE_HELLOS, SEEN_AT_ONCE
from harness.processes import Server, away, eventually
from harness.sink import Sink, open_sink
from rmactors.agent.connection import Timings
from rmactors.simulate.agent import SimCredential
from rmactors.simulate.enroll import enroll_many

PATIENCE: Final = 120.0
"""Seconds that an agent has to be in touch again over a link that is well, or to deliver what it has. It takes 85 at
most where a pause of a minute has just begun."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many agents of each kind; how long a fault lasts and what is between two, from and to; how long a job takes
    at most, or a pause between jobs, or between runs of `exec`; what the agents in this process wait for. Seconds.

    `each`: every fault is done so many times; 0: for as long as the drill lasts.
    """

    processes: int
    daemons: int
    fault: tuple[float, float]
    between: tuple[float, float]
    job: float
    exec_rest: float
    timings: Timings
    heartbeat: float
    offline_after: float
    each: int = 0


LONG: Final = Shape(
    processes=4, daemons=16, fault=(1, 60), between=(2, 15), job=3, exec_rest=10,
    timings=Timings(connect=6, send=8, welcome=5, pong=6, ack=8, stable=15, first_pause=0.2, longest_pause=5),
    heartbeat=5, offline_after=25,
)  # fmt: skip
SHORT: Final = Shape(
    processes=1, daemons=11, fault=(0.2, 2), between=(0, 0.2), job=1, exec_rest=8,
    timings=Timings(connect=3, send=4, welcome=2, pong=2, ack=1, first_pause=0.05, longest_pause=0.1),
    heartbeat=0.5, offline_after=3, each=2,
)  # fmt: skip
SILENT_BEFORE_ALERT: Final = 240.0
"""Seconds: a fault, twenty to notice it, a pause of sixty, and some. A slot's grace is as long."""


@dataclass(slots=True)
class Figures:
    faults: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    """That agents made, or tried to."""
    welcomes: int = 0
    late_hellos: int = 0
    """That the server read, with a younger connection of the same agent there."""
    most_left: int = 0
    """Reports in all spools together."""
    outcomes: int = 0
    problems: list[str] = field(default_factory=list)


class GaveUp(Exception):
    """It goes no further; the message says why. What there is is looked at nevertheless."""


class LinksDrill:
    def __init__(self, server: Server, sink: Sink, folder: Path, shape: Shape, seconds: float, seed: int) -> None:
        self.server, self.sink, self.folder, self.shape, self.seconds = server, sink, folder, shape, seconds
        self.dice = random.Random(seed)
        self.figures = Figures()
        self.hosts: list[Host] = []

    async def run(self) -> Account:
        server = self.server
        await away(server.start)
        channel_id = await away(lambda: server.webhook(self.sink.url()))
        names = [f"host-{n:02}" for n in range(self.shape.processes + self.shape.daemons)]
        async with trio.open_nursery() as nursery:
            for enrolled in await enroll_many(server.url, server.token, server.agent_url, names):
                link = BadLink(server.agent_port)
                await nursery.start(link.run)
                host = await away(partial(self._host, enrolled, link))
                host.schedule_id = await away(partial(self._schedule, host.id))
                self.hosts.append(host)
                nursery.start_soon(host.run)
            try:
                await self._live()
                await self._be_told()
            except* GaveUp as group:
                self.figures.problems += map(str, _leaves(group))
            nursery.cancel_scope.cancel()
        self.figures.problems += [problem for host in self.hosts for problem in host.problems]
        code, _ = await away(server.stop)
        self.figures.problems += [f"the server's stop ended with {code}"] if code else []
        self._look_at_logs()
        return self._account_of(channel_id)

    def _host(self, enrolled: SimCredential, link: BadLink) -> Host:
        number, shape = len(self.hosts), self.shape
        folder = self.folder / enrolled.name
        folder.mkdir()
        known = (enrolled, link, random.Random(self.dice.random()), shape.job, folder)
        return Process(*known, shape.exec_rest) if number < shape.processes else Daemon(*known, shape.timings)

    def _schedule(self, host_id: str) -> str:
        body = {
            "name": NIGHTLY, "kind": "backup", "mode": "external", "cron": "* * * * *", "timezone": "UTC",
            "grace_seconds": SILENT_BEFORE_ALERT, "params": {"plan": NIGHTLY},
        }  # fmt: skip
        made: str = self.server.ask("POST", f"/api/hosts/{host_id}/schedules", body)["id"]
        return made

    # ---- what happens

    async def _live(self) -> None:
        """Jobs and faults, and in the end the rest of the reports over links that are well."""
        no_more, no_more_slots = trio.Event(), trio.Event()
        async with trio.open_nursery() as working:
            for host in self.hosts:
                working.start_soon(host.work, no_more)
                working.start_soon(host.work_by_schedule, no_more_slots)
            async with trio.open_nursery() as looking:
                looking.start_soon(self._look)
                await self._all_faults()
                looking.cancel_scope.cancel()
            no_more.set()
            await self._settled()
            no_more_slots.set()
        await self._settled()

    async def _all_faults(self) -> None:
        for host in self.hosts:
            await self._in_touch(host, "its start")
        with trio.move_on_after(self.seconds):
            async with trio.open_nursery() as nursery:
                for host, faults in zip(self.hosts, self._dealt(), strict=True):
                    nursery.start_soon(self._faults_of, host, faults)
        for host in self.hosts:
            host.link.heal()

    def _dealt(self) -> Iterable[Iterator[str]]:
        """The faults of each host."""
        if not self.shape.each:
            return [iter(lambda: self.dice.choice(list(FAULTS)), "") for _ in self.hosts]
        impatient = self.hosts[self.shape.processes :]
        names = [name for name in FAULTS for _ in range(self.shape.each)]
        self.dice.shuffle(names)
        patient = [iter(self.dice.sample(SEEN_AT_ONCE, 2)) for _ in range(self.shape.processes)]
        return [*patient, *(iter(names[n :: len(impatient)]) for n in range(len(impatient)))]

    async def _faults_of(self, host: Host, names: Iterator[str]) -> None:
        for name in names:
            await trio.sleep(self.dice.uniform(*self.shape.between))
            seconds = self.dice.uniform(*self.shape.fault)
            arrived = None
            with trio.move_on_after(seconds + PATIENCE):
                arrived = await FAULTS[name](host.link, self.dice, seconds)
            host.link.heal()
            self.figures.faults[name] += 1
            self.figures.late_hellos += bool(arrived)
            await self._in_touch(host, name)

    async def _in_touch(self, host: Host, after: str) -> None:
        signs = host.link.signs
        with trio.move_on_after(PATIENCE) as scope:
            await host.link.until(lambda: host.link.signs > signs)
        if scope.cancelled_caught:
            raise GaveUp(f"{host.enrolled.name} was not in touch {PATIENCE:.0f} s after: {after}")

    async def _look(self) -> None:
        while True:
            self.figures.most_left = max(self.figures.most_left, await all_left(self.hosts))
            await trio.sleep(1)

    async def _settled(self) -> None:
        with trio.move_on_after(PATIENCE) as scope:
            while await all_left(self.hosts):  # noqa: ASYNC110 - other processes' files send no event
                await trio.sleep(0.05)
        if scope.cancelled_caught:
            left = {host.enrolled.name: await host.left() for host in self.hosts}
            raise GaveUp(f"not delivered: { ({name: n for name, n in left.items() if n}) }")

    async def _be_told(self) -> None:
        """The outbox is empty, and all hosts are there."""

        def queued() -> int:
            return sum(item["health"]["queued"] for item in self.server.ask("GET", "/api/notifications")["items"])

        await away(lambda: eventually(lambda: queued() == 0, 120, lambda: f"{queued()} deliveries still wait", 0.1))
        hosts = await away(lambda: self.server.all_items("/api/hosts"))
        absent = [host["name"] for host in hosts if host["status"] != "online"]
        self.figures.problems += [f"{name} is not online in the end" for name in absent]

    # ---- what came of it

    def _account_of(self, channel_id: str) -> Account:
        database = self.server.data_dir / "rm.db"
        outcomes = {key: ends for host in self.hosts for key, ends in host.outcomes.items()}
        account = account_of(database, outcomes, set(), {channel_id: self.sink.told()})
        figures = self.figures
        figures.outcomes = sum(map(len, outcomes.values()))
        figures.connections = sum(host.link.made for host in self.hosts)
        figures.welcomes = sum(host.link.welcomes for host in self.hosts)
        with copy_of(database) as connection:
            figures.problems += list(wrong_jobs(connection, self.hosts))
            for row in connection.execute("SELECT code, detail, count(*) AS n FROM host_notes GROUP BY code, detail"):
                figures.problems.append(f"{row['n']} notes on hosts' pages: {row['code']}: {row['detail']}")
        return account

    def _look_at_logs(self) -> None:
        logs = {"the server": self.server.log}
        logs |= {host.enrolled.name: host.log_file.read_text() for host in self.hosts if isinstance(host, Process)}
        for name, text in logs.items():
            self.figures.problems += list(suspicious(name, text))


def _leaves(group: BaseExceptionGroup[GaveUp]) -> Iterator[GaveUp]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def suspicious(name: str, log: str) -> Iterator[str]:
    """What no link gives a reason for."""
    if "Traceback" in log:
        yield f"there is a traceback in the log of {name}:\n{log[log.index('Traceback') :][:3000]}"
    for line in log.splitlines():
        if "clone" in line:
            yield f"log of {name}: {line}"


def wrong_jobs(connection: sqlite3.Connection, hosts: list[Host]) -> Iterator[str]:
    """Each job is there once, as it ended, and no other is."""
    rows = connection.execute("SELECT id, host_id, status, reason FROM jobs").fetchall()
    jobs = {row["id"]: row for row in rows}
    for host in hosts:
        for job_id, status in host.jobs.items():
            row = jobs.pop(job_id, None)
            if row is None:
                yield f"job {job_id} of {host.enrolled.name} is lost"
            elif (row["host_id"], row["status"]) != (host.id, status):
                yield f"job {job_id} of {host.enrolled.name} {status}, and is {row['status']} ({row['reason']})"
    others = Counter((row["host_id"], row["status"]) for row in jobs.values())
    of_exec = Counter({(host.id, status): n for host in hosts for status, n in host.of_exec.items()})
    if others != of_exec:
        yield f"runs of exec: {dict(of_exec - others)} lost, {dict(others - of_exec)} nobody's"


class _OwnLog(logging.Handler):
    """What the agents in this process say."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def show(figures: Figures, account: Account, shape: Shape, seconds: float) -> None:
    rows: list[tuple[str, Any]] = [
        ("agents", f"{shape.processes} processes, {shape.daemons} together in one"),
        ("faults", figures.faults.total()),
        *((f"  {name}", figures.faults[name]) for name in FAULTS),
        ("late hellos that the server read", figures.late_hellos),
        ("connections", figures.connections),
        ("  welcomed", figures.welcomes),
        ("outcomes", figures.outcomes),
        ("most reports in the spools together", figures.most_left),
        ("transitions", account.transitions),
        ("deliveries owed", account.expected_deliveries),
        ("  delivered", account.delivered),
        ("  said by the resolution's own message", account.told_by_another),
        ("lost", len(account.lost)),
        ("out of order", len(account.out_of_order)),
        ("duplicates", account.duplicates),
        ("wrong", len(account.wrong) + len(figures.problems)),
        ("seconds", f"{seconds:.0f}"),
    ]
    for name, value in rows:
        click.echo(f"{name:<44} {value}")


def complaints(figures: Figures, account: Account) -> list[str]:
    found = [*figures.problems, *account.lost, *account.out_of_order, *account.wrong]
    found += [f"{account.duplicates} notifications came twice"] if account.duplicates else []
    missing = [name for name in FAULTS if not figures.faults[name]]
    found += [f"never happened: {', '.join(missing)}"] if missing else []
    if not figures.late_hellos:
        found.append(f"no hello came late, of {sum(figures.faults[name] for name in LATE_HELLOS)} tried")
    return found


def main(seconds: float, seed: int | None, *, short: bool) -> int:
    """0 if nothing was lost and no notification was false."""
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    click.echo(f"seed {seed}", err=True)
    shape = SHORT if short else LONG
    own_log = _OwnLog()
    logging.getLogger("rmactors").setLevel(logging.INFO)
    logging.getLogger("rmactors").addHandler(own_log)

    async def run(folder: Path) -> tuple[Figures, Account]:
        async with open_sink() as sink:
            server = Server(
                folder / "server", tick_seconds=1, restart_grace_seconds=2, heartbeat_seconds=shape.heartbeat,
                offline_after_seconds=shape.offline_after, offline_alert_seconds=SILENT_BEFORE_ALERT,
                stale_grace_seconds=SILENT_BEFORE_ALERT,
            )  # fmt: skip
            drill = LinksDrill(server, sink, folder, shape, seconds, seed)
            try:
                account = await drill.run()
            finally:
                if server.running:
                    server.kill()
        drill.figures.problems += list(suspicious("the agents in this process", "\n".join(own_log.lines)))
        return drill.figures, account

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        figures, account = trio.run(run, Path(folder))
        show(figures, account, shape, time.monotonic() - began)
    wrong = complaints(figures, account)
    for problem in wrong[:100]:
        click.echo(problem, err=True)
    return int(bool(wrong))
