"""Writes that remove what is old."""

from dataclasses import dataclass
from typing import Literal

OldKind = Literal[
    "job_logs",
    "jobs",
    "held",
    "told",
    "group_windows",
    "shared_windows",
    "alerts",
    "deliveries",
    "dead_deliveries",
    "notification_log",
    "audit",
    "sessions",
    "enrollment_tokens",
    "silences",
    "tracks",
    "host_notes",
    "good_ends",
    "repository_sizes",
    "repositories",
    "schedules",
    "policies",
    "hosts",
]
"""What goes when it is old; a table, or some of its rows."""


@dataclass(frozen=True, slots=True)
class Prune:
    """Removes those of `keys` that are older than `before` and may go, at most about `most` rows.
    Result: `Pruned`."""

    what: OldKind
    before: int
    keys: tuple[str, ...]
    most: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows went."""

    rows: int
