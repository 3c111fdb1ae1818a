"""Lists of jobs: their order and what narrows them."""

import csv
import io
from typing import Any

import pytest

from rmactors.common import clock
from rmactors.server.messages.hosts import UpdateHost
from rmactors.server.store.queries import job_lists
from rmactors.server.store.queries.job_lists import JobFilter
from tests.web.conftest import Site, reply
from tests.web.test_api_fleet import ended
from tests.web.test_host_lists import viewer

ON_BOTH_ENGINES = True


async def some(site: Site) -> dict[str, str]:
    """Five jobs of two hosts, by a word for each; each began a minute after the one before."""
    nas, web = await site.enroll("nas1"), await site.enroll("web-1")
    await site.commit(UpdateHost(web, None, ("prod",), site.audit("host.update")))
    schedule = await site.post(
        f"/api/hosts/{web}/schedules", {"name": "Nightly", "kind": "backup", "cron": "0 2 * * *"}
    )
    found = {}
    for n, (word, host, changes) in enumerate((
        ("good", nas, {}), ("bad", web, {"status": "failed", "reason": "locked"}),
        ("check", nas, {"kind": "check", "plan": "etc"}), ("own", web, {"schedule_id": schedule["id"], "plan": None}),
        ("long", nas, {"status": "partial", "reason": "partial"}),
    )):  # fmt: skip
        began = site.clock() - (10 - n) * clock.MINUTE
        took = clock.HOUR if word == "long" else (n + 1) * clock.SECOND
        given: dict[str, Any] = {"started_at": began, "finished_at": began + took, **changes}
        found[word] = await ended(site, host, **given)
    return found


async def shown(site: Site, query: str, jobs: dict[str, str]) -> list[str]:
    words = {job_id: word for word, job_id in jobs.items()}
    text = (await reply(await (await viewer(site)).get(f"/jobs?{query}"))).text
    return [words[piece[:26]] for piece in text.split('id="job-')[1:] if piece[:26] in words]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["long", "own", "check", "bad", "good"]),
        ("sort=when", ["good", "bad", "check", "own", "long"]),
        ("sort=-took", ["long", "own", "check", "bad", "good"]),
        ("sort=took", ["good", "bad", "check", "own", "long"]),
        ("status=failed", ["bad"]),
        ("status=running", []),
        ("status=partial&sort=when", ["long"]),
        ("kind=check", ["check"]),
        ("host=nas1", ["long", "check", "good"]),
        ("host=EB", ["own", "bad"]),
        ("tag=prod", ["own", "bad"]),
        ("tag=prod&status=failed", ["bad"]),
        ("q=nas", ["long", "check", "good"]),
        ("q=night", ["own"]),
        ("q=etc", ["check"]),
        ("q=home&host=web", ["bad"]),
        ("q=%25", []),
    ],
)
async def test_jobs_are_found_and_sorted(site: Site, query: str, expected: list[str]) -> None:
    jobs = await some(site)
    assert await shown(site, query, jobs) == expected


@pytest.mark.parametrize("sort", ["-when", "when"])
@pytest.mark.parametrize(
    "wanted", [JobFilter(), JobFilter(q="e"), JobFilter(host="1"), JobFilter(tag="prod"), JobFilter(kind="backup")]
)
async def test_pages_of_jobs_join_without_gap_or_repetition(site: Site, sort: str, wanted: JobFilter) -> None:
    await some(site)
    read = site.services.reader.run
    whole = (await read(job_lists.listed, wanted, sort, 100))[0].items  # type: ignore[arg-type]
    assert len(whole) > 1
    found, after = [], None
    for _ in range(len(whole)):
        page, _many = await read(job_lists.listed, wanted, sort, 1, after)  # type: ignore[arg-type]
        found += page.items
        after = page.after
    assert found == whole
    assert after is None


@pytest.mark.parametrize("sort", ["host", "-host", "status", "-kind"])
async def test_jobs_in_another_order_come_page_by_page_too(site: Site, sort: str) -> None:
    jobs = await some(site)
    read = site.services.reader.run
    found = []
    for skip in range(6):
        page, many = await read(job_lists.listed, JobFilter(), sort, 1, None, skip)  # type: ignore[arg-type]
        assert many == 5
        found += [row.id for row in page.items]
    assert len(found) == 5
    assert set(found) == set(jobs.values())


async def test_jobs_of_many_hosts_are_found_along_the_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = await some(site)
    monkeypatch.setattr(job_lists, "_FEW_HOSTS", 0)
    read = site.services.reader.run
    page, _many = await read(job_lists.listed, JobFilter(tag="prod"), "-when", 10)
    assert [row.id for row in page.items] == [jobs["own"], jobs["bad"]]
    page, _many = await read(job_lists.listed, JobFilter(q="nas"), "-when", 10)
    assert [row.id for row in page.items] == [jobs["long"], jobs["check"], jobs["good"]]


async def test_a_sheet_of_jobs_has_what_the_list_has(site: Site) -> None:
    jobs = await some(site)
    answer = await reply(await (await viewer(site)).get("/jobs.csv?host=web-1"))
    sheet = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in sheet] == [jobs["own"], jobs["bad"]]
    assert (sheet[0]["schedule"], sheet[1]["status"], sheet[1]["seconds"]) == ("Nightly", "failed", "2.000")
