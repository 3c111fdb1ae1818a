"""A host's jobs while reports of them come in, get to disk, or do not. Times are microseconds from 0."""

from dataclasses import dataclass
from typing import Literal

import pytest

from rmactors.common.clock import DAY, HOUR
from rmactors.server.actors.host.reports_in_flight import (
    EARLY_CHARACTERS,
    LINES_HELD,
    OVERDUE,
    UNKNOWN,
    WAITERS,
    InFlightReport,
    JobEvent,
    JobTracker,
)
from rmactors.server.actors.host.translate import Line
from rmactors.server.messages.connections import AgentConnection
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.state.host import RunningJob

NO_LONGER_THAN = DAY
START, END, LOSS = JobEvent("job", "start"), JobEvent("job", "end"), JobEvent("job", "loss")
LINES: list[Line] = [(0, "stdout", "one"), (1, "stderr", "two")]


def connection(number: int = 1) -> AgentConnection:
    def never(*_: object) -> None:
        raise AssertionError("nothing is sent or closed in here")

    return AgentConnection(number, "192.0.2.7", never, never, "hash")


def runs(job_id: str = "job", deadline_at: int = DAY) -> RunningJob:
    return RunningJob(job_id, "backup", "home", None, 0, deadline_at)


def jobs(*running: RunningJob) -> JobTracker:
    return JobTracker("host", running, NO_LONGER_THAN)


def start(job_id: str = "job", at: int = 0) -> StartReport:
    return StartReport("host", job_id, "backup", "home", None, None, at, at)


def end(job_id: str = "job") -> EndReport:
    return EndReport(
        "host", job_id, "backup", "home", None, None, "succeeded", "ok", None, 0, 0, HOUR, "{}", None, None, HOUR
    )


def lost(losses: list[LostJob]) -> set[tuple[str, str]]:
    return {(loss.job_id, loss.detail) for loss in losses}


# ---- reports and their answers


Answered = Literal["saved", "refused", "failed"]


def resolve(
    known: JobTracker, event: JobEvent, answered: Answered = "saved", deadline_at: int | None = None
) -> InFlightReport:
    report = known.take(event)
    assert report is not None
    match answered:
        case "saved":
            known.on_saved(event, deadline_at)
        case "refused":
            known.on_refused(event)
        case "failed":
            known.on_failed(event, report)
    return report


@dataclass(frozen=True)
class Row:
    """A job known to run or not, one report of it, and the answer: does it run afterwards?"""

    why: str
    before: bool
    event: JobEvent
    answered: Answered
    after: bool


@pytest.mark.parametrize(
    "row",
    [
        Row("a start that is on disk", False, START, "saved", True),
        Row("a start that is refused never was", False, START, "refused", False),
        Row("a start that did not get to disk never came", False, START, "failed", False),
        Row("an end that is on disk", True, END, "saved", False),
        Row("an end that is refused ends nothing", True, END, "refused", True),
        Row("an end that did not get to disk never came", True, END, "failed", True),
        Row("an end of a job whose start was never heard", False, END, "saved", False),
        Row("a loss that is on disk", True, LOSS, "saved", False),
        Row("a loss that is refused is none of this host's", True, LOSS, "refused", False),
        Row("a loss that did not get to disk is none yet", True, LOSS, "failed", True),
    ],
    ids=lambda row: row.why,
)
def test_a_job_runs_as_far_as_reports_have_got_to_disk(row: Row) -> None:
    known = jobs(*[runs()] if row.before else [])
    match row.event.kind:
        case "start":
            known.on_start(start(), (connection(), 7))
        case "end":
            known.on_end(end(), (connection(), 7))
        case "loss":
            assert lost(known.lose_overdue(DAY)) == {("job", OVERDUE)}
    resolve(known, row.event, row.answered)
    assert known.runs("job") is row.after
    assert known.take(row.event) is None  # it is in flight no more


def test_a_job_runs_as_soon_as_its_start_is_heard_and_until_its_end_is_on_disk() -> None:
    known = jobs()
    assert not known.runs("job")
    known.on_start(start(), (connection(), 1))
    assert known.runs("job")
    known.on_end(end(), (connection(), 2))
    assert known.runs("job")


def test_the_same_report_again_waits_for_the_same_answer() -> None:
    known = jobs()
    before, after = connection(1), connection(2)
    assert not known.join(END, (before, 5))
    known.on_end(end(), (before, 5))
    assert known.join(END, (after, 5))
    assert not known.join(START, (after, 4))
    report = resolve(known, END)
    assert report.waiting == [(before, 5), (after, 5)]
    assert not known.join(END, (after, 5))


def test_an_answer_to_what_was_sent_before_a_restart_changes_nothing() -> None:
    known = jobs(runs())
    assert known.take(END) is None
    assert known.runs("job")


def test_what_was_on_disk_says_whether_a_job_has_ended_since() -> None:
    known = jobs(runs())
    known.drop_unless_running("job", [runs("another"), runs()])
    assert known.runs("job")
    known.drop_unless_running("job", [runs("another")])
    assert not known.runs("job")


def test_a_job_has_begun_for_its_agent_while_it_runs_or_its_start_is_in_flight() -> None:
    known = jobs(runs("a"))
    known.on_start(start("b"), (connection(), 1))
    known.on_end(end("c"), (connection(), 2))
    assert known.started() == {"a", "b"}
    known.lose_overdue(DAY)  # which its agent may not know
    assert known.started() == {"b"}


# ---- log lines


def test_log_lines_wait_for_the_start_of_their_job_and_for_nothing_else() -> None:
    known = jobs(runs("another"))
    known.on_start(start(), (connection(), 1))
    known.on_end(end("another"), (connection(), 2))
    assert not known.hold_lines("another", LINES)
    assert known.hold_lines("job", LINES[:1])
    assert known.hold_lines("job", LINES[1:])
    report = resolve(known, START, deadline_at=3 * HOUR)
    assert report.lines == LINES
    assert not known.hold_lines("job", LINES)


@pytest.mark.parametrize("first", ["start", "end"])
def test_lines_that_come_before_anything_else_of_their_job_wait_for_what_tells_of_it(first: str) -> None:
    known = jobs()
    assert not known.hold_lines("job", LINES[:1])
    assert not known.hold_lines("job", LINES[1:])
    if first == "start":
        known.on_start(start(), (connection(), 1))
    else:
        known.on_end(end(), (connection(), 1))
    assert known.hold_lines("job", [(2, "stdout", "three")])
    report = resolve(known, START if first == "start" else END, deadline_at=3 * HOUR)
    assert report.lines == [*LINES, (2, "stdout", "three")]


def test_early_lines_are_kept_of_the_newest_job_alone_and_only_so_many() -> None:
    known = jobs()
    known.hold_lines("another", LINES)
    for number in range(3):
        known.hold_lines("job", [(number, "stdout", "x" * (EARLY_CHARACTERS // 2))])
    for job_id, numbers in (("another", []), ("job", [0, 1])):
        known.on_end(end(job_id), (connection(), 1))
        report = resolve(known, JobEvent(job_id, "end"))
        assert [number for number, _, _ in report.lines] == numbers


def test_only_so_many_log_lines_are_held() -> None:
    known = jobs()
    known.on_start(start(), (connection(), 1))
    for first in range(0, LINES_HELD + 2, 3):
        assert known.hold_lines("job", [(first + n, "stdout", "line") for n in range(3)])
    report = resolve(known, START, deadline_at=3 * HOUR)
    assert [number for number, _, _ in report.lines] == list(range(LINES_HELD))


def test_only_so_many_wait_for_one_step_the_others_ask_again() -> None:
    known = jobs()
    known.on_end(end(), (connection(), 0))
    assert len(known) == 1
    for seq in range(1, 2 * WAITERS):
        assert known.join(END, (connection(), seq))
    report = resolve(known, END)
    assert [seq for _, seq in report.waiting] == list(range(WAITERS))
    assert len(known) == 0


# ---- overdue jobs


def test_nothing_is_overdue_where_nothing_runs() -> None:
    assert jobs().first_deadline() is None
    assert jobs().lose_overdue(DAY) == []


def test_a_job_is_overdue_at_its_deadline_and_given_up_once() -> None:
    known = jobs(runs("a", 2 * HOUR), runs("b", HOUR))
    assert known.first_deadline() == HOUR
    assert known.lose_overdue(HOUR - 1) == []
    assert known.lose_overdue(HOUR) == [LostJob("host", "b", "backup", "home", None, 0, HOUR, OVERDUE)]
    assert known.lose_overdue(HOUR) == []
    assert known.first_deadline() == 2 * HOUR


def test_a_job_whose_reports_are_refused_again_and_again_is_overdue_once() -> None:
    known = jobs(runs(deadline_at=HOUR), runs("other", deadline_at=2 * HOUR))
    for _ in range(3):
        known.on_end(end(), (connection(), 1))
        assert known.first_deadline() == 2 * HOUR
        resolve(known, END, "refused")
        assert known.first_deadline() == HOUR
    assert lost(known.lose_overdue(HOUR)) == {("job", OVERDUE)}
    assert known.first_deadline() == 2 * HOUR


def test_an_old_start_is_not_overdue_before_it_is_on_disk_nor_while_its_end_is_in_flight() -> None:
    known = jobs()
    known.on_start(start(), (connection(), 1))
    assert known.first_deadline() is None
    assert known.lose_overdue(2 * DAY) == []
    known.on_end(end(), (connection(), 2))
    resolve(known, START, deadline_at=3 * HOUR)
    assert known.first_deadline() is None
    assert known.lose_overdue(2 * DAY) == []
    resolve(known, END, "failed")
    assert known.first_deadline() == 3 * HOUR
    assert lost(known.lose_overdue(2 * DAY)) == {("job", OVERDUE)}


def test_no_job_is_overdue_while_spooled_reports_are_to_come_in_unless_their_agent_has_left() -> None:
    known = jobs(runs(deadline_at=HOUR))
    known.agent_connected(1, ["job"])
    assert known.first_deadline() is None
    assert known.lose_overdue(HOUR) == []
    known.spooled_arrived(END, HOUR)
    assert known.first_deadline() == HOUR
    known.agent_connected(1, ["job"])
    known.agent_disconnected()
    assert lost(known.lose_overdue(HOUR)) == {("job", OVERDUE)}


def test_a_job_may_run_for_as_long_as_is_on_disk_or_for_the_longest_time_where_nothing_is() -> None:
    known = jobs()
    known.on_start(start(at=HOUR), (connection(), 1))
    resolve(known, START, deadline_at=3 * HOUR)
    assert known.first_deadline() == 3 * HOUR
    known.on_start(start("another", at=0), (connection(), 2))
    resolve(known, JobEvent("another", "start"))
    known.on_end(end(), (connection(), 3))
    assert known.first_deadline() == NO_LONGER_THAN


def test_a_start_that_is_heard_again_leaves_the_deadline_that_is_known() -> None:
    known = jobs(runs(deadline_at=2 * HOUR))
    known.on_start(start(at=HOUR), (connection(), 1))
    resolve(known, START)
    assert known.first_deadline() == 2 * HOUR


def test_the_deadline_of_a_job_that_was_given_up_meanwhile_does_not_bring_it_back() -> None:
    known = jobs()
    known.on_start(start(), (connection(), 1))
    known.agent_connected(0, [])
    assert lost(known.reconcile(HOUR)) == {("job", UNKNOWN)}
    resolve(known, START, deadline_at=3 * HOUR)
    assert not known.runs("job")


def test_a_job_whose_loss_is_in_flight_is_not_lost_a_second_time() -> None:
    known = jobs(runs())
    assert len(known.lose_overdue(DAY)) == 1
    known.on_start(start(), (connection(), 1))  # heard again
    assert known.first_deadline() is None
    assert known.lose_overdue(DAY) == []
    known.agent_connected(0, [])
    assert known.reconcile(DAY) == []
    assert known.runs("job")


def test_a_loss_that_did_not_get_to_disk_is_reported_again() -> None:
    known = jobs(runs())
    known.lose_overdue(DAY)
    report = resolve(known, LOSS, "failed")
    assert report.lost_job == runs()
    assert lost(known.lose_overdue(DAY)) == {("job", OVERDUE)}


# ---- jobs that their agent does not know


def test_a_job_that_its_agent_does_not_know_is_given_up() -> None:
    known = jobs(runs("known"), runs("unknown"))
    known.agent_connected(0, ["known", "of its own"])
    assert known.lose_missing(HOUR) == []  # none is missing yet
    assert lost(known.reconcile(HOUR)) == {("unknown", UNKNOWN)}
    assert known.runs("known")
    assert known.lose_missing(HOUR) == []


def test_it_is_given_up_only_after_the_last_of_the_spooled_reports() -> None:
    known = jobs(runs("a"), runs("b"))
    known.agent_connected(2, [])
    assert known.reconcile(HOUR) == []
    assert known.spooled_arrived(JobEvent("x", "start"), HOUR) == []
    assert known.lose_missing(HOUR) == []
    assert lost(known.spooled_arrived(JobEvent("x", "end"), HOUR)) == {("a", UNKNOWN), ("b", UNKNOWN)}
    assert known.spooled_arrived(JobEvent("y", "end"), HOUR) == []  # no spooled one


@pytest.mark.parametrize("again", [JobEvent("x", "end"), 7], ids=["taken", "refused"])
def test_a_spooled_report_that_is_sent_again_counts_once(again: JobEvent | int) -> None:
    known = jobs(runs("a"))
    known.agent_connected(2, [])
    known.reconcile(HOUR)
    for _ in range(3):
        assert known.spooled_arrived(again, HOUR) == []
    assert lost(known.spooled_arrived(JobEvent("y", "end"), HOUR)) == {("a", UNKNOWN)}


def test_a_spooled_report_counts_again_on_a_new_connection() -> None:
    known = jobs(runs("a"))
    for _ in range(2):
        known.agent_connected(2, [])
        known.reconcile(HOUR)
        assert known.spooled_arrived(END, HOUR) == []


def test_a_job_whose_end_came_among_the_spooled_reports_is_not_lost() -> None:
    known = jobs(runs("in flight"), runs("on disk"), runs("lost"))
    known.agent_connected(2, [])
    known.reconcile(HOUR)
    known.on_end(end("on disk"), (connection(), 1))
    resolve(known, JobEvent("on disk", "end"))
    known.spooled_arrived(JobEvent("on disk", "end"), HOUR)
    known.on_end(end("in flight"), (connection(), 2))
    assert lost(known.spooled_arrived(JobEvent("in flight", "end"), HOUR)) == {("lost", UNKNOWN)}


def test_no_job_is_missing_any_more_once_it_has_left_or_another_came() -> None:
    known = jobs(runs())
    known.agent_connected(1, [])
    known.reconcile(HOUR)
    known.agent_disconnected()
    assert known.spooled_arrived(END, HOUR) == []
    assert known.lose_missing(HOUR) == []
    known.agent_connected(1, [])
    known.reconcile(HOUR)
    known.agent_connected(0, ["job"])
    assert known.reconcile(HOUR) == []
    assert known.runs("job")


@pytest.mark.parametrize(
    ("present", "knows", "again"),
    [
        (True, [], {("job", UNKNOWN)}),
        (True, ["job"], set()),  # lost for another reason, which sees to it
        (False, [], set()),  # the next hello tells
    ],
)
def test_a_loss_that_did_not_get_to_disk_is_reported_again_while_its_agent_does_not_know_the_job(
    present: bool, knows: list[str], again: set[tuple[str, str]]
) -> None:
    known = jobs(runs())
    known.agent_connected(0, knows)
    known.lose_overdue(DAY)
    if not present:
        known.agent_disconnected()
    resolve(known, LOSS, "failed")
    assert lost(known.lose_missing(DAY)) == again
