"""Times, durations, sizes and states as people read them."""

from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from rmactors.common import clock
from rmactors.common.vocabulary import ALERT_KINDS, JOB_STATUSES, SEVERITIES, JobReason
from rmactors.server.web.views import measures, words
from rmactors.server.web.views.times import Moment, duration, rough, zone_named

NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
BERLIN = Moment(NOW, ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("seconds", "words_of_it"),
    [
        (-5, "just now"),  # a clock that is ahead
        (9, "just now"),
        (10, "10 s ago"),
        (22, "20 s ago"),
        (14 * 60 + 59, "14 min ago"),
        (6 * 3600, "6 h ago"),
        (2 * 86400, "2 d ago"),
        (40 * 86400, "14 Oct"),
        (400 * 86400, "19 Oct 2025"),
    ],
)
def test_the_past_is_told_in_one_unit_and_later_by_date(seconds: int, words_of_it: str) -> None:
    assert BERLIN.ago(NOW - seconds * clock.SECOND).words == words_of_it


@pytest.mark.parametrize(("seconds", "words_of_it"), [(0, "now"), (9 * 3600, "in 9 h"), (45 * 86400, "7 Jan 2027")])
def test_the_future_is_told_likewise(seconds: int, words_of_it: str) -> None:
    assert BERLIN.until(NOW + seconds * clock.SECOND).words == words_of_it


def test_the_exact_time_is_in_the_viewers_zone_and_the_machine_readable_one_in_utc() -> None:
    time = BERLIN.ago(NOW)
    assert (time.exact, time.iso) == ("2026-11-23 13:00:00 CET", "2026-11-23T12:00:00.000Z")


def test_a_time_of_another_day_carries_its_date() -> None:
    assert BERLIN.clock_time(NOW).words == "13:00:00"
    assert BERLIN.clock_time(NOW - clock.DAY).words == "22 Nov 13:00"


def test_an_unknown_zone_reads_as_utc() -> None:
    assert zone_named("Middle/Earth").utcoffset(None) == zone_named(None).utcoffset(None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "under a second"), (41, "41 s"), (250, "4 min 10 s"), (4800, "1 h 20 min"), (273600, "3 d 4 h")],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_rough_duration_is_rounded_down() -> None:
    assert [rough(n) for n in (0, 59, 60, 3599, 7200, 200000)] == ["0 s", "59 s", "1 min", "59 min", "2 h", "2 d"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (18_200_000_000, "18.2 GB"), (740_000_000, "740 MB"), (2**70, "more than 1000 EB")],
)
def test_sizes_are_in_powers_of_ten(count: int, text: str) -> None:
    assert measures.size(count) == text


def test_every_state_has_a_tone_and_a_word() -> None:
    states = [words.job_status(status) for status in JOB_STATUSES] + [words.severity(name) for name in SEVERITIES]
    assert all(state.tone and state.word for state in states)
    assert words.host_status("offline", "6 h").word == "Offline · 6 h"


def test_every_kind_of_alert_and_every_reason_has_words() -> None:
    for kind in ALERT_KINDS:
        assert words.alert_name(kind) != kind
    for code in get_args(JobReason):
        assert words.reason(code) != code


def test_a_reason_is_the_end_of_a_sentence_and_a_good_end_has_none() -> None:
    assert words.reason("wrong_password") == "wrong password"
    assert words.reason("ok") == ""
    assert words.reason("something_newer") == "something_newer"
