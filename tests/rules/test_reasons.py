"""Why each decision was made: one row a reason, after what happened before."""

from collections.abc import Callable
from typing import Any

import pytest

from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.actors.rules.decisions import decide
from rmactors.server.actors.rules.missed_runs import check_missed_run
from rmactors.server.actors.rules.overdue import check_overdue
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, WorsenAlert
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Change
from rmactors.server.messages.schedules import DeleteSchedule
from rmactors.server.messages.silences import DeleteSilence
from rmactors.server.state.host_state import Decision, HostState
from tests.rules.asked import (
    AUDIT,
    FLOOR,
    NOON,
    acknowledge,
    end,
    host,
    lost,
    resolve,
    returned,
    save,
    schedule,
    silent,
    start,
)  # fmt: skip

LATER, EARLIER = {"finished_at": NOON + HOUR}, {"finished_at": NOON - HOUR}
DELETE = Change(DeleteSchedule("s", NOON, AUDIT), no_reply)
USUAL = [end(f"usual{n}", "succeeded", files_total=100, finished_at=NOON + n) for n in range(3)]
EMPTY = end("empty", "succeeded", files_total=0, **LATER)


def missed(now: int, not_before: int = 0) -> Callable[[HostState], Decision]:
    return lambda given: check_missed_run(given, given.schedules["s"], now, "x", FLOOR, not_before)[0]


def overdue(now: int) -> Callable[[HostState], Decision]:
    return lambda given: check_overdue(given, given.schedules["s"], now, "x")[0]


HISTORIES: list[tuple[list[Any], tuple[Reason, ...]]] = [
    ([end("a")], (Reason.FAILED,)),
    ([end("a"), end("b")], (Reason.FAILED_AGAIN,)),
    ([end("a", "partial"), end("b")], (Reason.GOT_WORSE,)),
    ([end("a", "succeeded")], (Reason.SUCCEEDED,)),
    ([end("a"), end("b", "succeeded")], (Reason.RECOVERED,)),
    ([end("a"), end("b", "cancelled")], (Reason.SAYS_NOTHING,)),
    ([end("a"), end("b", **EARLIER)], (Reason.OUT_OF_DATE,)),
    ([end("a"), end("b", "succeeded", **EARLIER)], (Reason.OLDER_GOOD,)),
    ([end("a", kind="restore")], (Reason.NO_RULE,)),
    # a run whose end is not reported in time, and then is
    ([lost("a")], (Reason.LOST,)),
    ([lost("a"), end("b", **EARLIER)], (Reason.OLDER_THAN_LOSS,)),
    ([lost("a"), end("a")], (Reason.LOSS_FAILED,)),
    ([lost("a"), end("a", "succeeded")], (Reason.LOSS_RECOVERED,)),
    ([lost("a"), resolve("alert 0"), end("a")], (Reason.LOSS_ENDED,)),
    ([lost("a"), lost("b"), end("a", **LATER)], (Reason.EARLIER_LOSS_FAILED,)),
    ([lost("a"), lost("b"), end("a", **EARLIER)], (Reason.EARLIER_LOSS_ENDED,)),
    # conditions that last
    ([silent()], (Reason.BEGAN,)),
    ([silent(), silent()], (Reason.LASTS,)),
    ([silent(), returned()], (Reason.CLEARED,)),
    ([returned()], (Reason.NOTHING_OPEN,)),
    ([silent(), resolve("alert 0"), silent()], (Reason.SUPPRESSED,)),
    ([silent(), resolve("alert 0"), returned()], (Reason.SUPPRESSION_ENDED,)),
    # runs and checks of schedules
    ([start("a")], (Reason.RUN_BEGAN, Reason.NO_SCHEDULE)),
    ([start("a", schedule_id="s")], (Reason.RUN_BEGAN, Reason.RUN_NOTED)),
    ([start("a", schedule_id="s"), start("b", schedule_id="s")], (Reason.RUN_BEGAN, Reason.RUN_KNOWN)),
    ([missed(NOON)], (Reason.BEGAN,)),
    ([start("a", schedule_id="s"), missed(NOON)], (Reason.NO_SLOT_MISSED,)),
    ([missed(NOON, not_before=NOON - MINUTE)], (Reason.JUST_RETURNED,)),
    ([overdue(NOON)], (Reason.NO_LIMIT,)),
    ([save(max_age_hours=26.0), end("a", "succeeded", schedule_id="s"), overdue(NOON)], (Reason.NOT_OVERDUE,)),
    # sizes
    ([*USUAL, EMPTY], (Reason.SUCCEEDED, Reason.LOOKS_WRONG, Reason.LEFT_OUT)),
    ([*USUAL, EMPTY, resolve("alert 3", meant=True)], (Reason.MEANT, Reason.NEW_MEASURE)),
    ([*USUAL, EMPTY, resolve("alert 3")], (Reason.RESOLVED_BY_HAND,)),
    # operators
    ([end("a"), acknowledge("alert 0")], (Reason.ACKNOWLEDGED,)),
    ([end("a"), acknowledge("alert 0"), acknowledge("alert 0")], (Reason.ACKNOWLEDGED_ALREADY,)),
    ([end("a"), resolve("alert 0")], (Reason.RESOLVED_BY_HAND,)),
    ([silent(), resolve("alert 0")], (Reason.RESOLVED_UNTIL_CLEAR,)),
    ([resolve("another")], (Reason.NOT_OPEN,)),
    ([save()], (Reason.SCHEDULE_SAVED,)),
    ([DELETE], (Reason.SCHEDULE_DELETED,)),
    ([DELETE, DELETE], (Reason.SCHEDULE_GONE,)),
    ([Change(DeleteHost("host", NOON, AUDIT), no_reply)], (Reason.HOST_DELETED,)),
    ([Change(DeleteSilence("silence", NOON, AUDIT), no_reply)], (Reason.SILENCE_CHANGED,)),
]
CROWD: list[tuple[list[Any], tuple[Reason, ...]]] = [
    ([end("a", plan="a"), end("b", plan="b")], (Reason.TOLD_ELSEWHERE, Reason.TOO_MANY)),
    (
        [end("a", plan="a"), end("b", plan="b"), end("c", plan="c")],
        (Reason.TOLD_ELSEWHERE, Reason.STILL_TOO_MANY),
    ),
    (
        [end("a", plan="a"), end("b", plan="b"), end("d", "succeeded", plan="b")],
        (Reason.SUCCEEDED, Reason.NO_LONGER_TOO_MANY),
    ),
]
"""Of a host that may have one open alert."""


def told(steps: list[Any], most_open: int = 0) -> Decision:
    """What the last of these steps leads to; an alert that step `n` raises is `alert n`."""
    given = host(schedule(), most_open=most_open)
    for number, step in enumerate(steps):
        decision = step(given) if callable(step) else decide(given, step, f"alert {number}", FLOOR)
    return decision


@pytest.mark.parametrize(("steps", "reasons"), HISTORIES)
def test_why(steps: list[Any], reasons: tuple[Reason, ...]) -> None:
    assert told(steps).reasons == reasons


@pytest.mark.parametrize(("steps", "reasons"), CROWD)
def test_why_where_there_are_too_many(steps: list[Any], reasons: tuple[Reason, ...]) -> None:
    assert told(steps, most_open=1).reasons == reasons


def test_no_reason_is_without_a_history() -> None:
    assert {reason for _, reasons in HISTORIES + CROWD for reason in reasons} == set(Reason)


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([end("a")], Reason.FAILED),
        ([lost("a")], Reason.LOST),
        ([*USUAL, EMPTY], Reason.LOOKS_WRONG),
        ([silent()], Reason.BEGAN),
        ([end("a", "partial"), end("b")], Reason.GOT_WORSE),
        ([end("a"), end("b", "succeeded")], Reason.RECOVERED),
        ([lost("a"), end("a", "succeeded")], Reason.LOSS_RECOVERED),
        ([silent(), returned()], Reason.CLEARED),
        ([silent(), resolve("alert 0")], Reason.RESOLVED_UNTIL_CLEAR),
        ([end("a"), resolve("alert 0")], Reason.RESOLVED_BY_HAND),
        ([end("a"), resolve("alert 0", meant=True)], Reason.RESOLVED_BY_HAND),
        ([*USUAL, EMPTY, resolve("alert 3", meant=True)], Reason.MEANT),
        ([end("a", schedule_id="s"), DELETE], Reason.SCHEDULE_DELETED),
    ],
)
def test_what_happens_to_an_alert_carries_its_reason(steps: list[Any], reason: Reason) -> None:
    about = [write for write in told(steps).writes if isinstance(write, RaiseAlert | WorsenAlert | ResolveAlert)]
    assert [write.reason for write in about] == [reason]
