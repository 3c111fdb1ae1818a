"""One cause, one message: what a channel that groups over hosts is sent when everything fails at once.

The real store and queue under a virtual clock; minutes count from noon.
"""

import json
import random

import pytest

from rmactors.common.clock import HOUR, SECOND
from rmactors.server.messages.alerts import WorsenAlert
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from tests.delivery.queues import AGAIN, NEVER, OK
from tests.delivery.storms import Post
from tests.store.ledger import MINUTE, NOON, Ledger

HOSTS = 40


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def fleet(ledger: Ledger, number: int = HOSTS) -> list[str]:
    """Hosts that back up to one server, each to a folder of its own under a name of its own."""
    hosts = []
    for n in range(number):
        host = ledger.host(f"nas{n}")
        plans = [{"name": "home", "repository": f"rest:https://nas{n}:secret{n}@srv.lan:8000/nas{n}", "sources": []}]
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (json.dumps(plans), host))
        hosts.append(host)
    return hosts


def channel(ledger: Ledger, by: str, **changes: object) -> Post:
    return Post(ledger, ledger.channel(**{"group_by": by, "group_seconds": 300.0, **changes}))


def fail(post: Post, hosts: list[str], kind: str, seconds: float = 20) -> list[str]:
    """All of them, one after another within that time."""
    subject = "" if kind == "agent_offline" else "plan:home"
    alerts = []
    for host in hosts:
        alerts.append(post.ledger.raise_(host, subject, kind, post.now))  # type: ignore[arg-type]
        post.until(post.now + round(seconds * SECOND / len(hosts)))
    return alerts


def recover(post: Post, alerts: list[str], seconds: float = 600) -> None:
    for alert in alerts:
        post.ledger.resolve(alert, post.now)
        post.until(post.now + round(seconds * SECOND / len(alerts)))


@pytest.mark.parametrize("by", ["repository", "all"])
@pytest.mark.parametrize("kind", ["agent_offline", "backup_failed"])
def test_forty_hosts_at_once_are_two_messages_and_their_return_is_one(ledger: Ledger, by: str, kind: str) -> None:
    post = channel(ledger, by)
    alerts = fail(post, fleet(ledger), kind)
    post.until(minute(30))
    recover(post, alerts)
    assert [(at, len(post.members(told))) for at, told in post.messages[:2]] == [(NOON, 1), (minute(5), 39)]
    assert post.alerts("raised") == alerts
    (resolved,) = post.told("resolved")
    assert sorted(post.members(resolved)) == sorted(alerts)
    assert (resolved.alert_id, resolved.kind, resolved.still_open) == (alerts[0], "multiple", 0)
    assert post.is_done()


def test_the_second_message_names_the_repository_the_number_and_the_first_ten(ledger: Ledger) -> None:
    post = channel(ledger, "repository")
    fail(post, fleet(ledger), "backup_failed")
    post.until(minute(6))
    _, together = post.told("raised")
    lines = together.message.splitlines()
    assert lines[0] == "39 alerts of 39 hosts (repository rest:https://srv.lan:8000):"
    assert [line.partition(":")[0] for line in lines[1:11]] == [f"- [warning] nas{n}" for n in range(1, 11)]
    assert lines[11:] == ["and 29 more"]
    assert "secret" not in str(post.messages)


def test_two_servers_that_fail_are_two_groups(ledger: Ledger) -> None:
    post = channel(ledger, "repository")
    hosts = fleet(ledger, 10)
    for host in hosts[5:]:
        plans = json.dumps([{"name": "home", "repository": "b2:bucket:home", "sources": []}])
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (plans, host))
    alerts = fail(post, hosts, "backup_failed")
    post.until(minute(10))
    recover(post, alerts[:5])
    assert [told.repository for told in post.told("resolved")] == ["rest:https://srv.lan:8000"]
    recover(post, alerts[5:])
    assert [told.repository for told in post.told("resolved")] == ["rest:https://srv.lan:8000", "b2:bucket"]
    assert len(post.told("raised")) == 4


def test_what_recovers_before_the_window_ends_is_one_message_about_both(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    alerts = fail(post, fleet(ledger), "agent_offline")
    recover(post, alerts, 60)
    post.until(minute(10))
    assert len(post.told("raised")) == 1
    (resolved,) = post.told("resolved")
    assert sorted(post.members(resolved)) == sorted(alerts)
    assert post.is_done()


def test_some_that_stay_open_hold_back_the_news_of_the_others_for_an_hour(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    alerts = fail(post, fleet(ledger), "agent_offline")
    post.until(minute(10))
    recover(post, alerts[:27])
    post.until(minute(69))
    assert post.told("resolved") == []
    post.until(minute(71))
    (partly,) = post.told("resolved")
    assert (partly.group_count, partly.still_open) == (27, 13)
    assert partly.message.splitlines()[0] == "27 alerts of 27 hosts are resolved:"
    assert "\n13 are still open\n- [warning] nas27: agent_offline\n" in partly.message
    assert partly.message.endswith("\nand 3 more")
    recover(post, alerts[27:])
    assert [told.group_count for told in post.told("resolved")] == [27, 13]
    assert post.is_done()


def test_hosts_that_flap_within_a_window_are_one_message_at_its_end(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    ended = []
    for host in fleet(ledger, 10):
        ended += [alert := ledger.raise_(host, "", "agent_offline", post.now)]
        post.until(post.now + 10 * SECOND)
        ledger.resolve(alert, post.now)
        post.until(post.now + SECOND)
    post.until(minute(10))
    assert len(post.told("raised")) == 1
    assert len(post.told("resolved")) == 2  # the first, of which people were told, and the others
    assert sorted(post.alerts("resolved")) == sorted(ended)


def test_bulk_acknowledgements_are_two_messages_and_reminders_of_the_others_one(ledger: Ledger) -> None:
    post = channel(ledger, "all", remind_hours=2.0)
    alerts = fail(post, fleet(ledger), "backup_failed")
    post.until(minute(20))
    for alert in alerts[:30]:
        ledger.acknowledge(alert, post.now)
    post.until(minute(30))
    assert [len(post.members(told)) for told in post.told("acknowledged")] == [1, 29]
    ledger.commit(QueueReminders(minute(125)))
    post.until(minute(126))
    (reminder,) = post.told("reminder")
    assert sorted(post.members(reminder)) == sorted(alerts[30:])
    assert reminder.message.startswith("10 alerts of 10 hosts are still open:\n")


def test_a_silence_holds_back_the_storm_and_its_end_is_two_messages(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    ledger.silence(ends_at=minute(60))
    alerts = fail(post, fleet(ledger), "agent_offline")
    post.until(minute(60))
    assert post.messages == []
    ledger.commit(ReleaseHeld(minute(60)))
    post.until(minute(70))
    assert [len(post.members(told)) for told in post.told("raised")] == [1, 39]
    recover(post, alerts)
    assert len(post.told("resolved")) == 1


def test_a_receiver_that_is_down_through_the_storm_is_sent_the_same_few_messages(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    post.answers = [AGAIN] * 20
    alerts = fail(post, fleet(ledger), "agent_offline")
    post.until(minute(30))
    recover(post, alerts)
    assert post.is_done()
    assert len(post.told("raised")) <= 2
    assert len(post.told("resolved")) == 1
    assert sorted(post.alerts("resolved")) == sorted(alerts)


def test_one_that_the_receiver_never_takes_costs_the_others_nothing(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    alerts = fail(post, fleet(ledger, 5), "agent_offline")
    post.answers = [NEVER]  # the end of the window
    post.until(minute(30))
    assert post.alerts("raised") == [alerts[0], *alerts[2:]]
    recover(post, alerts)
    assert post.is_done()


def test_what_got_worse_on_many_hosts_is_told_as_a_group_again(ledger: Ledger) -> None:
    post = channel(ledger, "repository")
    alerts = fail(post, fleet(ledger), "backup_failed")
    post.until(minute(60))
    for alert in alerts:
        ledger.apply(WorsenAlert(alert, "worse", "worse", post.now))
    post.until(minute(70))
    assert [len(post.members(told)) for told in post.told("raised")] == [1, 39, 1, 39]
    assert post.told("raised")[-1].again
    recover(post, alerts)
    assert len(post.told("resolved")) == 1


def test_after_a_kill_the_end_of_what_was_in_flight_does_not_wait_for_a_group_that_is_told(ledger: Ledger) -> None:
    post = channel(ledger, "all")
    first, last = (ledger.raise_(host) for host in fleet(ledger, 2))
    post.begin()
    post.until(minute(6))
    ledger.resolve(first, post.now)
    ledger.resolve(last, post.now)
    post.until(minute(7))
    assert (post.alerts("raised"), post.alerts("resolved")) == ([last], [last])
    post.restart()
    post.until(minute(8))
    assert post.alerts("resolved") == [last, first]


@pytest.mark.parametrize("seed", range(25))
def test_a_crash_at_any_message_loses_nothing_and_tells_nothing_new_under_a_known_id(ledger: Ledger, seed: int) -> None:
    dice = random.Random(seed)
    post = channel(ledger, dice.choice(["repository", "all"]))
    post.crash_at = dice.randrange(1, 6)
    post.answers = [dice.choice([AGAIN, NEVER]) if dice.random() < 0.2 else OK for _ in range(8)]
    hosts = fleet(ledger, 6)
    open_ones: list[str] = []
    raised: list[str] = []
    for _ in range(30):
        match dice.choice(["raise", "raise", "resolve", "restart", "acknowledge", "wait", "wait"]):
            case "raise":
                subject = f"plan:{len(raised)}"
                raised.append(ledger.raise_(dice.choice(hosts), subject, "backup_failed", post.now))
                open_ones.append(raised[-1])
            case "resolve" if open_ones:
                ledger.resolve(open_ones.pop(dice.randrange(len(open_ones))), post.now)
            case "acknowledge" if open_ones:
                ledger.acknowledge(dice.choice(open_ones), post.now)
            case "restart":
                post.restart()
            case _:
                pass
        post.until(post.now + dice.choice([0, SECOND, 100 * SECOND, 400 * SECOND, HOUR]))
    for alert in open_ones:
        ledger.resolve(alert, post.now)
    assert post.is_done()
    dead = {alert for (alert,) in ledger.rows("SELECT alert_id FROM deliveries WHERE state = 'dead'")}
    heard = set(post.alerts("resolved")) | dead
    assert heard == set(raised)
    assert set(post.alerts("raised")) | heard == set(raised)
