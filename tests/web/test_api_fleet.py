"""Hosts, schedules, jobs and silences as programs see them."""

from html import unescape
from typing import Any

import pytest

from rmactors.common import clock, ids, zones
from rmactors.server.config import tokens
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.jobs import SaveEnd, SaveLogLines
from rmactors.server.messages.reports import EndReport
from tests.web.conftest import Site, reply

SCHEDULE = {"name": "nightly", "kind": "backup", "cron": "30 2 * * *"}


async def ended(site: Site, host_id: str, **changes: Any) -> str:
    """A job that an agent reported."""
    at = site.clock()
    report: dict[str, Any] = {
        "host_id": host_id, "job_id": ids.new(), "kind": "backup", "plan": "home", "schedule_id": None,
        "scheduled_for": None, "status": "succeeded", "reason": "ok", "error": None, "exit_code": 0,
        "started_at": at - clock.MINUTE, "finished_at": at, "stats": '{"bytes": 3689348814741910323}',
        "spool_id": None, "seq": None, "received_at": at, **changes,
    }  # fmt: skip
    await site.commit(
        SaveEnd(
            EndReport(**report),
            subject=report["schedule_id"] or "plan:home",
            schedule_id=report["schedule_id"],
            warning=None,
        )
    )
    job_id: str = report["job_id"]
    return job_id


# ---- hosts


async def test_an_enrollment_token_is_shown_once_and_kept_as_a_digest(site: Site) -> None:
    shown = await site.post("/api/enrollment-tokens", {"ttl_minutes": 0.5})
    [row] = site.sql("SELECT * FROM enrollment_tokens")
    assert row["token_hash"] == tokens.digest(shown["token"])
    assert row["expires_at"] - row["created_at"] == 30 * clock.SECOND
    assert shown["expires_at"] == clock.to_rfc3339(row["expires_at"])
    assert (await site.api("POST", "/api/enrollment-tokens")).status == 201
    [longest] = site.sql("SELECT max(expires_at - created_at) AS micros FROM enrollment_tokens")
    assert longest["micros"] == clock.HOUR, "unless said otherwise"
    for bad in ({"ttl_minutes": 0}, {"ttl_minutes": -1}, {"ttl_minutes": "x"}, {"ttl": 1}, {"ttl_minutes": 1e9}):
        assert (await site.api("POST", "/api/enrollment-tokens", bad)).status == 422


async def test_a_host_has_the_keys_of_the_contract(site: Site) -> None:
    host_id = await site.enroll()
    await ended(site, host_id)
    newest = await ended(site, host_id, status="failed", reason="locked", exit_code=11, finished_at=site.clock() + 1)
    shown = await site.get(f"/api/hosts/{host_id}")
    assert set(shown) == {
        "id", "name", "os", "arch", "hostname", "tags", "status", "last_seen_at", "enrolled_at", "agent_version",
        "restic_version", "restic_problem", "spool_problem", "spool_problem_since", "clock_offset_seconds",
        "tzdata_version", "allow", "restore_targets", "plans", "schedules", "last_jobs",
        "last_restore_tests",
    }  # fmt: skip
    assert shown["last_jobs"]["backup"]["id"] == newest
    assert shown["last_jobs"]["backup"]["reason"] == "locked"
    assert (await site.get("/api/hosts"))["items"] == [shown]


async def test_a_hosts_clock_data_and_restic_are_in_the_api_and_on_its_page(site: Site) -> None:
    host_id = await site.enroll()
    unknown = await site.get(f"/api/hosts/{host_id}")
    assert [unknown[key] for key in ("clock_offset_seconds", "tzdata_version", "restic_problem")] == [None] * 3
    since = site.clock() - clock.HOUR
    hello = RecordHello(
        host_id, site.clock(), False, "0.1", "h", "linux", "x86_64", "UTC", None, '[{"name": "home"}]',
        91.0, "1999a", "restic: command not found", spool_problem="the disk is full",
        spool_problem_since=since,
    )  # fmt: skip
    await site.commit(hello)
    schedule = {"name": "Nightly", "kind": "backup", "cron": "0 3 * * *", "timezone": "America/Vancouver"}
    await site.post(f"/api/hosts/{host_id}/schedules", schedule)
    shown = await site.get(f"/api/hosts/{host_id}")
    assert (shown["clock_offset_seconds"], shown["tzdata_version"]) == (91.0, "1999a")
    assert (shown["restic_version"], shown["restic_problem"]) == (None, "restic: command not found")
    assert shown["spool_problem"] == "the disk is full"
    assert shown["spool_problem_since"] == clock.to_rfc3339(since)
    await site.user()
    page = await reply(await (await site.log_in()).get(f"/hosts/{host_id}"))
    text = unescape(page.text)
    assert "Its clock is 91 s ahead of the server's." in text
    assert "Its spool cannot be written since " in text
    assert "the disk is full" in text
    assert f"Its time zone data, 1999a, is older than the server's, {zones.version()}" in text
    assert "The agent cannot use restic: restic: command not found." in text


async def test_a_host_is_online_then_offline(site: Site) -> None:
    host_id = await site.enroll()
    assert (await site.get(f"/api/hosts/{host_id}"))["status"] == "online"
    site.clock.advance(91 * clock.SECOND)
    assert (await site.get(f"/api/hosts/{host_id}"))["status"] == "offline"


async def test_a_host_that_said_no_hello_was_never_seen_or_only_reports(site: Site) -> None:
    host_id = await site.enroll(hello=False)
    shown = await site.get(f"/api/hosts/{host_id}")
    assert (shown["status"], shown["last_seen_at"]) == ("never_seen", None)
    hello = RecordHello(host_id, site.clock(), True, "0.1", "h", "linux", "x86_64", "UTC", None, "[]")
    await site.commit(hello)
    assert (await site.get(f"/api/hosts/{host_id}"))["status"] == "reports_only"


async def test_a_host_gets_a_name_and_tags_and_what_was_read_can_be_sent_back(site: Site) -> None:
    host_id = await site.enroll()
    await site.enroll("taken")
    shown = (await site.api("PATCH", f"/api/hosts/{host_id}", {"name": "Büro", "tags": ["b", "a", "b"]})).json
    assert (shown["name"], shown["tags"]) == ("Büro", ["b", "a"])
    assert (await site.api("PATCH", f"/api/hosts/{host_id}", shown)).json == shown
    assert (await site.api("PATCH", f"/api/hosts/{host_id}", {"name": "TAKEN"})).status == 409
    for bad in ({"name": ""}, {"name": " x"}, {"name": "a\nb"}, {"name": None}, {"tags": "x"}, {"tags": [1]}, {"x": 1}):
        answer = await site.api("PATCH", f"/api/hosts/{host_id}", bad)
        assert answer.status == 422, bad


async def test_a_deleted_host_is_gone_with_its_credential_and_its_alerts_resolve(site: Site) -> None:
    host_id, alert_id = await site.enroll(), ids.new()
    await site.commit(RaiseAlert(alert_id, host_id, "backup_failed", "plan:home", "warning", "x", site.clock()))
    assert (await site.api("DELETE", f"/api/hosts/{host_id}")).status == 204
    assert (await site.api("GET", f"/api/hosts/{host_id}")).status == 404
    assert (await site.api("DELETE", f"/api/hosts/{host_id}")).status == 404
    assert (await site.get("/api/hosts"))["items"] == []
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] is None


async def test_a_rotated_token_is_shown_once(site: Site) -> None:
    host_id = await site.enroll()
    shown = await site.post(f"/api/hosts/{host_id}/rotate-token")
    assert set(shown) == {"agent_token"}
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] == tokens.digest(shown["agent_token"])


# ---- schedules


async def test_a_schedule_has_the_defaults_of_the_contract(site: Site) -> None:
    host_id = await site.enroll()
    shown = await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE, role="operator")
    assert shown == {
        "id": shown["id"], "host_id": host_id, **SCHEDULE, "timezone": "UTC", "enabled": True, "mode": "agent",
        "grace_seconds": 0, "max_runtime_seconds": 86400, "on_partial": "alert", "params": {}, "on_calendar": None,
        "every_hours": None, "max_age_hours": None, "policy_id": None, "next_fire_at": shown["next_fire_at"],
        "last_outcome": None,
    }  # fmt: skip
    assert shown["next_fire_at"].endswith("T02:30:00.000Z")
    assert (await site.get(f"/api/hosts/{host_id}/schedules"))["items"] == [shown]
    assert (await site.get(f"/api/hosts/{host_id}"))["schedules"] == [shown]
    await ended(site, host_id, schedule_id=shown["id"], status="partial", reason="partial")
    assert (await site.get(f"/api/schedules/{shown['id']}"))["last_outcome"] == "partial"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cron": "0 0 31 2 *"}, "/cron"),
        ({"cron": "* * * * * *"}, "/cron"),
        ({"cron": "@reboot"}, "/cron"),
        ({"cron": ""}, "/cron"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"kind": "dance"}, "/kind"),
        ({"mode": "x"}, "/mode"),
        ({"name": ""}, "/name"),
        ({"grace_seconds": -1}, "/grace_seconds"),
        ({"max_runtime_seconds": 0}, "/max_runtime_seconds"),
        ({"on_partial": None}, "/on_partial"),
        ({"params": []}, "/params"),
        ({"params": {"plan": 5}}, "/params/plan"),
        ({"kind": "check", "params": {"read_data_subset": "3/2"}}, "/params/read_data_subset"),
        ({"kind": "check", "params": {"read_data_subset": "0%"}}, "/params/read_data_subset"),
        ({"kind": "check", "params": {"read_data_subset": "150%"}}, "/params/read_data_subset"),
        ({"params": {"x": "y" * 20_000}}, "/params"),
        ({"enabled": 1}, "/enabled"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_an_invalid_schedule_is_a_422_that_names_the_field(
    site: Site, change: dict[str, Any], pointer: str
) -> None:
    host_id = await site.enroll()
    made = await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE)
    for method, path in (("POST", f"/api/hosts/{host_id}/schedules"), ("PATCH", f"/api/schedules/{made['id']}")):
        answer = await site.api(method, path, {**SCHEDULE, **change})
        assert answer.status == 422
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


async def test_a_change_of_times_counts_slots_from_then_on_and_a_new_name_does_not(site: Site) -> None:
    host_id = await site.enroll()
    made = await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE)
    path = f"/api/schedules/{made['id']}"
    [first] = site.sql("SELECT anchor_at FROM schedules")
    renamed = (await site.api("PATCH", path, {**made, "name": "nights"}, role="operator")).json
    assert renamed == {**made, "name": "nights"}
    assert site.sql("SELECT anchor_at FROM schedules") == [first]
    moved = (await site.api("PATCH", path, {"cron": "@hourly", "timezone": "Europe/Berlin"}, role="operator")).json
    assert (moved["cron"], moved["timezone"], moved["name"]) == ("@hourly", "Europe/Berlin", "nights")
    assert site.sql("SELECT anchor_at FROM schedules")[0]["anchor_at"] > first["anchor_at"]
    off = (await site.api("PATCH", path, {"enabled": False}, role="operator")).json
    assert off["next_fire_at"] is None


async def test_a_deleted_schedule_is_gone(site: Site) -> None:
    host_id = await site.enroll()
    made = await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE)
    path = f"/api/schedules/{made['id']}"
    assert (await site.api("DELETE", path, role="operator")).status == 204
    for method in ("GET", "DELETE"):
        assert (await site.api(method, path, role="operator")).status == 404
    assert (await site.api("PATCH", path, {"cron": "nonsense"}, role="operator")).status == 404
    assert (await site.get(f"/api/hosts/{host_id}/schedules"))["items"] == []


# ---- jobs


async def test_a_job_is_queued_also_for_a_host_that_is_away(site: Site) -> None:
    host_id = await site.enroll(hello=False)
    answer = await site.api(
        "POST", f"/api/hosts/{host_id}/jobs", {"kind": "check", "params": {"plan": "home"}}, role="operator"
    )
    assert answer.status == 202
    job = answer.json
    assert set(job) >= {
        "id", "host_id", "kind", "plan", "schedule_id", "scheduled_for", "status", "reason", "error", "exit_code",
        "queued_at", "started_at", "finished_at", "stats",
    }  # fmt: skip
    assert (job["status"], job["kind"], job["params"], job["started_at"]) == ("queued", "check", {"plan": "home"}, None)
    assert await site.get(f"/api/jobs/{job['id']}") == job


async def test_a_job_names_a_schedule_of_its_own_host_only(site: Site) -> None:
    mine, other = await site.enroll("mine"), await site.enroll("other")
    made = await site.post(f"/api/hosts/{mine}/schedules", SCHEDULE)
    fine = await site.post(f"/api/hosts/{mine}/jobs", {"kind": "backup", "schedule_id": made["id"]})
    assert fine["schedule_id"] == made["id"]
    for host_id, schedule_id in ((other, made["id"]), (mine, ids.new()), (mine, "x")):
        answer = await site.api("POST", f"/api/hosts/{host_id}/jobs", {"kind": "backup", "schedule_id": schedule_id})
        assert answer.status == 422
        assert answer.json["errors"][0]["pointer"] == "/schedule_id"
    assert (await site.api("POST", f"/api/hosts/{mine}/jobs", {"kind": "rm -rf"})).status == 422


async def test_jobs_are_listed_newest_first_and_narrowed(site: Site) -> None:
    host_id, other = await site.enroll(), await site.enroll("other")
    at = site.clock()
    old = await ended(site, host_id, started_at=at - 5)
    new = await ended(site, host_id, started_at=at - 3, kind="check", status="failed", reason="corrupt")
    elsewhere = await ended(site, other, started_at=at - 4)

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await site.get(f"/api/jobs?{query}"))["items"]]

    assert await listed("") == [new, elsewhere, old]
    assert await listed(f"host_id={host_id}") == [new, old]
    assert await listed("kind=check") == [new]
    assert await listed("status=succeeded") == [elsewhere, old]
    first = await site.get("/api/jobs?limit=2")
    assert await listed(f"limit=2&cursor={first['next_cursor']}") == [old]
    for query in ("kind=x", "status=x", "host_id=x", "x=y"):
        assert (await site.api("GET", f"/api/jobs?{query}")).status == 422


async def test_statistics_that_no_agent_could_send_now_are_left_out_of_an_answer(site: Site) -> None:
    job_id = await ended(site, await site.enroll(), stats='{"bytes": 36893488147419103232, "files": 3, "n": 1e999}')
    assert (await site.get(f"/api/jobs/{job_id}"))["stats"] == {"files": 3}


async def test_a_log_is_read_in_pages_from_its_first_line(site: Site) -> None:
    host_id = await site.enroll()
    job_id = await ended(site, host_id)
    lines = tuple((n, "stderr" if n % 2 else "stdout", f"line {n}") for n in range(5))
    await site.commit(SaveLogLines(host_id, job_id, lines))
    first = await site.get(f"/api/jobs/{job_id}/log?limit=3")
    assert first["items"][1] == {"line": 1, "stream": "stderr", "text": "line 1"}
    rest = await site.get(f"/api/jobs/{job_id}/log?limit=3&cursor={first['next_cursor']}")
    assert [item["line"] for item in first["items"] + rest["items"]] == [0, 1, 2, 3, 4]
    assert rest["next_cursor"] is None


async def test_what_is_missing_of_a_log_is_said_once_wherever_a_page_ends(site: Site) -> None:
    host_id = await site.enroll()
    job_id = await ended(site, host_id)
    numbers = [2, 3, 7, 8, 100]
    await site.commit(SaveLogLines(host_id, job_id, tuple((n, "stdout", f"line {n}") for n in numbers)))
    for limit in range(1, 10):
        items: list[dict[str, object]] = []
        cursor = ""
        while cursor is not None:
            page = await site.get(f"/api/jobs/{job_id}/log?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            assert len(page["items"]) <= limit
            items += page["items"]
            cursor = page["next_cursor"]
        assert [item["text"] for item in items] == [
            "2 lines left out", "line 2", "line 3", "3 lines left out", "line 7", "line 8", "91 lines left out",
            "line 100",
        ]  # fmt: skip
        assert items[3] == {"line": None, "stream": "gap", "text": "3 lines left out"}


async def test_a_log_may_be_numbered_from_one(site: Site) -> None:
    host_id = await site.enroll()
    job_id = await ended(site, host_id)
    await site.commit(SaveLogLines(host_id, job_id, tuple((n, "stdout", f"line {n}") for n in (1, 2, 3))))
    for limit in (1, 2, 3, 4):
        page = await site.get(f"/api/jobs/{job_id}/log?limit={limit}")
        assert [item["line"] for item in page["items"]] == [1, 2, 3][:limit]
    await site.user()
    client = await site.log_in()
    page_text = await (await client.get(f"/jobs/{job_id}")).get_data(as_text=True)
    assert "line 1" in page_text
    assert "left out" not in page_text


async def test_a_long_log_keeps_its_head_and_its_tail(site: Site) -> None:
    host_id = await site.enroll()
    job_id = await ended(site, host_id)
    for start in range(0, 25_000, 5_000):
        lines = tuple((n, "stdout", f"line {n}") for n in range(start, start + 5_000))
        await site.commit(SaveLogLines(host_id, job_id, lines))
    first = await site.get(f"/api/jobs/{job_id}/log?limit=200")
    assert first["items"][0]["text"] == "line 0"
    cursor = first["next_cursor"]
    for _ in range(9):
        cursor = (page := await site.get(f"/api/jobs/{job_id}/log?limit=200&cursor={cursor}"))["next_cursor"]
    assert page["items"][-1]["line"] == 1_999
    behind = await site.get(f"/api/jobs/{job_id}/log?limit=200&cursor={cursor}")
    assert behind["items"][:2] == [
        {"line": None, "stream": "gap", "text": "5000 lines left out"},
        {"line": 7_000, "stream": "stdout", "text": "line 7000"},
    ]
    await site.user()
    client = await site.log_in()
    page_text = await (await client.get(f"/jobs/{job_id}?all=1")).get_data(as_text=True)
    assert '<pre class="gap">5000 lines left out</pre>' in page_text
    assert "line 24999" in page_text


async def test_a_job_is_called_off_once_it_is_not_over(site: Site) -> None:
    host_id = await site.enroll()
    job = await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup"})
    answer = await site.api("POST", f"/api/jobs/{job['id']}/cancel", role="operator")
    assert answer.status == 200
    over = await ended(site, host_id)
    assert (await site.api("POST", f"/api/jobs/{over}/cancel", role="operator")).status == 409
    assert (await site.api("POST", f"/api/jobs/{ids.new()}/cancel", role="operator")).status == 404


# ---- silences


def later(site: Site, hours: float) -> str:
    return clock.to_rfc3339(site.clock() + clock.seconds(hours * 3600))


async def test_a_silence_selects_and_ends(site: Site) -> None:
    host_id = await site.enroll()
    body = {"reason": "new disks", "ends_at": later(site, 2), "host_id": host_id, "kind": "backup_failed", "tag": "a"}
    shown = await site.post("/api/silences", body, role="operator")
    assert shown == {
        **body, "id": shown["id"], "starts_at": shown["starts_at"], "recurrence": None,
        "created_by": "token:the operator",
    }  # fmt: skip
    assert (await site.get("/api/silences"))["items"] == [shown]
    assert (await site.api("DELETE", f"/api/silences/{shown['id']}", role="operator")).status == 204
    assert (await site.api("DELETE", f"/api/silences/{shown['id']}", role="operator")).status == 404
    assert (await site.get("/api/silences"))["items"] == []


async def test_a_silence_comes_back_where_it_recurs(site: Site) -> None:
    recurrence = {"cron": "0 3 * * 0", "timezone": "Europe/Berlin", "duration_minutes": 90.5}
    shown = await site.post("/api/silences", {"reason": "weekly", "recurrence": recurrence}, role="operator")
    assert shown["recurrence"] == recurrence
    assert shown["ends_at"] is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"reason": ""}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"ends_at": None}, "/ends_at"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"ends_at": "tomorrow"}, "/ends_at"),
        ({"ends_at": "2999-01-01T00:00:00"}, "/ends_at"),
        ({"starts_at": "3000-01-01T00:00:00Z"}, "/ends_at"),
        ({"host_id": "x"}, "/host_id"),
        ({"host_id": "0" * 26}, "/host_id"),
        ({"kind": "x"}, "/kind"),
        ({"tag": ""}, "/tag"),
        ({"recurrence": {"cron": "0 0 31 2 *", "duration_minutes": 5}}, "/recurrence/cron"),
        ({"recurrence": {"cron": "@daily", "timezone": "X", "duration_minutes": 5}}, "/recurrence/timezone"),
        ({"recurrence": {"cron": "@daily", "duration_minutes": 0}}, "/recurrence/duration_minutes"),
        ({"recurrence": {"cron": "@daily"}}, "/recurrence/duration_minutes"),
        ({"x": 1}, "/x"),
    ],
)
async def test_an_invalid_silence_is_a_422_that_names_the_field(
    site: Site, change: dict[str, Any], pointer: str
) -> None:
    body = {"reason": "x", "ends_at": "2999-01-01T00:00:00Z", **change}
    answer = await site.api("POST", "/api/silences", body, role="operator")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("tag", ["a,b", " ", " a", "a "])
async def test_a_tag_that_a_form_could_not_give_back_is_refused(site: Site, tag: str) -> None:
    host_id = await site.enroll()
    answer = await site.api("PATCH", f"/api/hosts/{host_id}", {"tags": [tag]})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/tags")
    policy = {"name": "n", "host_tags": [tag], "kind": "backup", "cron": "@daily"}
    refused = await site.api("POST", "/api/policies", policy)
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/host_tags")
    assert (await site.api("POST", "/api/enrollment-tokens", {"tags": [tag]})).status == 422
