"""One row that cannot be shown is one row: every list goes on, says so once, and is no longer than it may be."""

import json
import logging
from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.common import ids
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.jobs import SaveLogLines
from tests.web.conftest import Site, on_sqlite_alone
from tests.web.test_api_fleet import SCHEDULE, ended

HUGE = "1" * 401
LISTS = (
    "/", "/hosts", "/jobs", "/alerts", "/alerts?status=all", "/silences", "/audit", "/audit.csv", "/metrics",
    "/backups", "/backups?sort=files", "/backups.csv", "/repositories", "/repositories.csv", "/settings/status",
    "/settings/nodes", "/policies",
)  # fmt: skip
APIS = (
    "/api/hosts", "/api/jobs", "/api/alerts", "/api/alerts?status=all", "/api/silences", "/api/audit", "/api/backups",
    "/api/backups?sort=-attempt", "/api/repositories", "/api/status-pages", "/api/policies",
    "/api/nodes",
)  # fmt: skip


async def alert(site: Site, host_id: str, message: str = "Backup of home failed", subject: str = "") -> str:
    alert_id, at = ids.new(), site.clock()
    await site.commit(RaiseAlert(alert_id, host_id, "backup_failed", subject, "warning", message, at))
    return alert_id


async def texts(site: Site, browser: QuartClient, *more: str) -> dict[str, str]:
    """What every page and list says, each of which must be there, and readable for any reader of JSON."""
    found = {}
    for path in (*LISTS, *APIS, *more):
        if path.startswith("/api/"):
            headers = {"Authorization": f"Bearer {site.tokens['admin']}"}
            answer = await site.app.test_client().get(path, headers=headers)
            text = await answer.get_data(as_text=True)
            json.loads(text)
        else:
            answer = await browser.get(path)
            text = await answer.get_data(as_text=True)
        assert answer.status_code == 200, path
        found[path] = text
    return found


ODD_STATS = (
    f'{{"total_bytes_processed": {HUGE}}}',
    f'{{"bytes_total": {HUGE}, "files_new": {HUGE}}}',
    '{"duration_seconds": 1e999, "files_new": 1e999, "data_added": -1e999}',
    '{"n": ' + "1" * 5000 + "}",
    '{"deep": ' + "[" * 900 + "]" * 900 + "}",
    "[1, 2",
    '{"snapshots": [{"time": "9999-12-31T23:59:59Z", "size": ' + HUGE + "}]}",
)


async def test_a_stored_job_with_odd_numbers_is_a_row_among_others(site: Site) -> None:
    await site.user()
    fine = await site.enroll("fine")
    more = [f"/jobs/{await ended(site, fine)}"]
    for number, stats in enumerate(ODD_STATS):
        odd = await site.enroll(f"odd{number}")
        jobs = [await ended(site, odd, kind=kind, stats=stats) for kind in ("snapshots", "diff", "backup")]
        more += [f"/jobs/{jobs[-1]}", f"/jobs/{jobs[0]}", f"/api/jobs/{jobs[-1]}", f"/hosts/{odd}"]
    found = await texts(site, await site.log_in(), *more)
    for path in ("/", "/hosts", "/jobs", "/api/hosts", "/api/jobs"):
        assert "fine" in found[path] or fine in found[path]
        assert "Cannot be shown" not in found[path], "what can be shown of it is"


BROKEN = (
    "UPDATE hosts SET tags = '{' WHERE id = :odd",
    "UPDATE hosts SET plans = 'none', restic_problem = 'x' WHERE id = :odd",
    "UPDATE jobs SET started_at = -99999999999999999, finished_at = 9000000000000000000 WHERE host_id = :odd",
    "UPDATE jobs SET scheduled_for = 9000000000000000000, sort_at = 4000000000000000000 WHERE host_id = :odd",
    "UPDATE jobs SET params = 'x', stats = '' WHERE host_id = :odd",
    "UPDATE alerts SET created_at = 4000000000000000000, last_seen_at = -9000000000000000000 WHERE host_id = :odd",
    "UPDATE alert_events SET at = 9000000000000000000",
    "UPDATE audit SET at = 9000000000000000000",
    "UPDATE schedules SET cron = 'never', params = '{' WHERE host_id = :odd",
    "UPDATE schedules SET timezone = 'Middle/Earth', max_age_hours = 1e300 WHERE host_id = :odd",
    "UPDATE hosts SET clock_offset_seconds = 1e300, last_seen_at = 9000000000000000000 WHERE id = :odd",
    "UPDATE good_ends SET at = 9000000000000000000 WHERE host_id = :odd",
    "UPDATE hosts SET enrolled_at = -9000000000000000000, agent_version = '' WHERE id = :odd",
)


async def test_a_row_that_nobody_thought_of_takes_no_page_away(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    await site.user()
    odd = [await site.enroll(f"odd{number}") for number in range(len(BROKEN))]
    fine = await site.enroll("fine")
    for host_id in (*odd, fine):
        await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE)
        await ended(site, host_id)
        await alert(site, host_id)
    for host_id, change in zip(odd, BROKEN, strict=True):
        site.sql(change.replace(":odd", f"'{host_id}'"))
    browser = await site.log_in()
    with caplog.at_level(logging.ERROR):
        found = await texts(site, browser)
        await texts(site, browser)
    for path in (
        "/",
        "/hosts",
        "/jobs",
        "/alerts",
        "/backups",
        "/api/hosts",
        "/api/jobs",
        "/api/alerts",
        "/api/backups",
    ):
        assert "fine" in found[path] or fine in found[path]
    for path in ("/", "/hosts", "/api/hosts"):
        assert "Cannot be shown" in found[path]
        assert odd[0] in found[path], "anyone who looks finds out which it is"
    logged = [record.getMessage() for record in caplog.records if "cannot be shown" in record.getMessage()]
    assert logged
    assert len(logged) == len(set(logged)), "once, not at every look"


IN_LISTS_OF_ADMINS = (
    "UPDATE users SET last_login_at = 'never' WHERE username = 'odd'",
    "UPDATE users SET created_at = x'ff' WHERE username = 'odder'",
    "UPDATE api_tokens SET last_used_at = 'never' WHERE name = 'the viewer'",
    "UPDATE api_tokens SET expires_at = '' WHERE name = 'the operator'",
    "UPDATE enrollment_tokens SET expires_at = 'soon'",
    "UPDATE audit SET at = 'then' WHERE n = 1",
    "UPDATE audit SET actor = x'ff00', detail = 7 WHERE n = 2",
    "UPDATE hosts SET tags = '7', plans = '{' WHERE name = 'odd'",
    "UPDATE hosts SET tags = '[7, null, \"fine\"]', plans = '{\"name\": 1}' WHERE name = 'odder'",
)


@on_sqlite_alone  # a column of PostgreSQL takes no text for a number
async def test_accounts_tokens_the_trail_and_forms_survive_an_odd_row(site: Site) -> None:
    await site.user()
    hosts = [await site.enroll(name) for name in ("odd", "odder")]
    for name in ("odd", "odder"):
        await site.user(name)
    await site.post("/api/enrollment-tokens", {}, role="admin")
    browser = await site.log_in()
    forms = [path for host_id in hosts for path in (f"/hosts/{host_id}/schedules/new", f"/hosts/{host_id}")]
    for change in IN_LISTS_OF_ADMINS:
        site.sql(change)
        found = await texts(site, browser, "/settings/users", "/hosts/new", "/api/users", "/api/enrollment-tokens")
        for path in forms if "tags = '7'" not in change else forms[::2]:
            assert (await browser.get(path)).status_code == 200, (change, path)
    assert "Cannot be shown" in found["/settings/users"]
    assert "Cannot be shown" in found["/audit.csv"]


async def test_a_schedule_whose_zone_is_gone_from_this_machine_can_be_read_and_changed(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    made = await site.post(f"/api/hosts/{host_id}/schedules", SCHEDULE)
    site.sql("UPDATE schedules SET timezone = 'US/Gone'")
    path = f"/api/schedules/{made['id']}"
    assert (await site.get(path))["next_fire_at"] is None
    assert [each["timezone"] for each in (await site.get(f"/api/hosts/{host_id}"))["schedules"]] == ["US/Gone"]
    assert "problem" not in (await site.get("/api/hosts"))["items"][0]
    assert (await (await site.log_in()).get(f"/hosts/{host_id}")).status_code == 200
    changed = await site.api("PATCH", path, {"timezone": "UTC"}, role="operator")
    assert changed.status == 200
    assert (await site.get(path))["next_fire_at"] is not None


async def test_a_job_page_shows_as_much_of_a_log_as_a_page_holds(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    job_id = await ended(site, host_id)
    long = [(n, "stdout", f"{n:05}" + "x" * 3000) for n in range(3000)]  # longer than any that is taken now
    for start in range(0, 3000, 500):
        await site.commit(SaveLogLines(host_id, job_id, tuple(long[start : start + 500])))
    browser = await site.log_in()
    page = await (await browser.get(f"/jobs/{job_id}")).get_data(as_text=True)
    assert len(page) < 200_000
    assert "02999xxx" in page
    assert f'href="/jobs/{job_id}?all=1"' in page
    more = await (await browser.get(f"/jobs/{job_id}?all=1")).get_data(as_text=True)
    assert 900_000 < len(more) < 1_200_000
    assert f"/api/jobs/{job_id}/log" in more, "where all of it is"
    first = await site.get(f"/api/jobs/{job_id}/log?limit=200")
    assert [len(line["text"]) for line in first["items"]] == [1000] * 200


async def test_lists_are_bounded_whatever_their_rows_hold(site: Site) -> None:
    await site.user()
    text = "<&\u2603" * 660
    plans = json.dumps([{"name": f"p{n}", "repository": "r" * 2000, "sources": ["s" * 100] * 100} for n in range(100)])
    stats = json.dumps({f"{'k' * 190}{n}": "☃" * 200 for n in range(64)})
    hosts = []
    for n in range(10):
        host_id = await site.enroll(f"host{n}")
        hosts.append(host_id)
        at = site.clock()
        await site.commit(RecordHello(host_id, at, False, "0.1", "h", "linux", "x86_64", "UTC", "0.14.0", plans))
        for m in range(5):
            await ended(site, host_id, plan=f"plan{m}", error=text, stats=stats)
            await alert(site, host_id, text, subject=f"plan:{m}")
    browser = await site.log_in()
    found = await texts(site, browser, "/api/hosts?limit=200", "/api/jobs?limit=200", "/api/alerts?limit=200")
    for path, shown in found.items():
        assert len(shown.encode()) < 2_000_000, path
    whole: dict[str, Any] = await site.get(f"/api/hosts/{hosts[0]}")
    assert len(whole["plans"]) == 100
    assert len(whole["plans"][0]["sources"]) == 100
    listed = (await site.get("/api/hosts?limit=200"))["items"][0]
    assert 0 < len(listed["plans"]) < 100
    page = await (await browser.get(f"/hosts/{hosts[0]}")).get_data(as_text=True)
    assert len(page) < 200_000


async def test_a_host_that_invents_plans_has_a_bounded_number_of_strips(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    for n in range(60):
        report = await ended(site, host_id, plan=f"plan{n}")
        site.sql("UPDATE jobs SET subject = ? WHERE id = ?", f"plan:invented{n:02}", report)
    browser = await site.log_in()
    for path in ("/", "/hosts", f"/hosts/{host_id}"):
        page = await (await browser.get(path)).get_data(as_text=True)
        assert page.count("invented") <= 45, path  # a name and its words for each
