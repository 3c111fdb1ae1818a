"""Which lines of a long output are kept: its head and its tail, under the numbers that they had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.agent.loglines import (
    HEAD_BYTES,
    HEAD_LINES,
    LINES_A_FRAME,
    LONGEST_LINE,
    TAIL_BYTES,
    TAIL_LINES,
    KeptLines,
    said,
)
from rmactors.agent.restic_output import ExitError, Item, ItemTrouble, Progress, Summary, Text
from rmactors.common import wire
from rmactors.server.actors.host.reports_in_flight import LINES_HELD

JOB = "J" * 26


def kept(lines: list[str]) -> dict[int, str]:
    """Text by number; what the frames look like is checked on the way."""
    held = KeptLines()
    for text in lines:
        held.add(wire.LogLine("stdout", text))
    found: dict[int, str] = {}
    for frame in held.frames(JOB):
        assert 0 < len(frame.lines) <= LINES_A_FRAME
        assert len(wire.encode(frame)) < wire.MAX_FRAME_BYTES
        for offset, line in enumerate(frame.lines):
            assert frame.first_line + offset not in found
            found[frame.first_line + offset] = line.text
    return found


@pytest.mark.parametrize("count", [0, 1, LINES_A_FRAME, HEAD_LINES, HEAD_LINES + 1, HEAD_LINES + TAIL_LINES])
def test_a_short_output_is_kept_whole(count: int) -> None:
    assert kept([f"line {n}" for n in range(count)]) == {n: f"line {n}" for n in range(count)}


def test_of_a_long_output_the_head_and_the_tail_are_kept() -> None:
    count = 100_000
    found = kept([f"line {n}" for n in range(count)])
    assert list(found) == [*range(HEAD_LINES), *range(count - TAIL_LINES, count)]
    assert all(text == f"line {n}" for n, text in found.items())


@pytest.mark.parametrize("character", ["x", '"', "\u20ac", "\U0001f4a5", "\ufffd"])
def test_long_lines_are_bounded_in_bytes_and_the_last_is_there(character: str) -> None:
    held = KeptLines()
    for _ in range(3_000):
        held.add(wire.LogLine("stderr", character * LONGEST_LINE))
    held.add(wire.LogLine("stderr", "the end"))
    frames = list(held.frames(JOB))
    assert frames[-1].lines[-1].text == "the end"
    assert sum(len(wire.encode(frame).encode()) for frame in frames) <= 256 << 10
    assert frames[0].first_line == 0


def test_the_last_errors_are_kept_also_where_much_of_stdout_is_read_after_them() -> None:
    held = KeptLines()
    for number in range(10_000):
        held.add(wire.LogLine("stderr" if number % 50 == 0 else "stdout", f"line {number}"))
    found = {f.first_line + n: line for f in held.frames(JOB) for n, line in enumerate(f.lines)}
    errors = [number for number, line in found.items() if line.stream == "stderr"]
    assert errors == [*range(0, HEAD_LINES, 50), *range(3_600, 10_000, 50)]
    assert list(found) == sorted(found)
    assert len(found) <= LINES_HELD
    assert all(line.text == f"line {number}" for number, line in found.items())


@given(st.lists(st.integers(0, LONGEST_LINE), max_size=900))
def test_what_is_kept_is_a_beginning_and_an_end(lengths: list[int]) -> None:
    lines = [str(n).rjust(length, "\u20ac") for n, length in enumerate(lengths)]
    found = kept(lines)
    assert all(lines[number] == text for number, text in found.items())
    missing = [n for n in range(len(lines)) if n not in found]
    assert missing == list(range(missing[0], missing[-1] + 1)) if missing else True
    assert not lines or len(lines) - 1 in found
    assert sum(len(text.encode()) for text in found.values()) <= HEAD_BYTES + TAIL_BYTES


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (Text("stderr", "a warning"), wire.LogLine("stderr", "a warning")),
        (Text("stdout", "x" * 5_000), wire.LogLine("stdout", "x" * LONGEST_LINE)),
        (ItemTrouble("open /x: no rights", "/x", "archival"), wire.LogLine("stderr", "open /x: no rights")),
        (ExitError(1, "Fatal: no\nmain.main"), wire.LogLine("stderr", "Fatal: no")),
        (ExitError(1, ""), None),
        (Summary({"files_new": 3, "bytes_added": 2048, "snapshot_id": "82f6"}),
         wire.LogLine("stdout", "3 new files; 2.0 kB added; snapshot 82f6")),
        (Progress(50.0, 1, 2, 3, 4, None), None),
    ],
)  # fmt: skip
def test_what_restic_says_as_a_line(item: Item, line: wire.LogLine | None) -> None:
    assert said(item) == line
