"""Hosts, schedules and jobs by hand in a browser; the first run, up to a real host that connects while one watches."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from harness import running_server
from harness.running_server import PASSWORD, RunningServer
from tests.browser.conftest import SCRIPT, Site, Visit


@SCRIPT
def test_a_schedule_is_made_corrected_run_and_deleted(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(f"/hosts/{site.past.hosts['nas1']}")
    name = f"Hourly {'with' if script else 'without'}"
    page.get_by_role("link", name="Add a schedule").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("When (cron)").fill("0 0 31 2 *")
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#e-cron")).to_contain_text("never fires")
    visitor.console.clear()
    page.get_by_label("When (cron)").fill("*/15 * * * *")
    if script:
        expect(page.locator("#cron-words")).to_contain_text("Every 15 minutes, Europe/Berlin")
        expect(page.locator("#cron-words time")).to_have_count(5)
    page.get_by_role("button", name="Save schedule").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Every 15 minutes")
    page.get_by_role("button", name=f"Run {name} now").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_text("Queued")).to_be_visible()
    page.get_by_role("button", name="Cancel job").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    page.goto(f"/hosts/{site.past.hosts['nas1']}")
    page.get_by_role("link", name=name).first.click()
    page.get_by_label("Type its name").fill(name)
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile("/hosts/"))
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(1)  # the job's, not the schedule's


@SCRIPT
def test_a_schedule_says_when_in_one_of_three_ways(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(f"/hosts/{site.past.hosts['nas1']}/schedules/new")
    name = f"Laptop {'with' if script else 'without'}"
    page.get_by_label("Name", exact=True).fill(name)
    expect(page.get_by_label("OnCalendar=")).to_be_hidden()
    page.get_by_label("OnCalendar of the systemd timer").check()
    expect(page.get_by_label("When (cron)")).to_be_hidden()
    page.get_by_label("OnCalendar=").fill("weekly")
    if script:
        expect(page.locator("#cron-words")).to_contain_text("OnCalendar=weekly")
        expect(page.locator("#cron-words time")).to_have_count(5)
    page.get_by_role("button", name="Save schedule").click()
    expect(page.locator("#e-on_calendar")).to_contain_text("mode external")
    visitor.console.clear()
    page.get_by_label("Every N hours").check()
    page.get_by_label("Hours", exact=True).fill("24")
    if script:
        expect(page.locator("#cron-words")).to_contain_text("Every 24 hours")
    page.get_by_label("Maximum age of the last good backup (hours)").fill("50")
    page.get_by_role("button", name="Save schedule").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Every 24 hours · no older than 2 d 2 h")
    row.get_by_role("link", name=name).first.click()
    expect(page.get_by_label("Every N hours")).to_be_checked()
    expect(page.get_by_label("Hours", exact=True)).to_have_value("24")


@SCRIPT
def test_a_host_is_renamed_given_a_new_credential_and_deleted(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("admin", script=script)
    page = visitor.open(f"/hosts/{site.past.hosts['new-box' if script else 'web-01']}")
    page.get_by_text("Change or delete this host").click()
    page.get_by_label("Name", exact=True).fill("nas1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("nas1")
    visitor.console.clear()
    page.get_by_label("Name", exact=True).fill("attic")
    page.get_by_label("Tags").fill("old, slow")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("attic")
    page.get_by_role("link", name="New credential").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Credential of attic")
    expect(page.locator("main")).to_contain_text("stops working at once, and the host is disconnected")
    expect(page.locator("main")).to_contain_text("/var/lib/rmactors-agent/credential.json")
    expect(page.locator("#token")).to_have_count(0)
    page.get_by_role("button", name="Replace the credential now").click()
    expect(page.locator("#token")).to_have_text(re.compile("^rmh_"))
    expect(page.locator("#credential")).to_have_text("rmactors agent credential --token-file -")
    if script:
        assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="Dashboard").click()
    page.get_by_label("Search hosts").fill("slow")
    page.keyboard.press("Enter")
    expect(page.locator("#host-list tbody tr")).to_have_count(1)
    page.locator("#host-list").get_by_role("link", name="attic").click()
    page.get_by_text("Change or delete this host").click()
    page.get_by_label("Delete: type").fill("nas1")
    page.get_by_role("button", name="Delete this host").click()
    expect(page.get_by_text("Type the host's name to delete it.")).to_be_visible()
    visitor.console.clear()
    page.get_by_label("Delete: type").fill("attic")
    page.get_by_role("button", name="Delete this host").click()
    page.wait_for_url("**/hosts")
    expect(page.get_by_text("attic")).to_have_count(0)


@SCRIPT
def test_times_are_read_in_the_zone_one_chooses(site: Site, visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open(f"/jobs/{site.past.jobs['check']}")
    page.locator("details.menu summary").click()
    page.get_by_label("Time zone").fill("Asia/Tokyo" if script else "Asia/Kolkata")
    page.get_by_role("button", name="Use").click()
    expect(page.locator("dl.facts time").first).to_contain_text("JST" if script else "IST")
    page.wait_for_url(f"**/jobs/{site.past.jobs['check']}")


def test_a_host_whose_backups_fail_says_which_was_the_last_good_one(site: Site, visit: Visit) -> None:
    page = visit("viewer").open(f"/hosts/{site.past.hosts['db-primary']}")
    expect(page.locator(".lede")).to_contain_text(re.compile(r"wrong password\. Last good one [23] d ago\."))
    strip = page.get_by_role("row", name="Nightly home Backup").get_by_role("img")
    expect(strip).to_have_attribute("aria-label", re.compile(r"last 30 days: 2\d good, 1 partial, 3 failed"))
    expect(page.get_by_role("img", name=re.compile("^Size of 27 backups: from .* to .*, the newest"))).to_be_visible()


def test_a_job_shows_its_log_and_reason(site: Site, visit: Visit) -> None:
    page = visit("viewer", script=False).open(f"/jobs/{site.past.jobs['check']}")
    expect(page.get_by_role("log")).to_contain_text("pack 5f1c: not found in backend")
    expect(page.get_by_text("The repository is damaged.")).to_be_visible()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that nobody has ever signed in to."""
    settings = running_server.settings_for(tmp_path / "data")
    running = running_server.run(settings)
    yield running
    running.stop()


@SCRIPT
def test_the_first_run_leads_from_the_token_to_a_host_that_connects(
    empty: RunningServer, browser: Browser, tmp_path: Path, script: bool
) -> None:
    context = browser.new_context(base_url=empty.url, java_script_enabled=script)
    page = context.new_page()

    def examine() -> None:
        if script:
            assert Axe().run(page).violations_count == 0

    page.goto("/")
    page.goto("/login")
    page.wait_for_url("**/setup")
    examine()
    token = Path(empty.settings.data_dir, "setup-token").read_text().strip()
    page.get_by_label("Setup token").fill(token)
    page.get_by_label("User name").fill("dana")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Create administrator").click()
    expect(page.locator("#password-error")).to_be_visible()
    examine()
    expect(page.get_by_label("User name")).to_have_value("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add your first host")
    examine()
    page.get_by_role("link", name="Add a host").click()
    page.get_by_role("button", name="Create enrollment token").click()
    command = shlex.split(page.locator("#enroll").inner_text())
    token = page.locator("#token").inner_text()
    assert token not in command, "a shell keeps what is typed"
    expect(page.get_by_text("Waiting for the host")).to_be_visible()
    examine()
    enroll(empty, command, token, tmp_path)
    if script:
        expect(page.locator("#arrived")).to_contain_text("nas1")
        page.get_by_role("link", name="Go to nas1").click()
    else:
        page.get_by_role("link", name="See the list of hosts").click()
        page.get_by_role("link", name="nas1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nas1")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.get_by_label("User name").fill("dana")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Wrong user name or password.")
    examine()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing needs attention")
    context.close()


def enroll(server_: RunningServer, command: list[str], token: str, folder: Path) -> None:
    """With the command that the page shows, and the token where it asks for it."""
    assert command[0] == "rmactors"
    done = subprocess.run(
        [sys.executable, "-m", *command, "--name", "nas1"], input=f"{token}\n".encode(),
        env={**running_server.environment(server_.settings), "RM_AGENT_STATE_DIR": str(folder / "agent")},
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
