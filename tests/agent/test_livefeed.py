"""Progress and log lines: coalesced, bounded, in order, and nothing kept while nobody is connected."""

from rmactors.agent.livefeed import LINES_HELD, LiveFeed
from rmactors.agent.loglines import LINES_A_FRAME, LONGEST_LINE
from rmactors.common import ids, wire

JOB = ids.new()


def feed_open() -> LiveFeed:
    feed = LiveFeed()
    feed.open()
    return feed


def line(text: str = "x") -> wire.LogLine:
    return wire.LogLine("stdout", text)


async def test_lines_are_numbered_and_come_before_progress() -> None:
    feed = feed_open()
    feed.progress(wire.JobProgress(JOB, 10.0))
    feed.line(JOB, 0, line("a"))
    feed.line(JOB, 1, line("b"))
    feed.progress(wire.JobProgress(JOB, 20.0))
    await feed.wait()
    log, progress = feed.take()
    assert isinstance(log, wire.JobLog)
    assert (log.first_line, [one.text for one in log.lines]) == (0, ["a", "b"])
    assert progress == wire.JobProgress(JOB, 20.0)
    assert feed.take() == []


async def test_over_its_bound_the_oldest_lines_go_and_numbers_show_the_gap() -> None:
    feed = feed_open()
    for number in range(LINES_HELD + 10):
        feed.line(JOB, number, line())
    frames = feed.take()
    assert [frame.first_line for frame in frames if isinstance(frame, wire.JobLog)] == [10, 10 + LINES_A_FRAME]


async def test_the_longest_lines_fit_a_frame() -> None:
    feed = feed_open()
    for number in range(LINES_HELD):
        feed.line(JOB, number, line("\U0001f4a5" * LONGEST_LINE))
    assert all(len(wire.encode(frame).encode()) < wire.MAX_FRAME_BYTES for frame in feed.take())


async def test_without_a_connection_nothing_is_kept() -> None:
    feed = LiveFeed()
    feed.line(JOB, 0, line())
    feed.progress(wire.JobProgress(JOB, 1.0))
    feed.open()
    assert feed.take() == []
    feed.line(JOB, 1, line())
    feed.close()
    feed.open()
    assert feed.take() == []


async def test_the_end_of_a_job_cuts_the_pause_short_and_ends_its_progress() -> None:
    feed = feed_open()
    feed.progress(wire.JobProgress(JOB, 99.0))
    feed.line(JOB, 0, line("last words"))
    feed.ended(JOB)
    await feed.pause(3600)
    (log,) = feed.take()
    assert isinstance(log, wire.JobLog)
