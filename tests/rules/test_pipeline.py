"""What becomes of the decisions about one host in flight to disk: each history step by step, as effects."""

from typing import Any

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.rules.agenda import Check, Due
from rmactors.server.actors.rules.decisions import Decidable
from rmactors.server.actors.rules.pipeline import (
    TRIES,
    Effect,
    Ended,
    HostPipeline,
    Reload,
    Respond,
    Send,
    TryAtTick,
)  # fmt: skip
from rmactors.server.messages.alerts import AcknowledgeAlert, RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Tick
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import AlertState
from tests.rules.asked import (
    NOON,
    OFFLINE,
    acknowledge,
    end,
    host,
    pipeline,
    resolve,
    returned,
    save,
    schedule,
    silent,
    start,
    with_alert,
)  # fmt: skip

FULL, RACE = Failed("disk full"), Stale("it is resolved")
READ_AGAIN = Reload("host")


def sent(effects: list[Effect]) -> Send:
    """The one effect, which has the store write something."""
    (effect,) = effects
    assert isinstance(effect, Send)
    return effect


def kinds(send: Send) -> list[type[Write]]:
    """What it writes about alerts."""
    about = (RaiseAlert, TouchAlert, ResolveAlert, AcknowledgeAlert)
    return [type(write) for write in send.writes if isinstance(write, about)]


def in_flight(*requests: Decidable, given: HostPipeline | None = None) -> tuple[HostPipeline, list[Send]]:
    """A pipeline with these requests decided one on top of the other."""
    given = given or pipeline()
    return given, [sent(given.admit(request)) for request in requests]


def test_a_request_is_decided_at_once_and_answered_when_it_is_on_disk() -> None:
    given, request = pipeline(), end()
    send = sent(given.admit(request))
    assert (send.request, send.host_id, send.tries, kinds(send)) == (request, "host", 0, [RaiseAlert])
    assert given.stage == "in_flight"
    assert given.answered(send, Committed()) == [Respond(request, Committed())]
    assert given.stage == "idle"


def test_the_next_is_decided_on_the_state_that_the_last_one_leads_to() -> None:
    given, sends = in_flight(end("a"), end("b"), end("c", "succeeded"))
    assert [kinds(send) for send in sends] == [[RaiseAlert], [TouchAlert], [ResolveAlert]]
    assert given.answered(sends[0], Committed()) == [Respond(sends[0].request, Committed())]  # type: ignore[arg-type]
    given.answered(sends[1], Committed())
    assert given.stage == "in_flight"
    given.answered(sends[2], Committed())
    assert given.stage == "idle"


def test_what_needs_no_write_is_answered_at_once() -> None:
    suppressed = host(alert_states={OFFLINE: AlertState(suppressed_until_clear=True, version=2)})
    given, request = pipeline(suppressed), silent()
    assert given.admit(request) == [Respond(request, Committed(), (Reason.SUPPRESSED,))]
    assert given.stage == "idle"


def test_no_one_waits_to_hear_of_a_return() -> None:
    given = pipeline()
    assert given.admit(returned()) == [], "nothing was open"
    given, [send] = in_flight(returned(), given=pipeline(with_alert(key=OFFLINE)))
    assert given.answered(send, Committed()) == [Ended(("alert",))]


# ---- what has to wait


def test_a_change_waits_for_what_is_in_flight_and_what_follows_waits_for_the_change() -> None:
    given, [first] = in_flight(end("a"))
    change, last = save(), end("b")
    assert given.admit(change) == []
    assert given.admit(last) == []
    assert given.stage == "draining"
    assert given.answered(first, Committed()) == [Respond(end("a"), Committed()), READ_AGAIN]
    assert given.stage == "reloading"
    send = sent(given.reloaded(host(schedule())))
    assert (send.request, given.stage) == (change, "draining")
    assert given.next() == []
    assert given.answered(send, Committed()) == [Respond(change, Committed()), READ_AGAIN]
    assert sent(given.reloaded(host(schedule()))).request == last
    assert (given.stage, list(given.waiting)) == ("in_flight", [])


def test_a_change_that_nothing_is_in_flight_before_is_decided_at_once_and_the_host_read_after_it() -> None:
    given, [send] = in_flight(save())
    assert given.stage == "draining"
    assert given.answered(send, Committed()) == [Respond(save(), Committed()), READ_AGAIN]


def test_an_act_on_an_alert_whose_resolution_fails_is_decided_on_the_open_alert() -> None:
    given, [send] = in_flight(resolve(by="anna"), given=pipeline(with_alert()))
    again = acknowledge(by="ben")
    assert given.admit(again) == []
    assert given.stage == "draining"
    assert given.answered(send, FULL) == [Respond(resolve(by="anna"), FULL), Ended(("alert",)), READ_AGAIN]
    assert kinds(sent(given.reloaded(with_alert()))) == [AcknowledgeAlert]
    assert given.host.state_of(next(iter(given.host.alert_states))).alert is not None


def test_an_act_on_an_alert_whose_resolution_is_on_disk_is_the_stores_to_refuse() -> None:
    given, [send] = in_flight(resolve(by="anna"), given=pipeline(with_alert()))
    given.admit(resolve(by="ben"))
    assert Ended(("alert",)) in given.answered(send, Committed())
    late = sent(given.reloaded(host()))
    assert (kinds(late), late.changed) == ([ResolveAlert], False)


def test_an_act_on_an_open_alert_does_not_wait() -> None:
    given, sends = in_flight(end("a"), given=pipeline(with_alert()))
    assert kinds(sent(given.admit(acknowledge()))) == [AcknowledgeAlert]
    assert len(sends) == 1


def test_what_waits_is_decided_until_something_has_to_be_done_first() -> None:
    """One that leads to nothing holds up no other."""
    given, [first] = in_flight(end("a"))
    for request in (save(enabled=False), returned(), end("b"), end("c")):
        assert given.admit(request) == []
    given.answered(first, Committed())
    change = sent(given.reloaded(host(schedule())))
    given.answered(change, Committed())
    assert sent(given.reloaded(host(schedule()))).request == end("b"), "the return needs nothing"
    assert sent(given.next()).request == end("c")
    assert given.next() == []


# ---- what is not on disk


def test_a_decision_on_state_that_is_not_so_is_made_again_on_what_is_read() -> None:
    given, [send] = in_flight(end(), given=pipeline(with_alert()))
    assert kinds(send) == [TouchAlert]
    assert given.answered(send, RACE) == [READ_AGAIN]
    again = sent(given.reloaded(host()))
    assert (kinds(again), again.tries) == ([RaiseAlert], 1)


def test_a_decision_that_is_stale_again_and_again_is_given_up() -> None:
    given, [send] = in_flight(end())
    for tries in range(TRIES):
        assert send.tries == tries
        assert given.answered(send, RACE) == [READ_AGAIN]
        send = sent(given.reloaded(host()))
    assert given.answered(send, RACE) == [Respond(end(), Failed(RACE.detail)), READ_AGAIN]
    assert given.reloaded(host()) == []
    assert given.stage == "idle"


def test_a_commit_that_fails_takes_along_what_was_decided_on_top_of_it() -> None:
    given, [first, second] = in_flight(end("a"), end("b"))
    assert given.answered(first, FULL) == [Respond(end("a"), FULL)]
    assert given.stage == "draining"
    assert given.admit(end("c")) == []
    assert given.answered(second, RACE) == [READ_AGAIN]
    third = sent(given.reloaded(host()))
    assert (third.request, kinds(third)) == (end("c"), [RaiseAlert])
    assert (sent(given.next()).request, given.next()) == (end("b"), [])


@pytest.mark.parametrize("answer", [Duplicate(), Refused("not_found", "no such host")])
def test_what_was_not_written_needs_no_reading_if_memory_has_not_changed_by_it(answer: Answer) -> None:
    given, [unchanged] = in_flight(start())
    assert (unchanged.changed, given.answered(unchanged, answer)) == (False, [Respond(start(), answer)])
    assert given.stage == "idle"
    given, [changed] = in_flight(end())
    assert (changed.changed, given.answered(changed, answer)) == (True, [Respond(end(), answer), READ_AGAIN])


def test_a_return_that_is_not_on_disk_is_tried_at_a_tick() -> None:
    given, [send] = in_flight(returned(), given=pipeline(with_alert(key=OFFLINE)))
    assert given.answered(send, FULL) == [TryAtTick(returned()), Ended(("alert",)), READ_AGAIN]


# ---- reading the host


def test_a_host_that_cannot_be_read_is_read_at_the_next_request() -> None:
    given, [send] = in_flight(end("a"))
    for request in (end("b"), returned()):
        given.stage = "draining"
        given.admit(request)
    given.answered(send, FULL)
    assert given.unreadable("no such file") == [Respond(end("b"), Failed("no such file")), TryAtTick(returned())]
    assert (given.stage, given.next()) == ("unreadable", [])
    assert given.admit(end("c")) == [READ_AGAIN]
    assert given.admit(end("d")) == [], "it is being read"
    assert sent(given.reloaded(host())).request == end("c")
    assert sent(given.next()).request == end("d")


def test_what_waits_for_a_host_that_is_deleted_is_refused() -> None:
    given, [send] = in_flight(end("a"))
    given.admit(save())
    given.answered(send, Committed())
    assert given.deleted() == [Respond(save(), Refused("not_found", "there is no such host"))]


def test_the_clock_of_a_host_is_what_it_said_last_not_what_is_read() -> None:
    given = pipeline(host(clock_offset=5))
    given.stage = "reloading"
    given.reloaded(host(clock_offset=3))
    assert given.host.clock_offset == 5


# ---- checks of a schedule

TICK = Tick(NOON)


def check(given: HostPipeline, what: Check, here_since: int = 0) -> tuple[list[Effect], int | None]:
    return given.check(Due("host", "s", what, here_since), TICK)


@pytest.mark.parametrize(
    ("what", "changes", "writes", "again"),
    [
        ("missed_run", {}, [RaiseAlert], NOON + 17 * HOUR + 24 * MINUTE + 1),  # tomorrow's slot, a tenth of a day late
        ("overdue", {"limit_hours": 26.0, "created_at": NOON - 2 * DAY}, [RaiseAlert], NOON + HOUR),
        ("overdue", {"limit_hours": 26.0, "created_at": NOON}, None, NOON + 26 * HOUR + 1),
        ("overdue", {}, None, None),  # it has no limit
        ("missed_run", {"enabled": False}, None, None),
        ("missed_run", {"deleted": True}, None, None),
    ],
)
def test_a_check_raises_what_it_finds_and_says_when_to_check_again(
    what: Check, changes: dict[str, Any], writes: list[type[Write]] | None, again: int | None
) -> None:
    effects, then = check(pipeline(host(schedule(**changes))), what)
    assert [kinds(effect) for effect in effects if isinstance(effect, Send)] == ([writes] if writes else [])
    assert then == again


def test_a_host_that_has_only_just_returned_has_missed_nothing_yet() -> None:
    given = pipeline()
    assert check(given, "missed_run", here_since=NOON - MINUTE) == ([], NOON - MINUTE + round(2.4 * HOUR))


def test_a_schedule_that_is_not_there_is_not_checked() -> None:
    assert check(pipeline(host()), "missed_run") == ([], None)


def test_a_check_that_is_not_on_disk_is_not_made_again_by_itself() -> None:
    given = pipeline()
    effects, _ = check(given, "missed_run")
    assert given.answered(sent(effects), RACE) == [READ_AGAIN]
    assert given.reloaded(host(schedule())) == []
    effects, _ = check(given, "missed_run")
    assert given.answered(sent(effects), Committed()) == []


def test_a_check_of_a_host_that_is_set_aside_comes_at_the_next_tick() -> None:
    given, [send] = in_flight(save())
    assert check(given, "missed_run") == ([], NOON + 1)
    given.answered(send, Committed())
    assert check(given, "missed_run") == ([], NOON + 1)
    given.unreadable("no such file")
    assert check(given, "missed_run") == ([READ_AGAIN], NOON + 1)
    assert given.stage == "reloading"
