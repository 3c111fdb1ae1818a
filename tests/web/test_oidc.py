"""Signing in through an OpenID provider: one that is as it should be, and one that lies in every way it can."""

import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.web import access
from rmactors.server.web.auth import sessions
from tests.web.conftest import PASSWORD, Reply, Site, open_site, reply, settings_for
from tests.web.lying_provider import CLIENT_ID, CLIENT_SECRET, LyingProvider, lying_provider, new_key

ROLES = "admins=admin, ops=operator,cn=watchers=viewer"


@dataclass
class Both:
    """The site and its provider."""

    site: Site
    provider: LyingProvider

    async def leave(self, browser: QuartClient, path: str = "/login/oidc?next=/jobs") -> tuple[str, str]:
        """(code, state) with which the provider would send the browser back."""
        answer = await browser.get(path)
        assert answer.status_code == 303, await answer.get_data(as_text=True)
        assert answer.headers["Location"].startswith(f"{self.provider.issuer}/authorize?tenant=1&")
        return self.provider.authorize(answer.headers["Location"])

    async def come_back(self, browser: QuartClient, **said: str) -> Reply:
        return await reply(await browser.get(f"/login/oidc/callback?{urlencode(said)}"))

    async def sign_in(self, browser: QuartClient | None = None, path: str = "/login/oidc?next=/jobs") -> Reply:
        browser = browser or self.site.browser()
        code, state = await self.leave(browser, path)
        return await self.come_back(browser, code=code, state=state)

    def failures(self) -> list[str]:
        rows = self.site.sql("SELECT action, detail FROM audit WHERE result = 'failed' ORDER BY n")
        return [f"{row['action']}: {row['detail']}" for row in rows]


@asynccontextmanager
async def both_of(path: Path, **settings: Any) -> AsyncIterator[Both]:
    with lying_provider() as provider:
        given = {
            "oidc_issuer": provider.issuer, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET,
            "oidc_roles": ROLES, **settings,
        }  # fmt: skip
        async with open_site(settings_for(path / "data", **given)) as site:
            yield Both(site, provider)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    async with both_of(tmp_path) as opened:
        yield opened


def sentence(answer: Reply) -> str:
    """What the login page says went wrong."""
    [found] = re.findall(r'role="alert">([^<]+)<', answer.text)
    return html.unescape(found)


# ---- who it is, and which role they have


async def test_a_new_user_is_made_with_the_role_of_their_group_and_signed_in(both: Both) -> None:
    browser = both.site.browser()
    assert "Sign in with 127.0.0.1" in await (await browser.get("/login")).get_data(as_text=True)
    answer = await both.sign_in(browser)
    assert (answer.status, answer.location) == (303, "/jobs")
    assert (await browser.get("/jobs")).status_code == 200
    [user] = both.site.sql("SELECT * FROM users")
    assert (user["username"], user["role"], user["issuer"], user["subject"], user["password_hash"]) == (
        "anna", "operator", both.provider.issuer, "subject-1", "",
    )  # fmt: skip
    rows = both.site.sql("SELECT action, actor, detail FROM audit WHERE action LIKE 'user.%' ORDER BY n")
    assert [tuple(row) for row in rows] == [
        ("user.create", "anna", "anna as operator, by the identity provider"),
        ("user.login", "anna", "identity provider"),
    ]


async def test_the_strongest_of_several_groups_counts_and_one_group_may_be_no_list(both: Both) -> None:
    for groups, role in ((["ops", "admins", "x"], "admin"), ("cn=watchers", "viewer"), (["ops", 7, None], "operator")):
        both.provider.claims["groups"] = groups
        assert (await both.sign_in()).status == 303
        assert both.site.sql("SELECT role FROM users")[0]["role"] == role


async def test_a_local_user_of_the_same_name_is_somebody_else(both: Both) -> None:
    await both.site.user("Anna", "admin")
    await both.sign_in()
    both.provider.claims["sub"] = "subject-2"
    await both.sign_in()
    users = both.site.sql("SELECT username, role, subject FROM users ORDER BY subject")
    assert [tuple(user) for user in users] == [
        ("Anna", "admin", None), ("anna-2", "operator", "subject-1"), ("anna-3", "operator", "subject-2"),
    ]  # fmt: skip


async def test_a_user_whose_name_or_mail_changed_is_the_same_user(both: Both) -> None:
    await both.sign_in()
    both.provider.claims |= {"preferred_username": "anna.new", "email": "new@example.org"}
    await both.sign_in()
    assert [row["username"] for row in both.site.sql("SELECT username FROM users")] == ["anna"]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "a:b"}, "a-b"),
        ({"preferred_username": " \n\u202e ", "email": "anna@example.org"}, "anna@example.org"),
        ({"preferred_username": "system", "email": 7, "name": "Anna  A."}, "Anna A."),
        ({"preferred_username": "x" * 500}, "x" * 56),
        ({"preferred_username": None, "sub": "\u0001"}, "user"),
    ],
)
async def test_a_name_from_outside_is_made_one_that_a_user_may_have(
    both: Both, claims: dict[str, Any], name: str
) -> None:
    both.provider.claims |= claims
    assert (await both.sign_in()).status == 303
    assert both.site.sql("SELECT username FROM users")[0]["username"] == name


async def test_another_role_at_the_provider_counts_from_the_next_sign_in_and_ends_sessions(both: Both) -> None:
    both.provider.claims["groups"] = ["admins"]
    browser = both.site.browser()
    await both.sign_in(browser, "/login/oidc?next=/")
    assert (await browser.get("/settings/users")).status_code == 200
    both.provider.claims["groups"] = ["cn=watchers"]
    elsewhere = both.site.browser()
    await both.sign_in(elsewhere)
    assert (await elsewhere.get("/settings/users")).status_code == 403
    assert (await browser.get("/settings/users")).status_code == 303, "the old session may do what it might"
    details = [row["detail"] for row in both.site.sql("SELECT detail FROM audit WHERE action = 'user.update'")]
    assert details == ["anna: role admin → viewer, by the identity provider"]


async def test_who_has_no_role_any_more_is_refused_in_words_and_their_sessions_end(both: Both) -> None:
    browser = both.site.browser()
    await both.sign_in(browser)
    both.provider.claims["groups"] = ["somebody-else"]
    answer = await both.sign_in()
    assert answer.status == 403
    assert sentence(answer) == (
        "127.0.0.1 let you in, but none of your groups there has a role here. Ask an administrator."
    )
    assert both.failures() == ["user.login: identity provider: no role for anna"]
    assert (await browser.get("/jobs")).status_code == 303


async def test_a_stranger_without_a_role_is_not_made_a_user(both: Both) -> None:
    both.provider.claims["groups"] = None
    assert (await both.sign_in()).status == 403
    assert both.site.sql("SELECT 1 FROM users") == []


async def test_a_user_who_is_disabled_here_stays_so(both: Both) -> None:
    await both.sign_in()
    both.site.sql("UPDATE users SET disabled = 1")
    answer = await both.sign_in()
    assert (answer.status, sentence(answer)) == (403, "Your account here is disabled.")


async def test_groups_may_be_deep_in_the_token_or_only_in_userinfo(tmp_path: Path) -> None:
    async with both_of(tmp_path / "token", oidc_role_claim="realm_access.roles") as both:
        both.provider.claims = {"realm_access": {"roles": ["admins"]}}
        assert (await both.sign_in()).status == 303
    async with both_of(tmp_path / "userinfo", oidc_role_claim="realm_access.roles") as both:
        both.provider.claims = {"sub": "subject-2"}
        both.provider.userinfo = {"sub": "subject-2", "realm_access": {"roles": ["ops"]}, "email": "b@example.org"}
        assert (await both.sign_in()).status == 303
        assert both.site.sql("SELECT username FROM users")[0]["username"] == "b@example.org"
        both.provider.userinfo["sub"] = "subject-3"
        assert (await both.sign_in()).status == 403, "what is said of somebody else does not count"


async def test_the_scope_of_the_groups_is_asked_for_where_the_provider_has_one(both: Both) -> None:
    both.provider.discovery = {"scopes_supported": ["openid", "groups", "phone"]}
    answer = await both.site.browser().get("/login/oidc")
    scope = parse_qs(urlsplit(answer.headers["Location"]).query)["scope"]
    assert scope == ["openid profile email groups"]


async def test_a_session_from_the_provider_ends_after_hours_even_if_it_is_used(both: Both) -> None:
    browser = both.site.browser()
    await both.sign_in(browser)
    for _ in range(3):
        both.site.clock.advance(sessions.PROVIDED_SESSION_LIFETIME // 3 - clock.MINUTE)
        assert (await browser.get("/jobs")).status_code == 200
    both.site.clock.advance(4 * clock.MINUTE)
    assert (await browser.get("/jobs")).status_code == 303


async def test_such_a_user_has_no_password_and_no_factor_here(both: Both) -> None:
    both.provider.claims["auth_time"] = clock.now() // clock.SECOND
    both.provider.claims["groups"] = ["admins"]
    browser = both.site.browser()
    await both.sign_in(browser)
    for password in ("", "nobody has this password"):
        answer = await both.site.browser().post("/login", form={"username": "anna", "password": password})
        assert answer.status_code == 422
    page = await (await browser.get("/settings/authentication")).get_data(as_text=True)
    assert "You sign in through 127.0.0.1" in page
    assert 'name="current"' not in page
    for path, form in (
        ("password", {"current": "", "new": PASSWORD}), ("second-factor", {"step": "offer"}),
        ("passkeys", {"name": "x"}), ("passkeys/options", {}),
    ):  # fmt: skip
        answer = await browser.post(f"/settings/authentication/{path}", form=form)
        assert answer.status_code in (409, 422), path
    user_id = both.site.sql("SELECT id FROM users")[0]["id"]
    for change in ({"password": PASSWORD}, {"role": "viewer"}):
        refused = await both.site.api("PATCH", f"/api/users/{user_id}", change)
        assert refused.status == 422
    assert (await both.site.api("PATCH", f"/api/users/{user_id}", {"disabled": True})).status == 409, "the last admin"


# ---- answers that are not good


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "token: Invalid claim: 'iss'"),
        ({"iss": None}, "token: Missing claim: 'iss'"),
        ({"aud": "another-client"}, "token: Invalid claim: 'aud'"),
        ({"aud": ["another-client"]}, "token: Invalid claim: 'aud'"),
        ({"aud": [CLIENT_ID, "another"]}, "token: made for another client (azp)"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "token: made for another client (azp)"),
        ({"nonce": "stale"}, "token: wrong nonce"),
        ({"nonce": None}, "token: wrong nonce"),
        ({"exp": 1_000_000_000}, "token: The token is expired"),
        ({"exp": None}, "token: Missing claim: 'exp'"),
        ({"exp": "tomorrow"}, "token: Claim 'exp' must be a NumericDate value"),
        ({"iat": 9_999_999_999}, "token: The token was issued in the future"),
        ({"nbf": 9_999_999_999}, "token: The token is not yet valid"),
        ({"sub": None}, "token: Missing claim: 'sub'"),
        ({"sub": ["a", "b"]}, "token: Claim 'sub' must be a StringOrURI value"),
        ({"sub": "s" * 256}, "token: its sub cannot be used"),
    ],
)
async def test_a_token_that_says_something_else_is_refused(both: Both, claims: dict[str, Any], why: str) -> None:
    both.provider.claims |= claims
    browser = both.site.browser()
    answer = await both.sign_in(browser)
    assert answer.status == 422
    assert sentence(answer).startswith("The identity provider's answer is not one for this sign-in.")
    assert both.failures() == [f"user.login: identity provider: {why}"]
    assert both.site.sql("SELECT 1 FROM users") == []
    assert (await browser.get("/jobs")).status_code == 303


@pytest.mark.parametrize("off", [-50, 50])
async def test_a_clock_that_is_a_little_off_is_no_trouble(both: Both, off: int) -> None:
    now = clock.now() // clock.SECOND
    both.provider.claims |= {"iat": now + off, "nbf": now + off, "exp": now + off + 5}
    assert (await both.sign_in()).status == 303


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_without_a_signature_of_the_providers_own_is_refused(both: Both, algorithm: str) -> None:
    both.provider.header = {"alg": algorithm}
    answer = await both.sign_in()
    assert answer.status == 422
    assert both.failures() == [f"user.login: identity provider: token: signed with '{algorithm}'"]


async def test_a_token_that_is_signed_with_a_key_that_is_not_published_is_refused(both: Both) -> None:
    await both.sign_in()
    both.provider.published = [both.provider.key]
    for strange in (new_key("two"), new_key("one"), new_key(None)):
        both.provider.key = strange
        answer = await both.sign_in()
        assert answer.status == 422
    assert both.failures() == ["user.login: identity provider: token: signed with an unknown key"] * 3


async def test_new_keys_of_the_provider_are_fetched_when_a_token_names_one(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmactors.server.openid.provider._FRESH_SECONDS", 0.0)
    assert (await both.sign_in()).status == 303
    old, both.provider.key = both.provider.key, new_key("two")
    both.provider.published = [both.provider.key, old]
    assert (await both.sign_in()).status == 303
    assert both.provider.asked.count("/jwks") == 2
    assert (await both.sign_in()).status == 303
    assert both.provider.asked.count("/jwks") == 2, "they are kept"


async def test_keys_without_a_name_are_tried_one_after_the_other(both: Both) -> None:
    both.provider.key = new_key(None)
    both.provider.published = [new_key(None), both.provider.key]
    assert (await both.sign_in()).status == 303


async def test_what_the_provider_says_no_to_is_one_sentence(both: Both) -> None:
    for error, sentence_of_it, status in (
        ("access_denied", "The identity provider did not let you in, or you said no there.", 403),
        ("login_required", "The identity provider ended the sign-in (login_required). Try again.", 422),
        ("<script>", "The identity provider ended the sign-in (an unknown error). Try again.", 422),
    ):
        browser = both.site.browser()
        _, state = await both.leave(browser)
        answer = await both.come_back(browser, error=error, error_description="<b>secret</b>", state=state)
        assert (answer.status, sentence(answer)) == (status, sentence_of_it)
    assert both.failures()[0] == "user.login: identity provider: access_denied"


async def test_without_a_code_or_with_another_state_nobody_is_signed_in(both: Both) -> None:
    browser = both.site.browser()
    code, state = await both.leave(browser)
    assert (
        sentence(await both.come_back(browser, state=state))
        == "The identity provider's answer holds no code. Start again."
    )
    code, state = await both.leave(browser)
    for said in ({"code": code, "state": state + "x"}, {"code": code}, {"code": code, "state": ""}, {}):
        answer = await both.come_back(browser, **said)
        assert answer.status == 422
        assert sentence(answer).startswith("This sign-in took too long, or was started in another browser")
    code, state = await both.leave(browser)
    stranger = both.site.browser()
    assert (await both.come_back(stranger, code=code, state=state)).status == 422, "a link sent to somebody else"
    both.site.clock.advance(10 * clock.MINUTE)
    assert (await both.come_back(browser, code=code, state=state)).status == 422, "too late"
    assert both.provider.asked.count("/token") == 0


async def test_a_callback_is_good_once(both: Both) -> None:
    browser = both.site.browser()
    code, state = await both.leave(browser)
    [cookie] = [each.value for each in browser.cookie_jar if each.name == "rm-oidc"]
    assert (await both.come_back(browser, code=code, state=state)).status == 303
    again = both.site.browser()
    again.set_cookie("localhost", "rm-oidc", cookie)
    answer = await both.come_back(again, code=code, state=state)
    assert sentence(answer) == (
        "The identity provider did not take the code: it was used already or is too old. Start again."
    )
    both.provider.used.clear()  # a provider that forgets what it gave out
    again.set_cookie("localhost", "rm-oidc", cookie)
    answer = await both.come_back(again, code=code, state=state)
    assert sentence(answer) == "This sign-in was used already. Start again."
    assert (await again.get("/jobs")).status_code == 303


async def test_a_code_that_was_made_for_another_sign_in_is_refused(both: Both) -> None:
    """PKCE: to slip one's own code into the callback of somebody signs nobody in."""
    mine, theirs = both.site.browser(), both.site.browser()
    code, _ = await both.leave(mine)
    _, state = await both.leave(theirs)
    answer = await both.come_back(theirs, code=code, state=state)
    assert answer.status == 422
    assert both.provider.wrong == [code]


async def test_the_answer_of_another_provider_is_refused(both: Both) -> None:
    browser = both.site.browser()
    code, state = await both.leave(browser)
    answer = await both.come_back(browser, code=code, state=state, iss="https://evil.example")
    assert sentence(answer) == "This answer came from another identity provider. Start again."
    code, state = await both.leave(browser)
    assert (await both.come_back(browser, code=code, state=state, iss=both.provider.issuer)).status == 303


async def test_a_provider_that_names_itself_in_answers_must_do_so(both: Both) -> None:
    both.provider.discovery = {"authorization_response_iss_parameter_supported": True}
    assert sentence(await both.sign_in()) == "This answer came from another identity provider. Start again."


@pytest.mark.parametrize(
    ("discovery", "why"),
    [
        ({"issuer": "https://evil.example"}, "it calls itself 'https://evil.example', and RM_OIDC_ISSUER says"),
        ({"jwks_uri": None}, "what is at RM_OIDC_ISSUER is no OpenID provider"),
        ({"token_endpoint": "ftp://x"}, "its discovery document names an address that is none"),
        (
            {"id_token_signing_alg_values_supported": ["none", "HS256"]},
            "it signs its tokens in no way that is safe here",
        ),
        ({"code_challenge_methods_supported": ["plain"]}, "it does not support PKCE with S256"),
    ],
)
async def test_a_provider_that_cannot_be_used_is_said_to_be(both: Both, discovery: dict[str, Any], why: str) -> None:
    both.provider.discovery = discovery
    answer = await reply(await both.site.browser().get("/login/oidc"))
    assert answer.status == 502
    assert sentence(answer).startswith(f"Signing in through the identity provider does not work: {why}")


async def test_a_provider_that_is_not_there_is_said_to_be_and_asked_again_later(tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path / "data", oidc_issuer="http://127.0.0.1:9", oidc_client_id="x", oidc_roles="a=admin"
    )
    async with open_site(settings) as site:
        answer = await reply(await site.browser().get("/login/oidc"))
        assert answer.status == 502
        assert "its discovery document cannot be fetched" in sentence(answer)


@pytest.mark.parametrize(
    ("token_answer", "words"),
    [
        ((401, b'{"error": "invalid_client"}'), "it does not take RM_OIDC_CLIENT_ID and RM_OIDC_CLIENT_SECRET"),
        ((500, b"<html>oops"), "it gives no token (HTTP 500)"),
        ((200, b"{}"), "it gives no token (HTTP 200)"),
        ((400, b'{"error": "<b>"}'), "it gives no token (an unknown error)"),
        ((200, b"x" * ((1 << 20) + 1)), "its token is too large"),
    ],
)
async def test_a_provider_that_gives_no_token_is_said_to_be(
    both: Both, token_answer: tuple[int, bytes], words: str
) -> None:
    both.provider.token_answer = token_answer
    answer = await both.sign_in()
    assert (answer.status, words in sentence(answer)) == (502, True), sentence(answer)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "ü.ü.ü", "eyJhbGciOiJSUzI1NiJ9.W10.AA", "." * 1000])
async def test_what_is_no_token_at_all_is_refused(both: Both, token: str) -> None:
    both.provider.token_answer = (200, json.dumps({"id_token": token}).encode())
    assert (await both.sign_in()).status == 422


async def test_nothing_secret_is_in_the_log(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await both.sign_in()
    both.provider.claims["nonce"] = "wrong"
    await both.sign_in()
    text = caplog.text + "".join(str(tuple(row)) for row in both.site.sql("SELECT * FROM audit"))
    for secret in (CLIENT_SECRET, "the-access-token", "eyJ", "code-0"):
        assert secret not in text


# ---- confirming who one is


async def test_what_is_delicate_asks_the_provider_again(both: Both) -> None:
    both.provider.claims["groups"] = ["admins"]
    browser = both.site.browser()
    await both.sign_in(browser, "/login/oidc?next=/")
    body = {"username": "kim", "password": PASSWORD, "role": "viewer"}
    asked = await browser.post("/settings/users", form=body)
    assert asked.status_code == 403, "a sign-in of which nobody knows when the user proved who they are"
    page = await asked.get_data(as_text=True)
    assert "Confirm at 127.0.0.1" in page
    [carried] = re.findall(r'name="carried_on" value="(.+?)"', page)
    too_early = await browser.post("/settings/users", form={"carried_on": carried, "password_again": ""})
    assert too_early.status_code == 422
    assert "Confirm at the identity provider first" in await too_early.get_data(as_text=True)

    code, state = await both.leave(browser, "/reauthenticate/provider?next=/reauthenticate/done")
    both.provider.claims["auth_time"] = clock.now() // clock.SECOND
    confirmed = await both.come_back(browser, code=code, state=state)
    assert (confirmed.status, confirmed.location) == (303, "/reauthenticate/done")
    assert (await browser.get("/reauthenticate/done")).status_code == 200
    done = await browser.post("/settings/users", form={"carried_on": carried, "password_again": ""})
    assert done.status_code == 303
    assert both.site.sql("SELECT 1 FROM users WHERE username = 'kim'")


@pytest.mark.parametrize(
    ("auth_time", "status", "words"),
    [
        (None, 502, "does not say when you signed in there"),
        (1_000_000_000, 422, "did not ask who you are"),
        ("now", 502, "does not say when you signed in there"),
    ],
)
async def test_a_confirmation_that_is_none_does_not_count(
    both: Both, auth_time: object, status: int, words: str
) -> None:
    both.provider.claims["groups"] = ["admins"]
    browser = both.site.browser()
    await both.sign_in(browser)
    url = (await browser.get("/reauthenticate/provider?next=/")).headers["Location"]
    query = parse_qs(urlsplit(url).query)
    assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
    both.provider.claims["auth_time"] = auth_time
    code, state = both.provider.authorize(url)
    answer = await both.come_back(browser, code=code, state=state)
    assert (answer.status, words in answer.text) == (status, True)
    assert (await browser.post("/settings/users", form={})).status_code == 403


async def test_confirming_as_somebody_else_does_not_count(both: Both) -> None:
    browser = both.site.browser()
    await both.sign_in(browser)
    code, state = await both.leave(browser, "/reauthenticate/provider?next=/")
    both.provider.claims |= {"sub": "subject-2", "auth_time": clock.now() // clock.SECOND}
    answer = await both.come_back(browser, code=code, state=state)
    assert (answer.status, "somebody else" in answer.text) == (403, True)


async def test_a_fresh_proof_at_the_sign_in_counts_for_as_long_as_a_password(both: Both) -> None:
    both.provider.claims |= {"groups": ["admins"], "auth_time": clock.now() // clock.SECOND}
    browser = both.site.browser()
    await both.sign_in(browser)
    assert (await browser.post("/api/tokens", json={"name": "a", "role": "viewer"})).status_code == 201
    both.site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    assert (await browser.post("/api/tokens", json={"name": "b", "role": "viewer"})).status_code == 403


# ---- passwords turned off, and no provider


async def test_with_passwords_turned_off_nobody_signs_in_with_one(tmp_path: Path) -> None:
    async with both_of(tmp_path, password_login=False) as both:
        await both.site.user()
        page = await (await both.site.browser().get("/login")).get_data(as_text=True)
        assert 'name="password"' not in page
        assert "Sign in with 127.0.0.1" in page
        answer = await both.site.browser().post("/login", form={"username": "anna", "password": PASSWORD})
        assert answer.status_code == 403
        assert "RM_PASSWORD_LOGIN" in await answer.get_data(as_text=True)
        assert (await both.sign_in()).status == 303


async def test_a_server_without_users_offers_the_provider_and_the_first_run(both: Both) -> None:
    page = await (await both.site.browser().get("/login")).get_data(as_text=True)
    assert "Create the first administrator" in page
    await both.sign_in()
    page = await (await both.site.browser().get("/login")).get_data(as_text=True)
    assert "Create the first administrator" not in page


async def test_without_a_provider_its_addresses_lead_nowhere(site: Site) -> None:
    await site.user()
    assert (await site.browser().get("/login/oidc")).status_code == 404
    assert (await site.browser().get("/login/oidc/callback")).status_code == 404
    browser = await site.log_in()
    answer = await browser.get("/reauthenticate/provider?next=/jobs")
    assert answer.headers["Location"].startswith("/reauthenticate?next=")
