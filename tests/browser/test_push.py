"""Notifications of the browser, as far as Chromium goes without its maker's push service.

The service worker, the permission and what is shown are Chromium's own; a push comes in by its debugging protocol. Only
the subscription, which Chromium would fetch from its maker, is made by the test.
"""

import json
from typing import Any

from playwright.sync_api import Page, expect

from rmactors.server.channels.webpush.keys import own_key, public_text
from tests.browser.conftest import Site, Visit, Visitor

SUBSCRIPTION = {"endpoint": "https://push.example.org/x", "p256dh": public_text(own_key(b"b")), "auth": "A" * 22}
SUBSCRIBE = """({endpoint, p256dh, auth}) => {
  PushManager.prototype.getSubscription = async () => null;
  PushManager.prototype.subscribe = async (wanted) => {
    const key = new Uint8Array(wanted.applicationServerKey);
    if (!wanted.userVisibleOnly || key.length !== 65) throw new Error("refused");
    return {toJSON: () => ({endpoint, keys: {p256dh, auth}})};
  };
}"""


def allowed(visitor: Visitor) -> Page:
    visitor.context.grant_permissions(["notifications"])
    page = visitor.page()
    page.add_init_script(f"({SUBSCRIBE})({json.dumps(SUBSCRIPTION)})")
    page.goto("/settings/authentication")
    return page


def test_a_viewer_turns_it_on_for_the_browser_at_hand_and_off_again(visit: Visit) -> None:
    page = allowed(visit("viewer"))
    page.get_by_role("button", name="Turn on for this browser").click()
    remove = page.get_by_role("button", name="Remove viewer's Chrome on Linux")
    expect(remove).to_be_visible()
    remove.click()
    expect(remove).to_have_count(0)


def test_without_a_script_the_page_says_what_is_needed(visit: Visit) -> None:
    page = visit("viewer", script=False).open("/settings/authentication")
    expect(page.get_by_text("Turning it on needs JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Turn on for this browser")).to_be_hidden()


def test_a_push_is_shown_and_leads_to_pages_of_ours_alone(visit: Visit, site: Site) -> None:
    page = allowed(visit("viewer"))
    page.evaluate("navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => 1)")
    shown = shown_of(
        page, site, 2,
        {"title": "[warning] nas1: backup_failed", "body": "no", "url": f"{site.url}/alerts/1", "tag": "a"},
        {"title": "[warning] nas1: backup_failed (resolved)", "body": "yes", "url": f"{site.url}/alerts/1", "tag": "a"},
        {"title": "Elsewhere", "body": "", "url": "https://evil.example/", "tag": "b"},
    )  # fmt: skip
    assert [(each["title"], each["data"]) for each in shown] == [
        ("Elsewhere", f"{site.url}/alerts"), ("[warning] nas1: backup_failed (resolved)", f"{site.url}/alerts/1"),
    ]  # fmt: skip


def shown_of(page: Page, site: Site, count: int, *pushes: dict[str, str]) -> list[dict[str, str]]:
    """What is shown of these. They are pushed again where something is missing: one was seen to get lost on a busy
    machine, where is not known."""
    for _ in range(12):
        for told in pushes:
            push(page, site, told)
        if (shown := notifications(page, count)) is not None:
            return shown
    raise AssertionError("what was pushed is not shown")


def push(page: Page, site: Site, told: dict[str, str]) -> None:
    """As the push service would hand it over, decrypted."""
    browser = page.context.new_cdp_session(page)
    found: list[str] = []

    def note(event: dict[str, Any]) -> None:
        found.extend(each["registrationId"] for each in event["registrations"] if not each["isDeleted"])

    browser.on("ServiceWorker.workerRegistrationUpdated", note)
    browser.send("ServiceWorker.enable")
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    for _ in range(2400):  # two minutes: a busy machine takes its time
        if found:
            break
        page.wait_for_timeout(50)
    browser.send(
        "ServiceWorker.deliverPushMessage", {"origin": site.url, "registrationId": found[-1], "data": json.dumps(told)}
    )
    browser.detach()


def notifications(page: Page, count: int) -> list[dict[str, str]] | None:
    """What is shown, by title, once there are so many and the last one has come; None if that takes too long."""
    listed = """async (count) => {
      const shown = await (await navigator.serviceWorker.ready).getNotifications();
      const found = shown.map(({title, data}) => ({title, data})).sort((a, b) => a.title < b.title ? -1 : 1);
      return found.length === count && found.some(({title}) => title.endsWith("(resolved)")) ? found : null;
    }"""
    for _ in range(200):  # asked from here: `wait_for_function` takes a promise for an answer
        shown: list[dict[str, str]] | None = page.evaluate(listed, count)
        if shown is not None:
            return shown
        page.wait_for_timeout(50)
    return None
