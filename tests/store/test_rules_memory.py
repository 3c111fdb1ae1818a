"""What the rules read back after a restart."""

from rmactors import ids
from rmactors.clock import HOUR
from rmactors.messages.writes import MarkGood, RecordHello
from rmactors.store.memory import load_rules
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
