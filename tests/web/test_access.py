"""Who may do what: the whole matrix of roles and routes, and the order in which a request is refused."""

import re

import pytest

from rmactors.common import clock, ids
from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.web import access
from rmactors.server.web.access import Need
from tests.web.conftest import Site

CONTRACT: dict[tuple[str, str], Need] = {
    ("GET", "/healthz"): "public",
    ("GET", "/livez"): "public",
    ("GET", "/metrics"): "viewer",
    ("GET", "/events"): "viewer",
    ("GET", "/api/openapi.json"): "viewer",
    ("GET", "/api/enrollment-tokens"): "admin",
    ("POST", "/api/enrollment-tokens"): "admin",
    ("DELETE", "/api/enrollment-tokens/{id}"): "admin",
    ("POST", "/api/configuration/check"): "viewer",
    ("GET", "/api/hosts"): "viewer",
    ("GET", "/api/hosts/{id}"): "viewer",
    ("PATCH", "/api/hosts/{id}"): "admin",
    ("DELETE", "/api/hosts/{id}"): "admin",
    ("POST", "/api/hosts/{id}/rotate-token"): "admin",
    ("POST", "/api/hosts/{id}/enrollment-token"): "admin",
    ("GET", "/api/hosts/{id}/schedules"): "viewer",
    ("POST", "/api/hosts/{id}/schedules"): "operator",
    ("GET", "/api/schedules/{id}"): "viewer",
    ("PATCH", "/api/schedules/{id}"): "operator",
    ("DELETE", "/api/schedules/{id}"): "operator",
    ("POST", "/api/hosts/{id}/jobs"): "operator",
    ("POST", "/api/jobs/bulk"): "operator",
    ("GET", "/api/policies"): "viewer",
    ("POST", "/api/policies"): "operator",
    ("GET", "/api/policies/{id}"): "viewer",
    ("PATCH", "/api/policies/{id}"): "operator",
    ("DELETE", "/api/policies/{id}"): "operator",
    ("GET", "/api/backups"): "viewer",
    ("GET", "/api/hosts/{id}/snapshots"): "operator",
    ("POST", "/api/hosts/{id}/browse"): "operator",
    ("POST", "/api/hosts/{id}/find"): "operator",
    ("POST", "/api/hosts/{id}/diff"): "operator",
    ("POST", "/api/hosts/{id}/restore-preview"): "operator",
    ("GET", "/api/repositories"): "viewer",
    ("GET", "/api/repositories/{id}"): "viewer",
    ("POST", "/api/repositories/{id}/refresh"): "operator",
    ("GET", "/api/nodes"): "viewer",
    ("GET", "/api/jobs"): "viewer",
    ("GET", "/api/jobs/{id}"): "viewer",
    ("GET", "/api/jobs/{id}/log"): "viewer",
    ("POST", "/api/jobs/{id}/cancel"): "operator",
    ("GET", "/api/alerts"): "viewer",
    ("POST", "/api/alerts/bulk"): "operator",
    ("GET", "/api/alerts/{id}"): "viewer",
    ("POST", "/api/alerts/{id}/acknowledge"): "operator",
    ("POST", "/api/alerts/{id}/resolve"): "operator",
    ("GET", "/api/status-pages"): "viewer",
    ("GET", "/api/status-pages/{id}"): "viewer",
    ("POST", "/api/status-pages"): "operator",
    ("DELETE", "/api/status-pages/{id}"): "operator",
    ("GET", "/api/silences"): "viewer",
    ("GET", "/api/silences/{id}"): "viewer",
    ("POST", "/api/silences"): "operator",
    ("DELETE", "/api/silences/{id}"): "operator",
    ("GET", "/api/notifications"): "viewer",
    ("POST", "/api/notifications"): "admin",
    ("GET", "/api/notifications/{id}"): "viewer",
    ("PUT", "/api/notifications/{id}"): "admin",
    ("DELETE", "/api/notifications/{id}"): "admin",
    ("POST", "/api/notifications/{id}/test"): "operator",
    ("POST", "/api/notifications/preview"): "admin",
    ("POST", "/api/deliveries/{id}/retry"): "operator",
    ("POST", "/api/deliveries/{id}/dismiss"): "operator",
    ("GET", "/api/notifications/{id}/log"): "viewer",
    ("GET", "/api/users"): "admin",
    ("POST", "/api/users"): "admin",
    ("GET", "/api/users/{id}"): "admin",
    ("PATCH", "/api/users/{id}"): "admin",
    ("DELETE", "/api/users/{id}"): "admin",
    ("GET", "/api/tokens"): "admin",
    ("POST", "/api/tokens"): "admin",
    ("DELETE", "/api/tokens/{id}"): "admin",
    ("GET", "/api/audit"): "admin",
    ("GET", "/api/sessions"): "signed_in",
    ("DELETE", "/api/sessions/{id}"): "signed_in",
    ("POST", "/api/account/password"): "signed_in",
}
"""What the contract says of the routes that programs use."""

PAGES: dict[tuple[str, str], Need] = {
    ("GET", "/"): "viewer",
    ("GET", "/act/{id}"): "public",
    ("POST", "/act/{id}"): "public",
    ("POST", "/account/theme"): "public",
    ("POST", "/account/timezone"): "signed_in",
    ("GET", "/account/zones"): "signed_in",
    ("GET", "/calendar"): "viewer",
    ("GET", "/alerts"): "viewer",
    ("GET", "/alerts.csv"): "viewer",
    ("POST", "/alerts/acknowledge"): "operator",
    ("POST", "/alerts/resolve"): "operator",
    ("GET", "/alerts/{id}"): "viewer",
    ("POST", "/alerts/{id}/acknowledge"): "operator",
    ("POST", "/alerts/{id}/resolve"): "operator",
    ("GET", "/audit"): "admin",
    ("GET", "/audit.csv"): "admin",
    ("GET", "/backups"): "viewer",
    ("GET", "/backups.csv"): "viewer",
    ("POST", "/deliveries/{id}/retry"): "operator",
    ("POST", "/deliveries/{id}/dismiss"): "operator",
    ("POST", "/settings/notifications/{id}/dismiss"): "operator",
    ("GET", "/hosts"): "viewer",
    ("GET", "/hosts.csv"): "viewer",
    ("GET", "/hosts/arrived"): "viewer",
    ("GET", "/hosts/names"): "viewer",
    ("GET", "/hosts/new"): "admin",
    ("POST", "/hosts/new"): "admin",
    ("POST", "/hosts/new/tokens/{id}/delete"): "admin",
    ("GET", "/hosts/{id}"): "viewer",
    ("POST", "/hosts/bulk"): "operator",
    ("POST", "/hosts/bulk/delete"): "admin",
    ("POST", "/hosts/{id}"): "admin",
    ("POST", "/hosts/{id}/delete"): "admin",
    ("POST", "/hosts/{id}/rotate-token"): "admin",
    ("GET", "/hosts/{id}/credential"): "admin",
    ("POST", "/hosts/{id}/enrollment-token"): "admin",
    ("POST", "/hosts/{id}/run"): "operator",
    ("GET", "/hosts/{id}/snapshots"): "operator",
    ("GET", "/hosts/{id}/snapshots/{id}"): "operator",
    ("GET", "/hosts/{id}/changes"): "operator",
    ("GET", "/hosts/{id}/find"): "operator",
    ("POST", "/hosts/{id}/find"): "operator",
    ("GET", "/hosts/{id}/restore"): "operator",
    ("POST", "/hosts/{id}/restore"): "operator",
    ("POST", "/hosts/{id}/restore/start"): "operator",
    ("GET", "/hosts/{id}/schedules/new"): "operator",
    ("POST", "/hosts/{id}/schedules/new"): "operator",
    ("GET", "/policies"): "viewer",
    ("GET", "/policies/new"): "operator",
    ("POST", "/policies/new"): "operator",
    ("GET", "/policies/{id}"): "viewer",
    ("GET", "/policies/{id}/edit"): "operator",
    ("POST", "/policies/{id}/edit"): "operator",
    ("GET", "/policies/{id}/delete"): "operator",
    ("POST", "/policies/{id}/delete"): "operator",
    ("GET", "/repositories"): "viewer",
    ("GET", "/repositories.csv"): "viewer",
    ("GET", "/repositories/{id}"): "viewer",
    ("POST", "/repositories/{id}/refresh"): "operator",
    ("GET", "/jobs"): "viewer",
    ("GET", "/jobs.csv"): "viewer",
    ("GET", "/jobs/{id}"): "viewer",
    ("POST", "/jobs/{id}/cancel"): "operator",
    ("GET", "/login"): "public",
    ("POST", "/login"): "public",
    ("GET", "/login/oidc"): "public",
    ("GET", "/login/oidc/callback"): "public",
    ("POST", "/login/passkey"): "public",
    ("POST", "/login/passkey/options"): "public",
    ("GET", "/login/second-factor"): "public",
    ("POST", "/login/second-factor"): "public",
    ("POST", "/login/second-factor/passkey"): "public",
    ("POST", "/login/second-factor/passkey/options"): "public",
    ("POST", "/logout"): "public",
    ("GET", "/reauthenticate"): "signed_in",
    ("POST", "/reauthenticate"): "signed_in",
    ("GET", "/reauthenticate/done"): "signed_in",
    ("POST", "/reauthenticate/passkey"): "signed_in",
    ("POST", "/reauthenticate/passkey/options"): "signed_in",
    ("GET", "/reauthenticate/provider"): "signed_in",
    ("GET", "/schedules/preview"): "operator",
    ("GET", "/schedules/{id}"): "operator",
    ("POST", "/schedules/{id}"): "operator",
    ("POST", "/schedules/{id}/delete"): "operator",
    ("GET", "/settings"): "viewer",
    ("GET", "/settings/authentication"): "signed_in",
    ("POST", "/settings/authentication/passkeys"): "signed_in",
    ("POST", "/settings/authentication/passkeys/options"): "signed_in",
    ("POST", "/settings/authentication/passkeys/{id}/delete"): "signed_in",
    ("POST", "/settings/authentication/password"): "signed_in",
    ("POST", "/settings/authentication/push"): "viewer",
    ("POST", "/settings/authentication/push/{id}/delete"): "viewer",
    ("POST", "/settings/authentication/second-factor"): "signed_in",
    ("POST", "/settings/authentication/sessions/{id}/end"): "signed_in",
    ("GET", "/settings/notifications"): "viewer",
    ("GET", "/settings/notifications/new"): "admin",
    ("POST", "/settings/notifications/new"): "admin",
    ("POST", "/settings/notifications/preview"): "admin",
    ("GET", "/settings/notifications/{id}/delete"): "admin",
    ("POST", "/settings/notifications/{id}/delete"): "admin",
    ("GET", "/settings/notifications/{id}/edit"): "admin",
    ("POST", "/settings/notifications/{id}/edit"): "admin",
    ("GET", "/settings/notifications/{id}/log"): "viewer",
    ("POST", "/settings/notifications/{id}/test"): "operator",
    ("POST", "/settings/tokens"): "admin",
    ("POST", "/settings/tokens/{id}/delete"): "admin",
    ("GET", "/settings/users"): "admin",
    ("POST", "/settings/users"): "admin",
    ("GET", "/settings/users/{id}"): "admin",
    ("POST", "/settings/users/{id}"): "admin",
    ("POST", "/settings/users/{id}/delete"): "admin",
    ("GET", "/setup"): "public",
    ("POST", "/setup"): "public",
    ("GET", "/settings/nodes"): "viewer",
    ("GET", "/settings/status"): "viewer",
    ("POST", "/settings/status"): "operator",
    ("POST", "/settings/status/{id}/delete"): "operator",
    ("GET", "/status/{id}"): "public",
    ("GET", "/status/{id}.json"): "public",
    ("GET", "/status/{id}/badge.svg"): "public",
    ("GET", "/shell/badge"): "viewer",
    ("GET", "/silences"): "viewer",
    ("POST", "/silences"): "operator",
    ("POST", "/silences/{id}/delete"): "operator",
}
"""The same of pages, their forms and the parts of them."""

ASSETS: dict[tuple[str, str], Need] = {
    ("GET", "/manifest.webmanifest"): "public",
    ("GET", "/sw.js"): "public",
    ("GET", "/static/{id}"): "public",
    ("OPTIONS", "/static/{id}"): "public",
}

PROVEN = {
    ("POST", "/api/users"), ("PATCH", "/api/users/{id}"), ("POST", "/settings/users"), ("POST", "/settings/users/{id}"),
    ("POST", "/api/tokens"), ("POST", "/settings/tokens"),
    ("POST", "/api/enrollment-tokens"), ("POST", "/hosts/new"),
    ("POST", "/api/hosts/{id}/rotate-token"), ("POST", "/hosts/{id}/rotate-token"),
    ("POST", "/api/hosts/{id}/enrollment-token"), ("POST", "/hosts/{id}/enrollment-token"),
    ("POST", "/settings/authentication/second-factor"), ("POST", "/settings/authentication/push"),
    ("POST", "/settings/authentication/passkeys"), ("POST", "/settings/authentication/passkeys/options"),
    ("POST", "/api/notifications"), ("PUT", "/api/notifications/{id}"),
    ("POST", "/settings/notifications/new"), ("POST", "/settings/notifications/{id}/edit"),
}  # fmt: skip
"""What a session may do only soon after its password was shown, besides every deletion."""

UNPROVEN = {("DELETE", "/api/sessions/{id}")}
"""Signing oneself out elsewhere: anyone who needs that is in a hurry, and it takes rights away, it gives none."""


def spelled(path: str) -> str:
    return re.sub(r"<[^>]+>", "{id}", path)


async def test_the_table_says_what_the_contract_says() -> None:
    """A route that is new, or whose role has changed, is not in the matrix until it stands here."""
    table = {(method, spelled(rule.path)): rule.need for (_, method), rule in access.ROUTES.items()}
    assert table == CONTRACT | PAGES | ASSETS


async def test_what_is_delicate_wants_a_fresh_password_of_a_session_and_nothing_else_does(site: Site) -> None:
    await site.user()
    everything = CONTRACT | PAGES
    deletions = {(method, path) for method, path in everything if method == "DELETE" or path.endswith("/delete")}
    delicate = {key for key in PROVEN | deletions if key[0] != "GET"} - UNPROVEN
    assert delicate == {(method, spelled(rule.path)) for (_, method), rule in access.ROUTES.items() if rule.fresh}
    browser = await site.log_in()
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    for method, path in everything:
        if method == "GET" or path in ("/logout", "/login", "/setup"):
            continue
        answer = await browser.open(path.replace("{id}", ids.new()), method=method)
        asked = answer.status_code == 403 and b"Confirm your password" in await answer.get_data(as_text=False)
        assert asked == ((method, path) in delicate), f"{method} {path}: {answer.status_code}"


async def test_every_route_of_the_application_is_in_the_table(site: Site) -> None:
    missing = [
        (rule.endpoint, method)
        for rule in site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if (rule.endpoint, method) not in access.ROUTES
    ]
    assert missing == []


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_each_role_reaches_what_it_may_and_nothing_else(site: Site, role: Role | None) -> None:
    wrong = []
    for (method, path), need in CONTRACT.items():
        url = path.replace("{id}", ids.new())
        if url in ("/events", "/metrics") and role is not None:
            continue  # a stream without an end; metrics are the whole process's
        headers = {"Authorization": f"Bearer {site.tokens[role]}"} if role is not None else {}
        answer = await site.app.test_client().open(url, method=method, headers=headers, data=b"[]")
        if need == "public":
            expected = answer.status_code == 200
        elif role is None:
            expected = answer.status_code == 401
        elif need == "signed_in" or ROLES.index(role) >= ROLES.index(need):
            expected = answer.status_code in (200, 201, 202, 204, 400, 404, 422) or path == "/api/account/password"
        else:
            expected = answer.status_code == 403
        if not expected:
            wrong.append((method, path, role, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", [None, *ROLES])
async def test_each_role_reaches_the_pages_that_it_may_and_no_others(site: Site, role: Role | None) -> None:
    wrong = []
    for (method, path), need in PAGES.items():
        if need == "public":
            continue
        headers = {"Authorization": f"Bearer {site.tokens[role]}"} if role is not None else {}
        url = path.replace("{id}", ids.new())
        answer = await site.app.test_client().open(url, method=method, headers=headers)
        if role is None:
            expected = answer.status_code == 303 and answer.headers["Location"].startswith("/login?next=")
        elif need == "signed_in" or ROLES.index(role) >= ROLES.index(need):
            expected = answer.status_code not in (401, 403)
        else:
            expected = answer.status_code == 403
        if not expected:
            wrong.append((method, path, role, answer.status_code))
    assert wrong == []


async def test_a_stranger_does_not_learn_which_routes_exist(site: Site) -> None:
    browser = site.browser()
    assert (await browser.get("/api/no/such/thing")).status_code == 401
    assert (await browser.put("/api/alerts")).status_code == 401
    assert (await site.api("GET", "/api/no/such/thing")).status == 404
    put = await site.api("PUT", "/api/alerts")
    assert (put.status, put.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_request_is_refused_in_the_order_of_the_contract(site: Site) -> None:
    """401 → 403 → 413 → 400 → 404 → 422 → 409, each hidden behind the one before."""
    alert = f"/api/alerts/{ids.new()}/acknowledge"
    too_big = b" " * ((1 << 20) + 1)
    nobody = await site.app.test_client().post(alert, data=too_big)
    assert nobody.status_code == 401
    assert (await site.api("POST", alert, raw=too_big, role="viewer")).status == 403
    assert (await site.api("POST", alert, raw=too_big, role="operator")).status == 413
    assert (await site.api("POST", alert, raw=b"{", role="operator")).status == 400
    assert (await site.api("POST", alert, {"note": 5}, role="operator")).status == 404
    host = await site.enroll("nas1")
    await site.enroll("nas2")
    assert (await site.api("PATCH", f"/api/hosts/{host}", {"name": "nas2", "nmae": "x"})).status == 422
    assert (await site.api("PATCH", f"/api/hosts/{host}", {"name": "nas2"})).status == 409


async def test_a_body_of_one_mebibyte_is_still_read(site: Site) -> None:
    body = b'{"ttl_minutes": 5}'.ljust(1 << 20)
    assert (await site.api("POST", "/api/enrollment-tokens", raw=body)).status == 201


async def test_where_anybody_may_send_a_body_it_is_a_small_one(site: Site) -> None:
    client = site.app.test_client()
    for path in ("/login", "/setup"):
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await client.post(path, data=b"next=".ljust(65_536, b"a"), headers=sent)).status_code != 413
        assert (await client.post(path, data=b"next=".ljust(65_537, b"a"), headers=sent)).status_code == 413


@pytest.mark.parametrize(
    "path", ["/api/alerts/x", "/api/alerts/" + "Z" * 26, "/api/jobs/%00", "/api/hosts/" + "a" * 500]
)
async def test_an_unknown_and_a_malformed_id_are_both_404(site: Site, path: str) -> None:
    answer = await site.api("GET", path)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("token", ["", "x", "rma_x", "rms_" + "x" * 43, "ü", "a b"])
async def test_a_wrong_token_is_a_401_also_beside_a_good_cookie(site: Site, token: str) -> None:
    await site.user()
    browser = await site.log_in()
    answer = await browser.get("/api/alerts", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_browser_without_a_session_is_sent_to_the_login_and_back(site: Site) -> None:
    browser = site.browser()
    plain = await browser.get("/alerts?status=all&q=a%20b")
    assert plain.status_code == 303
    assert plain.headers["Location"] == "/login?next=/alerts%3Fstatus%3Dall%26q%3Da%2520b"
    htmx = {"HX-Request": "true", "HX-Current-URL": "http://localhost:8080/alerts?status=all", "Host": "localhost:8080"}
    fragment = await browser.get("/alerts", headers=htmx)
    assert fragment.status_code == 401
    assert fragment.headers["HX-Redirect"] == "/login?next=/alerts%3Fstatus%3Dall"
    program = await browser.post(f"/api/notifications/{ids.new()}/test", headers=htmx)
    assert program.status_code == 401
    assert program.headers["HX-Redirect"] == "/login?next=/alerts%3Fstatus%3Dall"
