"""A job's page: what can be run again, and what it found."""

import json
from typing import Any

import pytest

from tests.web.conftest import Site
from tests.web.test_api_fleet import SCHEDULE, ended

AGAIN = "Run again"


async def page_of(site: Site, job_id: str) -> str:
    browser = await site.log_in()
    answer = await browser.get(f"/jobs/{job_id}")
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True))


async def schedule_of(site: Site, host_id: str, mode: str) -> str:
    made: str = (await site.post(f"/api/hosts/{host_id}/schedules", {**SCHEDULE, "mode": mode}))["id"]
    return made


@pytest.mark.parametrize("status", ["failed", "succeeded"])
@pytest.mark.parametrize("mode", [None, "external"])
async def test_what_a_wrapped_command_did_is_not_offered_again(site: Site, mode: str | None, status: str) -> None:
    await site.user()
    host_id = await site.enroll()
    schedule_id = await schedule_of(site, host_id, mode) if mode else None
    job_id = await ended(site, host_id, plan="pg", schedule_id=schedule_id, status=status)
    page = await page_of(site, job_id)
    assert AGAIN not in page


async def test_a_run_of_the_agents_own_schedule_is_offered_again(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    schedule_id = await schedule_of(site, host_id, "agent")
    page = await page_of(site, await ended(site, host_id, schedule_id=schedule_id, status="failed"))
    assert AGAIN in page
    assert f'name="schedule" value="{schedule_id}"' in page


async def test_a_run_that_an_operator_asked_for_is_offered_again(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    job_id = (await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "backup", "params": {"plan": "home"}}))["id"]
    await ended(site, host_id, job_id=job_id, status="failed")
    page = await page_of(site, job_id)
    assert AGAIN in page
    assert 'name="plan" value="home"' in page


async def test_a_run_of_a_schedule_that_is_gone_is_not_offered_again(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    schedule_id = await schedule_of(site, host_id, "agent")
    job_id = await ended(site, host_id, schedule_id=schedule_id, status="failed")
    assert (await site.api("DELETE", f"/api/schedules/{schedule_id}")).status == 204
    assert AGAIN not in await page_of(site, job_id)


async def test_what_something_else_starts_cannot_be_run_from_the_hosts_page(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    await schedule_of(site, host_id, "external")
    browser = await site.log_in()
    page = await (await browser.get(f"/hosts/{host_id}")).get_data(as_text=True)
    assert "nightly" in page
    assert "Run nightly now" not in page
    await site.post(f"/api/hosts/{host_id}/schedules", {**SCHEDULE, "name": "by the agent"})
    page = await (await browser.get(f"/hosts/{host_id}")).get_data(as_text=True)
    assert "Run by the agent now" in page


SNAPSHOTS = """{"snapshots_count": 2, "snapshots": [
  {"id": "aaaa1111", "time": "2026-11-22T12:00:00Z", "host": "nas1", "plan": "home", "paths": ["/home", "/<etc>"]},
  {"id": "bbbb2222", "time": "2026-11-23T10:00:00Z", "host": "nas1", "plan": "home", "paths": ["/srv"]}]}"""


async def test_the_page_of_a_snapshots_job_lists_them(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    page = await page_of(site, await ended(site, host_id, kind="snapshots", stats=SNAPSHOTS))
    assert page.index("bbbb2222") < page.index("aaaa1111"), "newest first"
    assert "/home, /&lt;etc&gt;" in page
    assert "2026-11-22 12:00" in page
    assert "&#39;id&#39;" not in page


async def test_the_page_of_a_job_names_its_statistics(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    stats: dict[str, Any] = {"stats": '{"files_new": 3, "bytes_added": 1500, "duration_seconds": 41.2}'}
    page = await page_of(site, await ended(site, host_id, **stats))
    for name, value in (("New files", "3"), ("Added to the repository", "1.5 kB"), ("Running time", "41 s")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page


async def test_a_restore_says_what_of_and_where_to_and_not_which_files(site: Site) -> None:
    await site.user()
    host_id = await site.enroll()
    params = {"plan": "home", "snapshot": "ab" * 32, "include": ["/home/canary", "/etc"], "target": "/srv/restore/x"}
    job = await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "restore", "params": params})
    page = await page_of(site, job["id"])
    for words in ("abababab", "2 files and folders", "/srv/restore/x"):
        assert words in page
    assert "canary" not in page
    whole = await site.post(f"/api/hosts/{host_id}/jobs", {"kind": "restore", "params": {"plan": "home"}})
    assert "Everything in the snapshot" in await page_of(site, whole["id"])


@pytest.mark.parametrize(
    ("snapshot", "leads"), [("ab" * 4, True), ("ab" * 32, True), ("../../x", False), (7, False), ("", False)]
)
async def test_a_backup_leads_to_its_snapshot_where_it_says_one(site: Site, snapshot: object, leads: bool) -> None:
    await site.user()
    host_id = await site.enroll()
    page = await page_of(site, await ended(site, host_id, plan="home", stats=json.dumps({"snapshot_id": snapshot})))
    assert (f'href="/hosts/{host_id}/snapshots/{snapshot}?plan=home"' in page) == leads
    assert ("Browse this snapshot" in page) == leads
