"""Cron expressions in plain words."""

import pytest

from rmactors.common import clock
from rmactors.server.calendars.when import When
from rmactors.server.web.views import schedules
from rmactors.server.web.views.times import Moment


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("30 2 * * *", "Every day at 02:30"),
        ("0 1 * * 1-5", "Monday to Friday at 01:00"),
        ("0 4 * * 0", "On Sunday at 04:00"),
        ("0 4 * * SAT,SUN", "On Saturday and Sunday at 04:00"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("* * * * *", "Every minute"),
        ("0 * * * *", "Every hour, on the hour"),
        ("20 * * * *", "Every hour at minute 20"),
        ("0 */6 * * *", "Every 6 hours"),
        ("0 2,14 * * *", "Every day at 02:00 and 14:00"),
        ("0 3 1 * *", "On the 1st of each month at 03:00"),
        ("0 3 2,22 6 *", "On the 2nd and 22nd of June at 03:00"),
        ("0 3 * 7 *", "Every day in July at 03:00"),
        ("@daily", "Every day at 00:00"),
        ("@weekly", "On Sunday at 00:00"),
        ("@yearly", "On the 1st of January at 00:00"),
        ("@hourly", "Every hour, on the hour"),
        ("*/7 3-9/2 */3 * 1#2", "*/7 3-9/2 */3 * 1#2"),  # no short wording: as it is written
        ("nonsense", "nonsense"),
    ],
)
def test_common_expressions_read_as_sentences(expression: str, text: str) -> None:
    assert schedules.in_words(expression) == text


def test_the_next_fires_are_shown_in_the_viewers_zone() -> None:
    moment = Moment(clock.from_rfc3339("2026-11-23T12:00:00Z"))
    fires = schedules.next_fires(When("0 2 * * *", None, None, "Europe/Berlin"), moment, 2)
    assert [fire.words for fire in fires] == ["Tue 24 Nov, 01:00", "Wed 25 Nov, 01:00"]


def test_an_expression_that_cannot_be_read_has_no_fires() -> None:
    moment = Moment(0)
    assert schedules.next_fires(When("0 0 31 2 *", None, None, "UTC"), moment) == []
    assert schedules.next_run(When("0 2 * * *", None, None, "Middle/Earth"), 0, 0) is None
