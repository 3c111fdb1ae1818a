"""A host's log lines on their way to the store: what is admitted, in which order it goes, and what is left out."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from rmactors.server.actors.host.log_lines import AT_ONCE, JOBS_REMEMBERED, Line, LogLines
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.rate_limits import LINE_BYTES, LINE_CHARACTERS, LINES, LINES_A_FRAME


@dataclass
class Writing:
    """A host's log lines, and a store that takes so many commits."""

    room: int = 1_000
    commits: list[Commit] = field(default_factory=list)
    left_out: Counter[tuple[str, ...]] = field(default_factory=Counter)
    saved: list[SaveLogLines] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self.log = LogLines("host", self._put_aside, self._written, self._count)

    def _put_aside(self, commit: Commit) -> bool:
        if len(self.commits) >= self.room:
            return False
        self.commits.append(commit)
        return True

    def _count(self, counts: dict[tuple[str, ...], int]) -> None:
        self.left_out.update(counts)

    def _written(self) -> None:
        self.done += 1

    def finish(self) -> None:
        """The store has done what it was given so far."""
        under_way, self.commits = self.commits, []
        for commit in under_way:
            commit.reply(Committed())
            self.log.go_on()
            [write] = commit.writes
            assert isinstance(write, SaveLogLines)
            self.saved.append(write)

    def all(self) -> list[SaveLogLines]:
        while self.commits:
            self.finish()
        return self.saved


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
    writing.log.save("a", lines(900))
    writing.log.save("b", lines(3))
    assert len(writing.commits) == AT_ONCE
    saved = writing.all()
    assert writing.done == 6
    assert [(write.job_id, write.lines[0][0], len(write.lines)) for write in saved] == [
        ("a", 0, 200), ("a", 200, 200), ("a", 400, 200), ("a", 600, 200), ("a", 800, 100), ("b", 0, 3),
    ]  # fmt: skip
    assert not writing.left_out


def test_where_the_store_takes_no_more_they_are_left_out_and_counted() -> None:
    writing = Writing(room=0)
    writing.log.save("job", lines(450))
    assert writing.left_out == {("left_out", "log_lines"): 450}
    writing.room = 1
    writing.log.save("job", lines(7))
    assert len(writing.commits) == 1


@pytest.mark.parametrize("text", ["", "y" * 1_000])
def test_while_nothing_is_written_they_do_not_pile_up(text: str) -> None:
    writing = Writing()
    for _ in range(500):
        writing.log.save("job", lines(200, text=text))
    waiting = 500 * 200 - writing.left_out["left_out", "log_lines"]
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
