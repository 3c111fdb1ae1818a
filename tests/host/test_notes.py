"""What an operator is told on a host's page."""

from rmactors.common import ids
from rmactors.common.clock import DAY
from rmactors.server.actors.host.notes import NAMES_REMEMBERED, Notes
from rmactors.server.runtime.rate_limits import NOTES


def test_refused_reports_are_told_until_it_is_a_flood() -> None:
    notes = Notes("host", ids.new)
    told = [notes.refused("bad_report", f"number {n}", 7, 0.0) for n in range(1_000)]
    assert [note is not None for note in told] == [True] * int(NOTES[1]) + [False] * (1_000 - int(NOTES[1]))
    first = told[0]
    assert first is not None
    assert (first.host_id, first.at, first.code, first.detail) == (
        "host",
        7,
        "bad_report",
        "A report was refused: number 0",
    )
    assert notes.cloned(8, 0.0) is None
    assert notes.cloned(8, 10.0) is not None


def test_too_much_is_told_once_a_day() -> None:
    notes = Notes("host", ids.new)
    first = notes.too_much(DAY)
    assert first is not None
    assert first.code == "over_budget"
    assert notes.too_much(2 * DAY - 1) is None
    assert notes.too_much(2 * DAY) is not None
    again = Notes("host", ids.new).too_much(DAY)
    assert again is not None
    assert again.id == first.id, "told again after a restart, it is the same note"


def test_a_schedule_that_nobody_knows_is_told_once_for_each_name_however_many_there_are() -> None:
    notes = Notes("host", ids.new)
    assert notes.unknown_schedule("nightly", 1, 0.0) is not None
    assert notes.unknown_schedule("nightly", 2, 0.0) is None
    for number in range(NAMES_REMEMBERED):
        assert notes.unknown_schedule(f"name {number}", 3, 1_000.0 * number) is not None
