"""How old the newest good backup of each plan is: one row a case."""

from typing import Any

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.state.ages import (
    MOST_REPORTED,
    AgedHost,
    BackupSchedule,
    End,
    Heard,
    PlanAge,
    ages_of,
    counts_from,
    due_at,
    plans_run,
)
from tests.rules.asked import NOON

NOTHING = Heard({}, {})


def schedule(id: str = "s", plan: str | None = "home", **changes: Any) -> BackupSchedule:
    """Wants a good backup every 26 hours, had one 25 hours before noon, was made a month ago."""
    made = BackupSchedule(id, id.title(), True, True, plan, None, 26.0, None, NOON - 25 * HOUR, NOON - 30 * DAY)
    return made._replace(**changes)


def host(*plans: str, **changes: Any) -> AgedHost:
    known: dict[str, Any] = {"plans": {plan: f"/srv/{plan}" for plan in plans}, "clock_offset": 0, **changes}
    return AgedHost("h", "NAS", "nas", ("prod",), **known)


def rows(
    of: AgedHost, *schedules: BackupSchedule, heard: Heard = NOTHING, alerted: tuple[str, ...] = (), now: int = NOON
) -> dict[str | None, PlanAge]:
    """By plan, or by schedule where there is none."""
    found = ages_of(of, schedules, heard, alerted, now)
    named = {row.plan or (row.schedules[0].id if row.schedules else None): row for row in found}
    assert len(named) == len(found)
    return named


def heard(plan: str = "home", at: int = NOON - HOUR) -> Heard:
    return Heard({plan: End("job", at)}, {})


# ---- a schedule


@pytest.mark.parametrize(
    ("changes", "offset", "due"),
    [
        ({}, 0, NOON + HOUR + 1),
        ({"last_good_at": None}, 0, NOON - 30 * DAY + 26 * HOUR + 1),  # from when it was made
        ({"last_good_at": 0}, 0, NOON - 30 * DAY + 26 * HOUR + 1),
        ({}, -40 * MINUTE, NOON + HOUR + 40 * MINUTE + 1),  # the host's clock is behind: it told too early a time
        ({}, 40 * MINUTE, NOON + HOUR + 1),
        ({"last_good_at": None}, -40 * MINUTE, NOON - 30 * DAY + 26 * HOUR + 1),  # the server's own time
        ({"max_age_hours": None}, 0, None),
        ({"max_age_hours": None, "every_hours": 24.0}, 0, NOON - 25 * HOUR + 48 * HOUR + 1),
        ({"max_age_hours": 1e300}, 0, NOON - 25 * HOUR + 36_525 * DAY + 1),
        ({"enabled": False}, 0, None),
        ({"deleted": True}, 0, None),
    ],
)
def test_when_a_schedule_is_overdue(changes: dict[str, Any], offset: int, due: int | None) -> None:
    given = schedule(**changes)
    assert due_at(given, offset) == due
    if due is not None and given.limit_hours is not None and given.limit_hours < 1000:
        assert counts_from(given, offset) == due - round(given.limit_hours * HOUR) - 1


@pytest.mark.parametrize(
    ("named", "by_agent", "of_host", "last", "runs"),
    [
        ("home", True, ("data",), "data", ("home",)),
        (None, True, ("data",), None, ("data",)),
        (None, True, ("data",), "data", ("data",)),
        (None, True, ("data",), "home", ("data", "home")),  # it was another one when it ran last
        (None, True, ("data", "home"), None, ()),
        (None, True, ("data", "home"), "home", ("home",)),
        (None, True, (), None, ()),
        (None, False, ("data",), None, ()),  # a cron job backs up what it likes
        (None, False, ("data",), "home", ("home",)),
    ],
)
def test_which_plans_a_schedule_runs(
    named: str | None, by_agent: bool, of_host: tuple[str, ...], last: str | None, runs: tuple[str, ...]
) -> None:
    assert plans_run(named, by_agent, of_host, last) == runs


# ---- which rows there are


def test_each_plan_of_the_file_has_a_row_whether_anything_is_known_of_it_or_not() -> None:
    found = rows(host("home", "music"))
    assert {plan: (row.repository, row.in_file, row.state) for plan, row in found.items()} == {
        "home": ("/srv/home", True, "never"), "music": ("/srv/music", True, "never"),
    }  # fmt: skip


def test_so_has_what_a_schedule_names_and_what_is_known_from_reports_alone() -> None:
    known = Heard({"photos": End("job", NOON - HOUR)}, {}, tried=["broken"])
    found = rows(host("home"), schedule(plan="music"), heard=known)
    assert {plan: (row.in_file, row.state) for plan, row in found.items()} == {
        "home": (True, "never"), "music": (False, "ok"), "photos": (False, "no_limit"), "broken": (False, "never"),
    }  # fmt: skip


def test_of_a_host_that_only_reports_nobody_knows_what_is_in_its_file() -> None:
    (row,) = rows(host(plans=None), heard=heard()).values()
    assert (row.in_file, row.repository, row.state) == (None, "", "no_limit")


def test_of_plans_that_a_host_makes_up_only_the_newest_are_shown() -> None:
    made_up = {f"day {number}": End("job", NOON - number * DAY) for number in range(MOST_REPORTED + 20)}
    found = rows(host("home"), heard=Heard(made_up, {}, tried=["a", "b"]))
    assert set(found) == {"home", *(f"day {number}" for number in range(MOST_REPORTED))}


def test_a_schedule_that_names_no_plan_is_a_row_by_itself_until_it_is_known_what_it_runs() -> None:
    cron = schedule("cron", None, by_agent=False)
    found = rows(host("home", "music"), cron, schedule("other", None))
    assert set(found) == {"home", "music", "cron", "other"}
    assert (found["cron"].plan, found["cron"].in_file, found["cron"].state) == (None, None, "ok")
    assert found["cron"].newest_good_at == NOON - 25 * HOUR
    found = rows(host("home", "music"), cron._replace(last_plan="music"))
    assert {plan: [each.id for each in row.schedules] for plan, row in found.items()} == {"home": [], "music": ["cron"]}


def test_backups_that_name_neither_plan_nor_schedule_share_a_row() -> None:
    good = End("job", NOON - HOUR)
    found = rows(host("home"), heard=Heard({}, {}, loose=True, loose_good=good))
    assert (found[None].state, found[None].good, found[None].newest_good_at) == ("no_limit", good, good.at)
    assert rows(host(), heard=Heard({}, {}, loose=True))[None].state == "never"


def test_no_two_rows_stand_in_the_same_place() -> None:
    known = Heard({"home": End("job", NOON)}, {}, loose=True)
    found = ages_of(host("home"), [schedule("a", None, by_agent=False), schedule("b", None, by_agent=False)],
                    known, (), NOON)  # fmt: skip
    assert len({row.place for row in found}) == len(found) == 4


# ---- the limit


def test_it_is_overdue_the_moment_its_schedule_is() -> None:
    assert rows(host("home"), schedule(), now=NOON + HOUR)["home"].state == "ok"
    late = rows(host("home"), schedule(), now=NOON + HOUR + 1)["home"]
    assert (late.state, late.due_at, late.limit_hours) == ("overdue", NOON + HOUR + 1, 26.0)


def test_of_several_limits_the_one_that_ends_first_counts_and_is_named() -> None:
    strict, lax = schedule("strict", max_age_hours=26.0), schedule("lax", max_age_hours=48.0)
    for order in ((strict, lax), (lax, strict)):
        row = rows(host("home"), *order)["home"]
        assert (row.limited_by, row.due_at) == (strict, NOON + HOUR + 1)
    # only partial runs since, which are good for the strict one
    behind = lax._replace(last_good_at=NOON - 3 * DAY)
    row = rows(host("home"), strict, behind)["home"]
    assert (row.limited_by, row.state, row.newest_good_at) == (behind, "overdue", NOON - 25 * HOUR)
    assert rows(host("home"), strict, behind._replace(enabled=False))["home"].limited_by == strict


def test_what_has_no_limit_says_so_and_what_was_never_good_does_too() -> None:
    free = schedule(max_age_hours=None)
    row = rows(host("home"), free)["home"]
    assert (row.state, row.limited_by, row.due_at, row.limit_hours) == ("no_limit", None, None, None)
    fresh = schedule(last_good_at=None, created_at=NOON)
    assert rows(host("home"), fresh)["home"].state == "never"
    assert rows(host("home"), fresh, now=NOON + 27 * HOUR)["home"].state == "overdue"


def test_an_open_alert_is_overdue_whatever_the_arithmetic_says() -> None:
    """The host told of another clock after it was raised."""
    assert rows(host("home"), schedule(), alerted=("s",))["home"].state == "overdue"
    assert rows(host("home"), schedule(), alerted=("another",))["home"].state == "ok"


# ---- the newest good backup


def test_a_good_end_of_the_plan_is_the_newest_with_its_job() -> None:
    row = rows(host("home"), schedule(max_age_hours=None, last_good_at=NOON - DAY), heard=heard())["home"]
    assert (row.newest_good_at, row.good) == (NOON - HOUR, End("job", NOON - HOUR))


def test_a_partial_run_that_its_schedule_calls_good_is_newer_than_the_last_that_succeeded() -> None:
    row = rows(host("home"), schedule(last_good_at=NOON - MINUTE), heard=heard())["home"]
    assert (row.newest_good_at, row.good) == (NOON - MINUTE, None)


def test_a_schedule_that_was_changed_to_this_plan_had_its_good_ends_of_the_other() -> None:
    moved = schedule(last_good_at=NOON - HOUR)
    found = rows(host("home", "music"), moved, heard=heard("music"))
    assert (found["home"].newest_good_at, found["home"].state) == (None, "never")
    assert found["music"].newest_good_at == NOON - HOUR
    both = Heard({"music": End("m", NOON - HOUR), "home": End("h", NOON - HOUR)}, {})
    assert rows(host("home", "music"), moved, heard=both)["home"].good == End("h", NOON - HOUR)


def test_restore_tests_are_of_their_plan() -> None:
    known = Heard({}, {"home": End("test", NOON)})
    found = rows(host("home", "music"), schedule("cron", None, by_agent=False), heard=known)
    assert {name: row.restore_test for name, row in found.items()} == {
        "home": End("test", NOON), "music": None, "cron": None,
    }  # fmt: skip
