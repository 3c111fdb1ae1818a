"""Which channels take which notification, and what a silence holds back."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rmactors.common import clock
from rmactors.common.vocabulary import LIFECYCLE_EVENTS, Severity
from rmactors.server.store.routing import Filter, Recurrence, Silence, repository_server


def at(text: str) -> int:
    return clock.from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


EVERYTHING = Filter("info", frozenset(LIFECYCLE_EVENTS), frozenset())


@pytest.mark.parametrize(
    ("filter", "event", "severity", "tags", "takes"),
    [
        (EVERYTHING, "alert.raised", "info", [], True),
        (EVERYTHING, "alert.reminder", "critical", ["nas"], True),
        # severity: from the given one up
        (replace(EVERYTHING, min_severity="warning"), "alert.raised", "info", [], False),
        (replace(EVERYTHING, min_severity="warning"), "alert.raised", "warning", [], True),
        (replace(EVERYTHING, min_severity="warning"), "alert.raised", "critical", [], True),
        (replace(EVERYTHING, min_severity="critical"), "alert.resolved", "warning", [], False),
        # events: only those named
        (replace(EVERYTHING, events=frozenset({"alert.raised"})), "alert.raised", "info", [], True),
        (replace(EVERYTHING, events=frozenset({"alert.raised"})), "alert.resolved", "info", [], False),
        (replace(EVERYTHING, events=frozenset()), "alert.raised", "info", [], False),
        # tags: any of them
        (replace(EVERYTHING, host_tags=frozenset({"nas", "lab"})), "alert.raised", "info", ["lab", "x"], True),
        (replace(EVERYTHING, host_tags=frozenset({"nas", "lab"})), "alert.raised", "info", ["x"], False),
        (replace(EVERYTHING, host_tags=frozenset({"nas"})), "alert.raised", "info", [], False),
    ],
)
def test_what_a_channel_takes(filter: Filter, event: str, severity: Severity, tags: list[str], takes: bool) -> None:
    assert filter.takes(event, severity, tags) is takes


NOON = at("2026-11-23T12:00")
ALL = Silence("s", None, None, None, NOON, NOON + clock.HOUR, None, "works")


@pytest.mark.parametrize(
    ("silence", "moment", "holds"),
    [
        (ALL, NOON, True),
        (ALL, NOON - 1, False),  # not yet
        (ALL, NOON + clock.HOUR - 1, True),
        (ALL, NOON + clock.HOUR, False),  # over
        (replace(ALL, host_id="nas1"), NOON, True),
        (replace(ALL, host_id="nas2"), NOON, False),
        (replace(ALL, kind="backup_failed"), NOON, True),
        (replace(ALL, kind="check_failed"), NOON, False),
        (replace(ALL, tag="lab"), NOON, True),
        (replace(ALL, tag="prod"), NOON, False),
        (replace(ALL, host_id="nas1", kind="check_failed"), NOON, False),  # all selectors must fit
        (replace(ALL, host_id="nas1", kind="backup_failed", tag="lab"), NOON, True),
        (replace(ALL, ends_at=None), NOON + 1000 * clock.DAY, True),
    ],
)
def test_what_a_silence_holds(silence: Silence, moment: int, holds: bool) -> None:
    assert silence.holds(moment, "nas1", "backup_failed", ["lab"]) is holds


SUNDAYS = Recurrence("0 2 * * 0", "Europe/Berlin", 90)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-22T00:59:59.999999", False),
        ("2026-11-22T01:00", True),  # 02:00 in Berlin
        ("2026-11-22T02:29:59.999999", True),
        ("2026-11-22T02:30", False),
        ("2026-11-23T01:30", False),  # Monday
        ("2026-07-05T00:00", True),  # in summer an hour earlier in UTC
        ("2026-07-05T01:30", False),
        ("2026-03-29T01:00", True),  # 02:00 does not exist that day: it opens at 03:00, which is 01:00 UTC
        ("2026-03-29T02:29", True),
        ("2026-03-29T02:30", False),
        ("2026-10-25T00:00", True),  # 02:00 comes twice: it opens at the first
        ("2026-10-25T01:29", True),
        ("2026-10-25T01:30", False),
    ],
)
def test_when_a_maintenance_window_is_open(moment: str, open_: bool) -> None:
    assert SUNDAYS.open_at(at(moment)) is open_
    assert replace(ALL, starts_at=0, ends_at=None, recurrence=SUNDAYS).holds(at(moment), "h", "k", []) is open_


def test_a_window_longer_than_its_interval_never_closes() -> None:
    always = Recurrence("0 * * * *", "UTC", 61)
    assert all(always.open_at(NOON + minutes * clock.MINUTE) for minutes in range(120))


def test_a_recurring_silence_keeps_to_its_start_and_end() -> None:
    silence = replace(ALL, starts_at=NOON, ends_at=NOON + clock.DAY, recurrence=Recurrence("0 * * * *", "UTC", 30))
    assert silence.holds(NOON + clock.HOUR, "h", "k", [])
    assert not silence.holds(NOON - clock.HOUR, "h", "k", [])
    assert not silence.holds(NOON + 25 * clock.HOUR, "h", "k", [])


def test_a_recurrence_is_read_as_it_is_stored() -> None:
    stored = json.dumps({"cron": "0 2 * * 0", "timezone": "Europe/Berlin", "duration_minutes": 90})
    assert Recurrence.from_json(stored) == SUNDAYS


# ---- what repositories of several hosts share


@pytest.mark.parametrize(
    ("location", "server"),
    [
        # rest-server: with any user name, with or without the port that the scheme has anyway, whatever folder
        ("rest:https://srv.lan:8000/nas1/", "rest:https://srv.lan:8000"),
        ("rest:https://nas2:s3cret@SRV.lan:8000/nas2", "rest:https://srv.lan:8000"),
        ("rest:https://srv.lan./x", "rest:https://srv.lan"),
        ("rest:https://srv.lan:443", "rest:https://srv.lan"),
        ("rest:http://srv.lan:80/", "rest:http://srv.lan"),
        ("rest:http://srv.lan:8000/", "rest:http://srv.lan:8000"),
        ("rest:https://[2001:db8::1]:8000/x", "rest:https://[2001:db8::1]:8000"),
        ("rest:https://user:p@ss@srv.lan/x", "rest:https://srv.lan"),
        # s3: the endpoint
        ("s3:https://s3.example.org/bucket/nas1", "s3:https://s3.example.org"),
        ("s3:minio.lan:9000/bucket", "s3:minio.lan:9000"),
        ("s3:s3.amazonaws.com/bucket", "s3:s3.amazonaws.com"),
        # sftp in both ways of writing it
        ("sftp:backup@srv.lan:/srv/nas1", "sftp:srv.lan"),
        ("sftp:srv.lan:nas1", "sftp:srv.lan"),
        ("sftp://backup@srv.lan:22//srv/nas1", "sftp:srv.lan"),
        ("sftp://backup@srv.lan:2222//srv/nas1", "sftp:srv.lan:2222"),
        ("sftp:backup@[2001:db8::1]:/srv", "sftp:[2001:db8::1]"),
        ("sftp:srv.lan", "sftp:srv.lan"),
        # a provider without an address: its bucket
        ("b2:bucket:nas1", "b2:bucket"),
        ("azure:container:/", "azure:container"),
        ("gs:bucket:/nas1", "gs:bucket"),
        ("swift:container:/nas1", "swift:container"),
        ("rclone:my drive:nas1", "rclone:my drive"),
        ("rclone:remote,pass=s3cret:nas1", "rclone:remote"),
        # a folder, which may be a share that all have at the same place
        ("/mnt/backup/", "/mnt/backup"),
        ("local:/mnt/backup", "/mnt/backup"),
        ("/mnt/a:b", "/mnt/a:b"),
        ("C:\\backup\\", "C:\\backup"),
        ("/", "/"),
        ("backup", "backup"),
        ("/mnt/x\n[31m", "/mnt/x [31m"),
        ("/" + "x" * 300, "/" + "x" * 198 + "…"),
        # it cannot be told, or might show a secret
        ("", None),
        ("  ", None),
        ("local:", None),
        ("rest:", None),
        ("rest:https:///nas1", None),
        ("rest:https://user:pa/ss@srv.lan/x", None),
        ("rest:https://user:1234/5@srv.lan/x", None),
        ("rest:https://evil\n.lan/x", None),
        ("sftp:", None),
        ("rclone::sftp,pass=s3cret:nas1", None),
        ("b2:bucket", None),
        ("ftp:user:s3cret@srv.lan", None),
    ],
)
def test_what_repositories_of_several_hosts_share(location: str, server: str | None) -> None:
    assert repository_server(location) == server
