"""The sentence on the dashboard, hosts, jobs, channels, sessions and silences in words."""

import json
from dataclasses import replace

import pytest

from rmactors.common import clock
from rmactors.common.vocabulary import JobStatus
from rmactors.common.wire import JobProgress
from rmactors.server.channels.registry import KINDS
from rmactors.server.store.queries.channels import ChannelHealth, ChannelRow
from rmactors.server.store.queries.hosts import HostRow, HostView
from rmactors.server.store.queries.jobs import JobRow, LogLine
from rmactors.server.store.queries.pages import AlertCount, Fleet, SizePoint, SubjectRuns
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.store.queries.silences import SilenceRow
from rmactors.server.web.views import channels, fleet, jobs, people, silences, stats, strips
from rmactors.server.web.views.times import Moment

NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
MOMENT = Moment(NOW)


def host(name: str = "nas1", seen: int | None = 5) -> HostRow:
    """Seen so many seconds ago."""
    at = NOW - seen * clock.SECOND if seen is not None else None
    return HostRow(
        name.ljust(26, "0"), name, name, f"{name}.lan", "linux", "x86_64", '["prod"]', "0.1", "0.14.0", "UTC", "[]",
        NOW - clock.DAY, at, at, None, at,
    )  # fmt: skip


def job(status: JobStatus, reason: str | None = None, host_id: str = "nas1".ljust(26, "0")) -> JobRow:
    ended = None if status in {"queued", "running"} else NOW - clock.HOUR + 41 * clock.SECOND
    facts = json.dumps({"total_bytes_processed": 18_200_000_000, "files_new": 3})
    return JobRow(
        "J" * 26, host_id, "backup", "home", "S" * 26, None, status, reason, None, None, "{}", facts, None, None,
        NOW - clock.HOUR, ended, None, NOW - clock.HOUR,
    )  # fmt: skip


SCHEDULE = ScheduleRow(
    "S" * 26, "nas1".ljust(26, "0"), "Nightly", "backup", "0 2 * * *", "UTC", 1, "agent", 0.0, 86400.0, "alert", "{}",
    0, 0, None, "succeeded",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "hosts", "backed_up", "text"),
    [
        ({}, 0, 0, "Add your first host"),
        ({}, 43, 43, "Everything is backed up"),
        ({}, 43, 41, "Nothing needs attention"),
        ({"backup_failed": 1}, 43, 41, "1 backup needs attention"),
        ({"backup_failed": 1, "stale_schedule": 1}, 43, 41, "2 backups need attention"),
        ({"backup_overdue": 1, "backup_suspicious": 1}, 43, 41, "2 backups need attention"),
        ({"agent_offline": 2}, 43, 41, "2 hosts are silent"),
        ({"channel_failing": 1}, 43, 43, "1 channel does not deliver"),
        ({"agent_offline": 1, "check_failed": 2}, 43, 41, "3 things need attention"),
    ],
)
def test_one_sentence_says_how_things_are(kinds: dict[str, int], hosts: int, backed_up: int, text: str) -> None:
    assert fleet.sentence(kinds, hosts, backed_up) == text


def test_the_dashboard_says_how_many_were_backed_up_and_what_is_next() -> None:
    view = HostView(host(), [SCHEDULE], {"backup": job("succeeded", "ok")})
    found = Fleet([view], 1, 1, [AlertCount(view.host.id, "check_failed", 1)], {}, [])
    shown = fleet.dashboard(found, MOMENT)
    assert shown.lede == "1 of 1 host was backed up in the last 24 hours. Next: nas1, in 14 h."
    assert (shown.critical, shown.banner) == (1, "1 critical alert is open")
    line = fleet.host_lines(found, MOMENT, 90.0)[0]
    assert (line.state.word, line.alerts, line.alerts_tone) == ("Online", "1 alert", "bad")
    assert line.last_sub == "18.2 GB · 3 new files · 41 s"


def test_a_host_that_works_says_what_it_does() -> None:
    view = HostView(host(), [], {})
    assert fleet.state(view, job("running"), MOMENT, 90.0).word == "Backing up · 1 h"
    assert fleet.state(HostView(host(seen=7200), [], {}), job("running"), MOMENT, 90.0).word == "Offline · 2 h"


def test_runs_without_a_schedule_get_a_strip_by_plan_and_count_in_the_strip_of_the_host() -> None:
    view = HostView(host(), [], {})
    runs = [SubjectRuns(view.host.id, "plan:home", "3succeeded")]
    shown = fleet.strips_of(view, runs, strips.window(MOMENT), MOMENT)
    assert [strip.name for strip in shown] == ["home"]
    whole = fleet.host_lines(Fleet([view], 1, 0, [], {}, runs), MOMENT, 90.0)[0].strip
    assert whole is not None
    assert whole.words == "nas1, last 30 days: 1 day good, 29 days with nothing due"


def test_a_day_of_a_host_is_as_bad_as_the_worst_run_of_all_its_schedules() -> None:
    other = replace(SCHEDULE, id="T" * 26, name="Check", kind="check", cron="0 4 * * 0", anchor_at=NOW)
    view = HostView(host(), [SCHEDULE, other], {})
    days = ",".join(f"{day}succeeded" for day in range(29))
    runs = [
        SubjectRuns(view.host.id, SCHEDULE.id, f"{days},7failed,8failed,8succeeded"),
        SubjectRuns(view.host.id, other.id, "5failed,12partial,19succeeded,20failed,20failed,26succeeded"),
    ]
    strip = fleet.host_lines(Fleet([view], 1, 1, [], {}, runs), MOMENT, 90.0)[0].strip
    assert strip is not None
    assert [strip.days[day] for day in (5, 7, 8, 12, 19, 20)] == [
        "failed", "failed", "recovered", "partial", "good", "failed",
    ]  # fmt: skip
    assert strip.words == (
        "nas1, last 30 days: 24 days good, 1 day partial, 3 days failed, 1 day recovered by a later run,"
        " 1 day with nothing due"
    )


def test_a_host_that_is_away_runs_what_is_planned_when_it_is_back() -> None:
    found = Fleet([HostView(host(seen=7200), [SCHEDULE], {}), HostView(host("web"), [SCHEDULE], {})], 2, 0, [], {}, [])
    away, here = fleet.host_lines(found, MOMENT, 90.0)
    assert (away.next_due, away.due_words) == (None, "when it is back")
    assert here.next_due is not None


def test_a_backup_whose_job_is_kept_no_more_still_has_its_time() -> None:
    view = HostView(replace(host(), last_backup_at=NOW - 3 * clock.HOUR), [], {})
    line = fleet.host_lines(Fleet([view], 1, 0, [], {}, []), MOMENT, 90.0)[0]
    assert line.last_backup is not None
    assert (line.last_backup.words, line.last_sub) == ("3 h ago", "")


def test_a_failed_job_says_why_and_a_good_one_what_it_did() -> None:
    names = ({"nas1".ljust(26, "0"): "nas1"}, {"S" * 26: "Nightly"})
    failed = jobs.line(job("failed", "wrong_password"), *names, MOMENT)
    assert (failed.what, failed.why, failed.took) == ("Nightly", "Wrong password", "41 s")
    page = jobs.job_page(job("succeeded", "ok"), *names, MOMENT, "agent")
    assert (page.title, page.lede) == ("Nightly", "18.2 GB · 3 new files · 41 s")
    assert jobs.job_page(job("queued"), *names, MOMENT, "agent").may_cancel
    assert not page.may_cancel


def test_sizes_are_plotted_from_two_on() -> None:
    def point(day: int, size: int) -> SizePoint:
        return SizePoint(NOW - day * clock.DAY, json.dumps({"total_bytes_processed": size}))

    assert jobs.plot([point(1, 10)], MOMENT) is None
    plot = jobs.plot([point(2, 1_000_000), point(1, 2_000_000)], MOMENT)
    assert plot is not None
    assert plot.line == "M0.0 108.0L600.0 12.0"
    assert plot.words == "Size of 2 backups: from 1.0 MB to 2.0 MB, the newest 2.0 MB"


def test_progress_is_a_bar_and_words() -> None:
    frame = JobProgress("J" * 26, 62.4, 1200, 4000, 11_000_000_000, 18_000_000_000, 250.0)
    shown = jobs.progress(frame)
    assert shown is not None
    assert (shown.percent, shown.words) == (62, "62 % · 11.0 GB of 18.0 GB · 1,200 files · 4 min left")
    assert jobs.progress(None) is None


def test_neighbouring_lines_of_one_stream_are_one_piece() -> None:
    said = [LogLine(0, "stdout", "a"), LogLine(1, "stdout", "b"), LogLine(2, "stderr", "c")]
    assert jobs.log_text(said) == (("stdout", "a\nb"), ("stderr", "c"))


def test_statistics_survive_whatever_an_agent_sends() -> None:
    assert stats.read("[1, 2") == {}
    assert stats.read("[1]") == {}
    assert stats.facts(
        json.dumps({"data_added": 2**62, "huge": 2**70, "snapshot_id": "ab12", "odd": None, "list": [1]})
    ) == [
        ("Added to the repository", "5 EB"),
        ("Snapshot", "ab12"),
    ]


CHANNEL = ChannelRow(
    "C" * 26,
    "webhook",
    "ops",
    1,
    b"",
    None,
    "warning",
    '["alert.raised"]',
    '["prod"]',
    0.0,
    0.0,
    "host",
    0.0,
    None,
    None,
    0,
    0,
    None,
    None,
    None,
    None,
    None,
)


def test_a_channel_says_what_it_takes_and_how_it_does() -> None:
    health = ChannelHealth("failing", NOW - clock.HOUR, "connection refused", 3, NOW, 1)
    line = channels.line(KINDS["webhook"], CHANNEL, health, {"url": "https://x.example/"}, MOMENT)
    assert line.filter == "warning and critical · new alerts · hosts tagged prod"
    assert line.state.word == "Failing, retrying"
    assert line.detail == "since 11:00:00 · connection refused · 3 messages queued · 1 not delivered"


def test_a_form_never_shows_a_stored_secret_and_leaves_blank_ones_out() -> None:
    form = channels.stored_form(KINDS["webhook"], CHANNEL, {"url": "https://x.example/", "bearer_token": {"set": True}})
    token = next(field for field in form.fields if field.name == "config.bearer_token")
    assert (token.value, token.stored) == ("", True)
    typed = {"name": "ops", "config.url": "https://x.example/", "config.bearer_token": "", "group_seconds": "1,5"}
    body = channels.body_of(KINDS["webhook"], typed, [])
    assert body["config"] == {"url": "https://x.example/"}
    assert body["group_seconds"] == 1.5
    assert (
        channels.body_of(KINDS["webhook"], {**typed, "clear.bearer_token": "1"}, [])["config"]["bearer_token"] is None
    )


def test_what_is_typed_into_a_number_field_comes_back_for_its_own_error() -> None:
    assert channels.body_of(KINDS["smtp"], {"config.port": "abc", "remind_hours": "soon"}, [])["config"] == {
        "port": "abc"
    }
    assert channels.body_of(KINDS["smtp"], {"config.port": "587"}, [])["config"] == {"port": 587}


@pytest.mark.parametrize(
    ("agent", "text"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5", "curl/8.5"),
        ("", "unknown"),
    ],
)
def test_a_session_names_its_browser(agent: str, text: str) -> None:
    assert people.device(agent) == text


def silence(**changed: object) -> SilenceRow:
    values: dict[str, object] = {
        "id": "S", "host_id": None, "kind": None, "tag": None, "starts_at": NOW - clock.HOUR, "ends_at": None,
        "recurrence": None, "reason": "disk swap", "created_by": "dana", "created_at": NOW,
    }  # fmt: skip
    return SilenceRow(**{**values, **changed})  # type: ignore[arg-type]


def test_a_silence_says_what_is_quiet_and_until_when() -> None:
    row = silence(host_id="H", kind="backup_failed", ends_at=NOW + clock.HOUR)
    line = silences.line(row, {"H": "mail"}, MOMENT)
    assert (line.what, line.when, line.state.word) == (
        "“Backup failed” on mail", "until Mon 23 Nov, 13:00", "Active",
    )  # fmt: skip
    assert silences.line(silence(ends_at=NOW), {}, MOMENT).state.word == "Over"
    assert silences.line(silence(starts_at=NOW + 1, ends_at=NOW + clock.DAY), {}, MOMENT).state.word == "Planned"


def test_a_recurring_silence_is_silent_only_in_its_window() -> None:
    window = {"cron": "0 11 * * *", "timezone": "UTC", "duration_minutes": 90}
    line = silences.line(silence(recurrence=json.dumps(window)), {}, MOMENT)
    assert (line.when, line.state.word) == ("Every day at 11:00 (UTC), for 1 h 30 min", "Active")
    window["duration_minutes"] = 30
    assert silences.line(silence(recurrence=json.dumps(window)), {}, MOMENT).state.word == "Waiting for the next window"
