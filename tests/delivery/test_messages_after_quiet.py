"""What the one message says that goes out when quiet hours are over."""

from dataclasses import replace

from rmactors.server.actors.delivery.after_quiet import LISTED, NAMED
from rmactors.server.actors.delivery.batch import Batch, End
from rmactors.server.actors.delivery.notification import of_batch
from rmactors.server.messages.notifications import GroupMember, Notification
from rmactors.server.state.delivery import Delivery
from tests.delivery.test_notification import delivery

RAISED, ACKNOWLEDGED, RESOLVED = "alert.raised", "alert.acknowledged", "alert.resolved"


def told(main: Delivery, *carried: Delivery) -> Notification:
    ends: tuple[tuple[Delivery, End], ...] = tuple((each, "delivered") for each in carried)
    return of_batch(Batch(main, ends, group=True, night=True), "http://x")


def test_it_says_what_is_open_and_what_came_and_went() -> None:
    notification = told(
        delivery(2, alert="open", message="It failed."),
        delivery(1, alert="over", message="Too old.", severity="critical"),
        delivery(5, RESOLVED, alert="over", message="Fine again.", severity="critical", actor="rule"),
        replace(delivery(6, RESOLVED, alert="before", message="Back.", host_name="web7", actor="rule"), host_id="w"),
    )
    assert (notification.event, notification.kind, notification.severity) == (RAISED, "multiple", "warning")
    assert (notification.delivery_id, notification.alert_id, notification.host_name) == ("d2", "open", "2 hosts")
    assert notification.message == (
        "After the quiet hours 1 alert is open, 2 over:\n"
        "- [warning] nas1: backup_failed: It failed.\n"
        "- [critical] nas1: backup_failed: (raised Monday 2026-11-23 12:00 UTC, resolved Monday 2026-11-23 12:05 UTC)"
        " Too old.\n"
        "- [warning] web7: backup_failed: (raised Monday 2026-11-23 12:00 UTC, resolved Monday 2026-11-23 12:06 UTC)"
        " Back."
    )
    assert [(each.alert_id, each.state) for each in notification.group] == [
        ("open", "open"), ("over", "resolved"), ("before", "resolved"),
    ]  # fmt: skip
    assert (notification.group_count, notification.still_open) == (3, 1)


def test_where_all_is_over_it_is_a_resolution() -> None:
    notification = told(
        delivery(2, RESOLVED, alert="a", message="Fine.", actor="rule"),
        delivery(1, alert="a", message="It failed."),
        delivery(3, RESOLVED, alert="b", message="Fine.", actor="anna"),
    )
    assert (notification.event, notification.actor, notification.host_name) == (RESOLVED, "rule, anna", "nas1")
    assert notification.message.startswith("Nothing of the quiet hours is open, 2 alerts are over:\n")
    assert notification.still_open == 0


def test_where_all_that_is_open_is_acknowledged_it_is_an_acknowledgement() -> None:
    notification = told(
        delivery(2, ACKNOWLEDGED, alert="a", message="It failed.", actor="anna"),
        delivery(1, alert="a", message="It failed."),
    )
    assert (notification.event, notification.actor) == (ACKNOWLEDGED, "anna")
    assert notification.message == (
        "After the quiet hours 1 alert is open:\n- [warning] nas1: backup_failed: (acknowledged) It failed."
    )


def test_one_that_got_worse_after_it_was_acknowledged_is_open_as_it_is_now() -> None:
    notification = told(
        delivery(3, alert="a", message="This got worse.", again=True),
        delivery(1, alert="a", message="Partly."),
        delivery(2, ACKNOWLEDGED, alert="a", message="Partly.", actor="anna"),
        delivery(4, ACKNOWLEDGED, alert="b", message="Known.", actor="anna"),
    )
    assert (notification.event, notification.again) == (RAISED, False)
    assert [(each.message, each.state) for each in notification.group] == [
        ("This got worse.", "open"), ("(acknowledged) Known.", "acknowledged"),
    ]  # fmt: skip


def test_one_whose_raise_was_told_before_is_over_with_what_was_said_then() -> None:
    notification = told(
        delivery(1, ACKNOWLEDGED, alert="a", message="It failed.", actor="anna"),
        delivery(2, RESOLVED, alert="a", message="Fine again.", actor="rule"),
        delivery(3, alert="b"),
    )
    assert notification.group[0].message == (
        "(raised Monday 2026-11-23 12:00 UTC, resolved Monday 2026-11-23 12:02 UTC) Fine again."
    )


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    first, *rest = (delivery(n, alert=f"a{n}") for n in range(LISTED + 5))
    notification = told(first, *rest)
    lines = notification.message.split("\n")
    assert lines[0] == f"After the quiet hours {LISTED + 5} alerts are open:"
    assert (len(lines), lines[-1]) == (1 + NAMED + 1, f"and {LISTED + 5 - NAMED} more")
    assert (len(notification.group), notification.group_count) == (LISTED, LISTED + 5)


def test_what_a_host_says_stays_on_its_line() -> None:
    notification = told(delivery(1, message="a\n- [critical] b"), delivery(2, alert="b"))
    assert len(notification.message.split("\n")) == 3


def test_a_member_is_whole() -> None:
    notification = told(delivery(1), delivery(2, alert="b"))
    assert notification.group[0] == GroupMember(
        "a", "warning", "backup_failed", "s", "message 1", "host", "nas1", "open"
    )
