"""What a message on the agents' port leads to. Each case is a row: nothing is connected."""

import json
from typing import Any

import pytest

from harness.agents import hello
from rmactors.common import wire
from rmactors.server.edges.handshake import (
    Close,
    PassOn,
    PassOnUnreadable,
    Reply,
    TryName,
    of_host,
    of_newcomer,
    of_store,
)
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.enrollment import Enrolled

BEAT = wire.encode(wire.Heartbeat())
HELLO = json.dumps(hello())
FUTURE_HELLO = json.dumps(hello(protocol={"min": wire.PROTOCOL + 1, "max": wire.PROTOCOL + 2}))
NEWER = '{"type": "something_newer"}'
NEWER_REPORT = '{"type": "something_newer", "seq": 7}'
BAD_REPORT = '{"type": "job_finished", "seq": 8}'


def said(steps: tuple[Any, ...]) -> list[Any]:
    """The steps, with a reply as its code and a closing as its number."""
    short: list[Any] = []
    for step in steps:
        match step:
            case Reply(wire.Error(code=code)):
                short.append(code)
            case Close(code=code):
                short.append(code)
            case PassOnUnreadable(problem):
                short.append(("refuse", problem.seq))
            case PassOn(frame):
                short.append(type(frame))
            case other:
                short.append(other)
    return short


@pytest.mark.parametrize(
    ("message", "before_hello", "after_hello"),
    [
        (b"bytes", [1003], [1003]),
        ("no JSON", ["bad_message", 1008], ["bad_message", 1008]),
        # A newer agent may say what this server does not know. Such a report is refused, so that the next one comes.
        (NEWER, ["unknown_type"], ["unknown_type"]),
        (NEWER_REPORT, ["unknown_type"], ["unknown_type", ("refuse", 7)]),
        (BAD_REPORT, ["hello_first", 1008], [("refuse", 8)]),
        (BEAT, ["hello_first", 1008], [wire.Heartbeat]),
        # An agent may say hello again.
        (HELLO, [wire.Hello], [wire.Hello]),
        (FUTURE_HELLO, ["protocol_unsupported", 4002], ["protocol_unsupported", 4002]),
    ],
)  # fmt: skip
def test_what_a_host_sends_leads_to(message: str | bytes, before_hello: list[Any], after_hello: list[Any]) -> None:
    assert said(of_host(message, greeted=False)) == before_hello
    assert said(of_host(message, greeted=True)) == after_hello


def test_who_speaks_another_protocol_hears_which_ours_is() -> None:
    reply, _ = of_host(FUTURE_HELLO, greeted=False)
    assert reply == Reply(
        wire.Error(
            "protocol_unsupported", "no common version of the protocol",
            wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
        )
    )  # fmt: skip


def enroll(**fields: Any) -> str:
    given = {"type": "enroll", "name": "nas", "hostname": "h", "os": "linux", "arch": "x", "agent_version": "1"}
    return json.dumps(given | fields)


@pytest.mark.parametrize(
    ("message", "steps"),
    [
        (b"bytes", [1003]),
        ("no JSON", ["bad_message", 1008]),
        (NEWER, ["unknown_type"]),
        (HELLO, ["bad_message", 1008]),
        (enroll(name="x" * 101), ["bad_message", 1008]),
        # Another name may follow.
        (enroll(name="a\u202eb"), ["bad_name"]),
    ],
)
def test_under_an_enrollment_token_only_a_name_counts(message: str | bytes, steps: list[Any]) -> None:
    assert said(of_newcomer(message)) == steps


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"name": " nas "}, "nas"), ({"name": " "}, "h"), ({"name": " ", "hostname": ""}, "host")],
)
def test_a_host_without_a_name_is_called_by_its_hostname(fields: dict[str, str], name: str) -> None:
    [step] = of_newcomer(enroll(**fields))
    assert isinstance(step, TryName)
    assert step.name == name


@pytest.mark.parametrize(
    ("answer", "steps"),
    [
        (Committed((Enrolled("01H", "nas"),)), [Reply(wire.Enrolled("01H", "rmh_x", "nas")), 1000]),
        (Refused("name_taken", "there is one"), ["name_taken"]),
        (Refused("token_used", "it is used"), ["token_used", 4003]),
        (Failed("disk full"), ["try_again", 1001]),
        (Stale("never for this write"), ["try_again", 1001]),
        (Duplicate(), ["try_again", 1001]),
    ],
)
def test_the_stores_answer_to_a_name_leads_to(answer: Answer, steps: list[Any]) -> None:
    assert said(of_store(answer, "rmh_x")) == steps
