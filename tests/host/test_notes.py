"""What an operator sees on a host's page."""

from rmactors.common.clock import DAY
from rmactors.server.actors.host.effects import CountLeftOut, SaveNote
from rmactors.server.actors.host.notes import NAMES_REMEMBERED, NoteEffects, Notes
from rmactors.server.messages.hosts import NoteOnHost
from rmactors.server.runtime.rate_limits import NOTES


def new_notes() -> Notes:
    return Notes("host", lambda: "id")


def codes(effects: NoteEffects) -> list[str]:
    return [effect.note.code for effect in effects if isinstance(effect, SaveNote)]


def test_refused_reports_are_noted_until_there_are_too_many() -> None:
    notes = new_notes()
    most = int(NOTES[1])
    effects = [notes.refused("bad_report", f"number {n}", 7, 0.0) for n in range(1_000)]
    assert effects[0] == [SaveNote(NoteOnHost("id", "host", 7, "bad_report", "A report was refused: number 0"))]
    assert [len(each) for each in effects[:most]] == [1] * most
    assert [codes(each) for each in effects[most:]] == [["over_budget"]] + [[]] * (999 - most)
    assert {left_out for each in effects[most:] for left_out in each if isinstance(left_out, CountLeftOut)} == {
        CountLeftOut("notes", 1)
    }
    assert notes.cloned(8, 0.0) == []
    assert codes(notes.cloned(8, 10.0)) == ["cloned_agent"]


def test_what_is_left_out_is_counted_each_time_and_noted_once_a_day() -> None:
    notes = new_notes()
    first = notes.left_out("log_lines", 3, DAY)
    assert first[0] == CountLeftOut("log_lines", 3)
    assert codes(first) == ["over_budget"]
    assert notes.left_out("progress", 1, 2 * DAY - 1) == [CountLeftOut("progress", 1)]
    assert codes(notes.left_out("progress", 1, 2 * DAY)) == ["over_budget"]
    assert new_notes().left_out("log_lines", 3, DAY) == first, "noted again after a restart, it is the same note"


def test_an_unknown_schedule_is_noted_once_for_each_name_however_many_there_are() -> None:
    notes = new_notes()
    assert codes(notes.unknown_schedule("nightly", 1, 0.0)) == ["unknown_schedule"]
    assert notes.unknown_schedule("nightly", 2, 0.0) == []
    for number in range(NAMES_REMEMBERED):
        assert len(notes.unknown_schedule(f"name {number}", 3, 1_000.0 * number)) == 1
