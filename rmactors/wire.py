"""The agents' protocol, version 1: every frame as a typed value, and bytes in, value or reason out.

Used by both ends. No socket in here: the gateway and the agent's link move the bytes.
Source of the names: `docs/protocol.md`.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from rmactors import bounds, clock
from rmactors.vocabulary import JOB_KINDS, JobEnd, JobKind, Reason

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 1 << 20
PATH: Final = "/ws/agent"

CLOSE_BAD_MESSAGE: Final = 1008
CLOSE_GOING_AWAY: Final = 1001
CLOSE_BINARY: Final = 1003
CLOSE_TOO_BIG: Final = 1009
CLOSE_REPLACED: Final = 4001
CLOSE_PROTOCOL: Final = 4002
CLOSE_REVOKED: Final = 4003

_ULID: Final = r"\A[0-9A-HJKMNP-TV-Z]{26}\Z"
Id = Annotated[str, Meta(pattern=_ULID)]
Seq = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Time = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(extra={"fit": bounds.name})]
"""One line; what is longer than 200 characters is cut, so that nothing else of the frame is lost."""
Count = Annotated[int, Meta(extra={"fit": bounds.count})]
ExitCode = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]


class Frame(Struct, tag_field="type", frozen=True, omit_defaults=False):
    """A message with a `type`. Unknown fields are ignored, so that either end can be newer."""


# ---- agent → server: what is too long or too large is brought within bounds once it is decoded, see `bounds`


Version = Annotated[int, Meta(ge=0, le=1 << 31)]


class ProtocolRange(Struct, frozen=True):
    min: Version
    max: Version


class ResticInfo(Struct, frozen=True):
    version: Name


class Plan(Struct, frozen=True):
    name: Name
    kind_hint: Name | None = None
    repository: str = ""
    sources: Annotated[list[str], Meta(extra={"most": 100})] = []


class Hello(Frame, tag="hello", frozen=True):
    """First frame of a connection. `spooled` is how many unacked reports follow at once.

    `restic` None: there is none that can be used, and `restic_problem` may say why; left out: who says hello has not
    looked. `tzdata_version` is that of the time zone data by which schedules run.
    """

    protocol: ProtocolRange
    instance_id: Name
    purpose: Literal["agent", "report"] = "agent"
    spool_id: Name | None = None
    agent_version: Name = ""
    hostname: Name = ""
    os: Name = ""
    arch: Name = ""
    timezone: Name = ""
    utc_now: Time | None = None
    restic: ResticInfo | UnsetType | None = UNSET
    restic_problem: str | None = None
    tzdata_version: Name | None = None
    plans: Annotated[list[Plan], Meta(extra={"most": 200})] = []
    running_jobs: Annotated[list[Id], Meta(extra={"most": 10_000})] = []
    spooled: Annotated[int, Meta(ge=0, extra={"fit": bounds.count})] = 0


class Heartbeat(Frame, tag="heartbeat", frozen=True):
    utc_now: Time | None = None


class JobStarted(Frame, tag="job_started", frozen=True):
    seq: Seq
    job_id: Id
    kind: JobKind
    started_at: Time
    plan: Name | None = None
    schedule_id: Id | None = None
    scheduled_for: Time | None = None


class JobProgress(Frame, tag="job_progress", frozen=True):
    """Droppable, at most one a second."""

    job_id: Id
    percent: Annotated[float, Meta(extra={"fit": bounds.percent})] = 0.0
    files_done: Count = 0
    files_total: Count = 0
    bytes_done: Count = 0
    bytes_total: Count = 0
    eta_seconds: Annotated[float, Meta(extra={"fit": bounds.duration})] | None = None


class LogLine(Struct, frozen=True):
    """`gap`: no line, but the words `<n> lines left out` where so many are missing."""

    stream: Literal["stdout", "stderr", "gap"]
    text: Annotated[str, Meta(extra={"fit": bounds.line})]


class JobLog(Frame, tag="job_log", frozen=True):
    """Lines numbered from `first_line`. Droppable while the link is down."""

    job_id: Id
    first_line: Annotated[int, Meta(ge=0, le=(1 << 53))]
    lines: Annotated[list[LogLine], Meta(extra={"most": 200})]


class JobFinished(Frame, tag="job_finished", frozen=True):
    """`stats` is the JSON object that the agent sent, raw: `job_stats` judges it, in whatever it does not fit."""

    seq: Seq
    job_id: Id
    kind: JobKind
    status: JobEnd
    reason: Reason
    started_at: Time
    finished_at: Time
    exit_code: ExitCode | None = None
    error: str | None = None
    plan: Name | None = None
    schedule_id: Id | None = None
    scheduled_for: Time | None = None
    stats: Annotated[Raw, Meta(extra={"judged": True})] = Raw(b"{}")


class Enroll(Frame, tag="enroll", frozen=True):
    """The only frame under an enrolment token."""

    name: Annotated[str, Meta(min_length=1, max_length=100, extra={"fit": bounds.name})]
    hostname: Name
    os: Name
    arch: Name
    agent_version: Name


FromAgent = Hello | Heartbeat | JobStarted | JobProgress | JobLog | JobFinished | Enroll
Report = JobStarted | JobFinished

# ---- server → agent


class ScheduleInfo(Struct, frozen=True):
    """A schedule as an agent keeps it. Durations in seconds; what is left out is as the API has it.

    `cron` is empty where one of the last two is given in its place: an agent that does not know them runs nothing.
    """

    id: str
    name: str
    kind: JobKind
    cron: str = ""
    timezone: str = "UTC"
    enabled: bool = True
    mode: Literal["agent", "external"] = "agent"
    grace_seconds: float = 0.0
    max_runtime_seconds: float = 86_400.0
    on_partial: Literal["alert", "ok"] = "alert"
    params: dict[str, Any] = {}
    on_calendar: str | None = None
    every_hours: float | None = None


class Enrolled(Frame, tag="enrolled", frozen=True):
    host_id: str
    agent_token: str


class Welcome(Frame, tag="welcome", frozen=True):
    protocol: int
    host_id: str
    server_now: Time
    heartbeat_seconds: float
    schedules_rev: int
    schedules: list[ScheduleInfo]


class Schedules(Frame, tag="schedules", frozen=True):
    schedules_rev: int
    schedules: list[ScheduleInfo]


class Ack(Frame, tag="ack", frozen=True, omit_defaults=True):
    """Sent only after the outcome and all that follows from it is on disk, or when it can never be taken."""

    seq: int
    refused: str | None = None
    detail: str | None = None


class RunJob(Frame, tag="run_job", frozen=True):
    """What may be left out has a default: another server need not write it."""

    job_id: Id
    kind: JobKind
    schedule_id: str | None = None
    params: dict[str, Any] = {}


class CancelJob(Frame, tag="cancel_job", frozen=True):
    job_id: Id


class Error(Frame, tag="error", frozen=True, omit_defaults=True):
    code: str
    detail: str
    supported: ProtocolRange | None = None


FromServer = Enrolled | Welcome | Schedules | Ack | RunJob | CancelJob | Error

_encoder = msgspec.json.Encoder()
_agent_decoder: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_server_decoder: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)


def encode(frame: Frame) -> str:
    """The frame as JSON text. Datetimes must be aware UTC, and come out with `Z`."""
    return _encoder.encode(frame).decode()


def time_of(micros: int) -> datetime:
    """Server time as the wire wants it."""
    return clock.to_datetime(micros)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a frame from an agent was not taken.

    `seq` is there where the frame was a report: it is refused by an ack, the connection lives on. There `bad_message`
    says that something else stands in an id's place. Without `seq`, it closes the connection, and `unknown_type` not.
    """

    code: Literal["bad_message", "unknown_type", "bad_report", "unknown_kind"]
    detail: str
    seq: int | None = None
    job_id: str | None = None


def decode_from_agent(text: str) -> FromAgent | Unreadable:
    """One text frame as a value within its bounds, or the reason why it is none. Never raises."""
    try:
        frame = _agent_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        whole = _without_halves(text)
        return _diagnose(text, str(error)) if whole == text else decode_from_agent(whole)
    fitted: FromAgent = _FITTERS[type(frame)](frame)
    return fitted


def decode_from_server(text: str) -> FromServer | None:
    """One text frame as a value; None for what this version does not know.

    Schedules of a kind that a newer server knows and this version does not are left out, not the others with them.
    """
    try:
        return _server_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        found = json.loads(text)
        found["schedules"] = [schedule for schedule in found["schedules"] if schedule["kind"] in JOB_KINDS]
        return _server_decoder.decode(json.dumps(found))
    except (msgspec.DecodeError, ValueError, TypeError, LookupError, RecursionError):
        return None


_KNOWN_TYPES: Final = {"hello", "heartbeat", "job_started", "job_progress", "job_log", "job_finished", "enroll"}
_FITTERS: Final[dict[type, Any]] = {kind: bounds.fitter(kind) for kind in get_args(FromAgent)}


def _diagnose(text: str, detail: str) -> Unreadable:
    try:
        found = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return Unreadable("bad_message", "the frame is not JSON")
    if not isinstance(found, dict):
        return Unreadable("bad_message", "the frame is not a JSON object")
    kind = found.get("type")
    if not isinstance(kind, str):
        return Unreadable("bad_message", "the frame has no `type`")
    seq = found.get("seq")
    if isinstance(seq, bool) or not isinstance(seq, int) or not -(1 << 63) <= seq < 1 << 63:
        seq = None
    if kind not in _KNOWN_TYPES:
        return Unreadable("unknown_type", f"unknown type {kind[:60]!r}", seq)
    if seq is None or not kind.startswith("job_"):
        return Unreadable("bad_message", detail)
    job_id = found.get("job_id")
    code: Literal["bad_message", "bad_report", "unknown_kind"] = "bad_report"
    if any(name in found and not _may_stand(found[name]) for name in _IDS_OF_REPORTS):
        code = "bad_message"
    elif isinstance(found.get("kind"), str) and found["kind"] not in JOB_KINDS:
        code, detail = "unknown_kind", f"unknown job kind {found['kind'][:60]!r}"
    return Unreadable(code, detail, seq, job_id[:64] if isinstance(job_id, str) else None)


_IDS_OF_REPORTS: Final = ("job_id", "schedule_id")


def _integer(digits: str) -> int | None:
    """None for one that Python would rather not read."""
    return int(digits) if len(digits) <= 1000 else None


def _may_stand(value: object) -> bool:
    """Whether this is an id, or is none."""
    return value is None or (isinstance(value, str) and re.search(_ULID, value) is not None)


_HALVES: Final = re.compile(
    r"""(?P<pass>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"""
)


def _without_halves(text: str) -> str:
    """The same JSON with U+FFFD for each half of a pair that stands alone. A half is no character; the rest of what
    was said counts."""
    return _HALVES.sub(lambda found: found["pass"] or r"\ufffd", text)
