"""Every page, light and dark, wide and on a phone: axe finds nothing, nothing is wider than the screen, the console
stays empty (the fixture looks)."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import DESKTOP, PHONE, Site, Visit

PAGES = {
    "dashboard": "/",
    "hosts": "/hosts",
    "add a host": "/hosts/new",
    "host": "/hosts/{hosts[db-primary]}",
    "host without a past": "/hosts/{hosts[new-box]}",
    "new schedule": "/hosts/{hosts[mail]}/schedules/new",
    "schedule": "/schedules/{schedules[mail]}",
    "jobs": "/jobs",
    "no jobs": "/jobs?status=skipped",
    "job": "/jobs/{jobs[check]}",
    "alerts": "/alerts",
    "all alerts": "/alerts?status=all",
    "no match": "/alerts?q=nothing-has-this",
    "alert": "/alerts/{alerts[check]}",
    "resolved alert": "/alerts/{alerts[old]}",
    "silences": "/silences",
    "notifications": "/settings/notifications",
    "new webhook": "/settings/notifications/new",
    "new mail channel": "/settings/notifications/new?kind=smtp",
    "users": "/settings/users",
    "authentication": "/settings/authentication",
    "audit": "/audit",
    "reauthenticate": "/reauthenticate",
    "not there": "/alerts/00000000000000000000000000",
}
LOOKS = {"light": (DESKTOP, False), "dark": (DESKTOP, True), "phone": (PHONE, False), "dark phone": (PHONE, True)}


class Examiner:
    """axe-core on a page that stays loaded while its looks change."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.found: list[str] = []

    def examine(self, name: str, path: str) -> None:
        """Load the page once and look at it in each way."""
        answer = self._page.goto(path)
        assert answer is not None
        assert answer.status == (404 if name == "not there" else 200), f"{name}: {answer.status}"
        self._page.evaluate(f"{Axe().axe_script}; null")
        for look, (width, dark) in LOOKS.items():
            self._page.set_viewport_size({"width": width, "height": 844 if width == PHONE else 900})
            self._page.emulate_media(color_scheme="dark" if dark else "light")
            results = self._page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            self.found += [
                f"{name}, {look}: {violation['id']} {node['target']} {node['html'][:150]}"
                for violation in results["violations"]
                for node in violation["nodes"]
            ]
            too_wide = self._page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if too_wide > 0:
                self.found.append(f"{name}, {look}: {too_wide} px wider than the screen")


def test_every_page_is_accessible_and_fits_light_and_dark_wide_and_narrow(site: Site, visit: Visit) -> None:
    visitor = visit("admin")
    examiner = Examiner(visitor.page())
    for name, path in PAGES.items():
        examiner.examine(name, path.format(**vars(site.past)))
    visitor.console[:] = [line for line in visitor.console if "404" not in line]
    assert examiner.found == [], "\n".join(examiner.found)


def test_the_login_page_is_accessible_and_fits(visit: Visit) -> None:
    visitor = visit("admin")
    visitor.context.clear_cookies()
    examiner = Examiner(visitor.page())
    examiner.examine("login", "/login")
    assert examiner.found == [], "\n".join(examiner.found)
