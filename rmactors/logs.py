"""The log: one line an event on stderr, as text or as JSON, with ids as fields of their own.

    _log.info("the agent is connected", extra=fields("agent.connected", host_id=…))

An event has a name (`alert.raised`) and fields; whoever only has a sentence logs that. Other people's loggers say
nothing below a warning, whatever the level: some of them would log addresses that are secrets.
"""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

LogFormat = Literal["text", "json"]
FORMATS: Final[tuple[str, ...]] = get_args(LogFormat)
Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[str, ...]] = get_args(Level)
_NUMBERS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Told = tuple[Level, str, Mapping[str, object]]
"""An event that is on disk: level, name, fields."""


def set_up(level: str, how: str) -> None:
    """Send this process's log to stderr. `level` is one of LEVELS, `how` one of FORMATS."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # nothing of it is shown
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if how == "json" else _Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("rmactors").setLevel(_NUMBERS[level])
    logging.getLogger("trio-websocket").setLevel(logging.ERROR)


def fields(event: str, **values: object) -> dict[str, Any]:
    """The `extra` of a log call. What is None or empty is left out."""
    return {"event": event, "fields": {name: value for name, value in values.items() if value not in (None, "")}}


def tell(log: logging.Logger, told: Iterable[Told]) -> None:
    """Log what was committed. The sentence is the event's name: its fields say the rest."""
    for level, event, values in told:
        number = _NUMBERS[level]
        if log.isEnabledFor(number):
            log.log(number, event, extra=fields(event, **values))


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Json(logging.Formatter):
    """`at`, `level`, `logger`, `event`, `message`, then the event's fields; `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"at": _when(record), "level": record.levelname.lower(), "logger": record.name}
        event = getattr(record, "event", None)
        if event is not None:
            line["event"] = event
        line["message"] = record.getMessage()
        for name, value in getattr(record, "fields", {}).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class _Text(logging.Formatter):
    """For people. Whatever came from outside stays on its line; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        told = " ".join(f"{name}={_word(value)}" for name, value in getattr(record, "fields", {}).items())
        text = _one_line(record.getMessage())
        line = f"{_when(record)} {record.levelname} {record.name}: {text}{' ' if told else ''}{told}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _word(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(character in text for character in ' "=\\')
    return text if plain else json.dumps(text, ensure_ascii=False)


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
