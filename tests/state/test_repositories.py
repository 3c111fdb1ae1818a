"""How fast a repository grows, by what was measured of it."""

import pytest

from rmactors.common.clock import DAY
from rmactors.server.state.repositories import Size, growth_a_month

NOON = 20_000 * DAY + DAY // 2


@pytest.mark.parametrize(
    ("sizes", "growth"),
    [
        ({}, None),
        ({0: 10}, None),
        ({-10: 0, 0: 100}, 300),
        ({-60: 0, -30: 100, 0: 400}, 300),
        ({-45: 1000, 0: 100}, -600),
    ],
)
def test_growth_is_of_the_last_thirty_days_or_as_long_as_it_is_known(sizes: dict[int, int], growth: int | None) -> None:
    assert growth_a_month([Size(NOON + day * DAY, held) for day, held in sizes.items()]) == growth


def test_less_than_a_day_says_nothing_of_a_month() -> None:
    assert growth_a_month([Size(NOON - DAY // 2, 10), Size(NOON, 20)]) is None
