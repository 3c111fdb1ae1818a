"""Where deliveries of a channel that groups over hosts wait, and for what. Minutes count from noon."""

import json

import pytest

from rmactors.server.messages.alerts import WorsenAlert
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.outbox import QueueReminders
from rmactors.server.state.delivery import NONE_OPEN
from rmactors.server.store.load_channels import load_due, load_open
from tests.store.ledger import MINUTE, NOON, Ledger, channel

PLANS = json.dumps([{"name": "home", "repository": "rest:https://nas:pw@srv.lan:8000/nas1/", "sources": ["/home"]}])


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def over_hosts(ledger: Ledger, by: str = "all", **changes: object) -> str:
    return ledger.channel(**{"group_by": by, "group_seconds": 300.0, **changes})


def places(ledger: Ledger, event: str = "alert.raised") -> list[tuple[int, int]]:
    """(due, grouped) of each in its order."""
    return ledger.rows("SELECT due_at, grouped FROM deliveries WHERE event = ? ORDER BY seq", event)


def keys(ledger: Ledger, event: str = "alert.raised") -> list[str]:
    return [key for (key,) in ledger.rows("SELECT group_key FROM deliveries WHERE event = ? ORDER BY seq", event)]


def deliver(ledger: Ledger) -> None:
    """All that is queued arrives."""
    for (delivery_id,) in ledger.rows("SELECT id FROM deliveries WHERE state = 'queued' ORDER BY seq"):
        ledger.settle(delivery_id)


def repository_of(ledger: Ledger) -> list[str | None]:
    bodies = ledger.rows("SELECT body FROM deliveries ORDER BY seq")
    return [json.loads(body).get("repository") for (body,) in bodies]


# ---- raises


def test_the_first_of_all_hosts_goes_at_once_and_what_follows_waits_for_the_window(ledger: Ledger) -> None:
    over_hosts(ledger)
    for n, at in enumerate((0, 1, 4.9, 5, 6)):
        ledger.raise_(ledger.host(f"nas{n}"), at=minute(at))
    assert places(ledger) == [(minute(0), 0), (minute(5), 1), (minute(5), 1), (minute(5), 0), (minute(10), 1)]
    first, *_ = found = keys(ledger)
    assert found == [first] * 3 + [found[3]] * 2
    assert found[3] != first
    assert ledger.rows("SELECT * FROM group_windows") == []


def test_a_group_of_a_repository_is_of_all_hosts_that_back_up_to_its_server(ledger: Ledger) -> None:
    over_hosts(ledger, "repository")
    hosts = [ledger.host(name) for name in ("nas1", "nas2", "nas3")]
    for host, path in zip(hosts, ("nas1/", "nas2", "x"), strict=True):
        place = f"rest:https://{path.strip('/')}:pw@SRV.lan:{8000 if path != 'x' else 8001}/{path}"
        plans = json.dumps([{"name": "home", "repository": place, "sources": []}])
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (plans, host))
        ledger.raise_(host, "plan:home")
    assert places(ledger) == [(NOON, 0), (minute(5), 1), (NOON, 0)]
    assert repository_of(ledger) == ["rest:https://srv.lan:8000"] * 2 + ["rest:https://srv.lan:8001"]
    assert "pw" not in json.dumps(keys(ledger))


def test_an_alert_about_a_schedule_is_about_the_repository_of_its_plan_or_of_the_only_one(ledger: Ledger) -> None:
    over_hosts(ledger, "repository")
    host, other = ledger.host("nas1"), ledger.host("nas2")
    two = json.dumps([*json.loads(PLANS), {"name": "etc", "repository": "b2:bucket:x", "sources": []}])
    for plans, of in ((PLANS, host), (two, other)):
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (plans, of))
    ledger.raise_(host, ledger.schedule(host))
    ledger.raise_(other, ledger.schedule(other, params='{"plan": "etc"}'), "missed_run")
    ledger.raise_(other, ledger.schedule(other), "check_failed")  # of which of the two?
    ledger.raise_(other, "plan:gone")
    assert repository_of(ledger) == ["rest:https://srv.lan:8000", "b2:bucket", None, None]


def test_what_is_about_no_repository_is_grouped_by_its_kind(ledger: Ledger) -> None:
    over_hosts(ledger, "repository")
    for n in range(3):
        host = ledger.host(f"nas{n}")
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (PLANS, host))
        ledger.raise_(host, "", "agent_offline")
        ledger.raise_(host, "", "too_many_alerts")
    assert places(ledger) == [(NOON, 0), (NOON, 0), *[(minute(5), 1)] * 4]
    assert repository_of(ledger) == [None] * 6
    assert len(set(keys(ledger))) == 2


def test_each_channel_has_windows_of_its_own(ledger: Ledger) -> None:
    over_hosts(ledger)
    ledger.channel(group_seconds=300.0)
    over_hosts(ledger, events=("alert.resolved",))
    for n in range(2):
        ledger.raise_(ledger.host(f"nas{n}"))
    assert sorted(places(ledger)) == [(NOON, 0)] * 3 + [(minute(5), 1)]


# ---- resolutions


def test_a_resolution_waits_until_the_last_of_its_group_is_resolved(ledger: Ledger) -> None:
    ops = over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    deliver(ledger)
    ledger.resolve(alerts[1], minute(20))
    ledger.resolve(alerts[0], minute(25))
    assert places(ledger, "alert.resolved") == [(minute(80), 1)] * 2
    key, _ = keys(ledger, "alert.resolved")
    found = load_open(ledger.connection, ops, key, 10)
    assert (found.number, found.first) == (1, (("warning", "nas2", "backup_failed"),))
    ledger.resolve(alerts[2], minute(30))
    assert places(ledger, "alert.resolved")[2] == (minute(30), 1)
    assert keys(ledger, "alert.resolved") == [key] * 3
    assert load_open(ledger.connection, ops, key, 10) == NONE_OPEN


def test_with_the_last_of_a_group_the_others_are_due_on_disk_too(ledger: Ledger) -> None:
    ops, also = over_hosts(ledger), over_hosts(ledger, "repository")
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    deliver(ledger)
    other = [ledger.raise_(ledger.host(f"other{n}"), at=minute(15)) for n in range(2)]
    deliver(ledger)
    for alert, at in zip((*alerts[:2], other[0], alerts[2]), (20, 25, 26, 30), strict=True):
        ledger.resolve(alert, minute(at))
    for channel_id in (ops, also):
        due = ledger.rows(
            "SELECT due_at FROM deliveries WHERE channel_id = ? AND event = 'alert.resolved' ORDER BY seq", channel_id
        )
        assert due == [(minute(30),), (minute(30),), (minute(86),), (minute(30),)]


def test_what_is_open_of_a_group_is_counted_and_the_first_are_named(ledger: Ledger) -> None:
    ops = over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(14)]
    deliver(ledger)
    ledger.resolve(alerts[0], minute(20))
    found = load_open(ledger.connection, ops, keys(ledger, "alert.resolved")[0], 10)
    assert (found.number, [host for _, host, _ in found.first]) == (13, [f"nas{n}" for n in range(1, 11)])
    assert load_open(ledger.connection, ops, keys(ledger)[1], 10) == NONE_OPEN


def test_the_only_one_of_a_group_is_told_at_once(ledger: Ledger) -> None:
    over_hosts(ledger)
    alert = ledger.raise_(ledger.host())
    deliver(ledger)
    ledger.resolve(alert, minute(1))
    assert places(ledger, "alert.resolved") == [(minute(1), 0)]
    assert keys(ledger, "alert.resolved") == [""]


def test_after_an_hour_what_is_resolved_goes_without_the_others_and_the_rest_waits_again(ledger: Ledger) -> None:
    over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(4)]
    deliver(ledger)
    for alert, at in zip(alerts, (10, 69, 70, 75), strict=True):
        ledger.resolve(alert, minute(at))
    assert places(ledger, "alert.resolved") == [(minute(70), 1)] * 2 + [(minute(75), 1)] * 2
    first, second, third, fourth = keys(ledger, "alert.resolved")
    assert (first, third) == (second, fourth)
    assert first != third


def test_with_a_window_longer_than_an_hour_resolutions_wait_as_long(ledger: Ledger) -> None:
    over_hosts(ledger, group_seconds=7200.0)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(2)]
    deliver(ledger)
    ledger.resolve(alerts[0], minute(1))
    assert places(ledger, "alert.resolved") == [(minute(121), 1)]


def test_where_nobody_was_told_of_the_last_one_its_end_waits_for_the_window(ledger: Ledger) -> None:
    over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    for alert in alerts:
        ledger.resolve(alert, minute(1))
    assert places(ledger, "alert.resolved") == [(minute(5), 1)] * 3
    again = ledger.raise_(ledger.host("late"), at=minute(2))
    ledger.resolve(again, minute(3))
    assert places(ledger, "alert.resolved")[-1] == (minute(5), 1)
    assert len(set(keys(ledger, "alert.resolved"))) == 1


def test_one_that_came_and_went_within_the_window_waits_for_its_end(ledger: Ledger) -> None:
    over_hosts(ledger)
    first = ledger.raise_(ledger.host("nas1"))
    deliver(ledger)
    ledger.resolve(first, minute(1))
    host = ledger.host("nas2")
    flapping = [ledger.raise_(host, f"s{n}", at=minute(2)) for n in range(2)]
    for alert in flapping:
        ledger.resolve(alert, minute(3))
    assert places(ledger, "alert.resolved") == [(minute(1), 0), (minute(5), 1), (minute(5), 1)]


def test_a_new_alert_after_the_end_is_a_new_group(ledger: Ledger) -> None:
    over_hosts(ledger)
    host = ledger.host()
    for at in (0, 10):
        alert = ledger.raise_(host, at=minute(at))
        deliver(ledger)
        ledger.resolve(alert, minute(at + 6))
        deliver(ledger)
    assert places(ledger) == [(minute(0), 0), (minute(10), 0)]
    assert places(ledger, "alert.resolved") == [(minute(6), 0), (minute(16), 0)]


def test_one_whose_raise_is_dead_keeps_nobody_waiting(ledger: Ledger) -> None:
    over_hosts(ledger)
    told, dead = (ledger.raise_(ledger.host(f"nas{n}")) for n in range(2))
    (delivery_id,) = ledger.rows("SELECT id FROM deliveries WHERE alert_id = ?", dead)[0]
    ledger.settle(delivery_id, Attempt("dead", 400, 1.0, "no"))
    deliver(ledger)
    ledger.resolve(told, minute(1))
    assert places(ledger, "alert.resolved") == [(minute(1), 0)]


def test_one_that_got_worse_belongs_to_the_group_of_its_last_raise(ledger: Ledger) -> None:
    over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    deliver(ledger)
    ledger.apply(WorsenAlert(alerts[0], "worse", "worse", minute(10)))
    deliver(ledger)
    ledger.resolve(alerts[1], minute(20))
    ledger.resolve(alerts[2], minute(21))  # the last of the first group
    assert places(ledger, "alert.resolved") == [(minute(21), 1)] * 2
    ledger.resolve(alerts[0], minute(30))
    assert places(ledger, "alert.resolved")[-1] == (minute(30), 0)


def test_one_that_got_worse_before_it_was_told_keeps_its_place(ledger: Ledger) -> None:
    over_hosts(ledger)
    _, second = (ledger.raise_(ledger.host(f"nas{n}")) for n in range(2))
    ledger.apply(WorsenAlert(second, "worse", "worse", minute(1)))
    assert places(ledger) == [(NOON, 0), (minute(5), 1), (minute(5), 1)]
    assert len(set(keys(ledger))) == 1


def test_resolutions_of_what_was_never_told_as_a_group_go_as_raises_do(ledger: Ledger) -> None:
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    over_hosts(ledger)
    for alert in alerts:
        ledger.resolve(alert, minute(1))
    assert places(ledger, "alert.resolved") == [(minute(1), 0), (minute(6), 1), (minute(6), 1)]


# ---- acknowledgements and reminders


def test_acknowledgements_go_as_raises_do(ledger: Ledger) -> None:
    over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    deliver(ledger)
    for alert in alerts:
        ledger.acknowledge(alert, minute(20))
    assert places(ledger, "alert.acknowledged") == [(minute(20), 0), (minute(25), 1), (minute(25), 1)]


@pytest.mark.parametrize(("by", "messages"), [("host", 3), ("all", 1)])
def test_reminders_that_are_due_at_once_go_as_one_message(ledger: Ledger, by: str, messages: int) -> None:
    over_hosts(ledger, by, remind_hours=1.0)
    for n in range(3):
        ledger.raise_(ledger.host(f"nas{n}"))
    deliver(ledger)
    ledger.commit(QueueReminders(minute(60)))
    rows = ledger.rows("SELECT DISTINCT due_at, group_key, CASE grouped WHEN 0 THEN id END FROM deliveries"
                       " WHERE event = 'alert.reminder'")  # fmt: skip
    assert len(rows) == messages
    assert {due for due, _, _ in rows} == {minute(60)}


# ---- the channel changes


@pytest.mark.parametrize("by", ["host", "repository"])
def test_what_waits_for_its_group_goes_at_once_where_the_channel_groups_otherwise(ledger: Ledger, by: str) -> None:
    ops = over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(3)]
    deliver(ledger)
    ledger.resolve(alerts[0], minute(6))
    fresh = [ledger.raise_(ledger.host(f"new{n}"), at=minute(7)) for n in range(2)]
    ledger.commit(channel(ops, create=False, group_by=by, group_seconds=300.0, at=minute(8)))
    assert places(ledger, "alert.resolved") == [(minute(8), 1)]
    assert places(ledger)[-2:] == [(minute(7), 0), (minute(12), 1)]  # its window goes on
    assert ledger.rows("SELECT * FROM shared_windows") == []
    ledger.resolve(alerts[1], minute(9))
    ledger.resolve(fresh[0], minute(9))
    assert [found.due_at for found in load_due(ledger.connection, ops, 0, 10)][-2:] == (
        [minute(9)] * 2 if by == "host" else [minute(69)] * 2
    )


def test_a_channel_that_is_saved_as_it_was_keeps_its_windows(ledger: Ledger) -> None:
    ops = over_hosts(ledger)
    alerts = [ledger.raise_(ledger.host(f"nas{n}")) for n in range(2)]
    ledger.resolve(alerts[0], minute(1))
    ledger.commit(channel(ops, create=False, group_by="all", group_seconds=300.0, at=minute(2)))
    assert places(ledger, "alert.resolved") == [(minute(61), 1)]
    ledger.raise_(ledger.host("late"), at=minute(3))
    assert places(ledger)[-1] == (minute(5), 1)


def test_a_channel_that_is_switched_off_forgets_its_windows(ledger: Ledger) -> None:
    ops = over_hosts(ledger)
    ledger.raise_(ledger.host())
    ledger.commit(channel(ops, create=False, enabled=False, group_by="all", group_seconds=300.0, queued="drop"))
    assert ledger.rows("SELECT * FROM shared_windows") == []
