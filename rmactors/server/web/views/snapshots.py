"""The snapshots that a job of kind `snapshots` found, as a table. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rmactors.common import clock
from rmactors.server.web.views import stats
from rmactors.server.web.views.measures import size
from rmactors.server.web.views.texts import many
from rmactors.server.web.views.times import Moment, Time


@dataclass(frozen=True, slots=True)
class SnapshotLine:
    """`when` is None where restic's time cannot be read; `size` is empty where restic does not say it (before 0.17)."""

    id: str
    when: Time | None
    host: str
    plan: str
    paths: tuple[str, ...]
    size: str


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Newest first. `older` says how many are not shown, or is empty."""

    lines: tuple[SnapshotLine, ...]
    older: str
    has_sizes: bool


def snapshots(text: str, moment: Moment) -> Snapshots | None:
    """None where the job's statistics (JSON as text) hold no list of snapshots."""
    found = stats.read(text)
    entries = found.get("snapshots")
    if not isinstance(entries, list):
        return None
    lines = tuple(_line(entry, moment) for entry in reversed(entries) if isinstance(entry, dict))
    count = found.get("snapshots_count")
    more = count - len(lines) if isinstance(count, int) and not isinstance(count, bool) else 0
    older = many("%(n)s older snapshot is not shown", "%(n)s older snapshots are not shown", more) if more > 0 else ""
    return Snapshots(lines, older, any(line.size for line in lines))


def _line(entry: Mapping[str, Any], moment: Moment) -> SnapshotLine:
    paths = entry.get("paths")
    bytes_ = stats.amount(entry, "size", "bytes", "total_bytes_processed")
    return SnapshotLine(
        id=_text(entry.get("id")),
        when=_when(entry.get("time"), moment),
        host=_text(entry.get("host")),
        plan=_text(entry.get("plan")),
        paths=tuple(_text(path) for path in paths) if isinstance(paths, list) else (),
        size=size(bytes_) if bytes_ is not None else "",
    )


def _when(value: object, moment: Moment) -> Time | None:
    try:
        return moment.ago(clock.from_datetime(datetime.fromisoformat(str(value))))
    except (ValueError, OverflowError, TypeError):
        return None


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
