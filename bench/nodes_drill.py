"""The nodes drill: leaders and primaries die, freeze and are cut off while agents report.

    python -m bench.drill --nodes 3 [--rounds 200] [--seed N]
    python -m bench.drill --nodes 3 --rounds 0 --failovers 50
    python -m bench.drill --nodes 1

Real nodes on one real PostgreSQL, each behind a link of its own to it; agents that know all of them; a webhook channel.
Each round the leader is killed, is frozen for more than two leases and woken, is cut off from the database, by a reset
or so that nobody is told, or is stopped cleanly. With `--failovers` PostgreSQL has a synchronous standby, and in so
many rounds the primary is killed, the standby is promoted, and the other one comes back as its standby.
A node that is alone is killed, or its connections to PostgreSQL are ended, or one of those is killed, or all of
PostgreSQL is killed and started again.
In the end every outcome is in the database once, the alerts are those that the outcomes make, each was notified, in
order, and nobody wrote a row who did not lead.
"""

import random
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import psycopg
import trio
from psycopg.rows import dict_row

from bench.drill_reports import Reporters
from harness import witness
from harness.accounts import Account, about, settled
from harness.cluster import DATABASE, PATIENCE, Cluster
from harness.postgres import PostgresServer, running_postgres
from harness.postgres_pair import Pair, running_pair
from harness.processes import away
from harness.sink import Mood, Request, Sink, open_sink
from rmactors.simulate.enroll import enroll_many

FAULTS: Final = ("kill", "freeze", "cut", "stop")
FAULTS_OF_ONE: Final = ("kill", "backends", "primary")
"""Of a node that is alone."""
FAILOVER: Final = "failover"
COMMITS_FAIL: Final = frozenset({FAILOVER, "backends", "primary"})
"""Kinds after which a node may go on that could not commit for a while."""
HOOK: Final = "/hook"
MOODS: Final[tuple[Mood, ...]] = ("up", "up", "up", "slow", "error")
_ALERTS: Final = (
    "SELECT * FROM alerts WHERE host_id <> ''"
    " ORDER BY (SELECT min(seq) FROM deliveries WHERE alert_id = alerts.id), created_at, id"
)
"""Times are those that hosts gave; the numbers of the channel are in the order of the commits."""
_DELIVERIES: Final = "SELECT * FROM deliveries WHERE host_id <> ''"
_ENDS: Final = "SELECT id, host_id, plan, status FROM jobs WHERE finished_at IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Round:
    """`took`: seconds until a node led again; of `COMMITS_FAIL`, until a report was acked again. `woken`: from when to
    when on the clock of `time.monotonic` the old leader may have sent what it had begun. `kept`: the lease."""

    kind: str
    took: float
    woken: tuple[float, float] = (0.0, 0.0)
    kept: bool = False


class NodesDrill:
    def __init__(self, cluster: Cluster, sink: Sink, kinds: list[str], agents: int, lease: float, seed: int) -> None:
        self.cluster, self.sink, self.kinds, self.agents, self.lease = cluster, sink, kinds, agents, lease
        self.dice = random.Random(seed)
        self.rounds: list[Round] = []
        self.reporters = Reporters(self.dice)
        self.channel_id = ""

    async def run(self) -> Account:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.cluster.run)
            leader, _ = await self.cluster.ready()
            self.channel_id = await away(lambda: leader.webhook(self.sink.url(HOOK)))
            names = [f"host-{n}" for n in range(self.agents)]
            credentials = await enroll_many(leader.url, leader.token, leader.agent_url, names)
            self.reporters.start(nursery, self.cluster.agent_urls, credentials)
            moods = trio.CancelScope()
            nursery.start_soon(self._change_moods, moods)
            for number, kind in enumerate(self.kinds, 1):
                self.rounds.append(await self._one_round(kind))
                self._say(number)
            moods.cancel()
            self.sink.feel("up", path=HOOK)
            await self.cluster.ready()
            await self.reporters.finish(PATIENCE)
            await self.cluster.until(lambda: not self.cluster.queued)
            codes = await self.cluster.stop()
            nursery.cancel_scope.cancel()
        account = await away(self._settle)
        account.wrong += [f"a node's last stop ended with {code}" for code in codes if code]
        return account

    async def _one_round(self, kind: str) -> Round:
        leader, lead = await self.cluster.ready()
        await trio.sleep(self.dice.uniform(0.1, 1.0))
        leader.must_live()
        if kind in COMMITS_FAIL:
            return await self._trouble_of_the_database(kind)
        began = time.monotonic()
        way = self.cluster.way(leader)
        woken = began
        match kind:
            case "kill":
                await away(leader.kill)
            case "stop":
                leader.terminate()
            case "freeze":
                leader.pause()
            case _:
                way.cut(stall=self.dice.random() < 0.5)
        took = await self.cluster.leads_again(lead) - began
        if kind in ("freeze", "cut"):
            await trio.sleep(max(0.0, began + self.lease * self.dice.uniform(2.1, 2.5) - time.monotonic()))
        if kind == "freeze":
            woken = time.monotonic()
            leader.resume()
        end = await self.cluster.ended(leader, began)
        way.heal()
        if end.code != {"kill": -9, "stop": 0}.get(kind, 1):
            self.reporters.wrong.append(f"after a {kind} a node ended with {end.code}\n{leader.log[-2000:]}")
        return Round(kind, took, (woken, end.at) if kind in ("freeze", "cut") else (0.0, 0.0))

    async def _trouble_of_the_database(self, kind: str) -> Round:
        epoch, began = self.cluster.leads[-1].epoch, time.monotonic()
        match kind:
            case "backends":
                end = self.dice.choice([self.cluster.primary.terminate_backends, self.cluster.primary.kill_backend])
                await away(partial(end, DATABASE))
                there_again = time.monotonic()
            case "primary":
                await away(self.cluster.primary.kill)
                await trio.sleep(self.dice.uniform(0, 1.0))
                await away(self.cluster.primary.start)
                there_again = time.monotonic()
            case _:
                there_again = await self._fail_over()
        await self.reporters.acked_after(there_again, PATIENCE)
        took = self.reporters.acked_at - began
        await self.cluster.ready()
        return Round(kind, took, kept=self.cluster.leads[-1].epoch == epoch)

    async def _fail_over(self) -> float:
        """When the standby was promoted, on the clock of `time.monotonic`; the old primary is its standby by now."""
        pair = self.cluster.database
        assert isinstance(pair, Pair)
        await away(pair.fail_over)
        promoted = time.monotonic()
        await trio.sleep(self.dice.uniform(0, 1.0))
        await away(pair.rebuild)
        return promoted

    async def _change_moods(self, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                self.sink.feel(self.dice.choice(MOODS), path=HOOK, seconds=self.dice.uniform(0.01, 0.3), status=503)
                await trio.sleep(self.dice.uniform(0.2, 1.5))

    def _say(self, number: int) -> None:
        if number % 10 == 0:
            click.echo(f"  {number} rounds, {len(self.reporters.acked)} reports acked", err=True)

    # ---- the account

    @property
    def in_flight(self) -> int:
        """What was sent, and its outcome not written, when another node took the lease: no more may come twice."""
        arrived: dict[tuple[str, str], list[float]] = defaultdict(list)
        for request in self.sink.told(HOOK):
            for each in about(request):
                arrived[each].append(request.at)
        return sum(
            any(at < lead.at for at in arrived[alert_id, event])
            for lead in self.cluster.leads
            for _, alert_id, event in lead.queued
        )

    def _settle(self) -> Account:
        def late(request: Request) -> bool:
            return any(began <= request.at <= until + 1.0 for began, until in (each.woken for each in self.rounds))

        primary = self.cluster.primary
        url = primary.url(DATABASE).url
        with psycopg.connect(url, row_factory=dict_row) as connection:
            alerts, deliveries, ends = (connection.execute(sql).fetchall() for sql in (_ALERTS, _DELIVERIES, _ENDS))
        told = {self.channel_id: self.sink.told(HOOK)}
        account = settled(
            alerts, deliveries, self.reporters.outcomes, set(), told, late,
            commits_failed=not COMMITS_FAIL.isdisjoint(self.kinds),
        )  # fmt: skip
        self._compare_jobs(account, ends)
        account.wrong += witness.by_an_old_leader(witness.written(primary, DATABASE))
        account.wrong += self.reporters.wrong
        account.wrong += [
            f"{node.folder.name}: a traceback in its log\n{node.log[node.log.index('Traceback'):][:2000]}"
            for node in self.cluster.nodes if "Traceback" in node.log
        ]  # fmt: skip
        return account

    def _compare_jobs(self, account: Account, ends: list[dict[str, Any]]) -> None:
        there = {row["id"]: (row["host_id"], row["plan"], row["status"]) for row in ends}
        for job_id, outcome in self.reporters.made.items():
            if there.pop(job_id, None) != outcome:
                acked = "acked" if job_id in self.reporters.acked else "never acked"
                account.lost.append(f"the end of job {job_id}, which was {acked}")
        account.wrong += [f"job {job_id} was reported by nobody" for job_id in there]


def show(drill: NodesDrill, account: Account, seconds: float) -> None:
    cluster, reporters = drill.cluster, drill.reporters
    rows: list[tuple[str, object]] = []
    for kind in dict.fromkeys((*FAULTS, *FAULTS_OF_ONE, FAILOVER)):
        took = sorted(each.took for each in drill.rounds if each.kind == kind)
        if took:
            what = "until the first ack" if kind in COMMITS_FAIL else "until a node leads again"
            median = statistics.median(took)
            rows.append((f"{kind}: rounds, s {what}", f"{len(took)}, median {median:.1f}, longest {took[-1]:.1f}"))
    told = sum(node.log.count("another node leads") for node in cluster.nodes)
    kept = sum(each.kept for each in drill.rounds)
    planned = len(drill.rounds) - sum(each.kind in COMMITS_FAIL for each in drill.rounds)
    rows += [
        ("troubles of the database that the leader outlived", kept),
        ("leases", len(cluster.leads)),
        ("  taken beside the rounds' faults", len(cluster.leads) - 1 - planned),
        ("nodes that were told that another leads", told),
        ("reports acked", f"{len(reporters.acked)} of {len(reporters.made)}"),
        ("transitions", account.transitions),
        ("deliveries owed", account.expected_deliveries),
        ("  delivered", account.delivered),
        ("  said by the resolution's own message", account.told_by_another),
        ("plans with a report that a later one overtook", len(account.overtaken)),
        ("lost", len(account.lost)),
        ("out of order", len(account.out_of_order)),
        ("wrong", len(account.wrong)),
        ("duplicates", account.duplicates),
        ("sends in flight when another took over", drill.in_flight),
        ("sent again by one that was woken", len(account.late)),
        ("seconds", f"{seconds:.0f}"),
    ]
    for name, value in rows:
        click.echo(f"{name:<44} {value}")
    for title, problems in (("lost", account.lost), ("out of order", account.out_of_order), ("wrong", account.wrong)):
        for problem in problems[:20]:
            click.echo(f"{title}: {problem}", err=True)


def rounds_of(faults: tuple[str, ...], count: int, failovers: int, dice: random.Random) -> list[str]:
    """As many of each kind as of any other, shuffled."""
    kinds = [faults[number % len(faults)] for number in range(count)] + [FAILOVER] * failovers
    dice.shuffle(kinds)
    return kinds


def main(nodes: int, rounds: int, failovers: int, agents: int, lease: float, seed: int | None) -> int:
    """The exit code."""
    seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
    click.echo(f"seed {seed}", err=True)
    kinds = rounds_of(FAULTS if nodes > 1 else FAULTS_OF_ONE, rounds, failovers, random.Random(seed))

    async def run(folder: Path, database: PostgresServer | Pair) -> tuple[NodesDrill, Account]:
        settings = {
            "lease_seconds": lease, "tick_seconds": 1, "restart_grace_seconds": 2, "offline_alert_seconds": 3600,
        }  # fmt: skip
        async with open_sink() as sink:
            drill = NodesDrill(Cluster(folder, nodes, database, **settings), sink, kinds, agents, lease, seed)
            return drill, await drill.run()

    began = time.monotonic()
    running: AbstractContextManager[PostgresServer | Pair]
    running = running_pair() if failovers else running_postgres(durable=True, tcp=True)
    with tempfile.TemporaryDirectory() as folder, running as database:
        drill, account = trio.run(run, Path(folder), database)
        show(drill, account, time.monotonic() - began)
    twice = account.duplicates > drill.in_flight + len(account.late)
    return int(bool(account.lost or account.out_of_order or account.wrong or twice))
