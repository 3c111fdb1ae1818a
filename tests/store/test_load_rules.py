"""What the rules read back after a restart."""

import pytest

from rmactors.common import ids
from rmactors.common.clock import HOUR
from rmactors.server.messages.alerts import ExpectOpen, ForgetAlertState, RaiseAlert, SaveAlertState
from rmactors.server.messages.answers import Committed, Stale
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.schedules import MarkGood
from rmactors.server.state.alert_state import AlertKey, LastOutcome, outcome_to_json
from rmactors.server.store.load_rules import load_rules
from tests.store.ledger import NOON, Ledger


def test_the_newest_good_end_of_a_schedule_is_kept(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "data"}', mode="external")
    assert load_rules(ledger.connection)[host].schedules[schedule].last_good_at is None
    ledger.commit(MarkGood(schedule, NOON), MarkGood(schedule, NOON - HOUR), MarkGood(ids.new(), NOON))
    found = load_rules(ledger.connection, host)[host].schedules[schedule]
    assert (found.last_good_at, found.kind, found.plan, found.by_agent) == (NOON, "backup", "data", False)


def test_the_plans_of_a_host_are_those_of_its_last_hello(ledger: Ledger) -> None:
    host = ledger.host()
    assert load_rules(ledger.connection)[host].plans == ()
    plans = '[{"name": "data", "repository": "main", "sources": []}]'
    ledger.commit(RecordHello(host, NOON, False, "0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", plans))
    assert load_rules(ledger.connection)[host].plans == ("data",)


def test_a_failure_that_was_held_back_is_known_as_such_after_a_restart(ledger: Ledger) -> None:
    host = ledger.host()
    told = ledger.raise_(host, "", "too_many_alerts")
    for job, told_by in (("A", told), ("B", None), ("C", "one that is resolved")):
        last = outcome_to_json(LastOutcome(job, "bad", NOON, None, None, told_by=told_by))
        ledger.commit(SaveAlertState(host, "backup_failed", f"plan:{job}", 1, last, None, None, False))
    state = load_rules(ledger.connection)[host]
    assert list(state.held_back()) == [AlertKey(host, "backup_failed", "plan:A")]
    assert state.open_alerts() == 0, "itself it does not count"


@pytest.mark.parametrize(("number", "most"), [(0, 1), (1, 1), (2, 1), (3, 5), (5, 5), (6, 5)])
@pytest.mark.parametrize("crowded", [False, True])
def test_a_decision_that_counts_on_the_number_of_open_alerts_fails_where_it_is_another(
    ledger: Ledger, number: int, most: int, crowded: bool
) -> None:
    host, other = ledger.host(), ledger.host("other")
    for n in range(number):
        ledger.raise_(host, f"plan:{n}")
    if crowded:
        ledger.raise_(host, "", "too_many_alerts")
    ledger.resolve(ledger.raise_(host, "over"), NOON)
    ledger.raise_(other, "plan:0")
    is_so, is_not = ExpectOpen(host, most, number >= most), ExpectOpen(host, most, number < most)
    assert isinstance(ledger.apply(is_so), Committed)
    assert isinstance(ledger.apply(is_not), Stale)


def test_the_database_allows_one_open_alert_about_too_many(ledger: Ledger) -> None:
    host = ledger.host()
    ledger.raise_(host, "", "too_many_alerts")
    again = RaiseAlert(ids.new(), host, "too_many_alerts", "", "warning", "2 more", NOON)
    assert isinstance(ledger.apply(again), Stale)


def test_what_is_forgotten_is_gone_unless_it_has_changed_meanwhile(ledger: Ledger) -> None:
    host = ledger.host()
    for plan in "ab":
        ledger.commit(SaveAlertState(host, "backup_failed", f"plan:{plan}", 1, None, None, NOON, False))
    ledger.commit(SaveAlertState(host, "backup_failed", "plan:b", 2, None, None, NOON, False))
    ledger.commit(ForgetAlertState(host, "backup_failed", "plan:a", 1))
    assert isinstance(ledger.apply(ForgetAlertState(host, "backup_failed", "plan:b", 1)), Stale)
    assert ledger.rows("SELECT subject FROM tracks") == [("plan:b",)]
