"""One real server with a small fleet in it, one headless Chromium; each test gets a fresh browser context.

The pages are driven from this thread by playwright's synchronous API; the server is a process of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright._impl._api_structures import SetCookieParam
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from harness import past_fleet, running_server
from harness.chromium import DESKTOP, PHONE
from harness.past_fleet import Past
from harness.running_server import PASSWORD, RunningServer
from rmactors.common.vocabulary import ROLES
from tests.conftest import PATIENCE_MS

SCRIPT = pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
"""For what has to work in a browser without JavaScript, too."""
NO_TICKS = "const every = setInterval; setInterval = (what, ms) => ms === 30000 ? 0 : every(what, ms);"
"""Twice a minute a page fetches what says how long ago something was, and so would find what it was not told."""


@dataclass
class Site:
    """The server and who is there: one user for each role, named like it."""

    server: RunningServer
    past: Past

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A server of this module's own, with the fleet and an `admin`, an `operator` and a `viewer`.

    A module that uses alerts up says how many it needs: `SPARE_ALERTS = 8`, `DOUBTED = 2`; one that wants a larger
    fleet `MORE_HOSTS = 40`.
    """
    settings = running_server.settings_for(tmp_path_factory.mktemp("site") / "data")
    past = past_fleet.write(settings, getattr(request.module, "SPARE_ALERTS", 0), getattr(request.module, "DOUBTED", 0))
    past_fleet.stay_online(settings)
    past_fleet.add_hosts(settings, getattr(request.module, "MORE_HOSTS", 0))
    for role in ROLES:
        running_server.make_user(settings, role, role)
    running = running_server.run(settings)
    yield Site(running, past)
    running.stop()


@dataclass
class Visitor:
    """A signed-in browser, and whatever its console said."""

    url: str
    context: BrowserContext
    console: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.set_default_timeout(PATIENCE_MS)
        return page

    def open(self, path: str) -> Page:
        page = self.page()
        answer = page.goto(self.url + path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"warning", "error"}:
            self.console.append(f"{message.type}: {message.text}")


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:
    """`visit("operator")`: a browser signed in as a user of that role. The console must stay empty.

    What changes in its pages was announced to them, however long that takes: with `ticks=True` alone they fetch from
    time to time without a reason.
    """
    visitors: list[Visitor] = []

    def sign_in(
        role: str = "admin", *, script: bool = True, width: int = DESKTOP, dark: bool = False, ticks: bool = False
    ) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 844 if width == PHONE else 900},
            color_scheme="dark" if dark else "light", java_script_enabled=script, base_url=site.url,
        )  # fmt: skip
        if not ticks:
            context.add_init_script(NO_TICKS)
        context.add_cookies([_cookie(site, role)])
        visitors.append(Visitor(site.url, context))
        return visitors[-1]

    yield sign_in
    for visitor in visitors:
        visitor.context.close()
        assert visitor.console == []


_COOKIES: dict[tuple[str, str], str] = {}


def _cookie(site: Site, role: str) -> SetCookieParam:
    """Signs in once for each role and server: sign-ins are throttled, as they should be."""
    key = (site.url, role)
    if key not in _COOKIES:
        _COOKIES[key] = running_server.sign_in(site.url, role, PASSWORD)
    return {"name": "rm", "value": _COOKIES[key], "url": site.url}
