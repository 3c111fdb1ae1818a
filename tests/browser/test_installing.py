"""Chromium takes the page for one that can be installed."""

from tests.browser.conftest import Visit


def test_the_browser_would_install_the_page(visit: Visit) -> None:
    page = visit("viewer").open("/")
    browser = page.context.new_cdp_session(page)
    manifest = browser.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["url"].endswith("/manifest.webmanifest")
    found = browser.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A test's browser keeps nothing, which is the one thing that it says against installing.
    assert {error["errorId"] for error in found} <= {"in-incognito"}
