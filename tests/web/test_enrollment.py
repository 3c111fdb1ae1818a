"""Tokens for several hosts and for one host again, through API and pages: what they give, and what is said of it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.store.queries.credentials import Credential, find_credential
from tests.web.conftest import Site


async def credential(site: Site, token: str) -> Credential | None:
    return await site.services.reader.run(find_credential, tokens.digest(token), site.clock())


async def use(site: Site, token: str, name: str) -> None:
    """As the gateway does."""
    found = await credential(site, token)
    assert found is not None
    assert found.enrollment_id is not None
    host_id = ids.new()
    await site.commit(
        EnrollHost(found.enrollment_id, host_id, name, name, "linux", "x86_64", "0.1", host_id, site.clock(), "")
    )


async def test_a_token_for_several_hosts_shows_how_many_uses_are_left(site: Site) -> None:
    made = await site.post("/api/enrollment-tokens", {"uses": 2, "tags": ["db", "berlin", "db"]})
    assert set(made) == {"token", "expires_at"}
    for n, left in ((0, 2), (1, 1), (2, 0)):
        [shown] = (await site.get("/api/enrollment-tokens", "admin"))["items"]
        assert (shown["uses"], shown["uses_left"], shown["tags"]) == (2, left, ["db", "berlin"])
        assert ((shown["used_at"] is None), shown["host_id"]) == (n == 0, None)
        if n < 2:
            await use(site, made["token"], f"db-{n}")
    assert await credential(site, made["token"]) is None
    hosts = (await site.get("/api/hosts"))["items"]
    assert [(host["name"], host["tags"]) for host in hosts] == [(f"db-{n}", ["db", "berlin"]) for n in range(2)]
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'enrollment_token.create'")
    assert row["detail"] == "for 2 hosts, tags db berlin"


@pytest.mark.parametrize(
    "body",
    [
        {"uses": 0}, {"uses": 10_001}, {"uses": 1.5}, {"uses": "2"}, {"uses": None}, {"uses": True},
        {"tags": "db"}, {"tags": [""]}, {"tags": ["x" * 101]}, {"tags": ["two\nlines"]}, {"tags": [1]},
        {"tags": ["t"] * 101}, {"host_id": "x"},
    ],
)  # fmt: skip
async def test_a_token_that_cannot_be_is_a_422(site: Site, body: dict[str, Any]) -> None:
    assert (await site.api("POST", "/api/enrollment-tokens", body)).status == 422
    assert site.sql("SELECT 1 FROM enrollment_tokens") == []


async def test_a_token_for_a_host_leaves_its_credential_until_it_is_used(site: Site) -> None:
    host_id = await site.enroll("db-03")
    old = site.sql("SELECT token_hash FROM hosts")[0]["token_hash"]
    answer = await site.api("POST", f"/api/hosts/{host_id}/enrollment-token")
    assert (answer.status, set(answer.json)) == (201, {"token", "expires_at"})
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] == old
    [shown] = [item for item in (await site.get("/api/enrollment-tokens", "admin"))["items"] if item["host_id"]]
    assert (shown["host_id"], shown["uses_left"]) == (host_id, 1)
    await use(site, answer.json["token"], "debian")
    [host] = (await site.get("/api/hosts"))["items"]
    assert (host["id"], host["name"]) == (host_id, "db-03")
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] != old


async def test_a_token_for_a_host_needs_the_host_and_an_admin(site: Site) -> None:
    host_id = await site.enroll()
    assert (await site.api("POST", f"/api/hosts/{ids.new()}/enrollment-token")).status == 404
    assert (await site.api("POST", "/api/hosts/x/enrollment-token")).status == 404
    assert (await site.api("POST", f"/api/hosts/{host_id}/enrollment-token", {"uses": 2})).status == 422
    assert (await site.api("POST", f"/api/hosts/{host_id}/enrollment-token", {"ttl_minutes": 0})).status == 422
    assert (await site.api("POST", f"/api/hosts/{host_id}/enrollment-token", role="operator")).status == 403


# ---- pages


async def page(site: Site, path: str, form: dict[str, str] | None = None, status: int = 200) -> str:
    if not site.sql("SELECT 1 FROM users"):
        await site.user("boss")
    browser = await site.log_in("boss")
    answer = await (browser.get(path) if form is None else browser.post(path, form=form))
    assert answer.status_code == status
    text: str = await answer.get_data(as_text=True)
    return text


def reachable(site: Site) -> None:
    settings = replace(site.services.settings, agent_url="wss://agents.example.org")
    object.__setattr__(site.services, "settings", settings)


async def test_the_page_says_what_to_set_where_other_machines_cannot_connect(site: Site) -> None:
    text = await page(site, "/hosts/new")
    assert "Other machines cannot connect yet." in text
    assert re.search(r"RM_AGENT_LISTEN=0\.0\.0\.0:\d+\nRM_AGENT_URL=ws://", text)
    made = await page(site, "/hosts/new", {"uses": "3"})
    assert "On this server's machine only" in made
    assert "#cloud-config" not in made, "nothing to copy to machines that it would not work on"


async def test_the_page_has_what_enrolls_machines_that_nobody_sits_at(site: Site) -> None:
    reachable(site)
    made = await page(site, "/hosts/new", {"uses": "40", "tags": "db, berlin", "ttl": "1440"})
    [token] = set(re.findall(r"rme_[\w-]{43}", made))
    assert "Other machines cannot connect" not in made
    assert re.search(r"The token enrolls 40 hosts and expires in (23 h|24 h|1 d)", made)
    assert f"      {token}\n" in made[made.index("#cloud-config") :]
    assert "rmactors_server: wss://agents.example.org" in made
    found = await credential(site, token)
    assert found is not None
    [row] = site.sql("SELECT uses, tags, expires_at - created_at AS lasts FROM enrollment_tokens")
    assert (row["uses"], row["tags"], row["lasts"]) == (40, '["db", "berlin"]', 24 * clock.HOUR)
    listed = await page(site, "/hosts/new")
    assert "40 of 40 uses left" in listed
    assert "db, berlin" in listed
    assert token not in listed


async def test_a_form_that_is_refused_comes_back_with_what_was_typed(site: Site) -> None:
    text = await page(site, "/hosts/new", {"name": "nas", "uses": "2", "tags": "a"}, 422)
    assert "Leave the name out" in text
    assert 'value="nas"' in text
    assert site.sql("SELECT 1 FROM enrollment_tokens") == []
    assert "control characters" in await page(site, "/hosts/new", {"name": "a\tb", "uses": "1"}, 422)


async def test_before_a_credential_changes_the_page_says_what_happens(site: Site) -> None:
    reachable(site)
    host_id = await site.enroll("db-03")
    before = site.sql("SELECT token_hash FROM hosts")[0]["token_hash"]
    asked = await page(site, f"/hosts/{host_id}/credential")
    for sentence in (
        "Name, tags, schedules, history and alerts stay.",
        "The old credential works until the token is used.",
        "The old credential stops working at once, and the host is disconnected.",
        "rmactors agent credential --token-file -",
        "/var/lib/rmactors-agent/credential.json",
    ):
        assert sentence in asked
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] == before
    again = await page(site, f"/hosts/{host_id}/enrollment-token", {})
    assert "rmactors agent enroll --again --server wss://agents.example.org --token-file -" in again
    assert site.sql("SELECT token_hash FROM hosts")[0]["token_hash"] == before
    new = await page(site, f"/hosts/{host_id}/rotate-token", {})
    [token] = set(re.findall(r"rmh_[\w-]{43}", new))
    assert await credential(site, token) == Credential(host_id, None)
    assert "The old credential no longer works; the host is disconnected until you run this on it" in new
    assert "for db-03 alone" in await page(site, "/hosts/new")


async def test_save_has_no_credential_beside_it(site: Site) -> None:
    host_id = await site.enroll("db-03")
    text = await page(site, f"/hosts/{host_id}")
    form = text[text.index(f'action="/hosts/{host_id}"') :]
    assert "credential" not in form[: form.index("</form>")]
    assert f'action="/hosts/{host_id}/rotate-token"' not in text
    assert text.count(f'href="/hosts/{host_id}/credential"') == 2
