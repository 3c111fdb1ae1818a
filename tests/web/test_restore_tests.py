"""Restore tests on a host's page, in the API, and from there to a job or a schedule."""

import json

from rmactors.common import clock
from rmactors.server.messages.hosts import RecordHello
from tests.web.conftest import Site
from tests.web.test_api_fleet import ended

STATS = '{"files_tested": 20, "bytes_tested": 312000000, "compared_with_source": 18}'


async def host_with_plans(site: Site, *plans: str, allow: list[str] | None = None) -> str:
    host_id = await site.enroll()
    named = json.dumps([{"name": plan} for plan in plans])
    await site.commit(
        RecordHello(
            host_id, site.clock(), False, "0.1", "h", "linux", "x86_64", "UTC", None, named,
            allow=None if allow is None else json.dumps(allow),
        )
    )  # fmt: skip
    return host_id


async def text_of(site: Site, path: str, role: str = "operator") -> str:
    browser = await site.log_in(role)
    answer = await browser.get(path)
    assert answer.status_code == 200
    return " ".join((await answer.get_data(as_text=True)).split())


async def test_the_api_says_of_each_plan_when_it_was_proven_restorable(site: Site) -> None:
    host_id = await host_with_plans(site, "home", "etc")
    assert (await site.get(f"/api/hosts/{host_id}"))["last_restore_tests"] == []
    at = site.clock()
    job_id = await ended(site, host_id, kind="restore_test", finished_at=at, stats=STATS)
    await ended(site, host_id, kind="restore_test", plan=None, finished_at=at - clock.DAY, job_id="01" + "A" * 24)
    shown = (await site.get(f"/api/hosts/{host_id}"))["last_restore_tests"]
    assert shown == [
        {"plan": None, "at": clock.to_rfc3339(at - clock.DAY), "files": None, "bytes": None, "job_id": "01" + "A" * 24},
        {"plan": "home", "at": clock.to_rfc3339(at), "files": 20, "bytes": 312_000_000, "job_id": job_id},
    ]


async def test_the_page_says_it_and_how_to_begin_where_nothing_was_tested(site: Site) -> None:
    host_id = await host_with_plans(site, "home", "etc")
    await site.user("otto", "operator")
    await ended(site, host_id, kind="restore_test", finished_at=site.clock() - 2 * clock.DAY, stats=STATS)
    page = await text_of(site, f"/hosts/{host_id}", "otto")
    assert "Last proven restorable:" in page
    assert "2 days ago</time></a><span>, 20 files, 312 MB</span>" in page
    assert "Never tested." in page
    assert page.count("Test now") == 2
    await site.user("vera", "viewer")
    assert "Test now" not in await text_of(site, f"/hosts/{host_id}", "vera")


async def test_the_button_queues_a_test_of_that_plan(site: Site) -> None:
    host_id = await host_with_plans(site, "home", "etc")
    await site.user("otto", "operator")
    browser = await site.log_in("otto")
    answer = await browser.post(f"/hosts/{host_id}/run", form={"kind": "restore_test", "plan": "etc"})
    assert answer.status_code == 303
    [job] = (await site.get("/api/jobs"))["items"]
    assert (job["kind"], job["params"], job["status"]) == ("restore_test", {"plan": "etc"}, "queued")


async def test_a_host_that_does_not_allow_it_says_which_line_is_missing(site: Site) -> None:
    host_id = await host_with_plans(site, "home", allow=["backup"])
    await site.user("otto", "operator")
    page = await text_of(site, f"/hosts/{host_id}", "otto")
    assert "allow = [&#34;backup&#34;, &#34;restore_test&#34;]" in page
    assert "Test now" not in page


async def test_the_form_of_a_schedule_begins_with_what_a_weekly_test_needs(site: Site) -> None:
    host_id = await host_with_plans(site, "home", "etc")
    await site.user("otto", "operator")
    page = await text_of(site, f"/hosts/{host_id}/schedules/new?kind=restore_test&plan=etc", "otto")
    assert '<option value="restore_test" selected>Restore test</option>' in page
    assert "<option selected>etc</option>" in page
    assert 'value="0 12 * * 0"' in page
    other = await text_of(site, f"/hosts/{host_id}/schedules/new?kind=prune&plan=nothing", "otto")
    assert '<option value="backup" selected>Backup</option>' in other
    body = {"name": "Weekly", "kind": "restore_test", "cron": "0 12 * * 0", "timezone": "UTC"}
    params = {"plan": "etc", "sample_files": 50, "sample_bytes": 1 << 31}
    made = await site.post(f"/api/hosts/{host_id}/schedules", {**body, "params": params})
    assert (made["kind"], made["mode"], made["params"]) == ("restore_test", "agent", params)
    refused = await site.api(
        "POST", f"/api/hosts/{host_id}/schedules", {**body, "params": {"plan": "etc", "sample_files": 0}}
    )
    assert refused.status == 422


async def test_a_jobs_page_says_what_was_tested(site: Site) -> None:
    host_id = await host_with_plans(site, "home")
    await site.user("otto", "operator")
    job_id = await ended(site, host_id, kind="restore_test", stats=STATS)
    page = await text_of(site, f"/jobs/{job_id}", "otto")
    assert "20 files tested" in page
    assert "Compared with the source" in page
