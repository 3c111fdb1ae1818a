"""What quiet hours hold back is no sign of trouble. They are from 22:00 to 07:00 UTC; times are hours from midnight."""

import json
from pathlib import Path

import pytest

from rmactors.common import clock
from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.store.queries.channels import channel as read_channel
from rmactors.server.store.queries.figures import oldest_unsent, queues
from rmactors.server.store.queries.waiting import QUIET
from tests.databases import on_sqlite_alone
from tests.store.ledger import Ledger, channel

MIDNIGHT = clock.from_rfc3339("2026-11-23T00:00:00Z")
HOURS = json.dumps({"timezone": "UTC", "from": "22:00", "to": "07:00", "days": []})


def hour(number: float) -> int:
    return MIDNIGHT + round(number * HOUR)


def seen(ledger: Ledger, channel_id: str, at: int) -> tuple[int | None, int | None, str | None]:
    """Since when the oldest waits, and until when and why the channel is held: as pages, metrics and doctor have it."""
    found = read_channel(ledger.connection, channel_id, at)
    assert found is not None
    _, health = found
    [queue] = queues(ledger.connection, at)
    assert queue.oldest_at == health.oldest_queued_at
    assert oldest_unsent(ledger.connection, at) == health.oldest_queued_at
    return health.oldest_queued_at, health.held_until, health.held_because


def test_what_waits_for_their_end_is_not_overdue_and_the_channel_says_until_when(ledger: Ledger) -> None:
    ops = ledger.channel(quiet_hours=HOURS)
    ledger.raise_(ledger.host(), at=hour(1))
    assert seen(ledger, ops, hour(2)) == (None, hour(7), QUIET)
    assert seen(ledger, ops, hour(7)) == (hour(7), None, None)
    assert seen(ledger, ops, hour(8)) == (hour(7), None, None), "it counts from their end"


def test_what_is_critical_is_overdue_as_ever(ledger: Ledger) -> None:
    ops, host = ledger.channel(quiet_hours=HOURS), ledger.host()
    ledger.raise_(host, "a", at=hour(1))
    ledger.raise_(host, "b", kind="check_failed", severity="critical", at=hour(2))
    assert seen(ledger, ops, hour(3)) == (hour(2), hour(7), QUIET)
    assert seen(ledger, ops, hour(8)) == (hour(2), None, None)


def test_with_nothing_but_critical_ones_nothing_is_held(ledger: Ledger) -> None:
    ops = ledger.channel(quiet_hours=HOURS)
    ledger.raise_(ledger.host(), kind="check_failed", severity="critical", at=hour(2))
    assert seen(ledger, ops, hour(3)) == (hour(2), None, None)


def test_outside_of_them_and_with_an_empty_queue_nothing_is_held(ledger: Ledger) -> None:
    ops = ledger.channel(quiet_hours=HOURS)
    assert seen(ledger, ops, hour(3)) == (None, None, None)
    ledger.raise_(ledger.host(), at=hour(12))
    assert seen(ledger, ops, hour(13)) == (hour(12), None, None)


@pytest.mark.parametrize(("asked", "until", "why"), [(5, 7, QUIET), (9, 9, "429")])
def test_where_the_receiver_wants_quiet_too_the_longer_one_counts(
    ledger: Ledger, asked: int, until: int, why: str
) -> None:
    ops = ledger.channel(quiet_hours=HOURS)
    ledger.raise_(ledger.host(), at=hour(1))
    ledger.connection.execute("UPDATE channels SET held_until = ?, held_because = '429'", (hour(asked),))
    assert seen(ledger, ops, hour(2))[1:] == (hour(until), why)


def test_a_channel_that_is_off_waits_for_somebody_to_switch_it_on(ledger: Ledger) -> None:
    ops = ledger.channel(quiet_hours=HOURS)
    ledger.raise_(ledger.host(), at=hour(1))
    ledger.commit(channel(ops, create=False, quiet_hours=HOURS, enabled=False, queued="keep", at=hour(1)))
    found = read_channel(ledger.connection, ops, hour(2))
    assert found is not None
    assert (found[1].queued, found[1].held_until) == (1, None)
    assert oldest_unsent(ledger.connection, hour(2)) is None


def test_the_oldest_of_all_channels_is_that_of_any(ledger: Ledger) -> None:
    ledger.channel(quiet_hours=HOURS), ledger.channel()
    ledger.raise_(ledger.host(), at=hour(1))
    assert oldest_unsent(ledger.connection, hour(2)) == hour(1)


def test_what_waits_for_an_escalation_is_not_in_the_queue(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    ledger.raise_(ledger.host(), at=hour(1))
    assert seen(ledger, pager, hour(1) + 29 * MINUTE) == (None, None, None)


@on_sqlite_alone  # no database of PostgreSQL is so old
def test_queued_critical_ones_of_an_older_version_are_loud(ledger: Ledger) -> None:
    """As the migration finds them: JSON with and without spaces."""
    host, _ = ledger.host(), ledger.channel()
    for kind in ("check_failed", "backup_failed"):
        ledger.raise_(host, kind=kind, severity="critical" if kind == "check_failed" else "warning")
    migration = (Path(__file__).parents[2] / "schema" / "0010_being_told.sql").read_text()
    update = migration[migration.index("UPDATE deliveries SET loud") :].partition(";")[0]
    ledger.connection.execute("UPDATE deliveries SET loud = 0")
    ledger.connection.execute(update)
    assert ledger.rows("SELECT loud FROM deliveries ORDER BY seq") == [(1,), (0,)]
    ledger.connection.execute("UPDATE deliveries SET loud = 0, body = replace(body, '\":\"', '\": \"')")
    ledger.connection.execute(update)
    assert ledger.rows("SELECT loud FROM deliveries ORDER BY seq") == [(1,), (0,)]
