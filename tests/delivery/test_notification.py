"""From what the outbox holds to what a channel is given."""

import json

from rmactors.common import clock
from rmactors.server.actors.delivery.notification import of_batch
from rmactors.server.actors.delivery.queue import Batch
from rmactors.server.messages.notifications import GroupMember
from rmactors.server.state.delivery import Delivery

NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")


def delivery(seq: int, event: str = "alert.raised", alert: str = "a", **changes: object) -> Delivery:
    body = {
        "severity": "warning", "kind": "backup_failed", "subject": "s", "host_name": "nas1",
        "message": f"message {seq}", "raised_at": NOON, "occurred_at": NOON + seq * clock.MINUTE, "actor": None,
        "note": None, **changes,
    }  # fmt: skip
    return Delivery(f"d{seq}", alert, "host", event, seq, json.dumps(body), 0, NOON, NOON, False)


def test_a_raise_is_told_as_it_was() -> None:
    notification = of_batch(Batch(delivery(1)), "https://backup.example.org")
    assert (notification.delivery_id, notification.event, notification.alert_id) == ("d1", "alert.raised", "a")
    assert (notification.severity, notification.kind, notification.subject) == ("warning", "backup_failed", "s")
    assert (notification.host_id, notification.host_name, notification.message) == ("host", "nas1", "message 1")
    assert (notification.raised_at, notification.occurred_at) == (NOON, NOON + clock.MINUTE)
    assert notification.link == "https://backup.example.org/alerts/a"
    assert (notification.actor, notification.note, notification.group) == (None, None, ())


def test_a_raise_that_its_channel_waited_for_says_since_when_nobody_looks_after_it() -> None:
    late = delivery(90, message="It failed.", open_since=NOON, zone="Europe/Berlin")
    assert of_batch(Batch(late), "http://x").message == (
        "It failed.\nNobody has acknowledged it since Monday 2026-11-23 13:00 CET."
    )


def test_an_acknowledgement_names_who_and_why() -> None:
    notification = of_batch(Batch(delivery(2, "alert.acknowledged", actor="anna", note="on it")), "http://x")
    assert (notification.event, notification.actor, notification.note) == ("alert.acknowledged", "anna", "on it")


def test_a_resolution_that_stands_for_its_raise_tells_both() -> None:
    raised = delivery(1, message="Backup of Nightly failed: wrong password. No earlier good one is known.")
    resolved = delivery(7, "alert.resolved", actor="rule", message="Nightly is backed up again.")
    notification = of_batch(Batch(resolved, ((raised, "superseded"),)), "http://x")
    assert notification.event == "alert.resolved"
    assert notification.delivery_id == "d7"
    assert notification.message == (
        "Raised Monday 2026-11-23 12:01 UTC, resolved Monday 2026-11-23 12:07 UTC:"
        " Backup of Nightly failed: wrong password. No earlier good one is known. Nightly is backed up again."
    )


def test_times_of_an_alert_about_a_schedule_are_in_its_zone() -> None:
    raised = delivery(1, message="It failed.", zone="Europe/Berlin")
    resolved = delivery(2, "alert.resolved", actor="rule", message="It is well again.", zone="Europe/Berlin")
    notification = of_batch(Batch(resolved, ((raised, "superseded"),)), "http://x")
    assert notification.message == (
        "Raised Monday 2026-11-23 13:01 CET, resolved Monday 2026-11-23 13:02 CET: It failed. It is well again."
    )


def test_a_resolution_that_stands_for_a_raise_that_got_worse_tells_it_as_it_was_then() -> None:
    raised, acknowledged = delivery(1, message="Partly."), delivery(2, "alert.acknowledged", message="Partly.")
    worse = delivery(3, message="This got worse. It failed.", again=True)
    resolved = delivery(7, "alert.resolved", actor="rule", message="It is well again.")
    carried = tuple((before, "superseded") for before in (raised, acknowledged, worse))
    notification = of_batch(Batch(resolved, carried), "http://x")  # type: ignore[arg-type]
    assert notification.message == (
        "Raised Monday 2026-11-23 12:01 UTC, resolved Monday 2026-11-23 12:07 UTC:"
        " This got worse. It failed. It is well again."
    )


def test_a_raise_says_whether_its_channel_was_told_one_before() -> None:
    assert not of_batch(Batch(delivery(1)), "http://x").again
    assert of_batch(Batch(delivery(3, again=True)), "http://x").again


def test_an_acknowledgement_that_stands_for_a_reminder_tells_what_it_always_tells() -> None:
    reminder, acknowledged = delivery(1, "alert.reminder"), delivery(2, "alert.acknowledged", message="It failed.")
    assert of_batch(Batch(acknowledged, ((reminder, "superseded"),)), "http://x").message == "It failed."


def test_a_resolution_by_hand_says_the_message_once() -> None:
    raised, resolved = (
        delivery(1, message="It failed."),
        delivery(2, "alert.resolved", actor="anna", message="It failed."),
    )
    notification = of_batch(Batch(resolved, ((raised, "superseded"),)), "http://x")
    assert (
        notification.message == "Raised Monday 2026-11-23 12:01 UTC, resolved Monday 2026-11-23 12:02 UTC: It failed."
    )


def test_a_group_names_each_alert_and_takes_the_highest_severity() -> None:
    second = delivery(2, alert="b", kind="check_failed", severity="critical", subject="plan:x", message="Damaged.")
    notification = of_batch(Batch(delivery(1), ((second, "delivered"),), group=True), "http://x")
    assert (notification.event, notification.alert_id, notification.kind, notification.severity) == (
        "alert.raised",
        "a",
        "multiple",
        "critical",
    )
    assert notification.group == (
        GroupMember("a", "warning", "backup_failed", "s", "message 1"),
        GroupMember("b", "critical", "check_failed", "plan:x", "Damaged."),
    )
    assert (
        notification.message == "2 alerts:\n- [warning] backup_failed: message 1\n- [critical] check_failed: Damaged."
    )


def test_no_line_of_an_alert_stands_where_another_alert_of_the_group_would() -> None:
    second = delivery(2, alert="b", message="Damaged.\n- [critical] forged: x\r\n\nend")
    notification = of_batch(Batch(delivery(1), ((second, "delivered"),), group=True), "http://x")
    assert notification.message.splitlines()[1:] == [
        "- [warning] backup_failed: message 1", "- [warning] backup_failed: Damaged.",
        "  - [critical] forged: x", "  ", "  end",
    ]  # fmt: skip


# ---- the link with which an alert is acted on


def acting_link(alert_id: str, at: int) -> str:
    return f"http://x/act/{alert_id}-{(at - NOON) // clock.MINUTE}"


def test_what_asks_somebody_to_act_has_a_link_to_do_so_that_is_the_same_each_time_it_is_sent() -> None:
    for event in ("alert.raised", "alert.reminder"):
        batch = Batch(delivery(3, event))
        first, again = of_batch(batch, "http://x", acting_link), of_batch(batch, "http://x", acting_link)
        assert first.act_link == again.act_link == "http://x/act/a-3"


def test_what_tells_that_somebody_has_acted_has_none() -> None:
    raised = delivery(1)
    for event in ("alert.acknowledged", "alert.resolved"):
        assert of_batch(Batch(delivery(2, event)), "http://x", acting_link).act_link == ""
        both = Batch(delivery(2, event), ((raised, "superseded"),))
        assert of_batch(both, "http://x", acting_link).act_link == ""


def test_a_group_has_none_for_one_link_is_about_one_alert() -> None:
    group = Batch(delivery(1), ((delivery(2, alert="b"), "delivered"),), group=True)
    assert of_batch(group, "http://x", acting_link).act_link == ""


def test_a_server_that_gives_out_no_links_sends_none() -> None:
    assert of_batch(Batch(delivery(1)), "http://x").act_link == ""
