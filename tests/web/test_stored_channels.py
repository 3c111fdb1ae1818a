"""What is stored of a channel and its form: saving the form as it came changes nothing, and what this server would not
take any more can still be seen and switched off.
"""

import html
import re
from pathlib import Path

import pytest

from rmactors.server.channels.registry import KINDS
from tests.web.conftest import Site, open_site, settings_for
from tests.web.test_channel_form import GOOD, TIMES, errors, send

NUMBERS = {"group_seconds": 12345.678, "remind_hours": 1.2345678, "after_minutes": 7.1234567}


def filled_in(page: str) -> dict[str, str]:
    """What a browser sends of the channel's form as it came: one value a name."""
    [form] = re.findall(r'<form [^>]*id="channel".*?</form>', page, re.DOTALL)
    found = {}
    for box in re.findall(r"<input [^>]*>", form):
        name, given = re.search(r' name="([^"]*)"', box), re.search(r' value="([^"]*)"', box)
        if name and ('type="checkbox"' not in box or " checked" in box):
            found[name[1]] = html.unescape(given[1]) if given else ""
    for name, options in re.findall(r'<select [^>]*name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
        [*_, chosen] = re.findall(r'value="([^"]*)"', options)[:1] + re.findall(r'value="([^"]*)" selected', options)
        found[name] = html.unescape(chosen)
    for name, text in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        found[name] = html.unescape(text)
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_saving_the_form_as_it_came_leaves_what_the_api_has_set(site: Site, kind: str) -> None:
    grouped = KINDS[kind].groups
    numbers = {name: number for name, number in NUMBERS.items() if grouped or name != "group_seconds"}
    config = dict(GOOD[kind])
    if kind == "telegram":
        config["message_thread_id"] = 2_147_483_647
    body = {"kind": kind, "name": "ops", "config": config, "default_priority": "high", "events": ["alert.raised"]}
    made = await site.post("/api/notifications", body | numbers | (TIMES if grouped else {}))
    await site.user()
    browser, path = await site.log_in(), f"/settings/notifications/{made['id']}/edit"
    form = filled_in(await (await browser.get(path)).get_data(as_text=True))
    assert (await send(browser, path, form))[0] == 303
    saved = await site.get(f"/api/notifications/{made['id']}")
    assert saved | {"updated_at": None} == made | {"updated_at": None}


async def test_a_channel_that_would_not_be_taken_any_more_has_its_form_and_can_be_switched_off(tmp_path: Path) -> None:
    path, why = tmp_path / "data", "RM_OUTBOUND_ALLOW does not allow 127.0.0.1"
    async with open_site(settings_for(path, outbound_allow="loopback")) as site:
        body = {
            "kind": "webhook",
            "name": "ops",
            "config": {"url": "http://127.0.0.1:9/", "bearer_token": "very-secret"},
        }
        made = await site.post("/api/notifications", body)
    async with open_site(settings_for(path)) as site:
        await site.user()
        browser, edit = await site.log_in(), f"/settings/notifications/{made['id']}/edit"
        answer = await browser.get(edit)
        assert answer.status_code == 200
        page = await answer.get_data(as_text=True)
        assert why in page, "in the place of the preview"
        form = filled_in(page)
        status, page = await send(browser, edit, form)
        assert (status, errors(page)) == (422, ["config.url"]), "not while it is on"
        del form["enabled"]
        assert (await send(browser, edit, form))[0] == 303
        stored = await site.get(f"/api/notifications/{made['id']}")
        assert (stored["enabled"], stored["config"]) == (False, made["config"])
        assert (await site.api("PUT", f"/api/notifications/{made['id']}", stored)).status == 200
        moved = stored | {"config": {"url": "http://127.0.0.2:9/", "bearer_token": "other"}}
        assert (await site.api("PUT", f"/api/notifications/{made['id']}", moved)).status == 422
        assert (await site.api("PUT", f"/api/notifications/{made['id']}", stored | {"enabled": True})).status == 422
        assert (await site.api("POST", "/api/notifications/preview", stored)).status == 422


async def test_a_word_that_is_none_of_the_choices_deep_in_a_body_is_told_with_the_choices(site: Site) -> None:
    quiet = {"from": "22:00", "to": "07:00", "days": ["Monday"]}
    body = {"kind": "webhook", "name": "ops", "config": GOOD["webhook"], "quiet_hours": quiet}
    answer = await site.api("POST", "/api/notifications", body)
    assert answer.status == 422
    said = "must be one of mon, tue, wed, thu, fri, sat, sun"
    assert answer.json["errors"] == [{"pointer": "/quiet_hours/days/0", "detail": said}]
