"""Whatever a row holds, each of these gives a text."""

import json
import math
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rmactors.common import clock, wire
from rmactors.server.web.views import jobs, measures, stats, times
from rmactors.server.web.views.times import Moment

ODD = (10**400, -(10**400), math.inf, -math.inf, math.nan, 1e308, None, "x", True, [], 0, -1, 2**63)
values = st.integers() | st.floats() | st.none() | st.text() | st.booleans()
NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")


@pytest.mark.parametrize("show", [measures.size, measures.number, measures.milliseconds, times.duration, times.rough])
class TestNumbers:
    @pytest.mark.parametrize("value", ODD, ids=lambda value: f"{value!r:.20}")
    def test_odd_ones_have_a_short_text(self, show: Callable[[object], str], value: object) -> None:
        assert len(show(value)) < 40

    @given(value=values)
    def test_any_has_a_short_text(self, show: Callable[[object], str], value: object) -> None:
        assert len(show(value)) < 40


@given(st.integers() | st.integers(min_value=-(2**63), max_value=2**63))
@example(2**63 - 1)
@example(-(2**63))
@example(clock.from_datetime(clock.to_datetime(10**30)))
def test_any_time_can_be_shown_in_any_zone(at: int) -> None:
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12", "America/Vancouver"):
        moment = Moment(NOW, ZoneInfo(zone))
        for shown in (moment.ago(at), moment.until(at), moment.clock_time(at), moment.slot(at)):
            assert shown.words
            assert len(shown.iso) == len("2026-11-23T12:00:00.000Z")
        assert moment.exact(at)
        assert moment.date(at)
    assert isinstance(clock.from_rfc3339(clock.to_rfc3339(at)), int)


@given(st.dictionaries(st.sampled_from(sorted(stats.LABELS)) | st.text(), values | st.just(10**400)))
def test_any_statistics_have_words(given_stats: dict[str, object]) -> None:
    text = json.dumps(given_stats)
    assert all(name is not None and value for name, value in stats.facts(text))
    assert stats.held(text) is None or stats.held(text) >= 0  # type: ignore[operator]


@given(percent=values, done=values, total=values, eta=values)
def test_any_progress_has_words(percent: object, done: object, total: object, eta: object) -> None:
    frame = wire.JobProgress("j", percent, done, total, done, total, eta)  # type: ignore[arg-type]
    shown = jobs.progress(frame)
    assert shown is not None
    assert 0 <= shown.percent <= 100
