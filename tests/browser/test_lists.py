"""Lists in a browser: sorted, narrowed as one types, page by page, all of it in the address; rows that are one line."""

import csv
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from harness.chromium import PHONE
from tests.browser.conftest import SCRIPT, Site, Visit

MORE_HOSTS = 40
ALL = 46
ROW, CARD = 44, 100
"""Pixels that a host may take: on a wide screen, and on a phone."""


def rows(page: Page) -> Locator:
    return page.locator("#host-list [data-open] strong")


def names(page: Page) -> list[str]:
    return rows(page).all_inner_texts()


def assert_sorted(page: Page, *, reverse: bool = False) -> None:
    expect(rows(page)).to_have_count(ALL)  # a browser shows the first ones while others still come
    found = names(page)
    assert found == sorted(found, reverse=reverse)


@pytest.mark.parametrize("path", ["/", "/hosts", "/hosts?group=tag"])
def test_a_host_is_one_line(visit: Visit, path: str) -> None:
    page = visit("operator").open(path)
    heights = page.locator("#host-list tr[data-item]").evaluate_all(
        "all => all.map((e) => e.getBoundingClientRect().height)"
    )
    assert len(heights) >= ALL
    assert max(heights) <= ROW


@pytest.mark.parametrize("path", ["/", "/hosts"])
def test_on_a_phone_a_host_is_a_small_card(visit: Visit, path: str) -> None:
    page = visit("operator", width=PHONE).open(path)
    heights = page.locator("#host-list tr[data-item]").evaluate_all(
        "all => all.map((e) => e.getBoundingClientRect().height)"
    )
    assert max(heights) <= CARD
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.locator("#host-list").evaluate("e => e.getBoundingClientRect().height") < ALL * CARD


def test_a_list_is_narrowed_as_one_types_and_the_address_follows(site: Site, visit: Visit) -> None:
    page = visit("viewer").open("/hosts?sort=-name")
    expect(page.locator("#host-list .lede")).to_have_text(f"{ALL} hosts.")
    search = page.get_by_label("Search hosts")
    search.press_sequentially("db-")
    expect(page.locator("#host-list .lede")).to_have_text(f"1 of {ALL} hosts.")
    assert names(page) == ["db-primary"]
    expect(search).to_be_focused()
    assert page.url == f"{site.url}/hosts?q=db-&sort=-name"
    page.evaluate("document.body.dispatchEvent(new CustomEvent('rm:hosts'))")
    with page.expect_response(lambda answer: "/hosts?q=db-" in answer.url):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('rm:clock'))")
    expect(page.locator("#host-list .lede")).to_have_text(f"1 of {ALL} hosts.")
    page.get_by_role("link", name="db-primary").click()
    page.wait_for_url(re.compile("/hosts/[0-9A-Z]{26}$"))
    page.go_back()
    page.wait_for_url("**/hosts?q=db-&sort=-name")
    expect(page.locator("#host-list .lede")).to_have_text(f"1 of {ALL} hosts.")
    expect(page.get_by_label("Search hosts")).to_have_value("db-")


def test_a_state_is_found_by_its_word(visit: Visit) -> None:
    page = visit("viewer").open("/")
    page.get_by_label("Search hosts").fill("offline")
    expect(page.locator("#host-list .lede")).to_have_text(f"1 of {ALL} hosts.")
    assert names(page) == ["laptop-sam"]


@SCRIPT
def test_a_head_sorts_and_back_undoes_it(site: Site, visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open("/hosts")
    expect(page.get_by_role("columnheader", name="Host")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("columnheader", name="Host").get_by_role("link").click()
    page.wait_for_url("**/hosts?sort=-name")
    expect(page.get_by_role("columnheader", name="Host")).to_have_attribute("aria-sort", "descending")
    assert_sorted(page, reverse=True)
    page.get_by_role("columnheader", name="Last backup").get_by_role("link").click()
    page.wait_for_url("**/hosts?sort=-last_backup")
    page.go_back()
    page.wait_for_url("**/hosts?sort=-name")
    page.go_back()
    page.wait_for_url(f"{site.url}/hosts")
    expect(page.get_by_role("columnheader", name="Host")).to_have_attribute("aria-sort", "ascending")
    assert_sorted(page)


@SCRIPT
def test_filters_work_with_and_without_scripts(visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open("/hosts")
    page.get_by_label("Tag", exact=True).select_option("room-1")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("tag=room-1"))
    expect(page.locator("#host-list .lede")).to_have_text(f"10 of {ALL} hosts.")
    page.get_by_label("State", exact=True).select_option("offline")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile("status=offline"))
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(rows(page)).to_have_count(ALL)


def test_the_sheet_has_what_the_list_shows(visit: Visit) -> None:
    page = visit("viewer").open("/hosts?tag=room-2&sort=-name")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert started.value.suggested_filename == "hosts.csv"
    sheet = list(csv.DictReader(started.value.path().read_text().splitlines()))
    assert [row["name"] for row in sheet] == names(page)
    assert len(sheet) == 10


def test_what_is_selected_is_counted_and_the_bar_shows_only_then(visit: Visit) -> None:
    page = visit("operator").open("/hosts?tag=many")
    bar = page.locator("#bulk")
    expect(bar).to_be_hidden()
    page.get_by_label("Select more-00").check()
    expect(bar).to_contain_text("1 selected")
    page.get_by_label("Select more-01").check()
    expect(bar).to_contain_text("2 selected")
    page.locator("#select-all").check()
    expect(bar).to_contain_text("40 selected")
    page.locator("#select-all").uncheck()
    expect(bar).to_be_hidden()
    expect(page.get_by_role("button", name="Delete…")).to_have_count(0)


def test_a_host_under_two_tags_is_selected_once(visit: Visit) -> None:
    page = visit("admin").open("/hosts?group=tag")
    page.get_by_label("Select more-00").first.check()
    expect(page.locator("#bulk")).to_contain_text("1 selected")
    expect(page.get_by_label("Select more-00").nth(1)).to_be_checked()


def test_names_are_offered_where_a_host_is_chosen(visit: Visit) -> None:
    page = visit("viewer").open("/alerts")
    page.get_by_label("Host", exact=True).press_sequentially("db")
    expect(page.locator("#host-names option")).to_have_count(1)
    page.get_by_label("Host", exact=True).fill("db-primary")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("host=db-primary"))
    expect(page.locator("article").first).to_contain_text("db-primary")
    assert page.locator("article").evaluate_all("all => all.every((e) => e.textContent.includes('db-primary'))")


def test_alerts_and_jobs_are_found_as_one_types(visit: Visit) -> None:
    page = visit("viewer").open("/alerts?status=all")
    page.get_by_label("Search messages").press_sequentially("damaged")
    expect(page.locator("article")).to_have_count(1)
    page.wait_for_url("**/alerts?q=damaged&status=all")
    page.goto("/jobs")
    page.get_by_label("Search jobs").press_sequentially("more-07")
    expect(page.locator("#job-list tbody tr")).to_have_count(1)
    page.wait_for_url("**/jobs?q=more-07")


@SCRIPT
def test_the_calendar_says_what_runs_when(visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open("/calendar?tag=many")
    expect(page.locator(".lede")).to_contain_text(re.compile("^(40|80) runs in the next 24 hours"))  # on Sundays 80
    expect(page.locator(".runs tbody tr")).to_have_count(25)  # the first has begun, and the last does not end
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/calendar?tag=many&range=7d")
    expect(page.locator(".lede")).to_contain_text("320 runs in the next 7 days, most of them from")
    expect(page.get_by_role("img", name=re.compile("most from 03:00"))).not_to_have_count(0)
