"""What the rules remember of one (host, kind of alert, subject)."""

import json
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from rmactors.common.vocabulary import AlertKind, Severity
from rmactors.server.messages.alerts import ExpectTrack, SaveTrack
from rmactors.server.messages.writes import Write

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Key:
    """What at most one unresolved alert is about."""

    host_id: str
    kind: AlertKind
    subject: str


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The unresolved alert of a key. `known_partial`: people know of nothing worse than a partial run."""

    id: str
    severity: Severity
    raised_at: int
    acknowledged: bool = False
    known_partial: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """The newest outcome that counted.

    `lost` marks a job that the server gave up: its real end may still come. Then `raised` says whether this loss
    raised the alert, and `before` is the outcome that counted until then, which may be a loss as well.
    `plan` is the one that it was about, as far as it is known; `partial`: some of it was done.
    `cause` is why the failures began, and `cause_at` when; None where that is not known.
    `told_by` is the `too_many_alerts` that tells of it, where its host had too many alerts for one of its own.
    """

    job_id: str
    verdict: Verdict
    at: int
    spool_id: str | None
    seq: int | None
    lost: bool = False
    raised: bool = False
    before: "Head | None" = None
    plan: str | None = None
    partial: bool = False
    cause: str | None = None
    cause_at: int | None = None
    told_by: str | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """What a backup holds, as far as its report says."""

    files: int | None
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Usual:
    """What the last good backups held, newest last, and `doubted`, the newest that looked wrong."""

    sizes: tuple[Size, ...] = ()
    doubted: Size | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a backup looks wrong: `what` it has too few of, and how many it usually has (None: nothing is usual yet)."""

    size: Size
    what: Literal["files", "bytes"]
    usual: int | None


@dataclass(frozen=True, slots=True)
class Track:
    """All that is remembered of one key. `version` counts what was saved; 0: nothing yet.

    `good` is the newest good end, whatever came since, and `last_good_at` when it was. `usual` is what backups hold.
    `quiet`: an operator resolved a condition that still holds, so it raises nothing until it has cleared once.
    """

    alert: OpenAlert | None = None
    head: Head | None = None
    good: Head | None = None
    last_good_at: int | None = None
    quiet: bool = False
    version: int = 0
    usual: Usual | None = None


EMPTY = Track()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is remembered from now on, what to write, and why it was decided so."""

    track: Track
    writes: tuple[Write, ...]
    why: str


def remember(key: Key, track: Track, **changes: object) -> tuple[Track, SaveTrack]:
    """The track with `changes`, one version on, and the write that keeps it."""
    after = replace(track, version=track.version + 1, **changes)  # type: ignore[arg-type]
    saved = SaveTrack(
        key.host_id, key.kind, key.subject, after.version, head_to_json(after.head), head_to_json(after.good),
        after.last_good_at, after.quiet, usual_to_json(after.usual),
    )  # fmt: skip
    return after, saved


def expect(key: Key, track: Track) -> ExpectTrack:
    """For a decision that leaves the track as it is: that it is so on disk as well."""
    return ExpectTrack(key.host_id, key.kind, key.subject, track.version)


def head_to_json(head: Head | None) -> str | None:
    return msgspec.json.encode(head).decode() if head is not None else None


def head_from_json(text: str | None) -> Head | None:
    """A head as it was written."""
    return _head(json.loads(text)) if text else None


def _head(found: dict[str, object]) -> Head:
    before = found.pop("before", None)
    return Head(before=_head(before) if isinstance(before, dict) else None, **found)  # type: ignore[arg-type]


def usual_to_json(usual: Usual | None) -> str | None:
    if usual is None:
        return None
    sizes = [[size.files, size.bytes] for size in usual.sizes]
    doubted = [usual.doubted.files, usual.doubted.bytes] if usual.doubted is not None else None
    return json.dumps({"sizes": sizes, "doubted": doubted})


def usual_from_json(text: str | None) -> Usual | None:
    """What is usual, as it was written."""
    if not text:
        return None
    found = json.loads(text)
    return Usual(tuple(Size(*size) for size in found["sizes"]), Size(*found["doubted"]) if found["doubted"] else None)
