"""The drill's account notices what it is there to notice: each test is a fault that must not pass for well."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.accounts import Account, Episode, account_of, episodes_of, look_after_kill
from harness.sink import Request
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate

ALERT, CHANNEL, HOST = "alert-1", "ops", "host-1"


@pytest.mark.parametrize(
    ("outcomes", "episodes"),
    [
        ([], []),
        (["succeeded"], []),
        (["failed"], [Episode(1, closed=False)]),
        (["failed", "failed", "succeeded"], [Episode(2, closed=True)]),
        (["failed", "succeeded", "succeeded", "failed"], [Episode(1, closed=True), Episode(1, closed=False)]),
    ],
)
def test_the_model_says_which_alerts_a_row_of_outcomes_makes(outcomes: list[str], episodes: list[Episode]) -> None:
    assert episodes_of(outcomes) == episodes


def told(event: str, delivery_id: str) -> Request:
    body = {"event": event, "alert_id": ALERT, "delivery_id": delivery_id, "subject": "plan:home"}
    return Request("/hook", {}, json.dumps(body).encode(), 0.0, "up", 200)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One alert, raised and resolved, both deliveries delivered."""
    path = tmp_path / "rm.db"
    with closing(connect(path)) as connection:
        migrate(connection)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO alerts (id, host_id, host_name, kind, subject, severity, message, pos, created_at,"
            " last_seen_at, resolved_at, resolved_by, resolved)"
            " VALUES (?, ?, 'nas', 'backup_failed', 'plan:home', 'warning', 'm', 2, 1, 1, 2, 'rule', 1)",
            (ALERT, HOST),
        )
        for seq, event in enumerate(("alert.raised", "alert.resolved"), start=1):
            connection.execute(
                "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state, created_at,"
                " due_at) VALUES (?, ?, ?, ?, ?, ?, ?, '{}', 'delivered', 1, 1)",
                (f"d{seq}", CHANNEL, ALERT, HOST, event, seq, seq),
            )
    return path


Run = Callable[..., Account]


@pytest.fixture
def account(database: Path) -> Run:
    def of(*requests: Request, change: str = "", acknowledged: frozenset[str] = frozenset()) -> Account:
        if change:
            with closing(sqlite3.connect(database)) as connection, connection:
                connection.execute(change)
        outcomes = {(HOST, "home"): ["failed", "succeeded"]}
        return account_of(database, outcomes, set(acknowledged), {CHANNEL: list(requests)})

    return of


RAISED, RESOLVED = told("alert.raised", "d1"), told("alert.resolved", "d2")


def test_a_well_kept_promise_is_no_complaint(account: Run) -> None:
    found = account(RAISED, RESOLVED)
    assert (found.lost, found.out_of_order, found.wrong, found.duplicates) == ([], [], [], 0)
    assert (found.transitions, found.expected_deliveries, found.delivered) == (2, 2, 2)


def test_marked_delivered_and_never_told_is_lost(account: Run) -> None:
    assert len(account(RESOLVED).lost) == 1


def test_still_queued_is_lost_in_the_end(account: Run) -> None:
    assert len(account(RAISED, change="UPDATE deliveries SET state = 'queued' WHERE seq = 2").lost) == 1


def test_no_row_in_the_outbox_is_lost(account: Run) -> None:
    assert len(account(RAISED, change="DELETE FROM deliveries WHERE seq = 2").lost) == 1


def test_superseded_is_told_by_the_resolution_or_it_is_lost(account: Run) -> None:
    change = "UPDATE deliveries SET state = 'superseded' WHERE seq = 1"
    assert account(RESOLVED, change=change).lost == []
    assert len(account(RAISED, change=change).lost) == 2


def test_a_raise_after_its_resolution_is_out_of_order(account: Run) -> None:
    assert len(account(RESOLVED, RAISED).out_of_order) == 1


def test_a_repeated_delivery_is_a_duplicate(account: Run) -> None:
    assert account(RAISED, RAISED, RESOLVED).duplicates == 1


def test_an_alert_that_counts_differently_than_its_reports_is_wrong(account: Run) -> None:
    assert len(account(RAISED, RESOLVED, change="UPDATE alerts SET occurrences = 2").wrong) == 1


def test_an_acknowledgement_that_was_answered_and_is_not_there_is_lost(account: Run) -> None:
    assert len(account(RAISED, RESOLVED, acknowledged=frozenset({ALERT})).lost) == 1


def test_after_a_kill_an_acked_job_that_is_not_on_disk_is_a_problem(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE deliveries SET state = 'queued'")
    unheard = Request("/hook", {}, RESOLVED.raw, 0.0, "hang")
    found = look_after_kill(database, {"job-1"}, [RAISED, unheard])
    assert (found.waiting, found.in_flight) == (1, 1)
    assert found.problems == ["job job-1 was acked and is not on disk"]
