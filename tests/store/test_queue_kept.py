"""A channel that is switched off with something queued: asked, dropped, kept, and what becomes of that when it is on
again. Minutes count from noon."""

import pytest

from rmactors.common.clock import DAY, HOUR
from rmactors.common.vocabulary import OVER_WHILE_OFF
from rmactors.server.messages.alerts import WorsenAlert
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.channels import WhatIsQueued
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.silences import DeleteSilence
from rmactors.server.store.load_channels import load_channels, load_due
from rmactors.server.store.queries.figures import oldest_unsent, queues
from tests.store.ledger import MINUTE, NOON, OK, Ledger, audit, channel


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def off(ledger: Ledger, ops: str, queued: WhatIsQueued = "keep", at: float = 1) -> None:
    ledger.commit(channel(ops, create=False, enabled=False, queued=queued, at=minute(at)))


def on(ledger: Ledger, ops: str, queued: WhatIsQueued = "ask", at: float = 60) -> None:
    ledger.commit(channel(ops, create=False, queued=queued, at=minute(at)))


def goes_out(ledger: Ledger, ops: str) -> list[tuple[str, str]]:
    """(event, alert) of what is queued, in order."""
    return [(each.event.removeprefix("alert."), each.alert_id) for each in load_due(ledger.connection, ops, 0, 100)]


@pytest.mark.parametrize(("number", "said"), [(1, "1 message is queued"), (2, "2 messages are queued")])
def test_it_is_asked_what_becomes_of_what_is_queued(ledger: Ledger, number: int, said: str) -> None:
    ops, host = ledger.channel(), ledger.host()
    for n in range(number):
        ledger.raise_(host, f"s{n}")
    answer = ledger.apply(channel(ops, create=False, enabled=False, name="other", at=minute(1)))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.detail.startswith(said)) == ("queued", True)
    assert ledger.rows("SELECT enabled, name FROM channels") == [(1, "ops")], "nothing else of the change is done"
    assert ledger.outbox() == [("raised", "queued")] * number


def test_with_nothing_queued_nothing_is_asked(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    ledger.settle(ledger.value("SELECT id FROM deliveries"), OK)
    off(ledger, ops, "ask")
    assert ledger.value("SELECT enabled FROM channels") == 0


def test_what_is_kept_goes_out_in_order_when_the_channel_is_on_again(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    first, second = ledger.raise_(host, "a"), ledger.raise_(host, "b")
    ledger.acknowledge(first)
    off(ledger, ops)
    assert load_channels(ledger.connection) == []
    ledger.raise_(host, "c", at=minute(5))
    assert len(ledger.outbox()) == 3, "nothing new is queued while it is off"
    on(ledger, ops)
    assert ledger.woken.channels == {ops}
    assert goes_out(ledger, ops) == [("raised", first), ("raised", second), ("acknowledged", first)]


def test_what_was_kept_is_as_old_as_if_it_were_made_now(ledger: Ledger) -> None:
    """Else what is kept for two days would be given up with its first refusal."""
    ops, host = ledger.channel(group_seconds=7200.0), ledger.host()
    ledger.raise_(host, "a")
    ledger.raise_(host, "b")
    tried, window = (id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    ledger.settle(tried, Attempt("retry", 503, 1.0, "later"), due_at=NOON + DAY)
    off(ledger, ops)
    on(ledger, ops, at=60)
    assert ledger.rows("SELECT id, created_at, due_at FROM deliveries ORDER BY seq") == [
        (tried, minute(60), minute(60)), (window, minute(60), NOON + 2 * HOUR),
    ]  # fmt: skip
    assert ledger.rows("SELECT failing_since, last_error FROM channels") == [(None, None)]


def test_nobody_hears_of_an_alert_as_raised_that_was_over_before(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    over, goes_on, told = ledger.raise_(host, "a"), ledger.raise_(host, "b"), ledger.raise_(host, "c")
    ledger.acknowledge(over)
    ledger.resolve(told)
    off(ledger, ops)
    ledger.resolve(over, minute(5))
    on(ledger, ops)
    assert goes_out(ledger, ops) == [("raised", goes_on), ("raised", told), ("resolved", told)]
    assert ledger.rows("SELECT event, state FROM deliveries WHERE alert_id = ? ORDER BY id", over) == [
        ("alert.raised", "superseded"), ("alert.acknowledged", "superseded"),
    ]  # fmt: skip
    assert ledger.timeline(over) == ["raised", "acknowledged", "resolved", "superseded", "superseded"]
    assert ledger.rows("SELECT DISTINCT note, channel_name FROM alert_events WHERE event = 'superseded'") == [
        (OVER_WHILE_OFF, "ops")
    ]


def test_a_kept_reminder_is_not_sent_of_what_somebody_looks_after_by_then(ledger: Ledger) -> None:
    ops, host = ledger.channel(remind_hours=1), ledger.host()
    alert = ledger.raise_(host)
    ledger.settle(ledger.value("SELECT id FROM deliveries"), OK)
    ledger.commit(QueueReminders(NOON + 2 * HOUR))
    assert goes_out(ledger, ops) == [("reminder", alert)]
    off(ledger, ops, at=125)
    ledger.acknowledge(alert, minute(130))
    on(ledger, ops, at=180)
    assert goes_out(ledger, ops) == []


def test_what_a_silence_held_back_is_kept_too(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    silence = ledger.silence()
    over, goes_on = ledger.raise_(host, "a", at=minute(1)), ledger.raise_(host, "b", at=minute(1))
    off(ledger, ops, "ask", at=2)
    ledger.commit(DeleteSilence(silence, minute(3), audit("silence.delete", silence)))
    ledger.resolve(over, minute(4))
    assert ledger.outbox() == []
    on(ledger, ops)
    ledger.commit(ReleaseHeld(minute(61)))
    assert goes_out(ledger, ops) == [("raised", goes_on)]


def test_what_was_kept_can_be_dropped_later(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    ledger.raise_(host)
    off(ledger, ops)
    off(ledger, ops, "ask", at=2)
    assert ledger.outbox() == [("raised", "queued")], "saving it again asks nothing and changes nothing"
    off(ledger, ops, "drop", at=3)
    assert ledger.outbox() == [("raised", "dead")]


def test_what_was_kept_can_be_dropped_when_the_channel_is_switched_on(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    ledger.raise_(host)
    off(ledger, ops)
    on(ledger, ops, "drop")
    assert ledger.outbox() == [("raised", "dead")]
    assert ledger.rows("SELECT last_error FROM deliveries") == [("channel disabled",)]


def test_what_is_in_flight_while_the_channel_is_switched_off_ends_as_it_ends(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    ledger.raise_(host, "a")
    ledger.raise_(host, "b")
    arrives, fails = (id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    off(ledger, ops)
    ledger.settle(arrives, OK, minute(2))
    ledger.settle(fails, Attempt("retry", 503, 1.0, "later"), minute(2), due_at=NOON + DAY)
    assert ledger.outbox() == [("raised", "delivered"), ("raised", "queued")]


def test_what_is_kept_is_not_overdue(ledger: Ledger) -> None:
    """Who watches this server is not alarmed because somebody switched off a channel."""
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    assert oldest_unsent(ledger.connection, NOON) == NOON
    off(ledger, ops)
    assert oldest_unsent(ledger.connection, NOON) is None
    [queue] = queues(ledger.connection, NOON)
    assert (queue.waiting, queue.oldest_at) == (1, None)


def test_what_a_silence_held_back_is_kept_also_if_it_gets_worse_meanwhile(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    off(ledger, ops, "ask", at=2)
    ledger.commit(WorsenAlert(alert, "It failed.", "This got worse. It failed.", minute(3)))
    on(ledger, ops)
    ledger.commit(ReleaseHeld(minute(61)))
    assert goes_out(ledger, ops) == [("raised", alert)]


def test_what_waits_for_its_time_counts_from_when_it_got_worse_also_on_a_channel_that_is_off(ledger: Ledger) -> None:
    pager = ledger.channel(after_minutes=30.0)
    alert = ledger.raise_(ledger.host())
    ledger.commit(channel(pager, create=False, enabled=False, after_minutes=30.0, at=minute(1)))
    ledger.acknowledge(alert, minute(2))
    ledger.commit(WorsenAlert(alert, "It failed.", "This got worse. It failed.", minute(50)))
    ledger.commit(channel(pager, create=False, after_minutes=30.0, at=minute(60)))
    ledger.commit(ReleaseHeld(minute(79)))
    assert goes_out(ledger, pager) == []
    ledger.commit(ReleaseHeld(minute(80)))
    assert goes_out(ledger, pager) == [("raised", alert)]
