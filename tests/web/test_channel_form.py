"""The rules of a channel, one table for both ways in: the API names the field, the form shows the error beside it.

A refused form is a 422 that keeps what was typed; secrets alone are not sent back.
"""

import html
import json
import re
from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.server.channels.config import audited_destination, with_secrets_hidden
from rmactors.server.channels.registry import KINDS
from rmactors.server.channels.webpush.keys import own_key, public_text
from tests.web.conftest import Site

GOOD: dict[str, dict[str, Any]] = {
    "webhook": {"url": "https://hooks.example.org/x"},
    "ntfy": {"server_url": "https://ntfy.example.org", "topic": "backups"},
    "smtp": {
        "host": "mail.example.org", "port": 587, "encryption": "starttls", "from": "rm@example.org",
        "to": "a@example.org, b@example.org",
    },
    "slack": {"webhook_url": "https://hooks.slack.com/services/T0/B0/very-secret-6"},
    "discord": {"webhook_url": "https://discord.com/api/webhooks/1/very-secret-7", "username": "backups"},
    "teams": {"webhook_url": "https://ab.api.powerplatform.com/powerautomate/x?sig=very-secret-8"},
    "telegram": {
        "chat_id": "-1001234567890", "bot_token": "110201543:very-secret-9-and-more-of-it", "message_thread_id": 42,
        "api_url": "https://telegram.example.org",
    },
    "matrix": {
        "homeserver_url": "https://matrix.example.org", "room_id": "!abc:example.org", "access_token": "very-secret-13",
    },
    "gotify": {"server_url": "https://push.example.org", "app_token": "very-secret-7"},
    "pushover": {
        "api_url": "https://api.pushover.net", "app_token": "verysecret" * 3, "user_key": "verysecret" * 3,
        "device": "phone",
    },
    "pagerduty": {"events_url": "https://events.pagerduty.com/v2/enqueue", "routing_key": "verysecret" * 3 + "10"},
    "alertmanager": {"url": "http://alerts.example.org:9093/am", "username": "rm", "password": "very-secret-8"},
    "webpush": {
        "endpoint": "https://push.example.org/very-secret-11", "p256dh": public_text(own_key(b"browser")),
        "auth": "very-secret-12-and-mor", "vapid_key": "very-secret-13-and-so-on-until-it-is-lon-en",
        "user_id": "01K9XZ3V8T5WQ1R7M2N4P6S8UU",
    },
}  # fmt: skip

# kind, field, what is typed there, a part of what is said beside it
RULES: list[tuple[str, str, Any, str]] = [
    ("webhook", "name", "", "must not be empty"),
    ("webhook", "name", "n" * 101, "at most 100 characters"),
    ("webhook", "name", "two\nlines", "line breaks"),
    ("webhook", "config.url", "", "URL is needed"),
    ("webhook", "config.url", "hooks.example.org", "scheme must be http or https"),
    ("webhook", "config.url", "ftp://hooks.example.org/", "scheme must be http or https"),
    ("webhook", "config.url", "https://", "names no host"),
    ("webhook", "config.url", "https://hooks.example.org:99999/", "port must be between 1 and 65535"),
    ("webhook", "config.url", "https://hooks.example.org/a b", "spaces"),
    ("webhook", "config.url", "http://127.0.0.1:9000/", "does not allow 127.0.0.1, which is loopback"),
    ("webhook", "config.url", "http://2130706433/", "loopback"),
    ("webhook", "config.url", "http://[::1]/", "loopback"),
    ("webhook", "config.url", "http://[::ffff:127.0.0.1]/", "loopback"),
    ("webhook", "config.url", "http://169.254.169.254/latest/meta-data", "never allows link-local"),
    ("webhook", "config.url", "http://0.0.0.0/", "never allows unspecified"),
    ("webhook", "config.bearer_token", "one\r\ntwo", "line breaks"),
    ("webhook", "config.header_name", "X-Key: 1", "letters, digits and hyphens"),
    ("webhook", "config.header_name", "Content-Length", "sets this header itself"),
    ("webhook", "config.header_value", "one\ntwo", "line breaks"),
    ("webhook", "config.header_value", "nul\0nul", "NUL"),
    ("webhook", "config.signing_secret", "whsec_not base64", "base64"),
    ("webhook", "config.body_template", "{\n{{ hostname }}", "Line 2: nothing here is called hostname"),
    ("webhook", "config.body_template", '{"text": "{{ message }}"}', "makes no JSON"),
    ("webhook", "config.content_type", "json", "a type such as application/json"),
    ("ntfy", "config.server_url", "ntfy.example.org", "scheme must be http or https"),
    ("ntfy", "config.server_url", "http://127.0.0.1/", "loopback"),
    ("ntfy", "config.topic", "", "topic is needed"),
    ("ntfy", "config.topic", "back/ups", "letters, digits, hyphens"),
    ("ntfy", "config.topic", "docs", "keeps the name docs for itself"),
    ("ntfy", "config.topic", "v1", "keeps the name v1 for itself"),
    ("ntfy", "config.access_token", "one\ntwo", "line breaks"),
    ("ntfy", "default_priority", "loudest", "one of min, low, default, high, urgent"),
    ("smtp", "config.host", "", "host name is needed"),
    ("smtp", "config.host", "127.0.0.1", "loopback"),
    ("smtp", "config.host", "mail.example.org:25", "port has a field of its own"),
    ("smtp", "config.port", "", "port is needed"),
    ("smtp", "config.port", 0, "1 to 65535"),
    ("smtp", "config.port", 65536, "1 to 65535"),
    ("smtp", "config.port", "smtp", "1 to 65535"),
    ("smtp", "config.encryption", "ssl", "one of starttls, tls, none"),
    ("smtp", "config.username", "one\ntwo", "line breaks"),
    ("smtp", "config.password", "one\ntwo", "line breaks"),
    ("smtp", "config.from", "", "sender address is needed"),
    ("smtp", "config.from", "nobody", "mail addresses such as"),
    ("smtp", "config.from", "a@example.org, b@example.org", "Exactly one address"),
    ("smtp", "config.from", "a@example.org\nBcc: b@example.org", "line breaks"),
    ("smtp", "config.to", "", "recipient is needed"),
    ("smtp", "config.to", "a@example.org; b@example.org", "mail address"),
    ("smtp", "config.to", "a@example.org, ", "list of mail addresses"),
    ("smtp", "config.to", "a@example.org, nobody", "mail addresses such as"),
    ("slack", "config.webhook_url", "", "URL is needed"),
    ("slack", "config.webhook_url", "hooks.slack.com/services/x", "scheme must be http or https"),
    ("slack", "config.webhook_url", "http://127.0.0.1/services/x", "loopback"),
    ("discord", "config.webhook_url", "", "URL is needed"),
    ("discord", "config.webhook_url", "https://discord.com/api/webhooks/1/x/slack", "Leave out what follows the token"),
    ("discord", "config.username", "everyone", "Discord does not take this name"),
    ("teams", "config.webhook_url", "", "URL is needed"),
    ("teams", "config.webhook_url", "https://acme.webhook.office.com/webhookb2/x", "make a workflow"),
    ("telegram", "config.chat_id", "", "chat id is needed"),
    ("telegram", "config.chat_id", "maria", "chat id is a number"),
    ("telegram", "config.bot_token", "", "token is needed"),
    ("telegram", "config.bot_token", "secret", "as BotFather shows it"),
    ("telegram", "config.message_thread_id", "general", "whole number"),
    ("telegram", "config.api_url", "http://127.0.0.1:8081", "loopback"),
    ("telegram", "default_priority", "loudest", "one of min, low, default, high, urgent"),
    ("matrix", "config.homeserver_url", "", "homeserver is needed"),
    ("matrix", "config.homeserver_url", "https://matrix.example.org/_matrix/client", "without /_matrix"),
    ("matrix", "config.room_id", "#backups:example.org", "This is an alias"),
    ("matrix", "config.access_token", "", "access token is needed"),
    ("gotify", "config.server_url", "", "server is needed"),
    ("gotify", "config.server_url", "https://push.example.org/message", "without /message"),
    ("gotify", "config.app_token", "one\ntwo", "line breaks"),
    ("pushover", "config.api_url", "http://127.0.0.1", "loopback"),
    ("pushover", "config.app_token", "", "token is needed"),
    ("pushover", "config.user_key", "me@example.org", "exactly 30 letters and digits"),
    ("pushover", "config.device", "my phone", "separated by commas"),
    ("pushover", "config.sound", "a b", "letters, digits"),
    ("pagerduty", "config.events_url", "events.pagerduty.com", "scheme must be http or https"),
    ("pagerduty", "config.routing_key", "", "integration key is needed"),
    ("pagerduty", "config.routing_key", "abc", "exactly 32 letters and digits"),
    ("alertmanager", "config.url", "", "address is needed"),
    ("alertmanager", "config.url", "http://127.0.0.1:9093", "loopback"),
    ("alertmanager", "config.url", "http://alerts.example.org/api/v2/alerts", "without /api/v2/alerts"),
    ("alertmanager", "config.username", "a:b", "must not contain a colon"),
    ("webpush", "config.endpoint", "", "endpoint of a subscription is needed"),
    ("webpush", "config.endpoint", "http://push.example.org/x", "has an https address"),
    ("webpush", "config.endpoint", "https://192.168.1.1/x", "which is private"),
    ("webpush", "config.p256dh", "AAAA", "not the public key"),
    ("webpush", "config.auth", "AAAA", "16 bytes"),
    ("webpush", "config.vapid_key", "AAAA", "not a private key"),
    ("smtp", "min_severity", "fatal", "one of info, warning, critical"),
    ("smtp", "group_seconds", "-1", "must be at least 0"),
    ("smtp", "remind_hours", "often", "must be a number, not text"),
    ("smtp", "host_tags", "t" * 101, "at most 100 characters"),
    ("webhook", "group_by", "colour", "one of host, repository, all"),
    ("webhook", "after_minutes", "-1", "must be at least 0"),
    ("webhook", "after_minutes", "soon", "must be a number, not text"),
    ("webhook", "quiet_hours.from", "25:00", "a time such as 22:00"),
    ("webhook", "quiet_hours.from", "", "a time such as 22:00"),
    ("webhook", "quiet_hours.to", "7", "a time such as 22:00"),
    ("webhook", "quiet_hours.to", "", "a time such as 22:00"),
    ("webhook", "quiet_hours.to", "22:00", "another time than the beginning"),
    ("webhook", "quiet_hours.timezone", "Mars/Olympus", "use a name like Europe/Berlin"),
    ("webhook", "digest.cron", "every monday", "needs five fields"),
    ("webhook", "digest.timezone", "Mars/Olympus", "use a name like Europe/Berlin"),
]
TIMES: dict[str, dict[str, Any]] = {
    "quiet_hours": {"timezone": "Europe/Berlin", "from": "22:00", "to": "07:00", "days": ["mon", "sat"]},
    "digest": {"cron": "0 8 * * 1", "timezone": "Europe/Berlin"},
}
TIMES_TYPED = {
    "after_minutes": "30", "group_by": "repository", "group_seconds": "60",
    "quiet_hours.from": "22:00", "quiet_hours.to": "07:00", "quiet_hours.timezone": "Europe/Berlin",
    "quiet_hours.days.sat": "1", "quiet_hours.days.mon": "1",
    "digest.cron": "0 8 * * 1", "digest.timezone": "Europe/Berlin",
}  # fmt: skip


def as_body(kind: str, field: str, typed: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": kind, "name": "ops", "config": dict(GOOD[kind])}
    if field.startswith("config."):
        body["config"][field.removeprefix("config.")] = typed
    elif "." in field:
        group, name = field.split(".")
        body[group] = TIMES[group] | {name: typed}
    else:
        body[field] = {"host_tags": [typed], "group_seconds": -1}.get(field, -1 if typed == "-1" else typed)
    return body


def as_form(kind: str, field: str, typed: Any) -> dict[str, str]:
    form = {"kind": kind, "name": "ops", "min_severity": "info", "enabled": "1", "host_tags": "prod, home"}
    form |= {"group_seconds": "0", "remind_hours": "1.5", "default_priority": "", "events": "alert.raised"}
    form |= {f"config.{name}": str(value) for name, value in GOOD[kind].items()}
    if "." in field and not field.startswith("config."):
        form |= TIMES_TYPED
    return form | {field: str(typed)}


async def send(browser: QuartClient, path: str, form: dict[str, str]) -> tuple[int, str]:
    answer = await browser.post(path, form=form)
    return answer.status_code, await answer.get_data(as_text=True)


def secrets_of(kind: str) -> list[str]:
    return [each.name for each in KINDS[kind].fields if each.secret]


def test_every_kind_has_a_config_and_a_rule_here() -> None:
    assert set(GOOD) == set(KINDS) == {kind for kind, *_ in RULES}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_channel_of_each_kind_is_made_shown_listed_and_saved_by_its_form(site: Site, kind: str) -> None:
    await site.user()
    browser, form = await site.log_in(), as_form(kind, "name", "ops")
    status, _ = await send(browser, "/settings/notifications/new", form)
    assert status == 303
    [made] = (await site.get("/api/notifications"))["items"]
    edit = f"/settings/notifications/{made['id']}/edit"
    blank = {f"config.{name}": "" for name in secrets_of(kind)}
    assert (await send(browser, edit, form | blank))[0] == 303, "a secret that is there may be left blank"
    pages = [await (await browser.get(path)).get_data(as_text=True) for path in (edit, "/settings/notifications")]
    assert all("very-secret" not in page for page in pages)
    leads_to = KINDS[kind].destination(with_secrets_hidden(KINDS[kind], GOOD[kind]))
    assert html.escape(leads_to) in pages[1], "the list says where it leads"
    [created] = site.sql("SELECT detail FROM audit WHERE action = 'channel.create'")
    assert created["detail"] == f"ops: {kind} to {audited_destination(KINDS[kind], GOOD[kind])}"


async def test_a_secret_that_is_needed_has_no_box_to_clear_it(site: Site) -> None:
    made = await site.post("/api/notifications", {"kind": "slack", "name": "ops", "config": GOOD["slack"]})
    assert made["config"] == {"webhook_url": {"set": True}}
    await site.user()
    browser = await site.log_in()
    page = await (await browser.get(f"/settings/notifications/{made['id']}/edit")).get_data(as_text=True)
    assert "clear.webhook_url" not in page
    [typed_in] = re.findall(r'<input id="f-config.webhook_url"[^>]*>', page)
    assert " required" not in typed_in
    assert "••••" in typed_in


def beside(page: str, field: str) -> str | None:
    """What the page says below a field."""
    found = re.search(rf'<div class="error" id="e-{re.escape(field)}">(.*?)</div>', page, re.DOTALL)
    return html.unescape(found[1]) if found else None


def errors(page: str) -> list[str]:
    return re.findall(r'<div class="error" id="e-(.*?)">', page)


def value(page: str, field: str) -> str | None:
    found = re.search(rf'<input id="f-{re.escape(field)}"[^>]*? value="(.*?)"', page, re.DOTALL)
    found = found or re.search(rf'<textarea id="f-{re.escape(field)}"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return html.unescape(found[1]) if found else None


@pytest.mark.parametrize(("kind", "field", "typed", "said"), RULES, ids=lambda part: repr(part)[:40])
async def test_each_rule_holds_by_api_and_by_form(site: Site, kind: str, field: str, typed: Any, said: str) -> None:
    answer = await site.api("POST", "/api/notifications", as_body(kind, field, typed))
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    [error] = answer.json["errors"]
    pointer = "/" + field.replace(".", "/")
    assert error["pointer"] in (pointer, f"{pointer}/0")
    assert said in error["detail"]

    await site.user()
    browser, form = await site.log_in(), as_form(kind, field, typed)
    status, page = await send(browser, "/settings/notifications/new", form)
    assert status == 422
    assert errors(page) == [field], "each error beside its field, and no other"
    assert said in (beside(page, field) or "")
    for name, text in form.items():
        if name == "group_seconds" and not KINDS[kind].groups:
            continue  # not offered
        if name in ("kind", "events", "enabled"):
            continue
        shown = value(page, name)
        if name.removeprefix("config.") in secrets_of(kind):
            assert shown in (None, ""), "a secret is not sent back"
        elif shown is not None:
            assert shown == text, f"{name} was not kept"
        else:  # a list to choose from
            assert name in ("config.encryption", "min_severity", "default_priority", "group_by") or ".days." in name
    assert site.sql("SELECT 1 FROM channels") == []


async def test_all_fields_at_fault_are_told_at_once_on_the_form(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    form = as_form("smtp", "name", "") | {"config.host": "", "config.port": "x", "config.from": "x", "config.to": ""}
    status, page = await send(browser, "/settings/notifications/new", form)
    assert status == 422
    assert set(errors(page)) == {"name", "config.host", "config.port", "config.from", "config.to"}


async def test_a_change_that_is_refused_changes_nothing_and_keeps_what_was_typed(site: Site) -> None:
    made = await site.post("/api/notifications", {"kind": "webhook", "name": "ops", "config": GOOD["webhook"]})
    path = f"/settings/notifications/{made['id']}/edit"
    await site.user()
    browser = await site.log_in()
    status, page = await send(browser, path, as_form("webhook", "config.url", "gopher://x"))
    assert status == 422
    assert value(page, "config.url") == "gopher://x"
    assert value(page, "host_tags") == "prod, home"
    assert (await site.get(f"/api/notifications/{made['id']}")) == made
    status, _ = await send(browser, path, as_form("webhook", "config.url", "https://other.example.org/"))
    assert status == 303
    changed = await site.get(f"/api/notifications/{made['id']}")
    assert changed["config"] == {"url": "https://other.example.org/"}
    assert (changed["host_tags"], changed["remind_hours"], changed["events"]) == (
        ["prod", "home"],
        1.5,
        ["alert.raised"],
    )


async def test_on_the_form_a_blank_secret_stays_and_a_box_clears_it(site: Site) -> None:
    config = {**GOOD["webhook"], "bearer_token": "very-secret-1", "signing_secret": "very-secret-2"}
    made = await site.post("/api/notifications", {"kind": "webhook", "name": "ops", "config": config})
    await site.user()
    browser = await site.log_in()
    path = f"/settings/notifications/{made['id']}/edit"
    shown = await (await browser.get(path)).get_data(as_text=True)
    assert "very-secret" not in shown
    form = as_form("webhook", "config.bearer_token", "") | {"clear.signing_secret": "1"}
    status, _ = await send(browser, path, form)
    assert status == 303
    changed = await site.get(f"/api/notifications/{made['id']}")
    assert changed["config"] == {"url": GOOD["webhook"]["url"], "bearer_token": {"set": True}}


def ticked(page: str) -> list[str]:
    return re.findall(r'name="quiet_hours.days.(\w+)" value="1" checked', page)


async def test_the_form_shows_the_times_of_a_channel_and_saving_it_leaves_them(site: Site) -> None:
    body = {
        "kind": "webhook",
        "name": "ops",
        "config": GOOD["webhook"],
        "group_by": "all",
        "group_seconds": 60,
        "after_minutes": 45,
        **TIMES,
    }
    made = await site.post("/api/notifications", body)
    await site.user()
    browser = await site.log_in()
    path = f"/settings/notifications/{made['id']}/edit"
    page = await (await browser.get(path)).get_data(as_text=True)
    shown = {name: value(page, name) for name in TIMES_TYPED if ".days." not in name and name != "group_by"}
    assert shown == {name: {"after_minutes": "45"}.get(name, TIMES_TYPED[name]) for name in shown}
    assert ticked(page) == ["mon", "sat"]
    assert '<option value="all" selected>' in page
    typed = {name: text for name, text in shown.items() if text is not None}
    typed |= {"group_by": "all"} | {f"quiet_hours.days.{day}": "1" for day in ticked(page)}
    status, _ = await send(browser, path, as_form("webhook", "config.url", GOOD["webhook"]["url"]) | typed)
    assert status == 303
    changed = await site.get(f"/api/notifications/{made['id']}")
    for name in ("group_by", "after_minutes", "quiet_hours", "digest"):
        assert changed[name] == made[name], name


async def test_emptied_times_are_no_quiet_hours_and_no_digest(site: Site) -> None:
    body = {"kind": "webhook", "name": "ops", "config": GOOD["webhook"], "after_minutes": 45, **TIMES}
    made = await site.post("/api/notifications", body)
    await site.user()
    browser = await site.log_in()
    emptied = dict.fromkeys(("after_minutes", "quiet_hours.from", "quiet_hours.to", "digest.cron"), "")
    zones = {"quiet_hours.timezone": "Europe/Berlin", "digest.timezone": "Europe/Berlin", "group_by": "host"}
    form = as_form("webhook", "config.url", GOOD["webhook"]["url"]) | emptied | zones
    status, _ = await send(browser, f"/settings/notifications/{made['id']}/edit", form)
    assert status == 303
    changed = await site.get(f"/api/notifications/{made['id']}")
    assert (changed["after_minutes"], changed["quiet_hours"], changed["digest"]) == (0, None, None)


async def test_the_days_that_were_ticked_are_kept_in_a_refused_form(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    status, page = await send(
        browser, "/settings/notifications/new", as_form("webhook", "quiet_hours.timezone", "Mars/Olympus")
    )
    assert status == 422
    assert ticked(page) == ["mon", "sat"]
    assert '<details class="field" open>' in page, "the error can be seen"


# ---- presets


async def test_a_preset_fills_in_its_fields_without_scripts_and_keeps_what_was_typed(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    form = as_form("webhook", "name", "my hook") | {"preset": "text", "fill": "1"}
    status, page = await send(browser, "/settings/notifications/new", form)
    assert status == 200
    assert value(page, "name") == "my hook"
    assert (value(page, "config.body_template") or "").startswith("{{ title }}\n\n{{ message }}\n")
    assert value(page, "config.content_type") == "text/plain; charset=utf-8"
    assert "Content-Type: text/plain; charset=utf-8\n" in html.unescape(page), "the preview has it too"
    assert site.sql("SELECT 1 FROM channels") == []


async def test_a_preset_that_is_chosen_and_not_filled_in_changes_nothing(site: Site) -> None:
    await site.user()
    browser = await site.log_in()
    form = as_form("webhook", "config.body_template", "[{{ title | tojson }}]\r\n") | {"preset": "text"}
    status, _ = await send(browser, "/settings/notifications/new", form)
    assert status == 303
    [made] = (await site.get("/api/notifications"))["items"]
    assert made["config"]["body_template"] == "[{{ title | tojson }}]\n", "its lines end as everywhere"
    _, page = await send(browser, f"/settings/notifications/{made['id']}/edit", form | {"fill": "1", "preset": "slack"})
    assert 'replace("<", "&lt;")' in (value(page, "config.body_template") or "")
    _, page = await send(browser, f"/settings/notifications/{made['id']}/edit", form | {"fill": "1", "preset": "no"})
    assert value(page, "config.body_template") == "[{{ title | tojson }}]\r\n"


async def test_the_scripts_of_the_page_find_what_a_preset_fills_in(site: Site) -> None:
    await site.user()
    page = await (await (await site.log_in()).get("/settings/notifications/new?kind=webhook")).get_data(as_text=True)
    found = {
        name: json.loads(html.unescape(fields))
        for name, fields in re.findall(r'<option value="([^"]*)" data-fields="([^"]*)">', page)
    }
    assert set(found) == {"json", "slack", "mattermost", "home-assistant", "text"}
    for fields in found.values():
        assert set(fields) == {"config.body_template", "config.content_type"}
        assert all(f'name="{name}"' in page for name in fields)


# ---- what a phone scans


async def test_the_page_of_an_ntfy_channel_shows_a_code_to_subscribe(site: Site) -> None:
    made = await site.post("/api/notifications", {"kind": "ntfy", "name": "phone", "config": GOOD["ntfy"]})
    await site.user()
    browser = await site.log_in()
    page = await (await browser.get(f"/settings/notifications/{made['id']}/edit")).get_data(as_text=True)
    assert page.count('<svg role="img" aria-label="QR code to subscribe"') == 1
    assert '<a href="https://ntfy.example.org/backups"' in page
    new = await (await browser.get("/settings/notifications/new?kind=ntfy")).get_data(as_text=True)
    assert "QR code" not in new
    assert re.fullmatch(r"backups-[A-Za-z0-9_-]{16}", value(new, "config.topic") or "")
