"""What a job's statistics say, whichever restic wrote them. Pure."""

import json
from functools import lru_cache
from typing import Any, Final

from rmactors.web.views import times
from rmactors.web.views.measures import number, size
from rmactors.web.views.rows import Timed
from rmactors.web.views.texts import _, many

_SHOWN_AS_WARNING: Final = {"warning", "unknown_schedule"}


def read(stats: str) -> dict[str, Any]:
    """The agent's object; empty where it is none."""
    try:
        found = json.loads(stats)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def summary(job: Timed) -> str:
    """`18.2 GB · 3 new files · 41 s`: as much as is known."""
    parts = [amounts(job)] if amounts(job) else []
    if job.started_at is not None and job.finished_at is not None:
        parts.append(times.duration((job.finished_at - job.started_at) / 1_000_000))
    return " · ".join(parts)


def amounts(job: Timed) -> str:
    """`18.2 GB · 3 new files`: how much there was, and how much of it was new."""
    return _amounts(job.stats)


@lru_cache(maxsize=4096)
def _amounts(text: str) -> str:
    stats = read(text)
    parts = []
    if (total := amount(stats, "total_bytes_processed", "bytes_total", "total_bytes")) is not None:
        parts.append(size(total))
    if (new := amount(stats, "files_new")) is not None:
        parts.append(many("%(n)s new file", "%(n)s new files", int(new)))
    return " · ".join(parts)


def held(stats: str) -> float | None:
    """How many bytes a backup covered; None where it does not say."""
    return amount(read(stats), "total_bytes_processed", "bytes_total", "total_bytes")


def facts(stats: str) -> list[tuple[str, str]]:
    """(name, value) of every number and short text, in words."""
    known = {
        "files_new": _("New files"),
        "files_changed": _("Changed files"),
        "files_unmodified": _("Unchanged files"),
        "total_files_processed": _("Files in all"),
        "dirs_new": _("New directories"),
        "dirs_changed": _("Changed directories"),
        "dirs_unmodified": _("Unchanged directories"),
        "data_added": _("Added to the repository"),
        "data_added_packed": _("Added, compressed"),
        "total_bytes_processed": _("Size"),
        "snapshot_id": _("Snapshot"),
        "systemd_unit": _("systemd unit"),
        "systemd_timer": _("systemd timer"),
        "total_duration": _("Restic's own time"),
    }
    found = []
    for name, value in read(stats).items():
        if isinstance(value, bool) or not isinstance(value, int | float | str) or name.startswith("message"):
            continue
        if name in _SHOWN_AS_WARNING:
            continue
        label = known.get(name, name.replace("_", " ").capitalize())
        if isinstance(value, str):
            text = value[:200]
        elif "duration" in name or name.endswith("seconds"):
            text = times.duration(float(value))
        elif "bytes" in name or name.startswith("data_") or name.endswith("size"):
            text = size(value)
        else:
            text = number(value)
        found.append((label, text))
    return found


def amount(stats: dict[str, Any], *names: str) -> float | None:
    """The first of these that is a number; restic's can exceed 64 bits."""
    for name in names:
        value = stats.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
            return float(value)
    return None
