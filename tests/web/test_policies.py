"""Policies over the API: what they are, and the schedules that follow from them."""

from typing import Any

import pytest

from rmactors.common import ids
from rmactors.common.clock import MINUTE
from rmactors.server.calendars.spread import minute_of
from tests.web.conftest import Site

NIGHTLY = {"name": "Nightly", "host_tags": ["db"], "kind": "backup", "cron": "0 2 * * *"}
FIELDS = {
    "id", "name", "host_tags", "kind", "cron", "on_calendar", "every_hours", "timezone", "mode", "grace_seconds",
    "max_runtime_seconds", "max_age_hours", "on_partial", "params", "spread_minutes", "enabled",
}  # fmt: skip


async def tagged(site: Site, name: str, *tags: str) -> str:
    host_id = await site.enroll(name)
    await tag(site, host_id, *tags)
    return host_id


async def tag(site: Site, host_id: str, *tags: str) -> None:
    assert (await site.api("PATCH", f"/api/hosts/{host_id}", {"tags": list(tags)})).status == 200


async def schedules(site: Site, host_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await site.get(f"/api/hosts/{host_id}/schedules"))["items"]
    return found


async def only(site: Site, host_id: str) -> dict[str, Any]:
    (one,) = await schedules(site, host_id)
    return one


def revision(site: Site, host_id: str) -> int:
    found: int = site.sql("SELECT schedules_rev FROM hosts WHERE id = ?", host_id)[0][0]
    return found


async def test_a_policy_has_just_these_fields_and_these_defaults(site: Site) -> None:
    made = await site.post("/api/policies", NIGHTLY, role="operator")
    assert set(made) == FIELDS
    assert made == {
        **NIGHTLY, "id": made["id"], "on_calendar": None, "every_hours": None, "timezone": "UTC", "mode": "agent",
        "grace_seconds": 0.0, "max_runtime_seconds": 86400.0, "max_age_hours": None, "on_partial": "alert",
        "params": {}, "spread_minutes": 0, "enabled": True,
    }  # fmt: skip
    assert await site.get(f"/api/policies/{made['id']}") == made
    assert await site.get("/api/policies") == {"items": [made], "next_cursor": None}


async def test_policies_are_listed_by_name_and_page_by_page(site: Site) -> None:
    for name in ("b", "C", "a"):
        await site.post("/api/policies", {**NIGHTLY, "name": name})
    first = await site.get("/api/policies?limit=2")
    rest = await site.get(f"/api/policies?limit=2&cursor={first['next_cursor']}")
    assert [policy["name"] for policy in first["items"] + rest["items"]] == ["a", "b", "C"]
    assert rest["next_cursor"] is None


async def test_each_host_with_any_of_the_tags_has_a_schedule_when_the_answer_comes(site: Site) -> None:
    a, b, other = await tagged(site, "a", "db"), await tagged(site, "b", "x", "web"), await tagged(site, "c", "x")
    body = {
        **NIGHTLY, "host_tags": ["db", "web"], "timezone": "Europe/Berlin", "grace_seconds": 600,
        "max_runtime_seconds": 7200, "max_age_hours": 30, "on_partial": "ok", "params": {"plan": "home"},
    }  # fmt: skip
    policy = await site.post("/api/policies", body, role="operator")
    for host in (a, b):
        made = await only(site, host)
        assert {name: made[name] for name in FIELDS - {"id", "host_tags", "spread_minutes"}} == {
            name: policy[name] for name in FIELDS - {"id", "host_tags", "spread_minutes"}
        }
        assert made["policy_id"] == policy["id"]
    assert await schedules(site, other) == []


async def test_schedules_follow_the_tags_of_a_host(site: Site) -> None:
    await site.post("/api/policies", NIGHTLY)
    await site.post("/api/policies", {**NIGHTLY, "name": "Check", "host_tags": ["db", "web"], "kind": "check"})
    host = await tagged(site, "a", "x")
    assert await schedules(site, host) == []
    await tag(site, host, "web")
    check = await only(site, host)
    assert check["name"] == "Check"
    await tag(site, host, "db")
    assert {each["name"] for each in await schedules(site, host)} == {"Check", "Nightly"}
    assert check in await schedules(site, host), "the one that it had stays the same one"
    await tag(site, host)
    assert await schedules(site, host) == []


async def test_a_host_that_is_enrolled_with_a_known_name_gets_its_schedules_too(site: Site) -> None:
    await site.post("/api/policies", NIGHTLY)
    host = await tagged(site, "a", "db")
    made = await only(site, host)
    assert (made["host_id"], made["next_fire_at"] is not None) == (host, True)


async def test_a_changed_policy_changes_its_schedules_in_place(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    before, anchor = await only(site, host), site.sql("SELECT anchor_at FROM schedules")[0][0]
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"name": "Every night", "params": {"plan": "etc"}})
    renamed = await only(site, host)
    assert renamed == {**before, "name": "Every night", "params": {"plan": "etc"}}
    assert site.sql("SELECT anchor_at FROM schedules")[0][0] == anchor, "slots count on: nothing of its times changed"
    site.clock.advance(MINUTE)
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"every_hours": 12})
    moved = await only(site, host)
    assert (moved["id"], moved["cron"], moved["every_hours"]) == (before["id"], None, 12)
    assert site.sql("SELECT anchor_at FROM schedules")[0][0] > anchor


async def test_schedules_that_stay_the_same_are_not_sent_again(site: Site) -> None:
    a, b = await tagged(site, "a", "db"), await tagged(site, "b", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    revisions = [revision(site, host) for host in (a, b)]
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"name": "Nightly"})
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"host_tags": ["db", "web"]})
    await tag(site, a, "db", "web")
    assert [revision(site, host) for host in (a, b)] == revisions
    await tag(site, a, "x")
    assert [revision(site, host) - before for host, before in zip((a, b), revisions, strict=True)] == [1, 0]


async def test_what_was_read_can_be_sent_back(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", {**NIGHTLY, "spread_minutes": 30})
    before = revision(site, host)
    answer = await site.api("PATCH", f"/api/policies/{policy['id']}", policy, role="operator")
    assert (answer.status, answer.json) == (200, policy)
    assert revision(site, host) == before
    schedule = await only(site, host)
    assert (await site.api("POST", f"/api/hosts/{host}/schedules", schedule, role="operator")).status == 201


async def test_a_deleted_policy_takes_its_schedules_along_and_no_others(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy, other = (
        await site.post("/api/policies", NIGHTLY),
        await site.post("/api/policies", {**NIGHTLY, "name": "x"}),
    )
    own = await site.post(f"/api/hosts/{host}/schedules", {"name": "own", "kind": "backup", "cron": "0 3 * * *"})
    answer = await site.api("DELETE", f"/api/policies/{policy['id']}", role="operator")
    assert (answer.status, answer.body) == (204, b"")
    assert {each["policy_id"] for each in await schedules(site, host)} == {other["id"], None}
    assert own["id"] in {each["id"] for each in await schedules(site, host)}
    assert (await site.api("GET", f"/api/policies/{policy['id']}")).status == 404
    assert (await site.api("DELETE", f"/api/policies/{policy['id']}")).status == 404
    assert (await site.api("PATCH", f"/api/policies/{policy['id']}", {"name": "z"})).status == 404
    assert (await site.post("/api/policies", NIGHTLY))["id"] != policy["id"], "its name is free again"


async def test_a_disabled_policy_has_disabled_schedules(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", {**NIGHTLY, "enabled": False})
    assert (await only(site, host))["enabled"] is False
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"enabled": True})
    assert (await only(site, host))["enabled"] is True


async def test_each_host_has_its_own_minute_in_the_window(site: Site) -> None:
    hosts = [await tagged(site, f"n{n}", "db") for n in range(12)]
    policy = await site.post("/api/policies", {**NIGHTLY, "cron": "30 23 * * 5", "spread_minutes": 240})
    found = {host: (await only(site, host))["cron"] for host in hosts}
    for host, expression in found.items():
        time = 23 * 60 + 30 + minute_of(policy["id"], host, 240)
        day = 5 + time // 1440
        assert expression == f"{time % 60} {time % 1440 // 60} * * {day}"
    assert len(set(found.values())) > 6


async def test_a_schedule_of_a_policy_is_changed_through_it_alone(site: Site) -> None:
    host = await tagged(site, "a", "db")
    await site.post("/api/policies", NIGHTLY)
    made = await only(site, host)
    for method, body in (("PATCH", {"name": "mine"}), ("DELETE", None)):
        answer = await site.api(method, f"/api/schedules/{made['id']}", body, role="operator")
        assert answer.status == 409
        assert answer.json["detail"] == "This schedule is changed through its policy “Nightly”."
    assert await only(site, host) == made


async def test_a_name_is_taken_once_however_it_is_written(site: Site) -> None:
    await site.post("/api/policies", NIGHTLY)
    other = await site.post("/api/policies", {**NIGHTLY, "name": "Weekly"})
    assert (await site.api("POST", "/api/policies", {**NIGHTLY, "name": "NIGHTLY"})).status == 409
    assert (await site.api("PATCH", f"/api/policies/{other['id']}", {"name": "nightly"})).status == 409
    assert (await site.api("PATCH", f"/api/policies/{other['id']}", {"name": "WEEKLY"})).status == 200


@pytest.mark.parametrize(
    ("change", "pointer", "says"),
    [
        ({"host_tags": []}, "/host_tags", "at least one tag"),
        ({"host_tags": "db"}, "/host_tags", "list"),
        ({"host_tags": [""]}, "/host_tags/0", "empty"),
        ({"host_tags": ["a\nb"]}, "/host_tags", "control characters"),
        ({"name": ""}, "/name", "empty"),
        ({"kind": "bake"}, "/kind", "one of"),
        ({"cron": "at night"}, "/cron", "five fields"),
        ({"cron": None}, "/cron", "is required"),
        ({"every_hours": 3}, "/every_hours", "together with cron"),
        ({"cron": None, "on_calendar": "daily"}, "/on_calendar", "mode external"),
        ({"timezone": "Mars/Phobos"}, "/timezone", "Mars"),
        ({"kind": "check", "max_age_hours": 3}, "/max_age_hours", "only for backups"),
        ({"params": {"depth": 3}}, "/params/depth", "no parameter of backup"),
        ({"params": {"plan": 3}}, "/params/plan", "name of a plan"),
        ({"spread_minutes": -1}, "/spread_minutes", "0"),
        ({"spread_minutes": 1.5}, "/spread_minutes", "whole number"),
        ({"spread_minutes": 1441}, "/spread_minutes", "1440"),
        ({"spread_minutes": 60, "mode": "external"}, "/spread_minutes", "grace_seconds"),
        ({"spread_minutes": 60, "cron": None, "every_hours": 8}, "/spread_minutes", "only for cron"),
        ({"spread_minutes": 60, "cron": "0,30 1-5 * * *"}, "/spread_minutes", "at most 30 minutes"),
        ({"spread_minutes": 90, "cron": "0 0,23 * * 6"}, "/spread_minutes", "at most 60 minutes"),
        ({"spread_minutes": 2, "cron": "59 0,23 31 * *"}, "/spread_minutes", "not at all"),
        ({"spreadminutes": 2}, "/spreadminutes", "not a known key"),
        ({"policy_id": None}, "/policy_id", "not a known key"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_with_its_field(
    site: Site, change: dict[str, Any], pointer: str, says: str
) -> None:
    answer = await site.api("POST", "/api/policies", {**NIGHTLY, **change}, role="operator")
    assert answer.status == 422, answer.body
    assert answer.json["errors"][0]["pointer"] == pointer
    assert says in answer.json["errors"][0]["detail"]
    assert (await site.get("/api/policies"))["items"] == []


async def test_a_change_is_held_against_what_the_policy_says_besides(site: Site) -> None:
    made = await site.post("/api/policies", {**NIGHTLY, "spread_minutes": 60})
    for change, pointer in [
        ({"host_tags": []}, "/host_tags"),
        ({"cron": "0,30 1-5 * * *"}, "/spread_minutes"),
        ({"mode": "external"}, "/spread_minutes"),
        ({"every_hours": 8}, "/spread_minutes"),
        ({"kind": "check", "params": {"prune": True}}, "/params/prune"),
    ]:
        answer = await site.api("PATCH", f"/api/policies/{made['id']}", change, role="operator")
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), change
    assert await site.get(f"/api/policies/{made['id']}") == made


async def test_every_change_is_in_the_audit_trail_those_of_schedules_under_the_policys_name(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", NIGHTLY, role="operator")
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"cron": "0 3 * * *"}, role="operator")
    schedule = await only(site, host)
    await site.api("DELETE", f"/api/policies/{policy['id']}", role="operator")
    rows = [
        (row["actor"], row["action"], row["target_id"], row["detail"])
        for row in reversed((await site.get("/api/audit?limit=200", role="admin"))["items"])
        if row["target_id"] in (policy["id"], schedule["id"])
    ]
    assert rows == [
        ("token:the operator", "policy.create", policy["id"], "Nightly"),
        ("policy:Nightly", "schedule.create", schedule["id"], ""),
        ("token:the operator", "policy.update", policy["id"], "cron"),
        ("policy:Nightly", "schedule.update", schedule["id"], "cron"),
        ("token:the operator", "policy.delete", policy["id"], ""),
        ("policy:Nightly", "schedule.delete", schedule["id"], ""),
    ]


# ---- a paused host


async def paused(site: Site, host_id: str, *, so: bool) -> None:
    name = f"operator-{ids.new()}"
    await site.user(name, "operator")
    browser = await site.log_in(name)
    form = {"action": "pause" if so else "unpause", "host": host_id}
    assert (await browser.post("/hosts/bulk", form=form)).status_code == 303


async def test_of_a_paused_host_no_schedule_is_on_and_afterwards_those_that_were(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    off = {"name": "off", "kind": "backup", "cron": "0 3 * * *", "enabled": False}
    await site.post(f"/api/hosts/{host}/schedules", off)
    await site.post(f"/api/hosts/{host}/schedules", {**off, "name": "own", "enabled": True})
    await paused(site, host, so=True)
    assert {each["next_fire_at"] for each in await schedules(site, host)} == {None}
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"cron": "0 4 * * *"})
    assert {each["next_fire_at"] for each in await schedules(site, host)} == {None}
    await paused(site, host, so=False)
    assert {each["name"]: each["enabled"] for each in await schedules(site, host)} == {
        "Nightly": True, "off": False, "own": True,
    }  # fmt: skip


async def test_what_is_made_on_a_paused_host_waits_for_the_end_of_the_pause(site: Site) -> None:
    host = await tagged(site, "a", "db")
    await paused(site, host, so=True)
    await site.post("/api/policies", NIGHTLY)
    own = {"name": "own", "kind": "backup", "cron": "0 3 * * *"}
    await site.post(f"/api/hosts/{host}/schedules", own)
    assert await site.services.policies_settled("hosts", 120)
    assert {each["next_fire_at"] for each in await schedules(site, host)} == {None}
    await paused(site, host, so=False)
    assert {each["name"]: each["enabled"] for each in await schedules(site, host)} == {"Nightly": True, "own": True}


async def test_what_a_person_set_is_shown_and_changed_as_it_was_set_while_its_host_is_paused(site: Site) -> None:
    """So that a configuration that is exported during a pause, and applied after it, turns nothing off."""
    host = await tagged(site, "a", "db")
    made = {"kind": "backup", "cron": "0 3 * * *"}
    for name in ("kept", "renamed", "turned off"):
        await site.post(f"/api/hosts/{host}/schedules", {**made, "name": name})
    await paused(site, host, so=True)
    shown = {each["name"]: each for each in await schedules(site, host)}
    assert {(each["enabled"], each["next_fire_at"]) for each in shown.values()} == {(True, None)}
    await site.api("PATCH", f"/api/schedules/{shown['renamed']['id']}", {"name": "new name"})
    await site.api("PATCH", f"/api/schedules/{shown['turned off']['id']}", {"enabled": False})
    assert await site.services.policies_settled("hosts", 120)
    assert {each["next_fire_at"] for each in await schedules(site, host)} == {None}
    await paused(site, host, so=False)
    now = {each["name"]: each["enabled"] for each in await schedules(site, host)}
    assert now == {"kept": True, "new name": True, "turned off": False}
