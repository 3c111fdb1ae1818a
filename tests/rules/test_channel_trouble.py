"""When people are told that a channel does not deliver. Minutes count from noon, when the server started."""

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from rmactors.common.clock import MINUTE
from rmactors.server.actors.rules.channel_trouble import ChannelWatch, Verdict
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Tick
from rmactors.server.state.channel_trouble import ChannelTrouble, GivenUp
from tests.rules.asked import NOON

FAILING = (
    "Notifications to the channel ops have been failing since Monday 2026-11-23 12:00 UTC: 503 Service Unavailable."
)
GIVEN_UP = "2 notifications to the channel ops were given up, the last on Monday 2026-11-23 12:03 UTC: 410 Gone."


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def channel(**changes: Any) -> ChannelTrouble:
    return ChannelTrouble(**{"id": "c", "name": "ops", "there": True, "enabled": True, **changes})


def failing(**changes: Any) -> ChannelTrouble:
    return channel(**{"failing_since": NOON, "last_error": "503 Service Unavailable", **changes})


def given_up(number: int = 2, at: float = 3, **changes: Any) -> ChannelTrouble:
    return channel(given_up=GivenUp(number, minute(at), "410 Gone"), **changes)


def watch() -> ChannelWatch:
    return ChannelWatch(10 * MINUTE, NOON)


def look(
    found: ChannelTrouble, at: float, watching: ChannelWatch | None = None, *, judges: bool = True
) -> list[Verdict]:
    return list((watching or watch()).look([found], Tick(minute(at), judges), lambda: "fresh"))


def wrote(verdicts: list[Verdict]) -> list[str]:
    """The kinds of writes, expectations aside."""
    return [
        type(write).__name__ for verdict in verdicts for write in verdict.writes if not isinstance(write, ExpectChannel)
    ]


# ---- it begins


def test_a_channel_that_has_failed_for_ten_minutes_is_told_of_and_no_sooner() -> None:
    assert look(failing(), 9.9) == []
    [verdict] = look(failing(), 10)
    expected, raised = verdict.writes
    assert verdict.reason == Reason.BEGAN
    assert expected == ExpectChannel("c", True, True, NOON, None)
    assert raised == RaiseAlert(
        "fresh", "", "channel_failing", "channel:c", "warning", FAILING, minute(10), reason=Reason.BEGAN
    )


def test_quiet_hours_do_not_count_and_after_them_a_channel_has_all_its_time() -> None:
    quiet = QuietHours("UTC", time(12, 5), time(13, 0), frozenset(range(7)))
    watching = watch()
    assert look(failing(), 11, watching) != []
    for at in (5, 11, 59, 60, 69.9):
        assert look(failing(quiet=quiet), at, watching) == [], at
    assert wrote(look(failing(quiet=quiet), 70, watching)) == ["RaiseAlert"]
    assert look(failing(quiet=quiet, alert_id="a", said=FAILING), 11, watching) == [], "what is open stays open"


def test_a_message_that_was_given_up_is_told_of_at_once() -> None:
    [verdict] = look(given_up(), 3)
    expected, raised = verdict.writes
    assert expected == ExpectChannel("c", True, True, None, minute(3))
    assert isinstance(raised, RaiseAlert)
    assert raised.message == GIVEN_UP


def test_both_are_told_in_one_message() -> None:
    [verdict] = look(given_up(1, failing_since=NOON, last_error=None), 20)
    assert isinstance(raised := verdict.writes[1], RaiseAlert)
    assert raised.message == (
        "Notifications to the channel ops have been failing since Monday 2026-11-23 12:00 UTC: no reason given."
        " 1 notification to the channel ops was given up on Monday 2026-11-23 12:03 UTC: 410 Gone."
    )


def test_while_the_server_was_away_nothing_was_tried_so_the_minutes_begin_at_its_start() -> None:
    since_yesterday = failing(failing_since=minute(-1440))
    assert look(since_yesterday, 9) == []
    [verdict] = look(since_yesterday, 10)
    assert isinstance(raised := verdict.writes[1], RaiseAlert)
    assert "since Sunday 2026-11-22 12:00 UTC" in raised.message, "but it is told how long it really is"


def test_they_begin_again_after_a_pause_of_the_server() -> None:
    watching = watch()
    look(channel(), 5, watching)
    for at in (60, 61, 62):
        assert look(failing(), at, watching, judges=False) == []
    assert look(failing(), 69, watching) == []
    assert wrote(look(failing(), 70, watching)) == ["RaiseAlert"]


@pytest.mark.parametrize("trouble", [failing(), given_up()])
def test_nobody_is_told_of_anything_within_the_grace_after_a_start(trouble: ChannelTrouble) -> None:
    assert look(trouble, 30, judges=False) == []


def test_the_grace_after_a_start_is_part_of_the_ten_minutes() -> None:
    watching = watch()
    look(failing(), 1, watching, judges=False)
    assert wrote(look(failing(), 10, watching)) == ["RaiseAlert"]


# ---- it goes on


def test_what_is_said_changes_when_there_is_something_else_to_say() -> None:
    assert look(failing(alert_id="a", said=FAILING), 11) == []
    [verdict] = look(given_up(alert_id="a", said=FAILING), 11)
    assert verdict == Verdict((TouchAlert("a", GIVEN_UP, minute(11), again=False),), Reason.LASTS)


def test_a_channel_that_fails_again_is_not_called_well() -> None:
    """Its dead message was sent again by hand, say, and it has been failing for a minute."""
    assert look(failing(alert_id="a", said=GIVEN_UP), 1) == []


# ---- it is over


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (channel(), "The channel ops is well again: it is not failing, and nothing of it is undelivered."),
        (channel(enabled=False), "The channel ops was disabled."),
        (failing(enabled=False), "The channel ops was disabled."),
        (given_up(enabled=False), "The channel ops was disabled."),
        (channel(there=False, enabled=False), "The channel ops was deleted."),
    ],
)
@pytest.mark.parametrize("judges", [True, False])
def test_it_is_over_when_all_is_delivered_or_the_channel_is_off_or_gone(
    found: ChannelTrouble, said: str, judges: bool
) -> None:
    found = replace(found, alert_id="a", said=FAILING)
    [verdict] = look(found, 30, judges=judges)
    assert verdict.writes[1] == ResolveAlert("a", minute(30), "rule", None, said, reason=Reason.CLEARED)
    assert verdict.reason == Reason.CLEARED


def test_a_channel_that_is_off_is_not_told_of() -> None:
    assert look(failing(enabled=False), 30) == []


# ---- an operator says that it is known


@pytest.mark.parametrize(
    ("found", "does"),
    [
        (failing(resolved_at=minute(15)), []),
        (failing(failing_since=minute(16), resolved_at=minute(15)), ["RaiseAlert"]),
        (given_up(resolved_at=minute(15)), []),
        (given_up(at=16, resolved_at=minute(15)), ["RaiseAlert"]),
        # A hiccup makes no news of what was given up before.
        (given_up(failing_since=minute(29), resolved_at=minute(15)), []),
        # The same trouble: while it fails, one message after the other becomes too old.
        (given_up(at=16, failing_since=NOON, resolved_at=minute(15)), []),
        (failing(given_up=GivenUp(1, minute(5), "too old"), failing_since=minute(16), resolved_at=minute(15)),
         ["RaiseAlert"]),
    ],
)  # fmt: skip
def test_what_was_resolved_by_hand_comes_again_with_new_trouble_alone(found: ChannelTrouble, does: list[str]) -> None:
    verdicts = look(found, 30)
    assert wrote(verdicts) == does
    assert [verdict.reason for verdict in verdicts] == [Reason.BEGAN if does else Reason.SUPPRESSED]
