"""The browser of the browser tests, for pages that come through a proxy."""

from tests.browser.conftest import browser

__all__ = ["browser"]
