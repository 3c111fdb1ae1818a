"""Which channels take which notification, what a silence holds back, and what alerts of several hosts share. Pure."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common import cron
from rmactors.common.clock import MINUTE
from rmactors.common.text import excerpt
from rmactors.common.vocabulary import SEVERITIES, Severity


@dataclass(frozen=True, slots=True)
class Filter:
    """What a channel wants to hear of. Empty `host_tags`: of every host; else any tag matches. What is about no host
    has no tags to go by, and so is for all."""

    min_severity: Severity
    events: frozenset[str]
    host_tags: frozenset[str]

    def takes(self, event: str, severity: Severity, host_tags: Sequence[str] | None) -> bool:
        """`host_tags`: of the host that it is about; None: it is about no host."""
        return (
            event in self.events
            and SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
            and (not self.host_tags or host_tags is None or not self.host_tags.isdisjoint(host_tags))
        )


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A maintenance window that comes back: open for `minutes` from each time the expression fires."""

    cron: str
    timezone: str
    minutes: float

    @staticmethod
    def from_json(text: str) -> "Recurrence":
        found = json.loads(text)
        return Recurrence(found["cron"], found["timezone"], found["duration_minutes"])

    def open_at(self, at: int) -> bool:
        return (
            cron.previous_fire(self.cron, self.timezone, at, not_before=at - round(self.minutes * MINUTE) + 1)
            is not None
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """Holds back notifications about what it selects; no selector selects everything. Times in microseconds."""

    id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: int
    ends_at: int | None
    recurrence: Recurrence | None
    reason: str

    def holds(self, at: int, host_id: str, kind: str, host_tags: Sequence[str] | None) -> bool:
        """Whether a notification at `at` about this alert is to be held back."""
        return (
            self.starts_at <= at
            and (self.ends_at is None or at < self.ends_at)
            and self.host_id in (None, host_id)
            and self.kind in (None, kind)
            and (self.tag is None or self.tag in (host_tags or ()))
            and (self.recurrence is None or self.recurrence.open_at(at))
        )


_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"https": "443", "http": "80", "sftp": "22", "": ""}
_NAMED: Final = re.compile(r"([\w.+@ -]{1,200})[:,]")
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]")


def repository_server(location: str) -> str | None:
    """What several hosts share whose repositories are on one server, for it is mostly the server that fails: backend,
    address and port of a repository at restic's `location`, or its bucket where the provider has no address; of a
    folder its path. Never who signs in, with what, or a folder there. None if it cannot be told.
    """
    backend, _, rest = location.strip().partition(":")
    match backend:
        case "rest" | "s3":
            scheme, found, after = rest.rpartition("://") if "://" in rest else ("", "", rest)
            server = _server(scheme.lower(), after)
            return f"{backend}:{scheme.lower()}{found}{server}" if server else None
        case "sftp":
            # sftp://user@host:port//path or sftp:user@host:path
            server = _server("sftp", rest[2:] if rest.startswith("//") else re.sub(r":(?!.*\]).*", "/", rest, count=1))
            return f"sftp:{server}" if server else None
        case "b2" | "azure" | "gs" | "swift" | "rclone":
            named = _NAMED.match(rest)
            return f"{backend}:{named[1]}" if named else None
        case "local":
            return _folder(rest)
        case _:
            is_path = ":" not in location or location.startswith("/") or _WINDOWS.match(location)
            return _folder(location) if is_path else None


def _server(scheme: str, after: str) -> str | None:
    """Address and port at the beginning of what stands behind a scheme; none where a name may be a part of a password
    with a slash in it."""
    authority, _, path = after.partition("/")
    found = _AUTHORITY.fullmatch(authority.rpartition("@")[2].lower())
    if found is None or "@" in path:
        return None
    address, port = found[1].rstrip("."), found[2]
    return f"{address}:{port}" if port and port != _DEFAULT_PORTS.get(scheme) else address


def _folder(path: str) -> str | None:
    text = path.strip()
    return excerpt(text.rstrip("/\\") or text, 200) or None
