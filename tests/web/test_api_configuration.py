"""`/api/configuration/check`: what the API would take, said before anything is changed."""

from typing import Any

import pytest

from rmactors.common import clock
from tests.web.conftest import Site

WEBHOOK = {"kind": "webhook", "name": "hook", "config": {"url": "https://x.example.org", "bearer_token": "first"}}


async def checked(site: Site, role: Any = "admin", **body: Any) -> Any:
    before = site.sql("SELECT count(*) AS n FROM audit")[0]["n"]
    answer = await site.api("POST", "/api/configuration/check", body, role=role)
    assert answer.status == 200, answer.body
    assert site.sql("SELECT count(*) AS n FROM audit")[0]["n"] == before, "a check changes nothing"
    return answer.json


async def test_everything_that_would_be_refused_is_named_with_its_place(site: Site) -> None:
    host_id = await site.enroll()
    found = await checked(
        site,
        hosts=[{"tags": ["fine"]}, {"tags": ["not\nfine", 3]}],
        policies=[{"name": "p", "kind": "backup", "cron": "@daily", "host_tags": []}],
        schedules=[
            {"host_id": host_id, "name": "fine", "kind": "backup", "cron": "@daily"},
            {"host_id": host_id, "name": "x", "kind": "backup", "cron": "99 * * * *"},
            {"host_id": host_id, "name": "x", "kind": "restore", "cron": "@daily", "params": {"what": 1}},
            {"host_id": "nowhere", "name": "x", "kind": "backup", "cron": "@daily"},
            {"name": "x"},
        ],
        silences=[{"reason": "x", "ends_at": "2001-01-01T00:00:00Z"}],
        users=[{"username": "a:b", "role": "admin"}, {"username": "eva", "role": "king", "password": "short"}],
        channels=[{"kind": "ntfy", "name": "n", "config": {"topic": ""}}, {**WEBHOOK, "name": ""}],
    )
    assert [error["pointer"] for error in found["errors"]] == [
        "/hosts/1/tags/1", "/policies/0/host_tags", "/schedules/1/cron", "/schedules/2/params/what", "/schedules/3",
        "/schedules/4/host_id", "/silences/0/ends_at", "/users/0/username", "/users/1/role", "/channels/0/config/topic",
        "/channels/1/name",
    ]  # fmt: skip
    assert found["channels"] == [None, None]


async def test_what_is_stored_already_may_stay_and_its_id_must_be_one(site: Site) -> None:
    host_id = await site.enroll()
    body = {"name": "x", "kind": "backup", "cron": "@daily"}
    schedule = await site.post(f"/api/hosts/{host_id}/schedules", body)
    policy = await site.post("/api/policies", {**body, "host_tags": ["none"]})
    user = await site.post("/api/users", {"username": "eva", "password": "a long enough phrase", "role": "admin"})
    found = await checked(
        site,
        schedules=[{**body, "host_id": host_id, "id": schedule["id"]}, {**body, "host_id": host_id, "id": 1}],
        policies=[{**body, "host_tags": ["none"], "id": policy["id"]}, {**body, "host_tags": ["x"], "id": "x"}],
        users=[{"username": "eva", "role": "viewer", "id": user["id"]}],
        channels=[{**WEBHOOK, "id": "x"}],
    )
    assert [error["pointer"] for error in found["errors"]] == ["/policies/1", "/schedules/1", "/channels/0"]


async def test_an_admin_is_told_that_a_secret_differs_and_nobody_which(site: Site) -> None:
    channel = await site.post("/api/notifications", WEBHOOK)

    async def asked(secret: Any, role: Any = "admin") -> Any:
        config = {"url": "https://x.example.org", "bearer_token": secret}
        answer = await checked(site, role, channels=[{**WEBHOOK, "config": config, "id": channel["id"]}])
        assert "first" not in str(answer)
        [stored] = answer["channels"]
        assert stored["config"]["bearer_token"] == {"set": True}
        assert "bearer_token" in stored["secrets"]
        return stored["changed"]

    assert await asked("first") == []
    assert await asked("second") == ["bearer_token"]
    assert await asked({"set": True}) == []
    for role in ("viewer", "operator"):
        assert await asked("first", role) is None
        assert await asked("second", role) is None


async def test_a_stored_secret_is_not_found_by_trying(site: Site) -> None:
    channel = await site.post("/api/notifications", WEBHOOK)

    def tried(secret: str) -> dict[str, Any]:
        config = {"url": "https://x.example.org", "bearer_token": secret}
        return {**WEBHOOK, "config": config, "id": channel["id"]}

    found = await checked(site, channels=[tried(f"no {number}") for number in range(30)])
    assert [each["changed"] for each in found["channels"]] == [["bearer_token"]] * 20 + [None] * 10
    assert (await checked(site, channels=[tried("first")]))["channels"][0]["changed"] is None, "nor that it is the one"
    site.clock.advance(61 * clock.SECOND)
    found = await checked(site, channels=[tried("first"), tried("y")])
    assert [each["changed"] for each in found["channels"]] == [[], None]


async def test_it_says_who_asks(site: Site) -> None:
    assert await checked(site, "operator") == {"errors": [], "channels": [], "role": "operator", "user_id": None}


@pytest.mark.parametrize(
    "body", [{"hosts": [1]}, {"tokens": []}, {"hosts": {}}, [], {"users": [{}] * 101, "hosts": [{}] * 100}]
)
async def test_a_body_that_is_none_and_one_that_is_too_long_are_refused(site: Site, body: Any) -> None:
    assert (await site.api("POST", "/api/configuration/check", body)).status == 422
