"""What a find becomes: a schedule's body, words, and a name of its own."""

import pytest

from rmactors.agent.imports.found import Found, When, Wrapper, each_once, name_of

BEFORE = Wrapper(("/opt/rmactors",), ("--state-dir", "/x y"))


def found(name: str = "home", when: When | None = None, job: str = "") -> Found:
    when = when or When(cron="@daily")
    line = BEFORE.before("backup", name, when) + " restic backup /home"
    return Found("crontab", name, "backup", when, "/etc/crontab, line 1", line, "in its place", job=job)


@pytest.mark.parametrize(
    ("when", "text", "body"),
    [
        (When(cron="@daily", timezone="Asia/Tokyo"), "@daily, Asia/Tokyo", {"cron": "@daily"}),
        (When(on_calendar="daily", grace_seconds=60), "OnCalendar=daily, UTC, grace 60 s", {"on_calendar": "daily"}),
        (When(every_hours=6.0), "every 6 hours", {"every_hours": 6.0}),
        (When(), "at no time that can be watched", None),
        (When(cron="0~30 5 * * *"), "0~30 5 * * *, UTC", None),
    ],
)
def test_a_schedule_is_in_mode_external_and_says_when_in_one_way(
    when: When, text: str, body: dict[str, object] | None
) -> None:
    each = found(when=when)
    assert when.text == text
    shared = {
        "name": "home", "kind": "backup", "mode": "external", "timezone": when.timezone,
        "grace_seconds": when.grace_seconds,
    }  # fmt: skip
    assert each.schedule == ({**shared, **body} if body is not None else None)
    assert bool(when.problem) == ("~" in text)


def test_what_no_schedule_watches_is_reported_without_one() -> None:
    assert BEFORE.before("unlock", "x", When()) == "/opt/rmactors agent exec --kind unlock --state-dir '/x y' --"
    assert "--schedule 'a b' --state-dir" in BEFORE.before("backup", "a b", When(cron="@daily"))


def test_two_of_a_name_get_names_of_their_own_in_their_lines_as_well() -> None:
    names = [each.name for each in each_once([found(), found("Home"), found(), found("x" * 100), found("x" * 100)])]
    assert names == ["home", "Home 2", "home 3", "x" * 100, "x" * 95 + " 2"]
    assert "--schedule 'home 2' --" in each_once([found(), found()])[1].line


def test_what_two_sources_tell_of_the_same_job_is_there_once() -> None:
    both = each_once(
        [found(job="resticprofile backup@home"), found("other", job="resticprofile backup@home"), found("x")]
    )
    assert [each.name for each in both] == ["home", "x"]


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("backup", "/home"), "backup /home"),
        (("", ""), "restic"),
        (("a\n'b' $c%",), "a _b_ _c_"),
        (("é" * 200,), "é" * 100),
    ],
)
def test_a_name_is_one_line_without_signs_that_shells_and_units_read(parts: tuple[str, ...], name: str) -> None:
    assert name_of(*parts) == name
