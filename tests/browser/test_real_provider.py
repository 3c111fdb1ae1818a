"""Signing in through a real OpenID provider (npm's oidc-provider), by hand in a browser: its pages, keys, codes.

What it does on top of what is asked of it: PKCE is required, groups are in its userinfo alone, callbacks say `iss`.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from harness import running_server
from harness.ports import free_port
from harness.running_server import RunningServer
from tests.conftest import PATIENCE_MS

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".venv" / "tools" / "oidc-provider"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir(),
    reason="npm's oidc-provider is not there: make debian-oidc",
)


@dataclass
class Both:
    """The server and its provider. `accounts` says of each account there which claims it has."""

    server: RunningServer
    accounts: Path

    def say(self, **claims: dict[str, object]) -> None:
        self.accounts.write_text(json.dumps(claims))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("provider")
    settings = running_server.settings_for(folder / "data")
    port, accounts = free_port(), folder / "accounts.json"
    accounts.write_text("{}")
    assert NODE is not None
    callback = f"{settings.base_url}/login/oidc/callback"
    script = [NODE, str(HERE / "oidc_provider.mjs"), str(FOLDER), str(port), callback, str(accounts)]
    with (
        (folder / "provider.log").open("wb") as log,
        subprocess.Popen(script, stdout=subprocess.PIPE, stderr=log) as provider,
    ):
        try:
            assert provider.stdout is not None
            assert provider.stdout.readline() == b"ready\n", (folder / "provider.log").read_text()
            settings = replace(
                settings, oidc_issuer=f"http://localhost:{port}", oidc_client_id="restic-manager",
                oidc_client_secret="a secret of the tests: 100 % +", oidc_roles="admins=admin,ops=operator",
            )  # fmt: skip
            running = running_server.run(settings)
            yield Both(running, accounts)
            running.stop()
        finally:
            provider.terminate()


@pytest.fixture
def page(both: Both, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(base_url=both.server.url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def sign_in(page: Page, account: str, start: str = "/login?next=/jobs", consent: bool = True) -> None:
    """Through the provider's own pages."""
    page.goto(start)
    page.get_by_role("link", name="Sign in with localhost").click()
    show_who(page, account)
    if consent:
        page.get_by_role("button", name="Continue").click()


def show_who(page: Page, account: str) -> None:
    page.locator("input[name=login]").fill(account)
    page.locator("input[name=password]").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()


def test_a_user_signs_in_there_and_has_here_the_role_of_their_group(both: Both, page: Page) -> None:
    both.say(anna={"groups": ["admins", "others"], "preferred_username": "anna"})
    sign_in(page, "anna")
    page.wait_for_url(f"{both.server.url}/jobs")
    page.goto("/settings/users")
    expect(page.get_by_role("row", name="anna")).to_contain_text("admin")
    expect(page.get_by_role("row", name="anna")).to_contain_text("by localhost")


def test_a_role_that_is_taken_away_there_is_gone_here_at_the_next_sign_in(both: Both, page: Page) -> None:
    both.say(bert={"groups": ["ops"], "preferred_username": "bert"})
    sign_in(page, "bert")
    page.wait_for_url(f"{both.server.url}/jobs")
    both.say(bert={"groups": [], "preferred_username": "bert"})
    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in with localhost").click()  # there, they are signed in still
    expect(page.get_by_role("alert")).to_have_text(
        "localhost let you in, but none of your groups there has a role here. Ask an administrator."
    )
    page.goto("/jobs")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_says_no_there_reads_so_here(both: Both, page: Page) -> None:
    both.say(carl={"groups": ["ops"], "preferred_username": "carl"})
    page.goto("/login")
    page.get_by_role("link", name="Sign in with localhost").click()
    page.get_by_role("link", name="[ Cancel ]").click()
    expect(page.get_by_role("alert")).to_have_text("The identity provider did not let you in, or you said no there.")


def test_what_is_delicate_is_confirmed_there_and_what_was_typed_is_kept(both: Both, page: Page) -> None:
    both.say(dora={"groups": ["admins"], "preferred_username": "dora"})
    sign_in(page, "dora", "/login?next=/settings/users")
    page.wait_for_url("**/settings/users")
    page.locator("#f-username").fill("kim")
    page.locator("#f-password").fill("quite a long pass phrase")
    page.get_by_role("button", name="Add").click()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Confirm at localhost").click()
    other = opened.value
    other.set_default_timeout(PATIENCE_MS)
    show_who(other, "dora")
    expect(other.get_by_role("heading", name="Confirmed")).to_be_visible()
    other.close()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/settings/users")
    expect(page.get_by_role("row", name="kim")).to_be_visible()


def test_a_callback_that_is_opened_again_signs_nobody_in(both: Both, page: Page) -> None:
    both.say(emil={"groups": ["ops"], "preferred_username": "emil"})
    callbacks: list[str] = []
    page.on("request", lambda request: callbacks.append(request.url) if "/login/oidc/callback" in request.url else None)
    sign_in(page, "emil")
    page.wait_for_url(f"{both.server.url}/jobs")
    page.goto("about:blank")  # a page that is open goes to the login page by itself when its session ends
    page.context.clear_cookies(name="rm")
    page.goto(callbacks[-1])
    expect(page.get_by_role("alert")).to_contain_text("This sign-in took too long, or was started in another browser")
    log = both.server.log.read_text()
    assert "eyJ" not in log
    assert "a secret of the tests" not in log
