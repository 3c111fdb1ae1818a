"""A webhook's own body: a Jinja2 template, in a sandbox, whose work is counted. Pure.

`template_language` says what it may use. What is made while rendering is paid for out of a `Budget`: characters, and
the rounds of loops. So a body takes a tenth of a second at most, and mostly a fraction of a millisecond.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import quote

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, Undefined, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rmactors.server.channels.webhook.template_language import NotAllowed, check, counted

MAX_SOURCE: Final = 16 * 1024
MAX_OUTPUT: Final = 256 * 1024
"""Characters of the body, and of each text on the way to it."""
_WORK: Final = 4_000_000
"""Characters in all. A step is the same work as some of them."""
_STEP: Final = 40
_BUDGET: Final = "the budget"  # no template can name it


class TemplateFault(ValueError):
    """The template, or what it makes of this notification, is no body. Its words are a sentence with the line."""


class TooMuch(Exception):
    """Rendering would take too long or make too much."""


@dataclass(slots=True)
class Budget:
    """What is left of the work that one rendering may be."""

    left: int = _WORK

    def pay(self, characters: int) -> None:
        self.left -= characters + _STEP
        if self.left < 0:
            raise TooMuch("this is too much work: loop over less, or make less of it")


class BodyTemplate:
    """A template that may be used."""

    def __init__(self, source: str, variables: frozenset[str]) -> None:
        """Raises TemplateFault."""
        if len(source) > MAX_SOURCE:
            raise TemplateFault(f"The template is too long: at most {MAX_SOURCE} characters.")
        try:
            tree = _ENVIRONMENT.parse(source)
            check(tree, variables)
            self._template: Template = _ENVIRONMENT.from_string(counted(tree))
        except TemplateSyntaxError as error:
            raise TemplateFault(f"Line {error.lineno}: {_sentence(error.message or 'this is no template')}") from None
        except NotAllowed as error:
            raise TemplateFault(str(error)) from None
        except (RecursionError, MemoryError, SyntaxError):
            raise TemplateFault("The template is nested too deeply.") from None
        except ValueError:  # of Python, which reads at most 4,300 digits
            raise TemplateFault("A number in the template has too many digits.") from None

    def render(self, values: Mapping[str, Any]) -> str:
        """The body. Raises TemplateFault."""
        pieces: list[str] = []
        size = 0
        try:
            for piece in self._template.generate({**values, _BUDGET: Budget()}):
                size += len(piece)
                if size > MAX_OUTPUT:
                    raise TemplateFault(f"The body is too long: at most {MAX_OUTPUT} characters.")
                pieces.append(piece)
        except (TemplateError, TooMuch, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            if isinstance(error, TemplateFault):
                raise
            raise TemplateFault(f"Line {_line(error)}: {_sentence(str(error))}") from None
        return "".join(pieces)


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."


def _line(error: BaseException) -> int:
    """The line of the template, as Jinja2 puts it into the traceback."""
    line, step = 1, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "<template>":
            line = step.tb_lineno
        step = step.tb_next
    return line


# ---- what a template can call


def _text(value: object) -> str:
    """What may be written as it is. Lists and the like are refused: Python's way to write one is nobody's JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, (str, int, float, Undefined)):
        return str(value)  # a name that is missing says so itself
    raise TypeError("this is no text: write it with the filter tojson, or loop over it")


def _pay(context: Context, characters: int) -> None:
    """For a text of that length, before it is made where that may be known."""
    if characters > MAX_OUTPUT:
        raise TooMuch(f"this is too long: at most {MAX_OUTPUT} characters")
    context.parent[_BUDGET].pay(characters)


def _of_text(work: Callable[..., str]) -> Callable[..., str]:
    """A filter from text to text that pays for what it makes. Its arguments are texts and numbers."""

    @pass_context
    def paid(context: Context, value: object, *arguments: object) -> str:
        text = _text(value)
        _pay(context, len(text))
        made = work(text, *arguments)
        _pay(context, len(made))
        return made

    return paid


def _replace(text: str, old: object, new: object) -> str:
    before, after = _text(old), _text(new)
    if not before:
        raise ValueError("replace needs something to look for")
    if len(text) + text.count(before) * (len(after) - len(before)) > MAX_OUTPUT:
        raise TooMuch(f"this is too long: at most {MAX_OUTPUT} characters")
    return text.replace(before, after)


def _truncate(text: str, most: object = 255) -> str:
    room = _number(most)
    return text if len(text) <= room else text[: max(0, room - 1)] + "…"


def _indent(text: str, by: object = 4) -> str:
    margin = " " * min(_number(by), 40)
    return text.replace("\n", "\n" + margin) if text.count("\n") * len(margin) + len(text) <= MAX_OUTPUT else text


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError("this must be a number")
    return value


@pass_context
def _tojson(context: Context, value: object) -> str:
    """JSON in one line. It is made in pieces, each paid for: a list of lists may be larger than it looks."""
    pieces = []
    size = 0
    for piece in _ENCODER.iterencode(value):
        size += len(piece)
        _pay(context, len(piece))
        pieces.append(piece)
    _pay(context, size)
    return "".join(pieces)


def _no_json(value: object) -> str:
    if isinstance(value, Undefined):
        return str(value)
    raise TypeError("this cannot be written as JSON")


@pass_context
def _joined(context: Context, values: list[object]) -> str:
    texts = [_text(value) for value in values]
    _pay(context, sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _rounds(context: Context, values: object, cost: int) -> object:
    """What a loop is over. It pays for all rounds at once."""
    if not isinstance(values, (list, tuple)):
        _text(values)  # a name that is missing says so itself
        raise TypeError("only a list can be looped over, such as group")
    context.parent[_BUDGET].pay(len(values) * cost * _STEP)
    return values


def _default(value: object, instead: object = "", blank_too: object = False) -> object:
    return instead if isinstance(value, Undefined) or value is None or (blank_too and not value) else value


def _length(value: object) -> int:
    if not isinstance(value, (str, list, tuple, dict)):
        raise TypeError("this has no length")
    return len(value)


@pass_context
def _written(_: Context, value: object) -> str:
    return _text(value)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, default=_no_json)


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=_written, optimized=False, keep_trailing_newline=True, cache_size=0,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals, made.tests = {}, {name: made.tests[name] for name in ("defined", "none", "undefined")}
    made.filters = {
        "capitalize": _of_text(str.capitalize), "lower": _of_text(str.lower), "upper": _of_text(str.upper),
        "trim": _of_text(str.strip), "replace": _of_text(_replace), "truncate": _of_text(_truncate),
        "indent": _of_text(_indent), "escape": _of_text(escape),
        "urlencode": _of_text(lambda text: quote(text, safe="")), "tojson": _tojson, "default": _default,
        "length": _length, "_joined": _joined, "_rounds": _rounds,
    }  # fmt: skip
    return made


_ENVIRONMENT: Final = _environment()
