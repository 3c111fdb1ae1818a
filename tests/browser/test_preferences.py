"""The theme, and the list of time zones."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SCRIPT, Site, Visit
from tests.conftest import PATIENCE_MS


def background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour


LIGHT, DARK = "rgb(246, 247, 249)", "rgb(15, 18, 22)"


@SCRIPT
def test_a_user_chooses_light_or_dark_whatever_the_system_says(visit: Visit, script: bool) -> None:
    page = visit("operator", script=script, dark=True).open("/jobs")
    choose(page, "System")
    assert script is False or background(page) == DARK
    for word, value in (("Light", "light"), ("Dark", "dark")):
        choose(page, word)
        expect(page).to_have_url(re.compile("/jobs$"))
        expect(page.locator("html")).to_have_attribute("data-theme", value)
        expect(page.locator("meta[name=color-scheme]")).to_have_attribute("content", value)
        expect(page.locator("meta[name=theme-color]")).to_have_count(1)
    choose(page, "System")
    expect(page.locator("html")).not_to_have_attribute("data-theme", re.compile("."))
    expect(page.locator("meta[name=theme-color]")).to_have_count(2)


def choose(page: Page, word: str) -> None:
    page.locator(".menu > summary").click()
    page.locator(".menu").get_by_role("button", name=word, exact=True).click()
    page.locator(".menu > summary").click()
    expect(page.locator(".menu").get_by_role("button", name=word, exact=True)).to_have_attribute("aria-pressed", "true")
    page.locator(".menu > summary").click()


def test_a_chosen_theme_is_drawn_at_once_and_follows_the_user_to_another_browser(visit: Visit) -> None:
    page = visit("viewer").open("/jobs")
    assert background(page) == LIGHT
    choose(page, "Dark")
    assert background(page) == DARK
    elsewhere = visit("viewer").open("/jobs")
    assert background(elsewhere) == DARK
    choose(elsewhere, "System")


def test_before_one_signs_in_the_browser_keeps_the_theme(site: Site, browser: Browser) -> None:
    context = browser.new_context(base_url=site.url, color_scheme="light")
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/login?next=/jobs")
        assert background(page) == LIGHT
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert background(page) == DARK
        assert page.locator("input[name=next]").first.input_value() == "/jobs"
    finally:
        context.close()


@SCRIPT
def test_the_time_zone_is_chosen_from_a_list_by_region(visit: Visit, script: bool) -> None:
    page = visit("operator", script=script).open("/settings/authentication")
    zones = page.get_by_label("Times are shown in this zone")
    expect(zones.locator("optgroup[label=Europe] option", has_text="Berlin")).to_have_count(1)
    zones.select_option("Europe/Berlin")
    page.locator("form", has=zones).get_by_role("button", name="Use").click()
    expect(zones).to_have_value("Europe/Berlin")
    zones.select_option("UTC")
    page.locator("form", has=zones).get_by_role("button", name="Use").click()
    expect(zones).to_have_value("UTC")


def test_the_menu_offers_zones_as_one_types_and_fetches_them_only_then(visit: Visit) -> None:
    page = visit("operator").open("/jobs")
    expect(page.locator("#menu-zones option")).to_have_count(0)
    page.locator(".menu > summary").click()
    page.get_by_label("Time zone").focus()
    expect(page.locator("#menu-zones option[value='America/Argentina/Buenos_Aires']")).to_have_count(1)


def test_a_zone_that_is_none_is_refused_with_a_sentence(visit: Visit) -> None:
    visitor = visit("operator")
    page = visitor.open("/jobs")
    page.locator(".menu > summary").click()
    page.get_by_label("Time zone").fill("Europe/Berlinn")
    page.get_by_label("Time zone").press("Enter")
    expect(
        page.get_by_text("Unknown time zone 'Europe/Berlinn': use a name like Europe/Berlin or UTC.")
    ).to_be_visible()
    visitor.console.clear()  # the 422


def test_forms_that_take_a_zone_have_the_list_with_and_without_a_script(visit: Visit, site: Site) -> None:
    for path in (
        "/silences",
        f"/hosts/{site.past.hosts['mail']}/schedules/new",
        "/settings/notifications/new?kind=ntfy",
    ):
        page = visit("admin", script=False).open(path)
        field = page.locator("main input[name$=timezone]").first
        assert field.get_attribute("list") == "zones"
        expect(page.locator("#zones option[value='Europe/Berlin']")).to_have_count(1)
