"""A host's log lines until they are on disk: what is admitted, in which order it goes, and what is left out."""

from dataclasses import dataclass, field

import pytest

from rmactors.server.actors.host.effects import CountLeftOut
from rmactors.server.actors.host.log_lines import AT_ONCE, JOBS_REMEMBERED, LineEffects, LogLines
from rmactors.server.actors.host.translate import Line
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.runtime.rate_limits import LINE_BYTES, LINE_CHARACTERS, LINES, LINES_A_FRAME


@dataclass
class Writing:
    """A host's log lines, and a store that takes so many writes at once."""

    room: int = 1_000
    log: LogLines = field(default_factory=lambda: LogLines("host"))
    writes: list[SaveLogLines] = field(default_factory=list)
    saved: list[SaveLogLines] = field(default_factory=list)
    left_out: int = 0

    def save(self, job_id: str, lines: list[Line]) -> None:
        self._do(self.log.save(job_id, lines))

    def finish(self) -> None:
        """The store has done what it was given so far."""
        done, self.writes = self.writes, []
        self.saved += done
        for _ in done:
            self._do(self.log.written(0))

    def all(self) -> list[SaveLogLines]:
        while self.writes:
            self.finish()
        return self.saved

    def _do(self, effects: LineEffects) -> None:
        for effect in effects:
            if isinstance(effect, CountLeftOut):
                assert effect.what == "log_lines"
                self.left_out += effect.number
            elif len(self.writes) < self.room:
                self.writes.append(effect.write)
            else:
                self._do(self.log.written(len(effect.write.lines)))


def lines(number: int, first: int = 0, text: str = "x") -> list[Line]:
    return [(n, "stdout", text) for n in range(first, first + number)]


def spend(log: LogLines, job_id: str = "other") -> None:
    """The whole budget, at time 0."""
    for _ in range(int(LINES[1]) // LINES_A_FRAME):
        assert len(log.admit(job_id, lines(LINES_A_FRAME, text=""), 0.0)) == LINES_A_FRAME


def test_a_frame_is_cut_to_what_our_agent_sends() -> None:
    log = Writing().log
    taken = log.admit("job", lines(LINES_A_FRAME + 50, text="y" * 3_000), 0.0)
    assert [number for number, _, _ in taken] == list(range(LINES_A_FRAME))
    assert {len(text) for _, _, text in taken} == {LINE_CHARACTERS}
    assert log.admit("job", [], 0.0) == []


def test_beyond_the_budget_lines_are_left_out_until_time_has_passed() -> None:
    log = Writing().log
    spend(log)
    assert log.admit("job", lines(200), 0.0) == []
    assert len(log.admit("job", lines(200), 0.1)) == int(LINES[0] / 10)


def test_long_lines_have_a_budget_in_characters_as_well() -> None:
    log = Writing().log
    taken = sum(len(log.admit("job", lines(200, text="y" * 1_000), 0.0)) for _ in range(100))
    assert taken == int(LINE_BYTES[1]) // 1_000


def test_lines_go_in_order_a_frame_at_a_time_and_few_at_once() -> None:
    writing = Writing()
    writing.save("a", lines(900))
    writing.save("b", lines(3))
    assert len(writing.writes) == AT_ONCE
    saved = writing.all()
    assert len(saved) == 6
    assert [(write.job_id, write.lines[0][0], len(write.lines)) for write in saved] == [
        ("a", 0, 200), ("a", 200, 200), ("a", 400, 200), ("a", 600, 200), ("a", 800, 100), ("b", 0, 3),
    ]  # fmt: skip
    assert writing.left_out == 0


def test_where_the_store_takes_no_more_they_are_left_out_and_counted() -> None:
    writing = Writing(room=0)
    writing.save("job", lines(450))
    assert writing.left_out == 450
    writing.room = 1
    writing.save("job", lines(7))
    assert len(writing.writes) == 1


@pytest.mark.parametrize("text", ["", "y" * 1_000])
def test_while_nothing_is_written_they_do_not_pile_up(text: str) -> None:
    writing = Writing()
    for _ in range(500):
        writing.save("job", lines(200, text=text))
    waiting = 500 * 200 - writing.left_out
    assert waiting <= LINES[1] + AT_ONCE * LINES_A_FRAME
    assert waiting * len(text) <= LINE_BYTES[1] + AT_ONCE * LINES_A_FRAME * LINE_CHARACTERS


def test_of_a_job_whose_end_was_left_out_the_last_line_shows_that() -> None:
    log = Writing().log
    spend(log)
    assert log.admit("job", lines(200, first=10), 0.0) == []
    assert log.last_of("job") == [(209, "stdout", "x")]
    assert log.last_of("job") == []


def test_what_follows_what_was_left_out_shows_it_as_well() -> None:
    log = Writing().log
    spend(log)
    assert log.admit("job", lines(200), 0.0) == []
    assert len(log.admit("job", lines(10, first=200), 60.0)) == 10
    assert log.last_of("job") == []


def test_last_lines_are_kept_of_so_many_jobs() -> None:
    log = Writing().log
    spend(log)
    for number in range(JOBS_REMEMBERED + 1):
        log.admit(f"job {number}", lines(1), 0.0)
    assert log.last_of("job 0") == []
    assert log.last_of("job 1") == [(0, "stdout", "x")]
