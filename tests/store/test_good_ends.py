"""The newest good end of each kind and plan, which stays when its job goes."""

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.retention import Prune
from rmactors.server.store import jobs
from rmactors.server.store.queries.good_ends import GoodEnd, good_ends
from rmactors.server.store.queries.hosts import host_view
from tests.store.ledger import NOON, Ledger, audit, end, save_end, save_loss, save_start, start


def passed(host: str, job: str, at: int, plan: str | None = "home", status: str = "succeeded") -> object:
    stats = f'{{"files_tested": 20, "of": "{job}"}}'
    return save_end(end(host, job, at=at, kind="restore_test", plan=plan, status=status, stats=stats))


def known(ledger: Ledger, host: str) -> dict[str, tuple[str, int]]:
    """Job and time by plan."""
    return {one.plan: (one.job_id, one.at) for one in good_ends(ledger.connection, "restore_test", [host])[host]}


def test_the_newest_good_end_of_each_plan_is_kept(ledger: Ledger) -> None:
    host, other = ledger.host(), ledger.host("nas2")
    first, second, etc, nameless = (ids.new() for _ in range(4))
    ledger.commit(passed(host, first, NOON), passed(host, second, NOON + HOUR), passed(host, etc, NOON, "etc"))
    ledger.commit(passed(host, nameless, NOON, None), passed(other, ids.new(), NOON + DAY))
    assert known(ledger, host) == {"home": (second, NOON + HOUR), "etc": (etc, NOON), "": (nameless, NOON)}
    view = host_view(ledger.connection, host)
    assert view is not None
    assert GoodEnd(host, "home", second, NOON + HOUR, f'{{"files_tested": 20, "of": "{second}"}}') in view.restore_tests
    assert good_ends(ledger.connection, "check", [host]) == {host: []}
    assert good_ends(ledger.connection, "check", []) == {}


def test_one_that_was_reported_late_does_not_take_the_place_of_a_newer_one(ledger: Ledger) -> None:
    host, newer = ledger.host(), ids.new()
    ledger.commit(passed(host, newer, NOON + HOUR))
    ledger.commit(passed(host, ids.new(), NOON))
    assert known(ledger, host) == {"home": (newer, NOON + HOUR)}


def test_what_did_not_succeed_changes_nothing(ledger: Ledger) -> None:
    host, good, lost = ledger.host(), ids.new(), ids.new()
    ledger.commit(passed(host, good, NOON))
    for status in ("failed", "partial", "cancelled", "skipped"):
        ledger.commit(passed(host, ids.new(), NOON + HOUR, status=status))
    ledger.commit(save_start(start(host, lost)))
    ledger.commit(save_loss(host, lost, NOON + HOUR))
    assert known(ledger, host) == {"home": (good, NOON)}


def test_a_loss_that_ended_well_after_all_counts(ledger: Ledger) -> None:
    host, job = ledger.host(), ids.new()
    ledger.commit(save_start(start(host, job)))
    ledger.commit(save_loss(host, job, NOON + DAY))
    ledger.commit(passed(host, job, NOON + HOUR))
    assert known(ledger, host) == {"home": (job, NOON + HOUR)}


def test_it_stays_when_its_job_is_removed_and_goes_with_its_host(ledger: Ledger) -> None:
    host, job = ledger.host(), ids.new()
    ledger.commit(passed(host, job, NOON))
    ledger.commit(Prune("jobs", NOON + DAY, (job,), 100))
    assert ledger.value("SELECT count(*) FROM jobs") == 0
    assert [one.kept for one in good_ends(ledger.connection, "restore_test", [host])[host]] == [0]
    assert known(ledger, host) == {"home": (job, NOON)}
    ledger.commit(Prune("good_ends", NOON + DAY, (host,), 100))
    assert known(ledger, host) == {"home": (job, NOON)}, "as long as the host is there"
    assert isinstance(ledger.apply(DeleteHost(host, NOON + DAY, audit("host.delete", host))), Committed)
    ledger.commit(Prune("good_ends", NOON + DAY, (host,), 100))
    assert known(ledger, host) == {"home": (job, NOON)}, "as long as it was not deleted long ago"
    ledger.commit(Prune("good_ends", NOON + 2 * DAY, (host,), 100))
    assert known(ledger, host) == {}


def test_a_host_that_makes_up_plans_keeps_the_newest_alone(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "GOOD_ENDS_KEPT", 2)
    host, other = ledger.host(), ledger.host("nas2")
    ledger.commit(passed(other, ids.new(), NOON, "home"))
    for hour, plan in enumerate(("a", "b", "c", "b")):
        ledger.commit(passed(host, ids.new(), NOON + hour * HOUR, plan))
    assert set(known(ledger, host)) == {"b", "c"}
    assert set(known(ledger, other)) == {"home"}
