"""JSON in, JSON out: bodies, their validation, lists and their cursors.

Bodies are read in two steps, so that errors come in the contract's order: `json_body` (400 for what is not
JSON), then whatever may be a 404, then `convert` (422).
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, TypeVar, cast

import msgspec
from msgspec import Meta
from quart import Response, request

from rmactors.common.text import steers
from rmactors.server.channels.base import FieldError
from rmactors.server.store.queries.rows import Page
from rmactors.server.web import rows
from rmactors.server.web.api.wording import worded
from rmactors.server.web.problems import Problem, invalid, invalid_field

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
R = TypeVar("R")

DEFAULT_LIMIT = 50
HIGHEST_LIMIT = 200
_MAX_DEPTH = 50


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


def convert(value: Any, kind: type[S], *, read_only: Iterable[str] = ()) -> S:
    """The body as a `kind`. 422 with every field at fault; `read_only` keys are left out unseen."""
    values, errors = fields_of(value, kind, read_only=read_only)
    if errors:
        raise invalid(errors)
    return kind(**values)


def fields_of(
    value: Any, kind: type[msgspec.Struct], *, read_only: Iterable[str] = ()
) -> tuple[dict[str, Any], list[FieldError]]:
    """The body's fields, each in its type, and what is wrong with those that are not there."""
    if not isinstance(value, dict):
        return {}, [FieldError("", "must be a JSON object")]
    if errors := text_errors(value):
        return {}, errors
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, item in value.items():
        if name in fields:
            try:
                values[name] = msgspec.convert(item, fields[name].type)
            except msgspec.ValidationError as error:
                pointer, detail = _placed(str(error), fields[name].type)
                errors.append(FieldError(f"/{name}{pointer}", detail))
        elif name not in read_only:
            errors.append(FieldError(f"/{escape(name)}", "is not a known key"))
    errors += [
        FieldError(f"/{name}", "is required") for name, field in fields.items() if field.required and name not in value
    ]
    return values, errors


def text_errors(value: Any) -> list[FieldError]:
    """Texts that no database and no header could hold: NUL, lone surrogates; and nesting beyond reason."""
    found: list[FieldError] = []

    def visit(item: Any, pointer: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            found.append(FieldError(pointer, "is nested too deeply"))
        elif isinstance(item, str):
            if "\0" in item:
                found.append(FieldError(pointer, "must not contain NUL"))
            elif not item.isascii() and any("\ud800" <= character <= "\udfff" for character in item):
                found.append(FieldError(pointer, "is not valid Unicode"))
        elif isinstance(item, list):
            for index, element in enumerate(item):
                visit(element, f"{pointer}/{index}", depth + 1)
        elif isinstance(item, dict):
            for key, element in item.items():
                visit(key, pointer, depth + 1)
                visit(element, f"{pointer}/{escape(key)}", depth + 1)

    visit(value, "", 0)
    return found


def one_line_each(pointer: str, *texts: str | None) -> None:
    """Names, tags and expressions stand in lists, messages and logs. Raises the 422 for one that is no plain line."""
    if any(text is not None and steers(text) for text in texts):
        raise invalid_field(pointer, "must not contain control characters")


def escape(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$?(?P<key>key in )?(?P<path>.*)`)?\Z", re.DOTALL)
_NAMED = re.compile(r"Object (?P<how>missing required|contains unknown) field `(?P<name>.*)`\Z", re.DOTALL)


def _placed(message: str, wanted: Any) -> tuple[str, str]:
    """msgspec's `Expected `int`, got `str` - at `$.a[0].b`` as (pointer, sentence)."""
    match = _PATH.match(message)
    what, path = (match["what"], match["path"] or "") if match is not None else (message, "")
    steps = [escape(name) if name else index for name, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path)]
    if named := _NAMED.match(what):
        steps.append(escape(named["name"]))
        what = "is required" if named["how"].startswith("missing") else "is not a known key"
    return "".join(f"/{step}" for step in steps), worded(what, wanted)


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
    try:
        parts = msgspec.json.decode(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (msgspec.DecodeError, binascii.Error, UnicodeError, ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(shape):
        raise invalid_field("/cursor", "is not a cursor of this list")
    if any(isinstance(part, int) and not -(1 << 63) <= part < 1 << 63 for part in parts) or text_errors(parts):
        raise invalid_field("/cursor", "is not a cursor of this list")
    return tuple(parts)


def cursor_text(after: tuple[Any, ...] | None) -> str | None:
    """A sort key as `next_cursor`."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(msgspec.json.encode(list(after))).decode().rstrip("=")


def listing(page: Page[R], shape: Callable[[R], T]) -> Listing[T]:
    """A page of rows as the API shows it. One that cannot be shown has a `problem` instead of what is wrong with it."""
    items: list[T | dict[str, Any]] = rows.each(page.items, shape, rows.item)
    return Listing(cast("list[T]", items), cursor_text(page.after))
