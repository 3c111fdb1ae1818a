"""The audit trail: an act leaves one row, in the transaction of its change, and no row is ever changed."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.server.config import tokens
from rmactors.server.messages.answers import Refused
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.made_tokens import CreateApiToken
from tests.web.conftest import PASSWORD, Site

ROOT = Path(__file__).resolve().parents[2]
WEBHOOK = {"kind": "webhook", "name": "n", "config": {"url": "https://h.example"}}
SCHEDULE = {"name": "n", "kind": "backup", "cron": "@daily"}
SILENCE = {"reason": "r", "ends_at": "2999-01-01T00:00:00Z"}

Act = Callable[[Site], Awaitable[str]]
"""Does it as the admin's token; gives the id of its target."""


def on_new(create: str, body: dict[str, Any], method: str, path: str, sent: Any = None) -> Act:
    """Something that is done to an object which was just made."""

    async def act(site: Site) -> str:
        host = await site.enroll()
        made = await site.post(create.format(host=host), body)
        answer = await site.api(method, path.format(id=made["id"]), sent)
        assert answer.status < 300, answer.text
        return str(made["id"])

    return act


def making(path: str, body: dict[str, Any]) -> Act:
    async def act(site: Site) -> str:
        host = await site.enroll()
        return str((await site.post(path.format(host=host), body))["id"])

    return act


def to_a_host(method: str, path: str, sent: Any = None) -> Act:
    async def act(site: Site) -> str:
        host = await site.enroll()
        answer = await site.api(method, path.format(id=host), sent)
        assert answer.status < 300, answer.text
        return host

    return act


USER = {"username": "bert", "password": PASSWORD, "role": "viewer"}
TOKEN = {"name": "ci", "role": "viewer"}
ACTS: dict[str, Act] = {
    "channel.create": making("/api/notifications", WEBHOOK),
    "channel.update": on_new("/api/notifications", WEBHOOK, "PUT", "/api/notifications/{id}", WEBHOOK),
    "channel.delete": on_new("/api/notifications", WEBHOOK, "DELETE", "/api/notifications/{id}"),
    "channel.test": on_new("/api/notifications", WEBHOOK, "POST", "/api/notifications/{id}/test"),
    "host.update": to_a_host("PATCH", "/api/hosts/{id}", {"tags": ["x"]}),
    "host.delete": to_a_host("DELETE", "/api/hosts/{id}"),
    "host.rotate_token": to_a_host("POST", "/api/hosts/{id}/rotate-token"),
    "job.queue": making("/api/hosts/{host}/jobs", {"kind": "backup"}),
    "job.cancel": on_new("/api/hosts/{host}/jobs", {"kind": "backup"}, "POST", "/api/jobs/{id}/cancel"),
    "schedule.create": making("/api/hosts/{host}/schedules", SCHEDULE),
    "schedule.update": on_new(
        "/api/hosts/{host}/schedules", SCHEDULE, "PATCH", "/api/schedules/{id}", {"enabled": False}
    ),
    "schedule.delete": on_new("/api/hosts/{host}/schedules", SCHEDULE, "DELETE", "/api/schedules/{id}"),
    "silence.create": making("/api/silences", SILENCE),
    "silence.delete": on_new("/api/silences", SILENCE, "DELETE", "/api/silences/{id}"),
    "token.create": making("/api/tokens", TOKEN),
    "token.delete": on_new("/api/tokens", TOKEN, "DELETE", "/api/tokens/{id}"),
    "user.create": making("/api/users", USER),
    "user.update": on_new("/api/users", USER, "PATCH", "/api/users/{id}", {"role": "operator"}),
    "user.delete": on_new("/api/users", USER, "DELETE", "/api/users/{id}"),
}
ELSEWHERE = {
    "alert.acknowledge", "alert.resolve", "delivery.retry", "delivery.dismiss", "channel.dismiss", "key.rotate",
    "enrollment_token.create", "enrollment_token.delete", "host.enroll", "session.delete", "access.refuse",
    "token.use", "setup_token.use", "database.backup", "user.code_guessing",
    "user.login", "user.logout", "user.reauthenticate", "user.second_factor", "user.second_factor_on",
    "user.second_factor_off", "user.password",
}  # fmt: skip


def documented() -> set[str]:
    text = (ROOT / "docs" / "api.md").read_text()
    [paragraph] = re.findall(r"Actions in the audit trail: (.*?)`result`", text, re.DOTALL)
    return set(re.findall(r"`(\w+\.\w+)`", paragraph))


def test_the_acts_are_among_those_that_the_page_names() -> None:
    assert ACTS.keys() | ELSEWHERE <= documented()


@pytest.mark.parametrize("action", ACTS)
async def test_an_act_leaves_one_row_that_says_who_what_and_whence(site: Site, action: str) -> None:
    if action in ("user.update", "user.delete"):
        await site.user()  # else there is no admin left
    target = await ACTS[action](site)
    rows = site.sql("SELECT * FROM audit WHERE action = ? AND actor_kind = 'token'", action)
    assert [(row["actor"], row["target_id"], row["result"]) for row in rows] == [("token:the admin", target, "ok")]
    assert rows[0]["address"]
    assert rows[0]["target_kind"] == action.partition(".")[0]


async def test_sessions_leave_rows_of_their_users(site: Site) -> None:
    await site.user()
    here, there = await site.log_in(), await site.log_in()
    listed = (await (await here.get("/api/sessions")).get_json())["items"]
    [other] = [entry["id"] for entry in listed if not entry["current"]]
    await here.delete(f"/api/sessions/{other}")
    await here.post("/reauthenticate", form={"password": "wrong"})
    await here.post("/reauthenticate", form={"password": PASSWORD})
    await here.post("/api/account/password", json={"current": PASSWORD, "new": "another good phrase"})
    await here.post("/api/enrollment-tokens", json={})
    await here.post("/logout")
    await there.get("/")
    rows = site.sql("SELECT action, result, actor FROM audit WHERE actor_kind = 'user' ORDER BY n")
    assert [(row["action"], row["result"]) for row in rows] == [
        ("user.login", "ok"), ("user.login", "ok"), ("session.delete", "ok"), ("user.reauthenticate", "failed"),
        ("user.reauthenticate", "ok"), ("user.password", "ok"), ("enrollment_token.create", "ok"),
        ("user.logout", "ok"),
    ]  # fmt: skip
    assert {row["actor"] for row in rows} == {"anna"}


async def test_what_was_refused_leaves_no_row_and_a_row_that_fails_takes_its_change_along(site: Site) -> None:
    await site.user("anna")
    before = site.sql("SELECT count(*) FROM audit")[0][0]
    assert (await site.api("POST", "/api/users", {**USER, "username": "ANNA"})).status == 409
    assert (await site.api("DELETE", f"/api/tokens/{ids.new()}")).status == 404
    assert (await site.api("PATCH", f"/api/hosts/{await site.enroll()}", {"name": ""})).status == 422
    made_by_the_test = 2  # what enrolled the host
    assert site.sql("SELECT count(*) FROM audit")[0][0] == before + made_by_the_test

    no_such_kind = Audit(site.clock(), "x", "nobody", "token.create", "token", "x")  # type: ignore[arg-type]
    token = CreateApiToken(ids.new(), "x", "admin", "rma_x", tokens.digest("x"), site.clock(), None, no_such_kind)
    answer = await site.services.ask_store(token)
    assert isinstance(answer, Refused)
    assert site.sql("SELECT 1 FROM api_tokens WHERE name = 'x'") == []
    assert isinstance(await site.services.ask_store(AppendAudit(no_such_kind)), Refused)


def test_no_statement_changes_a_row_and_only_age_removes_one() -> None:
    """Read from the source: what is written there of the table."""
    found = {
        (path.name, verb.upper())
        for path in (ROOT / "rmactors").rglob("*.py")
        for verb in re.findall(
            r"\b(INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO)\s+audit\b", path.read_text(), re.IGNORECASE
        )
    }
    assert ("audit.py", "INSERT INTO") in found
    assert {verb for _, verb in found} <= {"INSERT INTO", "DELETE FROM"}
    assert {name for name, verb in found if verb == "DELETE FROM"} <= {"retention.py"}
