"""Frames that a server sends. Pure.

A server may have been taken over, so no field can say more than what it is for. A frame is added here and in
`FromServer`; decoding comes from that.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS, JobKind, LiveRequest
from rmactors.common.wire.basics import Frame, Id, ProtocolRange, Seq, Time

MOST_SCHEDULES: Final = 500
LONGEST_DETAIL: Final = 2_000
_YEAR: Final = 366 * 86_400

Code = Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")]
Token = Annotated[str, Meta(pattern=r"\A[!-~]{1,500}\Z")]
Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Seconds = Annotated[float, Meta(ge=0, le=_YEAR)]
Times = Annotated[str, Meta(pattern=r"\A[!-~\s]{0,1000}\Z")]
"""A cron or calendar expression: whether it is one, the code that computes with it says."""
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

    `cron` is empty if one of the last two is given in its place: an agent that does not know them runs nothing.
    """

    id: Id
    name: Title
    kind: JobKind
    cron: Times = ""
    timezone: ZoneName = "UTC"
    enabled: bool = True
    mode: Literal["agent", "external"] = "agent"
    grace_seconds: Seconds = 0.0
    max_runtime_seconds: Seconds = DEFAULT_MAX_RUNTIME_SECONDS
    on_partial: Literal["alert", "ok"] = "alert"
    params: Params = {}
    on_calendar: Times | None = None
    every_hours: Annotated[float, Meta(gt=0, le=87_600)] | None = None


ScheduleInfos = Annotated[list[ScheduleInfo], Meta(max_length=MOST_SCHEDULES)]


class Enrolled(Frame, tag="enrolled", frozen=True):
    """`name` is the host's: another than was asked for where the token is for a host. Empty from an older server."""

    host_id: Id
    agent_token: Token
    name: Title = ""


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
    params: Params = field(default_factory=dict)


class CancelJob(Frame, tag="cancel_job", frozen=True):
    job_id: Id


class Request(Frame, tag="request", frozen=True):
    """A question about the host's repositories, for somebody who waits. Answered by one `response`."""

    request_id: Id
    kind: LiveRequest
    params: Params = field(default_factory=dict)


class CancelRequest(Frame, tag="cancel_request", frozen=True):
    """Nobody waits for that answer any more."""

    request_id: Id


class Error(Frame, tag="error", frozen=True, omit_defaults=True):
    code: Code
    detail: str
    supported: ProtocolRange | None = None


FromServer = Enrolled | Welcome | Schedules | Ack | RunJob | CancelJob | Request | CancelRequest | Error
