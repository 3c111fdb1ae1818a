"""Lists of hosts: what narrows and sorts them, for pages, sheets and programs alike."""

import csv
import io

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.messages.hosts import UpdateHost
from tests.web.conftest import PASSWORD, Site, reply
from tests.web.test_api_alerts import raised
from tests.web.test_api_fleet import ended

ON_BOTH_ENGINES = True


async def fleet(site: Site) -> dict[str, str]:
    """Four hosts: one is away, one was never there; three have tags."""
    found = {}
    for name, tags in (("db-1", ["prod", "db"]), ("Web-01", ["prod"]), ("office", ["größe"]), ("new", [])):
        found[name] = await site.enroll(name, hello=name != "new")
        if tags:
            await site.commit(UpdateHost(found[name], None, tuple(tags), site.audit("host.update", found[name])))
    site.sql("UPDATE hosts SET last_seen_at = ? WHERE id = ?", site.clock() - clock.HOUR, found["Web-01"])
    return found


async def names(site: Site, query: str = "") -> list[str]:
    return [item["name"] for item in (await site.get(f"/api/hosts?{query}"))["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["db-1", "new", "office", "Web-01"]),
        ("q=WEB", ["Web-01"]),
        ("q=prod", ["db-1", "Web-01"]),
        ("q=prod+db", ["db-1"]),
        ("q=gr%C3%B6", ["office"]),
        ("q=nas1.lan", ["db-1", "new", "office", "Web-01"]),
        ("q=offline", ["Web-01"]),
        ("q=off", ["office", "Web-01"]),
        ("q=never+seen", ["new"]),
        ("q=of", ["office"]),
        ("q=%25", []),
        ("q=_", []),
        ("q=%5C", []),
        ("tag=prod", ["db-1", "Web-01"]),
        ("tag=pro", []),
        ("tag=PROD", []),
        ("tag=gr%C3%B6%C3%9Fe", ["office"]),
        ("status=online", ["db-1", "office"]),
        ("status=offline", ["Web-01"]),
        ("status=never_seen", ["new"]),
        ("status=reports_only", []),
        ("tag=prod&status=online&q=1", ["db-1"]),
        ("sort=-name", ["Web-01", "office", "new", "db-1"]),
        ("sort=status", ["Web-01", "new", "db-1", "office"]),
    ],
)
async def test_hosts_are_found_and_sorted(site: Site, query: str, expected: list[str]) -> None:
    await fleet(site)
    assert await names(site, query) == expected


async def test_hosts_are_sorted_by_when_their_last_backup_ended(site: Site) -> None:
    hosts, at = await fleet(site), site.clock()
    await ended(site, hosts["office"], finished_at=at - clock.HOUR)
    await ended(site, hosts["db-1"], status="failed", reason="locked", finished_at=at - clock.MINUTE)
    await ended(site, hosts["new"], kind="check", finished_at=at)
    newest, oldest = await names(site, "sort=-last_backup"), await names(site, "sort=last_backup")
    assert newest[:2] == ["db-1", "office"]
    assert newest == oldest[::-1], "hosts without a backup are those that wait longest"


@pytest.mark.parametrize("sort", ["name", "-name", "last_backup", "-last_backup", "status"])
async def test_pages_of_hosts_join_without_gap_or_repetition(site: Site, sort: str) -> None:
    hosts = await fleet(site)
    await ended(site, hosts["office"])
    whole, found, cursor = await names(site, f"sort={sort}"), [], ""
    while cursor is not None:
        page = await site.get(f"/api/hosts?sort={sort}&limit=1" + (f"&cursor={cursor}" if cursor else ""))
        found += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == whole


@pytest.mark.parametrize("query", ["sort=size", "status=asleep", "sort=-status", "q=" + "x" * 201, "tag=" + "x" * 201])
async def test_a_program_is_told_what_it_asked_wrongly(site: Site, query: str) -> None:
    answer = await site.api("GET", f"/api/hosts?{query}")
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


async def test_a_cursor_of_another_order_is_refused(site: Site) -> None:
    await fleet(site)
    cursor = (await site.get("/api/hosts?sort=status&limit=1"))["next_cursor"]
    assert (await site.api("GET", f"/api/hosts?sort=name&cursor={cursor}")).status == 422


# ---- pages


async def viewer(site: Site) -> QuartClient:
    await site.user("vera", "viewer")
    return await site.log_in("vera", PASSWORD)


async def rows(browser: QuartClient, path: str, part: str = "") -> list[str]:
    """Names in the order of the page; of the part that htmx asks for, if it is given."""
    headers = {"HX-Request": "true", "HX-Target": part} if part else {}
    text = (await reply(await browser.get(path, headers=headers))).text
    return [piece.partition("<")[0] for piece in text.split("data-open><strong>")[1:]]


async def test_the_page_finds_what_the_api_finds(site: Site) -> None:
    await fleet(site)
    browser = await viewer(site)
    for query in ("q=offline", "tag=prod", "status=never_seen", "sort=-name", "q=prod+db"):
        assert await rows(browser, f"/hosts?{query}") == await names(site, query)
        assert await rows(browser, f"/hosts?{query}", "host-list") == await names(site, query)


async def test_those_with_critical_alerts_come_first_on_the_dashboard(site: Site) -> None:
    hosts = await fleet(site)
    await raised(site, hosts["office"])
    await raised(site, hosts["new"], kind="check_failed")
    await raised(site, hosts["office"], kind="prune_failed")
    browser = await viewer(site)
    assert await rows(browser, "/", "host-list") == ["new", "office", "db-1", "Web-01"]
    assert await rows(browser, "/?sort=alerts", "host-list") == ["db-1", "Web-01", "office", "new"]
    assert await rows(browser, "/hosts?status=alerts") == ["new", "office"]


async def test_hosts_by_tag_come_under_each_of_their_tags(site: Site) -> None:
    await fleet(site)
    browser = await viewer(site)
    assert await rows(browser, "/hosts?group=tag") == ["db-1", "office", "db-1", "Web-01", "new"]
    assert await rows(browser, "/hosts?group=tag&tag=prod") == ["db-1", "Web-01"]


async def test_the_address_follows_what_is_typed_and_nothing_else(site: Site) -> None:
    await fleet(site)
    browser = await viewer(site)
    typed = {"HX-Request": "true", "HX-Target": "host-list", "HX-Trigger-Name": "q"}
    answer = await browser.get("/hosts?q=web&tag=&status=&sort=-name", headers=typed)
    assert answer.headers["HX-Replace-Url"] == "/hosts?q=web&sort=-name"
    live = await browser.get("/hosts?q=web", headers={"HX-Request": "true", "HX-Target": "host-list"})
    assert "HX-Replace-Url" not in live.headers
    assert 'data-from="/hosts?q=web"' in await live.get_data(as_text=True), "what is fetched again stays narrowed"


async def test_a_sheet_has_what_the_list_has_and_no_spreadsheet_runs_it(site: Site) -> None:
    hosts = await fleet(site)
    await site.commit(UpdateHost(hosts["db-1"], None, ("=1+1", "prod"), site.audit("host.update")))
    await ended(site, hosts["db-1"])
    await raised(site, hosts["db-1"])
    answer = await reply(await (await viewer(site)).get("/hosts.csv?tag=prod&sort=-name"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="hosts.csv"'
    sheet = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in sheet] == ["Web-01", "db-1"]
    assert (sheet[1]["tags"], sheet[1]["status"], sheet[1]["open_alerts"]) == ("'=1+1, prod", "online", "1")
    assert sheet[0]["last_backup_at"] == ""
    assert sheet[1]["last_backup_at"] == sheet[1]["last_good_backup_at"] != ""


async def test_names_are_offered_as_one_types(site: Site) -> None:
    await fleet(site)
    browser = await viewer(site)
    text = (await reply(await browser.get("/hosts/names?host=E"))).text
    assert [piece.partition('"')[0] for piece in text.split('value="')[1:]] == ["new", "office", "Web-01"]


async def test_a_lost_backup_that_ended_well_after_all_counts_as_it_ended(site: Site) -> None:
    host_id, at = await site.enroll(), site.clock()
    await ended(site, host_id, finished_at=at - clock.HOUR)
    await ended(site, host_id, status="failed", reason="error", finished_at=at)
    [host] = site.sql("SELECT last_backup_at, last_good_backup_at FROM hosts")
    assert (host["last_backup_at"], host["last_good_backup_at"]) == (at, at - clock.HOUR)
