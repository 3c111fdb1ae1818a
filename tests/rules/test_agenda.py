"""When which schedule is checked, and which hosts are here to be checked."""

import pytest
from msgspec import structs

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.rules.agenda import Agenda, Check, Due, Presence, Timing
from rmactors.server.messages.requests import HostClock, HostGone
from rmactors.server.messages.schedules import MarkGood
from rmactors.server.state.host_state import HostState
from tests.rules.asked import NOON, OFFLINE, THREE, host, returned, save, schedule, start, with_alert

SOON = 300 * 1_000_000
"""The least grace."""


def agenda(at: int = 0, **presence: Presence) -> Agenda:
    """`at`: when the server started; it forgives two minutes."""
    return Agenda(Timing(at, 2 * MINUTE, 300.0), dict(presence))


def online(since: int = THREE) -> Presence:
    return Presence("online", since)


def due(given: Agenda, now: int) -> list[tuple[str, Check]]:
    return [(each.schedule_id, each.check) for each in given.due(now)]


def limited(since: int = NOON) -> HostState:
    """A host with a schedule whose good backups may be 26 hours old, made at `since`."""
    return host(schedule(limit_hours=26.0, created_at=since, enabled=True))


def test_a_schedule_is_checked_once_a_slot_of_it_can_have_been_missed() -> None:
    given = agenda(host=online(NOON))
    given.watch(host(schedule()))
    assert due(given, NOON + SOON - 1) == []
    assert list(given.due(NOON + SOON)) == [Due("host", "s", "missed_run", NOON)]
    assert due(given, NOON + DAY) == [], "what comes then, the check says"


def test_a_check_says_when_the_next_one_is_due() -> None:
    given = agenda(host=online(NOON))
    given.watch(host(schedule()))
    [first] = given.due(NOON + SOON)
    given.again(first, NOON + HOUR)
    assert list(given.due(NOON + HOUR)) == [first]
    given.again(first, None)
    assert due(given, NOON + DAY) == []


def test_what_becomes_due_while_a_tick_is_looked_at_belongs_to_it() -> None:
    given = agenda(host=online(NOON))
    given.watch(host(schedule()))
    seen = []
    for each in given.due(NOON + HOUR):
        seen.append(each)
        given.again(each, NOON + HOUR if len(seen) < 3 else None)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("presence", "here_since"),
    [
        (online(NOON), NOON),
        (Presence("reports_only", NOON), 0),  # judged by its slots alone
        (Presence("away", NOON), None),
    ],
)
def test_who_is_checked_for_missed_slots(presence: Presence, here_since: int | None) -> None:
    given = agenda(host=presence)
    given.watch(host(schedule()))
    expected = [Due("host", "s", "missed_run", here_since)] if here_since is not None else []
    assert list(given.due(NOON + HOUR)) == expected


def test_a_host_that_leaves_is_not_checked_for_missed_slots_but_for_age() -> None:
    given = agenda(host=online(NOON))
    given.watch(limited())
    given.went(HostGone("host", NOON + MINUTE))
    assert due(given, NOON + 2 * DAY) == [("s", "overdue")]
    assert given.presence["host"] == Presence("away", NOON + MINUTE)


@pytest.mark.parametrize("changes", [{"enabled": False}, {"deleted": True}])
def test_a_schedule_that_is_not_expected_to_run_is_not_watched(changes: dict[str, bool]) -> None:
    given = agenda(host=online(NOON))
    given.watch(host(schedule(limit_hours=1.0, **changes)))
    assert due(given, NOON + 30 * DAY) == []


def test_after_a_start_what_hosts_have_to_tell_comes_first() -> None:
    given = agenda(at=NOON, host=online(THREE - DAY))
    given.watch(limited(since=THREE - 3 * DAY))
    assert due(given, NOON + 2 * MINUTE - 1) == []
    assert sorted(due(given, NOON + 2 * MINUTE)) == [("s", "missed_run"), ("s", "overdue")]


def test_a_good_end_moves_the_check_of_its_age_only_to_an_earlier_time() -> None:
    given, of = agenda(), limited()
    given.watch(of)
    of.schedules["s"].last_good_at = NOON - 20 * HOUR
    given.follow(of, [MarkGood("s", NOON - 20 * HOUR)])
    assert due(given, NOON + 7 * HOUR) == [("s", "overdue")]
    given.follow(of, [MarkGood("s", NOON - 20 * HOUR)])
    of.schedules["s"].last_good_at = NOON
    given.follow(of, [MarkGood("s", NOON)])
    assert due(given, NOON + 7 * HOUR) == [("s", "overdue")], "that check finds out when the next is due"


def test_a_schedule_that_is_saved_is_watched_and_other_writes_are_nothing_to_the_agenda() -> None:
    given, of = agenda(host=online(NOON)), limited()
    given.follow(of, [save().write])
    given.follow(of, [start().report])  # type: ignore[list-item]
    assert due(given, NOON + 2 * DAY) == [("s", "missed_run"), ("s", "overdue")]


# ---- presence


def test_a_host_that_says_hello_is_here_from_then_on() -> None:
    given, of = agenda(), host(schedule(), has_said_hello=False)
    assert given.came(of, returned())
    assert (of.has_said_hello, given.presence) == (True, {"host": Presence("online", NOON)})
    assert due(given, NOON + SOON) == [("s", "missed_run")]


@pytest.mark.parametrize(
    ("hello", "before", "after"),
    [
        (False, None, Presence("reports_only", NOON)),
        (False, Presence("reports_only", THREE), Presence("reports_only", THREE)),  # since when it is here stays
        (False, online(), online()),
        (True, None, None),  # its agent may say hello: what only delivers reports is no sign of it
    ],
)
def test_a_host_that_only_delivers_reports(hello: bool, before: Presence | None, after: Presence | None) -> None:
    given = agenda(**{"host": before} if before else {})
    assert not given.came(host(schedule(), has_said_hello=hello), returned(report_only=True))
    assert given.presence.get("host") == after


def test_a_host_that_only_ever_reported_is_expected_to_go_on_so() -> None:
    given = agenda()
    given.met(host(schedule(), has_said_hello=False, has_reported=True))
    given.met(host(has_said_hello=True, has_reported=True, id="other"))
    assert given.presence == {"host": Presence("reports_only")}


def test_only_a_host_that_is_online_can_leave() -> None:
    given = agenda(host=Presence("reports_only", THREE))
    for host_id in ("host", "other"):
        given.went(HostGone(host_id, NOON))
    assert given.presence == {"host": Presence("reports_only", THREE)}


def test_a_clock_that_is_believed_moves_the_slots() -> None:
    given, of = agenda(host=online(NOON)), host(schedule())
    for seconds, offset in ((60.0, MINUTE), (60.0, MINUTE), (None, 0)):
        given.clock(of, HostClock("host", seconds))
        assert of.clock_offset == offset
    assert due(given, NOON + SOON) == [("s", "missed_run")]


def test_a_deleted_host_is_not_here() -> None:
    given = agenda(host=online())
    given.forget("host")
    given.forget("host")
    assert given.presence == {}


# ---- returns


def test_a_return_is_tried_again_once_while_its_host_is_here() -> None:
    given = agenda(host=online(), other=Presence("away", NOON))
    for host_id in ("host", "other", "unknown"):
        given.try_again(returned(host_id))
    assert given.returns() == [returned()]
    assert given.returns() == []


def test_after_a_restart_the_return_of_a_host_whose_silence_was_known_is_tried_again() -> None:
    given = agenda(host=online(NOON), calm=online(), away=Presence("away", NOON))
    given.resume(with_alert(key=OFFLINE))
    given.resume(host(id="calm"))
    given.resume(with_alert(key=structs.replace(OFFLINE, host_id="away")))
    assert given.returns() == [returned()]
