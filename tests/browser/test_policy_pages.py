"""Policies by hand in a browser, with and without a script: seen before they are saved, and following the tags."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import SCRIPT, Site, Visit


def tag(page: Page, host: str, *tags: str) -> None:
    """As an administrator does it."""
    page.goto(host)
    page.get_by_text("Change or delete this host").click()
    page.get_by_label("Tags").fill(", ".join(tags))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Change or delete this host")).to_be_visible()


@SCRIPT
def test_a_policy_is_seen_saved_and_follows_the_tags(site: Site, visit: Visit, script: bool) -> None:
    name, own = ("With a script", "scripted") if script else ("Without", "plain")
    nas, web = f"/hosts/{site.past.hosts['nas1']}", f"/hosts/{site.past.hosts['web-01']}"
    visitor = visit("admin", script=script)
    page = visitor.open("/policies")
    tag(page, nas, "home", own)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Policies").click()
    page.get_by_role("link", name="New policy").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Hosts tagged").fill(own)
    page.get_by_label("Plan", exact=True).fill("music")
    page.get_by_role("button", name="Show what changes").click()
    shown = page.locator("#would-change")
    expect(shown).to_contain_text("1 host gets a schedule: nas1")
    expect(shown).to_contain_text("Plan music: 1 host does not have it")
    expect(shown).to_contain_text("Runs that begin in the next 24 hours")
    page.get_by_label("Plan", exact=True).fill("home")
    if not script:  # else it is shown by itself, half a second later
        page.get_by_role("button", name="Save policy").click()
    expect(shown, "what was typed since is shown first").not_to_contain_text("does not have it")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_role("row", name="nas1")).to_contain_text("Every day at 02:")
    page.goto(nas)
    row = page.get_by_role("row", name=name)
    expect(row).to_contain_text("by a policy")
    row.get_by_role("link", name=name).click()
    expect(page.get_by_role("main")).to_contain_text("changed through its policy")
    tag(page, web, "prod", own)
    expect(page.get_by_role("row", name=name)).to_contain_text("by a policy")
    tag(page, nas, "home")
    expect(page.get_by_role("row", name=name)).to_have_count(0)


@SCRIPT
def test_a_paused_host_says_so_and_goes_on_afterwards(site: Site, visit: Visit, script: bool) -> None:
    page = visit("operator", script=script).open(f"/hosts/{site.past.hosts['mail']}")
    page.get_by_role("button", name="Pause all").click()
    expect(page.get_by_text("Paused 1 host.")).to_be_visible()
    expect(page.get_by_text("none of its schedules is on")).to_be_visible()
    page.get_by_role("button", name="End the pause").click()
    expect(page.get_by_text("none of its schedules is on")).to_have_count(0)
    expect(page.get_by_role("button", name="Pause all")).to_be_visible()


def test_a_deletion_says_what_goes(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    page = visitor.open("/policies/new")
    page.get_by_label("Name", exact=True).fill("Short lived")
    page.get_by_label("Hosts tagged").fill("roaming")
    for button in ("Show what changes", "Save policy"):
        page.get_by_role("button", name=button).click()
    page.get_by_role("link", name="Delete …").click()
    expect(page.locator("#would-change")).to_contain_text("1 schedule is deleted: laptop-sam")
    page.get_by_label("Type its name").fill("Short lived")
    page.get_by_role("button", name="Delete this policy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Policies")
    expect(page.get_by_role("row", name="Short lived")).to_have_count(0)
