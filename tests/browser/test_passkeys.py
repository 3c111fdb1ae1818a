"""Passkeys by hand in a browser: Chromium's virtual authenticator is the device, all else is real.

The server's address is `localhost`, where browsers allow passkeys without HTTPS.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Request, expect

from harness import running_server
from harness.running_server import PASSWORD, RunningServer
from tests.conftest import PATIENCE_MS

ADD = "Add a passkey"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = running_server.settings_for(tmp_path_factory.mktemp("passkeys") / "data")
    settings = replace(settings, base_url=settings.base_url.replace("127.0.0.1", "localhost"))
    for name in ("anna", "bert", "carl", "dora", "emil", "fred", "gina", "hugo", "ivan", "jane"):
        running_server.make_user(settings, name, "admin")
    running = running_server.run(settings)
    yield replace(running, url=settings.base_url)
    running.stop()


@dataclass
class Device:
    """A browser with an authenticator in it."""

    page: Page
    devtools: CDPSession
    authenticator: str

    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.devtools.send(
            "WebAuthn.getCredentials", {"authenticatorId": self.authenticator}
        )["credentials"]
        return found

    def verifies(self, yes: bool) -> None:
        """Whether the finger on the sensor is the right one."""
        self.devtools.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": yes})


@pytest.fixture
def device(server: RunningServer, browser: Browser) -> Iterator[Device]:
    context = browser.new_context(base_url=server.url)
    yield device_in(context)
    context.close()


def device_in(context: BrowserContext) -> Device:
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Device(page, devtools, made["authenticatorId"])


def sign_in(server: RunningServer, device: Device, username: str) -> Page:
    """With the password: the browser gets the session of a sign-in that came from an address of its own."""
    address = server.url.replace("localhost", "127.0.0.1")
    cookie = running_server.sign_in(address, username, PASSWORD)
    device.page.context.add_cookies([{"name": "rm", "value": cookie, "url": server.url}])
    return device.page


def add_passkey(server: RunningServer, device: Device, username: str, name: str = "my laptop") -> Page:
    page = sign_in(server, device, username)
    page.goto("/settings/authentication")
    page.locator("#passkeys").get_by_label("Name").fill(name)
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Keep these recovery codes")).to_be_visible()
    return page


def leave(page: Page) -> None:
    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_passkey_is_added_named_used_and_removed(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "anna")
    expect(page.locator("#passkeys")).to_contain_text("my laptop")
    expect(page.locator("#passkeys")).to_contain_text("not used yet")
    assert [each["rpId"] for each in device.credentials()] == ["localhost"]
    assert device.credentials()[0]["isResidentCredential"]
    leave(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{server.url}/")
    page.goto("/settings/authentication")
    expect(page.locator("#passkeys")).to_contain_text("used")
    expect(page.locator("#passkeys")).not_to_contain_text("not used yet")
    page.goto("/settings/users")
    expect(page.get_by_role("row", name="anna")).to_contain_text("1 passkey")
    page.goto("/settings/authentication")
    page.get_by_role("button", name="Remove the passkey my laptop").click()
    expect(page.get_by_role("button", name="Remove the passkey my laptop")).to_have_count(0)
    leave(page)
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{server.url}/")


def test_a_passkey_is_the_second_factor_after_the_password(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "bert")
    codes = page.locator("section pre").inner_text().split()
    leave(page)
    page.get_by_label("User name").fill("bert")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()  # the password alone is not enough
    page.goto("/login/second-factor?next=/jobs")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/jobs")
    leave(page)
    page.get_by_label("User name").fill("bert")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{server.url}/")


def test_a_passkey_is_not_taken_without_the_right_finger(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "carl")
    leave(page)
    device.verifies(False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()
    device.verifies(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{server.url}/")


def test_the_same_device_is_not_added_twice(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "dora")
    page.goto("/settings/authentication")
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("This device has a passkey for this account already.")).to_be_visible()
    assert len(device.credentials()) == 1


def test_an_answer_is_good_once(server: RunningServer, device: Device) -> None:
    """Somebody who saw it, and has the cookie that belongs to it, sends it again."""
    page = add_passkey(server, device, "emil")
    leave(page)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/login/passkey") else None)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{server.url}/")
    [request] = sent
    cookies = {each["name"]: each["value"] for each in page.context.cookies()}
    page.goto("about:blank")  # a page that is open goes to the login page by itself when its session ends
    page.context.clear_cookies()
    page.context.add_cookies([{"name": "rm-passkey", "value": cookies["rm-passkey"], "url": server.url}])
    again = page.context.request.post("/login/passkey", data=request.post_data, headers={
        "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin",
    }, max_redirects=0)  # fmt: skip
    assert again.status == 422
    assert "counter went back" in again.text() or "used already" in again.text()
    assert "rm" not in {each["name"] for each in page.context.cookies()}


def test_a_copy_of_a_passkey_is_found_by_its_counter(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "fred")
    leave(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{server.url}/")
    [credential] = device.credentials()
    known = {"authenticatorId": device.authenticator}
    device.devtools.send("WebAuthn.removeCredential", {**known, "credentialId": credential["credentialId"]})
    device.devtools.send("WebAuthn.addCredential", {**known, "credential": {**credential, "signCount": 0}})
    leave(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("there may be a copy of it")).to_be_visible()
    sign_in(server, device, "gina").goto("/audit")
    expect(page.get_by_role("row", name="its counter went from").first).to_contain_text("fred")


def test_the_passkey_confirms_in_place_of_the_password(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "gina")
    page.goto("/reauthenticate?next=/settings/users")
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("**/settings/users")


def test_what_was_typed_goes_on_once_the_passkey_has_confirmed_it(server: RunningServer, device: Device) -> None:
    page = sign_in(server, device, "ivan")
    page.goto("/settings/authentication")
    page.locator("#passkeys").get_by_label("Name").fill("ivan's")
    page.get_by_role("button", name=ADD).click()
    expect(page.get_by_text("Keep these recovery codes")).to_be_visible()
    page.goto("/settings/users")
    page.locator("#f-username").fill("kim")
    page.locator("#f-password").fill("quite a long pass phrase")
    with closing(sqlite3.connect(Path(server.settings.data_dir) / "rm.db")) as database, database:
        database.execute("UPDATE sessions SET proved_at = 0")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url("**/settings/users")
    expect(page.get_by_role("row", name="kim")).to_be_visible()


def test_at_another_name_the_page_says_where_passkeys_work(server: RunningServer, device: Device) -> None:
    page = add_passkey(server, device, "hugo")
    elsewhere = server.url.replace("localhost", "127.0.0.1")
    page.goto(f"{elsewhere}/login")
    expect(page.get_by_text(f"Passkeys work at {server.url} only (RM_BASE_URL). Open this page there.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)


def test_without_a_script_the_page_says_that_one_is_needed(
    server: RunningServer, device: Device, browser: Browser
) -> None:
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto("/login")
        expect(page.get_by_label("Password")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    finally:
        context.close()


def test_an_answer_for_another_purpose_is_refused(server: RunningServer, device: Device) -> None:
    """What was asked for at the sign-in page confirms nothing, and the other way round."""
    page = sign_in(server, device, "jane")
    page.goto("/reauthenticate?next=/")
    asked = page.evaluate("fetch('/login/passkey/options', {method: 'POST'}).then((answer) => answer.json())")
    assert asked["userVerification"] == "required"
    assert asked["allowCredentials"] == []
    answer = page.evaluate(
        "fetch('/reauthenticate/passkey', {method: 'POST', body: new URLSearchParams({credential: '{}'})})"
        ".then((answer) => answer.json())"
    )
    assert answer["status"] == 422
