"""What a host's page says of restore tests."""

import json
from dataclasses import replace

from rmactors.common import clock
from rmactors.common.vocabulary import JobStatus
from rmactors.server.store.queries.good_ends import GoodEnd
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web.views.restore_tests import RestoreTests, files_and_bytes, restore_tests
from tests.views.test_fleet_views import MOMENT, NOW, SCHEDULE, host, job

TWO_DAYS_AGO = NOW - 2 * clock.DAY
PASSED = GoodEnd("h", "home", "J1", TWO_DAYS_AGO, json.dumps({"files_tested": 20, "bytes_tested": 312_000_000}))


def view(*ends: GoodEnd, allow: list[str] | None = None, last: JobRow | None = None) -> HostView:
    row = replace(host(), allow=None if allow is None else json.dumps(allow))
    return HostView(row, [], {} if last is None else {"restore_test": last}, list(ends))


def of(found: HostView, *plans: str) -> RestoreTests:
    return restore_tests(found, plans, MOMENT)


def test_a_plan_says_when_it_was_proven_and_how_much() -> None:
    (line,) = of(view(PASSED), "home").lines
    assert line.at is not None
    assert (line.at.words, line.amount, line.job_id) == ("2 days ago", "20 files, 312 MB", "J1")
    assert (line.failed, line.scheduled) == (None, False)
    assert of(view(replace(PASSED, kept=0)), "home").lines[0].job_id == "", "there is nothing to lead to any more"
    (lately,) = of(view(replace(PASSED, at=NOW - 23 * clock.HOUR)), "home").lines
    assert lately.at is not None
    assert lately.at.words == "23 h ago"


def test_a_plan_without_a_test_says_so_beside_those_that_have_one() -> None:
    home, etc = of(view(PASSED), "home", "etc").lines
    assert home.at is not None
    assert (etc.plan, etc.at, etc.amount) == ("etc", None, "")


def test_a_later_failure_is_shown_with_what_was_proven_before() -> None:
    def failed(status: JobStatus, at: int, plan: str = "home") -> JobRow:
        return replace(job(status), id="J2", kind="restore_test", plan=plan, finished_at=at)

    (line,) = of(view(PASSED, last=failed("failed", NOW - clock.HOUR)), "home").lines
    assert line.failed is not None
    assert (line.failed.words, line.failed_job) == ("1 h ago", "J2")
    assert line.at is not None
    for other in (failed("failed", TWO_DAYS_AGO - 1), failed("cancelled", NOW), failed("failed", NOW, "etc")):
        assert of(view(PASSED, last=other), "home").lines[0].failed is None
    (never,) = of(view(last=failed("failed", NOW)), "home").lines
    assert (never.at, never.failed_job) == (None, "J2")


def test_a_host_that_does_not_allow_it_is_told_the_line_to_write() -> None:
    assert of(view(), "home").may_begin, "an agent that does not tell what it allows may allow it"
    assert of(view(allow=["restore_test"]), "home").may_begin
    refused = of(view(allow=["backup", "check"]), "home")
    assert not refused.may_begin
    assert refused.allow_line == 'allow = ["backup", "check", "restore_test"]'


def test_who_has_a_schedule_is_not_offered_one() -> None:
    schedule = replace(SCHEDULE, kind="restore_test", params='{"plan": "home"}')

    def scheduled(*plans: str, **changes: object) -> list[bool]:
        found = replace(view(), schedules=[replace(schedule, **changes)])  # type: ignore[arg-type]
        return [line.scheduled for line in of(found, *plans).lines]

    assert scheduled("home", "etc") == [True, False]
    assert scheduled("home", enabled=0) == [False]
    assert scheduled("home", kind="check") == [False]
    assert scheduled("home", params="{}") == [True]
    assert scheduled("home", "etc", params="{}") == [False, False]


def test_a_host_without_plans_shows_those_that_were_tested() -> None:
    assert [line.plan for line in of(view(PASSED, replace(PASSED, plan=""))).lines] == ["home"]
    assert of(view()).lines == ()


def test_numbers_that_are_none_are_not_shown() -> None:
    assert files_and_bytes('{"files_tested": "x", "bytes_tested": -1}') == (None, None)
    for stats, amount in (("{}", ""), ('{"files_tested": 1}', "1 file"), ('{"bytes_tested": 5}', "5 B")):
        assert of(view(replace(PASSED, stats=stats)), "home").lines[0].amount == amount
