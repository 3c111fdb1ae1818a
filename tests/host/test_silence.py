"""When a host that says nothing is silent. Seconds on a clock that never jumps."""

import pytest

from rmactors.server.actors.host.silence import HostClockMonitor, SilenceMonitor


@pytest.mark.parametrize(
    ("last_sign", "grace_until", "now", "silent"),
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
def test_a_host_is_silent_after_900_seconds_and_not_within_the_grace_after_a_start(
    last_sign: float, grace_until: float, now: float, silent: bool
) -> None:
    over = SilenceMonitor(900.0, grace_until, last_sign, watched=True)
    assert (now >= over.deadline()) is silent
    assert over.is_newly_silent(now) is silent


def monitor(*, watched: bool = True, grace_until: float = 0.0) -> SilenceMonitor:
    """Of a host that was heard at 0 and is offline after 900 seconds."""
    return SilenceMonitor(900.0, grace_until, 0.0, watched=watched)


def test_a_silence_is_reported_once_and_its_end_once() -> None:
    over = monitor()
    assert [over.is_newly_silent(now) for now in (899.0, 900.0, 901.0)] == [False, True, False]
    assert over.deadline() == float("inf")
    assert [over.on_sign(now) for now in (1000.0, 1001.0)] == [True, False]
    assert over.deadline() == 1901.0
    assert over.is_newly_silent(1901.0)


def test_a_sign_of_life_puts_silence_off() -> None:
    over = monitor()
    assert over.on_sign(800.0) is False
    assert over.is_newly_silent(1699.0) is False
    assert over.deadline() == 1700.0


def test_a_host_whose_agent_was_never_here_is_watched_from_its_first_hello_on() -> None:
    over = monitor(watched=False)
    assert over.deadline() == float("inf")
    assert over.is_newly_silent(100_000.0) is False
    over.on_hello()
    assert over.on_sign(100_000.0) is False
    assert over.is_newly_silent(100_900.0)


def test_a_hello_ends_a_silence_without_its_end_being_reported_twice() -> None:
    over = monitor()
    assert over.is_newly_silent(900.0)
    over.on_hello()
    assert over.on_sign(1000.0) is False
    assert over.deadline() == 1900.0


def test_a_silence_that_was_not_saved_is_reported_again_after_a_while_unless_the_host_is_back() -> None:
    over = monitor()
    assert over.is_newly_silent(900.0)
    over.retry(905.0)
    assert [over.is_newly_silent(now) for now in (904.9, 905.0)] == [False, True]
    over.retry(910.0)
    assert over.on_sign(906.0) is False
    assert over.deadline() == 1806.0


def test_a_sign_of_life_does_not_shorten_the_grace_after_a_start() -> None:
    over = monitor(grace_until=2000.0)
    over.on_sign(100.0)
    assert over.deadline() == 2000.0


def test_a_clock_that_was_set_is_heard_of_by_two_heartbeats_that_agree() -> None:
    its = HostClockMonitor()
    its.on_hello(91.0)
    assert [its.has_changed(offset) for offset in (91.2, 90.8, 0.1, 0.0, 0.1)] == [False, False, False, True, False]


def test_heartbeats_that_were_held_up_and_come_in_at_once_are_no_change() -> None:
    its = HostClockMonitor()
    its.on_hello(0.0)
    assert not any(its.has_changed(offset) for offset in (-90.0, -60.0, -30.0, 0.0, -80.0, 0.0))


def test_after_a_hello_without_the_time_heartbeats_tell_it() -> None:
    its = HostClockMonitor()
    its.on_hello(None)
    assert [its.has_changed(offset) for offset in (0.0, 0.0, 0.0)] == [False, True, False]


def test_a_hello_counts_at_once_and_what_was_heard_before_it_does_not() -> None:
    its = HostClockMonitor()
    its.on_hello(91.0)
    assert not its.has_changed(0.0)
    its.on_hello(91.0)
    assert [its.has_changed(offset) for offset in (0.0, 0.0)] == [False, True]


def test_no_host_is_judged_before_a_pause_of_the_server_is_over_however_late_the_sign() -> None:
    over = monitor()
    over.extend_grace(1120.0)
    assert over.deadline() == 1120.0
    assert over.is_newly_silent(1000.0) is False
    assert over.on_sign(1001.0) is False
    assert over.deadline() == 1901.0
    over.retry(5000.0)
    over.extend_grace(1120.0)
    assert over.deadline() == 5000.0
