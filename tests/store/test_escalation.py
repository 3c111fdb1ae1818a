"""Channels that hear only of what nobody has looked after for so long. Minutes count from noon."""

import json
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR
from rmactors.server.messages.alerts import WorsenAlert
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.silences import DeleteSilence
from tests.databases import on_sqlite_alone
from tests.store.ledger import MINUTE, NOON, Ledger, audit, channel


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def tick(ledger: Ledger, n: float) -> None:
    ledger.commit(ReleaseHeld(minute(n)), QueueReminders(minute(n)))


def worsen(ledger: Ledger, alert: str, at: int) -> None:
    ledger.commit(WorsenAlert(alert, "It failed.", "This got worse. It failed.", at, "job"))


def bodies(ledger: Ledger, channel_id: str) -> list[dict[str, Any]]:
    found = ledger.rows("SELECT body FROM deliveries WHERE channel_id = ? ORDER BY seq", channel_id)
    return [json.loads(body) for (body,) in found]


def test_what_is_still_open_after_so_long_is_sent_then_and_once(ledger: Ledger) -> None:
    at_once, pager = ledger.channel(), ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host())
    assert set(ledger.woken.deliveries) == {at_once}
    tick(ledger, 29.9)
    assert ledger.outbox(pager) == []
    tick(ledger, 30)
    assert set(ledger.woken.deliveries) == {pager}
    tick(ledger, 31)
    assert ledger.outbox(pager) == [("raised", "queued")]
    assert ledger.outbox(at_once) == [("raised", "queued")]
    [body] = bodies(ledger, pager)
    assert (body["raised_at"], body["occurred_at"], body["open_since"]) == (NOON, minute(30), NOON)
    assert "again" not in body
    assert "open_since" not in bodies(ledger, at_once)[0]
    assert ledger.timeline(alert) == ["raised", "escalated"]


def test_after_that_the_channel_hears_how_it_went_on(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host())
    tick(ledger, 30)
    ledger.acknowledge(alert, minute(40))
    ledger.resolve(alert, minute(50))
    assert [event for event, _ in ledger.outbox(pager)] == ["raised", "acknowledged", "resolved"]


@pytest.mark.parametrize("first", ["acknowledge", "resolve"])
def test_of_what_somebody_looked_after_in_time_it_hears_nothing_at_all(ledger: Ledger, first: str) -> None:
    pager = ledger.channel(after_minutes=30.0, remind_hours=1.0)
    alert = ledger.raise_(ledger.host())
    getattr(ledger, first)(alert, minute(29))
    tick(ledger, 30)
    if first == "acknowledge":
        ledger.resolve(alert, minute(500))
    tick(ledger, 1000)
    assert ledger.outbox(pager) == []
    assert "escalated" not in ledger.timeline(alert)


def test_an_acknowledgement_that_comes_after_the_time_and_before_the_tick_is_too_late(ledger: Ledger) -> None:
    """Which of the two is first depends on the times alone, not on when somebody looks at the clock."""
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host())
    ledger.acknowledge(alert, minute(30))
    assert [event for event, _ in ledger.outbox(pager)] == ["raised", "acknowledged"]


def test_a_channel_without_raises_hears_how_those_alerts_end_that_lasted_so_long(ledger: Ledger) -> None:
    ends = ledger.channel(after_minutes=30.0, events=("alert.resolved",))
    host = ledger.host()
    short, long = ledger.raise_(host, "short"), ledger.raise_(host, "long")
    ledger.resolve(short, minute(29))
    ledger.resolve(long, minute(31))
    assert ledger.rows("SELECT alert_id FROM deliveries WHERE channel_id = ?", ends) == [(long,)]


def test_what_gets_worse_while_nobody_looks_after_it_counts_from_its_raise(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host(), known_partial=True)
    worsen(ledger, alert, minute(20))
    tick(ledger, 29)
    assert ledger.outbox(pager) == []
    tick(ledger, 30)
    [body] = bodies(ledger, pager)
    assert (body["message"], body["open_since"]) == ("It failed.", NOON)


def test_what_gets_worse_after_it_was_sent_is_sent_again_at_once(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host(), known_partial=True)
    tick(ledger, 30)
    worsen(ledger, alert, minute(100))
    _, second = bodies(ledger, pager)
    assert (second["message"], second["again"], second["open_since"]) == ("This got worse. It failed.", True, NOON)


def test_what_gets_worse_after_it_was_acknowledged_counts_from_then(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host(), known_partial=True)
    ledger.acknowledge(alert, minute(10))
    worsen(ledger, alert, minute(100))
    tick(ledger, 129)
    assert ledger.outbox(pager) == []
    tick(ledger, 130)
    [body] = bodies(ledger, pager)
    assert (body["open_since"], body["raised_at"]) == (minute(100), NOON)


def test_a_silence_holds_it_back_beyond_that_and_what_is_over_by_then_is_not_sent(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    host = ledger.host()
    ledger.silence(ends_at=minute(60))
    stays, goes = ledger.raise_(host, "stays"), ledger.raise_(host, "goes")
    tick(ledger, 31)
    assert ledger.outbox(pager) == []
    ledger.resolve(goes, minute(59))
    tick(ledger, 60)
    assert ledger.rows("SELECT alert_id FROM deliveries WHERE channel_id = ?", pager) == [(stays,)]
    assert ledger.timeline(stays) == ["raised", "silenced", "unsilenced", "escalated"]
    assert ledger.timeline(goes) == ["raised", "silenced", "resolved"]


def test_the_end_of_a_silence_does_not_shorten_the_wait(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    silence = ledger.silence(ends_at=minute(60))
    alert = ledger.raise_(ledger.host())
    ledger.commit(DeleteSilence(silence, minute(10), audit()))
    assert ledger.outbox(pager) == []
    tick(ledger, 30)
    assert ledger.outbox(pager) == [("raised", "queued")]
    assert ledger.timeline(alert) == ["raised", "silenced", "unsilenced", "escalated"]


def test_a_silence_that_begins_while_the_channel_waits_holds_it_back(ledger: Ledger) -> None:
    pagers = {ledger.channel(after_minutes=30.0), ledger.channel(after_minutes=30.0)}
    alert = ledger.raise_(ledger.host())
    ledger.silence(starts_at=minute(20), ends_at=minute(60))
    tick(ledger, 30)
    tick(ledger, 31)
    assert ledger.outbox() == []
    assert ledger.timeline(alert) == ["raised", "silenced"], "once, for both"
    tick(ledger, 60)
    assert {found for (found,) in ledger.rows("SELECT channel_id FROM deliveries")} == pagers
    assert ledger.timeline(alert) == ["raised", "silenced", "unsilenced", "escalated", "escalated"]


def test_severity_and_tags_are_those_of_when_it_is_due(ledger: Ledger) -> None:
    host = ledger.host(tags='["lab"]')
    lab, critical = (
        ledger.channel(after_minutes=30.0, host_tags=("lab",)),
        ledger.channel(after_minutes=30.0, min_severity="critical"),
    )
    ledger.raise_(host)
    ledger.raise_(host, kind="check_failed", severity="critical")
    tick(ledger, 30)
    assert (len(ledger.outbox(lab)), len(ledger.outbox(critical))) == (2, 1)
    ledger.raise_(host, "later", at=minute(40))
    ledger.connection.execute("UPDATE hosts SET tags = '[]'")
    tick(ledger, 100)
    assert len(ledger.outbox(lab)) == 2


def test_what_waits_becomes_due_by_the_new_setting(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    ledger.raise_(ledger.host())
    ledger.commit(channel(pager, create=False, after_minutes=60.0, at=minute(1)))
    tick(ledger, 59)
    assert ledger.outbox(pager) == []
    ledger.commit(channel(pager, create=False, after_minutes=0.0, at=minute(59)))
    tick(ledger, 59)
    assert ledger.outbox(pager) == [("raised", "queued")]


def test_reminders_begin_when_it_is_sent(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=120.0, remind_hours=1.0)
    ledger.raise_(ledger.host())
    tick(ledger, 119)
    assert ledger.outbox(pager) == []
    tick(ledger, 120)
    tick(ledger, 179)
    assert ledger.outbox(pager) == [("raised", "queued")]
    tick(ledger, 180)
    assert [event for event, _ in ledger.outbox(pager)] == ["raised", "reminder"]


def test_a_channel_that_takes_reminders_alone_gets_none_before_its_time(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=120.0, remind_hours=1.0, events=("alert.reminder",))
    ledger.raise_(ledger.host())
    tick(ledger, 119)
    assert ledger.outbox(pager) == []
    tick(ledger, 120)
    assert [event for event, _ in ledger.outbox(pager)] == ["reminder"]


def test_those_that_come_due_within_a_window_go_together(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0, group_seconds=600.0)
    host = ledger.host()
    for n in range(3):
        ledger.raise_(host, f"s{n}", at=minute(n))
    for n in range(30, 34):
        tick(ledger, n)
    due = ledger.rows("SELECT due_at, grouped FROM deliveries WHERE channel_id = ? ORDER BY seq", pager)
    assert due == [(minute(30), 0), (minute(40), 1), (minute(40), 1)]


def test_switching_the_channel_off_may_drop_what_waits(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    ledger.raise_(ledger.host())
    ledger.commit(channel(pager, create=False, after_minutes=30.0, enabled=False, queued="drop", at=minute(1)))
    ledger.commit(channel(pager, create=False, after_minutes=30.0, at=minute(2)))
    tick(ledger, 100)
    assert ledger.outbox(pager) == []


@on_sqlite_alone
def test_a_tick_looks_at_what_is_due_not_at_all_that_waits(ledger: Ledger) -> None:
    plan = ledger.rows(
        "EXPLAIN QUERY PLAN SELECT alerts.id FROM held JOIN alerts ON alerts.id = held.alert_id"
        " WHERE alerts.resolved_at IS NULL AND alerts.acknowledged_at IS NULL AND held.channel_id = ? AND held.at <= ?",
        ids.new(), NOON,
    )  # fmt: skip
    assert "held_in_order (channel_id=? AND at<?)" in plan[0][3]


def quiet(begin: str, end: str) -> str:
    return json.dumps({"timezone": "UTC", "from": begin, "to": end, "days": []})


def test_in_quiet_hours_nobody_is_reminded_and_the_next_one_comes_that_long_after_their_end(ledger: Ledger) -> None:
    ops = ledger.channel(remind_hours=4.0, quiet_hours=quiet("14:00", "20:00"))
    ledger.raise_(ledger.host(), at=NOON)
    for hour in range(2, 12):
        ledger.commit(QueueReminders(NOON + hour * HOUR))
    assert [event for event, _ in ledger.outbox(ops)] == ["raised"]
    ledger.commit(QueueReminders(NOON + 12 * HOUR))
    assert [event for event, _ in ledger.outbox(ops)] == ["raised", "reminder"]
    ledger.commit(QueueReminders(NOON + DAY))
    assert [event for event, _ in ledger.outbox(ops)].count("reminder") == 1, "the first one still waits"
