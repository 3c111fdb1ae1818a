"""What `/metrics` says of one server, in Prometheus' text format.

Owns the server's registry: no global one, so that two servers in a process do not mix. Reads the states that the
actors keep for it, and the database on request; what happens between is counted after the commit, by
`count`, at the cost of a dictionary entry a transaction.

Labels come from closed vocabularies, or are names of hosts, schedules, channels and repositories, whose number is
bounded. Channel settings and error texts never get here.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol

import trio
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rmactors import __version__
from rmactors.common import clock
from rmactors.common.clock import SECOND
from rmactors.common.disk import free_space
from rmactors.server.messages.reasons import Reason
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.place import Place
from rmactors.server.store.queries.figures import Figures, Queued, figures, left_off
from rmactors.server.store.reader import Reader
from rmactors.server.web.good_runs import GoodRunLines

_log = logging.getLogger(__name__)

LAG_SECONDS = 1.0
"""How often the event loop is looked at. A stall longer than that is seen for sure, a shorter one by chance."""

_COUNT_SECONDS = 60.0
"""How long the number of series that are left out is good for: it takes longer to count than all the rest to read."""

_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_COUNTED = {
    "report": ("rmactors_reports", "Reports of ended jobs, committed.", ("kind", "result")),
    "attempt": ("rmactors_notification_attempts", "Attempts to notify, tests included.", ("channel_kind", "result")),
    "alert": ("rmactors_alerts_raised", "Alerts raised.", ("kind", "severity")),
    "left_out": (
        "rmactors_left_out",
        "What hosts sent beyond their budget, or faster than the disk: not kept. Reports never are.",
        ("what",),
    ),
    "pruned": ("rmactors_pruned", "Rows removed because they were older than their kind is kept.", ("what",)),
}


class Box(Protocol):
    """A mailbox, as far as it is looked at here."""

    dropped: int

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers of actors come from, each read on request.

    boxes          mailboxes by name
    host_boxes     those of the host actors, summed up: there may be thousands
    agents         connected agents
    subscriptions  open event streams of browsers
    restarts       how often an actor was restarted after a crash
    reloads        how often the rules read a host again, because a decision was made on stale state
    decisions      how often the rules decided something, by why
    checks         what `/healthz` says: name → `ok` or what is wrong
    """

    reader: Reader
    boxes: Mapping[str, Box]
    host_boxes: Callable[[], list[Box]]
    agents: Callable[[], int]
    subscriptions: Callable[[], int]
    restarts: Callable[[], int]
    reloads: Callable[[], int]
    decisions: Callable[[], Mapping[Reason, int]]
    checks: Callable[[], Mapping[str, str]]


class Meters:
    """The instruments of one server. `commit_took` and `count` are called on the way of reports and stay cheap."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._commit_seconds = Histogram(
            "rmactors_commit_seconds",
            "How long a transaction of the store took, until it was on disk.",
            buckets=_COMMIT_BUCKETS,
            registry=self.registry,
        )
        self._batch = Histogram(
            "rmactors_commit_requests",
            "How many requests shared a transaction.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "rmactors_event_loop_lag_seconds",
            "How much later than asked for a task got its turn, looked at once a second.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._left_out, self._counted_at = 0, -inf
        self._good_runs = GoodRunLines()

    def commit_took(self, seconds: float, requests: int) -> None:
        """A transaction of so many requests is on disk."""
        self._commit_seconds.observe(seconds)
        self._batch.observe(requests)

    def count(self, committed: Mapping[tuple[str, ...], int]) -> None:
        """What a transaction put on disk, as the store counted it: (what, label, …) → number."""
        for key, number in committed.items():
            self._counts[key] += number

    async def measure_lag(self) -> None:
        """Watch the event loop until cancelled."""
        while True:
            due = trio.current_time() + LAG_SECONDS
            await trio.sleep_until(due)
            self._lag.observe(max(0.0, trio.current_time() - due))

    async def render(self, sources: Sources) -> bytes:
        """Everything as of now. A database that cannot be read leaves its part out and says so."""
        now = clock.now()
        found, left_out = await self._read(sources.reader, now)
        of_disk = _of_disk(sources.reader.database)
        families = [*self._counters(), *_of_actors(sources), *of_disk, *_of_database(found, now)]

        def text() -> bytes:
            known = _text(self.registry, families)
            return known if found is None else known + self._good_runs.text(found.good_runs, left_out)

        # Thousands of lines take tens of milliseconds: not on the event loop.
        return await trio.to_thread.run_sync(text)

    async def _read(self, reader: Reader, now: int) -> tuple[Figures | None, int]:
        """What the database knows, None where it cannot be read, and how many series are left out."""
        found: Figures | None = None

        async def count() -> None:
            self._left_out = await reader.run(left_off)
            self._counted_at = trio.current_time()

        try:
            async with trio.open_nursery() as nursery:
                if trio.current_time() - self._counted_at > _COUNT_SECONDS:
                    nursery.start_soon(count)
                found = await reader.run(figures, now)
        except* DatabaseError as errors:
            _log.warning("the metrics are without what the database knows: %s", errors.exceptions[0])
            found = None
        return found, self._left_out

    def _counters(self) -> Iterator[Metric]:
        for what, (name, text, labels) in _COUNTED.items():
            family = CounterMetricFamily(name, text, labels=labels)
            for key, number in sorted(self._counts.items()):
                if key[0] == what:
                    family.add_metric(key[1:], number)
            yield family


class _Once(Collector):
    """Families that were made already, as a collector."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _text(registry: CollectorRegistry, families: list[Metric]) -> bytes:
    asked = CollectorRegistry()
    asked.register(_Once(families))
    return generate_latest(registry) + generate_latest(asked)


def _of_actors(sources: Sources) -> Iterator[Metric]:
    info = GaugeMetricFamily("rmactors_info", "The server's version.", labels=("version",))
    info.add_metric((__version__,), 1)
    yield info
    yield GaugeMetricFamily("rmactors_agents_connected", "Agents with an open connection.", value=sources.agents())
    yield GaugeMetricFamily(
        "rmactors_event_streams", "Browsers that follow what changes.", value=sources.subscriptions()
    )
    yield CounterMetricFamily("rmactors_actor_restarts", "Actors restarted after a crash.", value=sources.restarts())
    yield CounterMetricFamily(
        "rmactors_rules_reloads",
        "Hosts read again because a decision was made on stale state.",
        value=sources.reloads(),
    )
    decisions = CounterMetricFamily("rmactors_decisions", "What the rules decided, by why.", labels=("reason",))
    counts = sources.decisions()
    for reason in Reason:
        decisions.add_metric((reason,), counts.get(reason, 0))
    yield decisions
    hosts = sources.host_boxes()
    depth = GaugeMetricFamily("rmactors_mailbox_depth", "Messages that wait in a mailbox.", labels=("mailbox",))
    dropped = CounterMetricFamily(
        "rmactors_mailbox_dropped", "Messages dropped because a mailbox was full.", labels=("mailbox",)
    )
    for name, box in sources.boxes.items():
        depth.add_metric((name,), len(box))
        dropped.add_metric((name,), box.dropped)
    depth.add_metric(("hosts",), sum(len(box) for box in hosts))
    yield depth
    yield dropped
    deepest = max((len(box) for box in hosts), default=0)
    yield GaugeMetricFamily("rmactors_mailbox_depth_deepest_host", "The fullest mailbox of a host.", value=deepest)
    up = GaugeMetricFamily("rmactors_check_ok", "What /healthz says: 1 is ok.", labels=("check",))
    for name, state in sources.checks().items():
        up.add_metric((name,), float(state == "ok"))
    yield up


def _of_disk(place: Place) -> Iterator[Metric]:
    """Nothing where PostgreSQL has the database: its disk is another machine's to look at."""
    if not isinstance(place, Path):
        return
    try:
        found = free_space(place)
    except OSError as error:
        _log.warning("the metrics are without the disk: %s", error)
        return
    yield GaugeMetricFamily("rmactors_disk_free_bytes", "Free on the disk of the data dir.", value=found.free)
    yield GaugeMetricFamily("rmactors_database_log_bytes", "Size of the log beside the database.", value=found.log)


def _of_database(found: Figures | None, now: int) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "rmactors_database_readable", "Whether the figures of the database could be read.", value=float(bool(found))
    )
    if found is None:
        return
    yield GaugeMetricFamily("rmactors_hosts", "Enrolled hosts.", value=found.hosts)
    yield GaugeMetricFamily("rmactors_database_bytes", "Size of the database.", value=found.size)
    yield GaugeMetricFamily("rmactors_database_free_bytes", "Part of it that is free for reuse.", value=found.free)
    alerts = GaugeMetricFamily("rmactors_alerts_open", "Unresolved alerts.", labels=("severity", "state"))
    for severity in ("info", "warning", "critical"):
        for state in ("open", "acknowledged"):
            alerts.add_metric((severity, state), found.open_alerts.get((severity, state), 0))
    yield alerts
    age = 0.0 if found.oldest_due_at is None else max(0.0, (now - found.oldest_due_at) / SECOND)
    yield GaugeMetricFamily(
        "rmactors_oldest_due_delivery_seconds", "Age of the oldest notification that could have gone out.", value=age
    )
    yield from _of_channels(found.queues, now)
    yield from _of_repositories(found)


def _of_repositories(found: Figures) -> Iterator[Metric]:
    """Without series for what is not known."""
    labels = ("repository", "id")
    size = GaugeMetricFamily("rmactors_repository_size_bytes", "What snapshots refer to, as stored.", labels=labels)
    snapshots = GaugeMetricFamily("rmactors_repository_snapshots", "Snapshots in a repository.", labels=labels)
    check = GaugeMetricFamily(
        "rmactors_repository_last_check_timestamp_seconds", "Newest good check of a repository.", labels=labels
    )
    for one in found.repositories:
        key = (one.name, one.id)
        for family, value in ((size, one.size_bytes), (snapshots, one.snapshots)):
            if value is not None:
                family.add_metric(key, value)
        if one.last_check_at is not None:
            check.add_metric(key, one.last_check_at / SECOND)
    yield from (size, snapshots, check)


def _of_channels(queues: list[Queued], now: int) -> Iterator[Metric]:
    labels = ("channel", "kind")
    queued = GaugeMetricFamily("rmactors_channel_queued", "Notifications that wait.", labels=labels)
    oldest = GaugeMetricFamily("rmactors_channel_oldest_seconds", "Age of the oldest that waits.", labels=labels)
    dead = GaugeMetricFamily("rmactors_channel_dead", "Notifications given up and not sent again.", labels=labels)
    failing = GaugeMetricFamily("rmactors_channel_failing", "Whether the last attempt failed.", labels=labels)
    held = GaugeMetricFamily(
        "rmactors_channel_held_seconds", "For how long the receiver wants quiet still: a quota, say.", labels=labels
    )
    names: Counter[str] = Counter()
    for queue in queues:
        names[queue.channel] += 1  # names need not be unique, series must be
        name = queue.channel if names[queue.channel] == 1 else f"{queue.channel} ({names[queue.channel]})"
        queued.add_metric((name, queue.kind), queue.waiting)
        oldest.add_metric((name, queue.kind), (now - queue.oldest_at) / SECOND if queue.oldest_at else 0.0)
        dead.add_metric((name, queue.kind), queue.dead)
        failing.add_metric((name, queue.kind), float(queue.failing))
        held.add_metric((name, queue.kind), max(0.0, ((queue.held_until or 0) - now) / SECOND))
    yield from (queued, oldest, dead, failing, held)
