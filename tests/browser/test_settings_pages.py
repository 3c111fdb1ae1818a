"""Channels, users, one's own password and second factor, silences and the audit trail, by hand in a browser."""

import base64
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from harness import running_server
from harness.running_server import PASSWORD
from harness.webhook_sink import webhook_sink
from rmactors.common import clock
from rmactors.server.channels.registry import KINDS
from rmactors.server.web.auth import totp
from tests.browser.conftest import SCRIPT, Site, Visit


@pytest.fixture(scope="module")
def sink() -> Iterator[str]:
    """URL of a webhook that works."""
    with webhook_sink() as found:
        yield found.url


@SCRIPT
def test_a_channel_is_made_corrected_previewed_tested_changed_and_deleted(
    site: Site, visit: Visit, sink: str, script: bool
) -> None:
    visitor = visit("admin", script=script)
    page = visitor.open("/settings/notifications")
    name = f"ops {'with' if script else 'without'} script"
    page.get_by_role("link", name="Add a channel").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("URL").fill("htps://hooks.example/ops")
    page.get_by_role("button", name="Save channel").click()
    expect(page.locator(".field.wrong .error")).to_contain_text("http")
    expect(page.get_by_label("URL")).to_have_value("htps://hooks.example/ops")
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    visitor.console.clear()  # the 422
    page.get_by_label("URL").fill(sink)
    page.get_by_label("Bearer token").fill("very-secret-token")
    if not script:
        page.get_by_role("button", name="Preview").click()
        page.get_by_label("Bearer token").fill("very-secret-token")  # secrets are never sent back into a form
    expect(page.locator("#preview")).to_contain_text('"event": "alert.raised"')
    expect(page.locator("#preview")).not_to_contain_text("very-secret-token")
    page.get_by_role("button", name="Save channel").click()
    expect(page.locator(".told.ok")).to_be_visible()
    expect(page.get_by_label("Bearer token", exact=True)).to_have_attribute("placeholder", re.compile("stored"))
    page.get_by_role("button", name="Send test").click()
    expect(page.locator(".chip.ok")).to_contain_text(re.compile(r"✓.*204.*ms"))
    page.goto("/settings/notifications")
    expect(page.get_by_role("row", name=name)).to_contain_text("Works")
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_label("Only hosts tagged").fill("prod, home")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Only hosts tagged")).to_have_value("prod, home")
    page.get_by_role("link", name="Log").click()
    expect(page.locator("#channel-log")).to_contain_text("Delivered")
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_label("Type its name").fill("something else")
    page.get_by_role("button", name="Delete this channel").click()
    expect(page.get_by_text("This is not the channel's name.")).to_be_visible()
    visitor.console.clear()
    page.get_by_label("Type its name").fill(name)
    page.get_by_role("button", name="Delete this channel").click()
    page.wait_for_url("**/settings/notifications")
    expect(page.get_by_text(name)).to_have_count(0)


@SCRIPT
def test_a_webhook_gets_a_body_of_its_own_from_a_preset(site: Site, visit: Visit, sink: str, script: bool) -> None:
    visitor = visit("admin", script=script)
    page = visitor.open("/settings/notifications/new?kind=webhook")
    page.get_by_label("Name", exact=True).fill(f"own body {'with' if script else 'without'} script")
    page.get_by_label("URL").fill(sink)
    page.get_by_label("Start from").select_option("Plain text")
    if not script:
        page.get_by_role("button", name="Fill in").click()
    body = page.get_by_label("Body", exact=True)
    expect(body).to_have_value(re.compile(r"^\{\{ title \}\}\n\n"))
    expect(page.get_by_label("Content type")).to_have_value("text/plain; charset=utf-8")
    expect(page.locator("#preview")).to_contain_text("[warning] nas1: backup_failed")
    body.fill("{{ title }}\n{{ mesage }}")
    page.get_by_label("URL").press("Enter")  # which saves, and presses none of the buttons on the way
    error = page.locator(".field.wrong .error")
    expect(error).to_contain_text("Line 2: nothing here is called mesage")
    expect(body).to_have_value("{{ title }}\n{{ mesage }}")
    visitor.console.clear()  # the 422
    body.fill("{{ title }}\n{{ message }}")
    page.get_by_role("button", name="Save channel").click()
    expect(page.locator(".told.ok")).to_be_visible()
    expect(body).to_have_value("{{ title }}\n{{ message }}")


def test_a_phone_can_scan_the_topic_of_a_channel(site: Site, visit: Visit) -> None:
    page = visit("admin").open("/settings/notifications/new?kind=ntfy")
    expect(page.get_by_label("Topic")).to_have_value(re.compile(r"^backups-[A-Za-z0-9_-]{16}$"))
    page.get_by_label("Name", exact=True).fill("phone")
    page.get_by_role("button", name="Save channel").click()
    code = page.get_by_role("img", name="QR code to subscribe")
    expect(code).to_be_visible()
    box = code.bounding_box()
    assert box is not None
    assert box["width"] == box["height"] > 100, "the page's policy lets it be drawn"


def test_a_chat_is_chosen_among_the_kinds_and_of_its_url_the_host_alone_is_seen(site: Site, visit: Visit) -> None:
    page = visit("admin").open("/settings/notifications/new")
    chooser = page.get_by_role("navigation", name="Kind of channel")
    expect(chooser.get_by_role("link")).to_have_count(sum(kind.made_by_hand for kind in KINDS.values()))
    chooser.get_by_role("link", name="Slack").click()
    expect(chooser.locator("[aria-current]")).to_contain_text("Slack")
    page.get_by_label("Name", exact=True).fill("the team's channel")
    page.get_by_label("Webhook URL").fill("http://127.0.0.1:9/services/T0/B0/very-secret-token")
    expect(page.locator("#preview")).to_contain_text("http://127.0.0.1:9/••••")
    page.get_by_role("button", name="Save channel").click()
    expect(page.locator(".told.ok")).to_be_visible()
    expect(page.get_by_label("Webhook URL")).to_have_attribute("placeholder", re.compile("stored"))
    expect(page.get_by_label("Delete the stored value")).to_have_count(0)
    assert "very-secret-token" not in page.content()
    page.goto("/settings/notifications")
    expect(page.get_by_role("row", name="the team's channel")).to_contain_text("127.0.0.1:9")
    assert "very-secret-token" not in page.content()


def test_the_chip_stays_in_the_list_when_the_list_changes_for_it(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    channel = {"kind": "webhook", "name": "closed door", "config": {"url": "http://127.0.0.1:9/hook"}}
    made = visitor.context.request.post("/api/notifications", data=channel, headers={"Sec-Fetch-Site": "same-origin"})
    assert made.ok
    page = visitor.open("/settings/notifications")
    expect(page.locator("html[data-listens=true]")).to_have_count(1)
    row = page.get_by_role("row", name="closed door")
    row.get_by_role("button", name="Send a test to closed door").click()
    expect(row.locator(".chip.bad")).to_contain_text("✗")
    expect(row.locator(".state.bad, .state.warn, .state.off").first).to_be_visible()
    expect(page.locator("html[data-live=rest]")).to_have_count(1)
    with page.expect_response("**/settings/notifications"):
        page.evaluate("document.dispatchEvent(new CustomEvent('rm:announce', { detail: 'channels' }))")
    expect(page.locator("html[data-live=rest]")).to_have_count(1)
    expect(row.locator(".chip.bad")).to_contain_text("✗")


def test_a_channel_that_cannot_be_reached_says_so_in_the_chip(site: Site, visit: Visit) -> None:
    page = visit("admin").open("/settings/notifications/new")
    page.get_by_label("Name", exact=True).fill("nobody there")
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Save channel").click()
    page.get_by_role("button", name="Send test").click()
    expect(page.locator(".chip.bad")).to_contain_text("✗")


@SCRIPT
def test_a_user_is_made_changed_and_deleted(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("admin", script=script)
    page = visitor.open("/settings/users")
    form = page.locator("form[action='/settings/users']")
    form.get_by_label("User name").fill("kim")
    form.get_by_label("Password").fill("short")
    form.get_by_role("button", name="Add").click()
    expect(form.locator(".error")).to_contain_text("at least 12")
    expect(form.get_by_label("User name")).to_have_value("kim")
    visitor.console.clear()
    form.get_by_label("Password").fill("quite a long pass phrase")
    form.get_by_label("Role").select_option("operator")
    form.get_by_role("button", name="Add").click()
    row = page.get_by_role("row", name="kim")
    expect(row).to_contain_text("operator")
    row.get_by_role("link", name="Change kim").click()
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field.wrong .error")).to_contain_text("at least 12")
    visitor.console.clear()  # the 422
    page.get_by_label("New password").fill("")
    page.get_by_label("Disabled").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="kim")).to_contain_text("Disabled")
    row.get_by_role("link", name="Change kim").click()
    page.get_by_label("Delete: type").fill("kim")
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("row", name="kim")).to_have_count(0)


@SCRIPT
def test_a_stored_secret_does_not_follow_a_channel_to_another_place(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("admin", script=script)
    name = f"moving {'with' if script else 'without'} script"
    config = {"url": "https://hooks.example.org/x", "bearer_token": "very-secret-token"}
    channel = {"kind": "webhook", "name": name, "config": config}
    made = visitor.context.request.post("/api/notifications", data=channel, headers={"Sec-Fetch-Site": "same-origin"})
    page = visitor.open(f"/settings/notifications/{made.json()['id']}/edit")
    page.get_by_label("URL").fill("https://elsewhere.example.org/x")
    if script:
        expect(page.locator("#preview")).to_contain_text("must be given again")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[id='e-config.bearer_token']")).to_contain_text("must be given again")
    expect(page.get_by_label("URL")).to_have_value("https://elsewhere.example.org/x")
    visitor.console.clear()  # the 422s
    page.get_by_label("Bearer token", exact=True).fill("another-secret-token")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".told.ok")).to_be_visible()


@SCRIPT
def test_an_enrollment_token_is_listed_and_revoked(site: Site, visit: Visit, script: bool) -> None:
    page = visit("admin", script=script).open("/hosts/new")
    page.get_by_role("button", name="Create enrollment token").click()
    waiting = page.get_by_role("row", name="Not used yet")
    expect(waiting.first).to_contain_text("created by admin")
    if script:
        assert Axe().run(page).violations_count == 0
    page.get_by_role("button", name=re.compile("^Revoke rme_")).first.click()
    page.wait_for_url("**/hosts/new")
    expect(waiting).to_have_count(0)


@SCRIPT
def test_an_api_token_is_shown_once_and_revoked(site: Site, visit: Visit, script: bool) -> None:
    page = visit("admin", script=script).open("/settings/users")
    page.locator("#token-name").fill("ci")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#new-token")).to_have_text(re.compile("^rma_"))
    page.goto("/settings/users")
    expect(page.locator("#new-token")).to_have_count(0)
    page.get_by_role("button", name="Revoke ci").click()
    expect(page.get_by_role("row", name="ci")).to_have_count(0)


@SCRIPT
def test_a_second_factor_is_set_up_asked_for_and_turned_off(
    site: Site, visit: Visit, browser: Browser, script: bool
) -> None:
    """Each by a user of its own: a code counts once, and other sessions of who turns it on end."""
    who = "two-factors" if script else "two-factors-without-script"
    running_server.make_user(site.server.settings, who, "operator")
    visitor = visit(who, script=script)
    page = visitor.open("/settings/authentication")
    page.get_by_role("button", name="Set up").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Enable").click()
    expect(page.locator("#code-error")).to_be_visible()
    visitor.console.clear()
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    page.get_by_label("Code").fill(totp.code(key, totp.step_at(clock.now())))
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_text("The second factor is on.")).to_be_visible()
    recovery = page.locator("section pre").inner_text().splitlines()

    context = browser.new_context(base_url=site.url, java_script_enabled=script)
    other = context.new_page()
    other.goto("/login?next=/hosts")
    other.get_by_label("User name").fill(who)
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in", exact=True).click()
    other.wait_for_url("**/login/second-factor**")
    if script:
        assert Axe().run(other).violations_count == 0
    other.goto("/hosts")
    other.wait_for_url("**/login?next=/hosts")  # half signed in is not signed in
    other.go_back()
    other.get_by_label("Code").fill("nonsense")
    other.get_by_role("button", name="Sign in", exact=True).click()
    expect(other.locator("#code-error")).to_be_visible()
    other.get_by_label("Code").fill(recovery[0])
    other.get_by_role("button", name="Sign in", exact=True).click()
    other.wait_for_url("**/hosts")
    context.close()

    page.goto("/settings/authentication")
    expect(page.get_by_text(f"{len(recovery) - 1} recovery codes are left.")).to_be_visible()
    page.locator("tr", has_text="this one").wait_for()
    page.get_by_role("button", name=re.compile("^Sign out ")).first.click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Set up")).to_be_visible()


@SCRIPT
def test_a_password_is_changed_and_a_wrong_present_one_said_beside_its_field(
    site: Site, visit: Visit, script: bool
) -> None:
    who = "with-script" if script else "without-script"
    running_server.make_user(site.server.settings, who, "viewer")
    visitor = visit(who, script=script)
    page = visitor.open("/settings/authentication")
    page.get_by_label("Current password").fill("not this one, surely")
    page.get_by_label("New password").fill(PASSWORD + " and more")
    page.get_by_role("button", name="Change password").click()
    expect(page.locator("#e-current")).to_have_text("Wrong password.")
    visitor.console.clear()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(PASSWORD + " and more")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("status").get_by_text("Your password was changed")).to_be_visible()


@SCRIPT
def test_a_session_that_showed_its_password_long_ago_shows_it_again_and_goes_on_with_what_was_typed(
    site: Site, visit: Visit, script: bool
) -> None:
    who = "long-ago" if script else "longer-ago"
    running_server.make_user(site.server.settings, who, "admin")
    visitor = visit(who, script=script)
    with closing(sqlite3.connect(site.server.settings.database)) as database, database:
        theirs = "user_id = (SELECT id FROM users WHERE username = ?)"
        database.execute(f"UPDATE sessions SET proved_at = 0 WHERE {theirs}", [who])
    page = visitor.open("/settings/users")
    page.locator("#token-name").fill(f"made by {who}")
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your password")
    page.get_by_label("Password").fill("not this one, surely")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_be_visible()
    visitor.console.clear()  # a 403, then a 422
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#new-token")).to_have_text(re.compile("^rma_"))
    expect(page.get_by_role("row", name=f"made by {who}")).to_be_visible()


@SCRIPT
def test_a_silence_begins_and_ends(site: Site, visit: Visit, script: bool) -> None:
    visitor = visit("operator", script=script)
    page = visitor.open(f"/silences?host={site.past.hosts['mail']}&kind=backup_failed")
    expect(page.get_by_label("Host")).to_have_value(site.past.hosts["mail"])
    page.get_by_label("Reason").fill("disk swap")
    page.get_by_label("Hours").fill("none")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator("#e-hours")).to_have_text("Give a number greater than 0.")
    visitor.console.clear()
    page.get_by_label("Hours").fill("2")
    page.get_by_role("button", name="Silence", exact=True).click()
    row = page.get_by_role("row", name="disk swap")
    expect(row).to_contain_text("Active")
    expect(row).to_contain_text("“Backup failed” on mail")
    row.get_by_role("button", name="Expire").click()
    expect(page.get_by_role("heading", name="No silences")).to_be_visible()


@SCRIPT
def test_a_maintenance_window_comes_again_and_again(site: Site, visit: Visit, script: bool) -> None:
    page = visit("operator", script=script).open("/silences")
    expect(page.get_by_label("Starts at (cron)")).to_be_hidden()
    page.get_by_label("Recurring").check()
    expect(page.get_by_label("Hours")).to_be_hidden()
    page.get_by_label("Reason").fill("patch day")
    page.get_by_label("Starts at (cron)").fill("30 3 * * 6")
    if script:
        expect(page.locator("#cron-words")).to_contain_text("On Saturday at 03:30")
    page.get_by_role("button", name="Silence", exact=True).click()
    row = page.get_by_role("row", name="patch day")
    expect(row).to_contain_text("On Saturday at 03:30 (UTC), for 2 h")
    row.get_by_role("button", name="Expire").click()
    expect(page.get_by_role("heading", name="No silences")).to_be_visible()


def test_the_audit_trail_is_filtered_and_exported(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    page = visitor.open("/audit?action=user.login")
    expect(page.locator("tbody tr").first).to_contain_text("User signed in")
    answer = visitor.context.request.get("/audit.csv?action=user.login")
    assert answer.status == 200
    assert answer.text().splitlines()[0].startswith("at,actor,actor_kind,action")


def test_viewers_do_not_get_what_is_not_theirs(site: Site, visit: Visit) -> None:
    visitor = visit("viewer")
    page = visitor.page()
    for path in ("/settings/users", "/audit", "/settings/notifications/new", "/hosts/new"):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 403, path
        expect(page.get_by_text("This requires the role admin")).to_be_visible()
    visitor.console.clear()
