"""JSON text to frames and back, and why a text is none. Pure.

An agent's frame either fits or is refused; of a server's, what fits is used.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from rmactors.common import bounds
from rmactors.common.text import excerpt
from rmactors.common.vocabulary import JOB_KINDS, LiveRequest
from rmactors.common.wire.basics import ID_PATTERN, Frame
from rmactors.common.wire.from_agent import AgentError, FromAgent, Response
from rmactors.common.wire.from_server import (
    LONGEST_DETAIL,
    MOST_SCHEDULES,
    Ack,
    Error,
    FromServer,
    ScheduleInfo,
)

_encoder = msgspec.json.Encoder()
_agent_decoder: msgspec.json.Decoder[FromAgent] = msgspec.json.Decoder(FromAgent)
_server_decoder: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)
_schedule_decoder = msgspec.json.Decoder(ScheduleInfo)


def encode(frame: Frame) -> str:
    """The frame as JSON text. Datetimes must be aware UTC, and come out with `Z`."""
    return _encoder.encode(frame).decode()


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
class Decoded:
    """What a server sent. `frame` is None if nothing of it can be used; `fault` is what was ignored, in one plain line
    that repeats nothing of the server's. `reply` tells the server about it where somebody there may be waiting.
    """

    frame: FromServer | None
    fault: str | None = None
    reply: AgentError | Response | None = None


def decode_from_server(text: str) -> Decoded:
    """One text frame as a value. Never raises.

    A schedule that does not fit is left out, not the others with it: a newer server may know more kinds. Words that
    are meant for people come out in one line, shortened, without control characters.
    """
    try:
        return Decoded(_worded(_server_decoder.decode(text)))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        fault = _misfit(text, str(error))
    try:
        fitting, left_out = _without_misfits(text)
        return Decoded(_worded(_server_decoder.decode(fitting)), left_out)
    except (msgspec.DecodeError, UnicodeError, RecursionError, LookupError):
        return Decoded(None, fault, _reply(text, fault))


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


class _Asked(Struct):
    type: str
    request_id: Annotated[str, Meta(pattern=ID_PATTERN)] | None = None
    kind: str = ""


_FIELD: Final = re.compile(r"(?:\$\.|field `)([a-z_]{1,40})\b")


def _misfit(text: str, detail: str) -> str:
    """Why a frame is not taken. Its own words are not repeated: only names that this version knows."""
    try:
        kind = msgspec.json.decode(text, type=_Typed).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "a message that is no frame"
    known = {name for name in _SERVER_TYPES if name == kind}
    return f"a frame `{known.pop()}` that does not fit ({_field_of(detail)})" if known else "a frame of an unknown type"


def _reply(text: str, fault: str) -> AgentError | Response | None:
    """To a newer server, or to one that asks for what no agent has. Commands and schedules get none: nobody waits."""
    try:
        asked = msgspec.json.decode(text, type=_Asked)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if asked.type not in _SERVER_TYPES:
        return AgentError("unknown_type", f"unknown type {asked.type[:60]!r}")
    if asked.type != "request" or asked.request_id is None:
        return None
    known = asked.kind in get_args(LiveRequest)
    words = f"the request does not fit: {fault}" if known else "this agent does not know that kind of request"
    return Response(asked.request_id, ok=False, error=words, code="invalid")


def _field_of(detail: str) -> str:
    """The field that msgspec's message is about, as far as that is one of ours."""
    named = _FIELD.findall(detail)
    return named[-1] if named and named[-1] in _SERVER_FIELDS else "its form"


def _tags(union: object) -> set[str]:
    """The `type` of each of these frames."""
    return {str(frame.__struct_config__.tag) for frame in get_args(union)}


_SERVER_TYPES: Final = _tags(FromServer)
_SERVER_FIELDS: Final = {name for of in (*get_args(FromServer), ScheduleInfo) for name in of.__struct_fields__}
_AGENT_TYPES: Final = _tags(FromAgent)
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
    if kind not in _AGENT_TYPES:
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
    """A frame that nobody can read whole. If it says before all that is nested that it is a report, and which, it is
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
