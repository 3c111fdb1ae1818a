"""What a job's statistics say, whichever restic wrote them. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rmactors.common import job_stats
from rmactors.server.web.views import times
from rmactors.server.web.views.measures import number, size, within
from rmactors.server.web.views.rows import Timed
from rmactors.server.web.views.texts import _, later, many

LABELS: Final[Mapping[str, str]] = {
    # What the agent sends.
    "files_new": later("New files"),
    "files_changed": later("Changed files"),
    "files_unmodified": later("Unchanged files"),
    "files_total": later("Files in total"),
    "files_unread": later("Files that could not be read"),
    "files_restored": later("Files restored"),
    "files_incomplete": later("Files there that are not complete"),
    "files_left": later("Files left, perhaps incomplete"),
    "folders_restored": later("Folders restored"),
    "dirs_new": later("New folders"),
    "dirs_changed": later("Changed folders"),
    "dirs_unmodified": later("Unchanged folders"),
    "files_tested": later("Files tested"),
    "bytes_tested": later("Tested"),
    "compared_with_source": later("Compared with the source"),
    "source_changed": later("Source changed since"),
    "source_unreadable": later("Source could not be read"),
    "files_listed": later("Files in the snapshot"),
    "files_left_out": later("Left out, names not valid UTF-8"),
    "files_too_large": later("Left out, larger than a test may restore"),
    "files_failed": later("Files that failed"),
    "snapshot_time": later("Snapshot made"),
    "bytes_total": later("Size"),
    "bytes_added": later("Added to the repository"),
    "bytes_stored": later("Added, compressed"),
    "bytes_restored": later("Restored"),
    "bytes_left": later("Left, perhaps incomplete"),
    "bytes_removed": later("Freed"),
    "bytes_freed": later("Freed"),
    "bytes_remaining": later("Repository size after"),
    "bytes_unused": later("Unused after"),
    "blobs_removed": later("Blobs removed"),
    "blobs_remaining": later("Blobs after"),
    "snapshot_id": later("Snapshot"),
    "snapshots_count": later("Snapshots"),
    "snapshots_kept": later("Snapshots kept"),
    "snapshots_removed": later("Snapshots removed"),
    "snapshots_adopted": later("Older snapshots adopted"),
    "locks_removed": later("Locks removed"),
    "locks_left": later("Locks left"),
    "broken_packs": later("Broken packs"),
    "errors": later("Errors"),
    "changed_files": later("Changed files"),
    "added": later("Added"),
    "removed": later("Removed"),
    "restored_into": later("Restored into"),
    "dry_run": later("Dry run"),
    "repository": later("Repository"),
    "pruned": later("Pruned"),
    "systemd_unit": later("systemd unit"),
    "systemd_timer": later("systemd timer"),
    "duration_seconds": later("Running time"),
    # What an agent of before, or a command that is wrapped, sends in restic's own names.
    "total_files_processed": later("Files in total"),
    "total_bytes_processed": later("Size"),
    "total_files": later("Files in total"),
    "total_bytes": later("Size"),
    "total_duration": later("Running time"),
    "data_added": later("Added to the repository"),
    "data_added_packed": later("Added, compressed"),
    "num_errors": later("Errors"),
    "files": later("Files"),
    "dirs": later("Folders"),
    "others": later("Other entries"),
    "data_blobs": later("Blobs of data"),
    "tree_blobs": later("Blobs of folders"),
    "bytes": later("Size"),
}
_ELSEWHERE: Final = frozenset({"warning", "unknown_schedule", "snapshots"})
"""Has a place of its own on a job's page."""
_LONGEST: Final = 10.0 * 365 * 86_400
"""Seconds. restic 0.18 says -9223372036.85 where it skipped a backup."""


@lru_cache(maxsize=4096)
def read(stats: str) -> Mapping[str, Any]:
    """The agent's object as it would be taken now, whenever it was stored; empty where it is none."""
    return job_stats.fit(stats).values


def summary(job: Timed) -> str:
    """`18.2 GB · 3 new files · 41 s`: as much as is known."""
    parts = [amounts(job)] if amounts(job) else []
    if job.started_at is not None and job.finished_at is not None:
        parts.append(times.duration((job.finished_at - job.started_at) / 1_000_000))
    return " · ".join(parts)


def amounts(job: Timed) -> str:
    """`18.2 GB · 3 new files`: how much there was, and how much of it was new, or was restored or tested."""
    return _amounts(job.stats)


@lru_cache(maxsize=4096)
def _amounts(text: str) -> str:
    stats = read(text)
    parts = []
    if (tested := amount(stats, "files_tested")) is not None:
        parts.append(many("%(n)s file tested", "%(n)s files tested", int(tested)))
        if (bytes_tested := amount(stats, "bytes_tested")) is not None:
            parts.append(size(bytes_tested))
    if (restored := amount(stats, "files_restored")) is not None:
        parts.append(many("%(n)s file restored", "%(n)s files restored", int(restored)))
        if (bytes_restored := amount(stats, "bytes_restored")) is not None:
            parts.append(size(bytes_restored))
    if (total := amount(stats, "total_bytes_processed", "bytes_total", "total_bytes")) is not None:
        parts.append(size(total))
    if (new := amount(stats, "files_new")) is not None:
        parts.append(many("%(n)s new file", "%(n)s new files", int(new)))
    return " · ".join(parts)


def held(stats: str) -> float | None:
    """How many bytes a backup covered; None where it does not say."""
    return amount(read(stats), "total_bytes_processed", "bytes_total", "total_bytes")


def facts(stats: str) -> list[tuple[str, str]]:
    """(name, value) of all that is a number or a short text, in words. Lists have a place of their own."""
    found = []
    for name, value in read(stats).items():
        if name in _ELSEWHERE or name.startswith("message"):
            continue
        side, _between, part = name.partition("_")
        if side in job_stats.SIDES and part:  # of restic's diff
            found.append((f"{label(side)}: {label(part).lower()}", _value(part, value)))
        else:
            found.append((label(name), _value(name, value)))
    return [(name, text) for name, text in found if text]


def label(name: str) -> str:
    """What a number is called: the agent's names, those of restic's own summaries, and any other made readable."""
    known = LABELS.get(name)
    return _(known) if known is not None else " ".join(name.replace("_", " ").split()).capitalize()


def _value(name: str, value: Any) -> str:
    """In its unit, which its name tells."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return value[:200]
    if not isinstance(value, int | float):
        return ""
    if "duration" in name or name.endswith("seconds"):
        return times.duration(value) if 0 <= value < _LONGEST else ""
    if value >= 0 and ("bytes" in name or name.startswith("data_") or name.endswith("size")):
        return size(value)
    return number(value)


def amount(stats: Mapping[str, Any], *names: str) -> float | None:
    """The first of these that is a number, and none below 0."""
    for name in names:
        value = within(stats.get(name))
        if value is not None and value >= 0:
            return float(value)
    return None
