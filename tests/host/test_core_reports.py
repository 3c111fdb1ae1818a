"""What a host's core decides: reports and their answers, lost jobs, log lines, progress."""

from dataclasses import dataclass

import pytest
from msgspec import Raw

from rmactors.common import wire
from rmactors.common.clock import DAY, HOUR, SECOND
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events
from rmactors.server.actors.host.core import RETRY_SECONDS
from rmactors.server.actors.host.reports_in_flight import JobEvent, Kind
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale, no_reply
from rmactors.server.messages.jobs import JobStarted
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.requests import JudgeEnd, JudgeLoss, JudgeStart
from rmactors.server.runtime.rate_limits import LINES_A_FRAME, NOTES, PROGRESS, REPORTS
from tests.host.history import START_AT, History, frames, lost, notes, only, queued, refused_note, runs, work

SAVED = Committed((JobStarted(START_AT + HOUR),))
REFUSED = Refused("foreign_job", "another host's")
NO_DISK = Failed("the disk is full")

# ---- one report and its answer


@dataclass(frozen=True)
class Row:
    """The answer to a report of a job: which ack goes out, and does the job run afterwards?"""

    why: str
    kind: Kind
    answer: Answer
    ack: wire.Ack | None
    runs: bool


@pytest.mark.parametrize(
    "row",
    [
        Row("a start that is on disk", "start", SAVED, wire.Ack(7), True),
        Row("a start that was on disk: the job may run", "start", Duplicate(), wire.Ack(7), True),
        Row("a start of another host's job", "start", REFUSED, wire.Ack(7, "foreign_job", "another host's"), False),
        Row("a start that is sent again", "start", NO_DISK, None, False),
        Row("a start that was decided on what is not so", "start", Stale("changed meanwhile"), None, False),
        Row("an end that is on disk", "end", Committed(), wire.Ack(7), False),
        Row("an end that was on disk", "end", Duplicate(), wire.Ack(7), False),
        Row("an end of another host's job", "end", REFUSED, wire.Ack(7, "foreign_job", "another host's"), True),
        Row("an end that is sent again", "end", NO_DISK, None, True),
        Row("an end that was decided on what is not so", "end", Stale("changed meanwhile"), None, True),
        Row("a loss that is on disk", "loss", Committed(), None, False),
        Row("a loss of a job that had ended", "loss", Duplicate(), None, False),
        Row("a loss of another host's job", "loss", REFUSED, None, False),
        Row("a loss that is reported again", "loss", NO_DISK, None, True),
        Row("a loss that was decided on what is not so", "loss", Stale("changed meanwhile"), None, True),
    ],
    ids=lambda row: row.why,
)
def test_an_answer_decides_which_ack_goes_out_and_whether_the_job_runs(row: Row) -> None:
    host = History([runs()] if row.kind != "start" else [])
    here = host.connects(running_jobs=["job"])
    match row.kind:
        case "start":
            sent = host.starts(here, seq=7)
        case "end":
            sent = host.ends(here, seq=7)
        case "loss":
            host.seconds = DAY / SECOND
            sent = host.alarm()
    assert [effect.event for effect in only(sent, do.JudgeReport)] == [JobEvent("job", row.kind)]
    assert frames(sent) == []
    effects = host.answered(row.kind, row.answer)
    assert frames(effects) == ([row.ack] if row.ack is not None else [])
    assert bool(only(host.says(here, wire.JobProgress("job", 1.0)), do.ShowProgress)) is row.runs
    assert host.answered(row.kind, row.answer) == [], "it is not in flight any more"


@pytest.mark.parametrize(
    ("report", "request_type"),
    [
        (StartReport("host", "job", "backup", None, None, None, 0, 0), JudgeStart),
        (
            EndReport("host", "job", "backup", None, None, None, "succeeded", "ok", None, 0, 0, 0, "{}", None, None, 0),
            JudgeEnd,
        ),
        (LostJob("host", "job", "backup", None, None, 0, 0, "x"), JudgeLoss),
    ],
    ids=["start", "end", "loss"],
)
def test_each_kind_of_report_is_its_own_request_to_the_rules(
    report: StartReport | EndReport | LostJob, request_type: type
) -> None:
    request = do.JudgeReport(JobEvent("job", "end"), report).request(no_reply)
    assert type(request) is request_type
    assert request.reply is no_reply


def test_the_same_report_on_two_connections_is_judged_once_and_acked_on_both() -> None:
    host = History()
    before = host.connects(1)
    assert len(only(host.ends(before, seq=5), do.JudgeReport)) == 1
    here = host.connects(2)
    assert only(host.ends(here, seq=6), do.JudgeReport) == []
    assert host.answered("end", Committed()) == [
        do.SendFrame(before, wire.Ack(5)), do.SendFrame(here, wire.Ack(6)),
    ]  # fmt: skip


def test_an_answer_to_what_was_sent_before_a_restart_changes_nothing() -> None:
    assert History([runs()]).answered("end", Committed()) == []


def test_a_report_of_a_command_that_only_reports_is_acked_and_is_no_sign_of_life() -> None:
    host = History()
    reporter = host.connects(purpose="report", spool_id="spool")
    [judged] = host.ends(reporter, seq=3)
    assert isinstance(judged, do.JudgeReport)
    assert isinstance(judged.report, EndReport)
    assert (judged.report.spool_id, judged.report.seq) == ("spool", 3)
    assert host.answered("end", Committed()) == [do.SendFrame(reporter, wire.Ack(3))]


def test_a_start_that_was_on_disk_asks_whether_its_job_has_ended_since() -> None:
    host = History()
    here = host.connects()
    host.starts(here)
    assert host.answered("start", Duplicate()) == [do.SendFrame(here, wire.Ack(1)), do.ReadRunningJobs("job")]
    progress = wire.JobProgress("job", 1.0)
    for found in (None, [runs()]):
        host.happens(events.RunningJobsRead("job", found))
        assert do.ShowProgress(progress) in host.says(here, progress)
    host.happens(events.RunningJobsRead("job", [runs("another")]))
    assert do.ShowProgress(progress) not in host.says(here, progress)


def test_a_job_that_has_ended_is_not_cancelled_at_its_agent() -> None:
    host = History()
    here = host.connects(waits=work(queued("job"), queued("other")))
    host.ends(here)
    host.answered("end", Committed())
    assert frames(host.happens(events.PendingWorkRead(None, work()))) == [wire.CancelJob("other")]


def test_only_so_many_reports_are_in_flight_at_once() -> None:
    host = History()
    here = host.connects()
    for number in range(REPORTS):
        assert not host.core.is_full()
        host.ends(here, f"job {number}")
    assert host.core.is_full()
    host.answered("end", Committed(), "job 0")
    assert not host.core.is_full()


# ---- reports that cannot be taken


def test_a_report_that_cannot_be_read_is_refused_and_noted() -> None:
    host = History()
    here = host.connects()
    assert host.says_rubbish(here, seq=4) == [
        do.SignOfLife(START_AT),
        do.SendFrame(here, wire.Ack(4, "bad_report", "it is wrong")),
        do.SaveNote(refused_note(START_AT)),
    ]
    reporter = host.connects(2, purpose="report")
    assert only(host.says_rubbish(reporter), do.SignOfLife) == []


@pytest.mark.parametrize("stats", [Raw(b"[]"), Raw(b"null")], ids=["list", "null"])
def test_a_report_whose_stats_are_no_object_is_refused(stats: Raw) -> None:
    host = History()
    here = host.connects()
    effects = host.ends(here, seq=9, stats=stats)
    assert frames(effects) == [wire.Ack(9, "bad_report", "`stats` must be an object")]
    assert notes(effects) == ["bad_report"]
    assert only(effects, do.JudgeReport) == []


def test_refused_reports_are_all_answered_and_those_beyond_the_budget_of_notes_are_counted() -> None:
    host = History()
    here = host.connects()
    effects = [effect for seq in range(2 * int(NOTES[1])) for effect in host.says_rubbish(here, seq)]
    assert len(frames(effects)) == 2 * NOTES[1]
    assert notes(effects) == ["bad_report"] * int(NOTES[1]) + ["over_budget"]
    assert only(effects, do.CountLeftOut) == [do.CountLeftOut("notes", 1)] * int(NOTES[1])


def test_an_unknown_schedule_is_noted_and_its_run_counts() -> None:
    host = History()
    effects = host.ends(host.connects(), stats=Raw(b'{"unknown_schedule": "weekyl"}'))
    assert len(only(effects, do.JudgeReport)) == 1
    assert notes(effects) == ["unknown_schedule"]


# ---- lost jobs


def test_a_job_is_lost_at_its_deadline_by_the_calendar() -> None:
    host = History([runs(deadline_at=START_AT + HOUR)])
    host.connects(running_jobs=["job"])
    host.seconds = 3500.0
    host.says_hello(host.core.connections()[0], running_jobs=["job"])
    assert host.core.next_deadline() == 3600.0
    assert host.alarm() == []
    host.seconds = 3600.0
    assert lost(host.alarm()) == {"job"}


def test_a_job_that_began_has_the_deadline_that_its_start_was_saved_with() -> None:
    host = History()
    here = host.connects()
    host.starts(here)
    assert host.core.next_deadline() == 900.0, "that of silence: a job is not overdue before its start is on disk"
    host.answered("start", Committed((JobStarted(START_AT + 60 * SECOND),)))
    assert host.core.next_deadline() == 60.0


def test_jobs_that_their_agent_does_not_know_are_lost_with_the_last_spooled_report() -> None:
    host = History([runs("lost"), runs("ended")])
    here = host.connects(spooled=3)
    assert lost(host.starts(here, "other")) == set()
    assert lost(host.says_rubbish(here, seq=8)) == set()
    assert lost(host.says_rubbish(here, seq=8)) == set(), "sent again, it counts once"
    assert lost(host.ends(here, "ended")) == {"lost"}


def test_a_report_beside_the_agents_is_none_of_the_spooled_ones() -> None:
    host = History([runs("lost")])
    host.connects(1, spooled=1)
    reporter = host.connects(2, purpose="report")
    assert lost(host.ends(reporter, "other")) == set()


def test_a_spooled_report_that_was_in_flight_already_counts_as_arrived() -> None:
    host = History([runs("lost")])
    before = host.connects(1, running_jobs=["lost"])
    host.ends(before, "other")
    here = host.connects(2, spooled=1)
    assert lost(host.ends(here, "other")) == {"lost"}


def test_a_loss_that_did_not_get_to_disk_is_reported_again_after_a_while() -> None:
    host = History([runs("lost")])
    here = host.connects(spooled=1)
    assert lost(host.says_rubbish(here)) == {"lost"}
    host.answered("loss", NO_DISK, "lost")
    assert host.core.next_deadline() == RETRY_SECONDS
    host.seconds = RETRY_SECONDS
    assert lost(host.alarm()) == {"lost"}


# ---- progress and log lines


def job_log(number: int, first: int = 0, job_id: str = "job") -> wire.JobLog:
    return wire.JobLog(job_id, first, [wire.LogLine("stdout", "x")] * number)


def saved(effects: list[do.Effect]) -> list[int]:
    """Numbers of the lines that are given to the store."""
    return [number for effect in only(effects, do.SaveLines) for number, _, _ in effect.write.lines]


def test_progress_is_shown_of_jobs_that_run_and_within_the_budget() -> None:
    host = History([runs()])
    here = host.connects(running_jobs=["job"])
    assert host.says(here, wire.JobProgress("another", 1.0)) == [do.SignOfLife(START_AT)]
    effects = [effect for n in range(int(PROGRESS[1]) + 3) for effect in host.says(here, wire.JobProgress("job", n))]
    assert len(only(effects, do.ShowProgress)) == PROGRESS[1]
    assert only(effects, do.CountLeftOut) == [do.CountLeftOut("progress", 1)] * 3
    assert notes(effects) == ["over_budget"]


def test_log_lines_are_saved_at_once_and_those_beyond_the_budget_counted() -> None:
    host = History([runs()])
    here = host.connects(running_jobs=["job"])
    effects = host.says(here, job_log(LINES_A_FRAME + 5))
    assert saved(effects) == list(range(LINES_A_FRAME))
    assert only(effects, do.CountLeftOut) == [do.CountLeftOut("log_lines", 5)]
    assert notes(effects) == ["over_budget"]
    assert notes(host.says(here, job_log(LINES_A_FRAME + 5))) == []


def test_log_lines_wait_for_the_start_of_their_job() -> None:
    host = History()
    here = host.connects()
    host.starts(here)
    assert saved(host.says(here, job_log(2))) == []
    assert host.answered("start", SAVED)[0] == do.SendFrame(here, wire.Ack(1))
    host.ends(here)
    assert saved(host.says(here, job_log(1, first=2))) == [2]


def test_the_end_of_a_job_shows_that_lines_before_it_were_left_out() -> None:
    host = History([runs()])
    here = host.connects(running_jobs=["job"])
    host.says(here, job_log(LINES_A_FRAME + 5))
    host.happens(events.LinesWritten())
    host.ends(here)
    assert saved(host.answered("end", Committed())) == [LINES_A_FRAME + 4]


def test_lines_that_the_store_has_no_place_for_are_counted_and_the_next_ones_sent() -> None:
    host = History([runs()])
    here = host.connects(running_jobs=["job"])
    sent = [saved(host.says(here, job_log(1, first=first))) for first in range(4)]
    assert sent == [[0], [1], [], []]
    effects = host.happens(events.LinesWritten(dropped=1))
    assert only(effects, do.CountLeftOut) == [do.CountLeftOut("log_lines", 1)]
    assert saved(effects) == [2]
    assert saved(host.happens(events.LinesWritten())) == [3]
    assert host.happens(events.LinesWritten()) == []
