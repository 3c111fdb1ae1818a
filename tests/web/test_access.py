"""Who may do what: the whole matrix of roles and routes, and the order in which a request is refused."""

import re

import pytest

from rmactors import ids
from rmactors.vocabulary import ROLES, Role
from rmactors.web import access
from rmactors.web.access import Need
from tests.web.conftest import Site

CONTRACT: dict[tuple[str, str], Need] = {
    ("GET", "/healthz"): "public",
    ("GET", "/metrics"): "viewer",
    ("GET", "/events"): "viewer",
    ("GET", "/api/openapi.json"): "viewer",
    ("POST", "/api/enrollment-tokens"): "admin",
    ("GET", "/api/hosts"): "viewer",
    ("GET", "/api/hosts/{id}"): "viewer",
    ("PATCH", "/api/hosts/{id}"): "admin",
    ("DELETE", "/api/hosts/{id}"): "admin",
    ("POST", "/api/hosts/{id}/rotate-token"): "admin",
    ("GET", "/api/hosts/{id}/schedules"): "viewer",
    ("POST", "/api/hosts/{id}/schedules"): "operator",
    ("GET", "/api/schedules/{id}"): "viewer",
    ("PATCH", "/api/schedules/{id}"): "operator",
    ("DELETE", "/api/schedules/{id}"): "operator",
    ("POST", "/api/hosts/{id}/jobs"): "operator",
    ("GET", "/api/jobs"): "viewer",
    ("GET", "/api/jobs/{id}"): "viewer",
    ("GET", "/api/jobs/{id}/log"): "viewer",
    ("POST", "/api/jobs/{id}/cancel"): "operator",
    ("GET", "/api/alerts"): "viewer",
    ("GET", "/api/alerts/{id}"): "viewer",
    ("POST", "/api/alerts/{id}/acknowledge"): "operator",
    ("POST", "/api/alerts/{id}/resolve"): "operator",
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
"""What the contract says of the routes that programs use. Pages are held to the rules of `test_every_page…`."""

PUBLIC_PAGES = {"/login", "/login/second-factor", "/logout", "/setup"}


def spelled(path: str) -> str:
    return re.sub(r"<[^>]+>", "{id}", path)


async def test_the_table_says_what_the_contract_says(site: Site) -> None:
    for_programs = {
        (method, spelled(rule.path)): rule.need
        for (_, method), rule in access.ROUTES.items()
        if rule.path.startswith("/api/") or rule.path in ("/healthz", "/metrics", "/events")
    }
    assert for_programs == CONTRACT


async def test_every_route_of_the_application_is_in_the_table(site: Site) -> None:
    missing = [
        (rule.endpoint, method)
        for rule in site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if (rule.endpoint, method) not in access.ROUTES
    ]
    assert missing == []


async def test_every_page_that_is_not_for_signing_in_needs_a_role(site: Site) -> None:
    public = {rule.path for rule in access.ROUTES.values() if rule.need == "public"}
    assert public <= PUBLIC_PAGES | {"/healthz", "/static/<path:filename>", "/favicon.ico", "/robots.txt"}


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
    for (_, method), rule in access.ROUTES.items():
        path = spelled(rule.path)
        if (method, path) in CONTRACT or rule.need == "public":
            continue
        headers = {"Authorization": f"Bearer {site.tokens[role]}"} if role is not None else {}
        url = path.replace("{id}", ids.new())
        answer = await site.app.test_client().open(url, method=method, headers=headers)
        if role is None:
            expected = answer.status_code == 303 and answer.headers["Location"].startswith("/login?next=")
        elif rule.need == "signed_in" or ROLES.index(role) >= ROLES.index(rule.need):
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
