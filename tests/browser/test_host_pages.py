"""Hosts, schedules and jobs by hand in a browser; the first run, up to a real host that connects while one watches."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.browser import server
from tests.browser.conftest import Site, Visit
from tests.browser.server import PASSWORD, RunningServer


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
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
        expect(page.locator("#cron-words")).to_contain_text("Every 15 minutes.")
        expect(page.locator("#cron-words time")).to_have_count(5)
    page.get_by_role("button", name="Save schedule").click()
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("Every 15 minutes")
    row.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Backup of {name}")
    expect(page.get_by_text("Queued")).to_be_visible()
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
    page.goto(f"/hosts/{site.past.hosts['nas1']}")
    page.get_by_role("link", name=name).first.click()
    page.get_by_label("Type its name").fill(name)
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(re.compile("/hosts/"))
    expect(page.get_by_role("link", name=name, exact=True)).to_have_count(1)  # the job's, not the schedule's


def test_a_host_gets_a_new_name_and_tags(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    page = visitor.open(f"/hosts/{site.past.hosts['new-box']}")
    page.get_by_text("Change or delete this host").click()
    page.get_by_label("Name", exact=True).fill("nas1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("nas1")
    visitor.console.clear()
    page.get_by_label("Name", exact=True).fill("attic")
    page.get_by_label("Tags").fill("old, slow")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("attic")
    page.goto("/hosts?q=slow")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_times_are_read_in_the_zone_one_chooses(site: Site, visit: Visit) -> None:
    page = visit("viewer").open(f"/jobs/{site.past.jobs['check']}")
    page.locator("details.menu summary").click()
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Use").click()
    expect(page.locator("dl.facts time").first).to_contain_text("JST")
    page.wait_for_url(f"**/jobs/{site.past.jobs['check']}")


def test_a_job_shows_its_log_and_reason(site: Site, visit: Visit) -> None:
    page = visit("viewer", script=False).open(f"/jobs/{site.past.jobs['check']}")
    expect(page.get_by_role("log")).to_contain_text("pack 5f1c: not found in backend")
    expect(page.get_by_text("The repository is damaged.")).to_be_visible()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that nobody has ever signed in to."""
    settings = server.settings_for(tmp_path / "data")
    running = server.run(settings)
    yield running
    running.stop()


def test_the_first_run_leads_from_the_token_to_a_host_that_connects(
    empty: RunningServer, browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(base_url=empty.url)
    page = context.new_page()
    page.goto("/")
    page.goto("/login")
    page.wait_for_url("**/setup")
    assert Axe().run(page).violations_count == 0
    token = Path(empty.settings.data_dir, "setup-token").read_text().strip()
    page.get_by_label("Setup token").fill(token)
    page.get_by_label("User name").fill("dana")
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.locator("#password-error")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("dana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Let's watch your first host")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("link", name="Add a host").click()
    page.get_by_role("button", name="Make an enrolment token").click()
    command = page.locator("#enroll").inner_text()
    expect(page.get_by_text("Waiting for the host")).to_be_visible()
    assert Axe().run(page).violations_count == 0
    for_host = re.search(r"echo (rme_\S+) ", command)
    assert for_host is not None
    file = tmp_path / "token"
    file.write_text(for_host[1])
    done = subprocess.run(
        [
            sys.executable, "-m", "rmactors", "agent", "enroll", "--server", empty.settings.public_agent_url,
            "--token-file", str(file), "--name", "nas1",
        ],
        env={**server.environment(empty.settings), "RM_AGENT_STATE_DIR": str(tmp_path / "agent")},
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    expect(page.locator("#arrived")).to_contain_text("nas1")
    page.get_by_role("link", name="Go to nas1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nas1")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.get_by_label("User name").fill("dana")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Wrong user name or password.")
    context.close()
