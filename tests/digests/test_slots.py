"""When a digest is due: once for each slot, once for many that were missed."""

from rmactors.common import clock
from rmactors.common.clock import HOUR
from rmactors.server.actors.digests.slots import due
from rmactors.server.state.digest import DigestChannel

MONDAY = clock.from_rfc3339("2026-11-23T08:00:00+01:00")


def digest(since: int, expression: str = "0 8 * * 1", zone: str = "Europe/Berlin") -> DigestChannel:
    return DigestChannel("c", "{}", expression, zone, since, frozenset())


def test_it_is_due_from_its_slot_on_and_not_before() -> None:
    assert due(digest(MONDAY - 9 * HOUR), MONDAY - 1) is None
    assert due(digest(MONDAY - 9 * HOUR), MONDAY) == MONDAY
    assert due(digest(MONDAY - 9 * HOUR), MONDAY + 5 * HOUR) == MONDAY


def test_a_slot_that_had_its_digest_is_not_due_again() -> None:
    assert due(digest(MONDAY), MONDAY) is None
    assert due(digest(MONDAY), MONDAY + 24 * HOUR) is None


def test_after_a_long_time_the_newest_slot_alone_is_due() -> None:
    assert due(digest(MONDAY - 1), MONDAY + 5 * 7 * 24 * HOUR) == MONDAY + 5 * 7 * 24 * HOUR


def test_where_clocks_change_it_is_due_at_the_same_time_of_day() -> None:
    before = clock.from_rfc3339("2026-10-24T08:00:00+02:00")
    assert due(digest(before, "0 8 * * *"), before + 26 * HOUR) == clock.from_rfc3339("2026-10-25T08:00:00+01:00")


def test_a_zone_that_is_not_known_any_more_has_no_slots() -> None:
    assert due(digest(0, zone="Mars/Olympus"), MONDAY) is None
