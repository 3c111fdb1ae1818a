"""What one message on the agents' port leads to: of a host before and after its hello, and of who enrolls. Pure: a
message in, and out come replies, a closing, and what goes on to the host's actor or to the store.
"""

from dataclasses import dataclass
from typing import Final

from rmactors.common import wire
from rmactors.server.edges.host_names import host_name_problem
from rmactors.server.messages.answers import Answer, Committed, Refused
from rmactors.server.messages.enrollment import Enrolled


@dataclass(frozen=True, slots=True)
class Reply:
    frame: wire.FromServer


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection; nothing follows it."""

    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PassOn:
    """For the host's actor. The first one is the hello."""

    frame: wire.FromAgent


@dataclass(frozen=True, slots=True)
class PassOnUnreadable:
    """For the host's actor: a report that cannot be taken."""

    problem: wire.Unreadable


@dataclass(frozen=True, slots=True)
class TryName:
    """For the store: this host, under this name."""

    name: str
    frame: wire.Enroll


HostStep = Reply | Close | PassOn | PassOnUnreadable
EnrollStep = Reply | Close | TryName

NO_HELLO: Final = Close(wire.CLOSE_BAD_MESSAGE, "no hello")
NO_NAME: Final = Close(wire.CLOSE_BAD_MESSAGE, "no name said")
TOO_MANY_NAMES: Final = Close(wire.CLOSE_BAD_MESSAGE, "too many names tried")
SILENT: Final = Close(wire.CLOSE_GOING_AWAY, "nothing heard for too long")
_BINARY: Final = Close(wire.CLOSE_BINARY, "text frames only")


def of_host(message: str | bytes, *, greeted: bool) -> tuple[HostStep, ...]:
    """What a host's connection has sent. `greeted`: a hello was passed on before."""
    if isinstance(message, bytes):
        return (_BINARY,)
    match wire.decode_from_agent(message):
        case wire.Unreadable(code="bad_message", seq=None) as problem:
            return Reply(wire.Error(problem.code, problem.detail)), Close(wire.CLOSE_BAD_MESSAGE, problem.code)
        case wire.Unreadable(code="unknown_type") as problem:
            reply = Reply(wire.Error(problem.code, problem.detail))
            # A report from the future must not block the spool.
            return (reply, PassOnUnreadable(problem)) if problem.seq is not None and greeted else (reply,)
        case frame if not greeted and not isinstance(frame, wire.Hello):
            reply = Reply(wire.Error("hello_first", "the first message must be `hello`"))
            return reply, Close(wire.CLOSE_BAD_MESSAGE, "hello_first")
        case wire.Unreadable() as problem:
            return (PassOnUnreadable(problem),)
        case wire.Hello(protocol=theirs) if not theirs.min <= wire.PROTOCOL <= theirs.max:
            ours = wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL)
            reply = Reply(wire.Error("protocol_unsupported", "no common version of the protocol", ours))
            return reply, Close(wire.CLOSE_PROTOCOL, "protocol_unsupported")
        case frame:
            return (PassOn(frame),)


def of_newcomer(message: str | bytes) -> tuple[EnrollStep, ...]:
    """What a connection under an enrollment token has sent."""
    if isinstance(message, bytes):
        return (_BINARY,)
    match wire.decode_from_agent(message):
        case wire.Enroll() as frame:
            name = frame.name.strip() or frame.hostname or "host"
            if problem := host_name_problem(name):
                return (Reply(wire.Error("bad_name", f"a host's name {problem}")),)
            return (TryName(name, frame),)
        case wire.Unreadable(code="unknown_type", detail=detail):
            return (Reply(wire.Error("unknown_type", detail)),)
        case wire.Unreadable(code=code, detail=detail):
            return Reply(wire.Error(code, detail)), Close(wire.CLOSE_BAD_MESSAGE, "bad_message")
        case _:
            reply = Reply(wire.Error("bad_message", "under an enrollment token, only `enroll`"))
            return reply, Close(wire.CLOSE_BAD_MESSAGE, "bad_message")


def of_store(answer: Answer, token: str) -> tuple[Reply | Close, ...]:
    """What the store has answered to a name. `token` is the host's credential if it was enrolled. Without a closing,
    another name may be tried."""
    match answer:
        case Committed(results=(Enrolled(host_id, name),)):
            return Reply(wire.Enrolled(host_id, token, name)), Close(1000)
        case Refused(code="name_taken" | "other_host" as code, detail=detail):
            return (Reply(wire.Error(code, detail)),)
        case Refused(code=code, detail=detail):
            return Reply(wire.Error(code, detail)), Close(wire.CLOSE_REVOKED, code)
        case _:
            reply = Reply(wire.Error("try_again", "the server cannot write just now"))
            return reply, Close(wire.CLOSE_GOING_AWAY, "try again")
