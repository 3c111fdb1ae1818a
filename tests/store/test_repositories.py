"""What is known of repositories, on a real database: who uses them, how they grow, when they were looked after."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.common.vocabulary import REPOSITORY_BUSY
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.hosts import DeleteHost, RecordHello
from rmactors.server.messages.jobs import QueueJob
from rmactors.server.messages.repositories import (
    FoundRepository,
    Measurement,
    PostponeLook,
    RefreshRepository,
    SaveRepositories,
    SettleLook,
)
from rmactors.server.messages.retention import OldKind, Prune, Pruned
from rmactors.server.store.queries import repositories as queries
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.store.retention import START, find_old
from tests.store.ledger import NOON, Ledger, audit, end, save_end

A, B = "aa" * 32, "bb" * 32


def share(host: str, unique: int | None = 10) -> dict[str, Any]:
    return {"host": host, "snapshots": 1, "bytes": 100, "unique_bytes": unique}


def measurement(size: int = 1000, *shares: dict[str, Any], locks: str = "[]") -> Measurement:
    return Measurement(size, None, None, 1, json.dumps(shares), locks)


def found(name: str = "main", repository_id: str | None = A, **changes: Any) -> FoundRepository:
    one = FoundRepository(name, repository_id, f"/srv/{name}", ("home",), "nas", 2, None, None)
    return replace(one, **changes)


def save(ledger: Ledger, host_id: str, *those: FoundRepository, at: int = NOON, all_of_them: bool = True) -> None:
    ledger.commit(SaveRepositories(host_id, at, those, all_of_them))


def measure(ledger: Ledger, host_id: str, size: int, at: int = NOON, **changes: Any) -> None:
    save(ledger, host_id, found(measurement=measurement(size, share("nas")), **changes), at=at, all_of_them=False)


def view(ledger: Ledger, repository_id: str = A) -> RepositoryView:
    one = queries.repository_view(ledger.connection, repository_id)
    assert one is not None
    return one


def due(ledger: Ledger, now: int = NOON, heard_since: int = 0) -> list[str]:
    return [host.name for host in queries.hosts_to_ask(ledger.connection, now, heard_since, 10)]


def todo(ledger: Ledger, host_id: str, fresh_since: int = NOON - HOUR) -> list[tuple[str, str]]:
    return [(one.name, one.repository_id) for one in queries.to_measure(ledger.connection, host_id, fresh_since)]


def good(ledger: Ledger, host_id: str, kind: Any, at: int = NOON, **changes: Any) -> str:
    report = end(host_id, changes.pop("job_id", None) or ids.new(), at=at, kind=kind, **changes)
    ledger.commit(save_end(report))
    return report.job_id


# ---- whose they are


def test_hosts_that_share_a_repository_are_one_row(ledger: Ledger) -> None:
    nas, web = ledger.host("nas1"), ledger.host("web1")
    save(ledger, nas, found())
    save(ledger, web, found("backup", location="rest:http://nas/", plans=("etc", "www"), filed_as="web"))
    (one,) = queries.repository_views(ledger.connection)
    assert one.id == A
    assert [(use.host_name, use.name, use.location, use.plans) for use in one.uses] == [
        ("nas1", "main", "/srv/main", '["home"]'), ("web1", "backup", "rest:http://nas/", '["etc", "www"]'),
    ]  # fmt: skip


def test_a_repository_that_is_no_longer_in_the_file_is_used_no_more(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found("a"), found("b", B))
    save(ledger, host, found("b", B))
    assert [one.id for one in queries.repository_views(ledger.connection)] == [B]
    assert queries.repository_view(ledger.connection, A) is None
    save(ledger, host, found("a"), all_of_them=False)
    assert len(queries.repository_views(ledger.connection)) == 2


def test_one_that_cannot_be_opened_just_now_is_still_the_same(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found())
    save(ledger, host, found(repository_id=None, error="connection refused"), at=NOON + HOUR)
    (use,) = view(ledger).uses
    assert (use.error, use.error_at) == ("connection refused", NOON + HOUR)
    save(ledger, host, found(repository_id=None, location="/another", error="nothing there"))
    assert queries.repository_view(ledger.connection, A) is None, "under another address it may be another"


def test_a_deleted_host_uses_nothing(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found())
    ledger.commit(DeleteHost(host, NOON, audit()))
    assert queries.repository_views(ledger.connection) == []
    assert queries.repository_view(ledger.connection, A) is None
    save(ledger, host, found("late", B))
    assert ledger.value("SELECT count(*) FROM repositories WHERE id = ?", B) == 0


# ---- how they grow


def test_there_is_one_size_a_day_the_newest(ledger: Ledger) -> None:
    host = ledger.host()
    for hours, size in ((0, 100), (6, 110), (24, 120), (30, 130), (72, 90)):
        measure(ledger, host, size, NOON + hours * HOUR)
    assert [(size.at, size.bytes) for size in view(ledger).sizes] == [
        (NOON + 6 * HOUR, 110), (NOON + 30 * HOUR, 130), (NOON + 72 * HOUR, 90),
    ]  # fmt: skip
    assert (view(ledger).row.size_bytes, view(ledger).row.measured_at) == (90, NOON + 72 * HOUR)


def test_an_answer_that_comes_after_a_newer_one_changes_no_size(ledger: Ledger) -> None:
    host = ledger.host()
    measure(ledger, host, 200, NOON + HOUR)
    measure(ledger, host, 100, NOON)
    assert (view(ledger).row.size_bytes, [size.bytes for size in view(ledger).sizes]) == (200, [200])


def test_a_list_has_a_size_a_week_with_the_newest(ledger: Ledger) -> None:
    host = ledger.host()
    for day in range(60):
        measure(ledger, host, 1000 + day, NOON + day * DAY)
    (one,) = queries.repository_views(ledger.connection, NOON + 20 * DAY)
    assert len(one.sizes) == 7  # weeks begun
    assert one.sizes[-1].bytes == 1059
    (one,) = queries.views_of(ledger.connection, [one.id])
    assert (len(one.sizes), one.sizes[-1].bytes) == (10, 1059)
    assert queries.views_of(ledger.connection, []) == []
    assert len(view(ledger).sizes) == 60


# ---- whom to ask


def test_a_host_with_an_agent_is_due_until_it_was_asked(ledger: Ledger) -> None:
    host = ledger.host("nas1")
    ledger.host("never seen", hello=False)
    assert due(ledger) == ["nas1"]
    ledger.commit(SettleLook(host, NOON, NOON + DAY, 0, None, None))
    assert due(ledger, NOON + DAY - 1) == []
    assert due(ledger, NOON + DAY) == ["nas1"]
    ledger.commit(PostponeLook(host, NOON + 2 * DAY))
    assert due(ledger, NOON + DAY) == []


def test_a_host_that_is_silent_or_may_not_tell_is_left_alone(ledger: Ledger) -> None:
    host = ledger.host("nas1")
    assert due(ledger, heard_since=NOON + 1) == []
    for allow, may in (('["backup"]', False), ('["backup", "browse"]', True), (None, True)):
        hello = RecordHello(host, NOON, False, "0.1", "nas", "linux", "x86_64", "UTC", None, "[]", allow=allow)
        ledger.commit(hello)
        assert due(ledger) == (["nas1"] if may else [])


@pytest.mark.parametrize("changes", [{"plans": '[{"name": "new"}]'}, {"allow": '["browse"]'}, {"agent_version": "9"}])
def test_a_host_whose_agent_or_its_file_changed_is_asked_again(ledger: Ledger, changes: dict[str, Any]) -> None:
    host = ledger.host("nas1")
    hello = RecordHello(host, NOON, False, "0.1", "nas", "linux", "x86_64", "UTC", None, "[]")
    ledger.commit(SettleLook(host, NOON, NOON + DAY, 0, "not_allowed", None))
    ledger.commit(hello)
    assert due(ledger) == []
    ledger.commit(replace(hello, **changes))
    assert due(ledger) == ["nas1"]


def test_what_was_measured_is_fresh_until_somebody_wants_it_again(ledger: Ledger) -> None:
    host, other = ledger.host("nas1"), ledger.host("web1")
    save(ledger, host, found(), found("twin"), found("gone", B, error="wrong password"))
    save(ledger, other, found())
    assert todo(ledger, host) == [("main", A)]
    measure(ledger, other, 100)
    assert todo(ledger, host) == []
    assert todo(ledger, host, fresh_since=NOON + 1) == [("main", A)]
    ledger.commit(SettleLook(host, NOON, NOON + DAY, 5, None, None))
    ledger.commit(RefreshRepository(A, NOON + 1, audit("repository.refresh", A)))
    assert ledger.woken.repositories
    assert todo(ledger, host) == todo(ledger, other) == [("main", A)]
    assert sorted(due(ledger)) == ["nas1", "web1"]
    measure(ledger, other, 100, NOON + 2)
    assert todo(ledger, host) == []


def test_a_repository_that_nobody_knows_cannot_be_wanted(ledger: Ledger) -> None:
    assert isinstance(ledger.apply(RefreshRepository(A, NOON, audit())), Refused)


def test_where_one_host_fails_another_is_asked_unless_it_failed_too(ledger: Ledger) -> None:
    hosts = {name: ledger.host(name) for name in ("fails", "fine", "failed", "elsewhere")}
    for name, host in hosts.items():
        save(ledger, host, found(repository_id=B if name == "elsewhere" else A))
        ledger.commit(SettleLook(host, NOON, NOON + DAY, int(name == "failed"), None, None))
    save(ledger, hosts["fails"], found(error="timeout"), at=NOON + HOUR, all_of_them=False)
    assert due(ledger, NOON + HOUR) == ["fine"]


def test_a_good_job_is_a_reason_to_look_again_at_what_was_not_there_or_busy(ledger: Ledger) -> None:
    for trouble in ({"repository_id": None, "error": "not there"}, {"error": REPOSITORY_BUSY}):
        host = ledger.host(f"nas {trouble['error']}")
        save(ledger, host, found(**trouble))
        ledger.commit(SettleLook(host, NOON, NOON + DAY, 3, None, None))
        good(ledger, host, "init", NOON + MINUTE)
        assert due(ledger, NOON + MINUTE) == [f"nas {trouble['error']}"]
        assert ledger.woken.repositories
        ledger.commit(SettleLook(host, NOON, NOON + DAY, 0, None, None))


def test_the_first_backup_of_a_host_is_a_reason_to_measure_again(ledger: Ledger) -> None:
    host, web = ledger.host("nas1"), ledger.host("web1")
    measure(ledger, host, 100)
    save(ledger, web, found(filed_as="web"))
    for each in (host, web):
        ledger.commit(SettleLook(each, NOON, NOON + DAY, 0, None, None))
    good(ledger, host, "backup", NOON + MINUTE)
    assert due(ledger, NOON + MINUTE) == [], "its snapshots are counted already"
    good(ledger, web, "check", NOON + MINUTE)
    assert due(ledger, NOON + MINUTE) == []
    good(ledger, web, "backup", NOON + MINUTE)
    assert due(ledger, NOON + MINUTE) == ["web1"]
    assert todo(ledger, web) == [("main", A)]


# ---- what keeps them well


def cares(ledger: Ledger) -> dict[str, tuple[int, str | None]]:
    return {kind: (care.at, care.job_id) for kind, care in view(ledger).cares.items()}


def test_the_newest_check_prune_and_restore_test_of_any_host_and_plan_count(ledger: Ledger) -> None:
    nas, web = ledger.host("nas1"), ledger.host("web1")
    save(ledger, nas, found(plans=("home", "etc")))
    save(ledger, web, found(plans=("www",)))
    good(ledger, nas, "check", NOON, plan="home")
    newest = good(ledger, web, "check", NOON + HOUR, plan="www")
    good(ledger, nas, "check", NOON - HOUR, plan="home")
    pruned = good(ledger, nas, "prune", NOON, plan="etc")
    tested = good(ledger, web, "restore_test", NOON, plan="www")
    good(ledger, web, "check", NOON + DAY, plan="of another repository")
    assert cares(ledger) == {
        "check": (NOON + HOUR, newest), "prune": (NOON, pruned), "restore_test": (NOON, tested),
    }  # fmt: skip
    ledger.connection.execute("DELETE FROM jobs WHERE id = ?", (pruned,))
    assert cares(ledger)["prune"] == (NOON, None), "its job is not kept as long"


def test_a_check_that_names_the_repository_counts(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found("main"), found("other", B))
    job_id = good(ledger, host, "check", stats='{"repository": "main"}')
    assert cares(ledger) == {"check": (NOON, job_id)}
    assert view(ledger, B).cares == {}


def test_of_an_older_agent_the_jobs_own_parameters_or_its_schedules_say_which(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found("main"), found("other", B))
    job_id = ids.new()
    ledger.commit(QueueJob(job_id, host, "check", None, '{"repository": "main"}', NOON, audit()))
    good(ledger, host, "check", job_id=job_id)
    schedule = ledger.schedule(host, kind="prune", params='{"repository": "other"}')
    ledger.commit(save_end(end(host, ids.new(), kind="prune", schedule_id=schedule)))
    assert cares(ledger) == {"check": (NOON, job_id)}
    assert set(view(ledger, B).cares) == {"prune"}
    wrapped = ledger.schedule(host, kind="restore_test", mode="external", params='{"plan": "home"}')
    ledger.commit(save_end(end(host, ids.new(), kind="restore_test", schedule_id=wrapped)))
    assert set(view(ledger).cares) == {"check", "restore_test"}, "both are of its plan"
    good(ledger, host, "check", NOON + HOUR, stats="{}")
    assert cares(ledger)["check"] == (NOON, job_id), "nobody says which that was"


@pytest.mark.parametrize(
    ("stats", "counts"),
    [
        ('{"pruned": true}', True),
        ('{"bytes_remaining": 0}', True),
        ('{"snapshots_removed": 3}', False),
        ('{"pruned": false}', False),
        ("[1", False),
        ("[]", False),
    ],
)
def test_a_forget_that_pruned_is_a_prune(ledger: Ledger, stats: str, counts: bool) -> None:
    host = ledger.host()
    save(ledger, host, found())
    good(ledger, host, "forget", plan="home", stats=stats)
    assert ("prune" in cares(ledger)) == counts


def test_a_bad_end_counts_for_nothing(ledger: Ledger) -> None:
    host = ledger.host()
    save(ledger, host, found())
    good(ledger, host, "check", plan="home", status="failed")
    assert cares(ledger) == {}


# ---- who does not tell


def test_hosts_that_do_not_tell_are_named_with_what_is_known_of_why(ledger: Ledger) -> None:
    fine, silent, old, broken = (ledger.host(name) for name in ("fine", "silent", "old", "broken"))
    ledger.host("reports only", hello=False)
    save(ledger, fine, found())
    ledger.commit(
        RecordHello(silent, NOON, False, "0.1", "nas", "linux", "x86_64", "UTC", None, "[]", allow='["backup"]')
    )
    ledger.commit(SettleLook(old, NOON, NOON, 0, "too_old", None))
    save(ledger, broken, found("x", None, error="wrong password"), found("y", B))
    told = queries.silent_hosts(ledger.connection, 10)
    assert [(host.name, host.allow, host.problem, host.error) for host in told] == [
        ("broken", None, None, "x: wrong password"), ("old", None, "too_old", None),
        ("silent", '["backup"]', None, None),
    ]  # fmt: skip
    assert [use.repository_id for use in queries.repositories_of_host(ledger.connection, broken)] == [B]


# ---- what goes when it is old


def pruned(ledger: Ledger, what: OldKind, before: int) -> int:
    """As the janitor does it."""
    keys, _ = find_old(ledger.connection, what, before, START, 100)
    ((gone,),) = [ledger.commit(Prune(what, before, tuple(keys), 1000))]
    assert isinstance(gone, Pruned)
    return gone.rows


def test_sizes_go_when_they_are_old_and_a_repository_when_nothing_of_it_is_left(ledger: Ledger) -> None:
    host = ledger.host()
    for day in range(5):
        measure(ledger, host, 100, NOON + day * DAY)
    assert pruned(ledger, "repository_sizes", NOON + 2 * DAY + 1) == 3
    assert len(view(ledger).sizes) == 2
    assert pruned(ledger, "repositories", NOON + 400 * DAY) == 0, "it is in use"
    save(ledger, host)
    assert pruned(ledger, "repositories", NOON + 400 * DAY) == 0, "some of its sizes are left"
    assert pruned(ledger, "repository_sizes", NOON + 400 * DAY) == 2
    assert pruned(ledger, "repositories", NOON) == 0, "it is new"
    assert pruned(ledger, "repositories", NOON + 400 * DAY) == 1


def test_a_deleted_host_goes_with_all_that_is_known_of_its_repositories(ledger: Ledger) -> None:
    host = ledger.host()
    measure(ledger, host, 100)
    good(ledger, host, "check", plan="home")
    ledger.commit(DeleteHost(host, NOON, audit()))
    later = NOON + DAY
    assert pruned(ledger, "hosts", later) == 0, "its jobs are kept longer"
    ledger.connection.execute("DELETE FROM jobs")
    assert pruned(ledger, "good_ends", later) == 1
    assert pruned(ledger, "hosts", later) == 1
    assert ledger.rows("SELECT * FROM repository_uses") == ledger.rows("SELECT * FROM care_ends") == []
