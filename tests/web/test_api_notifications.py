"""`/api/notifications` and `/api/deliveries` as programs see them."""

import json
from typing import Any

import pytest

from rmactors.common import ids
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.notifications import Attempt
from tests.web.conftest import Site

WEBHOOK: dict[str, Any] = {
    "kind": "webhook",
    "name": "ops",
    "config": {
        "url": "https://hooks.example.org/x",
        "bearer_token": "very-secret-1",
        "signing_secret": "very-secret-2",
    },
}
NTFY: dict[str, Any] = {
    "kind": "ntfy",
    "name": "phone",
    "config": {"topic": "backups", "access_token": "very-secret-3"},
}
SMTP: dict[str, Any] = {
    "kind": "smtp",
    "name": "mail",
    "config": {
        "host": "mail.example.org", "port": 587, "username": "u", "password": "very-secret-4",
        "from": "rm@example.org", "to": "a@example.org, b@example.org",
    },
}  # fmt: skip
SET = {"set": True}


def stored(site: Site, channel_id: str) -> dict[str, Any]:
    """The config as it lies in the box."""
    [row] = site.sql("SELECT config FROM channels WHERE id = ?", channel_id)
    found: dict[str, Any] = json.loads(site.services.box.open(row["config"], f"notification-channel:{channel_id}"))
    return found


async def dead_delivery(site: Site, channel_id: str) -> str:
    host_id, alert_id = await site.enroll(), ids.new()
    await site.commit(RaiseAlert(alert_id, host_id, "backup_failed", "plan:home", "warning", "it failed", site.clock()))
    [row] = site.sql("SELECT id FROM deliveries WHERE alert_id = ?", alert_id)
    delivery_id: str = row["id"]
    refused = Attempt("dead", 404, 4.0, "404 Not Found")
    await site.commit(
        SettleAttempt(ids.new(), delivery_id, channel_id, alert_id, "alert.raised", 1, refused, site.clock(), None)
    )
    return delivery_id


async def test_a_new_channel_has_the_defaults_of_the_contract_and_no_secret_in_sight(site: Site) -> None:
    shown = await site.post("/api/notifications", WEBHOOK)
    channel_id = shown["id"]
    assert shown == {
        "id": channel_id,
        "kind": "webhook",
        "name": "ops",
        "enabled": True,
        "config": {"url": "https://hooks.example.org/x", "bearer_token": SET, "signing_secret": SET},
        "default_priority": None,
        "min_severity": "info",
        "events": ["alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder"],
        "host_tags": [],
        "group_seconds": 0,
        "remind_hours": 0,
        "group_by": "host",
        "after_minutes": 0,
        "quiet_hours": None,
        "digest": None,
        "created_at": shown["created_at"],
        "updated_at": shown["created_at"],
        "last_fired_at": None,
        "health": {
            "state": "idle", "since": None, "last_error": None, "queued": 0, "oldest_queued_at": None, "dead": 0,
            "held_until": None, "held_because": None,
        },
    }  # fmt: skip
    assert await site.get(f"/api/notifications/{channel_id}") == shown
    assert (await site.get("/api/notifications"))["items"] == [shown]
    assert stored(site, channel_id)["bearer_token"] == "very-secret-1"
    assert b"very-secret" not in site.all_that_is_stored()


@pytest.mark.parametrize("body", [NTFY, SMTP])
async def test_each_kind_can_be_made_and_read_back_and_sent_back(site: Site, body: dict[str, Any]) -> None:
    shown = await site.post("/api/notifications", body)
    before = stored(site, shown["id"])
    answer = await site.api("PUT", f"/api/notifications/{shown['id']}", shown)
    assert answer.status == 200
    assert {**answer.json, "updated_at": None} == {**shown, "updated_at": None}
    assert stored(site, shown["id"]) == before


async def test_when_a_channel_is_quiet_and_sends_its_digest_is_read_back_as_it_was_sent(site: Site) -> None:
    times = {
        "group_by": "repository", "group_seconds": 60.0, "after_minutes": 30.5,
        "quiet_hours": {"timezone": "Europe/Berlin", "from": "22:00", "to": "07:00", "days": ["fri", "mon"]},
        "digest": {"cron": "0 8 * * 1", "timezone": "Europe/Berlin"},
    }  # fmt: skip
    shown = await site.post("/api/notifications", {**WEBHOOK, **times})
    in_order = {**times["quiet_hours"], "days": ["mon", "fri"]}
    assert {name: shown[name] for name in times} == {**times, "quiet_hours": in_order}
    again = (await site.api("PUT", f"/api/notifications/{shown['id']}", shown)).json
    assert {name: again[name] for name in times} == {**times, "quiet_hours": in_order}


async def test_a_put_replaces_all_but_secrets_and_null_clears_one(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", {**WEBHOOK, "min_severity": "critical", "host_tags": ["a"]}))[
        "id"
    ]
    config = {"url": "https://hooks.example.org/x", "bearer_token": SET}
    body = {"kind": "webhook", "name": "other", "config": config}
    shown = (await site.api("PUT", f"/api/notifications/{channel_id}", body)).json
    assert (shown["name"], shown["min_severity"], shown["host_tags"]) == ("other", "info", [])
    assert stored(site, channel_id) == {
        "url": "https://hooks.example.org/x", "bearer_token": "very-secret-1", "signing_secret": "very-secret-2",
    }  # fmt: skip
    cleared = {**body, "config": {**config, "signing_secret": None, "bearer_token": "new"}}
    shown = (await site.api("PUT", f"/api/notifications/{channel_id}", cleared)).json
    assert shown["config"] == {"url": "https://hooks.example.org/x", "bearer_token": SET}
    assert stored(site, channel_id) == {"url": "https://hooks.example.org/x", "bearer_token": "new"}


async def test_the_kind_cannot_change(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    answer = await site.api("PUT", f"/api/notifications/{channel_id}", NTFY)
    assert answer.status == 422
    assert answer.json["errors"] == [{"pointer": "/kind", "detail": "cannot be changed; create a new channel"}]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/kind", "/name", "/config"}),
        ([], {""}),
        ({**WEBHOOK, "kind": "pager"}, {"/kind"}),
        ({**WEBHOOK, "name": ""}, {"/name"}),
        ({**WEBHOOK, "name": "x" * 101}, {"/name"}),
        ({**WEBHOOK, "name": "a\r\nb"}, {"/name"}),
        ({**WEBHOOK, "nmae": "x", "enabled": "yes"}, {"/nmae", "/enabled"}),
        ({**WEBHOOK, "config": {}}, {"/config/url"}),
        ({**WEBHOOK, "config": {"url": "ftp://x", "colour": "red"}}, {"/config/url", "/config/colour"}),
        ({**WEBHOOK, "config": {"url": "http://169.254.169.254/"}}, {"/config/url"}),
        ({**WEBHOOK, "config": {"url": "http://127.0.0.1/"}}, {"/config/url"}),
        ({**WEBHOOK, "config": {"url": "https://h.example", "bearer_token": "a\nb"}}, {"/config/bearer_token"}),
        ({**NTFY, "config": {"server_url": "x", "topic": ""}}, {"/config/server_url", "/config/topic"}),
        (
            {**SMTP, "config": {"host": "", "port": 0, "encryption": "ssl", "from": "x", "to": ""}},
            {"/config/host", "/config/port", "/config/encryption", "/config/from", "/config/to"},
        ),
        ({**WEBHOOK, "events": ["alert.test"]}, {"/events/0"}),
        ({**WEBHOOK, "min_severity": "fatal"}, {"/min_severity"}),
        ({**WEBHOOK, "group_seconds": -1, "remind_hours": "x"}, {"/group_seconds", "/remind_hours"}),
        ({**WEBHOOK, "host_tags": [""]}, {"/host_tags/0"}),
        ({**WEBHOOK, "group_by": "plan", "after_minutes": -1}, {"/group_by", "/after_minutes"}),
        ({**WEBHOOK, "group_by": "all", "group_seconds": 0}, {"/group_seconds"}),
        (
            {**WEBHOOK, "quiet_hours": {"from": "24:00", "to": "7", "timezone": "Mars/Base"}},
            {"/quiet_hours/from", "/quiet_hours/to", "/quiet_hours/timezone"},
        ),
        ({**WEBHOOK, "quiet_hours": {"from": "07:00", "to": "07:00"}}, {"/quiet_hours/to"}),
        ({**WEBHOOK, "quiet_hours": {"from": "22:00", "to": "07:00", "days": ["someday"]}}, {"/quiet_hours/days/0"}),
        ({**WEBHOOK, "digest": {"cron": "every day"}}, {"/digest/cron"}),
        ({**WEBHOOK, "digest": {"cron": "@daily", "timezone": "Mars/Base"}}, {"/digest/timezone"}),
    ],
)
async def test_every_field_at_fault_is_named(site: Site, body: Any, pointers: set[str]) -> None:
    for path in ("/api/notifications", "/api/notifications/preview"):
        answer = await site.api("POST", path, body)
        assert answer.status == 422
        assert {error["pointer"] for error in answer.json["errors"]} == pointers
    assert (await site.get("/api/notifications"))["items"] == []


async def test_a_test_send_is_one_attempt_also_on_a_disabled_channel_and_is_in_the_log(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", {**WEBHOOK, "enabled": False}))["id"]
    result = await site.post(f"/api/notifications/{channel_id}/test", role="operator")
    assert result == {
        "ok": True, "status_code": 204, "latency_ms": 12.5, "error": None, "event": "alert.test",
        "fired_at": result["fired_at"],
    }  # fmt: skip
    [(spec, test)] = site.postman.sent
    assert spec.config["bearer_token"] == "very-secret-1"
    assert (test.event, test.severity, test.kind, test.host_name, test.host_id) == (
        "alert.test", "info", "test", "restic-manager", "",
    )  # fmt: skip
    public_url = site.services.settings.public_url
    assert test.link == f"{public_url}/settings/notifications/{channel_id}/edit", "no alert is there to be shown"
    await site.user()
    browser = await site.log_in()
    assert (await browser.get(test.link.removeprefix(public_url))).status_code == 200
    first = (await site.get(f"/api/notifications/{channel_id}"))["last_fired_at"]
    assert first == result["fired_at"]

    site.postman.answer = Attempt("retry", None, 5.0, "connection refused")
    failed = await site.post(f"/api/notifications/{channel_id}/test", role="operator")
    assert (failed["ok"], failed["status_code"], failed["error"]) == (False, None, "connection refused")
    assert (await site.get(f"/api/notifications/{channel_id}"))["last_fired_at"] == first
    log = (await site.get(f"/api/notifications/{channel_id}/log"))["items"]
    assert [(entry["event"], entry["ok"], entry["status_code"]) for entry in log] == [
        ("alert.test", False, None), ("alert.test", True, 204),
    ]  # fmt: skip
    assert set(log[0]) == {
        "id", "channel_id", "alert_id", "delivery_id", "event", "attempt", "ok", "status_code", "latency_ms", "error",
        "fired_at",
    }  # fmt: skip


async def test_htmx_gets_the_result_of_a_test_as_a_chip(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    answer = await site.api("POST", f"/api/notifications/{channel_id}/test", headers={"HX-Request": "true"})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "204" in answer.text


async def test_a_preview_shows_what_a_sample_would_send_with_secrets_masked(site: Site) -> None:
    shown = (await site.post("/api/notifications/preview", WEBHOOK))["request"]
    assert (shown["method"], shown["url"]) == ("POST", "https://hooks.example.org/x")
    assert list(json.loads(shown["body"]))[:4] == ["event", "alert_id", "severity", "kind"]
    assert "very-secret" not in json.dumps(shown)
    mail = await site.post("/api/notifications/preview", SMTP)
    assert set(mail) == {"mail"}
    assert "Subject: [restic-manager] [warning] nas1: backup_failed" in mail["mail"]
    channel = await site.post("/api/notifications", WEBHOOK)
    assert (await site.post("/api/notifications/preview", channel))["request"]["headers"]["Authorization"]
    assert site.postman.sent == []


async def test_a_dead_delivery_is_sent_again_by_hand(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    delivery_id = await dead_delivery(site, channel_id)
    health = (await site.get(f"/api/notifications/{channel_id}"))["health"]
    assert (health["state"], health["dead"], health["queued"], health["last_error"]) == ("dead", 1, 0, "404 Not Found")
    answer = await site.api("POST", f"/api/deliveries/{delivery_id}/retry", role="operator")
    assert answer.status == 202
    assert answer.json["state"] == "queued"
    health = (await site.get(f"/api/notifications/{channel_id}"))["health"]
    assert (health["state"], health["dead"], health["queued"]) == ("failing", 0, 1)
    assert health["oldest_queued_at"] is not None
    assert (await site.api("POST", f"/api/deliveries/{delivery_id}/retry", role="operator")).status == 409
    assert (await site.api("POST", f"/api/deliveries/{ids.new()}/retry", role="operator")).status == 404


async def test_a_deleted_channel_takes_its_log_along(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    await site.post(f"/api/notifications/{channel_id}/test", role="operator")
    answer = await site.api("DELETE", f"/api/notifications/{channel_id}")
    assert (answer.status, answer.body) == (204, b"")
    for method, path in (("GET", ""), ("GET", "/log"), ("DELETE", ""), ("POST", "/test")):
        assert (await site.api(method, f"/api/notifications/{channel_id}{path}")).status == 404
    assert site.sql("SELECT 1 FROM notification_log") == []


async def test_a_channel_whose_key_is_lost_says_so(site: Site) -> None:
    channel_id = (await site.post("/api/notifications", WEBHOOK))["id"]
    site.sql("UPDATE channels SET config = ?", b"\0")
    answer = await site.api("GET", f"/api/notifications/{channel_id}")
    assert answer.status == 503
    assert "secret" in answer.json["detail"]


async def test_a_channel_of_a_kind_that_a_later_version_made_says_so_and_hides_no_other(site: Site) -> None:
    strange = (await site.post("/api/notifications", WEBHOOK))["id"]
    fine = (await site.post("/api/notifications", NTFY))["id"]
    site.sql("UPDATE channels SET kind = 'pager' WHERE id = ?", strange)
    answer = await site.api("GET", f"/api/notifications/{strange}")
    assert answer.status == 503
    assert "no kind of channel called 'pager'" in answer.json["detail"]
    await site.user()
    browser = await site.log_in()
    listed = await (await browser.get("/api/notifications")).get_json()
    assert {each["id"]: "problem" in each for each in listed["items"]} == {strange: True, fine: False}
    page = await (await browser.get("/settings/notifications")).get_data(as_text=True)
    assert strange in page
    assert "phone" in page
