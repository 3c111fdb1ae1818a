"""The crash drill: a real server is killed again and again while agents report and the receiver misbehaves.

    python -m bench.drill [--rounds 200] [--seed N]
    python -m bench.drill --stranger                # another one: see `stranger_drill`
    python -m bench.drill --hostile                 # another one: see `hostile_drill`
    python -m bench.drill --links                   # another one: see `links_drill`
    python -m bench.drill --restore-tests           # another one: see `restore_drill`
    python -m bench.drill --nodes 3                 # another one: see `nodes_drill`

Protocol-true agents with spools report failures and successes, an operator acknowledges, channels of four kinds, one of
which groups over hosts, lead to a receiver that is up, slow, wrong, hanging or gone at random, and the server gets
SIGKILL at random instants, some of them while it still starts. In the end every plan succeeds, and everything that was
acked must have arrived, in order.
Exits 1 where anything was lost, out of order or wrong.
"""

import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx
import trio

from bench import hostile_drill, links_drill, nodes_drill, restore_drill, stranger_drill
from harness.accounts import Account, AfterKill, account_of, look_after_kill
from harness.agents import ended
from harness.processes import Server, away, eventually
from harness.sink import Mood, Sink, open_sink
from rmactors.common import wire
from rmactors.simulate.agent import SimCredential, SimulatedAgent
from rmactors.simulate.enroll import enroll_many

CHANNELS: dict[str, tuple[str, dict[str, str]]] = {
    "/a": ("webhook", {"url": "/a"}),
    "/together": ("webhook", {"url": "/together"}),
    "/topic": ("ntfy", {"server_url": "", "topic": "topic"}),
    "/slack": ("slack", {"webhook_url": "/slack"}),
    "/message": ("gotify", {"server_url": "", "app_token": "app-token"}),
}
"""Where each sends to: its kind, and its config, in which what begins at the receiver's root is a URL."""
TOGETHER = {"group_by": "all", "group_seconds": 1}
"""How the channel at `/together` groups."""
PLANS = ("home", "etc", "mail", "photos")
MOODS: tuple[Mood, ...] = ("up", "up", "up", "slow", "error", "hang")


class Drill:
    def __init__(self, server: Server, sink: Sink, rounds: int, agents: int, dice: random.Random) -> None:
        self.server, self.sink, self.rounds, self.agents, self.dice = server, sink, rounds, agents, dice
        self.fleet: list[SimulatedAgent] = []
        self.outcomes: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.acked_jobs: set[str] = set()
        self.refused: list[str] = []
        self.acknowledged: set[str] = set()
        self.channels: dict[str, str] = {}
        self.kills: list[AfterKill] = []
        self.killed_while_starting = 0
        self.reporting = trio.CancelScope()

    async def run(self) -> Account:
        server = self.server
        await away(server.start)
        for path, (kind, config) in CHANNELS.items():
            there = {name: self.sink.url(value) if name.endswith("url") else value for name, value in config.items()}
            make = partial(server.channel, kind, path, there, **(TOGETHER if path == "/together" else {}))
            self.channels[await away(make)] = path
        names = [f"host-{n}" for n in range(self.agents)]
        credentials = await enroll_many(server.url, server.token, server.agent_url, names)
        async with trio.open_nursery() as nursery:
            self.fleet = [self._agent(credential) for credential in credentials]
            for agent in self.fleet:
                nursery.start_soon(agent.run)
            nursery.start_soon(self._report_and_misbehave)
            for number in range(self.rounds):
                await self._one_round(number)
            self.reporting.cancel()
            self._all_is_well()
            self._everything_up()
            await away(server.wait_until_ready)
            with trio.fail_after(60):
                for agent in self.fleet:
                    await agent.settled()
            await away(self._wait_for_empty_queues)
            nursery.cancel_scope.cancel()
        code, _ = await away(server.stop)
        told = {channel_id: self.sink.told(path) for channel_id, path in self.channels.items()}
        account = account_of(server.data_dir / "rm.db", self.outcomes, self.acknowledged, told)
        account.wrong += [problem for kill in self.kills for problem in kill.problems]
        account.wrong += self.refused
        account.wrong += [f"the last stop ended with {code}"] if code else []
        return account

    def _agent(self, credential: SimCredential) -> SimulatedAgent:
        def acked(report: wire.Report, ack: wire.Ack) -> None:
            if ack.refused is not None:
                self.refused.append(f"report refused: {ack.refused}: {ack.detail}")
            elif isinstance(report, wire.JobFinished):
                self.acked_jobs.add(report.job_id)

        return SimulatedAgent(self.server.agent_url, credential, on_ack=acked, reconnect_seconds=0.2)

    async def _one_round(self, number: int) -> None:
        """Let it live for a moment, kill it, look at what it left, start it again."""
        if number and self.dice.random() < 0.2:
            self.killed_while_starting += 1
            await trio.sleep(self.dice.uniform(0, 0.6))
        else:
            await away(self.server.wait_until_ready)
            await trio.sleep(self.dice.uniform(0.05, 0.8))
        self.server.must_live()
        await away(self.server.kill)
        await self.sink.hear_out()
        acked, requests = set(self.acked_jobs), list(self.sink.requests)
        database = self.server.data_dir / "rm.db"
        channels = {path: channel_id for channel_id, path in self.channels.items()}
        self.kills.append(await away(lambda: look_after_kill(database, acked, requests, channels)))
        await away(self.server.spawn)
        if (number + 1) % 10 == 0:
            click.echo(
                f"  {number + 1} kills, {len(self.acked_jobs)} reports acked, {len(requests)} requests", err=True
            )

    async def _report_and_misbehave(self) -> None:
        with self.reporting:
            async with trio.open_nursery() as nursery:
                for agent in self.fleet:
                    nursery.start_soon(self._report, agent)
                nursery.start_soon(self._change_moods)
                nursery.start_soon(self._acknowledge_some)

    async def _report(self, agent: SimulatedAgent) -> None:
        while True:
            await trio.sleep(self.dice.uniform(0.01, 0.12))
            if len(agent.spool) < 40:
                plan = self.dice.choice(PLANS)
                status = "failed" if self.dice.random() < 0.5 else "succeeded"
                agent.report(ended(plan, status, error="the disk is on fire"))
                self.outcomes[agent.credential.host_id, plan].append(status)

    def _all_is_well(self) -> None:
        """In the end every plan succeeds: resolutions of a group wait for the last of it."""
        for agent in self.fleet:
            for plan in PLANS:
                agent.report(ended(plan, "succeeded"))
                self.outcomes[agent.credential.host_id, plan].append("succeeded")

    async def _change_moods(self) -> None:
        while True:
            for path in CHANNELS:
                self.sink.feel(
                    self.dice.choice(MOODS),
                    path=path,
                    seconds=self.dice.uniform(0.01, 0.3),
                    status=self.dice.choice((500, 503, 429, 408)),
                )
            self.sink.feel("down" if self.dice.random() < 0.15 else "up")
            await trio.sleep(self.dice.uniform(0.2, 1.5))

    def _everything_up(self) -> None:
        for path in CHANNELS:
            self.sink.feel("up", path=path)
        self.sink.feel("up")

    async def _acknowledge_some(self) -> None:
        async with self.server.client() as client:
            while True:
                await trio.sleep(self.dice.uniform(0.1, 0.5))
                try:
                    items: list[dict[str, Any]] = (await client.get("/api/alerts?limit=20")).json()["items"]
                    if items:
                        alert_id = self.dice.choice(items)["id"]
                        answer = await client.post(f"/api/alerts/{alert_id}/acknowledge", json={"note": "seen"})
                        if answer.status_code == 200:
                            self.acknowledged.add(alert_id)
                except httpx.TransportError:
                    pass  # killed in the middle: no answer, so nothing was promised

    def _waiting(self) -> str:
        """What waits, and how its channels are."""
        health = {
            item["name"]: item["health"]
            for item in self.server.ask("GET", "/api/notifications")["items"] if item["health"]["queued"]
        }  # fmt: skip
        with closing(sqlite3.connect(self.server.data_dir / "rm.db")) as database:
            rows = database.execute(
                "SELECT *, due_at / 1000000 - unixepoch() FROM deliveries WHERE state = 'queued'"
            ).fetchall()
        return f"{health}\n" + "\n".join(map(str, rows))

    def _wait_for_empty_queues(self) -> None:
        def queued() -> int:
            return sum(item["health"]["queued"] for item in self.server.ask("GET", "/api/notifications")["items"])

        def why() -> str:
            return f"{queued()} deliveries still wait\n{self._waiting()}\n{self.server.log[-3000:]}"

        eventually(lambda: queued() == 0, 90, why, 0.2)


def show(drill: Drill, account: Account, seconds: float) -> None:
    reports = sum(len(ends) for ends in drill.outcomes.values())
    answers = Counter(
        "told" if r.told else "cut off" if r.status is None else f"HTTP {r.status}" for r in drill.sink.requests
    )
    rows = [
        ("kills", f"{len(drill.kills)} ({drill.killed_while_starting} while starting)"),
        ("reports acked", f"{len(drill.acked_jobs)} of {reports}"),
        ("operator's acknowledgements", len(drill.acknowledged)),
        ("transitions", account.transitions),
        ("deliveries owed", account.expected_deliveries),
        ("  delivered", account.delivered),
        ("  said by the resolution's own message", account.told_by_another),
        ("waiting at the kills, together", sum(kill.waiting for kill in drill.kills)),
        ("lost", len(account.lost)),
        ("out of order", len(account.out_of_order)),
        ("wrong", len(account.wrong)),
        ("duplicates", account.duplicates),
        ("sends in flight at the kills", sum(kill.in_flight for kill in drill.kills)),
        ("requests at the receiver", ", ".join(f"{n} {what}" for what, n in answers.most_common())),
        ("seconds", f"{seconds:.0f}"),
    ]
    for name, value in rows:
        click.echo(f"{name:<40} {value}")
    for title, problems in (("lost", account.lost), ("out of order", account.out_of_order), ("wrong", account.wrong)):
        for problem in problems[:20]:
            click.echo(f"{title}: {problem}", err=True)


@click.command()
@click.option("--rounds", default=200, show_default=True, help="How often the server is killed.")
@click.option("--agents", default=6, show_default=True)
@click.option("--seed", type=int, help="Of the dice; random if left out. The operating system adds its own.")
@click.option("--stranger", is_flag=True, help="Instead: a stranger's flood through nginx and Caddy.")
@click.option("--hostile", is_flag=True, help="Instead: one host does its worst beside honest ones.")
@click.option("--hosts", default=50, show_default=True, help="Honest hosts, with --hostile.")
@click.option("--links", is_flag=True, help="Instead: agents behind links that fail in every way.")
@click.option("--restore-tests", is_flag=True, help="Instead: agents are killed while they test restores.")
@click.option("--nodes", type=int, help="Instead: so many nodes on one PostgreSQL, whose leaders die.")
@click.option("--failovers", default=0, help="With --nodes: how often the primary of PostgreSQL is killed as well.")
@click.option("--lease", default=3.0, show_default=True, help="With --nodes: seconds.")
@click.option("--short", is_flag=True, help="With --links: each fault twice, and none for long.")
@click.option("--seconds", type=float, help="How long: 60 with --hostile, 600 with --links, if left out.")
def main(
    rounds: int, agents: int, seed: int | None, stranger: bool, hostile: bool, hosts: int, links: bool, short: bool,
    restore_tests: bool, seconds: float | None, nodes: int | None, failovers: int, lease: float,
) -> None:  # fmt: skip
    """Kill a server at random instants, and account for every notification."""
    if stranger:
        sys.exit(stranger_drill.run())
    if hostile:
        sys.exit(hostile_drill.main(hosts, seconds or 60.0))
    if links:
        sys.exit(links_drill.main(seconds or 600.0, seed, short=short))
    if restore_tests:
        sys.exit(restore_drill.main(seed))
    if nodes:
        sys.exit(nodes_drill.main(nodes, rounds, failovers, agents, lease, seed))
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    click.echo(f"seed {seed}", err=True)

    async def run(folder: Path) -> tuple[Drill, Account]:
        async with open_sink() as sink:
            server = Server(folder / "server", tick_seconds=1, restart_grace_seconds=2)
            drill = Drill(server, sink, rounds, agents, random.Random(seed))
            try:
                return drill, await drill.run()
            finally:
                if server.running:
                    server.kill()

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        drill, account = trio.run(run, Path(folder))
        show(drill, account, time.monotonic() - began)
    in_flight = sum(kill.in_flight for kill in drill.kills)
    sys.exit(bool(account.lost or account.out_of_order or account.wrong or account.duplicates > in_flight))


if __name__ == "__main__":
    main()
