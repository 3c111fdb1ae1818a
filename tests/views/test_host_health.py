"""What a host's page says of the host's clock, time zone data and restic."""

from dataclasses import replace

import pytest

from rmactors.common import clock
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.web.views import host_health
from rmactors.server.web.views.times import Moment
from tests.views.test_fleet_views import SCHEDULE, host

VANCOUVER = replace(SCHEDULE, timezone="America/Vancouver")


def view(*schedules: object, **changes: object) -> HostView:
    return HostView(replace(host(), **changes), list(schedules), {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offset", "fact", "warns"),
    [
        (None, "", ""),  # it has not said
        (0.0, "as the server's", ""),
        (-1.9, "as the server's", ""),
        (3.0, "3 s ahead of the server's", ""),
        (29.9, "30 s ahead of the server's", ""),
        (91.0, "91 s ahead of the server's", "Its clock is 91 s ahead of the server's. Runs still count"),
        (-600.0, "10 min behind the server's", "Its clock is 10 min behind the server's. Runs still count"),
        (7300.0, "2 h ahead of the server's", "That is too far"),
    ],
)
def test_a_clock_is_compared_with_the_servers(offset: float | None, fact: str, warns: str) -> None:
    found = view(clock_offset_seconds=offset)
    assert host_health.clock_fact(found.host) == fact
    warnings = host_health.warnings(found, "2026f")
    assert len(warnings) == bool(warns)
    assert warns in " ".join(warnings)


@pytest.mark.parametrize(
    ("theirs", "ours", "fact", "warns"),
    [
        (None, "2026f", "", ""),  # an older agent does not say
        ("2026f", "", "2026f", ""),
        ("2026f", "2026f", "2026f", ""),
        ("2025b", "2026f", "2025b (the server has 2026f)", "Update tzdata on the host"),
        ("2026f", "2025b", "2026f (the server has 2025b)", "Update tzdata on the server"),
    ],
)
def test_time_zone_data_is_compared_with_the_servers(theirs: str | None, ours: str, fact: str, warns: str) -> None:
    found = view(VANCOUVER, tzdata_version=theirs)
    assert host_health.data_fact(found.host, ours) == fact
    warnings = host_health.warnings(found, ours)
    assert len(warnings) == bool(warns)
    assert warns in " ".join(warnings)


def test_other_data_is_no_warning_where_no_schedule_depends_on_it() -> None:
    for schedules in ([], [SCHEDULE], [replace(VANCOUVER, enabled=0)]):
        assert host_health.warnings(view(*schedules, tzdata_version="2025b"), "2026f") == ()
    on_calendar = replace(SCHEDULE, cron=None, on_calendar="03:00 America/Vancouver")
    assert len(host_health.warnings(view(on_calendar, tzdata_version="2025b"), "2026f")) == 1


def test_a_restic_that_cannot_be_used_is_said_and_warned_of_where_there_are_plans() -> None:
    gone = {"restic_version": None, "restic_problem": "restic: command not found"}
    assert host_health.restic_fact(view(**gone).host) == "restic: command not found"
    assert host_health.warnings(view(**gone), "2026f") == ()
    planned = view(**gone, plans='[{"name": "home"}]')
    assert host_health.warnings(planned, "2026f") == ("The agent cannot use restic: restic: command not found.",)
    assert host_health.restic_fact(view(restic_version=None).host) == "not found"
    assert host_health.restic_fact(view().host) == "0.14.0"


def test_a_spool_that_cannot_be_written_is_said_with_the_time() -> None:
    now = Moment(clock.from_rfc3339("2026-11-28T12:00:00Z"))
    assert host_health.spool(host(), now) == ()
    since = clock.from_rfc3339("2026-11-28T11:00:00Z")
    (told,) = host_health.spool(replace(host(), spool_problem="the disk is full", spool_problem_since=since), now)
    assert told.startswith("Its spool cannot be written since 2026-11-28 11:00:00 UTC: the disk is full.")
    (told,) = host_health.spool(replace(host(), spool_problem="the disk is full"), now)
    assert told.startswith("Its spool cannot be written: the disk is full.")


def test_a_schedule_that_cannot_be_read_here_is_named_with_what_to_do() -> None:
    foreign = replace(SCHEDULE, timezone="Mars/Olympus")
    assert host_health.unreadable([SCHEDULE, replace(foreign, enabled=0)]) == ()
    [said] = host_health.unreadable([SCHEDULE, foreign])
    assert said.startswith("Its schedule Nightly is not watched: unknown time zone 'Mars/Olympus'")
    assert said.endswith("Update tzdata on the server, or change the schedule.")
