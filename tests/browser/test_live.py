"""Pages that change on their own: one stream for a browser, all its tabs told, restarts and lost sessions survived."""

import re
import sqlite3
from contextlib import closing

from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import Site, Visit, Visitor

AT_REST = "html[data-live=rest]"
ANNOUNCE = "topic => document.dispatchEvent(new CustomEvent('rm:announce', { detail: topic }))"
PAUSE_SECONDS = 2
SPREAD = 0.25
"""Up to so much longer is a pause, by chance."""
LINES = "application/vnd.rmactors.lines+json"
SPARE_ALERTS = 10


def streams(visitor: Visitor) -> list[str]:
    opened: list[str] = []

    def note(request: Request) -> None:
        if "/events" in request.url:
            opened.append(request.url)

    visitor.context.on("request", note)
    return opened


def wait_until_listening(page: Page) -> None:
    expect(page.locator("html[data-listens=true]")).to_have_count(1)


def wait_until_at_rest(page: Page) -> None:
    """What it fetches when its stream opens is there, and nothing is owed."""
    wait_until_listening(page)
    expect(page.locator(AT_REST)).to_have_count(1)


def announce(page: Page, topic: str = "clock") -> None:
    """As if the server had said that this changed."""
    page.evaluate(ANNOUNCE, topic)


def fetched(page: Page) -> list[str]:
    """What the page asks for from now on; the stream is not of it."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.resource_type in ("fetch", "xhr"):
            asked.append(request.url)

    page.on("request", note)
    return asked


def resolve(page: Page, alert_id: str) -> None:
    page.locator(f"#alert-{alert_id}").get_by_role("button", name="Resolve").click()


def test_ten_tabs_share_one_stream_and_each_sees_a_change(site: Site, visit: Visit) -> None:
    visitor = visit("operator")
    opened = streams(visitor)
    tabs = [visitor.open("/alerts") for _ in range(10)]
    alert_id = site.past.alerts["offline"]
    for tab in tabs:
        expect(tab.locator(f"#alert-{alert_id}")).to_be_visible()
    wait_until_listening(tabs[0])
    open_before = int(tabs[0].locator("#badge").get_attribute("data-open") or "0")
    resolve(tabs[-1], alert_id)
    for tab in tabs[:-1]:
        expect(tab.locator(f"#alert-{alert_id}")).to_have_count(0)
    expect(tabs[0].locator("#badge")).to_have_attribute("data-open", str(open_before - 1))
    assert len(opened) == 1


def test_another_browser_sees_a_change_at_once(site: Site, visit: Visit) -> None:
    watching, acting = visit("viewer"), visit("operator")
    page = watching.open("/alerts")
    wait_until_listening(page)
    note = "typed while the list changes"
    page.get_by_label("Search messages").fill(note)
    alert_id = site.past.alerts["backup"]
    other = acting.open(f"/alerts/{alert_id}")
    other.get_by_role("button", name="Resolve").click()
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)
    expect(page.get_by_label("Search messages")).to_have_value(note)
    expect(page.get_by_label("Search messages")).to_be_focused()


def test_a_page_catches_up_after_the_server_was_away(site: Site, visit: Visit) -> None:
    visitor = visit("operator")
    page = visitor.open("/alerts?status=all")
    wait_until_listening(page)
    site.server.stop()
    expect(page.locator("#link")).to_have_text(re.compile("Reconnecting"))
    with closing(sqlite3.connect(site.server.settings.database)) as database, database:
        database.execute("UPDATE alerts SET message = 'changed meanwhile' WHERE id = ?", (site.past.alerts["old"],))
    site.server.start_again()
    expect(page.get_by_text("changed meanwhile")).to_be_visible()
    expect(page.locator("#link")).to_have_text("")
    visitor.console.clear()  # the browser says that the stream broke, and so it did


def test_a_page_whose_session_ended_asks_to_sign_in(site: Site, visit: Visit) -> None:
    visitor = visit("viewer")
    page = visitor.open("/hosts")
    wait_until_listening(page)
    visitor.context.clear_cookies()
    changed = visit("admin").context.request.post(
        f"/hosts/{site.past.hosts['mail']}", form={"name": "mail", "tags": "moved"}, max_redirects=0
    )
    assert changed.status == 303
    expect(page).to_have_url(re.compile(r"/login\?next=(/|%2F)hosts$"))
    visitor.console.clear()  # a 401, as wanted


def test_a_change_while_a_part_is_being_fetched_is_not_lost(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    acting = visit("operator")
    page = visit("viewer").open("/alerts")
    wait_until_at_rest(page)

    def answer_with_what_was_so_before(route: Route) -> None:
        before = route.fetch()
        done = acting.context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
        assert done.status == 303
        page.wait_for_timeout(600)  # the news arrives while this answer is in flight
        route.fulfill(response=before)

    page.route("**/alerts", answer_with_what_was_so_before, times=1)
    announce(page)
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)


def test_what_is_chosen_ticked_and_typed_outlives_an_update(site: Site, visit: Visit) -> None:
    alert_id = site.past.alerts["check"]
    page = visit("operator").open("/alerts")
    wait_until_at_rest(page)
    line = page.locator(f"#alert-{alert_id}")
    while "current" not in (line.get_attribute("class") or ""):
        page.keyboard.press("j")
    line.get_by_text("Note").click()
    line.get_by_label("Note").fill("half a sen")
    page.locator(f"#select-{alert_id}").check()
    update(page, "**/alerts")
    expect(line).to_have_class(re.compile("current"))
    expect(line.get_by_label("Note")).to_have_value("half a sen")
    expect(page.locator(f"#select-{alert_id}")).to_be_checked()


def update(page: Page, answer: str) -> None:
    """The live part is fetched; returns when it is in the page."""
    expect(page.locator(AT_REST)).to_have_count(1)
    with page.expect_response(answer):
        announce(page)
    expect(page.locator(AT_REST)).to_have_count(1)


def test_the_keyboard_stays_where_it_is_while_the_page_updates(site: Site, visit: Visit) -> None:
    page = visit("operator").open("/alerts")
    wait_until_listening(page)
    button = page.locator(f"#alert-{site.past.alerts['check']}").get_by_role("button", name="Resolve")
    button.focus()
    update(page, "**/alerts")
    expect(button).to_be_focused()


def test_what_is_chosen_to_run_outlives_an_update(site: Site, visit: Visit) -> None:
    path = f"/hosts/{site.past.hosts['nas1']}"
    page = visit("operator").open(path)
    wait_until_listening(page)
    page.get_by_label("What").select_option("prune")
    update(page, f"**{path}")
    expect(page.get_by_label("What")).to_have_value("prune")


def test_a_menu_of_the_browser_does_not_stop_updates(site: Site, visit: Visit) -> None:
    """It takes the release of the button for itself."""
    alert_id = site.past.spare.pop()
    page = visit("viewer").open("/alerts")
    wait_until_listening(page)
    line = page.locator(f"#alert-{alert_id}")
    line.hover()
    page.mouse.down(button="right")
    done = visit("operator").context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
    assert done.status == 303
    expect(line).to_have_count(0)


def test_a_link_is_followed_although_its_page_updates_while_it_is_pressed(site: Site, visit: Visit) -> None:
    page = visit("operator").open(f"/hosts/{site.past.hosts['nas1']}")
    wait_until_listening(page)
    page.get_by_role("link", name="Add a schedule").hover()
    page.mouse.down()
    update(page, f"**/hosts/{site.past.hosts['nas1']}")
    page.mouse.up()
    expect(page.get_by_label("Name", exact=True)).to_be_visible()


def test_a_button_works_although_its_page_updates_while_the_space_bar_is_down(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    page = visit("operator").open("/alerts")
    wait_until_listening(page)
    page.locator(f"#alert-{alert_id}").get_by_role("button", name="Resolve").focus()
    page.keyboard.down("Space")
    update(page, "**/alerts")
    page.keyboard.up("Space")
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)


def test_an_update_that_came_while_the_mouse_was_pressed_is_shown_at_its_release(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    page = visit("viewer").open("/alerts")
    wait_until_listening(page)
    line = page.locator(f"#alert-{alert_id}")
    line.hover()
    page.mouse.down()
    done = visit("operator").context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
    assert done.status == 303
    update(page, "**/alerts")
    expect(line).to_have_count(1)
    page.mouse.up()
    expect(line).to_have_count(0)


def test_where_tabs_cannot_elect_one_a_page_asks_every_fifteen_seconds(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    visitor = visit("viewer", ticks=True)
    opened = streams(visitor)
    page = visitor.page()
    page.add_init_script("Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });")
    page.clock.install()
    page.goto("/alerts")
    expect(page.locator(f"#alert-{alert_id}")).to_be_visible()
    done = visit("operator").context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
    assert done.status == 303
    page.clock.fast_forward(15_000)
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)
    assert opened == []
    visitor.context.clear_cookies()
    page.clock.fast_forward(15_000)
    expect(page).to_have_url(re.compile(r"/login\?next=(/|%2F)alerts$"))
    visitor.console.clear()  # a 401, as wanted


def test_a_hidden_tab_keeps_its_badge_and_catches_up_when_it_is_looked_at(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    page = visit("viewer").open("/alerts")
    wait_until_at_rest(page)
    count = int(page.locator("#badge").get_attribute("data-open") or "")
    look_away(page, hidden=True)
    asked = fetched(page)
    done = visit("operator").context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
    assert done.status == 303
    expect(page.locator("#badge")).to_have_attribute("data-open", str(count - 1))
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(1)
    assert asked == []
    look_away(page, hidden=False)
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)
    assert len(asked) == 1


def test_a_hidden_tab_fetches_nothing_however_long_and_however_much_happens(site: Site, visit: Visit) -> None:
    page = visit("viewer", ticks=True).page()
    page.clock.install()
    page.goto("/")
    wait_until_at_rest(page)
    look_away(page, hidden=True)
    asked = fetched(page)
    for _ in range(100):
        for topic in ("alerts", "hosts", "jobs", "clock"):
            announce(page, topic)
        page.clock.fast_forward(30_000)
    assert asked == []


def test_a_tab_fetches_once_in_two_seconds_at_most(site: Site, visit: Visit) -> None:
    """By the page's own clock, which stands still between the steps."""
    page = visit("viewer", ticks=True).page()
    page.clock.install()
    page.goto("/")  # has two live parts
    wait_until_at_rest(page)
    page.clock.pause_at(page.evaluate("Date.now()") + 60_000)
    steps, step_ms = 60, 250
    for _ in range(steps):  # what the clock itself asked for meanwhile
        run_for(page, step_ms)
    asked = fetched(page)
    for _ in range(steps):
        for topic in ("alerts", "hosts", "jobs"):
            announce(page, topic)
        run_for(page, step_ms)
    seconds = steps * step_ms / 1000
    longest = PAUSE_SECONDS * (1 + SPREAD) + step_ms / 1000
    assert seconds / longest - 1 <= len(asked) <= seconds / PAUSE_SECONDS + 1, asked


def run_for(page: Page, milliseconds: int) -> None:
    """So long by the page's own clock; what it asked for then is there."""
    page.clock.run_for(milliseconds)
    expect(page.locator("html[data-live=fetching]")).to_have_count(0)


def test_only_what_changed_is_sent_and_the_other_rows_are_left_alone(site: Site, visit: Visit) -> None:
    alert_id = site.past.spare.pop()
    page = visit("operator").open("/alerts")
    wait_until_at_rest(page)
    update(page, "**/alerts")  # now the page has a version that the server knows
    other = site.past.alerts["check"]
    page.evaluate("id => { document.getElementById(id).marked = true; }", f"alert-{other}")
    page.locator(f"#alert-{other} strong, #alert-{other} a").first.select_text()
    selected = page.evaluate("getSelection().toString()")
    assert selected
    with page.expect_response(lambda answer: answer.url.endswith("/alerts") and answer.status == 200) as found:
        done = page.context.request.post(f"/alerts/{alert_id}/resolve", max_redirects=0)
        assert done.status == 303
    assert found.value.header_value("Content-Type") == LINES
    expect(page.locator(f"#alert-{alert_id}")).to_have_count(0)
    assert page.evaluate("id => document.getElementById(id).marked", f"alert-{other}") is True
    assert page.evaluate("getSelection().toString()") == selected


def look_away(page: Page, *, hidden: bool) -> None:
    """Headless pages always count as looked at: say otherwise."""
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
