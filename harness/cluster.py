"""Several nodes, each with a way of its own to one PostgreSQL or to a primary and its standby.

Owns the nodes' processes: one that ends is started again, as a service manager does. It must not know why they end.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg
import trio

from harness import witness
from harness.accounts import Told
from harness.bad_link import BadLink
from harness.nodes import Node
from harness.postgres import ADMIN, USER, PostgresServer
from harness.postgres_pair import Pair
from harness.processes import away, eventually
from rmactors.server.store.place import PostgresUrl

DATABASE: Final = "drill"
PATIENCE: Final = 240.0
LOOK_SECONDS: Final = 0.04
_LOOK: Final = (
    "SELECT epoch, url, coalesce((SELECT json_agg(json_build_array(channel_id, alert_id, event)) FROM deliveries"
    " WHERE state = 'queued'), '[]') FROM leader WHERE name = 'server'"
)


@dataclass(frozen=True, slots=True)
class Lead:
    """A lease as it was taken, and when that was seen, on the clock of `time.monotonic`. `queued`: the deliveries that
    the leader before had left without an outcome."""

    epoch: int
    url: str
    at: float
    queued: frozenset[Told]


@dataclass(frozen=True, slots=True)
class End:
    """Of a node's process. `code` is its exit code, negative: the signal that ended it."""

    node: Node
    code: int
    at: float


@dataclass(slots=True)
class _Way:
    """From one node to the database, one link for each of its servers."""

    links: list[BadLink] = field(default_factory=list)

    def cut(self, *, stall: bool) -> None:
        """`stall`: nothing comes any more, and nobody is told."""
        for link in self.links:
            if stall:
                link.swallow()
                link.to_server.hold()
                link.to_agent.hold()
            else:
                link.refuse()
                link.cut(reset=True)

    def heal(self) -> None:
        for link in self.links:
            link.heal()


def _look(connection: psycopg.Connection[Any]) -> Any:
    return connection.execute(_LOOK).fetchone()


class Cluster:
    def __init__(self, folder: Path, count: int, database: PostgresServer | Pair, **settings: object) -> None:
        self.database = database
        self.leads: list[Lead] = []
        self.ends: list[End] = []
        self.queued: frozenset[Told] = frozenset()
        self._folder, self._settings = folder, settings
        self._names = [f"node-{n}" for n in range(1, count + 1)]
        self._ways: Mapping[str, _Way] = defaultdict(_Way)
        self._changed = trio.Event()
        self._over = False
        self.nodes: list[Node] = []

    @property
    def primary(self) -> PostgresServer:
        return self.database.primary if isinstance(self.database, Pair) else self.database

    @property
    def servers(self) -> tuple[PostgresServer, ...]:
        return self.database.both if isinstance(self.database, Pair) else (self.database,)

    @property
    def agent_urls(self) -> str:
        return ",".join(node.agent_url for node in self.nodes)

    def way(self, node: Node) -> _Way:
        return self._ways[node.folder.name]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Started once one leads and the others wait. Until cancelled: end the nodes first."""
        await away(lambda: self.primary.new_database(DATABASE))
        try:
            async with trio.open_nursery() as nursery:
                for name in self._names:
                    for server in self.servers:
                        link = BadLink(server.port)
                        await nursery.start(link.run)
                        self._ways[name].links.append(link)
                    self.nodes.append(Node(self._folder, name, self._place(name), **self._settings))
                for node in self.nodes:
                    nursery.start_soon(self._keep, node)
                nursery.start_soon(self._watch)
                await self.until(lambda: bool(self.leads))
                await away(lambda: witness.install(self.primary, DATABASE))
                await self.ready()
                task_status.started()
        finally:
            for node in self.nodes:
                if node.running:
                    node.resume()
                    node.kill()

    def _place(self, name: str) -> PostgresUrl:
        password = self.primary.url().url.partition(f"{ADMIN}:")[2].partition("@")[0]
        hosts = ",".join(f"127.0.0.1:{link.port}" for link in self._ways[name].links)
        options = f"application_name={name}&target_session_attrs=read-write"
        return PostgresUrl(f"postgresql://{USER}:{password}@{hosts}/{DATABASE}?{options}")

    # ---- what goes on

    async def until(self, holds: Callable[[], bool]) -> None:
        """Of `leads`, `ends` and `queued`. Raises trio.TooSlowError."""
        with trio.fail_after(PATIENCE):
            while not holds():
                await self._changed.wait()

    def notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _keep(self, node: Node) -> None:
        while not self._over:
            if not node.running:
                await away(node.spawn)
            assert node.process is not None
            code = await trio.to_thread.run_sync(node.process.wait, abandon_on_cancel=True)
            self.ends.append(End(node, code, time.monotonic()))
            self.notice()
            if code > 0:
                await trio.sleep(0.5)  # as RestartSec, for one whose database is away

    async def _watch(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while True:
            try:
                connection = connection or await away(self._connect)
                epoch, url, queued = await away(partial(_look, connection))
            except psycopg.Error:  # or the tables are not made yet
                if connection is not None:
                    with suppress(psycopg.Error):
                        connection.close()
                connection = None
            else:
                if epoch > (self.leads[-1].epoch if self.leads else 0):
                    self.leads.append(Lead(epoch, url, time.monotonic(), self.queued))
                self.queued = frozenset((channel, alert, event) for channel, alert, event in queued)
                self.notice()
            await trio.sleep(LOOK_SECONDS)

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.primary.url(DATABASE).url, autocommit=True, connect_timeout=5)

    # ---- what one may ask

    async def ready(self) -> tuple[Node, Lead]:
        """Wait until one leads and is well, and all others wait; that one."""

        def so() -> bool:
            leader = self._leader()
            if leader is None or leader.state()[0] != 200:
                return False
            return all(node is leader or (node.running and node.waits) for node in self.nodes)

        await away(lambda: eventually(so, PATIENCE, self._trouble))
        leader = self._leader()
        return (leader, self.leads[-1]) if leader is not None else await self.ready()

    async def leads_again(self, after: Lead) -> float:
        """Wait until a lease after that one is taken, and its node is ready; when, on the clock of `time.monotonic`."""

        def so() -> bool:
            leader = self._leader()
            return leader is not None and leader.state()[0] == 200

        await self.until(lambda: self.leads[-1].epoch > after.epoch)
        await away(lambda: eventually(so, PATIENCE, self._trouble, pause=0.02))
        return time.monotonic()

    def _leader(self) -> Node | None:
        url = self.leads[-1].url if self.leads else ""
        return next((node for node in self.nodes if node.url == url and node.running), None)

    def _trouble(self) -> str:
        return "nobody leads, or not all wait\n" + "\n".join(f"{node.url}\n{node.log[-2000:]}" for node in self.nodes)

    async def ended(self, node: Node, since: float) -> End:
        """Wait until its process ends, after a moment on the clock of `time.monotonic`."""

        def found() -> End | None:
            return next((end for end in self.ends if end.node is node and end.at >= since), None)

        await self.until(lambda: found() is not None)
        end = found()
        assert end is not None
        return end

    async def stop(self) -> list[int]:
        """Stop all nodes cleanly; their exit codes."""
        self._over = True
        return [(await away(node.stop))[0] for node in self.nodes if node.running]
