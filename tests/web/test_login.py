"""Signing in and out: passwords, sessions, throttles, the second factor, showing the password again."""

import base64
import re
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.config import tokens
from rmactors.server.messages.second_factors import SetSecondFactor
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web import access
from rmactors.server.web.auth import totp
from rmactors.server.web.auth.passwords import Passwords
from rmactors.server.web.views.qr import svg
from tests.web.conftest import PASSWORD, Site, open_site, settings_for

SECRET = b"01234567890123456789"


def form(username: str = "anna", password: str = PASSWORD, target: str = "/") -> dict[str, str]:
    return {"username": username, "password": password, "next": target}


def cookie_of(browser: QuartClient, name: str = "rm") -> str | None:
    assert browser.cookie_jar is not None
    return next((cookie.value for cookie in browser.cookie_jar if cookie.name == name), None)


async def turn_on_second_factor(site: Site, user_id: str, codes: tuple[str, ...] = ()) -> None:
    sealed = site.services.box.seal(SECRET, f"totp:{user_id}")
    hashes = tuple(totp.recovery_digest(code) for code in codes)
    await site.commit(SetSecondFactor(user_id, sealed, 0, hashes, site.audit("user.second_factor_on", user_id)))


async def test_a_login_goes_where_the_user_wanted_and_sets_a_strict_cookie(site: Site) -> None:
    await site.user()
    browser = site.browser()
    answer = await browser.post("/login", form=form(target="/alerts?status=all"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts?status=all")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert (await browser.get("/api/alerts")).status_code == 200


async def test_over_tls_the_cookie_is_host_bound_and_secure(tmp_path: object) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    settings = settings_for(tmp_path, cookie_secure=True, base_url="https://localhost")
    async with open_site(settings) as site:
        await site.user()
        answer = await site.browser().post("/login", form=form())
        assert answer.headers["Set-Cookie"].startswith("__Host-rm=")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"]


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/a\r\nb", "/ü"])
async def test_a_login_never_leads_to_another_site(site: Site, target: str) -> None:
    await site.user()
    answer = await site.browser().post("/login", form=form(target=target))
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(("username", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("anna", "x" * 300)])
async def test_a_wrong_login_comes_back_with_the_name_intact_and_is_audited(
    site: Site, username: str, password: str
) -> None:
    await site.user()
    answer = await site.browser().post("/login", form=form(username, password))
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f'value="{username}"' in text
    assert "Set-Cookie" not in answer.headers
    [row] = site.sql("SELECT * FROM audit WHERE action = 'user.login'")
    assert row["result"] == "failed"
    assert row["actor"] == ("anna" if username == "anna" else "unknown")


async def test_the_user_name_is_known_in_any_case(site: Site) -> None:
    await site.user("Anna")
    assert (await site.browser().post("/login", form=form("aNNa"))).status_code == 303


async def test_a_login_after_a_change_of_hash_parameters_gets_in_and_keeps_the_newer_hash(site: Site) -> None:
    user_id = await site.user()
    before = await site.services.reader.run(queries.login_by_id, user_id)
    stronger = Passwords(PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    site.app.extensions["rmactors"].login_guard.passwords = stronger
    browser = site.browser()
    assert (await browser.post("/login", form=form())).status_code == 303
    assert (await browser.get("/api/alerts")).status_code == 200
    after = await site.services.reader.run(queries.login_by_id, user_id)
    assert before is not None
    assert after is not None
    assert after.password_hash != before.password_hash
    assert not stronger.is_outdated(after.password_hash)


async def test_a_disabled_user_does_not_get_in_and_is_thrown_out(site: Site) -> None:
    user_id = await site.user()
    await site.user("boss")
    browser = await site.log_in()
    assert (await site.api("PATCH", f"/api/users/{user_id}", {"disabled": True})).status == 200
    assert (await browser.get("/api/alerts")).status_code == 401
    assert (await site.browser().post("/login", form=form())).status_code == 422


async def test_the_sixth_login_in_a_burst_to_an_account_waits(site: Site) -> None:
    await site.user()
    browser = site.browser()
    statuses = [(await browser.post("/login", form=form(password="wrong"))).status_code for _ in range(5)]
    late = await browser.post("/login", form=form())
    assert statuses == [422] * 5
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= 12
    site.clock.advance(12 * clock.SECOND)
    assert (await browser.post("/login", form=form())).status_code == 303


async def test_the_eleventh_login_in_a_burst_from_an_address_waits(site: Site) -> None:
    browser = site.browser()
    statuses = [(await browser.post("/login", form=form(f"user{n}"))).status_code for n in range(11)]
    assert statuses == [422] * 10 + [429]


async def test_a_new_login_gets_a_new_id_and_the_old_session_ends(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    first = cookie_of(browser)
    await browser.post("/login", form=form())
    second = cookie_of(browser)
    assert first != second
    assert len(site.sql("SELECT 1 FROM sessions")) == 1
    stale = await site.browser().get("/api/alerts", headers={"Cookie": f"rm={first}"})
    assert stale.status_code == 401


async def test_the_database_holds_digests_of_sessions_and_tokens_only(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    cookie = cookie_of(browser)
    assert cookie is not None
    [session] = site.sql("SELECT * FROM sessions")
    assert session["token_hash"] == tokens.digest(cookie)
    everything = site.all_that_is_stored()
    for secret in (cookie, PASSWORD, *site.tokens.values()):
        assert secret.encode() not in everything


async def test_a_session_ends_when_it_is_idle(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    site.clock.advance(access.SESSION_IDLE - clock.MINUTE)
    assert (await browser.get("/api/alerts")).status_code == 200
    site.clock.advance(access.SESSION_IDLE - clock.MINUTE)
    assert (await browser.get("/api/alerts")).status_code == 200
    site.clock.advance(access.SESSION_IDLE + clock.MINUTE)
    assert (await browser.get("/api/alerts")).status_code == 401


async def test_a_session_ends_at_its_absolute_end_however_busy(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    steps = access.SESSION_LIFETIME // access.SESSION_IDLE
    for _ in range(steps):
        assert (await browser.get("/api/alerts")).status_code == 200
        site.clock.advance(access.SESSION_IDLE - clock.MINUTE)
    site.clock.advance(steps * clock.MINUTE)
    assert (await browser.get("/api/alerts")).status_code == 401


async def test_a_logout_ends_the_session_on_the_server(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    cookie = cookie_of(browser)
    answer = await browser.post("/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert (await site.browser().get("/api/alerts", headers={"Cookie": f"rm={cookie}"})).status_code == 401


async def test_the_login_page_leads_on_who_is_signed_in_and_to_the_setup_on_the_first_run(site: Site) -> None:
    assert (await site.browser().get("/login")).headers["Location"] == "/setup"
    await site.user()
    assert (await site.browser().get("/login")).status_code == 200
    browser = await site.log_in()
    assert (await browser.get("/login?next=/jobs")).headers["Location"] == "/jobs"


# ---- the second factor


async def test_with_a_second_factor_the_password_alone_opens_nothing(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    browser = site.browser()
    first = await browser.post("/login", form=form(target="/jobs"))
    assert first.headers["Location"] == "/login/second-factor?next=/jobs"
    assert (await browser.get("/api/alerts")).status_code == 401
    assert (await browser.get("/login/second-factor")).status_code == 200
    code = totp.code(SECRET, totp.step_at(site.clock()))
    before = cookie_of(browser)
    second = await browser.post("/login/second-factor", form={"code": code, "next": "/jobs"})
    assert (second.status_code, second.headers["Location"]) == (303, "/jobs")
    assert cookie_of(browser) != before
    assert (await browser.get("/api/alerts")).status_code == 200


async def test_a_code_is_good_once(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    code = totp.code(SECRET, totp.step_at(site.clock()))
    for expected in (303, 422):
        browser = site.browser()
        await browser.post("/login", form=form())
        answer = await browser.post("/login/second-factor", form={"code": code})
        assert answer.status_code == expected


async def test_a_recovery_code_is_good_once_however_it_is_typed(site: Site) -> None:
    codes = totp.new_recovery_codes()
    await turn_on_second_factor(site, await site.user(), codes)
    for typed, expected in ((codes[0].upper().replace("-", " "), 303), (codes[0], 422), (codes[1], 303)):
        browser = site.browser()
        await browser.post("/login", form=form())
        answer = await browser.post("/login/second-factor", form={"code": typed})
        assert answer.status_code == expected


async def test_a_second_factor_is_turned_on_by_its_first_code_and_off_again(site: Site) -> None:
    await site.user()
    here, path = await site.log_in(), "/settings/authentication/second-factor"
    offered = await (await here.post(path, form={"step": "offer"})).get_data(as_text=True)
    [text], [sealed] = (
        re.findall(r'id="secret">([A-Z2-7]+)<', offered),
        re.findall(r'name="sealed" value="(.+?)"', offered),
    )
    assert svg(totp.provisioning_uri(base64.b32decode(text), "anna"), "The key, to be scanned") in offered
    code = totp.code(base64.b32decode(text), totp.step_at(site.clock()))
    wrong = await here.post(path, form={"step": "on", "sealed": sealed, "code": "000000" if code != "000000" else "1"})
    assert wrong.status_code == 422
    assert site.sql("SELECT totp_secret FROM users")[0]["totp_secret"] is None
    assert (await here.post(path, form={"step": "on", "sealed": sealed, "code": code})).status_code == 200
    browser = site.browser()
    await browser.post("/login", form=form())
    assert (await browser.post("/login/second-factor", form={"code": code})).status_code == 422, "it was used already"
    assert (await here.post(path, form={"step": "off"})).status_code == 303
    assert (await site.browser().post("/login", form=form())).headers["Location"] == "/"
    rows = site.sql("SELECT action FROM audit WHERE action LIKE 'user.second_factor%' ORDER BY n")
    assert [row["action"] for row in rows] == [
        "user.second_factor_on", "user.second_factor", "user.second_factor_off",
    ]  # fmt: skip


async def test_the_secret_of_one_user_is_no_other_users(site: Site) -> None:
    await site.user()
    await site.user("bert")
    here, there, path = await site.log_in(), await site.log_in("bert"), "/settings/authentication/second-factor"
    offered = await (await here.post(path, form={"step": "offer"})).get_data(as_text=True)
    [sealed] = re.findall(r'name="sealed" value="(.+?)"', offered)
    for stolen in (sealed, "", "x", "ü", sealed[:-4]):
        answer = await there.post(path, form={"step": "on", "sealed": stolen, "code": "123456"})
        assert answer.status_code == 422


async def test_guessing_codes_is_throttled(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    browser = site.browser()
    await browser.post("/login", form=form())
    statuses = [(await browser.post("/login/second-factor", form={"code": "1"})).status_code for _ in range(5)]
    assert statuses == [422] * 5
    await browser.post("/login", form=form())
    late = await browser.post("/login/second-factor", form={"code": "1"})
    assert late.status_code == 429
    assert 1 <= int(late.headers["Retry-After"]) <= 12


async def test_a_session_that_owes_its_second_factor_ends_soon(site: Site) -> None:
    await turn_on_second_factor(site, await site.user())
    browser = site.browser()
    await browser.post("/login", form=form())
    site.clock.advance(11 * clock.MINUTE)
    code = totp.code(SECRET, totp.step_at(site.clock()))
    answer = await browser.post("/login/second-factor", form={"code": code})
    assert answer.headers["Location"].startswith("/login?")


# ---- showing the password again


async def test_delicate_changes_need_a_fresh_password_and_tokens_are_exempt(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    body = {"name": "ci", "role": "viewer"}
    assert (await browser.post("/api/tokens", json=body)).status_code == 201
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    refused = await browser.post("/api/tokens", json=body)
    assert refused.status_code == 403
    assert (await refused.get_json(force=True))["type"].endswith("reauthentication-required")
    assert (await browser.get("/api/tokens")).status_code == 200
    assert (await site.api("POST", "/api/tokens", body)).status == 201

    assert (await browser.get("/reauthenticate?next=/settings/users")).status_code == 200
    wrong = await browser.post("/reauthenticate", form={"password": "wrong", "next": "/settings/users"})
    assert wrong.status_code == 422
    right = await browser.post("/reauthenticate", form={"password": PASSWORD, "next": "/settings/users"})
    assert (right.status_code, right.headers["Location"]) == (303, "/settings/users")
    assert (await browser.post("/api/tokens", json=body)).status_code == 201


# ---- one's own account


async def test_a_changed_password_ends_the_other_sessions(site: Site) -> None:
    await site.user()
    here, there = await site.log_in(), await site.log_in()
    wrong = await here.post("/api/account/password", json={"current": "not it", "new": "another good phrase"})
    assert wrong.status_code == 422
    assert (await wrong.get_json(force=True))["errors"][0]["pointer"] == "/current"
    weak = await here.post("/api/account/password", json={"current": PASSWORD, "new": "short"})
    assert (await weak.get_json(force=True))["errors"][0]["pointer"] == "/new"
    changed = await here.post("/api/account/password", json={"current": PASSWORD, "new": "another good phrase"})
    assert changed.status_code == 200
    assert (await here.get("/api/alerts")).status_code == 200
    assert (await there.get("/api/alerts")).status_code == 401
    assert (await site.browser().post("/login", form=form(password="another good phrase"))).status_code == 303


async def test_sessions_are_listed_and_can_be_ended_each(site: Site) -> None:
    await site.user()
    await site.user("bert")
    here, there, other = await site.log_in(), await site.log_in(), await site.log_in("bert")
    listed = (await (await here.get("/api/sessions")).get_json())["items"]
    assert [entry["current"] for entry in listed].count(True) == 1
    [elsewhere] = [entry for entry in listed if not entry["current"]]
    assert set(elsewhere) == {"id", "created_at", "last_seen_at", "address", "user_agent", "current"}
    assert (await other.delete(f"/api/sessions/{elsewhere['id']}")).status_code == 404
    assert (await here.delete(f"/api/sessions/{elsewhere['id']}")).status_code == 204
    assert (await there.get("/api/alerts")).status_code == 401
    assert (await here.delete(f"/api/sessions/{elsewhere['id']}")).status_code == 404


async def test_an_api_token_has_no_sessions_and_no_password(site: Site) -> None:
    assert (await site.get("/api/sessions"))["items"] == []
    answer = await site.api("POST", "/api/account/password", {"current": "x", "new": "y"})
    assert answer.status == 403


async def test_over_plain_http_the_login_page_says_that_the_cookie_will_be_dropped(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, cookie_secure=True, listen="0.0.0.0:8080", base_url="http://nas.lan:8080")
    async with open_site(settings) as site:
        await site.user()
        lan = {"Host": "nas.lan:8080"}
        browser = site.browser()
        before = await (await browser.get("/login", headers=lan)).get_data(as_text=True)
        assert "Signing in does not work over plain HTTP" in before
        assert "RM_COOKIE_SECURE=false" in before
        assert "Your password was right" not in before
        answer = await browser.post("/login", form=form(), headers=lan)
        assert answer.status_code == 303
        came_back = await site.browser().get(
            "/login", headers=lan | {"Cookie": "rm-signed-in=1"}
        )  # all that a browser keeps
        assert "Your password was right" in await came_back.get_data(as_text=True)
        assert [c.split("=")[0] for c in answer.headers.getlist("Set-Cookie")] == ["__Host-rm", "rm-signed-in"]


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"cookie_secure": False, "listen": "0.0.0.0:8080"}, {"Host": "192.168.1.5:8080"}),
        ({"cookie_secure": True}, {"Host": "localhost"}),  # browsers take their own machine for secure
        ({"cookie_secure": True}, {"Host": "127.0.0.1:8080"}),
        ({"cookie_secure": True, "base_url": "https://rm.example"}, {"Host": "rm.example"}),  # behind a proxy
        (
            {"cookie_secure": True, "listen": "0.0.0.0:8080", "trusted_proxies": "0.0.0.0/0"},
            {"Host": "192.168.1.5", "X-Forwarded-Proto": "https"},
        ),
    ],
)
async def test_where_the_cookie_is_kept_the_login_page_has_nothing_to_say(
    tmp_path: Path, settings: dict[str, object], headers: dict[str, str]
) -> None:
    async with open_site(settings_for(tmp_path, **settings)) as site:
        await site.user()
        scope = {"client": ("192.0.2.9", 1)}
        answer = await site.browser().get("/login", headers=headers, scope_base=scope)
        assert answer.status_code == 200
        assert "plain HTTP" not in await answer.get_data(as_text=True)
        signed_in = await site.browser().post("/login", form=form(), headers=headers, scope_base=scope)
        assert len(signed_in.headers.getlist("Set-Cookie")) == 1
