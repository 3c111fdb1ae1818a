"""What an operator does with alerts, with JavaScript and without; each act on an alert of its own."""

import re
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from email.message import Message

import pytest
from playwright.sync_api import Locator, Page, expect

from harness import running_server
from harness.running_server import PASSWORD
from rmactors.common import ids
from tests.browser.conftest import SCRIPT, Site, Visit

SPARE_ALERTS = 12
DOUBTED = 2


@pytest.fixture
def alert(site: Site) -> str:
    """An open alert of the test's own, on nas1."""
    return site.past.spare.pop()


def article(page: Page, alert_id: str) -> Locator:
    return page.locator(f"#alert-{alert_id}")


@SCRIPT
def test_acknowledging_with_a_note_leads_back_to_the_same_list(
    site: Site, visit: Visit, alert: str, script: bool
) -> None:
    page = visit("operator", script=script).open("/alerts?kind=prune_failed&severity=warning")
    line = article(page, alert)
    line.get_by_text("Note").click()
    line.get_by_label("Note").fill("Disk is ordered")
    line.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**/alerts?kind=prune_failed&severity=warning")
    expect(article(page, alert)).to_have_count(0)
    page.goto("/alerts?status=acknowledged")
    expect(article(page, alert)).to_contain_text("acknowledged by operator")
    expect(article(page, alert)).to_contain_text("“Disk is ordered”")
    article(page, alert).get_by_role("button", name="Resolve").click()
    page.wait_for_url("**/alerts?status=acknowledged")
    page.goto(f"/alerts/{alert}")
    told = re.compile("Raised.*Acknowledged by operator.*Resolved by operator", re.DOTALL)
    expect(page.locator(".timeline")).to_contain_text(told)


def message_of(site: Site, alert_id: str) -> str:
    """A word that only this alert's message has."""
    with closing(sqlite3.connect(site.server.settings.database)) as database:
        (message,) = database.execute("SELECT message FROM alerts WHERE id = ?", (alert_id,)).fetchone()
    word: str = message.split()[1]
    return word


def test_keys_move_along_the_list_and_resolve(site: Site, visit: Visit, alert: str) -> None:
    page = visit("operator").open("/alerts?q=" + message_of(site, alert))
    page.keyboard.press("/")
    expect(page.get_by_label("Search messages")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(article(page, alert)).to_have_class(re.compile("current"))
    with page.expect_navigation():
        page.keyboard.press("r")
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


@SCRIPT
def test_selected_alerts_are_acknowledged_and_resolved_together(site: Site, visit: Visit, script: bool) -> None:
    several = [site.past.spare.pop(), site.past.spare.pop()]
    page = visit("operator", script=script).open("/alerts?host=" + site.past.hosts["nas1"])
    bulk = page.locator("#bulk")
    expect(bulk).to_be_hidden()
    for alert_id in several:
        page.locator(f"#select-{alert_id}").check()
    bulk.get_by_role("textbox").fill("all of them")
    bulk.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url("**/alerts?host=" + site.past.hosts["nas1"])
    for alert_id in several:
        expect(article(page, alert_id)).to_have_count(0)
    page.goto("/alerts?status=acknowledged")
    for alert_id in several:
        page.locator(f"#select-{alert_id}").check()
    bulk.get_by_role("button", name="Resolve").click()
    page.wait_for_url("**/alerts?status=acknowledged")
    page.goto(f"/alerts/{several[0]}")
    told = re.compile("Acknowledged by operator.*“all of them”.*Resolved by operator", re.DOTALL)
    expect(page.locator(".timeline")).to_contain_text(told)


@SCRIPT
def test_a_backup_that_looks_wrong_is_said_to_be_meant(site: Site, visit: Visit, script: bool) -> None:
    alert_id = site.past.doubted.pop()
    page = visit("operator", script=script).open("/alerts?kind=backup_suspicious")
    expect(article(page, alert_id).get_by_role("button", name="This is meant")).to_be_visible()
    expect(article(page, alert_id)).to_contain_text("usually about 48,200")
    article(page, alert_id).get_by_role("link", name=re.compile("^Backup looks wrong: ")).click()
    page.get_by_label("Note").fill("the old photos moved")
    page.get_by_role("button", name="This is meant").click()
    page.wait_for_url(f"**/alerts/{alert_id}")
    told = re.compile("Resolved by operator because it is meant.*“the old photos moved”", re.DOTALL)
    expect(page.locator(".timeline")).to_contain_text(told)
    expect(page.get_by_role("button", name="This is meant")).to_have_count(0)


def test_keys_acknowledge_with_a_note_and_open_what_is_chosen(site: Site, visit: Visit, alert: str) -> None:
    page = visit("operator").open("/alerts?q=" + message_of(site, alert))
    page.keyboard.press("k")
    page.keyboard.press("n")
    expect(article(page, alert).get_by_label("Note")).to_be_focused()
    page.keyboard.type("by hand: j a r ?")
    page.keyboard.press("Escape")
    with page.expect_navigation():
        page.keyboard.press("a")
    page.goto("/alerts?status=acknowledged&q=" + message_of(site, alert))
    expect(article(page, alert)).to_contain_text("“by hand: j a r ?”")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{alert}")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/hosts")


@SCRIPT
def test_filters_live_in_the_url_and_empty_states_differ(site: Site, visit: Visit, script: bool) -> None:
    page = visit("viewer", script=script).open("/alerts")
    page.get_by_label("Severity").select_option("critical")
    if not script:
        page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"severity=critical"))
    expect(page.locator("article")).to_have_count(1)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_label("Search messages").fill("nothing like it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    expect(page.get_by_label("Severity")).to_have_value("")
    page.goto("/alerts?status=resolved")
    expect(page.locator("article").first).to_contain_text("resolved")


def test_the_banner_leads_to_the_critical_ones(site: Site, visit: Visit) -> None:
    page = visit("viewer").open("/")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("need attention"))
    expect(page).to_have_title(re.compile(r"^\(\d+\) "))
    expect(page.locator("#icon")).to_have_attribute("href", re.compile(r"/static/icon-bad\.[0-9a-f]{12}\.svg"))
    page.get_by_role("link", name="Review").click()
    page.wait_for_url("**/alerts?severity=critical")
    expect(page.locator("article")).to_have_count(1)


def test_programs_get_303_back_to_the_list_and_htmx_204_with_its_redirect(site: Site, alert: str) -> None:
    cookie = running_server.sign_in(site.url, "operator", PASSWORD)

    def post(path: str, headers: dict[str, str]) -> tuple[int, Message]:
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        request = urllib.request.Request(
            site.url + path, data=urllib.parse.urlencode({"note": "hello"}).encode(), method="POST",
            headers={"Cookie": f"rm={cookie}", "Sec-Fetch-Site": "same-origin", **headers},
        )  # fmt: skip
        try:
            with urllib.request.build_opener(Stay).open(request, timeout=10) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers

    listed = f"{site.url}/alerts?severity=warning&q=Prune"
    status, headers = post(f"/alerts/{alert}/acknowledge", {"Referer": listed})
    assert (status, headers["Location"]) == (303, "/alerts?severity=warning&q=Prune")
    status, headers = post(f"/alerts/{alert}/resolve", {"HX-Request": "true", "HX-Current-URL": listed})
    assert (status, headers["HX-Redirect"]) == (204, "/alerts?severity=warning&q=Prune")
    status, headers = post(f"/alerts/{alert}/acknowledge", {"Referer": listed})
    assert status == 409
    status, _ = post(f"/alerts/{ids.new()}/resolve", {})
    assert status == 404
