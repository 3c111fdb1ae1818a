"""Lists of alerts: their order, what narrows them, several acted on at once."""

import csv
import io

import pytest

from rmactors.server.messages.hosts import UpdateHost
from rmactors.server.store.queries import alerts as queries
from rmactors.server.store.queries.alerts import AlertFilter
from tests.web.conftest import Site, reply
from tests.web.test_api_alerts import raised
from tests.web.test_host_lists import viewer


async def some(site: Site) -> dict[str, str]:
    """Four alerts of two hosts, by message, in the order in which they were raised."""
    nas, web = await site.enroll("nas1"), await site.enroll("web-1")
    await site.commit(UpdateHost(web, None, ("prod",), site.audit("host.update")))
    found = {}
    for message, host, kind in (
        ("first", nas, "backup_failed"), ("second", web, "check_failed"), ("third", web, "backup_failed"),
        ("fourth", nas, "check_failed"),
    ):  # fmt: skip
        site.clock.advance(1_000_000)
        found[message] = await raised(site, host, f"plan:{message}", message, kind)  # type: ignore[arg-type]
    return found


async def messages(site: Site, query: str) -> list[str]:
    browser = await viewer(site) if not site.sql("SELECT 1 FROM users") else site.browser()
    text = (await reply(await browser.get(f"/alerts?{query}"))).text
    return [piece.partition("<")[0] for piece in text.split('<div class="said">')[1:]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["fourth", "second", "third", "first"]),
        ("sort=newest", ["fourth", "third", "second", "first"]),
        ("sort=oldest", ["first", "second", "third", "fourth"]),
        ("host=nas1", ["fourth", "first"]),
        ("host=NAS", ["fourth", "first"]),
        ("host=s1", ["fourth", "first"]),
        ("host=nothing", []),
        ("tag=prod", ["second", "third"]),
        ("q=IR", ["third", "first"]),
        ("q=web", ["second", "third"]),
        ("severity=warning&host=web-1", ["third"]),
        ("kind=check_failed&status=all", ["fourth", "second"]),
    ],
)
async def test_alerts_are_found_and_critical_ones_come_first(site: Site, query: str, expected: list[str]) -> None:
    await some(site)
    assert await messages(site, query) == expected


@pytest.mark.parametrize("sort", ["severity", "newest", "oldest"])
@pytest.mark.parametrize("status", ["open", "all"])
async def test_pages_of_alerts_join_in_every_order(site: Site, sort: str, status: str) -> None:
    ids = await some(site)
    await site.post(f"/api/alerts/{ids['second']}/resolve", {"note": ""})
    wanted = AlertFilter(status=status, sort=sort)  # type: ignore[arg-type]
    read = site.services.reader.run
    whole = (await read(queries.alerts, wanted, 100)).items
    found, after = [], None
    for _ in range(len(whole) + 1):
        page = await read(queries.alerts, wanted, 1, after)
        found += page.items
        after = page.after
        if after is None:
            break
    assert found == whole
    assert len(whole) == (4 if status == "all" else 3)


async def test_the_field_for_a_host_shows_its_name_whatever_the_address_has(site: Site) -> None:
    await some(site)
    [host] = site.sql("SELECT id FROM hosts WHERE name = 'nas1'")
    text = (await reply(await (await viewer(site)).get(f"/alerts?host={host['id']}"))).text
    assert 'name="host" id="filter-host" value="nas1"' in text


async def test_a_sheet_of_alerts_has_what_the_list_has(site: Site) -> None:
    await some(site)
    await raised(site, (await site.enroll("odd")), "plan:x", "@SUM(1)")
    answer = await reply(await (await viewer(site)).get("/alerts.csv?severity=warning"))
    sheet = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["host"], row["message"]) for row in sheet] == [
        ("odd", "'@SUM(1)"),
        ("web-1", "third"),
        ("nas1", "first"),
    ]


# ---- several at once


async def test_several_are_acknowledged_and_what_could_not_be_is_told(site: Site) -> None:
    ids = await some(site)
    await site.post(f"/api/alerts/{ids['first']}/resolve", {})
    wanted = [ids["first"], ids["second"], ids["third"], ids["third"], "0" * 26, "nonsense"]
    told = await site.post("/api/alerts/bulk", {"ids": wanted, "action": "acknowledge", "note": "on it"}, "operator")
    assert told["done"] == 2
    assert [failure["id"] for failure in told["failed"]] == [ids["first"], "0" * 26, "nonsense"]
    assert all(failure["detail"] for failure in told["failed"])
    rows = site.sql("SELECT acknowledged_note FROM alerts WHERE acknowledged_at IS NOT NULL")
    assert [row["acknowledged_note"] for row in rows] == ["on it", "on it"]


async def test_several_are_resolved(site: Site) -> None:
    ids = await some(site)
    assert await site.post("/api/alerts/bulk", {"ids": [*ids.values()], "action": "resolve"}) == {
        "done": 4,
        "failed": [],
    }
    assert (await site.get("/api/alerts"))["counts"]["open"] == 0


async def test_silencing_several_makes_one_silence_for_each_host_and_kind(site: Site) -> None:
    ids = await some(site)
    await raised(site, (await site.get(f"/api/alerts/{ids['first']}"))["host_id"], "plan:more", "more")
    body = {"ids": [item["id"] for item in (await site.get("/api/alerts"))["items"]], "action": "silence", "hours": 2}
    assert await site.post("/api/alerts/bulk", body) == {"done": 5, "failed": []}
    made = (await site.get("/api/silences"))["items"]
    assert len(made) == len({(each["host_id"], each["kind"]) for each in made}) == 4


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"ids": [], "action": "resolve"}, "/ids"),
        ({"ids": ["0" * 26], "action": "delete"}, "/action"),
        ({"ids": ["0" * 26], "action": "silence"}, "/hours"),
        ({"ids": ["0" * 26], "action": "silence", "hours": 0}, "/hours"),
        ({"ids": ["0" * 26] * 501, "action": "resolve"}, "/ids"),
    ],
)
async def test_a_wrong_request_for_several_is_a_422(site: Site, body: dict[str, object], pointer: str) -> None:
    answer = await site.api("POST", "/api/alerts/bulk", body)
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == pointer
