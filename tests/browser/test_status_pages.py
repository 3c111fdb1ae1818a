"""A status page from the settings to the stranger who reads it, and its badge on somebody else's page."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Browser, Page, expect

from harness.chromium import PHONE
from tests.browser.conftest import SCRIPT, Site, Visit
from tests.browser.test_pages_accessible import Examiner


def make(page: Page, name: str, shows: str) -> str:
    """Its address."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Shows").select_option(shows)
    page.get_by_role("button", name="Create status page").click()
    return page.locator("#status-address").inner_text()


@SCRIPT
def test_an_operator_makes_a_page_and_a_stranger_reads_it(
    site: Site, visit: Visit, browser: Browser, *, script: bool
) -> None:
    name = f"Wall {script}"
    page = visit("operator", script=script).open("/settings/status")
    address = make(page, name, "hosts")
    assert address.startswith(f"{site.url}/status/rmp_")
    context = browser.new_context(java_script_enabled=script)
    reader = context.new_page()
    answer = reader.goto(address)
    assert answer is not None
    assert answer.status == 200
    expect(reader.get_by_role("heading", name=name)).to_be_visible()
    expect(reader.get_by_role("row", name=re.compile("db-primary"))).to_be_visible()
    expect(reader.locator("nav")).to_have_count(0)
    page.get_by_role("link", name="Status pages").click()
    row = page.get_by_role("row", name=re.compile(name))
    expect(row).to_contain_text("Numbers and names of hosts")
    row.get_by_role("button", name=f"Delete {name}").click()
    expect(row).to_have_count(0)
    gone = reader.goto(address)
    assert gone is not None
    assert gone.status == 404
    context.close()


@contextmanager
def another_site(body: str) -> Iterator[str]:
    """A page of somebody else's, under another name than the server's."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_badge_is_shown_by_another_site_and_the_page_is_not(site: Site, visit: Visit, browser: Browser) -> None:
    address = make(visit("operator").open("/settings/status"), "Badge", "overview")
    body = f'<img alt="backups" src="{address}/badge.svg"><iframe title="page" src="{address}"></iframe>'
    context = browser.new_context()
    page = context.new_page()
    with another_site(body) as elsewhere:
        page.goto(elsewhere)
        page.wait_for_function("document.images[0].complete")
        badge = page.get_by_alt_text("backups")
        assert badge.evaluate("image => image.naturalHeight") == 20
        assert badge.evaluate("image => image.naturalWidth") > 60
        expect(page.frame_locator("iframe").get_by_role("heading", name="Badge")).to_have_count(0)
    context.close()


def test_what_strangers_see_is_accessible_and_fits_a_phone(site: Site, visit: Visit) -> None:
    visitor = visit("operator", width=PHONE)
    address = make(visitor.open("/settings/status"), "Phone", "hosts")
    examiner = Examiner(visitor.page())
    examiner.examine("status page", address.removeprefix(site.url))
    examiner.examine("status page that ended", "/status/rmp_gone", 404)
    visitor.console[:] = [line for line in visitor.console if "404" not in line]
    assert examiner.found == [], "\n".join(examiner.found)
