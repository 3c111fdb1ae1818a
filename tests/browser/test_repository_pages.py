"""Repositories by hand in a browser, with and without a script: which fills the disk, one of them, asking about it."""

import re

from playwright.sync_api import expect

from harness.live_agent import LiveAgent
from tests.browser.conftest import SCRIPT, Site, Visit


@SCRIPT
def test_who_looks_for_what_fills_the_disk_finds_it_and_how_it_grew(site: Site, visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Repositories").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Repositories")
    lede = re.compile(r"2 repositories, 430 GB in all\. main grows fastest: \d")
    expect(page.locator(".lede")).to_contain_text(lede)
    rows = page.locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("main")
    expect(rows.nth(0)).to_contain_text("94 days ago")
    expect(rows.nth(0)).to_contain_text("1 lock left behind")
    expect(rows.nth(0)).to_contain_text("db-primary, nas1")
    expect(rows.nth(1)).to_contain_text("a job of this repository is running")
    page.get_by_role("columnheader", name="Last check").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Last check")).to_have_attribute("aria-sort", "ascending")
    expect(rows.nth(0)).to_contain_text("never")
    page.get_by_role("link", name="main").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("main")
    plot = page.get_by_role("img", name=re.compile("Size over time: from"))
    expect(plot).to_be_visible()
    expect(plot.locator("path.line")).to_have_attribute("d", re.compile(r"M([\d.]+ [\d.]+L){70}"))
    expect(page.get_by_role("row", name="db-primary")).to_contain_text("18.0 GB")
    expect(page.get_by_role("row", name="old-laptop")).to_contain_text("not enrolled here")
    expect(page.get_by_role("row", name="root on nas1, process 4711")).to_contain_text("left behind")
    expect(page.get_by_text("1.42 times smaller")).to_be_visible()
    expect(page.get_by_role("button", name="Ask now")).to_have_count(0)
    page.get_by_role("link", name="94 days ago").click()
    expect(page).to_have_url(re.compile(f"/jobs/{site.past.jobs['check']}"))


@SCRIPT
def test_an_operator_asks_about_a_repository_now(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("operator", script=script)
    with LiveAgent(site.server, site.past.hosts["nas1"], site.past.schedules["nas1"]):
        page = visitor.open(f"/repositories/{site.past.repositories['shared']}")
        button = page.get_by_role("button", name="Ask now")
        if button.count():  # the other of the two has asked already
            button.click()
        expect(page.get_by_text("Asked for now")).to_be_visible()
        expect(button).to_have_count(0)


def test_a_table_for_spreadsheets_comes_with_a_click(site: Site, visit: Visit) -> None:
    page = visit("viewer").open("/repositories")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "repositories.csv"


def test_a_hosts_plan_leads_to_its_repository(site: Site, visit: Visit) -> None:
    page = visit("viewer").open(f"/hosts/{site.past.hosts['db-primary']}")
    page.get_by_role("link", name="/srv/restic").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("main")
