"""Adding hosts and enrolling one again, by hand in a browser, with the commands that the pages show and real agents."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from harness import running_server
from harness.chromium import DESKTOP, PHONE
from harness.running_server import RunningServer
from tests.browser.conftest import SCRIPT, Site, Visit


def enroll(server: RunningServer, command: str, token: str, state: Path, *more: str) -> str:
    """Type the command, and the token where it is asked for. What it says."""
    words = shlex.split(command)
    assert words[0] == "rmactors"
    assert token not in command, "shells keep what is typed"
    done = subprocess.run(
        [sys.executable, "-m", *words, *more], input=f"{token}\n".encode(),
        env={**running_server.environment(server.settings), "RM_AGENT_STATE_DIR": str(state)},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def examine(page: Page, script: bool) -> None:
    """axe finds nothing, and nothing is wider than the screen, on a desk and on a phone."""
    for width in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        if script:
            assert Axe().run(page).violations_count == 0


@SCRIPT
def test_two_hosts_are_added_with_one_token_and_its_tags(
    site: Site, visit: Visit, script: bool, tmp_path: Path
) -> None:
    tag = "with-script" if script else "without-script"
    visitor = visit("admin", script=script)
    page = visitor.open("/hosts/new")
    expect(page.get_by_role("note")).to_contain_text("Other machines cannot connect yet.")
    expect(page.get_by_role("note")).to_contain_text("RM_AGENT_LISTEN=0.0.0.0:")
    page.get_by_label("Name", exact=True).fill("one")
    page.get_by_label("Number of hosts").fill("2")
    page.get_by_label("Tags").fill(f"{tag}, db")
    page.get_by_role("button", name="Create enrollment token").click()
    expect(page.locator("#e-name")).to_contain_text("Leave the name out")
    visitor.console.clear()  # the 422
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_role("button", name="Create enrollment token").click()
    expect(page.get_by_text("The token enrolls 2 hosts and expires in")).to_be_visible()
    expect(page.get_by_text("On this server's machine only")).to_be_visible()
    examine(page, script)
    command, token = page.locator("#enroll").inner_text(), page.locator("#token").inner_text()
    for number in range(2):
        assert "enrolled as" in enroll(site.server, command, token, tmp_path / str(number), "--name", f"{tag}-{number}")
    if script:
        expect(page.locator("#arrived")).to_contain_text(f"{tag}-1")
    page.goto(f"{site.url}/hosts/new")
    row = page.get_by_role("row", name=tag)
    expect(row).to_contain_text("Used")
    expect(row).to_contain_text("0 of 2 uses left")
    expect(row.get_by_role("button")).to_have_count(0)
    page.goto(f"{site.url}/hosts?q={tag}")
    expect(page.get_by_role("link", name=f"{tag}-0")).to_be_visible()


@SCRIPT
def test_a_machine_that_was_installed_again_becomes_the_same_host(
    site: Site, visit: Visit, script: bool, tmp_path: Path
) -> None:
    name = "nas1" if script else "mail"
    host = site.past.hosts[name]
    page = visit("admin", script=script).open(f"/hosts/{host}")
    page.get_by_role("link", name="Enroll this host again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Credential of {name}")
    expect(page.locator("main")).to_contain_text("Name, tags, schedules, history and alerts stay.")
    examine(page, script)
    page.get_by_role("button", name="Create a token for this host").click()
    expect(page.locator("#enroll")).to_contain_text("--again")
    examine(page, script)
    said = enroll(
        site.server, page.locator("#enroll").inner_text(), page.locator("#token").inner_text(), tmp_path / "state"
    )
    assert f"enrolled as {name} (host {host})" in said
    if script:
        page.locator("#arrived").get_by_role("link", name=f"Go to {name}").click()
    else:
        page.goto(f"{site.url}/hosts/{host}")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text("is this machine a clone")).to_have_count(0)


@pytest.fixture
def known_address(tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose agents' port has an address that other machines reach."""
    settings = replace(running_server.settings_for(tmp_path / "data"), agent_url="wss://agents.example.org")
    running_server.make_user(settings, "admin", "admin")
    running = running_server.run(settings)
    yield running
    running.stop()


def test_what_enrolls_machines_without_anybody_at_them_is_there_to_copy(
    known_address: RunningServer, browser: Browser
) -> None:
    context = browser.new_context()
    cookie = running_server.sign_in(known_address.url, "admin", running_server.PASSWORD)
    context.add_cookies([{"name": "rm", "value": cookie, "url": known_address.url}])
    page = context.new_page()
    page.goto(f"{known_address.url}/hosts/new")
    expect(page.get_by_text("a proxy on this machine has to pass them on")).to_be_visible()
    page.get_by_label("Number of hosts").fill("40")
    page.get_by_label("Valid for").select_option("1 day")
    page.get_by_role("button", name="Create enrollment token").click()
    token = page.locator("#token").inner_text()
    page.get_by_text("New machines, by cloud-init").click()
    page.get_by_text("Machines that are there, by Ansible").click()
    expect(page.locator("#cloud-init")).to_contain_text(f"content: |\n      {token}")
    expect(page.locator("#ansible")).to_contain_text("rmactors_server: wss://agents.example.org")
    assert token not in page.locator("#ansible").inner_text()
    examine(page, script=True)
    context.close()
