"""Repositories over the API, as pages and as a table: what is known of them, and what is not and why."""

import csv
import io
import json
from typing import Any

import pytest

from rmactors.common import clock, ids
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.messages.hosts import RecordHello, RecordSigns, UpdateHost
from rmactors.server.messages.repositories import FoundRepository, Measurement, SaveRepositories, SettleLook
from tests.store.ledger import end, save_end
from tests.web.conftest import Site

ON_BOTH_ENGINES = True

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


def share(host: str, unique: int | None = 10, held: int | None = 100) -> dict[str, Any]:
    return {"host": host, "snapshots": 2, "bytes": held, "unique_bytes": unique}


def found(name: str, repository_id: str, size: int | None = None, *shares: dict[str, Any], **more: Any) -> Any:
    locks = json.dumps(more.pop("locks", []))
    measured = None
    if size is not None:
        measured = Measurement(
            size, more.pop("uncompressed", None), more.pop("ratio", None), 3, json.dumps(shares), locks
        )
    values: dict[str, Any] = {"plans": ("home",), "filed_as": "nas", "version": 2, "error": None} | more
    return FoundRepository(
        name, repository_id, values.get("location", f"/srv/{name}"), values["plans"], values["filed_as"],
        values["version"], measured, values["error"],
    )  # fmt: skip


async def save(site: Site, host_id: str, *those: Any, days_ago: float = 0, all_of_them: bool = False) -> None:
    at = site.clock() - round(days_ago * DAY)
    await site.commit(SaveRepositories(host_id, at, those, all_of_them))


async def well(site: Site, host_id: str, kind: Any, days_ago: float, plan: str = "home") -> str:
    job_id = ids.new()
    at = site.clock() - round(days_ago * DAY)
    await site.commit(save_end(end(host_id, job_id, at=at, kind=kind, plan=plan)))
    return job_id


@pytest.fixture
async def shared(site: Site) -> Site:
    """`main` is shared by nas1 and web1 and has grown for 60 days; `small` is nas1's alone, and was not measured."""
    nas, web = await site.enroll("nas1"), await site.enroll("web1")
    for day in (60, 45, 30, 15, 0):
        size = 10_000_000_000 - day * 100_000_000
        shares = (share("nas", 4_000_000_000, size), share("web", 1_000_000_000, size), share("laptop", 5, 6))
        await save(site, nas, found("main", A, size, *shares, ratio=1.7), days_ago=day)
    await save(site, web, found("backup", A, plans=("www",), filed_as="web", location="rest:http://me:***@nas/"))
    await save(site, nas, found("small", B, error="connection refused", plans=("etc",)))
    await well(site, nas, "check", 94)
    return site


# ---- the API


async def test_one_repository_is_one_row_however_many_hosts_use_it(shared: Site) -> None:
    items = (await shared.get("/api/repositories"))["items"]
    assert [item["name"] for item in items] == ["main", "small"]
    main = items[0]
    assert [(host["name"], host["unique_bytes"]) for host in main["hosts"]] == [
        ("nas1", 4_000_000_000), ("web1", 1_000_000_000),
    ]  # fmt: skip
    assert main["other_hosts"] == [{"name": "laptop", "snapshots": 2, "bytes": 6, "unique_bytes": 5}]
    assert (main["id"], main["location"], main["plans"], main["snapshots"]) == (A, "/srv/main", ["home", "www"], 3)
    assert (main["size_bytes"], main["unique_bytes"], main["compression"]) == (10_000_000_000, 5_000_000_005, 1.7)
    assert main["growth_bytes_a_month"] == pytest.approx(3_000_000_000, rel=0.01)
    assert main["last_check"] == clock.to_rfc3339(clock.from_rfc3339(main["last_check"]))
    assert (main["last_prune"], main["last_restore_test"], main["locks"]) == (None, None, [])
    assert [use["location"] for use in main["uses"]] == ["/srv/main", "rest:http://me:***@nas/"]
    assert items[1]["uses"][0]["error"] == "connection refused"
    assert (items[1]["size_bytes"], items[1]["unique_bytes"], items[1]["growth"]) == (None, None, [])


async def test_one_by_itself_has_a_size_a_day(site: Site) -> None:
    nas = await site.enroll("nas1")
    for day in (3, 2, 1, 0):
        await save(site, nas, found("main", A, 1000 - day, share("nas")), days_ago=day)
    whole = await site.get(f"/api/repositories/{A}")
    assert [point["bytes"] for point in whole["growth"]] == [997, 998, 999, 1000]
    listed = (await site.get("/api/repositories"))["items"][0]
    assert listed["growth"][-1] == whole["growth"][-1]
    assert len(listed["growth"]) <= 2


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", "abc"), ("-size", "cab"), ("size", "acb"), ("-growth", "cab"), ("growth", "acb"),
        ("last_check", "cab"), ("-last_check", "bac"),
    ],
)  # fmt: skip
async def test_the_list_is_sorted_page_by_page(site: Site, sort: str, names: str) -> None:
    """`a` shrinks and was checked long ago, `b` was never measured and was checked now, `c` grows and never was."""
    nas = await site.enroll("nas1")
    for day, a, c in ((20, 500, 1000), (0, 400, 2000)):
        await save(
            site, nas, found("a", A, a, share("nas"), plans=("a",)), found("c", C, c, share("nas"), plans=("c",)),
            days_ago=day,
        )  # fmt: skip
    await save(site, nas, found("b", B, plans=("b",)))
    await well(site, nas, "check", 50, "a")
    await well(site, nas, "check", 0, "b")
    seen, cursor = "", ""
    while True:
        page = await site.get(f"/api/repositories?sort={sort}&limit=1{cursor}")
        seen += "".join(item["name"] for item in page["items"])
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names


async def test_what_is_no_repository_is_not_found(shared: Site) -> None:
    for path in (f"/api/repositories/{C}", "/api/repositories/x", f"/repositories/{C}"):
        assert (await shared.api("GET", path, role="viewer")).status == 404
    assert (await shared.api("POST", f"/api/repositories/{C}/refresh")).status == 404
    assert (await shared.api("GET", "/api/repositories?sort=colour")).status == 422


async def test_an_operator_asks_now_where_a_host_can_be_asked(shared: Site) -> None:
    assert (await shared.api("POST", f"/api/repositories/{A}/refresh", role="viewer")).status == 403
    answer = await shared.api("POST", f"/api/repositories/{A}/refresh", role="operator")
    assert answer.status == 202
    assert answer.json["wanted_at"] is not None
    audit = shared.sql("SELECT action, target_id FROM audit WHERE action = 'repository.refresh'")
    assert [tuple(row) for row in audit] == [("repository.refresh", A)]
    shared.clock.advance(HOUR)
    refused = await shared.api("POST", f"/api/repositories/{A}/refresh", role="operator")
    assert refused.status == 409
    assert refused.json["detail"] == "No host can be asked now: nas1 is not connected; web1 is not connected."


async def test_growth_is_the_same_in_the_list_and_by_itself(site: Site) -> None:
    nas = await site.enroll("nas1")
    for day in range(40, -1, -1):
        await save(site, nas, found("main", A, 1_000_000 - day * day * 100, share("nas")), days_ago=day)
    whole = await site.get(f"/api/repositories/{A}")
    (listed,) = (await site.get("/api/repositories"))["items"]
    assert whole["growth_bytes_a_month"] == listed["growth_bytes_a_month"] > 0


# ---- hosts that cannot be told apart


async def test_two_hosts_that_file_under_one_name_have_no_share_of_their_own(site: Site) -> None:
    one, two = await site.enroll("one"), await site.enroll("two")
    await save(site, one, found("main", A, 100, share("vm", 100)), days_ago=0.1)
    for host in (one, two):
        await save(site, host, found("main", A, filed_as="vm"))
    row = await site.get(f"/api/repositories/{A}")
    assert [(host["name"], host["bytes"], host["unique_bytes"]) for host in row["hosts"]] == [
        ("one", None, None), ("two", None, None),
    ]  # fmt: skip
    assert (row["unique_bytes"], row["other_hosts"]) == (100, [])


async def test_where_a_host_is_unknown_so_is_the_sum(site: Site) -> None:
    nas = await site.enroll("nas1")
    await save(site, nas, found("main", A, 100, share("nas"), share("web", None, None)))
    assert (await site.get(f"/api/repositories/{A}"))["unique_bytes"] is None


# ---- pages


async def text(site: Site, path: str, role: Any = "operator") -> str:
    answer = await site.api("GET", path, role=role)
    assert answer.status == 200, answer.text
    return answer.text


async def test_the_list_says_what_grows_and_what_was_not_checked(shared: Site) -> None:
    page = await text(shared, "/repositories", "viewer")
    assert "2 repositories, 10.0 GB in all. main grows fastest: 3.0 GB a month." in page
    assert "94 days ago" in page
    assert "never" in page
    assert "connection refused" in page
    assert "nas1, web1" in page
    assert "+3.0 GB a month" in page
    assert page.index(">main<") < page.index(">small<"), "the largest first"
    assert 'aria-sort="descending"' in page


async def test_an_empty_list_says_what_to_do(site: Site) -> None:
    page = await text(site, "/repositories")
    assert "No repository is known yet" in page


async def test_hosts_that_do_not_tell_are_named_with_what_helps(site: Site) -> None:
    told = {
        "forbids": "browse is not allowed on forbids: add it to `allow` in its agent.toml.",
        "refuses": "browse is not allowed on refuses: add it to `allow` in its agent.toml.",
        "old": "The agent is too old to be asked: upgrade it.",
        "slow": "The agent did not answer in time.",
        "fails": "No restic here",
        "mute": "The agent could not tell",
        "locked-out": "Main: wrong password",
    }
    problems = {"refuses": ("not_allowed", None), "old": ("too_old", None), "slow": ("slow", None),
                "fails": ("failed", "no restic here"), "mute": ("failed", None)}  # fmt: skip
    for name in told:
        host = await site.enroll(name)
        if name == "forbids":
            allow = '["check"]'
            await site.commit(
                RecordHello(host, site.clock(), False, "0.1", "n", "linux", "x", "UTC", None, "[]", allow=allow)
            )
        elif name == "locked-out":
            await save(site, host, FoundRepository("main", None, "/x", (), "n", None, None, "wrong password"))
        else:
            problem, detail = problems[name]
            await site.commit(SettleLook(host, site.clock(), site.clock(), 1, problem, detail))
    page = await text(site, "/repositories")
    for words in told.values():
        assert words in page


async def test_one_repository_shows_all_that_is_known(shared: Site) -> None:
    checked = shared.sql("SELECT job_id FROM care_ends")[0]["job_id"]
    page = await text(shared, f"/repositories/{A}")
    for words in (
        "Used by nas1, web1.", "by nas1.", "1.70 times smaller", f'href="/jobs/{checked}"', "94 days ago", "laptop",
        "not enrolled here", "rest:http://me:***@nas/", "4.0 GB", "1.0 GB", "Size over time: from 4.0 GB to 10.0 GB",
        'class="plot"', "None, as of", "Ask now", "Unique is what no other host has: that much would go with it.",
    ):  # fmt: skip
        assert words in page, words
    assert "Ask now" not in await text(shared, f"/repositories/{A}", "viewer")


async def test_one_that_was_never_measured_says_so(shared: Site) -> None:
    page = await text(shared, f"/repositories/{B}")
    for words in ("Not measured yet.", "connection refused", "Not known yet.", "there is a plot from the second on"):
        assert words in page, words


async def test_what_cannot_be_known_has_its_reason(site: Site) -> None:
    nas = await site.enroll("nas1")
    many = [share(f"host{n}", None, None) for n in range(6)]
    await save(site, nas, found("many", A, 5, *many), found("old", B, 5, share("nas"), version=1))
    await save(site, nas, found("slow", C, 5, share("nas", None), share("web", None)))
    assert "with more than five hosts" in await text(site, f"/repositories/{A}")
    assert "restic tells it from 0.15 on" in await text(site, f"/repositories/{A}")
    assert "format version 1 cannot compress" in await text(site, f"/repositories/{B}")
    assert "would have taken too long" in await text(site, f"/repositories/{C}")


async def test_a_lock_that_was_not_renewed_stands_out(site: Site) -> None:
    nas = await site.enroll("nas1")
    at = site.clock()
    locks = [
        {"host": "nas", "user": "root", "pid": 12, "at": clock.to_rfc3339(at - 3 * HOUR), "exclusive": True},
        {"host": "web", "user": "www", "pid": 13, "at": clock.to_rfc3339(at - MINUTE), "exclusive": False},
        {"host": "odd", "user": "x", "pid": 14, "at": None, "exclusive": False},
    ]
    await save(site, nas, found("main", A, 5, share("nas"), locks=locks))
    page = await text(site, f"/repositories/{A}")
    assert page.count("left behind</div>") == 1
    assert "root on nas, process 12" in page
    assert "a job of kind unlock removes it" in page
    assert "1 lock left behind" in await text(site, "/repositories")


async def test_asking_now_leads_back_to_the_repository(shared: Site) -> None:
    await shared.user()
    browser = await shared.log_in()
    answer = await browser.post(f"/repositories/{A}/refresh")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/repositories/{A}")
    assert "Asked for now" in await text(shared, f"/repositories/{A}")
    shared.clock.advance(HOUR)
    refused = await browser.post(f"/repositories/{A}/refresh")
    assert refused.status_code == 409
    assert "No host can be asked now" in await refused.get_data(as_text=True)
    page = await text(shared, f"/repositories/{B}")
    assert "Ask now" not in page
    assert "No host can be asked now: nas1 is not connected." in page


async def test_a_host_that_may_not_tell_is_said_to_be_the_reason(site: Site) -> None:
    nas = await site.enroll("nas1")
    await save(site, nas, found("main", A))
    at = site.clock()
    hello = RecordHello(nas, at, False, "0.1", "n", "linux", "x", "UTC", None, "[]", allow='["check"]')
    await site.commit(hello, RecordSigns(((nas, at),), ()))
    assert "No host can be asked now: nas1 does not allow browse." in await text(site, f"/repositories/{A}")


async def test_the_table_for_spreadsheets_has_a_row_for_each(shared: Site) -> None:
    answer = await shared.api("GET", "/repositories.csv?sort=name", role="viewer")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    main, small = csv.DictReader(io.StringIO(answer.text))
    assert (main["id"], main["name"], main["hosts"], main["plans"]) == (A, "main", "nas1 web1", "home www")
    assert (main["size_bytes"], main["unique_bytes"], main["snapshots"]) == ("10000000000", "5000000005", "3")
    assert main["last_check"] != ""
    assert (small["name"], small["size_bytes"], small["last_check"], small["locks"]) == ("small", "", "", "0")


async def test_a_hosts_page_leads_to_its_plans_repositories(shared: Site) -> None:
    [nas] = [row["id"] for row in shared.sql("SELECT id FROM hosts WHERE name = 'nas1'")]
    plans = '[{"name": "home", "repository": "/srv/main", "sources": ["/home"]}]'
    await shared.commit(RecordHello(nas, shared.clock(), False, "0.1", "n", "linux", "x", "UTC", None, plans))
    assert f'<a href="/repositories/{A}">/srv/main</a>' in await text(shared, f"/hosts/{nas}")


async def test_odd_values_of_a_host_are_rows_among_others(site: Site) -> None:
    nas = await site.enroll("nas1")
    await save(site, nas, found("main", A, 5, share("nas")))
    await save(site, nas, found("<b>", B, 5))
    for column, value in (("shares", "{"), ("shares", "[1, {}]"), ("locks", '[{"at": 5}]'), ("locks", "x")):
        site.sql(f"UPDATE repositories SET {column} = ? WHERE id = ?", value, A)
        for path in ("/repositories", f"/repositories/{A}", "/repositories.csv", "/api/repositories"):
            answer = await site.api("GET", path)
            assert answer.status == 200, (column, value, path)
            assert "main" in answer.text
            assert "<b>" not in answer.text or path.startswith("/api") or path.endswith("csv")


# ---- the list, narrowed and sorted


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["main", "small"]),
        ("sort=-name", ["small", "main"]),
        ("sort=name", ["main", "small"]),
        ("sort=-growth", ["main", "small"]),
        ("sort=last_check", ["small", "main"]),
        ("q=MAI", ["main"]),
        ("q=web1", ["main"]),
        ("q=nas1", ["main", "small"]),
        ("q=rest%3Ahttp", ["main"]),
        ("q=nothing+like+it", []),
        ("tag=prod", ["main"]),
        ("page=2", []),
    ],
)
async def test_repositories_are_found_and_sorted(shared: Site, query: str, names: list[str]) -> None:
    [web] = shared.sql("SELECT id FROM hosts WHERE name = 'web1'")
    await shared.commit(UpdateHost(web["id"], None, ("prod",), shared.audit("host.update")))
    await shared.user("vera", "viewer")
    answer = await (await shared.log_in("vera")).get(f"/repositories?{query}")
    text = await answer.get_data(as_text=True)
    assert [piece.partition("<")[0] for piece in text.split("data-open><strong>")[1:]] == names
    sheet = await shared.api("GET", f"/repositories.csv?{query.removeprefix('page=2')}", role="viewer")
    if query != "page=2":
        assert [row["name"] for row in csv.DictReader(io.StringIO(sheet.text))] == names


async def test_a_narrowed_list_says_how_many_of_all(shared: Site) -> None:
    await shared.user("vera", "viewer")
    text = await (await (await shared.log_in("vera")).get("/repositories?q=main")).get_data(as_text=True)
    assert "1 of 2 repositories, 10.0 GB in all. main grows fastest" in text


async def test_a_deleted_host_takes_its_repositories_off_the_list(shared: Site) -> None:
    hosts = {row["name"]: row["id"] for row in shared.sql("SELECT id, name FROM hosts")}
    assert (await shared.api("DELETE", f"/api/hosts/{hosts['nas1']}")).status == 204
    items = (await shared.get("/api/repositories"))["items"]
    assert [(item["name"], len(item["uses"])) for item in items] == [("backup", 1)]
