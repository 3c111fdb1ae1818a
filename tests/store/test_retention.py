"""What goes when it is old and what stays however old it is, on a real file, by the janitor's own statements."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rmactors.common.clock import DAY
from rmactors.server.config.settings import Settings
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.retention import OldKind, Prune, Pruned
from rmactors.server.store.engines.sqlite import connect, connect_read_only
from rmactors.server.store.offline import prepare
from rmactors.server.store.retention import START, find_old
from rmactors.server.store.writer import Writer

OLD, LIMIT, NEW = 10 * DAY, 20 * DAY, 30 * DAY


class Past:
    """A database with a past. Everything is either `OLD` or `NEW`; what is kept began at `LIMIT`."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._writer = Writer(connect(database))
        self.insert("hosts", id="h", name="nas", name_key="nas", **_HOST)
        self.insert("channels", id="c", kind="webhook", name="ops", **_CHANNEL)

    def insert(self, table: str, **row: object) -> None:
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = 1")
            names, marks = ", ".join(row), ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))

    def job(self, id: str, ended: int | None, *, lines: int = 0, **more: object) -> None:
        status = "succeeded" if ended is not None else "running"
        row = {"host_id": "h", "kind": "backup", "subject": "", "status": status, "sort_at": OLD, "started_at": OLD}
        self.insert("jobs", **{"id": id, "finished_at": ended, **row, **more})
        for line in range(lines):
            self.insert("job_logs", job_id=id, line=line, stream="stdout", text="…")

    def alert(self, id: str, resolved_at: int | None, **more: object) -> None:
        row = {"host_id": "h", "host_name": "nas", "kind": "backup_failed", "severity": "warning", "message": "…"}
        row |= {"subject": id, "pos": 1, "created_at": OLD, "last_seen_at": OLD}
        self.insert("alerts", id=id, resolved_at=resolved_at, resolved=int(resolved_at is not None), **row, **more)
        self.insert("alert_events", alert_id=id, pos=1, at=OLD, event="raised")

    def delivery(self, id: str, alert: str, state: str, at: int | None, event: str = "alert.raised") -> None:
        row = {"host_id": "h", "seq": self.count("deliveries"), "pos": 1, "body": "{}", "created_at": OLD, "due_at": 0}
        self.insert(
            "deliveries", id=id, channel_id="c", alert_id=alert, state=state, finished_at=at, event=event, **row
        )

    def prune(self, what: OldKind, most: int = 100) -> int:
        """One step."""
        connection = connect_read_only(self._database)
        keys, _ = find_old(connection, what, LIMIT, START, 100)
        connection.close()
        return self.remove(what, keys, most)

    def remove(self, what: OldKind, keys: list[str], most: int = 100) -> int:
        [answer], _ = self._writer.apply([(Prune(what, LIMIT, tuple(keys), most),)])
        assert isinstance(answer, Committed), answer
        [removed] = answer.results
        assert isinstance(removed, Pruned)
        return removed.rows

    def ids(self, table: str, column: str = "id") -> list[str]:
        with closing(sqlite3.connect(self._database)) as connection:
            return [row[0] for row in connection.execute(f"SELECT {column} FROM {table} ORDER BY 1")]

    def count(self, table: str) -> int:
        return len(self.ids(table, "1"))

    def close(self) -> None:
        self._writer.close()


_HOST = {"hostname": "nas", "os": "linux", "arch": "x", "agent_version": "1", "enrolled_at": 0}
_CHANNEL = {
    "enabled": 1, "config": b"0", "min_severity": "info", "events": "[]", "host_tags": "[]", "group_seconds": 0,
    "remind_hours": 0, "created_at": 0, "updated_at": 0,
}  # fmt: skip
_SCHEDULE = {
    "host_id": "h", "kind": "backup", "cron": "", "timezone": "UTC", "enabled": 0, "mode": "agent", "grace_seconds": 0,
    "max_runtime_seconds": 0, "on_partial": "ok", "params": "{}", "created_at": 0, "anchor_at": 0,
}  # fmt: skip


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    opened = Past(prepare(Settings(data_dir=str(tmp_path))))
    yield opened
    opened.close()


def test_every_kind_can_be_searched_and_removed_where_there_is_nothing(past: Past) -> None:
    from typing import get_args

    for what in get_args(OldKind):
        assert past.prune(what) == 0
        assert past.remove(what, ["no such key"]) == 0


def test_output_of_old_jobs_goes_a_few_lines_at_a_time_and_the_jobs_stay(past: Past) -> None:
    past.job("old", OLD, lines=7)
    past.job("new", NEW, lines=2)
    past.job("running", None, lines=1)
    assert [past.prune("job_logs", most=3) for _ in range(4)] == [3, 3, 1, 0]
    assert past.ids("job_logs", "job_id") == ["new", "new", "running"]
    assert past.ids("jobs") == ["new", "old", "running"]


def test_old_jobs_go_once_their_output_has_gone(past: Past) -> None:
    past.job("old", OLD, lines=1)
    past.job("new", NEW)
    past.job("running", None)
    assert past.prune("jobs") == 0
    past.prune("job_logs")
    assert past.prune("jobs") == 1
    assert past.ids("jobs") == ["new", "running"]


def test_a_job_that_an_unresolved_alert_names_stays(past: Past) -> None:
    past.job("old", OLD)
    past.alert("open", None, job_id="old")
    assert past.prune("jobs") == 0
    assert past.remove("jobs", ["old"]) == 0, "the writer looks for itself"


def test_old_resolved_alerts_go_with_their_timeline_and_unresolved_ones_stay(past: Past) -> None:
    past.alert("old", OLD)
    past.alert("new", NEW)
    past.alert("open", None)
    assert past.prune("alerts") == 1
    assert past.ids("alerts") == ["new", "open"]
    assert past.ids("alert_events", "alert_id") == ["new", "open"]


def test_an_alert_whose_end_is_still_to_be_told_stays(past: Past) -> None:
    past.alert("old", OLD)
    past.delivery("d", "old", "queued", None)
    assert past.prune("alerts") == 0
    assert past.ids("alerts") == ["old"]


def test_log_rows_of_a_removed_alert_stay(past: Past) -> None:
    past.alert("old", OLD)
    row = {"delivery_id": "d", "event": "alert.raised", "attempt": 1, "ok": 1, "latency_ms": 1.0, "fired_at": NEW}
    past.insert("notification_log", id="l", n=1, channel_id="c", alert_id="old", **row)
    assert past.prune("alerts") == 1
    assert past.ids("notification_log") == ["l"]


def test_finished_deliveries_go_and_those_that_wait_or_can_be_sent_again_stay(past: Past) -> None:
    past.alert("ended", NEW)
    past.delivery("delivered", "ended", "delivered", OLD)
    past.delivery("superseded", "ended", "superseded", OLD)
    past.delivery("fresh", "ended", "delivered", NEW)
    past.delivery("queued", "ended", "queued", None)
    past.delivery("dead", "ended", "dead", OLD)
    assert past.prune("deliveries") == 2
    assert past.prune("dead_deliveries") == 0
    assert past.ids("deliveries") == ["dead", "fresh", "queued"]


def test_a_dead_delivery_goes_after_its_alert(past: Past) -> None:
    past.alert("ended", OLD)
    past.delivery("dead", "ended", "dead", OLD)
    assert past.prune("alerts") == 1
    assert past.prune("dead_deliveries") == 1


def test_that_a_channel_was_told_of_an_unresolved_alert_is_not_forgotten(past: Past) -> None:
    past.alert("open", None)
    past.delivery("raise", "open", "delivered", OLD)
    past.delivery("reminder", "open", "delivered", OLD, event="alert.reminder")
    assert past.prune("deliveries") == 1
    assert past.ids("deliveries") == ["raise"]


def test_log_and_audit_go_by_their_own_age(past: Past) -> None:
    for n, at in enumerate((OLD, NEW), start=1):
        row = {"delivery_id": "d", "event": "alert.raised", "attempt": 1, "ok": 1, "latency_ms": 1.0, "fired_at": at}
        past.insert("notification_log", id=f"l{n}", n=n, channel_id="c", alert_id="a", **row)
        who = {"actor": "anna", "actor_kind": "user", "action": "x.x", "target_kind": "x", "target_id": "x"}
        past.insert("audit", id=f"a{n}", n=n, at=at, result="ok", address="", detail="", **who)
    assert (past.prune("notification_log"), past.prune("audit")) == (1, 1)
    assert (past.ids("notification_log"), past.ids("audit")) == (["l2"], ["a2"])


def test_what_an_ended_alert_left_behind_goes(past: Past) -> None:
    for alert, resolved_at in (("ended", OLD), ("open", None)):
        past.alert(alert, resolved_at)
        past.insert("held", channel_id="c", alert_id=alert, at=OLD)
        past.insert("told", channel_id="c", alert_id=alert, at=OLD)
    past.insert("group_windows", channel_id="c", host_id="h", until_at=OLD)
    past.insert("group_windows", channel_id="c", host_id="other", until_at=NEW)
    past.insert("shared_windows", channel_id="c", about="all", until_at=OLD, group_key="k")
    past.insert("shared_windows", channel_id="c", about="kind:x", until_at=NEW, group_key="l")
    assert [past.prune("held"), past.prune("told"), past.prune("group_windows")] == [1, 1, 1]
    assert past.ids("held", "alert_id") == past.ids("told", "alert_id") == ["open"]
    assert past.ids("group_windows", "host_id") == ["other"]
    assert past.prune("shared_windows") == 1
    assert past.ids("shared_windows", "about") == ["kind:x"]


def test_expired_sessions_tokens_and_silences_go(past: Past) -> None:
    user = {"username": "anna", "username_key": "anna", "password_hash": "x", "role": "admin", "created_at": 0}
    past.insert("users", id="u", **user)
    for name, at in (("old", OLD), ("new", NEW)):
        row = {"user_id": "u", "created_at": 0, "last_seen_at": 0, "proved_at": 0, "address": "", "user_agent": ""}
        past.insert("sessions", id=name, token_hash=name, expires_at=at, **row)
        past.insert("enrollment_tokens", id=name, token_hash=name, created_at=0, expires_at=at)
        past.insert("silences", id=name, starts_at=0, ends_at=at, reason="", created_by="anna", created_at=0)
    past.insert("silences", id="weekly", starts_at=0, recurrence="{}", reason="", created_by="anna", created_at=0)
    assert [past.prune("sessions"), past.prune("enrollment_tokens"), past.prune("silences")] == [1, 1, 1]
    assert past.ids("sessions") == past.ids("enrollment_tokens") == ["new"]
    assert past.ids("silences") == ["new", "weekly"]


def test_a_deleted_host_goes_after_everything_that_names_it(past: Past) -> None:
    past.insert("hosts", id="gone", name="gone", name_key="gone", deleted_at=OLD, **_HOST)
    past.insert("tracks", host_id="gone", kind="backup_failed", subject="", version=1)
    past.insert("host_notes", id="n", host_id="gone", at=OLD, code="x", detail="x")
    past.insert("schedules", id="s", name="nightly", deleted_at=OLD, **{**_SCHEDULE, "host_id": "gone"})
    past.job("j", OLD, host_id="gone", schedule_id="s")
    assert [past.prune("schedules"), past.prune("hosts")] == [0, 0]
    order: list[OldKind] = ["jobs", "tracks", "host_notes", "schedules", "hosts"]
    assert [past.prune(what) for what in order] == [1, 1, 1, 1, 1]
    assert past.ids("hosts") == ["h"]


def test_a_deleted_policy_goes_after_the_last_schedule_that_it_made(past: Past) -> None:
    policy = {
        "host_tags": "[]", "kind": "backup", "cron": "0 2 * * *", "timezone": "UTC", "enabled": 1, "mode": "agent",
        "grace_seconds": 0.0, "max_runtime_seconds": 1.0, "on_partial": "alert", "params": "{}", "created_at": OLD,
    }  # fmt: skip
    past.insert("policies", id="gone", name="x", name_key="x", deleted_at=OLD, **policy)
    past.insert("policies", id="there", name="x", name_key="x", **policy)
    past.insert("schedules", id="s", name="nightly", deleted_at=OLD, policy_id="gone", **_SCHEDULE)
    assert past.prune("policies") == 0
    assert [past.prune("schedules"), past.prune("policies")] == [1, 1]
    assert past.ids("policies") == ["there"]


def test_a_deleted_schedule_that_still_reports_stays_known(past: Past) -> None:
    past.insert("schedules", id="s", name="nightly", deleted_at=OLD, **_SCHEDULE)
    past.job("late", NEW, schedule_id="s")
    assert past.prune("schedules") == 0


def test_a_search_goes_on_where_it_stopped_even_where_many_rows_have_the_same_time(past: Past, tmp_path: Path) -> None:
    for n in range(7):
        past.alert(f"a{n}", OLD)
    found, place = [], START
    connection = connect_read_only(tmp_path / "rm.db")
    for _ in range(3):
        keys, further = find_old(connection, "alerts", LIMIT, place, 3)
        found += keys
        if further is None:
            break
        place = further
    connection.close()
    assert found == [f"a{n}" for n in range(7)]
    assert further is None


@pytest.mark.parametrize("what", ["jobs", "alerts", "job_logs"])
def test_a_search_in_a_large_table_follows_an_index(past: Past, tmp_path: Path, what: OldKind) -> None:
    from rmactors.server.store.retention import _KINDS

    connection = connect_read_only(tmp_path / "rm.db")
    values = {"before": LIMIT, "after": 0, "after_key": "", "most": 100}
    plan = [row["detail"] for row in connection.execute("EXPLAIN QUERY PLAN " + _KINDS[what].find, values)]
    connection.close()
    assert not [step for step in plan if step.startswith("SCAN") and step.split()[1] in ("jobs", "job_logs")], plan
