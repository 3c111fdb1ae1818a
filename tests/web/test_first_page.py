"""The page that people open first after a start is compiled by then."""

from typing import Any

import jinja2
import pytest

from rmactors.server.web import html
from tests.web.conftest import Site


async def test_the_dashboard_is_compiled_before_somebody_asks_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.enroll("nas")
    await site.user()
    browser = await site.log_in()
    html.environment.cache_clear()
    await html.compile_first_page()
    compiled: list[Any] = []
    compile_one = jinja2.Environment.compile

    def noted(self: jinja2.Environment, source: Any, name: str | None = None, *more: Any, **named: Any) -> Any:
        compiled.append(name)
        return compile_one(self, source, name, *more, **named)

    monkeypatch.setattr(jinja2.Environment, "compile", noted)
    assert (await browser.get("/")).status_code == 200
    assert compiled == []
    assert (await browser.get("/hosts")).status_code == 200
    assert compiled == ["hosts.html"], "it would be seen"
