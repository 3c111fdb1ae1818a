"""Frames that an agent sends. Pure.

What is too long or too large is brought within its bounds once it is decoded: `bounds` says how. A frame is added here
and in `FromAgent`; decoding and its bounds come from that.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from rmactors.common import bounds
from rmactors.common.vocabulary import JobEnd, JobKind, JobReason
from rmactors.common.wire.basics import Count, ExitCode, Frame, Id, Name, ProtocolRange, Seq, Time


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
    numbers the connections of an instance, upwards: a hello that was long delayed is known by it.
    `allow` and `restore_targets` are what its file says under these names; None: it does not tell.
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
    plans: Annotated[list[Plan], Meta(extra={"most": 200})] = field(default_factory=list)
    running_jobs: Annotated[list[Id], Meta(extra={"most": 10_000})] = field(default_factory=list)
    allow: Annotated[list[Name], Meta(extra={"most": 50})] | None = None
    restore_targets: Annotated[list[str], Meta(extra={"most": 50})] | None = None
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
    reason: JobReason
    started_at: Time
    finished_at: Time
    exit_code: ExitCode | None = None
    error: str | None = None
    plan: Name | None = None
    schedule_id: Id | None = None
    scheduled_for: Time | None = None
    stats: Annotated[Raw, Meta(extra={"judged": True})] = Raw(b"{}")


class Response(Frame, tag="response", frozen=True):
    """The answer to a `request`, at most 1 MiB as JSON. Droppable.

    `items` is a JSON list, raw: who asked judges it. `error` says why there is none, in a sentence, and `code` in a
    word: `not_allowed`, `not_found`, `invalid`, `busy` or `failed`. `next_cursor` asks for what follows.
    """

    request_id: Id
    ok: bool
    items: Annotated[Raw, Meta(extra={"judged": True})] = Raw(b"[]")
    next_cursor: Annotated[str, Meta(extra={"fit": bounds.as_it_is})] | None = None
    error: str | None = None
    code: Name | None = None


class AgentError(Frame, tag="error", frozen=True):
    """What the server sent cannot be used. `unknown_type`: the agent is older than that frame."""

    code: Name
    detail: str = ""


class Enroll(Frame, tag="enroll", frozen=True):
    """The only frame under an enrollment token. Its `name` is not changed but, where it will not do, refused.

    `name_given`: an administrator typed it, and it is not just the machine's own.
    """

    name: Annotated[str, Meta(min_length=1, max_length=100, extra={"fit": bounds.as_it_is})]
    hostname: Name
    os: Name
    arch: Name
    agent_version: Name
    name_given: bool = False


FromAgent = Hello | Heartbeat | JobStarted | JobProgress | JobLog | JobFinished | Response | AgentError | Enroll
Report = JobStarted | JobFinished
