"""JSON in, JSON out: bodies, their validation, lists and their cursors.

Bodies are read in two steps, so that errors come in the contract's order: `json_body` (400 for what is not
JSON), then whatever may be a 404, then `convert` (422).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Meta
from quart import Response, request

from rmactors.server.store.queries.rows import Page
from rmactors.server.web import rows
from rmactors.server.web.cursors import cursor_text, sort_key
from rmactors.server.web.html import in_thread
from rmactors.server.web.problems import Problem, invalid_field
from rmactors.server.web.validation import convert, escape

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_LIMIT = 50
HIGHEST_LIMIT = 200


PAGING: Mapping[str, object] = {"limit": Annotated[int, Meta(ge=1, le=HIGHEST_LIMIT)], "cursor": str}
"""Query parameters of every list."""


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    """An object without keys."""


class Listing(msgspec.Struct, Generic[T]):
    """A page of a list. `next_cursor` is null on the last one."""

    items: list[T]
    next_cursor: str | None


def json_response(value: object, status: int = 200) -> Response:
    """The value as `application/json`."""
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def no_content() -> Response:
    response = Response("", 204)
    response.headers.pop("Content-Type", None)
    return response


async def json_body(*, optional: bool = False) -> Any:
    """The body as plain values. 400 where it is not JSON; with `optional`, an empty body is `{}`."""
    raw = await request.get_data(cache=True, parse_form_data=False)
    assert isinstance(raw, bytes)
    if optional and not raw.strip():
        return {}
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {error}", "not-json") from None


async def no_body() -> None:
    """For routes that take no body: nothing, an empty object, or a form (as htmx sends it) is fine."""
    content_type = request.headers.get("Content-Type", "")
    if content_type.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return
    convert(await json_body(optional=True), Empty)


# ---- query strings and lists


def arguments(*names: str) -> dict[str, str]:
    """The query parameters by name; empty ones count as not given. 422 for a name that is not among `names`."""
    given: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name not in names:
            raise invalid_field(f"/{escape(name)}", "is not a known parameter")
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise invalid_field(f"/{name}", "is not valid text")
        if value:
            given[name] = value
    return given


def one_of(given: dict[str, str], name: str, allowed: Iterable[str]) -> str | None:
    """A parameter that must be one of some words. 422 else; None where it was not given."""
    value = given.get(name)
    if value is not None and value not in allowed:
        raise invalid_field(f"/{name}", f"must be one of {', '.join(allowed)}")
    return value


def limit_of(given: dict[str, str]) -> int:
    """`limit`, 50 by default, at most 200. 422 else."""
    text = given.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= HIGHEST_LIMIT):
        raise invalid_field("/limit", f"must be a number from 1 to {HIGHEST_LIMIT}")
    return int(text)


def cursor_of(given: dict[str, str], shape: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The sort key in `cursor`, whose parts have the types in `shape`. 422 for one that this list never gave."""
    text = given.get("cursor")
    if text is None:
        return None
    found = sort_key(text, shape)
    if found is None:
        raise invalid_field("/cursor", "is not a cursor of this list")
    return found


async def listed(page: Page[R], shape: Callable[[R], T]) -> Response:
    """The answer that lists large rows: made in a thread, for it may take as long as tens of acks."""
    return await in_thread(lambda: json_response(listing(page, shape)))


def listing(page: Page[R], shape: Callable[[R], T]) -> Listing[T]:
    """A page of rows as the API shows it. One that cannot be shown has a `problem` instead of what is wrong with it."""
    items: list[T | dict[str, Any]] = rows.each(page.items, shape, rows.item)
    return Listing(cast("list[T]", items), cursor_text(page.after))
