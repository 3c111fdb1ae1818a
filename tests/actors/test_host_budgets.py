"""Host actors: one host sends without end, and others do not notice. Real rules and store; judged by counts."""

from typing import Any

import trio
from trio.testing import MockClock

from rmactors.common import ids, wire
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.messages.requests import JudgeEnd
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.runtime.rate_limits import LINE_BYTES, LINES_A_FRAME, NOTES, PROGRESS, REPORTS
from rmactors.server.store.queries.jobs import log_lines
from tests.actors.works import Agent, Works, agent, enrolled, running, start_fleet, until

SLOWLY = 0.01
"""How time goes while a budget is used up: hardly anything comes in again."""


def job_log(job_id: str, first: int, number: int, text: str = "") -> wire.JobLog:
    return wire.JobLog(job_id, first, [wire.LogLine("stdout", text)] * number)


async def busy(works: Works, number: int = 1) -> tuple[Agent, str]:
    """A host that said hello and runs a job."""
    host, job = enrolled(works, name=f"busy {number}"), ids.new()
    works.ledger.commit(running(host, job))
    noisy = agent(works, host, number)
    return noisy, job


async def test_log_lines_of_one_host_are_not_before_a_report_of_another(works: Works, mock_clock: MockClock) -> None:
    noisy, job = await busy(works)
    quiet = agent(works, enrolled(works), 2)
    start_fleet(works)
    await noisy.hello(running_jobs=[job])
    await quiet.hello()
    for number in range(50):
        await noisy.says(job_log(job, number * 20_000, 20_000))
    await quiet.ends(ids.new())
    await quiet.until(lambda: bool(quiet.acked()))
    assert works.ledger.value("SELECT count(*) FROM job_logs") <= 10 * LINES_A_FRAME, "a few frames, each cut"


async def test_what_is_put_aside_never_fills_a_batch(works: Works, mock_clock: MockClock) -> None:
    noisy, job = await busy(works)
    done: list[str] = []
    for number in range(200):
        lines = tuple((number * 200 + n, "stdout", "x") for n in range(200))
        write = SaveLogLines(noisy.box.name.removeprefix("host:"), job, lines)
        assert works.to_store.put_aside(Commit((write,), lambda _: done.append("lines")))
    await works.to_store.send(Commit((Pulse(1),), lambda _: done.append("report")))
    await until(lambda: "report" in done)
    assert done.index("report") <= 4, "so many frames were in its batch, or in the one before"
    await until(lambda: len(done) == 201)


async def test_beyond_its_budget_lines_are_left_out_and_that_is_said_once_wherever_one_looks(
    works: Works, mock_clock: MockClock
) -> None:
    noisy, job = await busy(works)
    host = noisy.box.name.removeprefix("host:")
    start_fleet(works)
    await noisy.hello(running_jobs=[job])
    sent = int(LINE_BYTES[1]) // 1_000 + 2_000
    mock_clock.rate = SLOWLY
    for first in range(0, sent, LINES_A_FRAME):
        await noisy.says(job_log(job, first, min(LINES_A_FRAME, sent - first), "x" * 1_000))
    await noisy.ends(job)
    mock_clock.rate = 1.0
    await noisy.until(lambda: bool(noisy.acked()))
    left_out = works.left_out["left_out", "log_lines"]
    assert 1_000 < left_out <= sent - int(LINE_BYTES[1]) // 1_000
    await until(lambda: works.ledger.value("SELECT max(line) FROM job_logs") == sent - 1, lambda: "to the last line")
    page = await works.reader.run(log_lines, job, 20_000)
    gaps = [int(item.text.removesuffix(" lines left out")) for item in page.items if item.stream == "gap"]
    assert left_out - sum(gaps) in (0, 1), "the very last line is there, so that the gap before it is seen"
    assert works.ledger.rows("SELECT code FROM host_notes WHERE host_id = ?", host) == [("over_budget",)]


async def test_progress_beyond_the_budget_is_left_out(works: Works, mock_clock: MockClock) -> None:
    noisy, job = await busy(works)
    start_fleet(works)
    await noisy.hello(running_jobs=[job])
    mock_clock.rate = SLOWLY
    for percent in range(500):
        await noisy.says(wire.JobProgress(job, percent / 5))
    await noisy.ends(job)
    await noisy.until(lambda: bool(noisy.acked()))
    assert PROGRESS[1] <= len(works.progress) < 2 * PROGRESS[1]
    assert works.left_out == {("left_out", "progress"): 500 - len(works.progress)}


async def test_refused_reports_are_all_answered_and_make_no_flood_of_notes(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    start_fleet(works)
    here = agent(works, host)
    await here.hello()
    mock_clock.rate = SLOWLY
    for seq in range(300):
        await here.says_rubbish(wire.Unreadable("bad_report", "it is wrong", seq))
    await here.until(lambda: len(here.all(wire.Ack)) == 300)
    assert {ack.refused for ack in here.all(wire.Ack)} == {"bad_report"}
    mock_clock.rate = 1.0
    await works.settle()
    notes = works.ledger.rows("SELECT code, count(*) FROM host_notes GROUP BY code ORDER BY code")
    assert [code for code, _ in notes] == ["bad_report", "over_budget"]
    assert notes[1][1] == 1
    assert NOTES[1] <= notes[0][1] < 2 * NOTES[1]
    assert works.left_out == {("left_out", "notes"): 300 - notes[0][1]}


async def test_only_so_many_reports_of_a_host_are_in_flight_at_once(works: Works, mock_clock: MockClock) -> None:
    """So many are before those of others, however many it has; none of them is lost."""
    host = enrolled(works)
    judging: Mailbox[Any] = Mailbox("rules", 1024)
    start_fleet(works, to_rules=judging)
    here = agent(works, host)
    await here.hello()
    for _ in range(REPORTS + here.box.capacity):
        await here.ends(ids.new())
    await trio.testing.wait_all_tasks_blocked(0.01)
    ends = [item for item in judging.take(1024) if isinstance(item, JudgeEnd)]
    assert len(ends) == REPORTS
    for end in ends[:10]:
        end.reply(Committed())
    await here.until(lambda: len(here.acked()) == 10)
    await trio.testing.wait_all_tasks_blocked(0.01)
    more = [item for item in judging.take(1024) if isinstance(item, JudgeEnd)]
    assert len(more) == 10
    for end in ends[10:] + more:
        end.reply(Committed())
    await here.until(lambda: len(here.acked()) == REPORTS + 10)
