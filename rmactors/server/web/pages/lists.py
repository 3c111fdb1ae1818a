"""What pages with lists share: cursors in their addresses, the address as somebody types, and sheets."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from quart import Response, request

from rmactors.server.web.cursors import sort_key
from rmactors.server.web.html import in_thread
from rmactors.server.web.views.lists import Asked

EXPORTED: Final = 50_000
"""Rows of a sheet at most."""


def cursor(shape: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The sort key in `cursor`; one that cannot be read begins the list from its start: a page is no API."""
    return sort_key(request.args.get("cursor", ""), shape)


def more_href(after_text: str | None) -> str | None:
    """The URL of this list's next page."""
    if after_text is None:
        return None
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor" and value]
    return f"{request.path}?{urlencode([*kept, ('cursor', after_text)])}"


def followed(response: Response, asked: Asked) -> Response:
    """The same, and where somebody types into the search, the address of the page follows what they typed."""
    if request.headers.get("HX-Trigger-Name") == "q":
        response.headers["HX-Replace-Url"] = asked.href()
    return response


async def sheet(name: str, write: Callable[[], str]) -> Response:
    """A file to save, written in a thread."""
    return Response(
        await in_thread(write), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )  # fmt: skip
