"""What the table of backup ages reads of the database: which rows there are, what is shown of them, in which order."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from rmactors.common import ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.messages.alerts import SaveAlertState
from rmactors.server.messages.hosts import DeleteHost, RecordHello
from rmactors.server.messages.jobs import SaveEnd, SaveStart
from rmactors.server.messages.schedules import DeleteSchedule, MarkGood
from rmactors.server.store.queries.backup_ages import (
    AGE_SORTS,
    AgeFilter,
    AgeOrder,
    AgePage,
    AgeRow,
    AgeSort,
    Attempt,
    GoodJob,
    backup_ages,
    held,
    place_shape,
)
from tests.databases import on_sqlite_alone
from tests.store.ledger import NOON, Ledger, audit, end, start

EVERYTHING, WORST_FIRST = AgeFilter(), AgeOrder()
STATS = json.dumps({"files_total": 12, "bytes_total": 3400})


def listed(ledger: Ledger, wanted: AgeFilter = EVERYTHING, order: AgeOrder = WORST_FIRST, now: int = NOON) -> AgePage:
    return backup_ages(ledger.connection, wanted, order, now, 1000)


def rows(ledger: Ledger, now: int = NOON) -> dict[tuple[str, str | None], AgeRow]:
    """By host and plan, or schedule where there is none."""
    found = listed(ledger, now=now).items
    return {
        (row.age.host.name, row.age.plan or (row.age.schedules[0].name if row.age.schedules else None)): row
        for row in found
    }


def hello(ledger: Ledger, host: str, *plans: str) -> None:
    said = json.dumps([{"name": plan, "repository": f"sftp:nas:/srv/{plan}", "sources": ["/x"]} for plan in plans])
    ledger.commit(RecordHello(host, NOON, False, "0.1", "nas.lan", "linux", "x86_64", "UTC", "0.14.0", said))


def ended(ledger: Ledger, host: str, *, at: int = NOON - HOUR, of: str | None = None, good: bool = True,
          **changes: Any) -> str:  # fmt: skip
    """A backup that ended, with what the rules write beside it."""
    report = structs.replace(end(host, ids.new(), schedule_id=of, at=at), **{"stats": STATS, **changes})
    subject = of or (f"plan:{report.plan}" if report.plan else "")
    ledger.commit(SaveEnd(report, of, subject, None), *([MarkGood(of, at)] if of is not None and good else []))
    return report.job_id


def remembered(ledger: Ledger, host: str, subject: str, *, plan: str | None = None, good_at: int | None = None) -> None:
    last = json.dumps({"job_id": "j", "verdict": "bad", "at": 1, "spool_id": None, "seq": None, "plan": plan})
    ledger.commit(SaveAlertState(host, "backup_failed", subject, 1, last, None, good_at, False))


# ---- which rows there are


def test_there_is_a_row_for_each_plan_of_the_file_of_schedules_and_of_reports(ledger: Ledger) -> None:
    host = ledger.host("nas", tags='["prod"]')
    hello(ledger, host, "home")
    ledger.schedule(host, params='{"plan": "music"}')
    ended(ledger, host, plan="photos")
    remembered(ledger, host, "plan:broken")
    found = rows(ledger)
    assert {plan: (row.age.repository, row.age.in_file, row.age.state) for (_, plan), row in found.items()} == {
        "home": ("sftp:nas:/srv/home", True, "never"),
        "music": ("", False, "never"),
        "photos": ("", False, "no_limit"),
        "broken": ("", False, "never"),
    }
    assert {row.age.host.tags for row in found.values()} == {("prod",)}


def test_what_was_good_once_is_not_called_never_good(ledger: Ledger) -> None:
    host = ledger.host(hello=False)
    remembered(ledger, host, "plan:home", good_at=NOON - DAY)
    assert rows(ledger) == {}, "its good end is known elsewhere, or it was removed long ago"


def test_deleted_hosts_and_schedules_and_other_kinds_have_none(ledger: Ledger) -> None:
    host = ledger.host("nas")
    gone = ledger.schedule(host, params='{"plan": "home"}')
    ledger.schedule(host, kind="check", params='{"plan": "music"}')
    ledger.commit(DeleteSchedule(gone, NOON, audit()))
    other = ledger.host("old")
    ended(ledger, other, plan="home")
    ledger.commit(DeleteHost(other, NOON, audit()))
    assert rows(ledger) == {}


def test_a_schedule_without_a_plan_runs_the_only_plan_of_its_host_or_what_it_ran_last(ledger: Ledger) -> None:
    one, two, cron = ledger.host("one"), ledger.host("two"), ledger.host("cron", hello=False)
    hello(ledger, one, "home")
    hello(ledger, two, "home", "music")
    first, second = ledger.schedule(one), ledger.schedule(two)
    third, fourth = ledger.schedule(cron, name="Weekly", mode="external"), ledger.schedule(cron, mode="external")
    remembered(ledger, two, second, plan="music")
    remembered(ledger, cron, fourth, plan="data")
    found = {key: [each.id for each in row.age.schedules] for key, row in rows(ledger).items()}
    assert found == {
        ("one", "home"): [first], ("two", "home"): [], ("two", "music"): [second], ("cron", "Weekly"): [third],
        ("cron", "data"): [fourth],
    }  # fmt: skip


def test_backups_that_name_nothing_have_a_row_while_they_are_kept(ledger: Ledger) -> None:
    host = ledger.host(hello=False)
    by_schedule = ledger.schedule(host, mode="external")
    ended(ledger, host, of=by_schedule)
    assert set(rows(ledger)) == {("nas1", "Nightly")}
    job = ended(ledger, host, at=NOON - 2 * HOUR)
    loose = rows(ledger)["nas1", None]
    assert (loose.age.newest_good_at, loose.good) == (NOON - 2 * HOUR, GoodJob(job, 12, 3400))
    assert loose.attempt is not None
    assert loose.attempt.job_id == job
    ledger.connection.execute("DELETE FROM jobs")
    assert set(rows(ledger)) == {("nas1", "Nightly")}


def test_such_a_row_is_there_also_if_none_went_well(ledger: Ledger) -> None:
    host = ledger.host(hello=False)
    ended(ledger, host, status="failed", reason="error")
    remembered(ledger, host, "")
    loose = rows(ledger)["nas1", None]
    assert (loose.age.state, loose.good) == ("never", GoodJob())


def test_plans_that_cannot_be_read_are_none(ledger: Ledger) -> None:
    host = ledger.host()
    for text in ("[{]", '[{"name": 5}]', "{}"):
        ledger.connection.execute("UPDATE hosts SET plans = ? WHERE id = ?", (text, host))
        assert rows(ledger) == {}


def test_a_long_list_of_plans_is_read_as_well(ledger: Ledger) -> None:
    host = ledger.host()
    hello(ledger, host, *(f"{number} {'x' * 100}" for number in range(100)))
    assert len(rows(ledger)) == 100


# ---- what is shown of a row


def test_the_newest_good_backup_is_shown_with_its_job_and_what_it_held(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "home"}', max_age_hours=26.0)
    ended(ledger, host, plan="home", of=schedule, at=NOON - 3 * HOUR)
    job = ended(ledger, host, plan="home", of=schedule)
    row = rows(ledger)["nas1", "home"]
    assert (row.age.newest_good_at, row.good, row.age.state) == (NOON - HOUR, GoodJob(job, 12, 3400), "ok")
    ledger.connection.execute("DELETE FROM jobs")
    row = rows(ledger)["nas1", "home"]
    assert (row.age.newest_good_at, row.good, row.attempt) == (NOON - HOUR, GoodJob(None, 12, 3400), None)


def test_a_partial_run_that_counts_as_good_is_shown_with_its_own_job(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "home"}', on_partial="ok")
    ended(ledger, host, plan="home", of=schedule, at=NOON - DAY)
    job = ended(ledger, host, plan="home", of=schedule, status="partial", reason="partial")
    row = rows(ledger)["nas1", "home"]
    assert (row.age.newest_good_at, row.good) == (NOON - HOUR, GoodJob(job, 12, 3400))
    assert row.attempt == Attempt(job, "partial", "partial", NOON - HOUR)
    ledger.connection.execute("DELETE FROM jobs")
    assert rows(ledger)["nas1", "home"].good == GoodJob()


def test_the_newest_attempt_is_of_the_schedules_or_of_none_and_of_this_plan(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "home"}')
    ended(ledger, host, plan="home", of=schedule, at=NOON - 5 * HOUR)
    ended(ledger, host, plan="music", of=schedule, at=NOON - HOUR)  # before it was changed
    ended(ledger, host, plan="home", of=schedule, at=NOON - HOUR, kind="check")
    by_hand = ended(ledger, host, plan="home", at=NOON - 4 * HOUR, status="failed", reason="locked")
    assert rows(ledger)["nas1", "home"].attempt == Attempt(by_hand, "failed", "locked", NOON - 4 * HOUR)
    begun = structs.replace(start(host, ids.new(), schedule_id=schedule, at=NOON - 3 * HOUR), plan="home")
    ledger.commit(SaveStart(begun, schedule, schedule, NOON + DAY, None))
    assert rows(ledger)["nas1", "home"].attempt == Attempt(begun.job_id, "running", None, NOON - 3 * HOUR)


def test_an_overdue_row_leads_to_its_open_alert(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "home"}', max_age_hours=1.0, at=NOON - DAY)
    lax = ledger.schedule(host, params='{"plan": "home"}', max_age_hours=23.0, at=NOON - DAY)
    assert rows(ledger)["nas1", "home"].age.state == "overdue"
    assert rows(ledger)["nas1", "home"].alert_id is None
    of_lax = ledger.raise_(host, lax, "backup_overdue")
    assert rows(ledger)["nas1", "home"].alert_id == of_lax
    own = ledger.raise_(host, schedule, "backup_overdue")
    assert rows(ledger)["nas1", "home"].alert_id == own
    ledger.resolve(own)
    ledger.resolve(of_lax)
    assert rows(ledger)["nas1", "home"].alert_id is None


def test_an_alert_that_is_open_makes_it_overdue_and_one_of_another_kind_does_not(ledger: Ledger) -> None:
    host = ledger.host()
    schedule = ledger.schedule(host, params='{"plan": "home"}', max_age_hours=26.0)
    ended(ledger, host, plan="home", of=schedule)
    ledger.raise_(host, schedule, "stale_schedule")
    assert rows(ledger)["nas1", "home"].age.state == "ok"
    ledger.raise_(host, schedule, "backup_overdue")
    assert rows(ledger)["nas1", "home"].age.state == "overdue"


def test_the_newest_good_restore_test_is_shown_beside_it(ledger: Ledger) -> None:
    host = ledger.host()
    hello(ledger, host, "home", "music")
    job = ended(ledger, host, plan="home", kind="restore_test", at=NOON - DAY)
    row = rows(ledger)["nas1", "home"]
    assert row.age.restore_test is not None
    assert (row.age.restore_test.at, row.test_job_id, row.test_stats) == (NOON - DAY, job, STATS)
    assert row.attempt is None, "it is no backup"
    ledger.connection.execute("DELETE FROM jobs")
    row = rows(ledger)["nas1", "home"]
    assert (row.test_job_id, row.test_stats) == (None, STATS)


@pytest.mark.parametrize(
    ("stats", "found"),
    [
        ({"files_total": 3, "bytes_total": 4}, (3, 4)),
        ({"total_files_processed": 3, "total_bytes_processed": 4}, (3, 4)),  # as restic says it
        ({"files_total": 0}, (0, None)),
        ({"files_total": "3", "bytes_total": True}, (None, None)),
        ({"files_total": -1, "bytes_total": 1e300}, (None, None)),
        ({"bytes_total": 2.0**63}, (None, 1 << 62)),
    ],
)
def test_what_a_backup_held(stats: dict[str, object], found: tuple[int | None, int | None]) -> None:
    assert held(json.dumps(stats)) == found


# ---- narrowed and in order


@pytest.fixture
def fleet(ledger: Ledger) -> Ledger:
    """Hosts of which each has something that the others have not."""
    for number, name in enumerate(("Alpha", "beta", "gamma", "delta")):
        host = ledger.host(name, tags='["even"]' if number % 2 == 0 else '["odd", "all"]')
        hello(ledger, host, "home", "music")
        schedule = ledger.schedule(
            host, name=f"of {name}", params='{"plan": "home"}', at=NOON - 9 * DAY,
            max_age_hours=(26.0, 2.0, None, 100.0)[number],
        )  # fmt: skip
        if number != 3:
            ended(ledger, host, plan="home", of=schedule, at=NOON - (number + 1) * 5 * HOUR,
                  **({"stats": json.dumps({"files_total": 50 - number})} if number else {}))  # fmt: skip
        if number == 1:
            ended(ledger, host, plan="home", kind="restore_test", at=NOON - DAY)
            ended(
                ledger, host, plan="home", of=schedule, good=False, status="failed", reason="locked", at=NOON - MINUTE
            )
    return ledger


def test_counts_are_of_all_states_and_rows_of_the_one_that_is_wanted(fleet: Ledger) -> None:
    assert listed(fleet).counts == {"overdue": 2, "never": 4, "no_limit": 1, "ok": 1}
    for state, many in listed(fleet).counts.items():
        found = listed(fleet, AgeFilter(state=state))
        assert [row.age.state for row in found.items] == [state] * many
        assert found.counts == listed(fleet).counts


def test_it_is_narrowed_to_a_tag_and_to_a_host(fleet: Ledger) -> None:
    assert {row.age.host.name for row in listed(fleet, AgeFilter(tag="all")).items} == {"beta", "delta"}
    assert listed(fleet, AgeFilter(tag="all")).counts == {"overdue": 2, "never": 2, "no_limit": 0, "ok": 0}
    assert listed(fleet, AgeFilter(tag="al")).items == []
    host = fleet.value("SELECT id FROM hosts WHERE name = 'beta'")
    assert [(row.age.host.name, row.age.plan) for row in listed(fleet, AgeFilter(host_id=host)).items] == [
        ("beta", "home"), ("beta", "music"),
    ]  # fmt: skip
    assert listed(fleet, AgeFilter(host_id="another")).items == []


def test_the_worst_come_first(fleet: Ledger) -> None:
    assert [(row.age.host.name, row.age.plan, row.age.state) for row in listed(fleet).items] == [
        ("delta", "home", "overdue"), ("beta", "home", "overdue"),
        ("Alpha", "music", "never"), ("beta", "music", "never"), ("delta", "music", "never"),
        ("gamma", "music", "never"), ("gamma", "home", "no_limit"), ("Alpha", "home", "ok"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("by", "first"),
    [
        ("host", "Alpha"), ("plan", "Alpha"), ("repository", "Alpha"), ("limit", "beta"), ("left", "delta"),
        ("-newest_good", "Alpha"), ("-files", "beta"), ("-bytes", "Alpha"), ("-restore_test", "beta"),
        ("-attempt", "beta"), ("outcome", "beta"), ("-state", "Alpha"), ("-host", "gamma"),
    ],
)  # fmt: skip
def test_each_column_sorts_both_ways(fleet: Ledger, by: str, first: str) -> None:
    order = AgeOrder(by.removeprefix("-"), by.startswith("-"))  # type: ignore[arg-type]
    found = listed(fleet, order=order).items
    assert found[0].age.host.name == first
    other = listed(fleet, order=replace(order, descending=not order.descending)).items
    assert found == other[::-1]


@pytest.mark.parametrize("by", AGE_SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_meet_without_gap_or_overlap(fleet: Ledger, by: AgeSort, descending: bool) -> None:
    order = AgeOrder(by, descending)
    read = partial(backup_ages, fleet.connection, EVERYTHING, order, NOON)
    seen: list[AgeRow] = []
    after = None
    for _ in range(10):
        page = read(3, after)
        seen += page.items
        after = page.after
        if after is None:
            break
        assert [type(part) for part in after] == list(place_shape(by))
    assert seen == read(1000).items
    assert len(seen) == 8


@on_sqlite_alone
def test_it_costs_no_more_when_more_jobs_are_kept(fleet: Ledger) -> None:
    """Counted in steps of SQLite's machine: these do not depend on the machine beneath."""
    steps = []
    for many in (50, 2000):
        host, schedule = fleet.rows("SELECT host_id, id FROM schedules ORDER BY id LIMIT 1")[0]
        for number in range(many):
            fleet.connection.execute(
                "INSERT INTO jobs (id, host_id, kind, plan, schedule_id, subject, status, finished_at, sort_at)"
                " VALUES (?, ?, 'backup', 'home', ?, ?, 'failed', ?, ?)",
                (ids.new(), host, schedule, schedule, NOON - DAY - number, NOON - DAY - number),
            )
        taken: list[None] = []
        fleet.connection.set_progress_handler(lambda taken=taken: taken.append(None), 10)  # type: ignore[misc]
        for by in AGE_SORTS:
            listed(fleet, order=AgeOrder(by))
        fleet.connection.set_progress_handler(None, 0)
        steps.append(len(taken))
    assert steps[1] < 1.2 * steps[0], steps
