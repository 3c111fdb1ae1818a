"""Who leads and who waits, as the API and the page say it: several nodes on PostgreSQL, one server on SQLite."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rmactors import __version__
from rmactors.common import clock
from rmactors.common.clock import SECOND
from rmactors.server.store import leadership, node_list
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.engines.postgres_facts import replication_of
from rmactors.server.store.leadership import Lease, NodeRow
from tests.databases import PostgresDatabases
from tests.web.conftest import Site, open_site, settings_for

NOW = 1_800_000_000 * SECOND


@pytest.fixture
async def several(tmp_path: Path, postgres_databases: PostgresDatabases) -> AsyncIterator[Site]:
    place = postgres_databases.new()
    async with open_site(settings_for(tmp_path / "data", database_url=place.url)) as opened:
        yield opened
    postgres_databases.give_back(place)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "data", node_name="attic")) as opened:
        yield opened


def says(site: Site, name: str, **more: Any) -> None:
    """A node's own word that it is there."""
    db = connect(site.services.settings.place)
    said = {"version": __version__, "key_ids": '["k1"]', "clock_off": 0, **more}
    leadership.say(db, name, f"https://{name}.example.org", said["version"], said["key_ids"], said["clock_off"])
    db.close()


def leads(site: Site, name: str) -> int:
    db = connect(site.services.settings.place)
    assert leadership.take(db, name, f"https://{name}.example.org", 600) is not None
    epoch = leadership.look(db).epoch
    db.close()
    return epoch


async def page(site: Site) -> str:
    await site.user()
    browser = await site.log_in()
    answer = await browser.get("/settings/nodes")
    assert answer.status_code == 200
    return str(await answer.get_data(as_text=True))


async def test_the_api_lists_them_by_name_and_says_who_leads(several: Site) -> None:
    says(several, "rm2")
    says(several, "rm1")
    epoch = leads(several, "rm2")
    found = await several.get("/api/nodes")
    assert [(node["name"], node["leader"], node["epoch"]) for node in found["items"]] == [
        ("rm1", False, None), ("rm2", True, epoch),
    ]  # fmt: skip
    assert found["next_cursor"] is None
    assert set(found["items"][0]) == {"name", "url", "leader", "epoch", "seen_at", "version", "replication"}
    assert found["items"][1]["url"] == "https://rm2.example.org"
    assert found["items"][1]["replication"] == "none"
    assert abs(clock.from_rfc3339(found["items"][0]["seen_at"]) - clock.now()) < 60 * SECOND


async def test_a_lease_that_has_run_out_makes_no_leader(several: Site) -> None:
    says(several, "rm1")
    leads(several, "rm1")
    several.sql("UPDATE leader SET until_at = 0 RETURNING 1")
    [node] = (await several.get("/api/nodes"))["items"]
    assert (node["leader"], node["epoch"]) == (False, None)


async def test_the_list_goes_on_at_its_cursor(several: Site) -> None:
    for name in ("a", "b", "c"):
        says(several, name)
    first = await several.get("/api/nodes?limit=2")
    assert [node["name"] for node in first["items"]] == ["a", "b"]
    second = await several.get(f"/api/nodes?limit=2&cursor={first['next_cursor']}")
    assert ([node["name"] for node in second["items"]], second["next_cursor"]) == (["c"], None)
    for wrong in ("limit=0", "limit=201", "cursor=x", "sort=name"):
        assert (await several.api("GET", f"/api/nodes?{wrong}")).status == 422


async def test_the_page_says_who_leads_waits_and_is_away(several: Site) -> None:
    for name in ("rm1", "rm2", "rm3"):
        says(several, name)
    leads(several, "rm1")
    several.sql("UPDATE nodes SET seen_at = seen_at - 600000000 WHERE name = 'rm3' RETURNING 1")
    text = await page(several)
    rows = text.split("<tr data-item>")[1:]
    assert [[word for word in ("Leads", "Waits", "Not seen", "10 min ago") if word in row] for row in rows] == [
        ["Leads"], ["Waits"], ["Not seen", "10 min ago"],
    ]  # fmt: skip
    assert "Its " not in text
    assert [row.count("since") for row in rows] == [1, 0, 0]
    [(since,)] = several.sql("SELECT since_at FROM leader")
    assert abs(since - clock.now()) < 60 * SECOND
    assert 'href="/settings/nodes" aria-current="page"' in text


async def test_the_page_warns_of_a_clock_another_key_and_another_version(several: Site) -> None:
    says(several, "rm1")
    says(several, "rm2", clock_off=-3 * SECOND, key_ids=json.dumps(["k1", "k2"]), version="0.0.1")
    leads(several, "rm1")
    text = await page(several)
    assert "Its clock is 3.0 s behind the database" in text
    assert "Its key file is not the leader" in text
    assert "Its version is not the leader" in text


async def test_on_sqlite_it_is_this_server_alone(alone: Site) -> None:
    [node] = (await alone.get("/api/nodes"))["items"]
    assert (node["name"], node["leader"], node["epoch"], node["replication"]) == ("attic", True, 0, None)
    assert (node["url"], node["version"]) == ("http://localhost:8080", __version__)
    text = await page(alone)
    assert "attic" in text
    assert 'href="/settings/nodes"' not in text  # no tab for a list of one


async def test_livez_is_200_also_where_healthz_is_not(alone: Site) -> None:
    alone.health["store"] = "disk full"
    answer = await alone.browser().get("/livez")
    assert (answer.status_code, await answer.get_json()) == (200, {"status": "ok"})


# ---- the judgement


def row(name: str, seen_ago: int = 0, **more: Any) -> NodeRow:
    said = {"version": "1", "key_ids": '["k"]', "clock_off": 0, **more}
    return NodeRow(name, name, "", said["version"], said["key_ids"], said["clock_off"], NOW - seen_ago * SECOND)


def test_a_clock_is_wrong_from_two_seconds_on() -> None:
    lease = Lease("a", "", 7, 1, NOW)
    for off, said in ((2 * SECOND, 0), (-2 * SECOND, 0), (2 * SECOND + 1, 2 * SECOND + 1), (-3 * SECOND, -3 * SECOND)):
        [node] = node_list.judged([row("a", clock_off=off)], lease, NOW)
        assert node.clock_off == said


def test_of_one_that_is_away_nothing_else_is_said() -> None:
    lease = Lease("a", "", 7, 1, NOW)
    _, node = node_list.judged([row("a"), row("b", 61, key_ids="[]", version="2", clock_off=NOW)], lease, NOW)
    assert (node.away, node.clock_off, node.other_keys, node.other_version) == (True, 0, False, False)


def test_who_leads_is_not_away_however_long_its_lease_is() -> None:
    [node] = node_list.judged([row("a", 900)], Lease("a", "", 7, 1, NOW), NOW)
    assert (node.leads, node.away, node.since_at) == (True, False, NOW)


@pytest.mark.parametrize(
    ("commit", "names", "states", "expected"),
    [
        ("on", "", [], "none"),
        ("on", "", ["async"], "async"),
        ("on", "", [None], "async"),
        ("local", "*", ["sync"], "async"),
        ("off", "*", ["sync"], "async"),
        ("on", "*", ["async", "sync"], "sync"),
        ("remote_apply", "ANY 1 (a, b)", ["quorum", "quorum"], "sync"),
        ("on", "*", [], "sync"),
        ("on", "*", [None], None),
    ],
)
def test_replication_is_one_word(commit: str, names: str, states: list[str | None], expected: str | None) -> None:
    assert replication_of(commit, names, states) == expected
