"""What the table of backup ages says of a row, and where its links lead."""

from typing import Any

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.state.ages import AgedHost, BackupSchedule, End, PlanAge
from rmactors.server.store.queries.backup_ages import AGE_SORTS, AgeFilter, AgeOrder, AgePage, AgeRow, Attempt, GoodJob
from rmactors.server.web import rows
from rmactors.server.web.views import backup_ages as views
from rmactors.server.web.views.backup_ages import AgeLine, AgeQuery
from rmactors.server.web.views.times import Moment
from rmactors.server.web.views.words import State
from tests.rules.asked import NOON

NOW = Moment(NOON)
HOST = AgedHost("H", "NAS", "nas", ("prod", "db"), {"home": "/srv/home"})
NIGHTLY = BackupSchedule("S", "Nightly", True, True, "home", None, 26.0, None, NOON - DAY, NOON - 9 * DAY)


def row(age: dict[str, Any] | None = None, **shown: Any) -> AgeRow:
    made = PlanAge(HOST, "home", "/srv/home", True, (), None, None, None, None, "never", None)
    return AgeRow(made._replace(**(age or {})), **shown)


def test_a_row_that_is_known_from_end_to_end() -> None:
    tested = '{"files_tested": 20, "bytes_tested": 312000000}'
    line = views.line(
        row(
            {"newest_good_at": NOON - DAY, "limited_by": NIGHTLY, "due_at": NOON + 2 * HOUR, "state": "ok",
             "restore_test": End("T", NOON - 2 * DAY)},
            good=GoodJob("J", 1234, 5_000_000), attempt=Attempt("A", "failed", "locked", NOON - MINUTE),
            test_job_id="T", test_stats=tested,
        ),
        NOW,
    )  # fmt: skip
    assert (line.id, line.name, line.tags, line.plan, line.plan_sub) == ("H", "NAS", "prod, db", "home", "/srv/home")
    assert (line.state, line.state_href) == (State("ok", "In time"), "")
    assert (line.limit, line.limit_sub, line.left, line.left_tone) == ("26 h", "Nightly", "2 h left", "off")
    assert line.good is not None
    assert (line.good.words, line.good_sub, line.good_href) == ("1 d ago", "1,234 files · 5.0 MB", "/jobs/J")
    assert line.tested is not None
    assert (line.tested.words, line.tested_sub, line.tested_href) == ("2 d ago", "20 files · 312 MB", "/jobs/T")
    assert line.attempt is not None
    assert (line.attempt.words, line.attempt_state) == ("1 min ago", State("bad", "Failed"))
    assert line.attempt_href == "/jobs/A"


def test_a_row_of_which_nothing_is_known() -> None:
    line = views.line(row(), NOW)
    assert line.state == State("warn", "Never")
    assert (line.good, line.tested, line.attempt, line.attempt_state) == (None,) * 4
    assert (line.limit, line.left, line.good_sub, line.good_href, line.tested_sub, line.attempt_href) == ("",) * 6


def test_one_that_is_overdue_leads_to_its_alert_and_says_how_long() -> None:
    line = views.line(row({"state": "overdue", "limited_by": NIGHTLY, "due_at": NOON - 3 * DAY}, alert_id="alert"), NOW)
    assert (line.state, line.state_href) == (State("bad", "Overdue"), "/alerts/alert")
    assert (line.left, line.left_tone) == ("3 d over", "bad")


def test_time_that_is_left_while_the_alert_is_open_is_no_comfort() -> None:
    line = views.line(row({"state": "overdue", "limited_by": NIGHTLY, "due_at": NOON + HOUR}), NOW)
    assert (line.left, line.left_tone) == ("1 h left", "bad")


@pytest.mark.parametrize(
    ("age", "plan", "sub"),
    [
        ({}, "home", "/srv/home"),
        ({"in_file": False, "repository": ""}, "home", "not in the agent's file"),
        ({"in_file": None, "repository": ""}, "home", ""),
        ({"plan": None, "in_file": None, "repository": "", "schedules": (NIGHTLY,)}, "Nightly",
         "a schedule that names no plan"),
        ({"plan": None, "in_file": None, "repository": ""}, "backups without a plan", ""),
    ],
)  # fmt: skip
def test_what_a_row_is_called(age: dict[str, Any], plan: str, sub: str) -> None:
    line = views.line(row(age), NOW)
    assert (line.plan, line.plan_sub) == (plan, sub)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(1.0, "1 h"), (30.5, "30.5 h"), (72.0, "72 h"), (168.0, "7 d"), (0.5, "30 min"), (0.01, "36 s")],
)
def test_limits_in_words(hours: float, words: str) -> None:
    limited_by = NIGHTLY._replace(max_age_hours=hours)
    assert views.line(row({"limited_by": limited_by, "due_at": NOON}), NOW).limit == words


def test_a_row_that_cannot_be_shown_names_its_host_all_the_same() -> None:
    stand_in = rows.line(AgeLine)(row())
    assert (stand_in.id, stand_in.name, stand_in.state.word) == ("H", "NAS", "Cannot be shown")
    assert rows.item(row())["id"] == "H"


# ---- links


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({}, AgeQuery()),
        ({"state": "overdue", "tag": "prod", "host": "H" * 30, "sort": "-left"},
         AgeQuery(AgeFilter("prod", "H" * 26, "overdue"), AgeOrder("left", descending=True))),
        ({"state": "late", "sort": "age", "tag": "", "host": ""}, AgeQuery()),
        ({"tag": "a\0b" + "x" * 200}, AgeQuery(AgeFilter("ab" + "x" * 98))),
        ({"sort": "--left"}, AgeQuery()),
    ],
)  # fmt: skip
def test_what_an_address_asks_for(given: dict[str, str], query: AgeQuery) -> None:
    assert views.query_from(given) == query


@pytest.mark.parametrize("by", AGE_SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_an_order_is_read_as_it_is_written(by: Any, descending: bool) -> None:
    order = AgeOrder(by, descending)
    assert views.order_from(views.order_text(order)) == order
    assert views.href(AgeQuery(order=order)).endswith(f"sort={views.order_text(order)}") != (order == AgeOrder())


def test_links_keep_what_else_is_asked_for() -> None:
    asked = AgeQuery(AgeFilter("a&b", None, "ok"), AgeOrder("host"))
    shown = views.table(AgePage([row()], None, {"ok": 1, "overdue": 1200}), asked, ["a&b", "c"], NOW)
    assert [(choice.word, choice.href, choice.chosen) for choice in shown.states] == [
        ("All 1,201", "/backups?tag=a%26b&sort=host", False),
        ("Overdue 1,200", "/backups?state=overdue&tag=a%26b&sort=host", False),
        ("Never 0", "/backups?state=never&tag=a%26b&sort=host", False),
        ("No limit 0", "/backups?state=no_limit&tag=a%26b&sort=host", False),
        ("In time 1", "/backups?state=ok&tag=a%26b&sort=host", True),
    ]
    links = {link.word: link for column in shown.columns for link in column}
    assert len(links) == len(AGE_SORTS)
    assert (links["Host"].href, links["Host"].direction) == ("/backups?state=ok&tag=a%26b&sort=-host", "ascending")
    assert (links["Left"].href, links["Left"].direction) == ("/backups?state=ok&tag=a%26b&sort=left", "")
    assert [choice.value for choice in shown.tags if choice.chosen] == ["a&b"]
    assert [choice.value for choice in shown.sorts if choice.chosen] == ["host"]
    assert shown.csv_href == "/backups.csv?state=ok&tag=a%26b&sort=host"
    assert (shown.sort, shown.state, shown.empty) == ("host", "ok", None)


def test_what_is_empty_says_why() -> None:
    nothing = AgePage([], None, {})
    for asked, title in ((AgeQuery(), "No plans yet"), (AgeQuery(AgeFilter("x")), "No matches")):
        shown = views.table(nothing, asked, [], NOW)
        assert shown.empty is not None
        assert shown.empty[0] == title


def test_the_dashboard_counts_what_there_is_and_says_how_many_more() -> None:
    glance = views.glance(AgePage([row()], None, {"overdue": 0, "never": 2, "no_limit": 0, "ok": 3}), NOW)
    assert [(count.state, count.href) for count in glance.counts] == [
        (State("warn", "2 never backed up"), "/backups?state=never"), (State("ok", "3 in time"), "/backups?state=ok"),
    ]  # fmt: skip
    assert (len(glance.lines), glance.more) == (1, "4 more plans")
    assert views.glance(AgePage([row()], None, {"never": 1}), NOW).more == ""


# ---- the sheet


def test_a_row_of_the_sheet_has_a_cell_for_each_column_and_no_negative_number() -> None:
    known = {"newest_good_at": NOON - DAY, "limited_by": NIGHTLY, "restore_test": End("T", NOON - DAY)}
    for due, left, over in ((NOON + HOUR, "1.00", ""), (NOON - 90 * MINUTE, "", "1.50"), (NOON, "", "0.00")):
        shown = row({**known, "due_at": due}, good=GoodJob("J", 0, 5), attempt=Attempt("A", "partial", None, NOON))
        cells = dict(zip(views.SHEET, views.cells(shown, NOON), strict=True))
        assert (cells["left_hours"], cells["over_hours"], cells["age_hours"]) == (left, over, "24.00")
        assert (cells["files"], cells["bytes"], cells["limit_hours"], cells["limited_by"]) == (
            "0",
            "5",
            "26",
            "Nightly",
        )
        assert (cells["newest_attempt_status"], cells["newest_attempt_reason"]) == ("partial", "")
        assert cells["last_restore_test_at"] == "2026-11-22T12:00:00.000Z"
    bare = dict(zip(views.SHEET, views.cells(row(), NOON), strict=True))
    assert {name for name, text in bare.items() if text} == {"as_of", "host", "tags", "plan", "repository", "state"}


def test_a_backup_from_the_future_has_no_age() -> None:
    """A host's clock that is ahead."""
    cells = dict(zip(views.SHEET, views.cells(row({"newest_good_at": NOON + HOUR}), NOON), strict=True))
    assert cells["age_hours"] == "0.00"
