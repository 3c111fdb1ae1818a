"""Who is told of what: filters, silences, reminders, windows. Minutes count from noon."""

import json
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import HOUR
from rmactors.server.messages.alerts import ResolveAlert, WorsenAlert
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Stale
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.silences import DeleteSilence
from rmactors.server.state.delivery import Delivery
from rmactors.server.store.load_channels import load_channels, load_due
from rmactors.server.store.queries.alerts import timeline
from tests.store.ledger import MINUTE, NOON, OK, Ledger, audit, channel


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def daily_at(hour: int) -> str:
    return json.dumps({"cron": f"0 {hour} * * *", "timezone": "UTC", "duration_minutes": 10})


def release(ledger: Ledger, at: int) -> None:
    ledger.commit(ReleaseHeld(at))


# ---- every transition, to every channel that takes it


def test_every_transition_is_queued_in_order_in_its_own_transaction(ledger: Ledger) -> None:
    ops = ledger.channel()
    alert = ledger.raise_(ledger.host())
    assert set(ledger.woken.deliveries) == {ops}
    ledger.acknowledge(alert)
    ledger.resolve(alert)
    assert ledger.outbox() == [("raised", "queued"), ("acknowledged", "queued"), ("resolved", "queued")]
    assert ledger.rows("SELECT seq, pos FROM deliveries ORDER BY seq") == [(1, 1), (2, 2), (3, 3)]
    assert ledger.timeline(alert) == ["raised", "acknowledged", "resolved"]


def test_what_is_handed_over_is_what_would_be_read(ledger: Ledger) -> None:
    ops, other, host = ledger.channel(), ledger.channel(min_severity="critical"), ledger.host()
    handed: dict[str, list[Delivery]] = {ops: [], other: []}

    def note() -> None:
        assert ledger.woken.channels == set(), "nothing is left to be read"
        for channel_id, deliveries in ledger.woken.deliveries.items():
            handed[channel_id] += deliveries

    for severity in ("warning", "critical"):
        alert = ledger.raise_(host, severity, severity=severity)
        note()
        ledger.acknowledge(alert)
        note()
        ledger.resolve(alert)
        note()
    for channel_id, deliveries in handed.items():
        assert deliveries == load_due(ledger.connection, channel_id, 0, 100)
    assert [len(handed[channel_id]) for channel_id in (ops, other)] == [6, 3]


@pytest.mark.parametrize("group_by", ["host", "repository", "all"])
def test_what_is_grouped_is_read_for_its_place_may_change(ledger: Ledger, group_by: str) -> None:
    ops = ledger.channel(group_by=group_by, group_seconds=60.0)
    host = ledger.host()
    for subject in ("a", "b"):
        ledger.raise_(host, subject)
        assert (ledger.woken.channels, ledger.woken.deliveries) == ({ops}, {})


def test_a_notice_carries_all_that_it_tells(ledger: Ledger) -> None:
    ledger.channel()
    host = ledger.host("nas1")
    alert = ledger.raise_(host, message="It failed.")
    ledger.acknowledge(alert, minute(2), note="on it")
    raised, acknowledged = (json.loads(body) for (body,) in ledger.rows("SELECT body FROM deliveries ORDER BY seq"))
    assert raised == {
        "severity": "warning", "kind": "backup_failed", "subject": "s", "host_name": "nas1", "message": "It failed.",
        "raised_at": NOON, "occurred_at": NOON, "actor": None, "note": None,
    }  # fmt: skip
    assert acknowledged == {**raised, "occurred_at": minute(2), "actor": "anna", "note": "on it"}


def test_a_notice_about_a_schedule_carries_its_zone(ledger: Ledger) -> None:
    ledger.channel()
    host = ledger.host()
    ledger.raise_(host, ledger.schedule(host, timezone="Europe/Berlin"))
    assert json.loads(ledger.value("SELECT body FROM deliveries"))["zone"] == "Europe/Berlin"


def test_a_resolution_tells_why_it_is_over(ledger: Ledger) -> None:
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    ledger.resolve(alert, message="It is backed up again.")
    (body,) = ledger.rows("SELECT body FROM deliveries WHERE event = 'alert.resolved'")[0]
    assert json.loads(body)["message"] == "It is backed up again."
    assert json.loads(body)["actor"] == "rule"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ["raised", "acknowledged", "resolved"]),
        ({"min_severity": "warning"}, ["raised", "acknowledged", "resolved"]),
        ({"min_severity": "critical"}, []),
        ({"events": ("alert.raised",)}, ["raised"]),
        ({"events": ("alert.resolved",)}, ["resolved"]),
        ({"events": ()}, []),
        ({"host_tags": ("lab",)}, ["raised", "acknowledged", "resolved"]),
        ({"host_tags": ("prod",)}, []),
        ({"enabled": False}, []),
    ],
)
def test_a_channel_is_told_what_its_filter_takes(ledger: Ledger, changes: dict[str, Any], told: list[str]) -> None:
    ledger.channel(**changes)
    alert = ledger.raise_(ledger.host(tags='["lab", "nas"]'))
    ledger.acknowledge(alert)
    ledger.resolve(alert)
    assert [event for event, _ in ledger.outbox()] == told


def test_without_channels_the_timeline_is_all(ledger: Ledger) -> None:
    alert = ledger.raise_(ledger.host())
    assert ledger.timeline(alert) == ["raised"]
    assert ledger.outbox() == []


def test_each_channel_has_an_order_of_its_own(ledger: Ledger) -> None:
    first, second, host = ledger.channel(), ledger.channel(), ledger.host()
    for subject in "abc":
        ledger.raise_(host, subject)
    for channel_id in (first, second):
        assert ledger.rows("SELECT seq FROM deliveries WHERE channel_id = ? ORDER BY seq", channel_id) == [
            (1,),
            (2,),
            (3,),
        ]


# ---- getting worse


def worsen(ledger: Ledger, alert_id: str, at: int = NOON) -> Answer:
    return ledger.apply(WorsenAlert(alert_id, "It failed.", "This got worse. It failed.", at, "job"))


def test_what_gets_worse_is_told_once_more_and_nobody_looks_after_it_any_more(ledger: Ledger) -> None:
    ledger.channel()
    alert = ledger.raise_(ledger.host(), message="Partly.", known_partial=True)
    ledger.acknowledge(alert, note="on it")
    assert isinstance(worsen(ledger, alert, minute(3)), Committed)
    assert ledger.outbox() == [("raised", "queued"), ("acknowledged", "queued"), ("raised", "queued")]
    assert ledger.rows("SELECT seq, pos FROM deliveries ORDER BY seq") == [(1, 1), (2, 2), (3, 3)]
    assert ledger.timeline(alert) == ["raised", "acknowledged", "worsened"]
    row = ledger.row("SELECT * FROM alerts")
    assert (row["message"], row["occurrences"], row["last_seen_at"], row["job_id"]) == (
        "It failed.",
        2,
        minute(3),
        "job",
    )
    assert (row["acknowledged_at"], row["acknowledged_by"], row["acknowledged_note"]) == (None, None, None)
    assert (row["known_partial"], row["created_at"], row["resolved"]) == (0, NOON, 0)
    told = json.loads(ledger.value("SELECT body FROM deliveries WHERE seq = 3"))
    assert (told["message"], told["raised_at"], told["occurred_at"]) == ("This got worse. It failed.", NOON, minute(3))
    assert told["again"] is True
    ledger.acknowledge(alert, minute(4))  # and can be acknowledged again
    assert ledger.timeline(alert)[-1] == "acknowledged"


def test_what_is_resolved_cannot_get_worse(ledger: Ledger) -> None:
    alert = ledger.raise_(ledger.host())
    ledger.resolve(alert)
    assert isinstance(worsen(ledger, alert), Stale)
    assert isinstance(worsen(ledger, ids.new()), Stale)


def test_a_silence_holds_back_that_it_got_worse_and_the_end_is_told_all_the_same(ledger: Ledger) -> None:
    ledger.channel()
    told, resolved = ledger.raise_(ledger.host("a")), ledger.raise_(ledger.host("b"))
    ledger.acknowledge(told)
    ledger.silence(ends_at=minute(10))
    for alert in (told, resolved):
        worsen(ledger, alert, minute(5))
    ledger.resolve(resolved, minute(6))  # its raise was told before the silence
    assert [event for event, _ in ledger.outbox()] == ["raised", "raised", "acknowledged", "resolved"]
    ledger.commit(ReleaseHeld(minute(9)))
    ledger.commit(ReleaseHeld(minute(11)))
    ledger.commit(ReleaseHeld(minute(12)))
    assert [event for event, _ in ledger.outbox()] == ["raised", "raised", "acknowledged", "resolved", "raised"]
    assert ledger.timeline(told) == ["raised", "acknowledged", "worsened", "silenced", "unsilenced"]
    assert ledger.value("SELECT count(*) FROM held") == 0
    body = json.loads(ledger.value("SELECT body FROM deliveries ORDER BY seq DESC LIMIT 1"))
    assert (body["message"], body["again"]) == ("It failed.", True)


def test_what_a_silence_held_back_from_the_start_is_told_once_as_it_is_then(ledger: Ledger) -> None:
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    inside, after = ledger.raise_(ledger.host("a")), ledger.raise_(ledger.host("b"))
    ledger.acknowledge(inside, minute(1))  # else nothing of it would ever be told
    worsen(ledger, inside, minute(5))
    worsen(ledger, after, minute(11))  # the silence is over, and the tick that tells what it held has not come
    ledger.commit(ReleaseHeld(minute(12)))
    assert ledger.outbox() == [("raised", "queued"), ("raised", "queued")]
    assert ledger.timeline(inside) == ["raised", "silenced", "acknowledged", "worsened", "silenced", "unsilenced"]
    assert ledger.timeline(after) == ["raised", "silenced", "worsened"]
    bodies = [json.loads(body) for (body,) in ledger.rows("SELECT body FROM deliveries ORDER BY seq")]
    assert all("again" not in body for body in bodies)  # neither channel had heard of it


def test_reminders_begin_again_when_it_gets_worse(ledger: Ledger) -> None:
    ledger.channel(remind_hours=1.0)
    ledger.channel(remind_hours=1.0, events=("alert.reminder",))
    alert = ledger.raise_(ledger.host())
    ledger.acknowledge(alert)
    worsen(ledger, alert, minute(90))
    ledger.commit(QueueReminders(minute(100)))
    reminders = "SELECT count(*) FROM deliveries WHERE event = 'alert.reminder'"
    assert ledger.value(reminders) == 1  # for the channel that was not told that it got worse
    ledger.commit(QueueReminders(minute(151)))
    assert ledger.value(reminders) == 2


# ---- silences


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ({}, True),
        ({"host_id": "self"}, True),
        ({"host_id": "other"}, False),
        ({"kind": "backup_failed"}, True),
        ({"kind": "check_failed"}, False),
        ({"tag": "lab"}, True),
        ({"tag": "prod"}, False),
        ({"starts_at": minute(5)}, False),
        ({"ends_at": minute(1)}, False),  # over when the alert comes in minute 2
        ({"ends_at": None, "recurrence": daily_at(12)}, True),
        ({"ends_at": None, "recurrence": daily_at(13)}, False),
    ],
)  # fmt: skip
def test_what_a_silence_holds_back(ledger: Ledger, selector: dict[str, Any], held: bool) -> None:
    ledger.channel()
    host = ledger.host(tags='["lab"]')
    if selector.get("host_id") == "self":
        selector = {"host_id": host}
    ledger.silence(**selector)
    alert = ledger.raise_(host, at=minute(2))
    assert ledger.outbox() == ([] if held else [("raised", "queued")])
    assert ledger.timeline(alert) == (["raised", "silenced"] if held else ["raised"])


def test_what_is_still_open_when_the_silence_ends_is_told_once(ledger: Ledger) -> None:
    ledger.channel()
    host = ledger.host()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(host, at=minute(1))
    release(ledger, minute(9))
    assert ledger.outbox() == []
    release(ledger, minute(10))
    release(ledger, minute(11))
    assert ledger.outbox() == [("raised", "queued")]
    assert ledger.timeline(alert) == ["raised", "silenced", "unsilenced"]
    ledger.resolve(alert, minute(12))
    assert ledger.outbox() == [("raised", "queued"), ("resolved", "queued")]


def test_deleting_a_silence_releases_at_once(ledger: Ledger) -> None:
    ops = ledger.channel()
    silence = ledger.silence()
    ledger.raise_(ledger.host(), at=minute(1))
    ledger.commit(DeleteSilence(silence, minute(2), audit()))
    assert ledger.outbox() == [("raised", "queued")]
    assert set(ledger.woken.deliveries) == {ops}


@pytest.mark.parametrize("change", ["acknowledge", "resolve"])
def test_what_changes_after_the_silence_and_before_the_next_tick_is_told_from_the_beginning(
    ledger: Ledger, change: str
) -> None:
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    getattr(ledger, change)(alert, minute(10))
    release(ledger, minute(11))
    event = {"acknowledge": "acknowledged", "resolve": "resolved"}[change]
    assert ledger.outbox() == [("raised", "queued"), (event, "queued")]
    assert ledger.timeline(alert) == ["raised", "silenced", "unsilenced", event]
    assert [pos for (pos,) in ledger.rows("SELECT pos FROM deliveries ORDER BY seq")] == [3, 4]


def test_the_last_of_two_silences_releases(ledger: Ledger) -> None:
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    ledger.silence(ends_at=minute(20))
    ledger.raise_(ledger.host(), at=minute(1))
    release(ledger, minute(15))
    assert ledger.outbox() == []
    release(ledger, minute(20))
    assert ledger.outbox() == [("raised", "queued")]


def test_what_began_and_ended_inside_a_silence_is_in_the_timeline_alone(ledger: Ledger) -> None:
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    ledger.resolve(alert, minute(2))
    release(ledger, minute(10))
    assert ledger.outbox() == []
    assert ledger.timeline(alert) == ["raised", "silenced", "resolved"]


def test_what_was_acknowledged_inside_a_silence_is_not_raised_after_it(ledger: Ledger) -> None:
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    ledger.acknowledge(alert, minute(2))
    release(ledger, minute(10))
    ledger.resolve(alert, minute(11))
    assert ledger.outbox() == []


def test_a_channel_that_was_told_before_the_silence_is_told_the_end_inside_it(ledger: Ledger) -> None:
    ledger.channel()
    host = ledger.host()
    alert = ledger.raise_(host)
    ledger.silence(starts_at=minute(1))
    ledger.acknowledge(alert, minute(2))  # held back: nothing new but the end
    ledger.resolve(alert, minute(3))
    assert ledger.outbox() == [("raised", "queued"), ("resolved", "queued")]


def test_an_end_inside_a_silence_is_not_told_to_a_channel_that_never_heard_the_beginning(ledger: Ledger) -> None:
    host = ledger.host()
    alert = ledger.raise_(host)
    ledger.channel()  # made after the raise
    ledger.silence(starts_at=minute(1))
    ledger.resolve(alert, minute(3))
    assert ledger.outbox() == []


def test_a_silence_holds_back_what_the_filter_takes_and_nothing_else(ledger: Ledger) -> None:
    ledger.channel(min_severity="critical")
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    assert ledger.timeline(alert) == ["raised"]  # nothing was held back, so nothing says so
    release(ledger, minute(10))
    assert ledger.outbox() == []


def test_two_channels_are_released_with_one_word_in_the_timeline(ledger: Ledger) -> None:
    ledger.channel()
    ledger.channel()
    ledger.silence(ends_at=minute(10))
    alert = ledger.raise_(ledger.host(), at=minute(1))
    release(ledger, minute(10))
    assert ledger.outbox() == [("raised", "queued")] * 2
    assert ledger.timeline(alert) == ["raised", "silenced", "unsilenced"]


def test_a_channel_that_no_longer_takes_it_is_not_told_after_the_silence(ledger: Ledger) -> None:
    ops = ledger.channel()
    ledger.silence(ends_at=minute(10))
    ledger.raise_(ledger.host(), at=minute(1))
    ledger.commit(channel(ops, create=False, min_severity="critical"))
    release(ledger, minute(10))
    assert ledger.outbox() == []
    assert ledger.rows("SELECT * FROM held") == []


def test_a_recurring_silence_releases_between_its_windows(ledger: Ledger) -> None:
    ledger.channel()
    every_hour = json.dumps({"cron": "0 * * * *", "timezone": "Europe/Berlin", "duration_minutes": 20})
    ledger.silence(ends_at=None, recurrence=every_hour)
    host = ledger.host()
    ledger.raise_(host, "a", at=minute(5))
    ledger.raise_(host, "b", at=minute(25))
    assert ledger.outbox() == [("raised", "queued")]  # b, between two windows
    release(ledger, minute(19))
    assert len(ledger.outbox()) == 1
    release(ledger, minute(20))
    assert len(ledger.outbox()) == 2
    ledger.raise_(host, "c", at=minute(61))
    assert len(ledger.outbox()) == 2


# ---- reminders


def test_a_reminder_goes_out_every_so_many_hours_while_nobody_looks_after_it(ledger: Ledger) -> None:
    ledger.channel(remind_hours=1.5)
    alert = ledger.raise_(ledger.host())
    for at in (89, 90, 91, 179, 180, 181, 270):
        ledger.commit(QueueReminders(minute(at)))
        for (delivery_id,) in ledger.rows("SELECT id FROM deliveries WHERE state = 'queued'"):
            ledger.settle(delivery_id)
    assert [event for event, _ in ledger.outbox()] == ["raised", "reminder", "reminder", "reminder"]
    assert ledger.timeline(alert) == ["raised", "reminded", "reminded", "reminded"]
    assert ledger.rows("SELECT created_at FROM deliveries WHERE event = 'alert.reminder' ORDER BY seq") == [
        (minute(90),), (minute(180),), (minute(270),),
    ]  # fmt: skip


def test_a_channel_that_is_down_gathers_one_reminder_and_counts_on_from_the_last(ledger: Ledger) -> None:
    ops = ledger.channel(remind_hours=1)
    alert = ledger.raise_(ledger.host())
    for at in range(0, 12 * 60, 10):
        ledger.commit(QueueReminders(minute(at)))
    assert [event for event, _ in ledger.outbox(ops)] == ["raised", "reminder"]
    assert ledger.timeline(alert) == ["raised", "reminded"]
    for (delivery_id,) in ledger.rows("SELECT id FROM deliveries WHERE state = 'queued'"):
        ledger.settle(delivery_id)  # back at 11:55
    ledger.commit(QueueReminders(minute(11 * 60 + 59)))
    assert len(ledger.outbox(ops)) == 2
    ledger.commit(QueueReminders(minute(12 * 60)))
    assert len(ledger.outbox(ops)) == 3


@pytest.mark.parametrize("end", ["acknowledge", "resolve"])
def test_reminders_stop_when_somebody_looks_after_it_or_it_is_over(ledger: Ledger, end: str) -> None:
    ledger.channel(remind_hours=1)
    alert = ledger.raise_(ledger.host())
    ledger.commit(QueueReminders(minute(60)))
    getattr(ledger, end)(alert, minute(61))
    ledger.commit(QueueReminders(minute(1000)))
    assert [event for event, _ in ledger.outbox()].count("reminder") == 1


@pytest.mark.parametrize(
    "changes",
    [{}, {"remind_hours": 1.0, "events": ("alert.raised",)}, {"remind_hours": 1.0, "min_severity": "critical"},
     {"remind_hours": 1.0, "enabled": False}, {"remind_hours": 1.0, "host_tags": ("lab",)}],
)  # fmt: skip
def test_nobody_is_reminded_who_did_not_ask(ledger: Ledger, changes: dict[str, Any]) -> None:
    ledger.channel(**changes)
    ledger.raise_(ledger.host())
    ledger.commit(QueueReminders(NOON + 1000 * HOUR))
    assert "reminder" not in [event for event, _ in ledger.outbox()]


def test_a_silence_holds_back_reminders(ledger: Ledger) -> None:
    ledger.channel(remind_hours=1)
    ledger.raise_(ledger.host())
    ledger.silence(starts_at=minute(30), ends_at=minute(150))
    ledger.commit(QueueReminders(minute(60)))
    assert len(ledger.outbox()) == 1
    ledger.commit(QueueReminders(minute(150)))
    ledger.commit(QueueReminders(minute(151)))
    assert [event for event, _ in ledger.outbox()] == ["raised", "reminder"]


def test_what_is_held_back_is_not_reminded_of_and_counts_from_its_release(ledger: Ledger) -> None:
    ledger.channel(remind_hours=1)
    ledger.silence(ends_at=minute(90))
    ledger.raise_(ledger.host())
    ledger.commit(QueueReminders(minute(89)))
    ledger.commit(ReleaseHeld(minute(90)), QueueReminders(minute(90)))
    ledger.commit(QueueReminders(minute(149)))
    assert [event for event, _ in ledger.outbox()] == ["raised"]
    ledger.commit(QueueReminders(minute(150)))
    assert [event for event, _ in ledger.outbox()] == ["raised", "reminder"]


def test_a_server_that_was_away_reminds_once(ledger: Ledger) -> None:
    ledger.channel(remind_hours=1)
    ledger.raise_(ledger.host())
    ledger.commit(QueueReminders(minute(600)))
    ledger.commit(QueueReminders(minute(601)))
    assert [event for event, _ in ledger.outbox()] == ["raised", "reminder"]


# ---- windows


def test_the_first_of_a_host_goes_at_once_and_what_follows_waits_for_the_window(ledger: Ledger) -> None:
    ledger.channel(group_seconds=300)
    host, other = ledger.host("nas1"), ledger.host("nas2")
    ledger.raise_(host, "a", at=minute(0))
    ledger.raise_(host, "b", at=minute(1))
    ledger.raise_(host, "c", at=minute(4.9))
    ledger.raise_(other, "a", at=minute(2))
    ledger.raise_(host, "d", at=minute(5))  # a window of its own
    ledger.raise_(host, "e", at=minute(6))
    assert ledger.rows("SELECT due_at, grouped FROM deliveries ORDER BY seq") == [
        (minute(0), 0), (minute(5), 1), (minute(5), 1), (minute(2), 0), (minute(5), 0), (minute(10), 1),
    ]  # fmt: skip


def test_only_raises_are_grouped(ledger: Ledger) -> None:
    ledger.channel(group_seconds=300)
    host = ledger.host()
    first, second = ledger.raise_(host, "a"), ledger.raise_(host, "b")
    ledger.acknowledge(first)
    ledger.resolve(second)
    rows = ledger.rows("SELECT event, grouped FROM deliveries ORDER BY seq")
    assert rows == [("alert.raised", 0), ("alert.raised", 1), ("alert.acknowledged", 0), ("alert.resolved", 0)]


def test_what_was_tried_once_is_joined_by_nothing_after_a_restart(ledger: Ledger) -> None:
    ops, host = ledger.channel(group_seconds=300), ledger.host()
    for subject in "abc":
        ledger.raise_(host, subject)
    _, second, third = (id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    ledger.settle(second, Attempt("retry", 503, 1.0, "later"), due_at=minute(9))
    loaded = {item.id: item for item in load_due(ledger.connection, ops, 0, 10)}
    assert (loaded[second].grouped, loaded[third].grouped) == (False, True)


def test_a_window_belongs_to_one_channel(ledger: Ledger) -> None:
    slow, quick, host = ledger.channel(group_seconds=300), ledger.channel(), ledger.host()
    ledger.raise_(host, "a")
    ledger.raise_(host, "b")
    grouped = dict(ledger.rows("SELECT channel_id, sum(grouped) FROM deliveries GROUP BY channel_id"))
    assert grouped == {slow: 1, quick: 0}


# ---- channels come, change and go


def test_disabling_a_channel_ends_what_it_has_queued_and_says_so(ledger: Ledger) -> None:
    ops = ledger.channel(group_seconds=300)
    host = ledger.host()
    done, waiting = ledger.raise_(host, "a"), ledger.raise_(host, "b")
    (first,) = ledger.rows("SELECT id FROM deliveries WHERE alert_id = ?", done)[0]
    ledger.settle(first)
    ledger.silence(starts_at=minute(1))
    ledger.raise_(host, "c", at=minute(2))
    ledger.commit(channel(ops, create=False, enabled=False, queued="drop", at=minute(3)))
    assert ledger.outbox() == [("raised", "delivered"), ("raised", "dead")]
    assert ledger.rows("SELECT last_error FROM deliveries WHERE alert_id = ?", waiting) == [("channel disabled",)]
    logged = ledger.rows("SELECT alert_id, ok, dead, error FROM notification_log ORDER BY n")
    assert logged[-1] == (waiting, 0, 1, "channel disabled")
    # Enabling it again starts fresh: nothing held, no window, no queue.
    ledger.commit(channel(ops, create=False, group_seconds=300.0, at=minute(4)))
    release(ledger, NOON + 2 * HOUR)
    assert len(ledger.outbox()) == 2
    ledger.raise_(host, "d", at=NOON + 2 * HOUR)
    assert ledger.rows("SELECT grouped FROM deliveries ORDER BY seq DESC LIMIT 1") == [(0,)]


@pytest.mark.parametrize(
    ("result", "delivery", "channel_row"),
    [
        (OK, ("delivered", 1, None, None, minute(2)), (minute(2), None, None)),
        # A mail server took it for some recipients: delivered, and the message says for whom it is not.
        (Attempt("delivered", 250, 1.0, "no such user"), ("delivered", 1, "no such user", None, minute(2)),
         (minute(2), None, None)),
        (Attempt("retry", 503, 1.0, "later", recipients_left=("a@b",)), ("queued", 1, "later", '["a@b"]', None),
         (None, "later", minute(2))),
        # It took it for others: the channel works, and what is wrong with the rest is said.
        (Attempt("retry", 452, 1.0, "full", recipients_left=("a@b",), others_have_it=True),
         ("queued", 1, "full", '["a@b"]', None), (minute(2), "full", None)),
        (Attempt("dead", 400, 1.0, "no"), ("dead", 1, "no", None, minute(2)), (None, "no", minute(2))),
    ],
)  # fmt: skip
def test_each_end_of_an_attempt_changes_its_delivery_and_the_health_of_its_channel(
    ledger: Ledger, result: Attempt, delivery: tuple[Any, ...], channel_row: tuple[Any, ...]
) -> None:
    ledger.channel()
    ledger.raise_(ledger.host())
    ledger.settle(ledger.value("SELECT id FROM deliveries"), result, minute(2))
    assert ledger.rows("SELECT state, attempts, last_error, recipients_left, finished_at FROM deliveries") == [delivery]
    assert ledger.rows("SELECT last_fired_at, last_error, failing_since FROM channels") == [channel_row]


def test_what_arrived_while_its_channel_was_being_disabled_has_arrived(ledger: Ledger) -> None:
    ops, host = ledger.channel(), ledger.host()
    alert = ledger.raise_(host)
    ledger.resolve(alert)
    other = ledger.raise_(host, "other")
    raised, resolved, _ = (id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    ledger.commit(channel(ops, create=False, enabled=False, queued="drop", at=minute(1)))
    carried = ((raised, "superseded"),)
    assert isinstance(ledger.settle(resolved, OK, minute(2), alert_id=alert, carried=carried), Committed)
    assert ledger.outbox() == [("raised", "superseded"), ("resolved", "delivered"), ("raised", "dead")]
    assert ledger.value("SELECT last_fired_at FROM channels") == minute(2)
    # What did not arrive stays as dead as it was, and so does what is said twice.
    (never,) = ledger.rows("SELECT id FROM deliveries WHERE alert_id = ?", other)[0]
    for result in (Attempt("retry", 503, 1.0, "later"), Attempt("dead", 400, 1.0, "no")):
        assert isinstance(ledger.settle(never, result, minute(2)), Duplicate)
    assert isinstance(ledger.settle(resolved, OK, minute(2)), Duplicate)
    assert ledger.rows("SELECT last_error FROM deliveries WHERE alert_id = ?", other) == [("channel disabled",)]


def test_saving_a_channel_lets_what_was_refused_before_be_tried_at_once(ledger: Ledger) -> None:
    ops, host = ledger.channel(group_seconds=600), ledger.host()
    ledger.raise_(host, "a")
    ledger.raise_(host, "b")  # waits for its window
    tried, window = (id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq"))
    ledger.settle(tried, Attempt("retry", 503, 1.0, "later"), due_at=NOON + HOUR)
    assert [facts.not_before for facts in load_channels(ledger.connection)] == [NOON + HOUR]
    ledger.commit(channel(ops, create=False, group_seconds=600.0, at=minute(1)))
    due = dict(ledger.rows("SELECT id, due_at FROM deliveries"))
    assert due == {tried: minute(1), window: minute(10)}
    assert [facts.not_before for facts in load_channels(ledger.connection)] == [minute(1)]
    ledger.settle(tried)
    assert [facts.not_before for facts in load_channels(ledger.connection)] == [None]


def test_deleting_a_host_tells_the_end_of_its_alerts(ledger: Ledger) -> None:
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    ledger.resolve(alert)
    assert ledger.value("SELECT resolved_by FROM alerts") == "rule"
    assert [event for event, _ in ledger.outbox()] == ["raised", "resolved"]


def test_an_alert_removed_by_retention_leaves_its_deliveries_alone(ledger: Ledger) -> None:
    ledger.channel()
    alert = ledger.raise_(ledger.host())
    ledger.resolve(alert)
    (raised, _), (resolved, _) = ledger.rows("SELECT id, seq FROM deliveries ORDER BY seq")
    ledger.connection.execute("DELETE FROM alerts WHERE id = ?", (alert,))
    ledger.settle(resolved, carried=((raised, "superseded"),))
    assert ledger.outbox() == [("raised", "superseded"), ("resolved", "delivered")]
    assert ledger.value("SELECT count(*) FROM notification_log") == 1


def test_ids_are_never_an_order(ledger: Ledger) -> None:
    """Numbers are: however ids sort, what was queued first is first."""
    ledger.channel()
    host = ledger.host()
    made = [ledger.raise_(host, f"s{n}") for n in range(50)]
    assert [alert for (alert,) in ledger.rows("SELECT alert_id FROM deliveries ORDER BY seq")] == made


def test_a_timeline_says_why_the_rules_did_it(ledger: Ledger) -> None:
    alert = ledger.raise_(ledger.host(), reason=Reason.FAILED)
    ledger.commit(WorsenAlert(alert, "worse", "worse", NOON + 1, reason=Reason.GOT_WORSE))
    ledger.acknowledge(alert, NOON + 2)
    ledger.commit(ResolveAlert(alert, NOON + 3, "rule", None, reason=Reason.RECOVERED))
    assert [(entry.event, entry.reason) for entry in timeline(ledger.connection, alert)] == [
        ("raised", "failed"), ("worsened", "got_worse"), ("acknowledged", None), ("resolved", "recovered"),
    ]  # fmt: skip
