"""The drills' account: what was promised, what is in the database, what arrived. It only reads.

A file of SQLite's is always copied as a kill left it: opening the original would repair it before the server does, and
the crash drill is about whether the server can.
"""

import re
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from harness.sink import Request

_LINK = re.compile(r"/alerts/([0-9A-Z]{26})")

Told = tuple[str, str, str]
"""Channel (empty where there is but one), alert, event: a notification, whatever kind of channel sent it."""

RANK = {"alert.raised": 0, "alert.acknowledged": 1, "alert.resolved": 2}


@contextmanager
def copy_of(database: Path) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            source = database.with_name(database.name + suffix)
            if source.exists():
                shutil.copyfile(source, Path(folder) / source.name)
        with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection


@dataclass(slots=True)
class Episode:
    """One alert as the reports alone say it must be: how many failures, and whether a success ended it."""

    failures: int = 1
    closed: bool = False


def episodes_of(outcomes: Iterable[str]) -> list[Episode]:
    """What the outcomes of one (host, plan), in the order of their seq, must have made. The whole model."""
    found: list[Episode] = []
    for outcome in outcomes:
        is_open = bool(found) and not found[-1].closed
        if outcome == "failed" and is_open:
            found[-1].failures += 1
        elif outcome == "failed":
            found.append(Episode())
        elif is_open:
            found[-1].closed = True
    return found


@dataclass(slots=True)
class AfterKill:
    """What the files and the receiver said after a kill. `queued`: deliveries without an outcome on disk; `told`: those
    that the receiver said yes to, also to a sender that was dead by then."""

    queued: set[Told]
    told: set[Told]
    problems: list[str] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Committed and not told."""
        return len(self.queued - self.told)

    @property
    def in_flight(self) -> int:
        """Sent, and no outcome on disk: they and no others may come twice."""
        return len(self.queued & self.told)


def about(request: Request) -> list[tuple[str, str]]:
    """(alert, event) of each alert that it tells of, from a webhook's fields, or from link and title as people see them
    on other kinds of channels."""
    if request.raw.startswith(b"{") and "event" in request.body:
        body = request.body
        members = [member["alert_id"] for member in body.get("group", ())]
        assert len(members) == body.get("group_count", len(members)), "more than are listed"
        return [(alert_id, body["event"]) for alert_id in members or [body["alert_id"]]]
    text = "\n".join((*request.headers.values(), request.raw.decode()))
    found = _LINK.search(text)
    assert found is not None, f"which alert is this about? {text}"
    ended = next((word for word in ("acknowledged", "resolved") if f"({word})" in text), "raised")
    return [(found[1], f"alert.{ended}")]


def look_after_kill(
    database: Path, acked_jobs: set[str], requests: list[Request], channels: Mapping[str, str] | None = None
) -> AfterKill:
    """`requests` are what the receiver has heard in all, when it has heard the dead sender out. `channels`: which
    channel sends to which path, where there are several."""
    told = {
        ((channels or {}).get(request.path, ""), *each)
        for request in requests
        if request.told
        for each in about(request)
    }
    with copy_of(database) as connection:
        problems = [
            f"integrity_check: {row[0]}" for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"
        ]
        there = {row[0] for row in connection.execute("SELECT id FROM jobs WHERE finished_at IS NOT NULL")}
        problems += [f"job {job_id} was acked and is not on disk" for job_id in acked_jobs - there]
        waiting = connection.execute("SELECT channel_id, alert_id, event FROM deliveries WHERE state = 'queued'")
        queued = {(channel_id if channels else "", alert_id, event) for channel_id, alert_id, event in waiting}
    return AfterKill(queued, told, problems)


@dataclass(slots=True)
class Account:
    transitions: int = 0
    expected_deliveries: int = 0
    delivered: int = 0
    told_by_another: int = 0
    lost: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    duplicates: int = 0
    late: list[str] = field(default_factory=list)
    """Out of order, or twice, by one who was woken and did not know yet that it leads no more: at least once."""
    overtaken: list[str] = field(default_factory=list)
    """Fewer failures or alerts than the reports make one by one: the commit of one failed and the server lived, so a
    later report was judged before it came again."""


def _never(_: Request) -> bool:
    return False


def account_of(
    database: Path,
    outcomes: Mapping[tuple[str, str], list[str]],
    acknowledged: set[str],
    told: Mapping[str, list[Request]],
) -> Account:
    """`outcomes` by (host id, plan), `acknowledged` ids that the API said yes to, `told` requests by channel id.
    What is about a channel that did not deliver is not counted: that is a receiver's doing, not a report's."""
    with copy_of(database) as connection:
        rows = connection.execute("SELECT * FROM alerts WHERE host_id <> '' ORDER BY rowid").fetchall()
        deliveries = connection.execute("SELECT * FROM deliveries WHERE host_id <> ''").fetchall()
        check = connection.execute("PRAGMA integrity_check").fetchone()[0]
    account = settled(rows, deliveries, outcomes, acknowledged, told)
    if check != "ok":
        account.wrong.append(f"integrity_check: {check}")
    return account


def settled(
    rows: Sequence[Any],
    deliveries: Sequence[Any],
    outcomes: Mapping[tuple[str, str], list[str]],
    acknowledged: set[str],
    told: Mapping[str, list[Request]],
    late: Callable[[Request], bool] = _never,
    *,
    commits_failed: bool = False,
) -> Account:
    """The same for alerts in the order in which they were raised, and deliveries, that somebody else has read. `late`:
    whether a leader that had been frozen may have sent it. `commits_failed`: while the server went on."""
    account = Account()
    _compare_alerts(account, rows, outcomes, acknowledged, commits_failed)
    arrived = {channel_id: Counter(chain.from_iterable(map(about, requests))) for channel_id, requests in told.items()}
    states = {(row["channel_id"], row["alert_id"], row["event"]): row["state"] for row in deliveries}
    for alert in rows:
        events = ["alert.raised"]
        events += ["alert.acknowledged"] if alert["acknowledged_at"] is not None else []
        events += ["alert.resolved"] if alert["resolved"] else []
        account.transitions += len(events)
        for channel_id in told:
            for event in events:
                account.expected_deliveries += 1
                what = f"{event} of {alert['id']} ({alert['subject']}) on {channel_id}"
                state = states.get((channel_id, alert["id"], event))
                if state == "delivered" and arrived[channel_id][alert["id"], event]:
                    account.delivered += 1
                elif state == "superseded" and arrived[channel_id][alert["id"], "alert.resolved"]:
                    account.told_by_another += 1
                else:
                    account.lost.append(f"{what}: state {state}")
    for channel_id, requests in told.items():
        _compare_order(account, channel_id, requests, late)
        account.duplicates += sum(n - 1 for n in arrived[channel_id].values())
    return account


def _compare_alerts(
    account: Account,
    rows: Sequence[Any],
    outcomes: Mapping[tuple[str, str], list[str]],
    acknowledged: set[str],
    commits_failed: bool,
) -> None:
    found: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for row in rows:
        key = (row["host_id"], row["subject"].removeprefix("plan:"))
        found[key].append(Episode(row["occurrences"], bool(row["resolved"])))
    for key, ends in outcomes.items():
        if (must := episodes_of(ends)) != (made := found.pop(key, [])):
            what = f"the alerts are not those that {len(ends)} reports make ({len(must)})"
            found_wrong = account.overtaken if commits_failed and _may_be(made, must) else account.wrong
            found_wrong.append(f"{key}: {what}\nmust be {must}\nare     {made}")
    account.wrong += [f"{key}: alerts that no report made" for key in found]
    unknown = acknowledged - {row["id"] for row in rows if row["acknowledged_at"] is not None}
    account.lost += [f"acknowledgement of {alert_id}" for alert_id in unknown]


def _may_be(made: list[Episode], must: list[Episode]) -> bool:
    """Whether that is so where some reports came late: no failure twice, none in the end forgotten."""
    ends_alike = bool(made) and [each.closed for each in made[-1:]] == [each.closed for each in must[-1:]]
    return ends_alike and len(made) <= len(must) and sum(e.failures for e in made) <= sum(e.failures for e in must)


def _compare_order(account: Account, channel_id: str, requests: list[Request], late: Callable[[Request], bool]) -> None:
    highest: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for request in requests:
        for alert_id, event in about(request):
            rank = RANK[event]
            what = f"{event} of {alert_id} on {channel_id}"
            if (alert_id, event) in seen and late(request):
                account.late.append(what)
            elif rank < highest.get(alert_id, -1):
                account.out_of_order.append(what)
            seen.add((alert_id, event))
            highest[alert_id] = max(rank, highest.get(alert_id, -1))
