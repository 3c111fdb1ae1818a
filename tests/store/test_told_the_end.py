"""Who was told of an alert is told its end. Minutes count from noon."""

from typing import Any

import pytest

from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.channels import RetryDelivery
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from tests.store.ledger import MINUTE, NOON, Ledger, audit, channel

EVENTS = ("alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder")
GONE = Attempt("dead", 400, 1.0, "bad request")


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def told(ledger: Ledger) -> list[str]:
    return [event for event, _ in ledger.outbox()]


def all_arrive(ledger: Ledger) -> None:
    for (delivery_id,) in ledger.rows("SELECT id FROM deliveries WHERE state = 'queued' ORDER BY seq"):
        ledger.settle(delivery_id)


def send_again(ledger: Ledger, event: str) -> Any:
    [delivery_id] = [each for (each,) in ledger.rows("SELECT id FROM deliveries WHERE event = ?", f"alert.{event}")]
    return ledger.apply(RetryDelivery(delivery_id, minute(100), audit("delivery.retry", delivery_id)))


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


# ---- sent again by hand


def test_a_dead_raise_is_not_sent_again_behind_what_was_told_later(ledger: Ledger) -> None:
    """A receiver that keeps incidents would open one that nothing ever ends."""
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    [(raised,)] = ledger.rows("SELECT id FROM deliveries")
    ledger.settle(raised, GONE)
    ledger.resolve(alert, minute(1))
    assert isinstance(send_again(ledger, "raised"), Refused)  # its end waits
    all_arrive(ledger)
    assert isinstance(send_again(ledger, "raised"), Refused)


def test_nor_where_its_end_was_kept_from_who_did_not_know_of_it(ledger: Ledger) -> None:
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    [(raised,)] = ledger.rows("SELECT id FROM deliveries")
    ledger.settle(raised, GONE)
    ledger.silence(starts_at=minute(1))
    ledger.resolve(alert, minute(2))
    assert told(ledger) == ["raised"]
    assert isinstance(send_again(ledger, "raised"), Refused)


def test_it_is_where_its_end_is_dead_as_well_or_not_asked_for(ledger: Ledger) -> None:
    ops = ledger.channel()
    alert = ledger.raise_(ledger.host())
    ledger.settle(ledger.value("SELECT id FROM deliveries"), GONE)
    ledger.resolve(alert, minute(1))
    ledger.settle(ledger.value("SELECT id FROM deliveries WHERE event = 'alert.resolved'"), GONE, minute(2))
    assert isinstance(send_again(ledger, "raised"), Committed)
    assert isinstance(send_again(ledger, "resolved"), Committed)
    all_arrive(ledger)
    ledger.commit(channel(ops, create=False, events=("alert.raised",), at=minute(3)))
    other = ledger.raise_(ledger.host("nas2"), at=minute(4))
    raised = ledger.value("SELECT id FROM deliveries WHERE alert_id = ?", other)
    ledger.settle(raised, GONE, minute(5))
    ledger.resolve(other, minute(6))
    assert isinstance(ledger.apply(RetryDelivery(raised, minute(7), audit("delivery.retry", raised))), Committed)


def test_what_a_dead_message_alone_would_have_told_is_dead_with_it(ledger: Ledger) -> None:
    """As the raise and the acknowledgement of one alert after quiet hours, which one message tells."""
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    ledger.acknowledge(alert, minute(1))
    raised, acknowledged = (row[0] for row in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    ledger.settle(acknowledged, GONE, minute(2), carried=((raised, "delivered"),))
    assert ledger.outbox() == [("raised", "dead"), ("acknowledged", "dead")]
    assert ledger.value("SELECT last_error FROM deliveries WHERE id = ?", raised) == "bad request"
