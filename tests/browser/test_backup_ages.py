"""The table of backup ages, with JavaScript and without: on the dashboard, by itself, narrowed, sorted, as a file."""

import csv
import io
import json

import pytest
from playwright.sync_api import Locator, Page, expect

from harness.chromium import PHONE
from tests.browser.conftest import SCRIPT, Site, Visit, Visitor


def limit(visitor: Visitor, schedule_id: str, hours: int) -> None:
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    body = json.dumps({"max_age_hours": hours})
    assert visitor.context.request.patch(f"/api/schedules/{schedule_id}", data=body, headers=headers).ok


@pytest.fixture
def limits(site: Site, visit: Visit) -> None:
    """nas1 was backed up last night, db-primary three nights ago: a limit for both, none for the others."""
    visitor = visit("operator")
    limit(visitor, site.past.schedules["nas1"], 1000)
    limit(visitor, site.past.schedules["db-primary"], 30)


def row(page: Page, host: str) -> Locator:
    return page.locator("#age-list tbody tr").filter(has=page.get_by_role("link", name=host, exact=True))


def hosts(page: Page) -> list[str]:
    return page.locator("#age-list tbody tr td:first-child strong").all_inner_texts()


@SCRIPT
def test_the_dashboard_shows_the_worst_and_leads_to_all(site: Site, visit: Visit, limits: None, script: bool) -> None:
    page = visit("viewer", script=script).open("/")
    ages = page.locator("#ages")
    first = ages.locator("tbody tr").first
    expect(first).to_contain_text("db-primary")
    expect(first).to_contain_text("Overdue")
    expect(first).to_contain_text("over")
    ages.get_by_role("link", name="All backup ages").click()
    page.wait_for_url("**/backups")
    expect(page.get_by_role("heading", name="Backup ages")).to_be_visible()


@SCRIPT
def test_each_row_holds_the_age_of_the_newest_good_backup_against_its_limit(
    site: Site, visit: Visit, limits: None, script: bool
) -> None:
    page = visit("viewer", script=script).open("/backups")
    good, late, free = (row(page, name) for name in ("nas1", "db-primary", "web-01"))
    expect(good).to_contain_text("In time")
    expect(good).to_contain_text("48,210 files")
    expect(good).to_contain_text("Nightly home")
    expect(good).to_contain_text("left")
    expect(late).to_contain_text("Overdue")
    expect(late).to_contain_text("30 h")
    expect(late).to_contain_text("Failed")
    expect(free).to_contain_text("No limit")
    good.get_by_role("link", name="ago").first.click()
    expect(page).to_have_url(f"{site.url}/jobs/{site.past.jobs['nas1']}")


@SCRIPT
def test_heads_sort_and_links_narrow(site: Site, visit: Visit, limits: None, script: bool) -> None:
    page = visit("viewer", script=script).open("/backups")
    assert hosts(page)[0] == "db-primary"
    heads = page.locator("#age-list thead")
    heads.get_by_role("link", name="Host", exact=True).click()
    page.wait_for_url("**/backups?sort=host")
    assert hosts(page) == sorted(hosts(page))
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Host ↑")
    heads.get_by_role("link", name="Host", exact=True).click()
    page.wait_for_url("**/backups?sort=-host")
    assert hosts(page) == sorted(hosts(page), reverse=True)
    heads.get_by_role("link", name="Size").click()
    page.wait_for_url("**/backups?sort=bytes")
    heads.get_by_role("link", name="Size").click()
    page.wait_for_url("**/backups?sort=-bytes")
    assert hosts(page)[0] == "nas1"
    page.get_by_role("link", name="Overdue 1").click()
    page.wait_for_url("**/backups?state=overdue&sort=-bytes")
    assert hosts(page) == ["db-primary"]


@SCRIPT
def test_the_form_narrows_by_tag_and_sorts_too(site: Site, visit: Visit, limits: None, script: bool) -> None:
    page = visit("viewer", script=script).open("/backups")
    page.get_by_label("Tag").select_option("prod")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/backups?*tag=prod*")
    page.get_by_label("Order").select_option("-host")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/backups?*sort=-host*")
    assert hosts(page) == ["web-01", "mail", "db-primary"]


def test_the_file_holds_the_rows_as_they_are_narrowed_and_sorted(site: Site, visit: Visit, limits: None) -> None:
    page = visit("viewer").open("/backups?tag=prod&sort=host")
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(got.value.path().read_text())))
    assert got.value.suggested_filename == "backups.csv"
    assert [(each["host"], each["plan"], each["state"]) for each in rows] == [
        ("db-primary", "home", "overdue"), ("mail", "home", "no_limit"), ("web-01", "home", "no_limit"),
    ]  # fmt: skip
    assert float(rows[0]["over_hours"]) > 0
    assert rows[0]["left_hours"] == ""


def test_a_change_is_shown_without_a_reload(site: Site, visit: Visit, limits: None) -> None:
    visitor: Visitor = visit("operator")
    page = visitor.open("/backups")
    expect(row(page, "web-01")).to_contain_text("No limit")
    limit(visitor, site.past.schedules["web-01"], 2000)
    expect(row(page, "web-01")).to_contain_text("In time")


def test_on_a_phone_each_row_is_a_block_with_words(site: Site, visit: Visit, limits: None) -> None:
    page = visit("viewer").open("/backups")
    page.set_viewport_size({"width": PHONE, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    late = row(page, "db-primary")
    expect(late).to_be_visible()
    expect(late).to_have_css("display", "block")


@pytest.mark.parametrize("width", [900, 1280])
def test_short_words_stay_in_one_line(visit: Visit, limits: None, width: int) -> None:
    page = visit("viewer", width=width).open("/backups")
    broken = page.locator(".ages .state, .ages .muted, .tabs .count, .brand").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().height > 30).map(one => one.textContent)"
    )
    assert broken == []
