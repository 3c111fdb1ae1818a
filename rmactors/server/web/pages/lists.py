"""Where a list goes on: cursors in the URLs of pages."""

from typing import Any
from urllib.parse import urlencode

from quart import request

from rmactors.server.web.cursors import sort_key


def cursor(shape: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The sort key in `cursor`; one that cannot be read begins the list from its start: a page is no API."""
    return sort_key(request.args.get("cursor", ""), shape)


def more_href(after_text: str | None) -> str | None:
    """The URL of this list's next page."""
    if after_text is None:
        return None
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor" and value]
    return f"{request.path}?{urlencode([*kept, ('cursor', after_text)])}"
