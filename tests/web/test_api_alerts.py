"""`/api/alerts` as programs see it."""

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.vocabulary import AlertKind
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.channels import SaveChannel, SettleAttempt
from rmactors.server.messages.notifications import Attempt
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertFilter
from tests.web.conftest import Site, on_sqlite_alone

ON_BOTH_ENGINES = True

ALERT_KEYS = [
    "id", "host_id", "host_name", "kind", "subject", "severity", "status", "message", "occurrences", "created_at",
    "last_seen_at", "acknowledged_at", "acknowledged_by", "acknowledged_note", "resolved_at", "resolved_by",
    "resolved_note", "link",
]  # fmt: skip


async def raised(
    site: Site, host_id: str, subject: str = "plan:home", message: str = "it failed", kind: AlertKind = "backup_failed"
) -> str:
    alert_id = ids.new()
    severity = "critical" if kind == "check_failed" else "warning"
    await site.commit(RaiseAlert(alert_id, host_id, kind, subject, severity, message, site.clock()))  # type: ignore[arg-type]
    return alert_id


async def test_an_alert_has_the_keys_of_the_contract(site: Site) -> None:
    host_id = await site.enroll()
    alert_id = await raised(site, host_id)
    [shown] = (await site.get("/api/alerts"))["items"]
    assert set(ALERT_KEYS) <= set(shown)
    assert shown["id"] == alert_id
    assert shown["host_name"] == "nas1"
    assert shown["status"] == "open"
    assert shown["occurrences"] == 1
    assert shown["created_at"].endswith("Z")
    assert shown["link"] == f"http://localhost:8080/alerts/{alert_id}"
    one = await site.get(f"/api/alerts/{alert_id}")
    assert {key: one[key] for key in shown} == shown
    assert [(entry["event"], entry["by"], entry["message"]) for entry in one["timeline"]] == [
        ("raised", "rule", "it failed")
    ]


async def test_acknowledging_keeps_it_open_and_says_who_and_when(site: Site) -> None:
    alert_id = await raised(site, await site.enroll())
    path = f"/api/alerts/{alert_id}/acknowledge"
    shown = await site.post(path, {"note": "on it"}, role="operator")
    assert shown["status"] == "acknowledged"
    assert shown["acknowledged_by"] == "token:the operator"
    assert shown["acknowledged_note"] == "on it"
    again = await site.post(path, {"note": "another"}, role="admin")
    assert again["acknowledged_note"] == "on it"
    assert [entry["event"] for entry in again["timeline"]] == ["raised", "acknowledged"]
    rows = site.sql("SELECT * FROM audit WHERE action = 'alert.acknowledge'")
    assert [(row["actor"], row["actor_kind"], row["target_id"], row["result"]) for row in rows] == [
        ("token:the operator", "token", alert_id, "ok")
    ]


async def test_resolving_ends_it_and_acknowledging_it_then_is_a_conflict(site: Site) -> None:
    alert_id = await raised(site, await site.enroll())
    first = await site.post(f"/api/alerts/{alert_id}/resolve", role="operator")
    assert (first["status"], first["resolved_by"], first["resolved_note"]) == ("resolved", "token:the operator", None)
    again = await site.post(f"/api/alerts/{alert_id}/resolve", {"note": "late"}, role="operator")
    assert again["resolved_at"] == first["resolved_at"]
    late = await site.api("POST", f"/api/alerts/{alert_id}/acknowledge", role="operator")
    assert late.status == 409
    assert late.json["status"] == 409


async def test_a_user_acts_under_their_name(site: Site) -> None:
    await site.user("anna", "operator")
    browser = await site.log_in()
    alert_id = await raised(site, await site.enroll())
    answer = await browser.post(f"/api/alerts/{alert_id}/acknowledge", json={})
    assert (await answer.get_json())["acknowledged_by"] == "anna"


@pytest.mark.parametrize("body", [{"note": 5}, {"notes": "x"}, {"note": "a\0b"}, [], "x", {"note": "x" * 2001}])
async def test_an_invalid_note_is_a_422_and_changes_nothing(site: Site, body: Any) -> None:
    alert_id = await raised(site, await site.enroll())
    answer = await site.api("POST", f"/api/alerts/{alert_id}/acknowledge", body, role="operator")
    assert answer.status == 422
    assert answer.json["errors"]
    assert (await site.get(f"/api/alerts/{alert_id}"))["status"] == "open"


async def test_a_list_can_be_narrowed(site: Site) -> None:
    one, other = await site.enroll("one"), await site.enroll("other")
    plain = await raised(site, one, "plan:a", "Disk 100% full_now")
    critical = await raised(site, other, "", "repository damaged", "check_failed")
    taken = await raised(site, other, "plan:b", "GRÜSSE aus Köln")
    gone = await raised(site, one, "plan:c", "gone")
    await site.post(f"/api/alerts/{taken}/acknowledge")
    await site.post(f"/api/alerts/{gone}/resolve")

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await site.get(f"/api/alerts?{query}"))["items"]]

    assert set(await listed("")) == {plain, critical}
    assert await listed("status=acknowledged") == [taken]
    assert await listed("status=resolved") == [gone]
    assert set(await listed("status=all")) == {plain, critical, taken, gone}
    assert (await listed("status=all"))[-1] == gone
    assert await listed("severity=critical&status=all") == [critical]
    assert await listed("kind=check_failed") == [critical]
    assert await listed(f"host_id={one}") == [plain]
    assert await listed("q=100%25%20FULL_") == [plain]
    assert await listed("q=100_25") == []
    assert await listed("status=all&q=gr%C3%BCsse%20AUS%20k%C3%B6ln") == [taken]
    assert await listed(f"host_id={ids.new()}") == []
    assert set(await listed("severity=&kind=&q=&host_id=")) == {plain, critical}
    counts = (await site.get("/api/alerts?status=resolved"))["counts"]
    assert counts == {"open": 2, "acknowledged": 1, "resolved_24h": 1}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=closed", "/status"),
        ("severity=fatal", "/severity"),
        ("kind=x", "/kind"),
        ("host_id=x", "/host_id"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("limit=-1", "/limit"),
        ("cursor=x", "/cursor"),
        ("cursor=WzFd", "/cursor"),
        ("cursor=%C3%BC", "/cursor"),
        ("statsu=open", "/statsu"),
        ("q=%00", "/q"),
    ],
)
async def test_a_wrong_parameter_is_a_422_that_names_it(site: Site, query: str, pointer: str) -> None:
    answer = await site.api("GET", f"/api/alerts?{query}")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("status", ["open", "all"])
async def test_pages_meet_without_gap_or_overlap(site: Site, status: str) -> None:
    host_id = await site.enroll()
    made = [await raised(site, host_id, f"plan:{n}") for n in range(7)]
    if status == "all":
        for alert_id in made[2:5]:
            await site.post(f"/api/alerts/{alert_id}/resolve")
    whole = [item["id"] for item in (await site.get(f"/api/alerts?status={status}"))["items"]]
    assert sorted(whole) == sorted(made)
    seen, cursor = [], ""
    for _ in range(10):
        page = await site.get(f"/api/alerts?status={status}&limit=3{cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == whole


async def test_the_timeline_tells_of_attempts_also_of_a_message_that_carried_it(site: Site) -> None:
    host_id = await site.enroll()
    channel_id, at = ids.new(), site.clock()
    await site.commit(
        SaveChannel(
            channel_id, "webhook", "ops", True, b"", None, "info", ("alert.raised", "alert.resolved"), (), 0.0, 0.0, at,
            True, site.audit("channel.create", channel_id),
        )
    )  # fmt: skip
    first, second = await raised(site, host_id, "plan:a"), await raised(site, host_id, "plan:b")
    deliveries = {row["alert_id"]: row["id"] for row in site.sql("SELECT * FROM deliveries")}
    failed = Attempt("retry", 503, 3.0, "503: come back later")
    sent = Attempt("delivered", 204, 2.0)
    await site.commit(
        SettleAttempt(ids.new(), deliveries[first], channel_id, first, "alert.raised", 1, failed, site.clock(), None)
    )
    await site.commit(
        SettleAttempt(
            ids.new(), deliveries[first], channel_id, first, "alert.raised", 2, sent, site.clock(), None,
            ((deliveries[second], "delivered"),),
        )
    )  # fmt: skip
    told = [entry for entry in (await site.get(f"/api/alerts/{first}"))["timeline"] if entry["event"] != "raised"]
    assert [entry["event"] for entry in told] == ["attempt_failed", "delivered"]
    assert told[0]["status_code"] == 503
    assert told[0]["error"] == "503: come back later"
    assert (told[1]["channel_id"], told[1]["channel_name"]) == (channel_id, "ops")
    assert (told[1]["delivery_id"], told[1]["attempt"], told[1]["latency_ms"]) == (deliveries[first], 2, 2.0)
    carried = [entry["event"] for entry in (await site.get(f"/api/alerts/{second}"))["timeline"]]
    assert carried == ["raised", "attempt_failed", "delivered"]


def add_many_alerts(site: Site, host_id: str, many: int) -> None:
    """Every other one resolved; the newest first to be shown."""
    at = site.clock()
    site.sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO alerts (id, host_id, host_name, kind, subject, severity, message, pos, created_at, last_seen_at,"
        " resolved_at, resolved_by, resolved)"
        " SELECT printf('%026d', i), ?, 'nas1', 'backup_failed', 'plan:' || i, 'warning', 'it failed', 1, ? - i, ? - i,"
        " CASE WHEN i % 2 THEN ? - i END, CASE WHEN i % 2 THEN 'rule' END, i % 2 FROM n",
        many, host_id, at, at, at,
    )  # fmt: skip


def steps_of(site: Site, query: Callable[[sqlite3.Connection], object]) -> int:
    """How many instructions, in tens, SQLite's machine takes for a query."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    def counted(db: sqlite3.Connection) -> None:
        db.set_progress_handler(count, 10)
        query(db)
        db.set_progress_handler(None, 0)

    site.services.reader.run_here(counted)
    return taken


@on_sqlite_alone
async def test_a_page_costs_no_more_when_there_are_more_alerts_that_it_does_not_show(site: Site) -> None:
    """Counted in steps of SQLite's machine: these do not depend on the machine beneath."""
    host_id = await site.enroll()
    fewer: list[int] = []
    more: list[int] = []
    for many, steps in ((1_000, fewer), (20_000, more)):
        site.sql("DELETE FROM alerts")
        add_many_alerts(site, host_id, many)
        for status in ("open", "all", "resolved"):
            place = (0, site.clock() - many // 2, "9") if status == "all" else None
            steps.append(steps_of(site, partial(queries.alerts, wanted=AlertFilter(status), limit=200, after=place)))
    assert all(after < 1.5 * before for before, after in zip(fewer, more, strict=True)), (fewer, more)
