"""Users, API tokens and the audit trail as programs see them."""

from typing import Any

import pytest

from rmactors.common import clock, ids
from tests.web.conftest import PASSWORD, Site

BERT = {"username": "bert", "password": "bert has a good phrase", "role": "operator"}


async def test_a_user_is_made_and_read_without_any_password(site: Site) -> None:
    shown = await site.post("/api/users", BERT)
    assert shown == {
        "id": shown["id"], "username": "bert", "role": "operator", "disabled": False,
        "created_at": shown["created_at"], "last_login_at": None,
    }  # fmt: skip
    assert (await site.get("/api/users", role="admin"))["items"] == [shown]
    browser = await site.log_in("bert", BERT["password"])
    assert (await browser.get("/api/users")).status_code == 403
    assert (await site.get("/api/users", role="admin"))["items"][0]["last_login_at"] is not None
    assert (await site.api("POST", "/api/users", {**BERT, "username": "BERT"})).status == 409


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"username": ""}, "/username"),
        ({"username": "a:b"}, "/username"),
        ({"username": 5}, "/username"),
        ({"password": "short"}, "/password"),
        ({"password": "password1234"}, "/password"),
        ({"password": "x" * 257}, "/password"),
        ({"role": "root"}, "/role"),
        ({"colour": 1}, "/colour"),
    ],
)
async def test_an_invalid_user_is_a_422_that_names_the_field(site: Site, change: dict[str, Any], pointer: str) -> None:
    answer = await site.api("POST", "/api/users", {**BERT, **change})
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    user_id = await site.user()
    answer = await site.api("PATCH", f"/api/users/{user_id}", change)
    assert answer.status == 422


async def test_any_change_of_a_user_ends_their_sessions(site: Site) -> None:
    await site.user("boss")
    user_id = await site.user()
    for change in ({"role": "viewer"}, {"password": "another good phrase"}, {"username": "anne"}):
        name = (
            "anne" if "username" not in change and site.sql("SELECT 1 FROM users WHERE username = 'anne'") else "anna"
        )
        password = "another good phrase" if "username" in change else PASSWORD
        browser = await site.log_in(name, password)
        assert (await site.api("PATCH", f"/api/users/{user_id}", change)).status == 200
        assert (await browser.get("/api/alerts")).status_code == 401


async def test_what_was_read_of_a_user_can_be_sent_back(site: Site) -> None:
    shown = await site.post("/api/users", BERT)
    assert (await site.api("PATCH", f"/api/users/{shown['id']}", shown)).json == shown


async def test_the_last_admin_stays(site: Site) -> None:
    admin = await site.user()
    for change in ({"role": "viewer"}, {"disabled": True}):
        assert (await site.api("PATCH", f"/api/users/{admin}", change)).status == 409
    assert (await site.api("DELETE", f"/api/users/{admin}")).status == 409
    other = await site.user("bert")
    assert (await site.api("DELETE", f"/api/users/{admin}")).status == 204
    assert (await site.api("PATCH", f"/api/users/{other}", {"disabled": True})).status == 409
    assert (await site.api("DELETE", f"/api/users/{admin}")).status == 404


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(site: Site) -> None:
    made = await site.post("/api/tokens", {"name": "ci", "role": "viewer", "expires_days": 0.5})
    token = made.pop("token")
    assert set(made) == {"id", "name", "role", "prefix", "created_at", "expires_at", "last_used_at", "created_by"}
    assert token.startswith(made["prefix"])
    headers = {"Authorization": f"bearer {token}"}
    assert (await site.browser().get("/api/alerts", headers=headers)).status_code == 200
    [shown] = [item for item in (await site.get("/api/tokens", role="admin"))["items"] if item["id"] == made["id"]]
    assert shown == {**made, "last_used_at": shown["last_used_at"]}
    assert shown["last_used_at"] is not None
    assert (await site.api("DELETE", f"/api/tokens/{made['id']}")).status == 204
    assert (await site.browser().get("/api/alerts", headers=headers)).status_code == 401
    assert (await site.api("DELETE", f"/api/tokens/{made['id']}")).status == 404


async def test_a_token_expires(site: Site) -> None:
    token = (await site.post("/api/tokens", {"name": "ci", "role": "viewer", "expires_days": 0.5}))["token"]
    headers = {"Authorization": f"Bearer {token}"}
    site.clock.advance(clock.DAY // 2 - clock.MINUTE)
    assert (await site.browser().get("/api/alerts", headers=headers)).status_code == 200
    site.clock.advance(2 * clock.MINUTE)
    assert (await site.browser().get("/api/alerts", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "", "role": "viewer"},
        {"name": "x", "role": "x"},
        {"name": "x", "role": "viewer", "expires_days": 0},
        {"name": "x", "role": "viewer", "expires_days": "1"},
        {"name": "a\nb", "role": "viewer"},
    ],
)
async def test_an_invalid_token_is_a_422(site: Site, body: Any) -> None:
    assert (await site.api("POST", "/api/tokens", body)).status == 422


async def test_the_audit_trail_says_who_did_what_to_what(site: Site) -> None:
    user = await site.post("/api/users", BERT)
    channel = {"kind": "ntfy", "name": "phone", "config": {"topic": "t", "access_token": "very-secret"}}
    made = await site.post("/api/notifications", channel)
    await site.api("DELETE", f"/api/notifications/{made['id']}")
    await site.api("DELETE", f"/api/notifications/{ids.new()}")
    newest = (await site.get("/api/audit", role="admin"))["items"][:3]
    assert [(row["action"], row["target_id"]) for row in newest] == [
        ("channel.delete", made["id"]),
        ("channel.create", made["id"]),
        ("user.create", user["id"]),
    ]
    assert newest[0] == {
        "id": newest[0]["id"], "at": newest[0]["at"], "actor": "token:the admin", "actor_kind": "token",
        "action": "channel.delete", "target_kind": "channel", "target_id": made["id"], "result": "ok",
        "address": "<local>", "detail": "",
    }  # fmt: skip
    everything = (await site.api("GET", "/api/audit?limit=200")).text
    assert "very-secret" not in everything
    assert BERT["password"] not in everything


async def test_the_audit_trail_is_paged_and_narrowed(site: Site) -> None:
    for name in ("a", "b", "c"):
        await site.post("/api/tokens", {"name": name, "role": "viewer"})
    first = await site.get("/api/audit?limit=2&actor=token:the%20admin", role="admin")
    second = await site.get(f"/api/audit?limit=2&actor=token:the%20admin&cursor={first['next_cursor']}", role="admin")
    assert [row["detail"] for row in first["items"] + second["items"]] == ["c as viewer", "b as viewer", "a as viewer"]
    assert second["next_cursor"] is None
    assert (await site.get("/api/audit?action=user.login", role="admin"))["items"] == []
