"""What people and programs send, checked field by field: the same for a form and for a JSON body."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

import msgspec

from rmactors.common.text import steers
from rmactors.server.channels.base import FieldError
from rmactors.server.web.problems import invalid, invalid_field
from rmactors.server.web.wording import worded

S = TypeVar("S", bound=msgspec.Struct)
_MAX_DEPTH = 50


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
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, item in value.items():
        if name in fields:
            try:
                values[fields[name].name] = msgspec.convert(item, fields[name].type)
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
    steps = []
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path):
        steps.append(escape(name) if name else index)
        wanted = _type_of(name, wanted) if name else wanted
    if named := _NAMED.match(what):
        steps.append(escape(named["name"]))
        what = "is required" if named["how"].startswith("missing") else "is not a known key"
    return "".join(f"/{step}" for step in steps), worded(what, wanted)


def _type_of(name: str, within: Any) -> Any:
    """The type of that field of an object, wherever in the type `within` the object stands; None if it has no such."""
    if isinstance(within, type) and issubclass(within, msgspec.Struct):
        return next((field.type for field in msgspec.structs.fields(within) if field.encode_name == name), None)
    found = (_type_of(name, part) for part in get_args(within))
    return next((each for each in found if each is not None), None)
