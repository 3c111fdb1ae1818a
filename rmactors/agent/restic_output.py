"""What restic says, 0.14 to 0.19: bytes in, items out. Pure; knows nothing of processes or of what it means.

restic's JSON is one object a line, on stdout mostly, errors on stderr, with plain text between. Other commands
that wrap restic print it too. Any cut of the same bytes gives the same items.
"""

import errno
import json
import math
import os
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from rmactors.common.text import printable

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


MOST_SECONDS: Final = 366 * 86_400
"""No job takes longer: restic 0.18.0 gives a negative duration where it saw no change and saved nothing."""
_TRACE_PLACE: Final = re.compile(r"^\t\S+\.(go|s):\d+( \+0x[0-9a-f]+)?\Z")
_BAR: Final = re.compile(r"^\[(?P<time>[\d:]+)\] +(?P<percent>\d+(?:\.\d+)?)% +\d+ / \d+ \S")
"""`[0:03] 37.50%  3 / 8 packs`: how check and prune show where they are."""
_PRUNED: Final = re.compile(
    r"^(?P<what>to delete|total prune|remaining): +(?P<blobs>\d+) blobs / (?P<size>\d+(?:\.\d+)?) (?P<unit>[KMGT]?i?B)"
)
_UNUSED: Final = re.compile(r"^unused size after prune: (?P<size>\d+(?:\.\d+)?) (?P<unit>[KMGT]?i?B)")
_PRUNE_NUMBERS: Final = {"total prune": "removed", "remaining": "remaining"}
_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_GLUED: Final = re.compile(r"(?<=[\w.)\]])(?=Fatal: )")
"""0.14 forgets a line end: `…: exit status 255Fatal: unable to save snapshot`."""

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
    """The numbers at the end, under our names; `snapshot_id` among them if one was made."""

    numbers: dict[str, Any]
    advice: tuple[str, ...] = ()
    """Commands that restic suggests: `restic repair index`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers out of plain text, under our names: what prune removed and what remains."""

    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ItemTrouble:
    """One file or pack that made trouble, and in what (`archival`, `scan`, `restore` …)."""

    message: str
    item: str
    during: str


@dataclass(frozen=True, slots=True)
class ExitError:
    """restic's own last word (0.17 and later). Its first line says it, others may tell more; without a stack trace."""

    code: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A JSON array or object that is the answer to `snapshots`, `forget` and the like."""

    value: Any


Item = Text | Progress | Summary | Counts | ItemTrouble | ExitError | Listing


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
            items = _json_items(stripped)
            if items is not None:
                return items
        # A progress bar overwrites its line with \r: what a person would see is the last state.
        last = _CONTROL_SEQUENCE.sub("", text.rstrip("\r").rpartition("\r")[2])
        shown = printable(last, also="\t").rstrip()
        return _plain_items(self._stream, shown) if shown else []


def is_trace_place(text: str) -> bool:
    """Whether a line says where in restic's source something happened, as stack traces do below each function."""
    return _TRACE_PLACE.match(text) is not None


def _plain_items(stream: Stream, text: str) -> list[Item]:
    if bar := _BAR.match(text):
        percent = float(bar["percent"])
        progress = Progress(min(100.0, percent), 0, 0, 0, 0, None)  # it counts packs or snapshots, not files
        return [progress, Text(stream, text)] if percent >= 100 else [progress]
    if (pruned := _PRUNED.match(text)) and (name := _PRUNE_NUMBERS.get(pruned["what"])):
        counts = {f"blobs_{name}": _int(int(pruned["blobs"])), f"bytes_{name}": _size(pruned)}
        return [Counts(counts), Text(stream, text)]
    if unused := _UNUSED.match(text):
        return [Counts({"bytes_unused": _size(unused)}), Text(stream, text)]
    return [Text(stream, part) for part in _GLUED.split(text)]


def _size(found: re.Match[str]) -> int:
    """Bytes of `488.333 KiB`, as restic rounds them."""
    return round(float(found["size"]) * _UNITS.get(found["unit"], 1))


def _json_items(line: str) -> list[Item] | None:
    """What the line says; None if it is no JSON of restic's and so plain text."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return [Listing(found)]
    if not isinstance(found, dict):
        return None
    match found.get("message_type"):
        case "status":
            return [_progress(found)]
        case "summary":
            return [_summary(found)]
        case "error" if found.get("error") is None:
            # check wraps all of stderr so, advice and retries that went well too: lines like any other
            lines = str(found.get("message") or "").splitlines()
            return [Text("stderr", line) for line in map(_text, lines) if line]
        case "error":
            return [_trouble(found)]
        case "exit_error":
            code = found.get("code")
            lines = _without_trace(str(found.get("message") or "").splitlines())[:_LINES_OF_A_MESSAGE]
            return [ExitError(code if isinstance(code, int) else None, "\n".join(map(_text, lines)))]
        case "change":
            return [Text("stdout", f"{_text(found.get('modifier'))} {_text(found.get('path'))}")]
        case "initialized":
            return [Text("stdout", f"created the repository {_text(found.get('id'))[:10]}")]
        case "statistics":
            return [Listing(found)]
        case None:
            return None
        case _:
            return []


def _without_trace(lines: list[str]) -> list[str]:
    """The lines before the first that names a function whose place the next one names."""
    for number, line in enumerate(lines):
        if is_trace_place(line):
            return lines[: max(number - 1, 0)]
    return lines


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
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
            numbers[ours] = value
    if numbers.get("duration_seconds", 0) > MOST_SECONDS:
        del numbers["duration_seconds"]
    snapshot = found.get("snapshot_id")
    if found.get("dry_run") is True:  # the snapshot that it names is not there
        numbers["dry_run"] = True
    elif isinstance(snapshot, str) and snapshot:
        numbers["snapshot_id"] = snapshot[:64]
    broken = found.get("broken_packs")
    if isinstance(broken, list):
        numbers["broken_packs"] = len(broken)
    asked = (("suggest_repair_index", "restic repair index"), ("suggest_prune", "restic prune"))
    return Summary(numbers, tuple(command for name, command in asked if found.get(name) is True))


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
        message = _text(error)
    return ItemTrouble(message or "unknown error", item, _text(found.get("during")))


def _errno(number: int | None) -> str:
    """Go prints an errno as its number in JSON."""
    if number is None:
        return ""
    return os.strerror(number).lower() if number in errno.errorcode else f"error {number}"


def _text(value: object) -> str:
    if isinstance(value, str):
        return printable(value.strip()[:4000])
    return "" if value is None else str(value)[:200]


def _int(value: object) -> int:
    """As a number that fits 63 bits: some of restic's do not."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -math.inf < value < math.inf:
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
