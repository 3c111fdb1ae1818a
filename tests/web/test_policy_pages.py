"""Pages of policies: what one would change is shown before it is saved, and asked before it is deleted."""

import re

from quart.testing.client import QuartClient

from rmactors.common.vocabulary import Role
from tests.web.conftest import Reply, Site, reply
from tests.web.test_bulk import with_plans
from tests.web.test_policies import NIGHTLY, only, schedules, tag, tagged

FORM = {
    "name": "Nightly", "host_tags": "db, web", "kind": "backup", "way": "cron", "cron": "0 2 * * *", "timezone": "UTC",
    "spread_minutes": "0", "mode": "agent", "grace_minutes": "0", "max_runtime_hours": "24", "on_partial": "alert",
    "params": "{}", "enabled": "1",
}  # fmt: skip


async def browser_of(site: Site, role: Role = "operator") -> QuartClient:
    await site.user(role, role)
    return await site.log_in(role)


async def post(browser: QuartClient, path: str, form: dict[str, str]) -> Reply:
    return await reply(await browser.post(path, form=form))


async def get(browser: QuartClient, path: str) -> str:
    answer = await reply(await browser.get(path))
    assert answer.status == 200
    return answer.text


def shown(text: str) -> str:
    """What the button to save sends."""
    found = re.search(r'name="shown" value="([0-9a-f]+)"', text)
    assert found is not None
    return found[1]


def words(text: str) -> str:
    spaced = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    return spaced.replace(" ,", ",").replace(" .", ".")


async def test_what_a_new_policy_would_do_is_shown_and_then_saved(site: Site) -> None:
    hosts = [await tagged(site, name, "db") for name in ("a", "b")]
    await tagged(site, "other", "x")
    browser = await browser_of(site)
    asked = await post(browser, "/policies/new", FORM)
    assert asked.status == 200
    assert "2 hosts get a schedule: a, b" in words(asked.text)
    assert "other" not in words(asked.text)
    assert (await site.get("/api/policies"))["items"] == []
    saved = await post(browser, "/policies/new", {**FORM, "shown": shown(asked.text)})
    assert saved.status == 303
    assert [(await only(site, host))["name"] for host in hosts] == ["Nightly", "Nightly"]
    page = words(await get(browser, saved.location))
    assert "Saved." in page
    assert "Every day at 02:00, UTC" in page


async def test_what_was_typed_since_is_shown_before_it_is_saved(site: Site) -> None:
    host = await tagged(site, "a", "db")
    browser = await browser_of(site)
    asked = await post(browser, "/policies/new", FORM)
    again = await post(browser, "/policies/new", {**FORM, "host_tags": "x", "shown": shown(asked.text)})
    assert again.status == 200
    assert "No host has one of these tags: nothing changes now." in words(again.text)
    assert await schedules(site, host) == []


async def test_what_somebody_else_changed_since_is_shown_before_it_is_overwritten(site: Site) -> None:
    policy = await site.post("/api/policies", NIGHTLY)
    await tagged(site, "a", "db")
    browser = await browser_of(site)
    path, form = f"/policies/{policy['id']}/edit", {**FORM, "name": "renamed"}
    asked = await post(browser, path, form)
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"cron": "0 6 * * *"})
    again = await post(browser, path, {**form, "shown": shown(asked.text)})
    assert again.status == 200
    assert (await site.get(f"/api/policies/{policy['id']}"))["cron"] == "0 6 * * *"
    assert (await post(browser, path, {**form, "shown": shown(again.text)})).status == 303


async def test_a_changed_policy_says_which_schedules_come_change_and_go(site: Site) -> None:
    policy = await site.post("/api/policies", NIGHTLY)
    a, b, _c = await tagged(site, "a", "db"), await tagged(site, "b", "db", "web"), await tagged(site, "c", "web")
    browser = await browser_of(site)
    path, form = f"/policies/{policy['id']}/edit", {**FORM, "host_tags": "web", "cron": "0 3 * * *"}
    asked = await post(browser, path, form)
    told = words(asked.text)
    assert "1 host gets a schedule: c" in told
    assert "1 schedule changes: b" in told
    assert "1 schedule is deleted: a" in told
    same = words((await post(browser, path, {**FORM, "host_tags": "db"})).text)
    assert "2 schedules stay as they are." in same
    assert (
        await post(browser, path, {**form, "shown": shown(asked.text)})
    ).location == f"/policies/{policy['id']}?saved=1"
    assert await schedules(site, a) == []
    assert (await only(site, b))["cron"] == "0 3 * * *"


async def test_the_window_and_the_load_of_each_hour_are_told(site: Site) -> None:
    for n in range(30):
        await tagged(site, f"n{n:02}", "db")
    browser = await browser_of(site)
    asked = words((await post(browser, "/policies/new", {**FORM, "spread_minutes": "120"})).text)
    assert re.search(r"the first host begins at \w+ \d+ \w+, 02:00, the last by \w+ \d+ \w+, 03:59\.", asked)
    loads = re.findall(r"\w+ \d+ \w+, 0([23]):00 (\d+)", asked.partition("next 24 hours")[2])
    assert {hour for hour, _number in loads} == {"2", "3"}
    assert sum(int(number) for _hour, number in loads) == 30
    assert "and 20 more" in asked


async def test_hosts_where_runs_would_be_refused_are_named_before_and_after(site: Site) -> None:
    several, one = await with_plans(site, "several", "etc", "home"), await with_plans(site, "one", "home")
    for host in (several, one):
        await tag(site, host, "db")
    browser = await browser_of(site)
    asked = words((await post(browser, "/policies/new", FORM)).text)
    assert "1 host has several plans: choose one, or its runs are refused and you get an alert. several" in asked
    asked = words((await post(browser, "/policies/new", {**FORM, "plan": "etc"})).text)
    assert "Plan etc: 1 host does not have it, so its runs are refused and you get an alert. one" in asked
    policy = await site.post("/api/policies", NIGHTLY)
    page = words(await get(browser, f"/policies/{policy['id']}"))
    assert "1 host has several plans" in page
    assert "several plans: choose one" in page
    assert (await only(site, several))["enabled"] is True, "who is to be backed up and is not raises an alert"


async def test_a_refused_form_keeps_what_was_typed_and_names_the_fields(site: Site) -> None:
    browser = await browser_of(site)
    for change, says in [
        ({"host_tags": " , "}, "must name at least one tag"),
        ({"cron": "0,30 2 * * *", "spread_minutes": "90"}, "can be spread over at most 30 minutes"),
        ({"spread_minutes": "soon"}, "whole number"),
        ({"params": "{depth"}, "object"),
        ({"params": "[1]"}, "object"),
        ({"kind": "check", "max_age_hours": "3"}, "only for backups"),
    ]:
        answer = await post(browser, "/policies/new", {**FORM, **change, "name": "What I typed"})
        assert answer.status == 422, change
        assert says in words(answer.text), change
        assert 'value="What I typed"' in answer.text
    await site.post("/api/policies", NIGHTLY)
    asked = await post(browser, "/policies/new", FORM)
    taken = await post(browser, "/policies/new", {**FORM, "shown": shown(asked.text)})
    assert taken.status == 422
    assert "exists already" in taken.text


async def test_a_deletion_says_what_goes_and_takes_the_name(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    browser, path = await browser_of(site), f"/policies/{policy['id']}/delete"
    assert "1 schedule is deleted: a" in words(await get(browser, path))
    assert (await post(browser, path, {"confirm": "nightly"})).status == 422
    assert (await only(site, host))["policy_id"] == policy["id"]
    assert (await post(browser, path, {"confirm": "Nightly"})).location == "/policies"
    assert await schedules(site, host) == []


async def test_the_list_says_how_many_hosts_have_each_policys_schedule(site: Site) -> None:
    browser = await browser_of(site, "viewer")
    assert "No policies" in words(await get(browser, "/policies"))
    await tagged(site, "a", "db")
    await site.post("/api/policies", {**NIGHTLY, "spread_minutes": 60})
    await site.post("/api/policies", {**NIGHTLY, "name": "Empty", "host_tags": ["x"], "enabled": False})
    page = words(await get(browser, "/policies"))
    assert "Nightly Backup db Every day at 02:00, UTC, spread over 60 min 1 host On" in page
    assert "Empty Backup x Every day at 02:00, UTC no host Off" in page
    assert "New policy" not in page


async def test_a_schedule_of_a_policy_has_no_form_but_a_link(site: Site) -> None:
    host = await tagged(site, "a", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    made, browser = await only(site, host), await browser_of(site)
    page = await get(browser, f"/schedules/{made['id']}")
    assert f'href="/policies/{policy["id"]}"' in page
    assert f'action="/schedules/{made["id"]}' not in page
    for path, form in ((f"/schedules/{made['id']}", FORM), (f"/schedules/{made['id']}/delete", {"confirm": "Nightly"})):
        refused = await post(browser, path, form)
        assert refused.status in (409, 422)
        assert "changed through its policy" in refused.text
    assert await only(site, host) == made


async def test_a_paused_host_is_named_before_a_policy_is_saved(site: Site) -> None:
    host = await tagged(site, "a", "db")
    browser = await browser_of(site)
    await post(browser, "/hosts/bulk", {"action": "pause", "host": host})
    assert "1 host is paused: its schedule is off until that ends. a" in words(
        (await post(browser, "/policies/new", FORM)).text
    )
    policy = await site.post("/api/policies", NIGHTLY)
    assert "Paused" in words(await get(browser, f"/policies/{policy['id']}"))


async def test_a_damaged_host_takes_no_policy_away_and_keeps_its_schedules(site: Site) -> None:
    odd, fine = await tagged(site, "odd", "db"), await tagged(site, "fine", "db")
    policy = await site.post("/api/policies", NIGHTLY)
    site.sql("UPDATE hosts SET tags = '{', plans = 'none' WHERE id = ?", odd)
    await site.api("PATCH", f"/api/policies/{policy['id']}", {"cron": "0 3 * * *"})
    assert (await only(site, fine))["cron"] == "0 3 * * *"
    assert (await only(site, odd))["cron"] == "0 2 * * *"
    browser = await browser_of(site)
    for path in ("", "/edit", "/delete"):
        assert (await browser.get(f"/policies/{policy['id']}{path}")).status_code == 200
    assert (await post(browser, "/policies/new", FORM)).status == 200
