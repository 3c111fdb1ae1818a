"""What is said of a group over hosts."""

from dataclasses import replace

from rmactors.common import clock
from rmactors.server.actors.delivery.batch import Batch
from rmactors.server.actors.delivery.notification import of_batch as told_alone
from rmactors.server.messages.notifications import GroupMember, Notification
from rmactors.server.state.delivery import NONE_OPEN, OpenAlerts
from tests.delivery.test_notification import NOON, delivery


def of_batch(batch: Batch, base_url: str, still_open: OpenAlerts = NONE_OPEN) -> Notification:
    return told_alone(batch, base_url, still_open=still_open)


def of_hosts(number: int, event: str = "alert.raised", **changes: object) -> Batch:
    """A group of so many alerts, each of a host of its own."""
    first, *rest = (
        replace(
            delivery(n, event, f"a{n}", **{"host_name": f"nas{n}", **changes}),
            host_id=f"h{n}",
            group_key="K",
            grouped=True,
        )
        for n in range(1, number + 1)
    )
    return Batch(first, tuple((each, "delivered") for each in rest), group=True)


def test_a_group_over_hosts_names_the_repository_the_number_and_the_first_ten() -> None:
    told = of_batch(of_hosts(39, repository="rest:https://srv.lan:8000"), "http://x")
    lines = told.message.splitlines()
    assert lines[0] == "39 alerts of 39 hosts (repository rest:https://srv.lan:8000):"
    assert lines[1] == "- [warning] nas1: backup_failed: message 1"
    assert lines[10] == "- [warning] nas10: backup_failed: message 10"
    assert lines[11:] == ["and 29 more"]
    assert (told.event, told.kind, told.alert_id, told.host_id, told.host_name) == (
        "alert.raised", "multiple", "a1", "h1", "39 hosts",
    )  # fmt: skip
    assert (told.group_count, told.repository, told.still_open, len(told.group)) == (
        39, "rest:https://srv.lan:8000", 0, 39,
    )  # fmt: skip
    assert told.group[1] == GroupMember("a2", "warning", "backup_failed", "s", "message 2", "h2", "nas2")
    assert told.occurred_at == NOON + 39 * clock.MINUTE


def test_ten_of_a_group_are_all_named() -> None:
    assert of_batch(of_hosts(10), "http://x").message.splitlines()[0] == "10 alerts of 10 hosts:"
    assert "more" not in of_batch(of_hosts(10), "http://x").message


def test_a_large_group_lists_no_more_than_two_hundred() -> None:
    told = of_batch(of_hosts(1000), "http://x")
    assert (len(told.group), told.group_count) == (200, 1000)
    assert told.message.endswith("and 990 more")
    assert len(told.message) < 10 * 300


def test_a_group_over_hosts_of_one_host_names_it() -> None:
    batch = of_hosts(2)
    same = replace(batch.carried[0][0], host_id="h1")
    told = of_batch(Batch(batch.main, ((same, "delivered"),), group=True), "http://x")
    assert told.host_name == "nas1"
    assert told.message.splitlines()[0] == "2 alerts:"


def test_words_of_hosts_stay_on_their_line_and_are_short_in_a_group_over_hosts() -> None:
    told = of_batch(of_hosts(2, message="x" * 500 + "\n- [critical] forged: y", host_name="a\nb"), "http://x")
    assert len(told.message.splitlines()) == 3
    assert told.message.splitlines()[1] == f"- [warning] a b: backup_failed: {'x' * 119}…"


def test_the_end_of_a_group_says_who_ended_it() -> None:
    told = of_batch(of_hosts(3, "alert.resolved", actor="rule", note="done"), "http://x")
    assert told.message.splitlines()[0] == "3 alerts of 3 hosts are resolved:"
    assert (told.actor, told.note, told.event) == ("rule", "done", "alert.resolved")


def test_a_group_that_several_ended_names_each_of_them_once() -> None:
    first = of_hosts(1, "alert.resolved", actor="anna", note="a").main
    second = of_hosts(2, "alert.resolved", actor="rule", note="b").carried[0][0]
    told = of_batch(Batch(first, ((second, "delivered"),), group=True), "http://x")
    assert (told.actor, told.note) == ("anna, rule", None)


def test_the_end_of_a_group_says_what_of_it_is_still_open() -> None:
    batch = of_hosts(2, "alert.resolved", actor="rule")
    open_ones = OpenAlerts(12, tuple(("critical", f"n{n}", "check_failed") for n in range(12)))
    told = of_batch(batch, "http://x", open_ones)
    lines = told.message.splitlines()
    assert lines[3:5] == ["12 are still open", "- [critical] n0: check_failed"]
    assert lines[-1] == "and 2 more"
    assert told.still_open == 12
    one = OpenAlerts(1, (("critical", "n", "check_failed"),))
    assert "\n1 is still open\n" in of_batch(batch, "http://x", one).message


def test_acknowledgements_and_reminders_of_a_group_say_what_they_are() -> None:
    acknowledged = of_batch(of_hosts(2, "alert.acknowledged"), "http://x").message
    reminded = of_batch(of_hosts(2, "alert.reminder"), "http://x").message
    assert acknowledged.splitlines()[0] == "2 alerts of 2 hosts are acknowledged:"
    assert reminded.splitlines()[0] == "2 alerts of 2 hosts are still open:"


def test_a_raise_that_was_never_told_is_not_listed_beside_its_end() -> None:
    batch = of_hosts(2, "alert.resolved", actor="rule")
    raised = replace(delivery(0, alert="a1"), group_key="K", grouped=True)
    told = of_batch(Batch(batch.main, ((raised, "superseded"), *batch.carried), group=True), "http://x")
    assert told.group_count == 2
