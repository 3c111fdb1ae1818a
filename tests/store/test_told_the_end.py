"""Who was told of an alert is told its end. Minutes count from noon."""

import pytest

from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from tests.store.ledger import MINUTE, NOON, Ledger, channel

EVENTS = ("alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder")


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def told(ledger: Ledger) -> list[str]:
    return [event for event, _ in ledger.outbox()]


@pytest.mark.parametrize("after", [0.0, 30.0])
@pytest.mark.parametrize("silenced", [False, True])
def test_a_channel_that_only_a_reminder_told_of_an_alert(ledger: Ledger, after: float, silenced: bool) -> None:
    alert = ledger.raise_(ledger.host())
    ledger.channel(remind_hours=1.0, after_minutes=after, events=EVENTS)  # made after the raise
    ledger.commit(ReleaseHeld(minute(60)), QueueReminders(minute(60)))
    if silenced:
        ledger.silence(starts_at=minute(61), ends_at=minute(90))
    ledger.resolve(alert, minute(70))
    assert told(ledger) == ["reminder", "resolved"]


def test_a_channel_without_raises_that_was_told_the_acknowledgement(ledger: Ledger) -> None:
    ledger.channel(events=("alert.acknowledged", "alert.resolved"))
    alert = ledger.raise_(ledger.host())
    ledger.acknowledge(alert, minute(1))
    ledger.silence(starts_at=minute(2))
    ledger.resolve(alert, minute(3))
    assert told(ledger) == ["acknowledged", "resolved"]


def test_a_channel_without_raises_is_not_told_the_end_of_what_was_acknowledged_in_time(ledger: Ledger) -> None:
    ledger.channel(events=("alert.acknowledged", "alert.resolved"), after_minutes=30.0)
    alert = ledger.raise_(ledger.host())
    ledger.acknowledge(alert, minute(29))
    ledger.resolve(alert, minute(60))
    assert told(ledger) == []


def test_a_host_that_has_other_tags_by_then(ledger: Ledger) -> None:
    ledger.channel(host_tags=("home",))
    host = ledger.host(tags='["home"]')
    alert, other = ledger.raise_(host), ledger.raise_(ledger.host("nas2"))
    ledger.connection.execute("UPDATE hosts SET tags = '[]' WHERE id = ?", (host,))
    ledger.acknowledge(alert, minute(1))
    ledger.resolve(alert, minute(2))
    ledger.resolve(other, minute(2))
    assert told(ledger) == ["raised", "resolved"]


def test_a_channel_that_has_another_filter_by_then(ledger: Ledger) -> None:
    ops = ledger.channel()
    alert, other = ledger.raise_(ledger.host()), ledger.raise_(ledger.host("nas2"))
    ledger.commit(channel(ops, create=False, min_severity="critical", at=minute(1)))
    ledger.resolve(alert, minute(2))
    ledger.commit(channel(ops, create=False, min_severity="critical", events=("alert.raised",), at=minute(3)))
    ledger.resolve(other, minute(4))  # which it wants to hear nothing of any more
    assert told(ledger) == ["raised", "raised", "resolved"]
