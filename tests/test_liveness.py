"""When a host that says nothing is silent. Seconds on a clock that never jumps."""

import pytest

from rmactors.liveness import Liveness


@pytest.mark.parametrize(
    ("last_sign", "not_before", "now", "silent"),
    [
        (100.0, 0.0, 999.9, False),
        (100.0, 0.0, 1000.0, True),  # 900 s after the last sign
        (-5000.0, 120.0, 119.9, False),  # silent for long, but the server has only just started
        (-5000.0, 120.0, 120.0, True),
        (-800.0, 120.0, 119.9, False),
        (-780.0, 120.0, 120.0, True),
        (50.0, 120.0, 120.0, False),  # it came back within the grace
        (50.0, 120.0, 950.0, True),
    ],
)
def test_silence(last_sign: float, not_before: float, now: float, silent: bool) -> None:
    liveness = Liveness(last_sign, 900.0, not_before)
    assert liveness.is_silent(now) is silent
    assert (now >= liveness.deadline()) is silent
