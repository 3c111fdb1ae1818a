"""A stored secret goes where it was given to go: what a session may change of a channel, and what is told of it."""

from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock
from rmactors.server.channels.config import audited_destination
from rmactors.server.channels.registry import KINDS
from rmactors.server.channels.webpush.keys import own_key, public_text
from rmactors.server.web import access
from tests.web.conftest import Site
from tests.web.test_api_notifications import stored
from tests.web.test_channel_form import GOOD, beside, errors, secrets_of, send

FULL: dict[str, dict[str, Any]] = GOOD | {
    "webhook": {
        "url": "https://hooks.example.org/x?key=in-the-query", "bearer_token": "very-secret-1",
        "header_name": "X-Key", "header_value": "very-secret-2", "signing_secret": "very-secret-3",
    },
    "ntfy": {"server_url": "https://ntfy.example.org", "topic": "backups", "access_token": "very-secret-4"},
    "smtp": {
        "host": "mail.example.org", "port": 587, "encryption": "starttls", "username": "u",
        "password": "very-secret-5", "from": "rm@example.org", "to": "a@example.org",
    },
    "pushover": {
        "api_url": "https://api.pushover.net", "app_token": "verysecret" * 3, "user_key": "Verysecret" * 3,
        "device": "phone", "sound": "siren",
    },
    "webpush": {
        "endpoint": "https://push.example.org/very-secret-11", "p256dh": public_text(own_key(b"browser")),
        "auth": "very-secret-12-and-mor", "vapid_key": "very-secret-13-and-so-on-until-it-is-lon-en",
        "user_id": "01K9XZ3V8T5WQ1R7M2N4P6S8UU",
    },
}  # fmt: skip
MOVES: list[tuple[str, str, Any]] = [
    ("webhook", "url", "https://elsewhere.example.org/x?key=other"),
    ("webhook", "url", "https://hooks.example.org/y"),
    ("webhook", "header_name", "X-Other"),
    ("webhook", "header_name", None),
    ("ntfy", "server_url", "https://elsewhere.example.org"),
    ("ntfy", "server_url", None),
    ("smtp", "host", "elsewhere.example.org"),
    ("smtp", "port", 25),
    ("smtp", "encryption", "none"),
    ("smtp", "username", "other"),
    ("smtp", "username", None),
    ("telegram", "api_url", "https://elsewhere.example.org"),
    ("telegram", "api_url", None),
    ("matrix", "homeserver_url", "https://elsewhere.example.org"),
    ("gotify", "server_url", "https://elsewhere.example.org"),
    ("pushover", "api_url", "https://elsewhere.example.org"),
    ("pagerduty", "events_url", "https://events.eu.pagerduty.com/v2/enqueue"),
    ("alertmanager", "url", "http://alerts.example.org:9093/other"),
    ("alertmanager", "username", "other"),
]


def set_secrets(kind: str) -> list[str]:
    """Of some kinds, two secrets exclude each other."""
    return [name for name in secrets_of(kind) if name in FULL[kind]]


async def make(site: Site, kind: str) -> dict[str, Any]:
    made: dict[str, Any] = await site.post("/api/notifications", {"kind": kind, "name": "ops", "config": FULL[kind]})
    return made


def typed(kind: str, config: dict[str, Any]) -> dict[str, str]:
    form = {"kind": kind, "name": "ops", "min_severity": "info", "enabled": "1", "events": "alert.raised"}
    return form | {f"config.{name}": str(value) for name, value in config.items() if value is not None}


async def page(browser: QuartClient, path: str) -> str:
    return await (await browser.get(path)).get_data(as_text=True)


@pytest.mark.parametrize(("kind", "field", "value"), MOVES)
async def test_a_secret_is_not_kept_where_its_receiver_changes(site: Site, kind: str, field: str, value: Any) -> None:
    made = await make(site, kind)
    path, secrets = f"/api/notifications/{made['id']}", set_secrets(kind)
    pointers = [f"/config/{name}" for name in secrets]
    for kept in ({}, {name: {"set": True} for name in secrets}):
        public = {name: each for name, each in FULL[kind].items() if name not in secrets} | {field: value} | kept
        body = {"kind": kind, "name": "ops", "config": public}
        for method, sent_to, sent in (
            ("PUT", path, body), ("POST", "/api/notifications/preview", {**body, "id": made["id"]}),
        ):  # fmt: skip
            answer = await site.api(method, sent_to, sent)
            assert answer.status == 422
            assert [error["pointer"] for error in answer.json["errors"]] == pointers
            assert all(field in error["detail"] for error in answer.json["errors"])
            assert "very-secret" not in answer.text
    assert stored(site, made["id"]) == FULL[kind]

    await site.user()
    browser, form = await site.log_in(), typed(kind, public | dict.fromkeys(secrets))
    edit = f"/settings/notifications/{made['id']}/edit"
    status, shown = await send(browser, edit, form)
    assert status == 422
    assert errors(shown) == [f"config.{name}" for name in secrets]
    assert all(field in (beside(shown, f"config.{name}") or "") for name in secrets)
    for button in ({"preview": "1"}, {"id": made["id"]}):
        where = edit if "preview" in button else "/settings/notifications/preview"
        _, shown = await send(browser, where, form | button)
        assert "must be given again" in shown
    assert stored(site, made["id"]) == FULL[kind]


@pytest.mark.parametrize(("kind", "field", "value"), MOVES)
async def test_a_secret_that_is_given_again_or_cleared_lets_its_receiver_change(
    site: Site, kind: str, field: str, value: Any
) -> None:
    made = await make(site, kind)
    path, secrets = f"/api/notifications/{made['id']}", set_secrets(kind)
    changed = {"kind": kind, "name": "ops", "config": FULL[kind] | {field: value}}
    assert (await site.api("PUT", path, changed)).status == 200
    needed = {f"/config/{each.name}" for each in KINDS[kind].fields if each.secret and each.missing}
    cleared = {"kind": kind, "name": "ops", "config": FULL[kind] | dict.fromkeys(secrets)}
    answer = await site.api("PUT", path, cleared)
    if needed:
        assert {error["pointer"] for error in answer.json["errors"]} == needed
        return
    assert answer.status == 200
    assert not set(secrets) & stored(site, made["id"]).keys()


@pytest.mark.parametrize("kind", FULL)
async def test_what_does_not_move_the_receiver_keeps_the_secrets(site: Site, kind: str) -> None:
    made = await make(site, kind)
    harmless = {each.name: "other" for each in KINDS[made["kind"]].fields if not each.steers}
    fitting = {"from": "b@example.org", "to": "b@example.org", "chat_id": "@others", "message_thread_id": 7,
               "room_id": "!others", "body_template": '{"a": 1}', "content_type": "application/json",
               "helo_name": "mx.example.org"}  # fmt: skip
    harmless = {name: fitting.get(name, text) for name, text in harmless.items()}
    body = {**made, "name": "renamed", "min_severity": "critical", "config": made["config"] | harmless}
    assert (await site.api("PUT", f"/api/notifications/{made['id']}", body)).status == 200
    assert stored(site, made["id"]) == FULL[kind] | harmless


async def test_the_trail_names_what_changed_and_both_hosts_and_no_secret(site: Site) -> None:
    made = await make(site, "webhook")
    moved = FULL["webhook"] | {"url": "https://elsewhere.example.org:8443/hidden-path?key=y", "bearer_token": "n" * 9}
    body = {"kind": "webhook", "name": "ops2", "config": moved, "enabled": False, "remind_hours": 2}
    assert (await site.api("PUT", f"/api/notifications/{made['id']}", body)).status == 200
    told = [row["detail"] for row in site.sql("SELECT detail FROM audit WHERE action LIKE 'channel.%' ORDER BY n")]
    assert told == [
        "ops: webhook to hooks.example.org",
        "ops: url hooks.example.org → elsewhere.example.org:8443, bearer_token replaced, name ops → ops2, disabled,"
        " remind_hours",
    ]
    mail = await make(site, "smtp")
    config = FULL["smtp"] | {"host": "other.example.org", "encryption": "none", "password": "very-secret-9"}
    body = {"kind": "smtp", "name": "ops", "config": config}
    assert (await site.api("PUT", f"/api/notifications/{mail['id']}", body)).status == 200
    [row] = site.sql("SELECT detail FROM audit WHERE action = 'channel.update' AND target_id = ?", mail["id"])
    assert row["detail"] == (
        "ops: host mail.example.org → other.example.org, encryption starttls → none, password replaced"
    )


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS.values() if kind.fields[0].secret_url])
async def test_of_a_url_that_is_secret_the_host_is_shown_and_no_more(site: Site, kind: str) -> None:
    made = await make(site, kind)
    name = KINDS[kind].fields[0].name
    path, body = f"/api/notifications/{made['id']}", {"kind": kind, "name": "ops", "config": {}}
    for url in (
        "https://elsewhere.example.org:8443/x/very-secret-8",
        "https://elsewhere.example.org:8443/x/very-secret-9",
    ):
        assert (await site.api("PUT", path, {**body, "config": {**FULL[kind], name: url}})).status == 200
    answer = await site.api("POST", "/api/notifications/preview", {**body, "id": made["id"]})
    assert answer.json["request"]["url"].startswith("https://elsewhere.example.org:8443/••••")
    assert "very-secret" not in answer.text
    told = [row["detail"] for row in site.sql("SELECT detail FROM audit WHERE action = 'channel.update' ORDER BY n")]
    before = audited_destination(KINDS[kind], FULL[kind])
    assert told == [f"ops: {name} {before} → elsewhere.example.org:8443", f"ops: {name} replaced"]
    assert (await site.api("PUT", path, {**body, "config": {name: None}})).status == 422, "it is needed"


async def test_making_and_changing_a_channel_wants_the_password_again_and_the_form_says_so_before(site: Site) -> None:
    made = await make(site, "ntfy")
    await site.user()
    browser, body = await site.log_in(), {"kind": "ntfy", "name": "n", "config": {"topic": "t"}}
    new, edit = "/settings/notifications/new?kind=ntfy", f"/settings/notifications/{made['id']}/edit"
    assert "will ask for your password" not in await page(browser, new) + await page(browser, edit)
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    for method, path in (("POST", "/api/notifications"), ("PUT", f"/api/notifications/{made['id']}")):
        answer = await browser.open(path, method=method, json=body)
        assert answer.status_code == 403
        assert (await answer.get_json(force=True))["type"].endswith("reauthentication-required")
    for path in (new, edit):
        assert (await browser.post(path, form=typed("ntfy", {"topic": "t"}))).status_code == 403
        assert "will ask for your password" in await page(browser, path)
    assert len(site.sql("SELECT 1 FROM channels")) == 1
    assert stored(site, made["id"]) == FULL["ntfy"]
    assert (await site.api("POST", "/api/notifications", body)).status == 201


def test_a_kind_says_itself_what_moves_its_secrets_and_says_so_of_everything_unless_it_thought_of_it() -> None:
    steering = {
        kind.name: [each.name for each in kind.fields if each.steers and not each.secret] for kind in KINDS.values()
    }
    known = {
        "webhook": ["url", "header_name"],
        "ntfy": ["server_url"],
        "smtp": ["host", "port", "encryption", "username"],
        **{name: [] for name in ("slack", "discord", "teams", "webpush")},  # it is all in the secret URL
        "telegram": ["api_url"],
        "matrix": ["homeserver_url"],
        "gotify": ["server_url"],
        "pushover": ["api_url"],
        "pagerduty": ["events_url"],
        "alertmanager": ["url", "username"],
    }
    assert {name: steering[name] for name in known} == known
    assert all(kind.fields[0].audit in ("host", "value") for kind in KINDS.values()), "audited_destination shows it"
