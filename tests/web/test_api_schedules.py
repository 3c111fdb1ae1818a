"""The three ways to say when a schedule runs, and how old its newest good backup may get, over the API."""

import re
from typing import Any

import pytest

from rmactors.common import clock
from rmactors.common.clock import HOUR
from rmactors.server.messages.schedules import MarkGood

from .conftest import Site, reply

BY_CRON = {"name": "nightly", "kind": "backup", "cron": "30 2 * * *"}
BY_SYSTEMD = {"name": "nightly", "kind": "backup", "on_calendar": "Mon..Fri 02:30 UTC", "mode": "external"}
EVERY_DAY = {"name": "laptop", "kind": "backup", "every_hours": 24}


async def made(site: Site, body: dict[str, Any]) -> dict[str, Any]:
    host_id = await site.enroll()
    return await site.post(f"/api/hosts/{host_id}/schedules", body, role="operator")


async def test_a_schedule_as_systemd_writes_it(site: Site) -> None:
    shown = await made(site, {**BY_SYSTEMD, "timezone": "Europe/Berlin"})
    assert (shown["cron"], shown["on_calendar"], shown["every_hours"]) == (None, "Mon..Fri 02:30 UTC", None)
    assert shown["next_fire_at"].endswith("T02:30:00.000Z")
    assert (await site.get(f"/api/schedules/{shown['id']}")) == shown


async def test_a_schedule_by_interval_expects_the_next_run_that_long_after_the_last_good_end(site: Site) -> None:
    shown = await made(site, EVERY_DAY)
    assert (shown["cron"], shown["on_calendar"], shown["every_hours"], shown["max_age_hours"]) == (None, None, 24, None)
    [row] = site.sql("SELECT created_at FROM schedules")
    assert shown["next_fire_at"] == clock.to_rfc3339(row["created_at"] + 24 * HOUR)
    await site.commit(MarkGood(shown["id"], row["created_at"] + HOUR))
    again = await site.get(f"/api/schedules/{shown['id']}")
    assert again["next_fire_at"] == clock.to_rfc3339(row["created_at"] + 25 * HOUR)
    off = (await site.api("PATCH", f"/api/schedules/{shown['id']}", {"enabled": False}, role="operator")).json
    assert off["next_fire_at"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        # exactly one of the three; null counts as left out
        ({"cron": None}, "/cron"),
        ({"cron": None, "on_calendar": None, "every_hours": None}, "/cron"),
        ({"on_calendar": "daily", "mode": "external"}, "/on_calendar"),
        ({"every_hours": 24}, "/every_hours"),
        ({"cron": None, "on_calendar": "daily", "every_hours": 24, "mode": "external"}, "/every_hours"),
        # a timer starts what OnCalendar says, not the agent
        ({"cron": None, "on_calendar": "daily"}, "/on_calendar"),
        ({"cron": None, "on_calendar": "*-02-30", "mode": "external"}, "/on_calendar"),
        ({"cron": None, "on_calendar": "2020-01-01", "mode": "external"}, "/on_calendar"),
        ({"cron": None, "on_calendar": "0 3 * * *", "mode": "external"}, "/on_calendar"),
        ({"cron": None, "on_calendar": "02:30 Mars/Olympus", "mode": "external"}, "/on_calendar"),
        ({"cron": None, "on_calendar": 5, "mode": "external"}, "/on_calendar"),
        ({"cron": None, "on_calendar": "daily", "mode": "external", "timezone": "Mars/Olympus"}, "/timezone"),
        ({"cron": "weekly"}, "/cron"),
        ({"cron": None, "every_hours": 0}, "/every_hours"),
        ({"cron": None, "every_hours": -1}, "/every_hours"),
        ({"cron": None, "every_hours": "24"}, "/every_hours"),
        ({"cron": None, "every_hours": 24, "timezone": "Mars/Olympus"}, "/timezone"),
        ({"max_age_hours": 0}, "/max_age_hours"),
        ({"max_age_hours": -5}, "/max_age_hours"),
        ({"max_age_hours": "26"}, "/max_age_hours"),
        ({"max_age_hours": 26, "kind": "check"}, "/max_age_hours"),
    ],
)
async def test_a_schedule_that_says_too_little_too_much_or_nonsense_is_a_422(
    site: Site, body: dict[str, Any], pointer: str
) -> None:
    shown = await made(site, BY_CRON)
    for method, path in (
        ("POST", f"/api/hosts/{shown['host_id']}/schedules"),
        ("PATCH", f"/api/schedules/{shown['id']}"),
    ):
        answer = await site.api(method, path, {**BY_CRON, **body})
        assert answer.status == 422
        assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert await site.get(f"/api/schedules/{shown['id']}") == shown


async def test_another_way_takes_the_place_of_the_one_so_far(site: Site) -> None:
    shown = await made(site, BY_CRON)
    path = f"/api/schedules/{shown['id']}"

    async def patched(body: dict[str, Any]) -> list[Any]:
        answer = await site.api("PATCH", path, body, role="operator")
        assert answer.status == 200, answer.json
        return [answer.json[name] for name in ("cron", "on_calendar", "every_hours")]

    assert await patched({"on_calendar": "daily", "mode": "external"}) == [None, "daily", None]
    assert await patched({"every_hours": 1.5, "on_calendar": None}) == [None, None, 1.5]
    assert await patched({"cron": None, "name": "n"}) == [None, None, 1.5]  # it was none before either
    assert await patched({"cron": "@daily"}) == ["@daily", None, None]
    assert await patched({**shown, "name": "as it was read"}) == ["30 2 * * *", None, None]
    for body in ({"cron": None}, {"cron": "@daily", "every_hours": 5}):
        assert (await site.api("PATCH", path, body, role="operator")).status == 422


async def test_a_change_of_the_way_counts_slots_from_then_on_and_another_limit_does_not(site: Site) -> None:
    shown = await made(site, BY_CRON)
    path = f"/api/schedules/{shown['id']}"
    [first] = site.sql("SELECT anchor_at FROM schedules")
    limited = (await site.api("PATCH", path, {"max_age_hours": 26.5}, role="operator")).json
    assert limited["max_age_hours"] == 26.5
    assert site.sql("SELECT anchor_at FROM schedules") == [first]
    unlimited = (await site.api("PATCH", path, {"max_age_hours": None}, role="operator")).json
    assert unlimited["max_age_hours"] is None
    await site.api("PATCH", path, {"every_hours": 24}, role="operator")
    assert site.sql("SELECT anchor_at FROM schedules")[0]["anchor_at"] > first["anchor_at"]


async def test_a_timer_that_has_elapsed_for_the_last_time_can_still_be_renamed(site: Site) -> None:
    shown = await made(site, BY_SYSTEMD)
    site.sql("UPDATE schedules SET on_calendar = '2020-01-01'")
    path = f"/api/schedules/{shown['id']}"
    renamed = (await site.api("PATCH", path, {"name": "once"}, role="operator")).json
    assert (renamed["name"], renamed["next_fire_at"]) == ("once", None)
    assert (await site.api("PATCH", path, {"on_calendar": "2021-01-01"}, role="operator")).status == 422


async def test_policy_id_is_read_only(site: Site) -> None:
    shown = await made(site, {**BY_CRON, "policy_id": None})
    assert shown["policy_id"] is None


# ---- the form


async def test_the_form_takes_each_way_and_shows_what_was_chosen(site: Site) -> None:
    await site.user()
    browser, host_id = await site.log_in(), await site.enroll()
    form = {
        "name": "n",
        "kind": "backup",
        "cron": "0 2 * * *",
        "timezone": "UTC",
        "enabled": "1",
        "max_runtime_hours": "24",
        "max_age_hours": "26",
    }
    path = f"/hosts/{host_id}/schedules/new"
    for way, changes in (
        ("cron", {}),
        ("on_calendar", {"on_calendar": "weekly", "mode": "external"}),
        ("every_hours", {"every_hours": "1,5"}),
    ):
        answer = await browser.post(path, form={**form, "way": way, **changes})
        assert answer.status_code == 303, (way, re.findall("class=.error[^<]*", await answer.get_data(as_text=True)))
    rows = site.sql("SELECT id, cron, on_calendar, every_hours, max_age_hours FROM schedules ORDER BY created_at, id")
    assert [(row["cron"], row["on_calendar"], row["every_hours"]) for row in rows] == [
        ("0 2 * * *", None, None), (None, "weekly", None), (None, None, 1.5),
    ]  # fmt: skip
    assert {row["max_age_hours"] for row in rows} == {26.0}
    page = (await reply(await browser.get(f"/hosts/{host_id}"))).text
    assert "OnCalendar=weekly, UTC" in page
    assert "Every 1.5 hours" in page
    assert "no older than 1 d 2 h" in page
    shown = (await reply(await browser.get(f"/schedules/{rows[2]['id']}"))).text
    assert 'value="every_hours" checked' in shown


async def test_a_refused_form_keeps_the_way_and_says_what_is_wrong_beside_its_field(site: Site) -> None:
    await site.user()
    browser, host_id = await site.log_in(), await site.enroll()
    form = {"name": "n", "kind": "backup", "way": "on_calendar", "on_calendar": "25:00", "mode": "external"}
    answer = await reply(await browser.post(f"/hosts/{host_id}/schedules/new", form=form))
    assert answer.status == 422
    assert 'value="on_calendar" checked' in answer.text
    assert "bad hour" in answer.text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("cron=0+2+*+*+*&timezone=UTC", "Every day at 02:00, UTC"),
        ("way=on_calendar&on_calendar=weekly&timezone=UTC", "OnCalendar=weekly, UTC"),
        ("way=on_calendar&on_calendar=nonsense", "ad day of week"),
        ("way=every_hours&every_hours=24", "Every 24 hours"),
        ("way=every_hours&every_hours=x", "How many hours"),
        ("way=cron&cron=weekly", "on_calendar"),
    ],
)
async def test_the_preview_explains_each_way(site: Site, query: str, says: str) -> None:
    await site.user()
    browser = await site.log_in()
    assert says in (await reply(await browser.get(f"/schedules/preview?{query}"))).text


async def test_the_page_of_an_external_schedule_has_the_line_that_reports_its_runs(site: Site) -> None:
    host_id = await site.enroll()
    body = {"name": "night %", "kind": "backup", "cron": "0 2 * * *", "params": {"plan": "home"}}
    made = [
        await site.post(f"/api/hosts/{host_id}/schedules", {**body, "mode": mode}) for mode in ("external", "agent")
    ]
    external, own = [(await site.api("GET", f"/schedules/{each['id']}", role="operator")).text for each in made]
    line = "0 2 * * * rmactors agent exec --kind backup --schedule &#39;night \\%&#39; --plan home -- COMMAND"
    assert f'<pre id="in-crontab">{line}</pre>' in external
    assert "ExecStart=rmactors agent exec --kind backup --schedule &#39;night %%&#39;" in external
    assert "rmactors agent exec" not in own
