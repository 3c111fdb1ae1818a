"""Passkeys against answers that are wrong, late, repeated or somebody else's. In a browser: `tests/browser`."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock, ids
from rmactors.server.messages.accounts import UpdateUser
from rmactors.server.web import access
from rmactors.server.web.auth import totp
from rmactors.server.web.auth.passkeys import AT_MOST, CHALLENGE_LASTS
from tests.web.conftest import PASSWORD, Reply, Site, open_site, reply, settings_for
from tests.web.soft_passkey import PRESENT, SoftPasskey

ORIGIN = "http://localhost:8080"
HERE = {"Host": "localhost:8080"}
PLACE = "/settings/authentication/passkeys"


def new_passkey(**given: Any) -> SoftPasskey:
    return SoftPasskey(**{"origin": ORIGIN, "rp_id": "localhost", "credential_id": ids.new().encode()} | given)


async def asked(browser: QuartClient, path: str) -> Any:
    answer = await browser.post(path, headers=HERE)
    assert answer.status_code == 200, await answer.get_data(as_text=True)
    return await answer.get_json()


async def add(browser: QuartClient, passkey: SoftPasskey, name: str = "key") -> Reply:
    options = await asked(browser, f"{PLACE}/options")
    form = {"name": name, "credential": passkey.create(options)}
    return await reply(await browser.post(PLACE, form=form, headers=HERE))


async def sign_in(site: Site, passkey: SoftPasskey, browser: QuartClient | None = None) -> Reply:
    browser = browser or site.browser()
    options = await asked(browser, "/login/passkey/options")
    form = {"credential": passkey.get(options), "next": "/jobs"}
    return await reply(await browser.post("/login/passkey", form=form, headers=HERE))


async def user_with(site: Site, passkey: SoftPasskey, name: str = "anna") -> tuple[QuartClient, list[str]]:
    """Their signed-in browser, and their recovery codes."""
    await site.user(name)
    browser = await site.log_in(name)
    answer = await add(browser, passkey)
    assert answer.status == 200, answer.text
    [codes] = re.findall(r"<pre>([^<]+)</pre>", answer.text)
    return browser, codes.split()


def failures(site: Site) -> list[str]:
    rows = site.sql("SELECT action, detail FROM audit WHERE result = 'failed' ORDER BY n")
    return [f"{row['action']}: {row['detail']}" for row in rows]


# ---- adding one


async def test_what_a_browser_is_asked_to_make_can_sign_in_without_a_name(site: Site) -> None:
    await site.user()
    options = await asked(await site.log_in(), f"{PLACE}/options")
    assert options["rp"] == {"id": "localhost", "name": "restic-manager"}
    wanted = options["authenticatorSelection"]
    assert (wanted["residentKey"], wanted["userVerification"]) == ("required", "required")
    assert options["attestation"] == "none"


async def test_the_first_one_comes_with_recovery_codes_and_a_further_one_without(site: Site) -> None:
    browser, codes = await user_with(site, new_passkey())
    assert len(codes) == 10
    again = await add(browser, new_passkey(), "second")
    assert (again.status, again.location) == (303, "/settings/authentication#passkeys")
    page = await (await browser.get("/settings/authentication", headers=HERE)).get_data(as_text=True)
    assert "10 recovery codes are left." in page
    assert [row["name"] for row in site.sql("SELECT name FROM passkeys ORDER BY id")] == ["key", "second"]
    rows = site.sql("SELECT action, detail FROM audit WHERE action = 'user.passkey_add' ORDER BY n")
    assert [tuple(row) for row in rows] == [("user.passkey_add", "key"), ("user.passkey_add", "second")]


async def test_adding_one_signs_the_other_sessions_out(site: Site) -> None:
    await site.user()
    elsewhere, here = await site.log_in(), await site.log_in()
    assert (await add(here, new_passkey())).status == 200
    assert (await elsewhere.get("/jobs")).status_code == 303
    assert (await here.get("/jobs")).status_code == 200


async def test_adding_and_removing_want_a_fresh_password(site: Site) -> None:
    browser, _ = await user_with(site, new_passkey())
    [row] = site.sql("SELECT id FROM passkeys")
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    for path in (PLACE, f"{PLACE}/options", f"{PLACE}/{row['id']}/delete"):
        assert (await browser.post(path, form={}, headers=HERE)).status_code == 403
    page = await (await browser.get("/settings/authentication", headers=HERE)).get_data(as_text=True)
    assert 'href="/reauthenticate?next=/settings/authentication"' in page


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "http://localhost"},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},  # nobody's finger was looked at
        {"credential_id": b"x" * 1024},
    ],
)
async def test_one_that_was_made_elsewhere_or_for_nobody_is_refused(site: Site, change: dict[str, Any]) -> None:
    await site.user()
    answer = await add(await site.log_in(), new_passkey(**change))
    assert (answer.status, "This passkey could not be registered" in answer.text) == (422, True)
    assert site.sql("SELECT 1 FROM passkeys") == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\u0007b"])
async def test_a_name_is_one_short_line(site: Site, name: str) -> None:
    await site.user()
    assert (await add(await site.log_in(), new_passkey(), name)).status == 422
    assert site.sql("SELECT 1 FROM passkeys") == []


async def test_a_passkey_belongs_to_one_user_and_a_user_has_so_many(site: Site) -> None:
    passkey = new_passkey()
    browser, _ = await user_with(site, passkey)
    assert "this passkey is registered already" in (await add(browser, passkey)).text.lower()
    for _ in range(AT_MOST - 1):
        assert (await add(browser, new_passkey())).status == 303
    too_many = await add(browser, new_passkey())
    assert (too_many.status, f"You have {AT_MOST} passkeys" in too_many.text) == (409, True)


# ---- signing in


async def test_a_passkey_signs_in_alone_and_says_when_it_was_used(site: Site) -> None:
    passkey = new_passkey(count=0)
    await user_with(site, passkey)
    browser = site.browser()
    answer = await sign_in(site, passkey, browser)
    assert (answer.status, answer.location) == (303, "/jobs")
    assert (await browser.get("/jobs")).status_code == 200
    [row] = site.sql("SELECT sign_count, last_used_at FROM passkeys")
    assert row["sign_count"] == 1
    assert row["last_used_at"] is not None
    assert site.sql("SELECT detail FROM audit WHERE action = 'user.login' ORDER BY n")[-1]["detail"] == "passkey"


@pytest.mark.parametrize("count", [None, 7])
async def test_one_that_never_counts_is_good_again_and_one_that_counts_goes_on(site: Site, count: int | None) -> None:
    passkey = new_passkey(count=count)
    await user_with(site, passkey)
    for _ in range(3):
        assert (await sign_in(site, passkey)).status == 303


@pytest.mark.parametrize("back", [5, 4, 0])
async def test_a_counter_that_did_not_go_on_is_refused_and_written_down(site: Site, back: int) -> None:
    passkey = new_passkey(count=4)
    await user_with(site, passkey)
    assert (await sign_in(site, passkey)).status == 303
    passkey.count = back - 1
    answer = await sign_in(site, passkey) if back else await sign_in(site, without_count(passkey))
    assert (answer.status, "there may be a copy of it" in answer.text) == (422, True)
    assert failures(site) == [f"user.login: passkey: its counter went from 5 to {back}"]


def without_count(passkey: SoftPasskey) -> SoftPasskey:
    passkey.count = None
    return passkey


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"origin": "http://localhost"}, "Unexpected client data origin"),
        ({"origin": "https://localhost:8080"}, "Unexpected client data origin"),
        ({"rp_id": "evil.example"}, "Unexpected RP ID hash"),
        ({"flags": PRESENT}, "User verification is required but user was not verified"),
        ({"flags": 0}, "User was not present"),
        ({"user_handle": b"somebody else"}, "of another account"),
        ({"credential_id": b"unknown"}, "not known here"),
    ],
)
async def test_an_answer_that_is_not_for_here_signs_nobody_in(site: Site, change: dict[str, Any], why: str) -> None:
    passkey = new_passkey()
    await user_with(site, passkey)
    for name, value in change.items():
        setattr(passkey, name, value)
    browser = site.browser()
    answer = await sign_in(site, passkey, browser)
    assert answer.status == 422
    assert (await browser.get("/jobs")).status_code == 303
    [said] = failures(site)
    assert why in said


async def test_another_key_does_not_sign_for_this_one(site: Site) -> None:
    passkey = new_passkey()
    await user_with(site, passkey)
    passkey.key = new_passkey().key
    assert (await sign_in(site, passkey)).status == 422


async def test_an_answer_is_good_once(site: Site) -> None:
    passkey = new_passkey()
    await user_with(site, passkey)
    browser = site.browser()
    options = await asked(browser, "/login/passkey/options")
    form = {"credential": passkey.get(options)}
    assert (await browser.post("/login/passkey", form=form, headers=HERE)).status_code == 303
    again = await reply(await browser.post("/login/passkey", form=form, headers=HERE))
    assert (again.status, "used already" in again.text) == (422, True)


async def test_a_challenge_is_good_for_some_minutes_for_one_browser_and_one_purpose(site: Site) -> None:
    passkey = new_passkey()
    signed_in, _ = await user_with(site, passkey)
    browser = site.browser()
    options = await asked(browser, "/login/passkey/options")
    answer = passkey.get(options)
    stranger = await reply(await site.browser().post("/login/passkey", form={"credential": answer}, headers=HERE))
    assert (stranger.status, "started in another window" in stranger.text) == (422, True)
    site.clock.advance(CHALLENGE_LASTS)
    late = await browser.post("/login/passkey", form={"credential": answer}, headers=HERE)
    assert late.status_code == 422
    options = await asked(signed_in, "/login/passkey/options")
    other = await reply(
        await signed_in.post("/reauthenticate/passkey", form={"credential": passkey.get(options)}, headers=HERE)
    )
    assert (other.status, other.json["status"]) == (422, 422)


async def test_a_disabled_user_does_not_come_in(site: Site) -> None:
    passkey = new_passkey()
    await user_with(site, passkey)
    [user] = site.sql("SELECT id FROM users")
    await site.user("other")
    await site.commit(UpdateUser(user["id"], None, None, True, None, site.audit("user.update", user["id"])))
    assert (await sign_in(site, passkey)).status == 422
    assert failures(site) == ["user.login: passkey: disabled"]


async def test_tries_are_throttled_as_other_logins_are(site: Site) -> None:
    browser = site.browser()
    await site.user()
    statuses = [
        (await browser.post("/login/passkey", form={"credential": "{}"}, headers=HERE)).status_code for _ in range(11)
    ]
    assert statuses == [422] * 10 + [429]


async def test_what_is_no_answer_at_all_is_one_sentence(site: Site) -> None:
    await site.user()
    for credential in ("", "x", "[]", "[" * 20_000, '{"id": 1}', '{"id": "a", "rawId": "a", "type": "public-key"}'):
        browser = site.browser()
        site.clock.advance(clock.MINUTE)
        await asked(browser, "/login/passkey/options")
        answer = await browser.post("/login/passkey", form={"credential": credential}, headers=HERE)
        assert answer.status_code == 422


# ---- as the second factor, and in place of the password


async def test_after_the_password_it_is_the_second_factor(site: Site) -> None:
    passkey = new_passkey(flags=PRESENT | 4)
    _, codes = await user_with(site, passkey)
    browser = site.browser()
    answer = await browser.post("/login", form={"username": "anna", "password": PASSWORD, "next": "/jobs"})
    assert answer.headers["Location"] == "/login/second-factor?next=/jobs"
    assert (await browser.get("/jobs")).status_code == 303
    page = await (await browser.get("/login/second-factor", headers=HERE)).get_data(as_text=True)
    assert "Use a passkey" in page
    assert "Recovery code" in page
    options = await asked(browser, "/login/second-factor/passkey/options")
    assert [len(options["allowCredentials"]), options["userVerification"]] == [1, "preferred"]
    passkey.flags = PRESENT  # a touch is enough: the password was shown
    form = {"credential": passkey.get(options), "next": "/jobs"}
    answer = await browser.post("/login/second-factor/passkey", form=form, headers=HERE)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs")
    assert (await browser.get("/jobs")).status_code == 200

    other = site.browser()
    await other.post("/login", form={"username": "anna", "password": PASSWORD})
    assert (await other.post("/login/second-factor", form={"code": codes[3]})).status_code == 303
    assert (await other.get("/jobs")).status_code == 200


async def test_the_passkey_of_somebody_else_is_no_second_factor(site: Site) -> None:
    hers, his = new_passkey(), new_passkey()
    await user_with(site, hers)
    await user_with(site, his, "bert")
    browser = site.browser()
    await browser.post("/login", form={"username": "anna", "password": PASSWORD})
    options = await asked(browser, "/login/second-factor/passkey/options")
    form = {"credential": his.get(options)}
    answer = await reply(await browser.post("/login/second-factor/passkey", form=form, headers=HERE))
    assert (answer.status, "not known here" in answer.text) == (422, True)
    assert (await browser.get("/jobs")).status_code == 303


async def test_without_a_password_there_is_nothing_to_be_the_second_factor_of(site: Site) -> None:
    await site.user()
    browser = site.browser()
    assert (await browser.post("/login/second-factor/passkey/options", headers=HERE)).status_code == 401
    answer = await browser.post("/login/second-factor/passkey", form={"credential": "{}"}, headers=HERE)
    assert answer.headers["Location"].startswith("/login?")


async def test_it_confirms_in_place_of_the_password(site: Site) -> None:
    passkey = new_passkey()
    browser, _ = await user_with(site, passkey)
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    body = {"name": "ci", "role": "viewer"}
    assert (await browser.post("/api/tokens", json=body)).status_code == 403
    options = await asked(browser, "/reauthenticate/passkey/options")
    assert options["userVerification"] == "required"
    form = {"credential": passkey.get(options)}
    assert (await browser.post("/reauthenticate/passkey", form=form, headers=HERE)).status_code == 204
    assert (await browser.post("/api/tokens", json=body)).status_code == 201
    to_go_on = await browser.post("/reauthenticate", form={"password": "", "next": "/settings/users"})
    assert (to_go_on.status_code, to_go_on.headers["Location"]) == (303, "/settings/users")
    again = await browser.post("/reauthenticate/passkey", form=form, headers=HERE)
    assert again.status_code == 422


# ---- removing, and what else protects the account


async def test_with_the_last_factor_the_recovery_codes_go(site: Site) -> None:
    browser, _ = await user_with(site, new_passkey())
    assert (await add(browser, new_passkey(), "second")).status == 303
    first, second = [row["id"] for row in site.sql("SELECT id FROM passkeys ORDER BY id")]
    assert (await browser.post(f"{PLACE}/{first}/delete", headers=HERE)).status_code == 303
    assert site.sql("SELECT count(*) AS n FROM recovery_codes")[0]["n"] == 10
    assert (await browser.post(f"{PLACE}/{second}/delete", headers=HERE)).status_code == 303
    assert site.sql("SELECT count(*) AS n FROM recovery_codes")[0]["n"] == 0
    assert (await browser.post(f"{PLACE}/{second}/delete", headers=HERE)).status_code == 404
    assert (await site.browser().post("/login", form={"username": "anna", "password": PASSWORD})).headers[
        "Location"
    ] == "/"


async def test_recovery_codes_stay_where_the_authenticator_goes_and_a_passkey_is_there(site: Site) -> None:
    browser, _ = await user_with(site, new_passkey())
    path = "/settings/authentication/second-factor"
    page = await (await browser.post(path, form={"step": "offer"})).get_data(as_text=True)
    [sealed] = re.findall(r'name="sealed" value="(.+?)"', page)
    [shown] = re.findall(r'<pre id="secret">(.+?)<', page)
    secret = base64.b32decode(shown + "=" * (-len(shown) % 8))
    code = totp.code(secret, totp.step_at(site.clock()))
    assert (await browser.post(path, form={"step": "on", "sealed": sealed, "code": code})).status_code == 200
    assert (await browser.post(path, form={"step": "off"})).status_code == 303
    assert site.sql("SELECT count(*) AS n FROM recovery_codes")[0]["n"] == 10


async def test_nobody_removes_the_passkey_of_somebody_else(site: Site) -> None:
    await user_with(site, new_passkey())
    [row] = site.sql("SELECT id FROM passkeys")
    browser, _ = await user_with(site, new_passkey(), "bert")
    assert (await browser.post(f"{PLACE}/{row['id']}/delete", headers=HERE)).status_code == 404
    assert (await browser.post(f"{PLACE}/x/delete", headers=HERE)).status_code == 404


async def test_the_last_way_in_is_not_removed(tmp_path: Path) -> None:
    """Where passwords are turned off, that is the last passkey."""
    passkey = new_passkey()
    async with open_site(settings_for(tmp_path / "data")) as site:
        await user_with(site, passkey)
    async with open_site(settings_for(tmp_path / "data", password_login=False)) as site:
        browser = site.browser()
        assert (await sign_in(site, passkey, browser)).status == 303
        [first] = [row["id"] for row in site.sql("SELECT id FROM passkeys")]
        refused = await reply(await browser.post(f"{PLACE}/{first}/delete", headers=HERE))
        assert (refused.status, "your only way to sign in" in refused.text) == (409, True)
        assert (await add(browser, new_passkey(), "second")).status == 303
        assert (await browser.post(f"{PLACE}/{first}/delete", headers=HERE)).status_code == 303


# ---- where they work


@pytest.mark.parametrize(
    ("given", "host", "words"),
    [
        ({"base_url": "http://127.0.0.1:8080"}, "127.0.0.1:8080", "set RM_BASE_URL to https:// and a name"),
        ({"base_url": "http://nas.lan:8080"}, "nas.lan:8080", "Passkeys need HTTPS"),
        ({"base_url": "https://backup.example"}, "127.0.0.1:8080", "Passkeys work at https://backup.example only"),
        ({"base_url": "https://backup.example"}, "backup.example", ""),
    ],
)
async def test_where_they_cannot_work_the_page_says_what_to_set(
    tmp_path: Path, given: dict[str, Any], host: str, words: str
) -> None:
    async with open_site(settings_for(tmp_path / "data", **given)) as site:
        await site.user()
        browser = site.browser()
        form = {"username": "anna", "password": PASSWORD}
        assert (await browser.post("/login", form=form, headers={"Host": host})).status_code == 303
        page = await (await browser.get("/settings/authentication", headers={"Host": host})).get_data(as_text=True)
        assert ("data-passkey" in page) == (words == "")
        assert words in page


async def test_browsers_are_allowed_to_use_them(site: Site) -> None:
    policy = (await site.browser().get("/login")).headers["Permissions-Policy"]
    assert "publickey-credentials-get=(self)" in policy
    assert "publickey-credentials-create=(self)" in policy


async def test_the_login_page_shows_a_button_once_somebody_has_a_passkey(site: Site) -> None:
    await site.user()
    assert "data-passkey" not in await (await site.browser().get("/login", headers=HERE)).get_data(as_text=True)
    await user_with(site, new_passkey(), "bert")
    assert "data-passkey" in await (await site.browser().get("/login", headers=HERE)).get_data(as_text=True)
    listed = await (await (await site.log_in()).get("/settings/users")).get_data(as_text=True)
    assert "1 passkey" in listed
