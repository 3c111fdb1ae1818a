"""Where a list goes on: cursors in the URLs of pages, made as the API makes them."""

from typing import Any
from urllib.parse import urlencode

from quart import request

from rmactors.server.web.api.bodies import cursor_of
from rmactors.server.web.problems import Problem


def cursor(shape: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The sort key in `cursor`; one that cannot be read begins the list anew: a page is no API."""
    try:
        return cursor_of({"cursor": request.args["cursor"]} if request.args.get("cursor") else {}, shape)
    except Problem:
        return None


def more_href(after_text: str | None) -> str | None:
    """The URL of this list's next page."""
    if after_text is None:
        return None
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor" and value]
    return f"{request.path}?{urlencode([*kept, ('cursor', after_text)])}"
