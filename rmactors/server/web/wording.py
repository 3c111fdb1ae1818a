"""What msgspec says of a value that does not fit, as a person reads it below a field. Pure."""

import re
from typing import Any, Final, Literal, get_args, get_origin

_TYPES: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
}
_LENGTH: Final = re.compile(r"Expected `(?P<type>str|array|object)` of length (?P<how>[<>=]=) (?P<n>\d+)")
_RANGE: Final = re.compile(r"Expected `(?:int|float)` (?P<how>[<>]=?) (?P<n>-?[\d.e+]+)")
_TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_BOUNDS: Final = {">=": "at least", "<=": "at most", "==": "exactly", ">": "more than", "<": "less than"}


def worded(what: str, wanted: Any) -> str:
    """The sentence for one of msgspec's, without its place. `wanted` is the type of the field that it is about."""
    if (found := _LENGTH.fullmatch(what)) is not None:
        if found["how"] == ">=" and found["n"] == "1":
            return "must not be empty"
        things = "characters" if found["type"] == "str" else "entries"
        return f"must have {_BOUNDS[found['how']]} {found['n']} {things}"
    if (found := _RANGE.fullmatch(what)) is not None:
        return f"must be {_BOUNDS[found['how']]} {float(found['n']):.15g}"
    if (found := _TYPE.fullmatch(what)) is not None:
        return f"must be {_types(found['wanted'])}, not {_types(found['got'])}"
    if what.startswith("Invalid enum value") and (choices := _choices(wanted)):
        return f"must be one of {', '.join(choices)}"
    return what.replace("`", "")


def _types(names: str) -> str:
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | "))


def _choices(wanted: Any) -> list[str]:
    """The words that a type allows, wherever in it they stand."""
    if get_origin(wanted) is Literal:
        return [str(word) for word in get_args(wanted)]
    return [word for part in get_args(wanted) for word in _choices(part)]
