"""A session goes on under another id when it becomes worth more; others end when what protects the account changes."""

import base64
import re
from collections.abc import Awaitable, Callable

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.web import access
from rmactors.server.web.auth import totp
from tests.web.conftest import PASSWORD, Site
from tests.web.test_login import SECRET, cookie_of, turn_on_second_factor

FACTOR = "/settings/authentication/second-factor"
ANEW = "another good phrase"


async def prove(site: Site, browser: QuartClient) -> None:
    assert (await browser.post("/reauthenticate", form={"password": PASSWORD})).status_code == 303


async def password_by_api(site: Site, browser: QuartClient) -> None:
    answer = await browser.post("/api/account/password", json={"current": PASSWORD, "new": ANEW})
    assert answer.status_code == 200


async def password_by_page(site: Site, browser: QuartClient) -> None:
    answer = await browser.post("/settings/authentication/password", form={"current": PASSWORD, "new": ANEW})
    assert answer.status_code == 303


async def password_as_admin(site: Site, browser: QuartClient) -> None:
    [row] = site.sql("SELECT id FROM users WHERE username = 'anna'")
    assert (await browser.patch(f"/api/users/{row['id']}", json={"password": ANEW})).status_code == 200


async def factor_on(site: Site, browser: QuartClient) -> None:
    offered = await (await browser.post(FACTOR, form={"step": "offer"})).get_data(as_text=True)
    [text] = re.findall(r'id="secret">([A-Z2-7]+)<', offered)
    [sealed] = re.findall(r'name="sealed" value="(.+?)"', offered)
    code = totp.code(base64.b32decode(text), totp.step_at(site.clock()))
    answer = await browser.post(FACTOR, form={"step": "on", "sealed": sealed, "code": code})
    assert answer.status_code == 200
    assert "recovery codes" in await answer.get_data(as_text=True)


async def factor_off(site: Site, browser: QuartClient) -> None:
    assert (await browser.post(FACTOR, form={"step": "off"})).status_code == 303


Act = Callable[[Site, QuartClient], Awaitable[None]]
ACTS: list[tuple[Act, bool]] = [
    (prove, False), (password_by_api, True), (password_by_page, True), (password_as_admin, True), (factor_on, True),
    (factor_off, True),
]  # fmt: skip


async def sign_in(site: Site) -> QuartClient:
    """With the second factor where there is one."""
    browser = await site.log_in()
    site.clock.advance(clock.MINUTE)  # a code is good once
    await browser.post("/login/second-factor", form={"code": totp.code(SECRET, totp.step_at(site.clock()))})
    return browser


@pytest.mark.parametrize(("act", "ends_others"), ACTS, ids=lambda part: getattr(part, "__name__", ""))
async def test_the_old_cookie_and_id_are_dead_and_the_new_ones_are_one_session_as_before(
    site: Site, act: Act, ends_others: bool
) -> None:
    user_id = await site.user()
    await site.user("boss")
    if act is factor_off:
        await turn_on_second_factor(site, user_id)
    here, there, foreign = await sign_in(site), await sign_in(site), await site.log_in("boss")
    before, old = (await (await here.get("/api/sessions")).get_json())["items"], cookie_of(here)
    [mine] = [entry for entry in before if entry["current"]]
    await act(site, here)
    assert cookie_of(here) not in (None, old)
    assert (await site.browser().get("/api/alerts", headers={"Cookie": f"rm={old}"})).status_code == 401
    assert (await there.get("/api/alerts")).status_code == (401 if ends_others else 200)
    assert (await foreign.get("/api/alerts")).status_code == 200
    after = (await (await here.get("/api/sessions")).get_json())["items"]
    [now] = [entry for entry in after if entry["current"]]
    assert now["id"] != mine["id"]
    assert now["created_at"] == mine["created_at"], "it ends when the old one would have ended"
    assert len(after) == (1 if ends_others else 2)
    page = await (await here.get("/settings/authentication")).get_data(as_text=True)
    assert page.count("this one") == 1


async def test_a_new_cookie_has_what_is_left_of_the_session_and_its_flags(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    site.clock.advance(clock.HOUR)
    answer = await browser.post("/reauthenticate", form={"password": PASSWORD})
    [cookie] = answer.headers.getlist("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    [age] = re.findall(r"Max-Age=(\d+)", cookie)
    left = (access.SESSION_LIFETIME - clock.HOUR) // clock.SECOND
    assert left - 600 <= int(age) <= left


async def test_turning_a_factor_on_proves_no_password(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    [before] = site.sql("SELECT proved_at FROM sessions")
    site.clock.advance(clock.MINUTE)
    await factor_on(site, browser)
    [after] = site.sql("SELECT proved_at FROM sessions")
    assert before["proved_at"] == after["proved_at"]


async def test_a_wrong_password_renews_nothing(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    old = cookie_of(browser)
    assert (await browser.post("/reauthenticate", form={"password": "wrong"})).status_code == 422
    assert cookie_of(browser) == old
    assert (await browser.get("/api/alerts")).status_code == 200
