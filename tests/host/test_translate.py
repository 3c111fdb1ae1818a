"""What an agent says, in the server's terms."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec import Raw

from rmactors.common import clock, wire
from rmactors.server.actors.host import translate
from rmactors.server.messages.hosts import RecordHello

JOB = "01JDX0000000000000000000AB"
NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def finished(**changes: object) -> wire.JobFinished:
    given: dict[str, object] = {
        "seq": 7, "job_id": JOB, "kind": "backup", "status": "failed", "reason": "locked",
        "started_at": moment("2026-11-23T03:00:00Z"), "finished_at": moment("2026-11-23T03:05:00Z"), **changes,
    }  # fmt: skip
    return wire.JobFinished(**given)  # type: ignore[arg-type]


def test_a_start_is_taken_over() -> None:
    frame = wire.JobStarted(
        3, JOB, "backup", moment("2026-11-23T04:00:00+01:00"), "home", "sched", moment("2026-11-23T03:00:00Z")
    )
    report = translate.start("host", frame, NOW)
    assert report.started_at == report.scheduled_for == clock.from_rfc3339("2026-11-23T03:00:00Z")
    assert (report.host_id, report.job_id, report.kind, report.plan, report.schedule_id) == (
        "host", JOB, "backup", "home", "sched",
    )  # fmt: skip
    assert report.received_at == NOW


def test_an_end_is_taken_over() -> None:
    report = translate.end(
        "host", finished(exit_code=11, error="locked by pid 12", stats=Raw(b'{"n": 1}')), "spool", NOW
    )
    assert (report.status, report.reason, report.error, report.exit_code) == (
        "failed",
        "locked",
        "locked by pid 12",
        11,
    )
    assert (report.stats, report.spool_id, report.seq) == ('{"n":1}', "spool", 7)
    assert report.finished_at - report.started_at == 5 * clock.MINUTE
    assert report.scheduled_for is None


def test_without_a_spool_a_number_says_nothing() -> None:
    assert translate.end("host", finished(), None, NOW).seq is None


def test_times_from_the_future_are_those_of_the_receipt() -> None:
    ahead = finished(started_at=moment("2030-01-01T00:00:00Z"), finished_at=moment("2030-01-02T00:00:00Z"))
    report = translate.end("host", ahead, None, NOW)
    assert (report.started_at, report.finished_at) == (NOW, NOW)
    start = wire.JobStarted(1, JOB, "backup", moment("2030-01-01T00:00:00Z"))
    report_of_start = translate.start("host", start, NOW)
    assert report_of_start.started_at == NOW
    assert report_of_start.said_start == report.said_start == clock.from_rfc3339("2030-01-01T00:00:00Z")


def test_a_start_after_the_end_is_the_end() -> None:
    report = translate.end("host", finished(started_at=moment("2026-11-23T11:00:00Z")), None, NOW)
    assert report.started_at == report.finished_at
    assert report.said_start is None


@pytest.mark.parametrize("stats", [b"[]", b"null", b"3", b'"x"'])
def test_stats_must_be_an_object(stats: bytes) -> None:
    with pytest.raises(translate.BadStats, match="object"):
        translate.end("host", finished(stats=Raw(stats)), None, NOW)


@pytest.mark.parametrize(
    ("stats", "files", "data"),
    [
        (b'{"files_total": 12, "bytes_total": 3400}', 12, 3400),
        (b'{"files_total": 0, "bytes_total": 0}', 0, 0),
        (b'{"files_total": 12}', 12, None),
        (b'{"total_files_processed": 12, "total_bytes_processed": 3400}', 12, 3400),
        (b'{"files_total": 0, "total_files_processed": 12, "bytes_total": null, "total_bytes_processed": 5}', 0, 5),
        (b'{"files_new": 12, "nested": {"files_total": 3}}', None, None),
        (b"{}", None, None),
        # whatever else an agent may say is none of the two numbers
        (b'{"files_total": "12", "bytes_total": null}', None, None),
        (b'{"files_total": true, "bytes_total": 1.5}', None, None),
        (b'{"files_total": -1, "bytes_total": [1]}', None, None),
        (b'{"files_total": 9223372036854775807, "bytes_total": 9223372036854775808}', 9223372036854775807, None),
        (b'{"files_total": 1' + b"0" * 400 + b', "bytes_total": 1e400}', None, None),
        (b'{"files_total": 1, "files_total": 2}', 2, None),
        (b'{"files_total": 1, "bytes_total"', None, None),
    ],
)
def test_what_a_backup_holds_is_read_from_its_stats(stats: bytes, files: int | None, data: int | None) -> None:
    report = translate.end("host", finished(stats=Raw(stats)), None, NOW)
    assert (report.files_total, report.bytes_total) == (files, data)


def test_a_time_that_no_page_could_show_is_one_that_it_can() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
    report = translate.end("host", finished(started_at=first, finished_at=last, scheduled_for=last), None, NOW)
    assert report.finished_at == NOW
    assert report.started_at == translate.EARLIEST
    assert report.scheduled_for == translate.LATEST


def test_a_hello_is_taken_over() -> None:
    plan = wire.Plan("home", "backup", "/srv/repo", ["/home"])
    frame = wire.Hello(
        wire.ProtocolRange(1, 1), "instance", "agent", "spool", "0.1.0", "nas", "linux", "x86_64", "Europe/Berlin",
        restic=wire.ResticInfo("0.18.0"), plans=[plan],
    )  # fmt: skip
    assert translate.hello("host", frame, NOW) == RecordHello(
        "host", NOW, False, "0.1.0", "nas", "linux", "x86_64", "Europe/Berlin", "0.18.0",
        '[{"name": "home", "kind_hint": "backup", "repository": "/srv/repo", "sources": ["/home"]}]',
    )  # fmt: skip


def test_a_hello_of_a_command_that_only_reports_is_no_sign_of_life() -> None:
    hello = translate.hello("host", wire.Hello(wire.ProtocolRange(1, 1), "instance", "report"), NOW)
    assert hello.report_only
    assert (hello.restic_version, hello.plans) == (None, "[]")
    assert not hello.restic_told, "it has not looked"


@pytest.mark.parametrize(
    ("said", "offset"),
    [
        (None, None),
        ("2026-11-23T12:01:31Z", 91.0),
        ("2026-11-23T12:01:31.04+00:00", 91.0),
        ("2026-11-23T12:50:00+01:00", -600.0),
        ("2026-11-23T11:59:59.96Z", 0.0),
        ("0001-01-01T00:00:00Z", -63931032000.0),
    ],
)
def test_a_hello_tells_how_far_the_hosts_clock_is_from_ours(said: str | None, offset: float | None) -> None:
    frame = wire.Hello(wire.ProtocolRange(1, 1), "instance", utc_now=moment(said) if said else None)
    assert translate.hello("host", frame, NOW).clock_offset_seconds == offset


def test_a_hello_says_that_restic_cannot_be_used_and_why() -> None:
    frame = wire.Hello(wire.ProtocolRange(1, 1), "instance", restic=None, restic_problem="old", tzdata_version="2026f")
    hello = translate.hello("host", frame, NOW)
    assert (hello.restic_told, hello.restic_version, hello.tzdata_version) == (True, None, "2026f")
    assert hello.restic_problem == "old"


@pytest.mark.parametrize(
    ("said", "since", "kept"),
    [
        (None, None, None),
        (None, "2026-11-28T11:00:00Z", None),
        ("", None, None),
        ("the disk is full", None, NOW),
        ("the disk is full", "2026-11-28T11:00:00Z", NOW - clock.HOUR),  # by the host's clock, which says 12:00 now
        ("the disk is full", "2026-11-28T13:00:00Z", NOW),  # the future
        ("the disk is full", "0001-01-01T00:00:00Z", 0),
    ],
)
def test_a_hello_says_that_reports_cannot_be_kept_and_since_when(
    said: str | None, since: str | None, kept: int | None
) -> None:
    frame = wire.Hello(
        wire.ProtocolRange(1, 1), "instance", utc_now=moment("2026-11-28T12:00:00Z"), spool_problem=said,
        spool_problem_since=moment(since) if since else None,
    )  # fmt: skip
    hello = translate.hello("host", frame, NOW)
    assert (hello.spool_problem, hello.spool_problem_since) == (said if kept is not None else None, kept)


@pytest.mark.parametrize(
    ("stats", "warning", "unknown"),
    [
        ('{"n": 1}', None, None),
        ('{"warning": "a restic in this command failed"}', "a restic in this command failed", None),
        ('{"warning": "w", "unknown_schedule": "nihgtly"}', "w", "nihgtly"),
        ('{"unknown_schedule": "nihgtly"}',
         "there is no schedule 'nihgtly' on this host; counted without one", "nihgtly"),
        # whatever an agent sends
        ('{"warning": 3, "unknown_schedule": null}', None, None),
        ('{"warning": "  "}', None, None),
        ('{"warning": "a\\nb\\u0007"}', "a\ufffdb\ufffd", None),
        ('{"n": "\\"warning\\"", "warning"', "left out of the job's statistics: all of them", None),
        ('{"n": 1e999, "warning": "w"}', "w; left out of the job's statistics: n", None),
        (json.dumps({"unknown_schedule": "x" * 300, "warning": "y" * 300}), "y" * 200, "x" * 200),
        ('{"a": ' + "[" * 100_000 + ', "warning": ""', "left out of the job's statistics: all of them", None),
    ],
)  # fmt: skip
def test_what_an_operator_should_see_stands_in_the_stats(stats: str, warning: str | None, unknown: str | None) -> None:
    report = translate.end("host", finished(stats=Raw(stats.encode())), "spool", NOW)
    assert (report.warning, report.unknown_schedule) == (warning, unknown)


@pytest.mark.parametrize(
    ("text", "behind"), [("10 lines left out", 15), ("0 lines left out", 5), ("some are missing", 6), ("", 6)]
)
def test_a_gap_in_log_lines_passes_over_the_numbers_of_what_is_missing(text: str, behind: int) -> None:
    head, tail = wire.LogLine("stdout", "head"), wire.LogLine("stderr", "tail")
    frame = wire.JobLog("job", 4, [head, wire.LogLine("gap", text), tail, tail])
    assert translate.log_lines(frame) == [
        (4, "stdout", "head"),
        (behind, "stderr", "tail"),
        (behind + 1, "stderr", "tail"),
    ]
