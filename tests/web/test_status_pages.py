"""Status pages: made and ended by operators, read by anyone who has the address."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from rmactors.common import clock, ids
from rmactors.common.vocabulary import AlertKind
from rmactors.server.config import tokens
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.status_pages import CreateStatusPage
from rmactors.server.web.operations.status_pages import FRESH, MOST_PAGES
from tests.web.conftest import Reply, Site, reply

SVG = "{http://www.w3.org/2000/svg}"


async def visit(site: Site, path: str, client: str = "192.0.2.1", **headers: str) -> Reply:
    """As somebody without an account."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    return await reply(await site.browser().get(path, headers=sent, scope_base={"client": (client, 1)}))


async def made(site: Site, name: str = "Office", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = await site.post("/api/status-pages", {"name": name, **more}, role="operator")
    return found


async def raise_alert(site: Site, host_id: str, kind: AlertKind, severity: Any = "warning") -> None:
    await site.commit(RaiseAlert(ids.new(), host_id, kind, "plan:home", severity, "it failed", site.clock()))
    site.clock.advance(FRESH)


def path_of(page: dict[str, Any]) -> str:
    return str(page["url"]).removeprefix("http://localhost:8080")


async def test_an_overview_tells_numbers_and_no_names(site: Site) -> None:
    bad = await site.enroll("mail-of-the-boss")
    await site.enroll("nas1")
    path = path_of(await made(site))
    await raise_alert(site, bad, "backup_failed")
    told = (await visit(site, f"{path}.json")).json
    assert set(told) == {"name", "status", "as_of", "hosts"}
    assert (told["name"], told["status"]) == ("Office", "warning")
    assert told["hosts"] == {"total": 2, "ok": 1, "warning": 1, "critical": 0, "failed": 1}
    assert clock.from_rfc3339(told["as_of"]) <= site.clock()
    page = await visit(site, path)
    assert page.status == 200
    assert "1 host needs attention" in page.text
    badge = await visit(site, f"{path}/badge.svg")
    for answer in (page, badge, await visit(site, f"{path}.json")):
        assert "mail-of-the-boss" not in answer.text
        assert "it failed" not in answer.text


async def test_with_hosts_each_is_named_with_its_last_good_backup(site: Site) -> None:
    host_id = await site.enroll("nas1")
    await site.enroll("nas2")
    at = site.clock() - clock.HOUR
    site.sql("INSERT INTO good_ends VALUES (?, 'backup', 'home', ?, ?, '{}')", host_id, ids.new(), at)
    site.sql("INSERT INTO good_ends VALUES (?, 'check', 'home', ?, ?, '{}')", host_id, ids.new(), at + clock.HOUR)
    path = path_of(await made(site, show="hosts"))
    told = (await visit(site, f"{path}.json")).json
    assert told["items"] == [
        {"name": "nas1", "status": "ok", "last_backup": clock.to_rfc3339(at)},
        {"name": "nas2", "status": "ok", "last_backup": None},
    ]
    page = (await visit(site, path)).text
    assert "nas1" in page
    assert "1 h ago" in page
    assert "All 2 hosts are fine" in page


async def test_only_hosts_with_one_of_the_tags_are_told_of(site: Site) -> None:
    for name, tags in (("nas1", ["prod"]), ("nas2", ["home"])):
        host_id = await site.enroll(name)
        await site.api("PATCH", f"/api/hosts/{host_id}", {"tags": tags})
    path = path_of(await made(site, show="hosts", host_tags=["home"]))
    told = (await visit(site, f"{path}.json")).json
    assert [item["name"] for item in told["items"]] == ["nas2"]


async def test_the_badge_is_a_picture_with_words_that_other_sites_may_show(site: Site) -> None:
    await site.enroll()
    path = path_of(await made(site))
    badge = await visit(site, f"{path}/badge.svg", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image")
    assert badge.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert badge.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert badge.headers["Cache-Control"] == "max-age=60"
    picture = ElementTree.fromstring(badge.text)
    assert picture.get("aria-label") == "backups: 1 ok"
    assert [text.text for text in picture.iter(f"{SVG}text")] == ["backups", "1 ok"]
    assert picture.findtext(f"{SVG}title") == "backups: 1 ok"


async def test_what_has_a_secret_address_is_told_to_nobody(site: Site) -> None:
    path = path_of(await made(site))
    for each in (path, f"{path}.json", f"{path}/badge.svg", "/status/wrong", "/status/wrong.json"):
        answer = await visit(site, each)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in answer.headers
        if not each.endswith("badge.svg"):
            assert answer.headers["Cache-Control"] == "no-store"


async def test_the_address_is_told_once_and_kept_as_a_digest(site: Site) -> None:
    page = await made(site)
    assert page["url"] == f"http://localhost:8080/status/{page['token']}"
    rows = site.sql("SELECT * FROM status_pages")
    assert [row["token_hash"] for row in rows] == [tokens.digest(page["token"])]
    listed = await site.get("/api/status-pages")
    one = await site.get(f"/api/status-pages/{page['id']}")
    assert listed["items"] == [one]
    assert set(one) == {"id", "name", "host_tags", "show", "created_by", "created_at"}
    everything = json.dumps([[str(value) for value in row] for row in (*rows, *site.sql("SELECT * FROM audit"))])
    assert page["token"] not in everything


async def test_a_page_that_was_deleted_has_ended_at_once(site: Site) -> None:
    await site.enroll()
    page = await made(site)
    path = path_of(page)
    assert (await visit(site, path)).status == 200
    assert (await site.api("DELETE", f"/api/status-pages/{page['id']}", role="operator")).status == 204
    for each in (path, f"{path}.json", f"{path}/badge.svg"):
        assert (await visit(site, each)).status == 404
    assert (await site.api("DELETE", f"/api/status-pages/{page['id']}", role="operator")).status == 404


async def test_a_wrong_address_gets_a_404_that_does_not_depend_on_what_is_wrong(site: Site) -> None:
    page = await made(site)
    token = page["token"]
    wrong = ["x", token[:-1], token + "x", token.upper(), page["id"], tokens.digest(token), "a" * 900]
    bodies = {(await visit(site, f"/status/{each}", f"198.51.100.{n}")).body for n, each in enumerate(wrong)}
    assert len(bodies) == 1
    answer = await visit(site, f"/status/{token[:-1]}.json")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert (await visit(site, f"/status/{token[:-1]}/badge.svg")).status == 404


async def test_who_tries_many_addresses_waits_and_others_do_not(site: Site) -> None:
    path = path_of(await made(site))
    answers = [(await visit(site, f"/status/{n}")).status for n in range(25)]
    assert answers[0] == 404
    assert answers[-1] == 429
    refused = await visit(site, "/status/wrong")
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await visit(site, path)).status == 200
    assert (await visit(site, "/status/wrong", "192.0.2.2")).status == 404


async def test_many_readers_cost_one_look_at_the_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = path_of(await made(site))
    asked: list[Any] = []
    run = type(site.services.reader).run

    async def counted(self: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(query)
        return await run(self, query, *arguments, **more)

    monkeypatch.setattr(type(site.services.reader), "run", counted)
    for _ in range(20):
        assert (await visit(site, f"{path}.json")).status == 200
        await visit(site, "/status/wrong")
    assert len(asked) == 2
    site.clock.advance(FRESH)
    await visit(site, f"{path}.json")
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": "a", "show": "everything"}, "/show"),
        ({"name": "a", "host_tags": [""]}, "/host_tags/0"),
        ({"name": "a", "host_tags": "prod"}, "/host_tags"),
        ({"name": "a", "colour": "red"}, "/colour"),
    ],
)
async def test_what_is_wrong_with_a_page_is_said(site: Site, body: dict[str, Any], pointer: str) -> None:
    answer = await site.api("POST", "/api/status-pages", body, role="operator")
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == pointer


async def test_there_are_so_many_pages_and_no_more(site: Site) -> None:
    at = site.clock()
    for n in range(MOST_PAGES):
        audit = site.audit("status_page.create", str(n))
        page_id = ids.new()
        await site.commit(
            CreateStatusPage(
                page_id, f"page {n}", (), "overview", tokens.digest(page_id), "anna", at, MOST_PAGES, audit
            )
        )
    answer = await site.api("POST", "/api/status-pages", {"name": "one more"}, role="operator")
    assert answer.status == 409
    assert "Delete one first" in answer.json["detail"]


async def test_an_operator_makes_and_ends_pages_in_the_settings(site: Site) -> None:
    await site.user(role="operator")
    browser = await site.log_in()
    answer = await browser.post("/settings/status", form={"name": "For the wall", "tags": "prod, db", "show": "hosts"})
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "http://localhost:8080/status/rmp_" in text
    again = await (await browser.get("/settings/status")).get_data(as_text=True)
    assert "For the wall" in again
    assert "db, prod" in again
    assert "rmp_" not in again
    ((page_id,),) = site.sql("SELECT id FROM status_pages")
    gone = await browser.post(f"/settings/status/{page_id}/delete")
    assert (gone.status_code, gone.headers["Location"]) == (303, "/settings/status")
    assert site.sql("SELECT * FROM status_pages") == []
    actions = [(row["action"], row["detail"]) for row in site.sql("SELECT * FROM audit WHERE action LIKE 'status_%'")]
    assert actions == [("status_page.create", "For the wall, shows hosts"), ("status_page.delete", "For the wall")]


async def test_a_form_with_a_mistake_comes_back_as_it_was(site: Site) -> None:
    await site.user(role="operator")
    browser = await site.log_in()
    answer = await browser.post("/settings/status", form={"name": "x" * 101, "tags": "prod", "show": "hosts"})
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="prod"' in text
    assert '<option value="hosts" selected>' in text


async def test_a_viewer_sees_that_there_are_pages_and_can_make_none(site: Site) -> None:
    await made(site)
    page = await site.api("GET", "/settings/status", role="viewer")
    assert "Office" in page.text
    assert "New status page" not in page.text
