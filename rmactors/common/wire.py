"""The agents' protocol, version 1: every frame as a typed value, and bytes in, value or reason out.

Used by both ends. No socket in here: the gateway and the agent's link move the bytes.
Source of the names: `docs/protocol.md`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from rmactors.common import bounds, clock
from rmactors.common.text import excerpt
from rmactors.common.vocabulary import JOB_KINDS, JobEnd, JobKind, Reason

PROTOCOL: Final = 1
MAX_FRAME_BYTES: Final = 1 << 20
PATH: Final = "/ws/agent"
MARK: Final = "X-Restic-Manager"
"""Header of every HTTP answer of the server's, so that agents know it from one of a proxy in between."""
MARK_OF_AGENTS: Final = "agents"
MARK_OF_PAGES: Final = "pages"
"""Its value, by port."""

CLOSE_BAD_MESSAGE: Final = 1008
CLOSE_GOING_AWAY: Final = 1001
CLOSE_BINARY: Final = 1003
CLOSE_TOO_BIG: Final = 1009
CLOSE_REPLACED: Final = 4001
CLOSE_PROTOCOL: Final = 4002
CLOSE_REVOKED: Final = 4003

ANOTHER_INSTANCE: Final = "another_instance"
"""Code of the `error` before CLOSE_REPLACED where the connection that won is another process's."""

ID_PATTERN: Final = r"\A[0-9A-HJKMNP-TV-Z]{26}\Z"

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
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
    looked. `tzdata_version` is that of the time zone data by which schedules run. `spool_problem` is why reports cannot
    be kept on disk there, and `spool_problem_since` the host's time from when on; without it they can. `connection`
    numbers the connections of an instance, upwards: a hello that was long on its way is known by it.
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
    spool_problem: str | None = None
    spool_problem_since: Time | None = None
    plans: Annotated[list[Plan], Meta(extra={"most": 200})] = []
    running_jobs: Annotated[list[Id], Meta(extra={"most": 10_000})] = []
    spooled: Annotated[int, Meta(ge=0, extra={"fit": bounds.count})] = 0
    connection: Annotated[int, Meta(ge=1, le=(1 << 63) - 1)] | None = None


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
    """The only frame under an enrollment token. Its `name` is not changed but, where it will not do, refused."""

    name: Annotated[str, Meta(min_length=1, max_length=100, extra={"fit": bounds.as_it_is})]
    hostname: Name
    os: Name
    arch: Name
    agent_version: Name


FromAgent = Hello | Heartbeat | JobStarted | JobProgress | JobLog | JobFinished | Enroll
Report = JobStarted | JobFinished

# ---- server → agent: a server may have been taken over, so no field can say more than what it is for

MOST_SCHEDULES: Final = 500
LONGEST_DETAIL: Final = 2_000
_YEAR: Final = 366 * 86_400

Code = Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")]
Token = Annotated[str, Meta(pattern=r"\A[!-~]{1,500}\Z")]
Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Seconds = Annotated[float, Meta(ge=0, le=_YEAR)]
Times = Annotated[str, Meta(pattern=r"\A[!-~\s]{0,1000}\Z")]
"""A cron or calendar expression: whether it is one, whoever computes with it says."""
ZoneName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_+/-]{1,100}\Z")]
Text = Annotated[str, Meta(max_length=4096)]
Title = Annotated[str, Meta(max_length=200)]
ParamName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
Param = (
    bool
    | Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
    | Annotated[float, Meta(ge=-1e15, le=1e15)]
    | Text
    | Annotated[list[Text], Meta(max_length=200)]
    | None
)
Params = Annotated[dict[ParamName, Param], Meta(max_length=20)]
"""Which of them a kind of job knows, and what each may be, stands in `agent/job_spec.py`; the others are refused."""


class ScheduleInfo(Struct, frozen=True):
    """A schedule as an agent keeps it. Durations in seconds; what is left out is as the API has it.

    `cron` is empty where one of the last two is given in its place: an agent that does not know them runs nothing.
    """

    id: Id
    name: Title
    kind: JobKind
    cron: Times = ""
    timezone: ZoneName = "UTC"
    enabled: bool = True
    mode: Literal["agent", "external"] = "agent"
    grace_seconds: Seconds = 0.0
    max_runtime_seconds: Seconds = 86_400.0
    on_partial: Literal["alert", "ok"] = "alert"
    params: Params = {}
    on_calendar: Times | None = None
    every_hours: Annotated[float, Meta(gt=0, le=87_600)] | None = None


ScheduleInfos = Annotated[list[ScheduleInfo], Meta(max_length=MOST_SCHEDULES)]


class Enrolled(Frame, tag="enrolled", frozen=True):
    host_id: Id
    agent_token: Token


class Welcome(Frame, tag="welcome", frozen=True):
    protocol: Number
    host_id: Id
    server_now: Time
    heartbeat_seconds: Annotated[float, Meta(gt=0, le=_YEAR)]
    schedules_rev: Number
    schedules: ScheduleInfos


class Schedules(Frame, tag="schedules", frozen=True):
    schedules_rev: Number
    schedules: ScheduleInfos


class Ack(Frame, tag="ack", frozen=True, omit_defaults=True):
    """Sent only after the outcome and all that follows from it is on disk, or when it can never be taken."""

    seq: Seq
    refused: Code | None = None
    detail: str | None = None


class RunJob(Frame, tag="run_job", frozen=True):
    """What may be left out has a default: another server need not write it."""

    job_id: Id
    kind: JobKind
    schedule_id: Id | None = None
    params: Params = {}


class CancelJob(Frame, tag="cancel_job", frozen=True):
    job_id: Id


class Error(Frame, tag="error", frozen=True, omit_defaults=True):
    code: Code
    detail: str
    supported: ProtocolRange | None = None


FromServer = Enrolled | Welcome | Schedules | Ack | RunJob | CancelJob | Error

_encoder = msgspec.json.Encoder()
_agent_decoder: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_server_decoder: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)
_schedule_decoder = msgspec.json.Decoder(ScheduleInfo)


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


@dataclass(frozen=True, slots=True)
class Heard:
    """What a server said. `frame` is None where nothing of it can be taken; `fault` is what was passed over, in one
    plain line that repeats nothing of the server's.
    """

    frame: FromServer | None
    fault: str | None = None


def hear_from_server(text: str) -> Heard:
    """One text frame as a value. Never raises.

    A schedule that does not fit is left out, not the others with it: a newer server may know more kinds. Words that
    are meant for people come out in one line, shortened, without control characters.
    """
    try:
        return Heard(_worded(_server_decoder.decode(text)))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        fault = _misfit(text, str(error))
    try:
        fitting, left_out = _without_misfits(text)
        return Heard(_worded(_server_decoder.decode(fitting)), left_out)
    except (msgspec.DecodeError, UnicodeError, RecursionError, LookupError):
        return Heard(None, fault)


def fitting_schedules(listed: Sequence[Raw]) -> tuple[list[ScheduleInfo], str | None]:
    """Those that are schedules as this version knows them, and what was left out in one plain line."""
    found, misfits = [], []
    for number, raw in enumerate(listed[:MOST_SCHEDULES], 1):
        try:
            found.append(_schedule_decoder.decode(raw))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            misfits.append(f"schedule {number} ({_field_of(str(error))})")
    if len(listed) > MOST_SCHEDULES:
        misfits.append(f"all beyond the {MOST_SCHEDULES}th")
    return found, f"left out, does not fit: {', '.join(misfits[:5])}{' …' * (len(misfits) > 5)}" if misfits else None


def _worded(frame: FromServer) -> FromServer:
    """What is for people, fit to be shown to them."""
    if isinstance(frame, Ack | Error) and frame.detail:
        return msgspec.structs.replace(frame, detail=excerpt(frame.detail, LONGEST_DETAIL))
    return frame


def _without_misfits(text: str) -> tuple[bytes, str | None]:
    parts = msgspec.json.decode(text, type=dict[str, Raw])
    found, left_out = fitting_schedules(msgspec.json.decode(parts["schedules"], type=list[Raw]))
    parts["schedules"] = Raw(_encoder.encode(found))
    return _encoder.encode(parts), left_out


class _Typed(Struct):
    type: str


_FIELD: Final = re.compile(r"(?:\$\.|field `)([a-z_]{1,40})\b")


def _misfit(text: str, detail: str) -> str:
    """Why a frame is not taken. Its own words are not repeated: only names that this version knows."""
    try:
        kind = msgspec.json.decode(text, type=_Typed).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "a message that is no frame"
    known = {name for name in _SERVER_TYPES if name == kind}
    return f"a frame `{known.pop()}` that does not fit ({_field_of(detail)})" if known else "a frame of an unknown type"


def _field_of(detail: str) -> str:
    """The field that msgspec's message is about, as far as that is one of ours."""
    named = _FIELD.findall(detail)
    return named[-1] if named and named[-1] in _SERVER_FIELDS else "its form"


_SERVER_TYPES: Final = {str(frame.__struct_config__.tag) for frame in get_args(FromServer)}
_SERVER_FIELDS: Final = {name for of in (*get_args(FromServer), ScheduleInfo) for name in of.__struct_fields__}
_KNOWN_TYPES: Final = {"hello", "heartbeat", "job_started", "job_progress", "job_log", "job_finished", "enroll"}
_FITTERS: Final[dict[type, Any]] = {kind: bounds.fitter(kind) for kind in get_args(FromAgent)}


def _diagnose(text: str, detail: str) -> Unreadable:
    try:
        found = json.loads(text, parse_int=_integer)
    except RecursionError:
        return _too_deep(text)
    except ValueError:
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


_FIRST_SEQ: Final = re.compile(r'\s*\{[^{}\[\]]*"seq"\s*:\s*([0-9]{1,18})\s*[,}]')
_FIRST_TYPE: Final = re.compile(r'\s*\{[^{}\[\]]*"type"\s*:\s*"job_')


def _too_deep(text: str) -> Unreadable:
    """A frame that nobody can read whole. Where it says before all that is nested that it is a report, and which, it is
    refused as one."""
    detail = "the frame is nested too deeply"
    seq = _FIRST_SEQ.match(text)
    if seq is None or _FIRST_TYPE.match(text) is None:
        return Unreadable("bad_message", detail)
    return Unreadable("bad_report", detail, int(seq[1]))


def _integer(digits: str) -> int | None:
    """None for one that Python would rather not read."""
    return int(digits) if len(digits) <= 1000 else None


def _may_stand(value: object) -> bool:
    """Whether this is an id, or is none."""
    return value is None or (isinstance(value, str) and re.search(ID_PATTERN, value) is not None)


_HALVES: Final = re.compile(
    r"""(?P<pass>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"""
)


def _without_halves(text: str) -> str:
    """The same JSON with U+FFFD for each half of a pair that stands alone. A half is no character; the rest of what
    was said counts."""
    return _HALVES.sub(lambda found: found["pass"] or r"\ufffd", text)
