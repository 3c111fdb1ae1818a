"""The log: one line an event on stderr, as text or as JSON, with ids as fields of their own.

    _log.info("the agent is connected", extra=fields("agent.connected", host_id=…))

An event has a name (`alert.raised`) and fields; anyone who only has a sentence logs that. Other people's loggers say
nothing below a warning, whatever the level: some of them would log addresses that are secrets.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from rmactors.common.text import one_line

LogFormat = Literal["text", "json"]
FORMATS: Final[tuple[str, ...]] = get_args(LogFormat)
Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
_PLAIN: Final = re.compile(r"[\w.:/@+-]+")
_encode: Final = msgspec.json.Encoder(enc_hook=str).encode
_NUMBERS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Told = tuple[Level, str, Mapping[str, object]]
"""An event that is on disk: level, name, fields."""


def set_up(level: str, how: str) -> None:
    """Send this process's log to stderr. `level` is one of LEVELS, `how` one of FORMATS."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # nothing of it is shown
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(_json if how == "json" else _text))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("rmactors").setLevel(_NUMBERS[level])
    logging.getLogger("trio-websocket").setLevel(logging.ERROR)


def for_people() -> None:
    """For a command that somebody typed: warnings on stderr, each one plain line. Words of a server may be in them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ForPeople())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("trio-websocket").setLevel(logging.ERROR)


class _ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"rmactors: {one_line(record.getMessage())}"


def fields(event: str, **values: object) -> dict[str, Any]:
    """The `extra` of a log call. What is None or empty is left out."""
    return {"event": event, "fields": values}


def tell(log: logging.Logger, told: Iterable[Told]) -> None:
    """Log what was committed. The sentence is the event's name: its fields say the rest.

    All of a transaction goes out in one write: under load, a call for each would cost as much as judging a report.
    """
    wanted = [event for event in told if log.isEnabledFor(_NUMBERS[event[0]])]
    if wanted:
        log.log(max(_NUMBERS[level] for level, _, _ in wanted), "committed", extra={"told": wanted})


class _Line(NamedTuple):
    at: str
    level: str
    logger: str
    event: str | None
    message: str
    values: Mapping[str, object]
    traceback: str = ""


class _Lines(logging.Formatter):
    """A line for the record, or one for each event that it brings."""

    def __init__(self, render: Callable[[_Line], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told: Sequence[Told] | None = getattr(record, "told", None)
        if told is not None:
            return "\n".join(self._render(_Line(at, level, record.name, event, event, of)) for level, event, of in told)
        event, values = getattr(record, "event", None), getattr(record, "fields", {})
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        level = record.levelname.lower()
        return self._render(_Line(at, level, record.name, event, record.getMessage(), values, traceback))


def _json(line: _Line) -> str:
    """`at`, `level`, `logger`, `event`, `message`, then the event's fields; `traceback` where there is one."""
    whole: dict[str, object] = {
        "at": line.at, "level": line.level, "logger": line.logger, "event": line.event, "message": line.message,
    }  # fmt: skip
    for name, value in line.values.items():
        whole.setdefault(name, value)
    whole["traceback"] = line.traceback
    found = {name: value for name, value in whole.items() if value not in (None, "")}
    try:
        text = _encode(found).decode()
    except UnicodeEncodeError:  # half a character, as names of files have
        return json.dumps(found, default=str)
    # JSON allows what a terminal obeys, and what turns the direction of reading: somebody will look at the file.
    return text if text.isprintable() else _escaped(text)


def _text(line: _Line) -> str:
    """For people. Whatever came from outside stays on its line; a traceback follows on lines of its own."""
    told = "".join(
        [
            f" {name}={value if type(value) is str and value.isalnum() else _word(value)}"  # most are ids and words
            for name, value in line.values.items()
            if value is not None and value != ""
        ]
    )
    text = f"{line.at} {line.level.upper()} {line.logger}: {_one_line(line.message)}{told}"
    return "\n".join([text, *map(_one_line, line.traceback.split("\n"))]) if line.traceback else text


def _word(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=not text.isprintable())


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _escaped(text: str) -> str:
    """JSON as before, with `\\u…` for what is not printable: only texts of it can hold such characters."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
