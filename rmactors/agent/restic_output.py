"""What restic says, 0.14 to 0.19: bytes in, items out. Pure; knows nothing of processes or of what it means.

restic's JSON is one object a line, on stdout mostly, errors on stderr, with plain text between. Other commands
that wrap restic print it too. Any cut of the same bytes gives the same items.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

Stream = Literal["stdout", "stderr"]

LONGEST_LINE: Final = 4 << 20
"""Bytes. The longest line worth reading is the JSON of many snapshots; what is beyond is cut off."""
_LINES_OF_A_MESSAGE: Final = 10
_NUMBERS: Final = {
    "files_new": "files_new",
    "files_changed": "files_changed",
    "files_unmodified": "files_unmodified",
    "dirs_new": "dirs_new",
    "dirs_changed": "dirs_changed",
    "dirs_unmodified": "dirs_unmodified",
    "total_files_processed": "files_total",
    "total_bytes_processed": "bytes_total",
    "data_added": "bytes_added",
    "data_added_packed": "bytes_stored",
    "total_duration": "duration_seconds",
    "files_restored": "files_restored",
    "total_files": "files_total",
    "bytes_restored": "bytes_restored",
    "total_bytes": "bytes_total",
    "num_errors": "errors",
}
"""restic's names in summaries, and ours."""


_CONTROL_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
"""Colours and cursor movements of a terminal."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line that is no JSON of restic's: for people."""

    stream: Stream
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: `percent` from 0 to 100."""

    percent: float
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers at the end, under our names; `snapshot_id` among them where one was made."""

    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ItemTrouble:
    """One file or pack that made trouble, and in what (`archival`, `scan`, `restore` …)."""

    message: str
    item: str
    during: str


@dataclass(frozen=True, slots=True)
class ExitError:
    """restic's own last word (0.18 and later). Its first line says it; others may tell more, or be a stack trace."""

    code: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A JSON array or object that is the answer to `snapshots`, `forget` and the like."""

    value: Any


Item = Text | Progress | Summary | ItemTrouble | ExitError | Listing


class OutputParser:
    """One stream of one process. `feed` bytes as they come, `finish` at the end."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._rest = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> list[Item]:
        """The items that these bytes complete."""
        items: list[Item] = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            items.extend(self._line())
            start = end + 1
        self._keep(data[start:])
        return items

    def finish(self) -> list[Item]:
        """What is left when the stream ends without a line end."""
        return self._line() if self._rest else []

    def _keep(self, part: bytes) -> None:
        room = LONGEST_LINE - len(self._rest)
        self._rest += part[:room]

    def _line(self) -> list[Item]:
        raw = bytes(self._rest)
        self._rest.clear()
        text = raw.decode("utf-8", "replace")
        stripped = text.strip()
        if stripped[:1] in ("{", "["):
            item = _json_item(stripped)
            if item is not None:
                return [] if item is _NOTHING else [item]
        # A progress bar overwrites its line with \r: what a person would see is the last state.
        last = _CONTROL_SEQUENCE.sub("", text.rstrip("\r").rpartition("\r")[2])
        shown = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in last).rstrip()
        return [Text(self._stream, shown)] if shown else []


_NOTHING: Final = Text("stdout", "")
"""Read and of no interest."""


def _json_item(line: str) -> Item | None:
    """The line as an item; None where it is no JSON of restic's and so plain text."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return Listing(found)
    if not isinstance(found, dict):
        return None
    match found.get("message_type"):
        case "status":
            return _progress(found)
        case "summary":
            return _summary(found)
        case "error":
            return _trouble(found)
        case "exit_error":
            code = found.get("code")
            lines = str(found.get("message") or "").splitlines()[:_LINES_OF_A_MESSAGE]
            return ExitError(code if isinstance(code, int) else None, "\n".join(map(_text, lines)))
        case "change":
            return Text("stdout", f"{_text(found.get('modifier'))} {_text(found.get('path'))}")
        case "verbose_status" | "initialized" | "statistics" | "version":
            return Listing(found) if found["message_type"] == "statistics" else _NOTHING
        case None:
            return None
        case _:
            return _NOTHING


def _progress(found: dict[str, Any]) -> Progress:
    return Progress(
        percent=min(100.0, max(0.0, 100 * _float(found.get("percent_done")))),
        files_done=_int(found.get("files_done", found.get("files_restored"))),
        files_total=_int(found.get("total_files")),
        bytes_done=_int(found.get("bytes_done", found.get("bytes_restored"))),
        bytes_total=_int(found.get("total_bytes")),
        eta_seconds=_float(found["seconds_remaining"]) if "seconds_remaining" in found else None,
    )


def _summary(found: dict[str, Any]) -> Summary:
    numbers: dict[str, Any] = {}
    for theirs, ours in _NUMBERS.items():
        value = found.get(theirs)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            numbers[ours] = value
    snapshot = found.get("snapshot_id")
    if isinstance(snapshot, str) and snapshot:
        numbers["snapshot_id"] = snapshot[:64]
    if found.get("dry_run") is True:
        numbers["dry_run"] = True
    broken = found.get("broken_packs")
    if isinstance(broken, list):
        numbers["broken_packs"] = len(broken)
    return Summary(numbers)


def _trouble(found: dict[str, Any]) -> ItemTrouble:
    error = found.get("error")
    item = _text(found.get("item"))
    if isinstance(error, dict):
        if error.get("message"):  # 0.17
            message = _text(error["message"])
        else:
            item = item or _text(error.get("Path"))
            cause = error.get("Err")
            number = cause if isinstance(cause, int) else None
            message = f"{_text(error.get('Op')) or 'read'} {item}: {_errno(number) or _text(cause) or 'failed'}"
    else:
        message = _text(error) or _text(found.get("message"))
    return ItemTrouble(message or "unknown error", item, _text(found.get("during")))


def _errno(number: int | None) -> str:
    """Go prints an errno as its number in JSON."""
    known = {1: "operation not permitted", 2: "no such file or directory", 5: "input/output error",
             13: "permission denied", 20: "not a directory", 40: "too many levels of symbolic links"}  # fmt: skip
    return known.get(number, f"error {number}") if number is not None else ""


def _text(value: object) -> str:
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "\ufffd" for c in value.strip()[:4000])
    return "" if value is None else str(value)[:200]


def _int(value: object) -> int:
    """As a number that fits 63 bits: some of restic's do not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0
    return max(0, min(int(value), (1 << 63) - 1))


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) else 0.0
