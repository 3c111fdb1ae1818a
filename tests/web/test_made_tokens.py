"""Tokens know who made them, give no more than they have, and can be ended with their maker."""

from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.common.vocabulary import ROLES
from rmactors.server.config import tokens
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.store.queries.credentials import find_credential
from tests.web.conftest import PASSWORD, Site, reply

BERT = {"username": "bert", "password": PASSWORD, "role": "admin"}


async def by(site: Site, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of what a token asks for."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = await reply(await site.app.test_client().open(path, method=method, headers=headers, json=body))
    return answer.status, answer.json if answer.body else None


async def made_by(site: Site, browser: QuartClient, role: str = "admin", **more: Any) -> dict[str, Any]:
    answer = await browser.post("/api/tokens", json={"name": f"of-bert-{role}", "role": role, **more})
    assert answer.status_code == 201
    found: dict[str, Any] = await answer.get_json()
    return found


async def works(site: Site, token: str) -> bool:
    status, _ = await by(site, token, "GET", "/api/alerts")
    assert status in (200, 401)
    return status == 200


async def bert(site: Site) -> tuple[str, QuartClient]:
    await site.user("boss")
    user_id = (await site.post("/api/users", BERT))["id"]
    return user_id, await site.log_in("bert")


async def listed(site: Site) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in (await site.get("/api/tokens?limit=200", role="admin"))["items"]}


async def test_a_token_knows_its_maker(site: Site) -> None:
    _, browser = await bert(site)
    first = await made_by(site, browser)
    assert first["created_by"] == "bert"
    status, second = await by(site, first["token"], "POST", "/api/tokens", {"name": "second", "role": "viewer"})
    assert (status, second["created_by"]) == (201, "token:of-bert-admin")
    shown = await listed(site)
    assert shown["second"]["created_by"] == "token:of-bert-admin"
    assert shown["the admin"]["created_by"] is None, "made before this was known"
    page = await (await browser.get("/settings/users")).get_data(as_text=True)
    assert "created by token:of-bert-admin" in page


async def test_a_token_gives_no_longer_life_than_it_has(site: Site) -> None:
    _, browser = await bert(site)
    first = await made_by(site, browser, expires_days=0.001)
    status, short = await by(site, first["token"], "POST", "/api/tokens", {"name": "x", "role": "admin"})
    assert (status, short["expires_at"]) == (201, first["expires_at"]), "without an end of its own it has its maker's"
    long = {"name": "y", "role": "viewer", "expires_days": 30}
    status, problem = await by(site, first["token"], "POST", "/api/tokens", long)
    assert (status, problem["errors"][0]["pointer"]) == (422, "/expires_days")
    sooner = {"name": "z", "role": "viewer", "expires_days": 0.0005}
    status, shorter = await by(site, first["token"], "POST", "/api/tokens", sooner)
    assert status == 201
    assert shorter["expires_at"] < first["expires_at"]
    status, enrollment = await by(site, first["token"], "POST", "/api/enrollment-tokens", {"ttl_minutes": 60})
    assert (status, enrollment["expires_at"]) == (201, first["expires_at"])
    site.clock.advance(2 * clock.MINUTE)
    assert [await works(site, each["token"]) for each in (first, short, shorter)] == [False] * 3


async def test_what_was_made_with_a_token_ends_when_it_is_revoked(site: Site) -> None:
    _, browser = await bert(site)
    first, other = await made_by(site, browser), await made_by(site, browser, "viewer")
    _, second = await by(site, first["token"], "POST", "/api/tokens", {"name": "second", "role": "admin"})
    _, third = await by(site, second["token"], "POST", "/api/tokens", {"name": "third", "role": "viewer"})
    _, enrollment = await by(site, third["token"], "POST", "/api/enrollment-tokens", {})
    assert enrollment["status"] == 403
    _, enrollment = await by(site, second["token"], "POST", "/api/enrollment-tokens", {})
    assert (await site.api("DELETE", f"/api/tokens/{first['id']}")).status == 204
    assert [await works(site, each["token"]) for each in (first, second, third, other)] == [False, False, False, True]
    found = await site.services.reader.run(find_credential, tokens.digest(enrollment["token"]), site.clock())
    assert found is None


@pytest.mark.parametrize(
    ("query", "lives"), [("", False), ("?tokens=end", False), ("?tokens=keep", True)], ids=["default", "end", "keep"]
)
@pytest.mark.parametrize("how", ["deleted", "disabled"])
async def test_tokens_end_with_their_maker_unless_they_are_kept(site: Site, how: str, query: str, lives: bool) -> None:
    user_id, browser = await bert(site)
    first = await made_by(site, browser)
    _, second = await by(site, first["token"], "POST", "/api/tokens", {"name": "second", "role": "viewer"})
    enrollment = await (await browser.post("/api/enrollment-tokens", json={})).get_json()
    if how == "deleted":
        assert (await site.api("DELETE", f"/api/users/{user_id}{query}")).status == 204
    else:
        assert (await site.api("PATCH", f"/api/users/{user_id}{query}", {"disabled": True})).status == 200
    assert [await works(site, each["token"]) for each in (first, second)] == [lives, lives]
    assert await works(site, site.tokens["admin"]), "others' stay"
    found = await site.services.reader.run(find_credential, tokens.digest(enrollment["token"]), site.clock())
    assert (found is not None) is lives
    [row] = site.sql("SELECT detail FROM audit WHERE action IN ('user.delete', 'user.update') ORDER BY n DESC LIMIT 1")
    assert ("3 of their tokens ended" in row["detail"]) is not lives


async def test_tokens_that_were_kept_can_be_ended_later(site: Site) -> None:
    user_id, browser = await bert(site)
    first, path = await made_by(site, browser), f"/api/users/{user_id}"
    assert (await site.api("PATCH", f"{path}?tokens=keep", {"disabled": True})).status == 200
    assert (await site.api("PATCH", path, {"disabled": True})).status == 200
    assert await works(site, first["token"])
    assert (await site.api("PATCH", f"{path}?tokens=end", {})).status == 200
    assert not await works(site, first["token"])
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'user.update' ORDER BY n DESC LIMIT 1")
    assert row["detail"] == "bert, 1 of their tokens ended"


async def test_on_the_page_a_change_of_another_kind_ends_no_token(site: Site) -> None:
    user_id, browser = await bert(site)
    first, boss = await made_by(site, browser), await site.log_in("boss")
    form = {"role": "admin", "password": "another good phrase", "end_tokens": "1"}
    assert (await boss.post(f"/settings/users/{user_id}", form=form)).status_code == 303
    assert await works(site, first["token"])


async def test_any_other_word_is_a_422_and_changes_nothing(site: Site) -> None:
    user_id, browser = await bert(site)
    first = await made_by(site, browser)
    for query in ("?tokens=drop", "?token=keep"):
        assert (await site.api("DELETE", f"/api/users/{user_id}{query}")).status == 422
        assert (await site.api("PATCH", f"/api/users/{user_id}{query}", {"disabled": True})).status == 422
    assert await works(site, first["token"])


async def test_on_the_page_a_box_that_is_ticked_ends_them(site: Site) -> None:
    await site.user("anna")
    boss = await site.log_in("anna")
    shown = ""
    for n, (form, lives) in enumerate((({"end_tokens": "1"}, False), ({}, True))):
        user_id = (await site.post("/api/users", {**BERT, "username": f"user{n}"}))["id"]
        token = await made_by(site, await site.log_in(f"user{n}"))
        shown = await (await boss.get(f"/settings/users/{user_id}")).get_data(as_text=True)
        assert 'id="deleted-tokens" name="end_tokens" value="1" checked' in shown
        assert 'id="disabled-tokens" name="end_tokens" value="1" checked' in shown
        disabled = {"role": "admin", "disabled": "1", **form}
        assert (await boss.post(f"/settings/users/{user_id}", form=disabled)).status_code == 303
        assert await works(site, token["token"]) is lives
        gone = {"confirm": f"user{n}", **form}
        assert (await boss.post(f"/settings/users/{user_id}/delete", form=gone)).status_code == 303
        assert await works(site, token["token"]) is lives


async def test_a_weaker_role_weakens_the_tokens_they_made_for_good(site: Site) -> None:
    user_id, browser = await bert(site)
    made = {role: await made_by(site, browser, role) for role in ROLES}
    enrollment = await (await browser.post("/api/enrollment-tokens", json={})).get_json()
    assert (await site.api("PATCH", f"/api/users/{user_id}", {"role": "operator"})).status == 200
    now = await listed(site)
    assert [now[f"of-bert-{role}"]["role"] for role in ROLES] == ["viewer", "operator", "operator"]
    assert now["the admin"]["role"] == "admin"
    assert (await by(site, made["admin"]["token"], "GET", "/api/users"))[0] == 403
    found = await site.services.reader.run(find_credential, tokens.digest(enrollment["token"]), site.clock())
    assert found is None, "who is no admin enrolls nobody"
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'user.update'")
    assert row["detail"] == "bert: role admin → operator, 2 of their tokens weakened"
    assert (await site.api("PATCH", f"/api/users/{user_id}", {"role": "admin"})).status == 200
    assert (await listed(site))["of-bert-admin"]["role"] == "operator", "a stronger role gives nothing back"


async def test_who_was_demoted_between_asking_and_storing_makes_nothing(site: Site) -> None:
    from rmactors.common import ids
    from rmactors.server.messages.made_tokens import CreateApiToken, Maker

    user_id, browser = await bert(site)
    first = await made_by(site, browser, "operator", expires_days=1)
    at = site.clock()

    async def ask(role: str, expires_at: int | None, maker: Maker) -> bool:
        digest = tokens.digest(ids.new())
        record = site.audit("token.create")
        write = CreateApiToken(ids.new(), "late", role, "rma_x", digest, at, expires_at, record, maker)  # type: ignore[arg-type]
        return not isinstance(await site.services.ask_store(write), Refused)

    parent = Maker("token:of-bert-operator", user_id, first["id"])
    assert await ask("operator", at + clock.HOUR, parent)
    assert not await ask("admin", at + clock.HOUR, parent)
    assert not await ask("operator", None, parent)
    assert not await ask("operator", at + 2 * clock.DAY, parent)
    await site.api("PATCH", f"/api/users/{user_id}?tokens=keep", {"disabled": True})
    assert not await ask("viewer", None, Maker("bert", user_id))
    await site.api("DELETE", f"/api/tokens/{first['id']}")
    assert not await ask("operator", at + clock.HOUR, parent)


# ---- enrollment tokens


async def test_enrollment_tokens_are_listed_without_the_token_and_revoked(site: Site) -> None:
    _, browser = await bert(site)
    made = await (await browser.post("/api/enrollment-tokens", json={"ttl_minutes": 30})).get_json()
    assert set(made) == {"token", "expires_at"}
    answer = await site.api("GET", "/api/enrollment-tokens")
    [shown] = answer.json["items"]
    assert set(shown) == {
        "id", "prefix", "created_at", "expires_at", "created_by", "used_at", "uses", "uses_left", "tags", "host_id",
    }  # fmt: skip
    assert made["token"] not in answer.text
    assert made["token"].startswith(shown["prefix"])
    assert (shown["created_by"], shown["expires_at"], shown["used_at"]) == ("bert", made["expires_at"], None)
    digest = tokens.digest(made["token"])
    assert await site.services.reader.run(find_credential, digest, site.clock()) is not None
    path = f"/api/enrollment-tokens/{shown['id']}"
    for role in ("viewer", "operator"):
        assert (await site.api("DELETE", path, role=role)).status == 403
        assert (await site.api("GET", "/api/enrollment-tokens", role=role)).status == 403
    assert (await site.api("DELETE", path)).status == 204
    assert await site.services.reader.run(find_credential, digest, site.clock()) is None
    assert (await site.api("DELETE", path)).status == 404
    late = EnrollHost(shown["id"], shown["id"], "nas", "nas", "linux", "x86_64", "0.1", "hash", site.clock(), "")
    answer_to_late = await site.services.ask_store(late)
    assert isinstance(answer_to_late, Refused), "a connection that was open under it gets nothing either"
    assert answer_to_late.code == "token_spent"
    rows = site.sql("SELECT actor, target_id FROM audit WHERE action = 'enrollment_token.delete'")
    assert [(row["actor"], row["target_id"]) for row in rows] == [("token:the admin", shown["id"])]


async def test_the_page_where_hosts_are_added_lists_and_revokes_them(site: Site) -> None:
    await site.enroll("nas1")
    await site.user("boss")
    browser = await site.log_in("boss")
    made = await (await browser.post("/hosts/new")).get_data(as_text=True)
    assert "created by boss" in made
    page = await (await browser.get("/hosts/new")).get_data(as_text=True)
    [waiting] = [
        item["id"] for item in (await site.get("/api/enrollment-tokens", "admin"))["items"] if not item["used_at"]
    ]
    assert page.count("/hosts/new/tokens/") == 1, "one that was used cannot be revoked"
    assert "Used" in page
    answer = await browser.post(f"/hosts/new/tokens/{waiting}/delete")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/hosts/new")
    assert len((await site.get("/api/enrollment-tokens", "admin"))["items"]) == 1
