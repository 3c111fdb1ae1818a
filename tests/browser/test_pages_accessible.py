"""Every page, light and dark, wide and on a phone: axe finds nothing, nothing is wider than the screen, the console
stays empty (the fixture looks)."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from harness.chromium import DESKTOP, PHONE
from rmactors.server.channels.registry import KINDS
from tests.browser.conftest import Site, Visit, Visitor

PAGES = {
    "dashboard": "/",
    "backup ages": "/backups",
    "backup ages that match nothing": "/backups?tag=nothing-has-this",
    "hosts": "/hosts",
    "hosts by tag": "/hosts?group=tag",
    "no host": "/hosts?q=nothing-has-this",
    "calendar": "/calendar",
    "calendar of a week": "/calendar?range=7d",
    "add a host": "/hosts/new",
    "host": "/hosts/{hosts[db-primary]}",
    "host without a past": "/hosts/{hosts[new-box]}",
    "credential of a host": "/hosts/{hosts[db-primary]}/credential",
    "new schedule": "/hosts/{hosts[mail]}/schedules/new",
    "schedule": "/schedules/{schedules[mail]}",
    "policies": "/policies",
    "new policy": "/policies/new",
    "policy": "/policies/{policy}",
    "change a policy": "/policies/{policy}/edit",
    "delete a policy": "/policies/{policy}/delete",
    "repositories": "/repositories",
    "repository": "/repositories/{repositories[shared]}",
    "repository that was never measured": "/repositories/{repositories[lonely]}",
    "jobs": "/jobs",
    "no jobs": "/jobs?status=skipped",
    "job": "/jobs/{jobs[check]}",
    "alerts": "/alerts",
    "all alerts": "/alerts?status=all",
    "no match": "/alerts?q=nothing-has-this",
    "alert": "/alerts/{alerts[check]}",
    "resolved alert": "/alerts/{alerts[old]}",
    "silences": "/silences",
    "silences of a host": "/silences?host={hosts[mail]}&kind=backup_failed",
    "notifications": "/settings/notifications",
    "stored channel": "/settings/notifications/{channel}/edit",
    "channel's log": "/settings/notifications/{channel}/log",
    "delete a channel": "/settings/notifications/{channel}/delete",
    **{
        f"new {kind} channel": f"/settings/notifications/new?kind={kind}"
        for kind, each in KINDS.items()
        if each.made_by_hand
    },
    "status pages": "/settings/status",
    "nodes": "/settings/nodes",
    "users": "/settings/users",
    "user": "/settings/users/{user}",
    "authentication": "/settings/authentication",
    "audit": "/audit",
    "no match in the audit": "/audit?actor=nobody-like-that",
    "reauthenticate": "/reauthenticate",
    "confirmed elsewhere": "/reauthenticate/done",
    "not there": "/alerts/00000000000000000000000000",
}
COLOURS = "runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}"
"""What else could differ between light and dark: the same elements are there, of the same size."""
LOOKS = {"light": (DESKTOP, False), "dark": (DESKTOP, True), "phone": (PHONE, False), "dark phone": (PHONE, True)}


class Examiner:
    """axe-core on a page that stays loaded while its looks change."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: list[str] = []

    def examine(self, name: str, path: str, status: int = 200) -> None:
        """Load the page once, with all that can be unfolded, and look at it in each way."""
        answer = self.page.goto(path)
        assert answer is not None
        assert answer.status == status, f"{name}: {answer.status}"
        self.look(name)

    def look(self, name: str) -> None:
        """At the page as it is."""
        self.page.evaluate(
            "document.querySelectorAll('main details').forEach((each) => { each.open = true; });"
            "const box = document.querySelector('input[form=bulk]'); if (box) box.checked = true;"
        )
        self.page.evaluate(f"{Axe().axe_script}; null")
        for look, (width, dark) in LOOKS.items():
            self.page.set_viewport_size({"width": width, "height": 844 if width == PHONE else 900})
            self.page.emulate_media(color_scheme="dark" if dark else "light")
            only = f", {COLOURS}" if dark else ""
            results = self.page.evaluate(f"axe.run(document, {{resultTypes: ['violations']{only}}})")
            self.found += [
                f"{name}, {look}: {violation['id']} {node['target']} {node['html'][:150]}"
                for violation in results["violations"]
                for node in violation["nodes"]
            ]
            too_wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if too_wide > 0:
                self.found.append(f"{name}, {look}: {too_wide} px wider than the screen")


def test_every_page_is_accessible_and_fits_light_and_dark_wide_and_narrow(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    examiner = Examiner(visitor.page())
    channel, policy = fill(visitor)
    user = visitor.context.request.get("/api/users").json()["items"][1]["id"]
    for name, path in PAGES.items():
        examiner.examine(
            name,
            path.format(**vars(site.past), channel=channel, policy=policy, user=user),
            404 if name == "not there" else 200,
        )
    visitor.console[:] = [line for line in visitor.console if "404" not in line]
    assert examiner.found == [], "\n".join(examiner.found)


def fill(visitor: Visitor) -> tuple[str, str]:
    """What is not there from the beginning: a channel (its id) and a policy (its id), a try, a silence, a token."""

    def post(path: str, body: dict[str, object]) -> dict[str, str]:
        answer = visitor.context.request.post(path, data=body, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.ok, answer.text()
        found: dict[str, str] = answer.json()
        return found

    config = {"url": "http://127.0.0.1:9/nobody-listens", "bearer_token": "secret"}
    channel = post("/api/notifications", {"kind": "webhook", "name": "ops", "config": config})["id"]
    post(f"/api/notifications/{channel}/test", {})
    post("/api/silences", {"reason": "disk swap", "ends_at": "2099-01-01T00:00:00Z"})
    post("/api/tokens", {"name": "ci", "role": "viewer"})
    post("/api/status-pages", {"name": "Office", "host_tags": ["prod"], "show": "hosts"})
    body = {"name": "Nightly", "host_tags": ["roaming"], "kind": "check", "cron": "0 2 * * *", "spread_minutes": 60}
    return channel, post("/api/policies", body)["id"]


def test_refused_forms_menus_and_the_list_of_keys_are_accessible(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    examiner = Examiner(visitor.page())
    page = examiner.page
    for name, path, button in (
        ("refused channel", "/settings/notifications/new", "Save channel"),
        ("refused schedule", f"/hosts/{site.past.hosts['mail']}/schedules/new", "Save schedule"),
    ):
        page.goto(path)
        with page.expect_navigation():
            page.get_by_role("button", name=button).click()
        examiner.look(name)
    page.goto("/policies/new")
    page.get_by_label("Name", exact=True).fill("Weekly")
    page.get_by_label("Hosts tagged").fill("prod, home")
    page.get_by_label("Plan", exact=True).fill("music")
    with page.expect_navigation():
        page.get_by_role("button", name="Show what changes").click()
    examiner.look("what a policy would change")
    page.goto("/settings/authentication")
    page.get_by_role("button", name="Set up").click()
    page.locator("#secret").wait_for()
    examiner.look("second factor offered")
    page.goto("/alerts")
    page.locator("details.menu summary").click()
    examiner.look("menu")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    examiner.look("keys")
    visitor.console[:] = [line for line in visitor.console if "422" not in line]
    assert examiner.found == [], "\n".join(examiner.found)


def test_what_a_viewer_gets_is_accessible_a_refusal_too(site: Site, visit: Visit) -> None:
    visitor = visit("viewer")
    examiner = Examiner(visitor.page())
    examiner.examine("forbidden", "/settings/users", 403)
    examiner.examine("alerts of a viewer", "/alerts")
    examiner.examine("host of a viewer", f"/hosts/{site.past.hosts['mail']}")
    visitor.console[:] = [line for line in visitor.console if "403" not in line]
    assert examiner.found == [], "\n".join(examiner.found)


def test_the_login_page_is_accessible_and_fits(visit: Visit) -> None:
    visitor = visit("admin")
    visitor.context.clear_cookies()
    examiner = Examiner(visitor.page())
    examiner.examine("login", "/login")
    assert examiner.found == [], "\n".join(examiner.found)
