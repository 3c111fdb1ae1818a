"""What the rules remember of one (host, kind of alert, subject)."""

import json
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rmactors.common.vocabulary import AlertKind, Severity
from rmactors.server.messages.alerts import ExpectAlertState, SaveAlertState
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.writes import Write

Verdict = Literal["good", "bad"]


class AlertKey(Struct, frozen=True):
    """What at most one unresolved alert is about."""

    host_id: str
    kind: AlertKind
    subject: str


class OpenAlert(Struct, frozen=True):
    """The unresolved alert of a key. `known_partial`: people know of nothing worse than a partial run."""

    id: str
    severity: Severity
    raised_at: int
    acknowledged: bool = False
    known_partial: bool = False


class LastOutcome(Struct, frozen=True):
    """The newest outcome that counted.

    `lost` marks a job that the server gave up: its real end may still come. Then `raised` says whether this loss
    raised the alert, and `before` is the outcome that counted until then, which may be a loss as well.
    `plan` is the one that it was about, as far as it is known; `partial`: some of it was done.
    `cause` is why the failures began, and `cause_at` when; None if that is not known.
    `told_by` is the `too_many_alerts` that stands for it, if its host had too many alerts for one of its own.
    """

    job_id: str
    verdict: Verdict
    at: int
    spool_id: str | None
    seq: int | None
    lost: bool = False
    raised: bool = False
    before: "LastOutcome | None" = None
    plan: str | None = None
    partial: bool = False
    cause: str | None = None
    cause_at: int | None = None
    told_by: str | None = None


class Size(Struct, frozen=True):
    """What a backup holds, as far as its report says."""

    files: int | None
    bytes: int | None


class Usual(Struct, frozen=True):
    """What the last good backups held, newest last, and `doubted`, the newest that looked wrong."""

    sizes: tuple[Size, ...] = ()
    doubted: Size | None = None


class Doubt(Struct, frozen=True):
    """Why a backup looks wrong: `what` it has too few of, and what it usually holds (None: nothing is usual yet)."""

    size: Size
    what: Literal["files", "bytes"]
    usual: Size


class AlertState(Struct, frozen=True):
    """All that is remembered of one key. `version` counts what was saved; 0: nothing yet.

    `good` is the newest good end, whatever came since, and `last_good_at` when it was. `usual` is what backups hold.
    `suppressed_until_clear`: an operator resolved a condition that still holds, so it raises nothing until it has
    cleared once.
    """

    alert: OpenAlert | None = None
    last: LastOutcome | None = None
    good: LastOutcome | None = None
    last_good_at: int | None = None
    suppressed_until_clear: bool = False
    version: int = 0
    usual: Usual | None = None


EMPTY = AlertState()


class AlertDecision(Struct, frozen=True):
    """What is remembered from now on, what to write, and why it was decided so."""

    state: AlertState
    writes: tuple[Write, ...]
    reason: Reason


def remember(key: AlertKey, state: AlertState, **changes: object) -> tuple[AlertState, SaveAlertState]:
    """The state with `changes`, one version on, and the write that keeps it."""
    after = replace(state, version=state.version + 1, **changes)
    saved = SaveAlertState(
        key.host_id, key.kind, key.subject, after.version, outcome_to_json(after.last), outcome_to_json(after.good),
        after.last_good_at, after.suppressed_until_clear, usual_to_json(after.usual),
    )  # fmt: skip
    return after, saved


def expect(key: AlertKey, state: AlertState) -> ExpectAlertState:
    """For a decision that leaves the state as it is: that it is so on disk as well."""
    return ExpectAlertState(key.host_id, key.kind, key.subject, state.version)


def outcome_to_json(last: LastOutcome | None) -> str | None:
    return msgspec.json.encode(last).decode() if last is not None else None


def outcome_from_json(text: str | None) -> LastOutcome | None:
    """An outcome as it was written."""
    return _outcome(json.loads(text)) if text else None


def _outcome(found: dict[str, Any]) -> LastOutcome:
    before = found.pop("before", None)
    return LastOutcome(before=_outcome(before) if isinstance(before, dict) else None, **found)


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
