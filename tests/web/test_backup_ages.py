"""The table of backup ages as a page, as a file and over the API: the same rows everywhere."""

import csv
import io
import json
import re
from typing import Any

import pytest
from msgspec.structs import replace

from rmactors.common import clock, ids
from rmactors.common.clock import HOUR
from rmactors.server.messages.answers import Committed, Reply
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import JudgeEnd, Tick
from rmactors.server.store.queries.backup_ages import AGE_SORTS
from tests.web.conftest import Site


async def backup(site: Site, host_id: str, plan: str | None = "home", ago: int = HOUR, **changes: Any) -> None:
    """One that ended so long ago, as the rules take it."""
    at = site.clock() - ago
    stats = {"files_total": 12, "bytes_total": 3400}
    report = EndReport(
        host_id, ids.new(), "backup", plan, None, None, "succeeded", "ok", None, 0, at, at, json.dumps(stats), None,
        None, site.clock(), files_total=12, bytes_total=3400,
    )  # fmt: skip
    answer = await site.services.ask_rules(lambda reply: JudgeEnd(replace(report, **changes), reply))
    assert isinstance(answer, Committed)


async def host(site: Site, name: str, *tags: str, plans: tuple[str, ...] = ("home",)) -> str:
    host_id = await site.enroll(name)
    said = json.dumps([{"name": plan, "repository": f"sftp:nas:/srv/{plan}", "sources": ["/x"]} for plan in plans])
    await site.commit(RecordHello(host_id, site.clock(), False, "0.1", "x", "linux", "x", "UTC", "0.14.0", said))
    await site.api("PATCH", f"/api/hosts/{host_id}", {"tags": list(tags)})
    return host_id


async def schedule(site: Site, host_id: str, max_age_hours: float | None, plan: str = "home") -> str:
    body = {"name": "Nightly", "kind": "backup", "cron": "0 3 * * *", "params": {"plan": plan}}
    made = await site.post(f"/api/hosts/{host_id}/schedules", body | {"max_age_hours": max_age_hours})
    schedule_id: str = made["id"]
    return schedule_id


@pytest.fixture
async def fleet(site: Site) -> Site:
    """`good` is in time, `late` is overdue, `free` has no limit, `new` was never backed up."""
    for name, hours, ago in (("good", 26.0, HOUR), ("late", 2.0, 30 * HOUR), ("free", None, HOUR)):
        host_id = await host(site, name, "prod" if name != "free" else "test")
        await schedule(site, host_id, hours)
        await backup(site, host_id, ago=ago)
    await host(site, "new", "test")
    return site


# ---- the API


async def test_the_worst_come_first_with_all_that_is_known(fleet: Site) -> None:
    found = await fleet.get("/api/backups")
    assert [(item["host_name"], item["state"]) for item in found["items"]] == [
        ("late", "overdue"), ("new", "never"), ("free", "no_limit"), ("good", "ok"),
    ]  # fmt: skip
    assert found["counts"] == {"overdue": 1, "never": 1, "no_limit": 1, "ok": 1}
    late, new, free, good = found["items"]
    assert (late["plan"], late["repository"], late["in_agent_file"]) == ("home", "sftp:nas:/srv/home", True)
    assert (late["limit_hours"], late["schedule_name"], late["tags"]) == (2.0, "Nightly", ["prod"])
    assert late["schedule_ids"] == [late["schedule_id"]]
    assert late["newest_good"]["age_seconds"] // 3600 == 30
    assert late["left_seconds"] // 3600 == -29
    assert clock.from_rfc3339(late["due_at"]) < clock.from_rfc3339(found["as_of"])
    assert (good["newest_good"]["files"], good["newest_good"]["bytes"]) == (12, 3400)
    job = await fleet.get(f"/api/jobs/{good['newest_good']['job_id']}")
    assert job["finished_at"] == good["newest_good"]["at"]
    assert (good["newest_attempt"]["job_id"], good["newest_attempt"]["status"]) == (job["id"], "succeeded")
    assert (new["newest_good"], new["newest_attempt"], new["due_at"], new["last_restore_test"]) == (None,) * 4
    assert (free["limit_hours"], free["schedule_id"], free["left_seconds"]) == (None, None, None)


async def test_it_leads_to_the_alert_that_the_rules_raised(fleet: Site) -> None:
    """And the two say the same."""

    def tick(reply: Reply) -> Any:
        reply(Committed())  # nobody answers a tick
        return Tick(fleet.clock())

    await fleet.services.ask_rules(tick)
    await backup(fleet, await host(fleet, "other"))  # by when it is answered, so is what came before
    alerts = (await fleet.get("/api/alerts?kind=backup_overdue"))["items"]
    late = (await fleet.get("/api/backups?state=overdue"))["items"]
    assert [item["alert_id"] for item in late] == [alert["id"] for alert in alerts]
    assert [item["schedule_id"] for item in late] == [alert["subject"] for alert in alerts]


async def test_it_is_narrowed_and_the_counts_are_not_narrowed_by_state(fleet: Site) -> None:
    found = await fleet.get("/api/backups?tag=prod&state=ok")
    assert [item["host_name"] for item in found["items"]] == ["good"]
    assert found["counts"] == {"overdue": 1, "never": 0, "no_limit": 0, "ok": 1}
    host_id = found["items"][0]["host_id"]
    assert [item["host_id"] for item in (await fleet.get(f"/api/backups?host_id={host_id}"))["items"]] == [host_id]
    assert (await fleet.get(f"/api/backups?host_id={ids.new()}"))["items"] == []


@pytest.mark.parametrize("by", AGE_SORTS)
async def test_pages_of_every_order_meet(fleet: Site, by: str) -> None:
    for sort in (by, f"-{by}"):
        whole = (await fleet.get(f"/api/backups?sort={sort}"))["items"]
        seen, cursor = [], ""
        for _ in range(5):
            page = await fleet.get(f"/api/backups?sort={sort}&limit=1{cursor}")
            seen += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert [item["host_id"] for item in seen] == [item["host_id"] for item in whole]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("sort=age", "/sort"), ("sort=--left", "/sort"), ("state=late", "/state"), ("host_id=x", "/host_id"),
        ("tag=" + "x" * 101, "/tag"), ("cursor=x", "/cursor"), ("q=x", "/q"), ("limit=0", "/limit"),
    ],
)  # fmt: skip
async def test_what_it_does_not_know_is_refused(site: Site, query: str, pointer: str) -> None:
    refused = await site.api("GET", f"/api/backups?{query}", role="viewer")
    assert (refused.status, [error["pointer"] for error in refused.json["errors"]]) == (422, [pointer])


async def test_a_cursor_of_another_order_is_refused(fleet: Site) -> None:
    cursor = (await fleet.get("/api/backups?sort=host&limit=1"))["next_cursor"]
    assert (await fleet.api("GET", f"/api/backups?sort=left&limit=1&cursor={cursor}")).status == 422


# ---- the page


def shown(text: str) -> list[str]:
    """Hosts in the order of their rows."""
    return re.findall(r"data-open><strong>(\w+)</strong>", text[text.index("<tbody>") :])


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("", ["late", "new", "free", "good"]),
        ("?sort=host", ["free", "good", "late", "new"]),
        ("?sort=-host", ["new", "late", "good", "free"]),
        ("?state=never", ["new"]),
        ("?tag=prod&sort=-left", ["good", "late"]),
        ("?sort=nonsense&state=nonsense&cursor=nonsense", ["late", "new", "free", "good"]),  # a page is no API
    ],
)
async def test_the_page_shows_them_as_its_address_says(fleet: Site, query: str, hosts: list[str]) -> None:
    page = await fleet.api("GET", f"/backups{query}", role="viewer")
    assert page.status == 200
    assert shown(page.text) == hosts


async def test_each_head_leads_to_its_order_and_keeps_the_filters(fleet: Site) -> None:
    page = await fleet.api("GET", "/backups?tag=prod&sort=left")
    for by in AGE_SORTS:
        sort = {"state": "", "left": "&amp;sort=-left"}.get(by, f"&amp;sort={by}")
        assert f'href="/backups?tag=prod{sort}"' in page.text, by
    assert page.text.count('aria-sort="ascending"') == 1
    assert 'href="/backups.csv?tag=prod&amp;sort=left"' in page.text


async def test_a_long_table_has_pages(site: Site) -> None:
    await host(site, "many", plans=tuple(f"plan {number:03}" for number in range(150)))
    first = await site.api("GET", "/backups?sort=plan")
    assert first.text.count("<tr data-item") == 100
    match = re.search(r'href="(/backups\?sort=plan&amp;cursor=[^"]+)"', first.text)
    assert match is not None
    second = await site.api("GET", match[1].replace("&amp;", "&"))
    assert second.text.count("<tr data-item") == 50
    assert "plan 100" in second.text
    assert "cursor=" not in second.text.split("<tbody>")[1]


async def test_where_nothing_is_shown_it_says_why(site: Site) -> None:
    assert "No plans yet" in (await site.api("GET", "/backups")).text
    assert "No matches" in (await site.api("GET", "/backups?tag=none")).text


async def test_the_dashboard_shows_the_worst_ten_and_leads_to_the_others(fleet: Site) -> None:
    await host(fleet, "many", plans=tuple(f"plan {number:03}" for number in range(15)))
    page = await fleet.api("GET", "/", role="viewer")
    ages = page.text[page.text.index('id="ages"') :]
    assert ages.count("<tr data-item") == 10
    assert shown(ages)[0] == "late"
    assert "9 more plans" in ages
    assert ">1 overdue</a>" in ages
    assert ">16 never backed up</a>" in ages


async def test_each_part_of_the_dashboard_is_fetched_by_itself(fleet: Site) -> None:
    for part, other in (("ages", "overview"), ("overview", "ages")):
        headers = {"HX-Request": "true", "HX-Target": part}
        answer = await fleet.api("GET", "/", headers=headers)
        assert f'id="{part}"' in answer.text
        assert f'id="{other}"' not in answer.text
        assert answer.headers["Vary"].startswith("HX-Request, HX-Target, Accept")


async def test_before_the_first_host_the_dashboard_has_no_such_table(site: Site) -> None:
    assert 'id="ages"' not in (await site.api("GET", "/")).text


# ---- the file


async def table(site: Site, query: str = "") -> list[dict[str, str]]:
    answer = await site.api("GET", f"/backups.csv{query}", role="viewer")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="backups.csv"'
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_the_file_has_the_same_rows_in_numbers_that_a_sheet_can_add(fleet: Site) -> None:
    rows = await table(fleet)
    assert [(row["host"], row["state"]) for row in rows] == [
        ("late", "overdue"), ("new", "never"), ("free", "no_limit"), ("good", "ok"),
    ]  # fmt: skip
    late, new, _, good = rows
    assert (late["limit_hours"], late["limited_by"], late["left_hours"]) == ("2", "Nightly", "")
    assert 27.9 < float(late["over_hours"]) < 28.1
    assert 24.9 < float(good["left_hours"]) < 25.1
    assert good["over_hours"] == ""
    assert (good["files"], good["bytes"], good["newest_attempt_status"]) == ("12", "3400", "succeeded")
    assert {name: text for name, text in new.items() if text and name != "as_of"} == {
        "host": "new", "tags": "test", "plan": "home", "repository": "sftp:nas:/srv/home", "state": "never",
    }  # fmt: skip
    assert [row["host"] for row in await table(fleet, "?tag=prod&sort=host")] == ["good", "late"]


async def test_no_cell_of_it_is_run_by_a_spreadsheet(site: Site) -> None:
    host_id = await host(site, "=HYPERLINK(1)", "@tag", plans=("+plan",))
    await backup(site, host_id, plan="-plan")
    for row in await table(site):
        for name, text in row.items():
            assert text[:1] not in "=+-@" or text == "", name
        assert row["host"] == "'=HYPERLINK(1)"
    assert {row["plan"] for row in await table(site)} == {"'+plan", "'-plan"}


async def test_what_names_no_plan_is_called_by_its_schedule(site: Site) -> None:
    host_id = await site.enroll("cron")
    body = {"name": "Weekly dump", "kind": "backup", "cron": "0 3 * * 0", "mode": "external"}
    made = await site.post(f"/api/hosts/{host_id}/schedules", body)
    await backup(site, host_id, plan=None, schedule_id=made["id"])
    await backup(site, host_id, plan=None)
    assert {row["plan"] for row in await table(site)} == {"Weekly dump", "backups without a plan"}
    page = await site.api("GET", "/backups")
    assert "a schedule that names no plan" in page.text
    found = (await site.get("/api/backups"))["items"]
    assert [item["plan"] for item in found] == [None, None]
