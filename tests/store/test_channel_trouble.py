"""What is read of channels with trouble, whom an alert about one is told, and what ends it. Minutes count from noon."""

import json
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import HOUR
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.answers import Committed, Duplicate, Refused, Stale
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.messages.channels import DeleteChannel, DismissAll, DismissDelivery, RetryDelivery
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders
from rmactors.server.state.channel_trouble import ChannelTrouble, GivenUp
from rmactors.server.store.channel_trouble import load_channel_trouble
from tests.store.ledger import MINUTE, NOON, OK, Ledger, audit, channel

LATER = Attempt("retry", 503, 1.0, "later")
GONE = Attempt("dead", 410, 1.0, "gone")


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def trouble(ledger: Ledger) -> list[ChannelTrouble]:
    return load_channel_trouble(ledger.connection)


def queued(ledger: Ledger, channel_id: str) -> list[str]:
    rows = ledger.rows("SELECT id FROM deliveries WHERE channel_id = ? AND state = 'queued' ORDER BY seq", channel_id)
    return [id for (id,) in rows]


def told(ledger: Ledger, alert_id: str) -> list[tuple[str, str]]:
    """(channel, event) of what is queued about an alert."""
    return ledger.rows(
        "SELECT channels.name, deliveries.event FROM deliveries JOIN channels ON channels.id = channel_id"
        " WHERE alert_id = ? ORDER BY channels.name, seq",
        alert_id,
    )


def raise_about(ledger: Ledger, channel_id: str, at: int = NOON) -> str:
    alert_id = ids.new()
    ledger.commit(RaiseAlert(alert_id, "", "channel_failing", f"channel:{channel_id}", "warning", "it fails", at))
    return alert_id


# ---- what is read


def test_a_channel_without_trouble_is_not_looked_at(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    assert trouble(ledger) == []
    ledger.settle(queued(ledger, ops)[0], OK)
    assert trouble(ledger) == []


def test_a_channel_fails_while_something_is_there_to_try(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    [only] = queued(ledger, ops)
    ledger.settle(only, LATER, minute(1))
    assert trouble(ledger) == [ChannelTrouble(ops, "ops", True, True, minute(1), "later")]
    ledger.settle(only, GONE, minute(2))
    assert trouble(ledger) == [ChannelTrouble(ops, "ops", True, True, None, "gone", GivenUp(1, minute(2), "gone"))]
    ledger.settle(only, OK, minute(3), attempt=9)
    assert trouble(ledger) == []


def test_quiet_hours_are_read_where_all_that_is_queued_waits_for_their_end(ledger: Ledger) -> None:
    hours = {"timezone": "UTC", "from": "22:00", "to": "07:00", "days": []}
    ops, host = ledger.channel(quiet_hours=json.dumps(hours)), ledger.host()
    ledger.raise_(host)
    [first] = queued(ledger, ops)
    ledger.settle(first, LATER)
    [found] = trouble(ledger)
    assert found.quiet == QuietHours.from_json(json.dumps(hours))
    ledger.raise_(host, kind="check_failed", severity="critical")
    [found] = trouble(ledger)
    assert found.quiet is None


def test_what_was_dropped_or_dismissed_or_tells_of_a_failing_channel_is_no_trouble(ledger: Ledger) -> None:
    ops, other, host = ledger.channel(), ledger.channel(name="other"), ledger.host()
    about_other = raise_about(ledger, other)
    for n in range(3):
        ledger.raise_(host, f"s{n}")
    tells, first, second, third = queued(ledger, ops)
    assert ledger.value("SELECT alert_id FROM deliveries WHERE id = ?", tells) == about_other
    for n, each in enumerate((tells, first, second)):
        ledger.settle(each, GONE, minute(n))
    ledger.commit(DismissDelivery(first, minute(5), audit("delivery.dismiss", first)))
    ledger.commit(channel(ops, create=False, enabled=False, queued="drop", at=minute(6)))
    assert [each.id for each in trouble(ledger)] == [other], "for its alert alone"
    ledger.commit(channel(ops, create=False, at=minute(7)))
    assert trouble(ledger)[0].given_up == GivenUp(1, minute(2), "gone"), "the one that nobody decided about"
    assert ledger.value("SELECT state FROM deliveries WHERE id = ?", third) == "dead"


def test_a_message_about_a_failing_channel_is_no_trouble_either_when_its_alert_is_gone(
    ledger: Ledger,
) -> None:
    ops, other = ledger.channel(), ledger.channel(name="other")
    alert = raise_about(ledger, other)
    ledger.settle(queued(ledger, ops)[0], GONE)
    ledger.resolve(alert)
    ledger.settle(queued(ledger, ops)[0], OK)
    ledger.connection.execute("DELETE FROM alerts")
    assert trouble(ledger) == []


@pytest.mark.parametrize("group_by", ["host", "repository", "all"])
def test_it_is_told_as_well_where_alerts_go_out_together(ledger: Ledger, group_by: str) -> None:
    ops = ledger.channel(name="ops")
    ledger.channel(name="other", group_seconds=60.0, group_by=group_by)
    alert = raise_about(ledger, ops)
    assert told(ledger, alert) == [("other", "alert.raised")]


def test_an_open_alert_is_read_with_its_channel_also_if_that_is_gone(ledger: Ledger) -> None:
    ops = ledger.channel()
    alert = raise_about(ledger, ops)
    assert trouble(ledger) == [ChannelTrouble(ops, "ops", True, True, alert_id=alert, said="it fails")]
    ledger.commit(DeleteChannel(ops, minute(1), audit()))
    assert trouble(ledger) == [ChannelTrouble(ops, "ops", False, False, alert_id=alert, said="it fails")]
    ledger.resolve(alert, minute(2))
    assert trouble(ledger) == []


def test_when_an_operator_resolved_it_is_read_while_there_is_trouble(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    ledger.settle(queued(ledger, ops)[0], LATER, minute(1))
    ledger.resolve(raise_about(ledger, ops, minute(11)), minute(12))
    assert trouble(ledger)[0].resolved_at is None, "that was the rules"
    ledger.resolve(raise_about(ledger, ops, minute(13)), minute(14), by="anna")
    ledger.resolve(raise_about(ledger, ops, minute(15)), minute(16))
    assert trouble(ledger)[0].resolved_at == minute(14)


def test_a_decision_on_trouble_that_is_not_so_any_more_is_not_written(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    [only] = queued(ledger, ops)
    ledger.settle(only, LATER, minute(1))
    assert isinstance(ledger.apply(ExpectChannel(ops, True, True, minute(1), None)), Committed)
    ledger.settle(only, OK, minute(2))
    assert isinstance(ledger.apply(ExpectChannel(ops, True, True, minute(1), None)), Stale)
    assert isinstance(ledger.apply(ExpectChannel(ops, True, True, None, None)), Committed)
    ledger.commit(DeleteChannel(ops, minute(3), audit()))
    assert isinstance(ledger.apply(ExpectChannel(ops, True, True, None, None)), Stale)
    assert isinstance(ledger.apply(ExpectChannel(ops, False, False, None, None)), Committed)
    refused = ledger.apply(RaiseAlert(ids.new(), "", "channel_failing", f"channel:{ops}", "warning", "x", NOON))
    assert refused == Refused("not_found", "the channel was deleted")


# ---- whom it is told


def test_every_other_enabled_channel_is_told_whatever_hosts_it_is_for(ledger: Ledger) -> None:
    ops = ledger.channel(name="ops")
    ledger.channel(name="other", host_tags=("prod",))
    ledger.channel(name="off", enabled=False)
    ledger.channel(name="only critical", min_severity="critical")
    alert = raise_about(ledger, ops)
    ledger.acknowledge(alert)
    ledger.resolve(alert)
    assert told(ledger, alert) == [
        ("other", "alert.raised"), ("other", "alert.acknowledged"), ("other", "alert.resolved"),
    ]  # fmt: skip
    assert ledger.rows("SELECT DISTINCT host_id FROM deliveries") == [("",)]
    assert ledger.timeline(alert) == ["raised", "acknowledged", "resolved"]


def test_the_failing_channel_is_not_reminded_of_itself_either(ledger: Ledger) -> None:
    ops = ledger.channel(name="ops", remind_hours=1)
    ledger.channel(name="other", remind_hours=1)
    alert = raise_about(ledger, ops)
    ledger.commit(QueueReminders(NOON + HOUR))
    assert told(ledger, alert) == [("other", "alert.raised"), ("other", "alert.reminder")]


@pytest.mark.parametrize(
    ("selector", "held"),
    [({"kind": "channel_failing"}, True), ({}, True), ({"kind": "backup_failed"}, False), ({"tag": "prod"}, False)],
)
def test_a_silence_by_kind_holds_it_back(ledger: Ledger, selector: dict[str, Any], held: bool) -> None:
    ops = ledger.channel(name="ops")
    ledger.channel(name="other")
    ledger.silence(**selector)
    alert = raise_about(ledger, ops, minute(1))
    assert told(ledger, alert) == ([] if held else [("other", "alert.raised")])


def test_there_is_one_open_alert_a_channel(ledger: Ledger) -> None:
    ops = ledger.channel()
    raise_about(ledger, ops)
    again = RaiseAlert(ids.new(), "", "channel_failing", f"channel:{ops}", "warning", "again", NOON)
    assert isinstance(ledger.apply(again), Stale)


# ---- what is dead and not wanted any more


def test_what_is_dismissed_stays_dead_and_can_be_sent_again(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.raise_(ledger.host())
    [only] = queued(ledger, ops)
    dismiss = DismissDelivery(only, minute(2), audit("delivery.dismiss", only))
    assert isinstance(ledger.apply(dismiss), Refused)
    ledger.settle(only, GONE, minute(1))
    assert isinstance(ledger.apply(dismiss), Committed)
    assert ledger.woken.topics >= {"channels", "alerts"}
    assert ledger.rows("SELECT state, dismissed FROM deliveries") == [("dead", 1)]
    assert ledger.rows("SELECT failing_since, last_error FROM channels") == [(None, None)], "nothing is left to try"
    assert isinstance(ledger.apply(dismiss), Duplicate)
    assert ledger.apply(DismissDelivery("x", NOON, audit())) == Refused("not_found", "there is no such delivery")
    ledger.commit(RetryDelivery(only, minute(3), audit("delivery.retry", only)))
    ledger.settle(only, GONE, minute(4))
    assert ledger.rows("SELECT state, dismissed FROM deliveries") == [("dead", 0)]


def test_all_that_is_dead_of_one_channel_is_dismissed_at_once(ledger: Ledger) -> None:
    ops, other, host = ledger.channel(), ledger.channel(name="other"), ledger.host()
    for n in range(3):
        ledger.raise_(host, f"s{n}")
    for each in queued(ledger, ops)[:2] + queued(ledger, other)[:1]:
        ledger.settle(each, GONE, minute(1))
    ledger.commit(DismissAll(ops, minute(2), audit("channel.dismiss", ops)))
    assert [each.id for each in trouble(ledger)] == [ops, other]
    assert trouble(ledger)[0].given_up is None, "but it is failing still: one is queued, and the last one was refused"
    assert ledger.apply(DismissAll("x", NOON, audit())) == Refused("not_found", "there is no such channel")
