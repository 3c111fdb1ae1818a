"""What was refused is in the audit trail, and a flood of it pushes nothing out."""

import csv
import io
from typing import Any

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.made_tokens import CreateApiToken
from rmactors.server.store.audit import REFUSALS_OF_ALL, REFUSALS_OF_AN_ADDRESS
from tests.web.conftest import PASSWORD, Site


def failed(site: Site, action: str = "") -> list[dict[str, Any]]:
    query = "SELECT * FROM audit WHERE result = 'failed' AND (? = '' OR action = ?) ORDER BY n"
    return [dict(row) for row in site.sql(query, action, action)]


async def shown(site: Site, action: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await site.get(f"/api/audit?limit=200&action={action}", role="admin"))["items"]
    return [row for row in found if row["result"] == "failed"]


async def test_a_role_that_is_too_weak_leaves_a_row(site: Site) -> None:
    await site.user("anna", "viewer")
    browser = await site.log_in()
    assert (await site.api("DELETE", f"/api/hosts/{ids.new()}", role="operator")).status == 403
    assert (await browser.get("/settings/users")).status_code == 403
    rows = [(row["actor"], row["actor_kind"], row["target_id"], row["detail"]) for row in failed(site, "access.refuse")]
    assert rows == [
        ("token:the operator", "token", "DELETE /api/hosts/<host_id>", "takes admin, has operator"),
        ("anna", "user", "GET /settings/users", "takes admin, has viewer"),
    ]
    assert all(row["address"] for row in failed(site))


async def test_another_site_that_acts_with_somebodys_session_leaves_a_row(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert (await browser.post("/api/tokens", json={}, headers=foreign)).status_code == 403
    [row] = failed(site)
    assert (row["action"], row["actor"], row["detail"]) == ("access.refuse", "anna", "comes from another site")
    assert (await site.browser().post("/login", form={}, headers=foreign)).status_code == 403
    assert len(failed(site)) == 1, "who is nobody acted for nobody"


async def test_a_wrong_api_token_leaves_a_row_without_the_token(site: Site) -> None:
    sent = ["rma_" + "x" * 43, "my password, pasted", tokens.make(tokens.API)]
    for token in sent:
        assert (
            await site.browser().get("/api/alerts", headers={"Authorization": f"Bearer {token}"})
        ).status_code == 401
    old = tokens.make(tokens.API)
    ended = site.clock() - clock.SECOND
    await site.commit(
        CreateApiToken(ids.new(), "old", "viewer", "rma_o", tokens.digest(old), 0, ended, site.audit("token.create"))
    )
    await site.browser().get("/alerts", headers={"Authorization": f"Bearer {old}"})
    rows = [(row["action"], row["actor"], row["detail"]) for row in failed(site)]
    assert rows == [("token.use", "unknown", "no such token")] * 3 + [("token.use", "token:old", "has expired")]
    assert not any(part in str(failed(site)) for part in (*sent, old, "pasted", "xxxx"))
    assert (await site.browser().get("/api/alerts")).status_code == 401
    assert len(failed(site)) == 4, "who shows nothing has tried nothing"


async def test_a_wrong_setup_token_leaves_a_row(site: Site) -> None:
    form = {"setup_token": "rmu_wrong", "username": "anna", "password": PASSWORD}
    assert (await site.browser().post("/setup", form=form)).status_code == 422
    [row] = failed(site)
    assert (row["action"], row["actor"], row["target_kind"]) == ("setup_token.use", "unknown", "setup_token")
    assert "rmu_wrong" not in str(row)


async def test_a_change_of_a_user_says_from_what_to_what(site: Site) -> None:
    await site.user("boss")
    user_id = await site.user("anna", "viewer")
    change = {"username": "anne", "role": "operator", "disabled": True, "password": "another good phrase"}
    assert (await site.api("PATCH", f"/api/users/{user_id}", change)).status == 200
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'user.update'")
    assert row["detail"] == "anna: username anna → anne, password, role viewer → operator, disabled no → yes"
    await site.api("DELETE", f"/api/users/{user_id}")
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'user.delete'")
    assert row["detail"] == "anne"


async def test_an_address_has_so_many_rows_an_hour_and_the_rest_is_counted_in_one(site: Site) -> None:
    site.clock.advance(clock.HOUR - site.clock() % clock.HOUR)
    more = 37
    for _ in range(REFUSALS_OF_AN_ADDRESS + more):
        await site.browser().get("/api/alerts", headers={"Authorization": "Bearer wrong"})
    rows = await shown(site, "token.use")
    assert len(rows) == REFUSALS_OF_AN_ADDRESS + 1
    assert rows[0]["detail"] == f"{more} more in the same hour, counted only"
    assert (rows[0]["actor"], rows[0]["address"]) == ("restic-manager", rows[1]["address"])
    assert (await site.api("GET", "/api/users", role="viewer")).status == 403
    assert len(await shown(site, "access.refuse")) == 1, "another kind has room of its own"
    site.clock.advance(clock.HOUR)
    await site.browser().get("/api/alerts", headers={"Authorization": "Bearer wrong"})
    rows = await shown(site, "token.use")
    assert len(rows) == REFUSALS_OF_AN_ADDRESS + 2
    assert rows[0]["detail"] == "no such token"


async def test_many_addresses_have_no_more_rows_than_all_may_have(site: Site) -> None:
    at = site.clock() // clock.HOUR * clock.HOUR

    def row(n: int, address: str, result: str = "failed") -> AppendAudit:
        return AppendAudit(Audit(at + n, "unknown", "user", "user.login", "user", "", address, result))

    for n in range(REFUSALS_OF_ALL + 50):
        await site.commit(row(n, f"192.0.{n // 250}.{n % 250}"))
    await site.commit(*(row(n, f"2001:db8::{n:x}") for n in range(50)))
    await site.commit(*(row(n, "192.0.2.1", "ok") for n in range(5)))
    rows = await shown(site, "user.login")
    assert len(failed(site)) == REFUSALS_OF_ALL + 1
    assert (rows[0]["detail"], rows[0]["address"]) == ("100 more in the same hour, counted only", "")
    assert len(site.sql("SELECT 1 FROM audit WHERE action = 'user.login' AND result = 'ok'")) == 5


async def test_one_net_of_ipv6_is_one_address(site: Site) -> None:
    at = site.clock()
    for n in range(REFUSALS_OF_AN_ADDRESS + 5):
        row = Audit(at, "unknown", "user", "user.login", "user", "", f"2001:db8::{n:x}", "failed")
        await site.commit(AppendAudit(row))
    assert len(failed(site)) == REFUSALS_OF_AN_ADDRESS + 1


async def test_what_is_counted_no_more_is_forgotten_and_what_a_row_stands_for_goes_with_it(site: Site) -> None:
    at = site.clock()

    def row(when: int, address: str) -> AppendAudit:
        return AppendAudit(Audit(when, "unknown", "user", "user.login", "user", "", address, "failed"))

    for _ in range(REFUSALS_OF_AN_ADDRESS + 1):
        await site.commit(row(at, "192.0.2.1"))
    await site.commit(row(at, "192.0.2.2"))
    assert len(site.sql("SELECT 1 FROM refusals")) == 3
    await site.commit(row(at + 2 * clock.HOUR, "192.0.2.3"))
    kept = [(row["address"], row["left_out"]) for row in site.sql("SELECT * FROM refusals ORDER BY hour, address")]
    assert kept == [("192.0.2.1", 1), ("", 0), ("192.0.2.3", 0)]
    [stands] = site.sql("SELECT audit_id FROM refusals WHERE audit_id IS NOT NULL")
    connection_rows = site.sql("SELECT 1 FROM audit WHERE id = ?", stands["audit_id"])
    assert len(connection_rows) == 1


async def test_the_file_is_safe_to_open_in_a_spreadsheet(site: Site) -> None:
    await site.user()
    detail = "\r\n\t =HYPERLINK(1)"
    await site.commit(AppendAudit(Audit(site.clock(), "@boss", "user", "x.y", "x", "-1", "", "ok", detail)))
    browser = await site.log_in()
    answer = await browser.get("/audit.csv?action=x.y")
    text = await answer.get_data(as_text=True)
    [_, row] = csv.reader(io.StringIO(text, newline=""))
    assert (row[1], row[5], row[8]) == ("'@boss", "'-1", f"'{detail}")
