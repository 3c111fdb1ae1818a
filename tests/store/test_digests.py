"""What a digest is made of, and that each slot has one. Minutes count from noon."""

import json
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR
from rmactors.server.messages.answers import Committed, Stale
from rmactors.server.messages.digests import QueueDigest
from rmactors.server.state.digest import HostFigures
from rmactors.server.store.queries.digests import alerts_elsewhere, digest_channels, host_figures
from tests.databases import on_sqlite_alone
from tests.store.ledger import NOON, Ledger, channel

WEEKLY = json.dumps({"cron": "0 8 * * 1", "timezone": "Europe/Berlin"})
WEEK = 7 * DAY


def run_(ledger: Ledger, host_id: str, status: str = "succeeded", at: int = NOON - HOUR, **changes: Any) -> None:
    values = {"kind": "backup", "stats": '{"bytes_added":1000}', **changes}
    ledger.connection.execute(
        "INSERT INTO jobs (id, host_id, kind, subject, status, stats, started_at, finished_at, sort_at)"
        " VALUES (?, ?, ?, 's', ?, ?, ?, ?, ?)",
        (ids.new(), host_id, values["kind"], status, values["stats"], at, at, at),
    )


def figures(ledger: Ledger, *tags: str, since: int = NOON - WEEK, most: int = 100) -> dict[str, HostFigures]:
    found: dict[str, HostFigures] = {}
    after: str | None = ""
    while after is not None:
        hosts, after = host_figures(ledger.connection, frozenset(tags), since, NOON, after, most)
        found |= {host.name: host for host in hosts}
    return found


def digest(ledger: Ledger, slot: int, **changes: Any) -> QueueDigest:
    [wanted] = digest_channels(ledger.connection)
    values = {"digest": wanted.digest, "since": wanted.since, **changes}
    return QueueDigest(wanted.id, ids.new(), ids.new(), values["digest"], values["since"], slot, "All is well.", slot)


# ---- what hosts did


def test_backups_that_ended_in_the_time_are_counted_and_what_they_added(ledger: Ledger) -> None:
    host = ledger.host("nas1")
    run_(ledger, host)
    run_(ledger, host, "partial", stats='{"bytes_added":500}')
    run_(ledger, host, "failed", stats='{"bytes_added":7}')
    run_(ledger, host, "cancelled")
    run_(ledger, host, at=NOON - WEEK)  # the last digest had it
    run_(ledger, host, at=NOON + 1)
    run_(ledger, host, kind="check")
    assert figures(ledger) == {"nas1": HostFigures("nas1", good=1, partial=1, failed=1, added=1500)}


@pytest.mark.parametrize(
    ("stats", "added"),
    [
        ('{"data_added":12}', 12),
        ("{}", 0),
        ("no JSON", 0),
        ('{"bytes_added":"many"}', 0),
        ('{"bytes_added":-5}', 0),
        ('{"bytes_added":9223372036854775807}', 9223372036854775807),
    ],
)
def test_whatever_a_host_said_of_sizes_the_digest_can_be_made(ledger: Ledger, stats: str, added: int) -> None:
    host = ledger.host("nas1")
    run_(ledger, host, stats=stats)
    run_(ledger, host, stats=stats)
    assert figures(ledger)["nas1"].added == pytest.approx(2 * added)


def test_open_critical_and_overdue_alerts_are_counted(ledger: Ledger) -> None:
    host = ledger.host("nas1")
    run_(ledger, host)
    ledger.raise_(host, "a")
    ledger.raise_(host, "b", kind="check_failed", severity="critical")
    ledger.acknowledge(ledger.raise_(host, "c", kind="backup_overdue", severity="critical"))
    ledger.resolve(ledger.raise_(host, "d"))
    found = figures(ledger)["nas1"]
    assert (found.open, found.critical, found.overdue) == (2, 1, 1), "an acknowledged one is still overdue"


def test_alerts_about_no_host_are_counted_apart(ledger: Ledger) -> None:
    host = ledger.host()
    alert = ledger.raise_(host)
    assert alerts_elsewhere(ledger.connection) == 0
    ledger.connection.execute("UPDATE alerts SET host_id = '' WHERE id = ?", (alert,))
    assert alerts_elsewhere(ledger.connection) == 1


def test_tags_choose_the_hosts_and_deleted_ones_are_left_out(ledger: Ledger) -> None:
    ledger.host("lab", tags='["lab"]'), ledger.host("prod", tags='["prod", "db"]'), ledger.host("none")
    gone = ledger.host("gone", tags='["db"]')
    ledger.connection.execute("UPDATE hosts SET deleted_at = ? WHERE id = ?", (NOON, gone))
    assert sorted(figures(ledger)) == ["lab", "none", "prod"]
    assert sorted(figures(ledger, "lab", "db")) == ["lab", "prod"]
    assert figures(ledger, "elsewhere") == {}


def test_a_fleet_is_read_some_hosts_at_a_time(ledger: Ledger) -> None:
    for n in range(7):
        run_(ledger, ledger.host(f"h{n}"))
    assert len(figures(ledger, most=3)) == 7
    hosts, after = host_figures(ledger.connection, frozenset(), 0, NOON, "", 3)
    assert (len(hosts), after is not None) == (3, True)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"cron": "0 3 * * *"}, True),
        ({"cron": "0 3 1 1 *"}, False),
        ({"cron": "0 3 * * *", "enabled": False}, True),  # then nothing says when: it never had one
        ({"cron": "0 3 * * *", "anchor_at": NOON - HOUR}, False),
        ({"cron": None, "on_calendar": "daily", "mode": "external"}, True),
        ({"cron": None, "every_hours": 24.0, "mode": "external", "at": NOON - 2 * DAY}, True),
        ({"cron": None, "every_hours": 24.0, "mode": "external", "at": NOON - HOUR}, False),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, True),
    ],
)
def test_without_a_backup_the_schedules_say_whether_one_was_expected(
    ledger: Ledger, schedule: dict[str, Any], expected: bool
) -> None:
    host = ledger.host("nas1")
    ledger.schedule(host, **({"anchor_at": NOON - 30 * DAY} | schedule))
    assert figures(ledger, since=NOON - DAY)["nas1"].expected == expected


@pytest.mark.parametrize(("days_ago", "expected"), [(2, False), (8, True)])
def test_without_a_schedule_one_is_expected_a_week_after_the_last(
    ledger: Ledger, days_ago: int, expected: bool
) -> None:
    host = ledger.host("nas1")
    ledger.connection.execute(
        "INSERT INTO tracks (host_id, kind, subject, version, last_good_at) VALUES (?, 'backup_failed', 'x', 1, ?)",
        (host, NOON - days_ago * DAY),
    )
    found = figures(ledger, since=NOON - DAY)["nas1"]
    assert (found.last_good_at, found.expected) == (NOON - days_ago * DAY, expected)


@on_sqlite_alone
def test_runs_are_found_by_an_index(ledger: Ledger) -> None:
    for n in range(3):
        ledger.host(f"h{n}")
    seen: list[str] = []
    ledger.connection.set_trace_callback(seen.append)
    figures(ledger)
    ledger.connection.set_trace_callback(None)
    [query] = [sql for sql in seen if "FROM jobs" in sql]
    plan = ledger.rows(f"EXPLAIN QUERY PLAN {query}")
    assert "jobs_ended (host_id=? AND kind=? AND finished_at>? AND finished_at<?)" in plan[0][3]


# ---- each slot has one


def test_a_digest_is_queued_and_its_slot_remembered(ledger: Ledger) -> None:
    ops = ledger.channel(digest=WEEKLY, host_tags=("db",))
    [wanted] = digest_channels(ledger.connection)
    assert (wanted.id, wanted.cron, wanted.timezone, wanted.since, wanted.host_tags) == (
        ops, "0 8 * * 1", "Europe/Berlin", NOON, frozenset({"db"}),
    )  # fmt: skip
    ledger.commit(digest(ledger, NOON + WEEK))
    assert ledger.woken.channels == {ops}
    assert digest_channels(ledger.connection)[0].since == NOON + WEEK
    row = ledger.row("SELECT * FROM deliveries")
    assert (row["event"], row["host_id"], row["seq"], row["state"]) == ("alert.digest", "", 1, "queued")
    assert json.loads(row["body"]) == {
        "severity": "info", "kind": "digest", "subject": "", "host_name": "restic-manager", "message": "All is well.",
        "raised_at": NOON + WEEK, "occurred_at": NOON + WEEK, "actor": None, "note": None,
    }  # fmt: skip


def test_a_slot_has_one_digest_also_when_it_is_asked_for_again(ledger: Ledger) -> None:
    ledger.channel(digest=WEEKLY)
    write = digest(ledger, NOON + WEEK)
    assert isinstance(ledger.apply(write), Committed)
    assert isinstance(ledger.apply(write), Stale)
    assert isinstance(ledger.apply(digest(ledger, NOON + WEEK)), Stale)
    assert ledger.value("SELECT count(*) FROM deliveries") == 1


@pytest.mark.parametrize("changes", [{"digest": None}, {"enabled": False}, {"digest": WEEKLY.replace("8", "9")}])
def test_a_digest_that_was_made_for_other_settings_is_not_queued(ledger: Ledger, changes: dict[str, Any]) -> None:
    ops = ledger.channel(digest=WEEKLY)
    write = digest(ledger, NOON + WEEK)
    ledger.commit(channel(ops, **({"create": False, "digest": WEEKLY, "at": NOON + HOUR} | changes)))
    assert isinstance(ledger.apply(write), Stale)
    assert ledger.value("SELECT count(*) FROM deliveries") == 0


def test_a_changed_digest_covers_what_is_from_then_on_and_an_unchanged_one_goes_on(ledger: Ledger) -> None:
    ops = ledger.channel(digest=WEEKLY)
    ledger.commit(channel(ops, create=False, digest=WEEKLY, name="renamed", at=NOON + HOUR))
    assert digest_channels(ledger.connection)[0].since == NOON
    ledger.commit(channel(ops, create=False, digest=WEEKLY.replace("8", "9"), at=NOON + 2 * HOUR))
    assert digest_channels(ledger.connection)[0].since == NOON + 2 * HOUR
    ledger.commit(channel(ops, create=False, digest=WEEKLY.replace("8", "9"), enabled=False, at=NOON + 3 * HOUR))
    assert digest_channels(ledger.connection) == []
    ledger.commit(channel(ops, create=False, digest=WEEKLY.replace("8", "9"), at=NOON + 4 * HOUR))
    assert digest_channels(ledger.connection)[0].since == NOON + 4 * HOUR
