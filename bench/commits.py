"""What commits cost in the database alone, on either engine: the real writer, without the rest of the server.

In this process, batches of as many commits as the store takes at once. PostgreSQL is one of the benchmark's own, as
durable as for users; `/proc` says nothing here of what its processes cost.
"""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.figures import Figure
from harness.postgres import running_postgres
from rmactors.common import clock, ids
from rmactors.common.vocabulary import LIFECYCLE_EVENTS
from rmactors.server.messages.alerts import RaiseAlert, SaveAlertState, TouchAlert
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.channels import SaveChannel
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.messages.jobs import SaveEnd, SaveStart
from rmactors.server.messages.made_tokens import CreateEnrollmentToken
from rmactors.server.messages.reports import EndReport, StartReport
from rmactors.server.store.engines.opening import BatchWriter, connect, open_writer
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place

BATCH: Final = 256
HOSTS: Final = 50
_MUST: Final = {"starts and ends of good runs": 5_000.0, "new alerts with a delivery": 3_500.0}
"""Of PostgreSQL, a second."""
Commits = list[tuple[Any, ...]]


def measure(folder: Path, count: int, rounds: int, report: Callable[[Figure], None]) -> None:
    """`count` commits of each kind, `rounds` times; medians."""
    for number in range(rounds):
        (folder / f"commits-{number}").mkdir(parents=True)
    _engine("SQLite", [folder / f"commits-{number}" / "rm.db" for number in range(rounds)], count, {}, report)
    with running_postgres(durable=True, shared_buffers="256MB", max_wal_size="4GB") as server:
        places = [server.new_database(f"commits_{number}") for number in range(rounds)]
        _engine("PostgreSQL", places, count, _MUST, report)


def _engine(name: str, places: list[Any], count: int, must: dict[str, float], report: Callable[[Figure], None]) -> None:
    found = [_round(place, count) for place in places]
    for kind in found[0]:
        rates, cpus, trips = zip(*(each[kind] for each in found), strict=True)
        note = f"median of {len(places)}, {min(rates):,.0f} to {max(rates):,.0f}; own CPU {median(cpus):.0f} µs"
        if median(trips):
            note += f"; {median(trips):.2f} round trips a batch of {BATCH}"
        least = must.get(kind)
        report(Figure(f"{name}: {kind}", median(rates), "/s", least, least, "more", note))


def _round(place: Place, count: int) -> dict[str, tuple[float, float, float]]:
    """By kind: commits a second, CPU of each in microseconds, round trips of a batch."""
    with closing(connect(place)) as connection:
        migrate(connection)
    with closing(open_writer(place)) as writer:
        return {kind: _run(writer, commits) for kind, commits in _kinds(writer, count)}


def _run(writer: BatchWriter, commits: Commits) -> tuple[float, float, float]:
    trips = getattr(writer, "round_trips", 0)
    began, cpu = time.perf_counter(), time.process_time()
    batches = 0
    for first in range(0, len(commits), BATCH):
        answers, _ = writer.apply(commits[first : first + BATCH])
        assert all(isinstance(answer, Committed) for answer in answers), answers
        batches += 1
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return len(commits) / took, cpu / len(commits) * 1e6, (getattr(writer, "round_trips", 0) - trips) / batches


def _kinds(writer: BatchWriter, count: int) -> Any:
    now = clock.now()
    hosts = [_host(writer, number, now) for number in range(HOSTS)]
    of = [hosts[number % HOSTS] for number in range(count)]
    jobs = [ids.new() for _ in range(count)]
    starts: Commits = [
        (SaveStart(StartReport(host, job, "backup", "home", None, None, now, now), None, "", now + clock.DAY, None),)
        for host, job in zip(of, jobs, strict=True)
    ]
    ends: Commits = [
        (SaveEnd(EndReport(
            host, job, "backup", "home", None, None, "succeeded", "ok", None, 0, now, now, "{}", None, None, now
        ), None, "", None),)
        for host, job in zip(of, jobs, strict=True)
    ]  # fmt: skip
    half = BATCH // 2
    both = [each for at in range(0, count, half) for part in (starts, ends) for each in part[at : at + half]]
    yield "starts and ends of good runs", both
    alerts = [ids.new() for _ in range(count)]
    yield "new alerts, no channel", _raises(of, alerts, "a", now)
    yield (
        "recurrences",
        [
            (
                SaveAlertState(host, "backup_failed", f"a{n}", 2, "{}", None, None, False),
                TouchAlert(alert, "again", now, True),
            )
            for n, (host, alert) in enumerate(zip(of, alerts, strict=True))
        ],
    )
    audit = Audit(now, "bench", "system", "channel.create", "channel", "")
    channel = SaveChannel(
        ids.new(), "webhook", "ops", True, b"sealed", None, "info", LIFECYCLE_EVENTS, (), 0.0, 0.0, now, True, audit
    )
    _run(writer, [(channel,)])
    yield "new alerts with a delivery", _raises(of, [ids.new() for _ in range(count)], "b", now)


def _state(host: str, subject: str, version: int) -> SaveAlertState:
    return SaveAlertState(host, "backup_failed", subject, version, "{}", None, None, suppressed_until_clear=False)


def _raises(hosts: list[str], alerts: list[str], prefix: str, now: int) -> Commits:
    return [
        (
            _state(host, f"{prefix}{n}", 1),
            RaiseAlert(alert, host, "backup_failed", f"{prefix}{n}", "warning", "it failed", now),
        )
        for n, (host, alert) in enumerate(zip(hosts, alerts, strict=True))
    ]


def _host(writer: BatchWriter, number: int, now: int) -> str:
    token, host_id = ids.new(), ids.new()
    audit = Audit(now, "bench", "system", "token.create", "token", token)
    enroll = EnrollHost(token, host_id, f"h{number}", "h", "linux", "x86_64", "1", f"hash {host_id}", now, "")
    _run(writer, [(CreateEnrollmentToken(token, f"hash {token}", now, now + clock.HOUR, audit), enroll)])
    return host_id
