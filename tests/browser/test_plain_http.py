"""Signing in over plain HTTP from another machine: the browser drops the cookie, and the page says so."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from harness import running_server
from harness.chromium import LAN_NAME
from harness.running_server import PASSWORD, RunningServer


def running(folder: Path, *, secure: bool) -> Iterator[RunningServer]:
    settings = running_server.settings_for(folder / "data")
    port = settings.listen.rpartition(":")[2]
    settings = replace(settings, base_url=f"http://{LAN_NAME}:{port}", cookie_secure=secure)
    running_server.make_user(settings, "anna", "admin")
    started = running_server.run(settings)
    yield started
    started.stop()


@pytest.fixture
def with_secure_cookie(tmp_path: Path) -> Iterator[RunningServer]:
    yield from running(tmp_path, secure=True)


@pytest.fixture
def without(tmp_path: Path) -> Iterator[RunningServer]:
    yield from running(tmp_path, secure=False)


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/alerts")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


def test_the_login_page_says_why_signing_in_leads_back_to_it(
    with_secure_cookie: RunningServer, browser: Browser
) -> None:
    url = with_secure_cookie.settings.base_url
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/login")
    expect(page.get_by_role("alert")).to_contain_text("Signing in does not work over plain HTTP")
    expect(page.get_by_role("alert")).not_to_contain_text("Your password was right")
    sign_in(page, url)
    expect(page).to_have_url(f"{url}/login?next=/alerts")
    expect(page.get_by_role("alert")).to_contain_text("Your password was right, but your browser did not keep")
    expect(page.get_by_role("alert")).to_contain_text("RM_COOKIE_SECURE=false")
    context.close()
    log = with_secure_cookie.log.read_text()
    assert "Signing in from other machines will not work" in log
    assert "RM_COOKIE_SECURE=false" in log


def test_on_this_machine_the_cookie_is_kept_and_the_page_has_nothing_to_say(
    with_secure_cookie: RunningServer, browser: Browser
) -> None:
    for name in ("127.0.0.1", "localhost"):
        url = with_secure_cookie.url.replace("127.0.0.1", name)
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{url}/login")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
        sign_in(page, url)
        expect(page).to_have_url(f"{url}/alerts")
        context.close()


def test_with_the_setting_for_plain_http_signing_in_works(without: RunningServer, browser: Browser) -> None:
    url = without.settings.base_url
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, url)
    expect(page).to_have_url(f"{url}/alerts")
    context.close()
