"""A channel with something queued that is switched off or deleted, is held, or gave something up: API and pages."""

import html
import re
from typing import Any

import pytest
from quart.testing.client import QuartClient

from rmactors.common import clock, ids
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.notifications import Attempt
from rmactors.server.web import access
from tests.web.conftest import PASSWORD, Site

WEBHOOK: dict[str, Any] = {
    "kind": "webhook", "name": "ops", "config": {"url": "https://hooks.example.org/x", "bearer_token": "very-secret-1"},
}  # fmt: skip
FORM = {
    "kind": "webhook", "name": "renamed", "config.url": "https://hooks.example.org/x", "config.bearer_token":
    "very-secret-2", "min_severity": "warning", "host_tags": "prod, home", "events": "alert.raised",
}  # fmt: skip
QUOTA = "429 Too Many Requests: daily quota reached"


async def channel(site: Site, queued: int = 0, **changes: Any) -> str:
    """A channel with so many messages queued."""
    channel_id: str = (await site.post("/api/notifications", {**WEBHOOK, **changes}))["id"]
    host_id = await site.enroll() if queued else ""
    for n in range(queued):
        at = site.clock()
        await site.commit(RaiseAlert(ids.new(), host_id, "backup_failed", f"plan:{n}", "warning", "it failed", at))
    return channel_id


async def settle(site: Site, channel_id: str, result: Attempt) -> str:
    """The oldest message that is queued was tried."""
    [row, *_] = site.sql("SELECT * FROM deliveries WHERE channel_id = ? AND state = 'queued' ORDER BY seq", channel_id)
    await site.commit(
        SettleAttempt(
            ids.new(), row["id"], channel_id, row["alert_id"], row["event"], row["attempts"] + 1, result, site.clock(),
            None,
        )
    )  # fmt: skip
    return str(row["id"])


async def health(site: Site, channel_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await site.get(f"/api/notifications/{channel_id}"))["health"]
    return found


async def page(browser: QuartClient, path: str) -> str:
    return html.unescape(await (await browser.get(path)).get_data(as_text=True))


def states(site: Site) -> list[str]:
    return [row["state"] for row in site.sql("SELECT state FROM deliveries ORDER BY seq")]


# ---- switched off, by a program


async def test_disabling_a_channel_with_something_queued_is_a_409_with_the_number(site: Site) -> None:
    channel_id = await channel(site, 3)
    path = f"/api/notifications/{channel_id}"
    answer = await site.api("PUT", path, {**WEBHOOK, "enabled": False})
    assert (answer.status, answer.json["queued"]) == (409, 3)
    assert answer.json["type"] == "urn:restic-manager:problem:queued"
    assert answer.json["detail"].startswith("3 messages are queued on this channel.")
    assert (await site.get(path))["enabled"] is True
    assert (await site.api("PUT", path, WEBHOOK)).status == 200, "saving it otherwise asks nothing"


@pytest.mark.parametrize(("queued", "state"), [("keep", "queued"), ("drop", "dead")])
async def test_it_may_be_said_what_becomes_of_what_is_queued(site: Site, queued: str, state: str) -> None:
    channel_id = await channel(site, 2)
    path = f"/api/notifications/{channel_id}"
    answer = await site.api("PUT", f"{path}?queued={queued}", {**WEBHOOK, "enabled": False})
    assert (answer.status, answer.json["enabled"]) == (200, False)
    assert states(site) == [state, state]
    found = answer.json["health"]
    assert (found["state"], found["queued"], found["dead"]) == ("idle", 2 if queued == "keep" else 0,
                                                                0 if queued == "keep" else 2)  # fmt: skip
    assert (await site.api("PUT", path, WEBHOOK)).status == 200
    assert states(site) == [state, state]


async def test_what_else_is_said_is_refused(site: Site) -> None:
    channel_id = await channel(site)
    for query in ("queued=burn", "what=keep"):
        answer = await site.api("PUT", f"/api/notifications/{channel_id}?{query}", WEBHOOK)
        assert answer.status == 422


# ---- switched off, on the form


async def ask(site: Site, number: int = 2) -> tuple[QuartClient, str, str]:
    """(browser, path of the form, the page that asks)."""
    channel_id = await channel(site, number)
    await site.user()
    browser = await site.log_in()
    path = f"/settings/notifications/{channel_id}/edit"
    answer = await browser.post(path, form=FORM)
    assert answer.status_code == 409
    return browser, path, html.unescape(await answer.get_data(as_text=True))


def hidden(text: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(carried_on)" value="(.+?)"', text))


@pytest.mark.parametrize(("queued", "state"), [("keep", "queued"), ("drop", "dead")])
async def test_the_form_asks_and_keeps_all_that_was_typed_and_shows_no_secret(
    site: Site, queued: str, state: str
) -> None:
    browser, path, asks = await ask(site)
    assert "2 messages are queued on it." in asks
    assert "very-secret" not in asks
    assert f'action="{path}?queued=keep"' in asks
    assert f'formaction="{path}?queued=drop"' in asks
    assert states(site) == ["queued", "queued"]
    answer = await browser.post(f"{path}?queued={queued}", form=hidden(asks))
    assert answer.status_code == 303, await answer.get_data(as_text=True)
    assert states(site) == [state, state]
    [shown] = (await site.get("/api/notifications"))["items"]
    assert (shown["enabled"], shown["name"], shown["host_tags"]) == (False, "renamed", ["prod", "home"])
    opened = site.services.box.open(site.sql("SELECT config FROM channels")[0]["config"],
                                    f"notification-channel:{shown['id']}")  # fmt: skip
    assert b"very-secret-2" in opened


async def test_the_answer_needs_a_password_like_the_form_itself(site: Site) -> None:
    browser, path, asks = await ask(site, 1)
    assert "1 message is queued on it." in asks
    site.clock.advance(access.PROOF_LASTS + clock.SECOND)
    late = await browser.post(f"{path}?queued=keep", form=hidden(asks))
    assert late.status_code == 403
    text = html.unescape(await late.get_data(as_text=True))
    assert f'action="{path}?queued=keep"' in text
    answer = await browser.post(f"{path}?queued=keep", form={**hidden(text), "password_again": PASSWORD})
    assert answer.status_code == 303
    assert states(site) == ["queued"]
    assert site.sql("SELECT enabled FROM channels")[0]["enabled"] == 0


async def test_a_channel_that_is_off_says_how_much_it_kept(site: Site) -> None:
    browser, path, asks = await ask(site)
    await browser.post(f"{path}?queued=keep", form=hidden(asks))
    assert "Off, 2 kept" in await page(browser, "/settings/notifications")


async def test_the_page_that_deletes_a_channel_says_what_goes_with_it(site: Site) -> None:
    channel_id = await channel(site, 3)
    await settle(site, channel_id, Attempt("dead", 410, 1.0, "410 Gone"))
    await site.user()
    browser = await site.log_in()
    text = await page(browser, f"/settings/notifications/{channel_id}/delete")
    assert "Deleted with it: its log, 2 messages that are queued, 1 that was not delivered." in text


# ---- held


async def test_until_when_a_channel_is_held_and_why_is_said_until_that_is_over(site: Site) -> None:
    channel_id = await channel(site, 2)
    until = site.clock() + clock.HOUR
    await settle(site, channel_id, Attempt("retry", 429, 1.0, QUOTA, retry_at=until))
    await settle(site, channel_id, Attempt("retry", 429, 1.0, QUOTA, retry_at=until))
    found = await health(site, channel_id)
    assert (found["held_until"], found["held_because"], found["state"]) == (clock.to_rfc3339(until), QUOTA, "failing")
    await site.user()
    browser = await site.log_in()
    of_channel = f"/settings/notifications/{channel_id}"
    for path in ("/settings/notifications", f"{of_channel}/log", f"{of_channel}/edit"):
        text = await page(browser, path)
        assert "Held" in text
        assert f"because “{QUOTA}”" in text
        assert "2 messages queued" in text
    site.clock.advance(clock.HOUR)
    found = await health(site, channel_id)
    assert (found["held_until"], found["held_because"]) == (None, None)
    text = await page(browser, "/settings/notifications")
    assert "Held" not in text
    assert "Failing, retrying" in text


async def test_saving_the_channel_ends_a_hold(site: Site) -> None:
    channel_id = await channel(site, 1)
    await settle(site, channel_id, Attempt("retry", 429, 1.0, QUOTA, retry_at=site.clock() + clock.HOUR))
    answer = await site.api("PUT", f"/api/notifications/{channel_id}", WEBHOOK)
    assert answer.json["health"]["held_until"] is None


# ---- given up


async def test_what_was_given_up_is_dismissed_by_a_program(site: Site) -> None:
    channel_id = await channel(site, 1)
    delivery_id = await settle(site, channel_id, Attempt("dead", 410, 1.0, "410 Gone"))
    path = f"/api/deliveries/{delivery_id}/dismiss"
    assert (await site.api("POST", path, role="viewer")).status == 403
    answer = await site.api("POST", path, role="operator")
    assert (answer.status, answer.json["state"]) == (200, "dead")
    found = await health(site, channel_id)
    assert (found["dead"], found["state"], found["last_error"]) == (0, "idle", None)
    assert (await site.api("POST", path, role="operator")).status == 200, "dismissed twice is once"
    assert len(site.sql("SELECT 1 FROM audit WHERE action = 'delivery.dismiss' AND target_id = ?", delivery_id)) == 1
    assert (await site.api("POST", f"/api/deliveries/{delivery_id}/retry", role="operator")).status == 202
    assert (await site.api("POST", path, role="operator")).status == 409
    for nothing in (ids.new(), "x"):
        assert (await site.api("POST", f"/api/deliveries/{nothing}/dismiss", role="operator")).status == 404


async def test_what_was_given_up_is_dismissed_on_the_page_one_by_one_or_all_at_once(site: Site) -> None:
    channel_id = await channel(site, 3)
    given_up = [await settle(site, channel_id, Attempt("dead", 410, 1.0, "410 Gone")) for _ in range(3)]
    await site.user("olga", "operator")
    browser = await site.log_in("olga")
    log = f"/settings/notifications/{channel_id}/log"
    text = await page(browser, log)
    assert "Dismiss all 3" in text
    assert f"/deliveries/{given_up[0]}/dismiss" in text
    answer = await browser.post(f"/deliveries/{given_up[0]}/dismiss", form={"next": log})
    assert (answer.status_code, answer.headers["Location"]) == (303, log)
    assert "Dismiss all 2" in await page(browser, log)
    answer = await browser.post(f"/settings/notifications/{channel_id}/dismiss")
    assert (answer.status_code, answer.headers["Location"]) == (303, log)
    assert "Dismiss" not in await page(browser, log)
    assert (await health(site, channel_id))["dead"] == 0


# ---- a notice above every page


NONE = "No notification channel is enabled"


async def test_without_an_enabled_channel_every_page_says_so_but_those_before_the_sign_in(site: Site) -> None:
    await site.user()
    assert NONE not in await page(site.browser(), "/login")
    browser = await site.log_in()
    await channel(site, enabled=False)
    for path in ("/", "/hosts", "/alerts", "/settings/notifications", "/audit"):
        assert NONE in await page(browser, path)
    await channel(site, name="other")
    assert NONE not in await page(browser, "/")


@pytest.mark.parametrize("result", [Attempt("retry", 503, 1.0, "503"), Attempt("dead", 410, 1.0, "410 Gone")])
async def test_a_channel_that_does_not_deliver_is_named_to_operators_with_a_link_and_not_to_viewers(
    site: Site, result: Attempt
) -> None:
    channel_id = await channel(site, 1, name="<b>ops</b>")
    await site.user("olga", "operator")
    await site.user("vera", "viewer")
    operator, viewer = await site.log_in("olga"), await site.log_in("vera")
    assert "not delivered" not in await page(operator, "/")
    await settle(site, channel_id, result)
    for path in ("/", "/jobs"):
        text = await (await operator.get(path)).get_data(as_text=True)
        assert "Notifications are not delivered by: &lt;b&gt;ops&lt;/b&gt;." in text
        assert f'href="/settings/notifications/{channel_id}/log"' in text
        told = await page(viewer, path)
        assert "Some notifications are not delivered." in told
        assert "ops</b>" not in told.partition("<main")[0]


# ---- an alert about a channel


async def test_an_alert_about_a_channel_is_about_no_host(site: Site) -> None:
    channel_id, alert_id = await channel(site), ids.new()
    await site.commit(
        RaiseAlert(alert_id, "", "channel_failing", f"channel:{channel_id}", "warning", "it fails", site.clock())
    )
    for shown in (
        await site.get(f"/api/alerts/{alert_id}"),
        *(await site.get("/api/alerts?kind=channel_failing"))["items"],
    ):
        assert (shown["host_id"], shown["host_name"]) == (None, None)
        assert (shown["kind"], shown["subject"]) == ("channel_failing", f"channel:{channel_id}")
    await site.user()
    browser = await site.log_in()
    for path in ("/alerts", f"/alerts/{alert_id}"):
        text = await page(browser, path)
        assert f'href="/settings/notifications/{channel_id}/log"' in text
        assert 'href="/hosts/"' not in text
    assert 'href="/silences?kind=channel_failing"' in text
    await site.enroll()
    assert "1 channel does not deliver" in await page(browser, "/")
    acknowledged = await site.post(f"/api/alerts/{alert_id}/acknowledge", {"note": "on it"}, role="operator")
    assert acknowledged["status"] == "acknowledged"
    resolved = await site.post(f"/api/alerts/{alert_id}/resolve", role="operator")
    assert (resolved["status"], resolved["resolved_by"]) == ("resolved", "token:the operator")
