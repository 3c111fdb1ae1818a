"""Pictures of the main pages, light and dark, wide and on a phone, into `docs/screenshots/`.

    python -m bench.screenshots

A real server with the fleet of the browser tests in it; Debian's Chromium. `--pages` and `--out` for a closer look.
"""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser import fleet, server
from tests.browser.conftest import CHROMIUM, DESKTOP, FLAGS, PHONE
from tests.browser.fleet import Past
from tests.browser.server import PASSWORD, RunningServer

ROOT = Path(__file__).resolve().parent.parent

MAIN = {
    "dashboard": "/",
    "alerts": "/alerts",
    "alert": "/alerts/{alerts[check]}",
    "host": "/hosts/{hosts[db-primary]}",
    "channel": "/settings/notifications/new",
}
MORE = {
    "hosts": "/hosts",
    "add-host": "/hosts/new",
    "schedule": "/hosts/{hosts[mail]}/schedules/new",
    "jobs": "/jobs",
    "job": "/jobs/{jobs[check]}",
    "silences": "/silences",
    "notifications": "/settings/notifications",
    "users": "/settings/users",
    "authentication": "/settings/authentication",
    "audit": "/audit",
}
LOOKS = {
    "light": (DESKTOP, 800, "light"),
    "dark": (DESKTOP, 800, "dark"),
    "phone": (PHONE, 844, "light"),
    "phone-dark": (PHONE, 844, "dark"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--pages", help=f"comma separated: {', '.join({**MAIN, **MORE})}")
    parser.add_argument("--looks", default="light,dark,phone", help=f"comma separated: {', '.join(LOOKS)}")
    parser.add_argument("--whole", action="store_true", help="the whole page, not only what fits the screen")
    given = parser.parse_args()
    pages = {name: {**MAIN, **MORE}[name] for name in given.pages.split(",")} if given.pages else MAIN
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = server.settings_for(Path(folder) / "data")
        past = fleet.write(settings)
        server.make_user(settings, "dana", "admin")
        running = server.run(settings)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                for look in given.looks.split(","):
                    take(browser, running, past, pages, look, given.out, whole=given.whole)
                browser.close()
        finally:
            running.stop()


def take(
    browser: Browser, running: RunningServer, past: Past, pages: dict[str, str], look: str, out: Path, *, whole: bool
) -> None:
    """One picture of each page in one look."""
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light",
        base_url=running.url, reduced_motion="reduce",
    )  # fmt: skip
    cookie = server.sign_in(running.url, "dana", PASSWORD)
    context.add_cookies([{"name": "rm", "value": cookie, "url": running.url}])
    page = context.new_page()
    for name, path in pages.items():
        page.goto(path.format(**vars(past)))
        page.evaluate("document.querySelector('.notice')?.remove()")  # about this server, not about the page
        if name == "channel":
            page.get_by_label("Name", exact=True).fill("ops-webhook")
            with page.expect_response("**/preview"):
                page.get_by_label("URL").fill("https://hooks.example.org/backups")
            page.wait_for_selector("#preview pre")
        page.screenshot(path=out / (f"{name}.png" if look == "light" else f"{name}-{look}.png"), full_page=whole)
    context.close()


if __name__ == "__main__":
    main()
