"""What a host's core decides: questions that its agent is asked while somebody waits."""

import random

import pytest
from msgspec import Raw

from rmactors.common import wire
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events
from rmactors.server.actors.host.questions import NOT_ALLOWED
from rmactors.server.messages.connections import AgentConnection
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
    LiveAnswer,
)
from tests.host.history import History, answers, connection, frames, only, work

ASKED = wire.Request("question", "browse", {"plan": "home"})
DROPPED = do.CountLeftOut("responses", 1)


def test_a_question_goes_to_the_agent_and_its_response_to_who_asked() -> None:
    host = History()
    here = host.connects()
    assert host.is_asked() == [do.SendFrame(here, ASKED)]
    effects = host.responds(here, items=Raw(b'[{"name":"a"}]'), next_cursor="500")
    assert answers(effects) == {"question": AgentAnswered(Raw(b'[{"name":"a"}]'), "500")}
    assert only(effects, do.SignOfLife), "it is a sign of life as any frame is"


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ({"error": "there is no such path", "code": "not_found"}, AgentRefused("not_found", "there is no such path")),
        ({"code": "busy"}, AgentRefused("busy", "")),
        ({}, AgentRefused("failed", "")),
    ],
    ids=["all of it", "without a sentence", "without a word"],
)
def test_a_response_that_says_no_tells_why(response: dict[str, object], answer: LiveAnswer) -> None:
    host = History()
    here = host.connects()
    host.is_asked()
    assert answers(host.responds(here, ok=False, **response)) == {"question": answer}


def test_a_host_that_is_not_connected_is_not_asked() -> None:
    host = History()
    assert host.is_asked() == [do.AnswerQuestion("question", AgentAway())]
    host.hangs_up(host.connects())
    assert host.is_asked() == [do.AnswerQuestion("question", AgentAway())]


def test_a_command_that_only_reports_is_no_agent() -> None:
    host = History()
    reporter = host.connects(purpose="report")
    assert host.is_asked() == [do.AnswerQuestion("question", AgentAway())]
    here = host.connects(2)
    host.is_asked()
    assert host.responds(reporter) == [DROPPED], "nor does it answer for the agent"
    assert host.says(reporter, wire.AgentError("unknown_type")) == []
    assert answers(host.hangs_up(reporter)) == {}
    assert answers(host.responds(here)) == {"question": AgentAnswered(Raw(b"[]"), None)}


@pytest.mark.parametrize("allow", [[], ["backup", "restore"]], ids=["nothing", "jobs"])
def test_an_agent_whose_file_does_not_allow_it_is_not_asked(allow: list[str]) -> None:
    host = History()
    host.connects(allow=allow)
    assert host.is_asked() == [do.AnswerQuestion("question", AgentRefused("not_allowed", NOT_ALLOWED))]


@pytest.mark.parametrize("allow", [None, ["backup", "browse"]], ids=["it does not tell", "browse"])
def test_any_other_agent_is_asked(allow: list[str] | None) -> None:
    host = History()
    host.connects(allow=allow)
    assert frames(host.is_asked()) == [ASKED]


def test_the_agent_is_told_when_nobody_waits_any_more() -> None:
    host = History()
    here = host.connects()
    host.is_asked()
    assert host.happens(events.NobodyWaits("question")) == [
        do.SendFrame(here, wire.CancelRequest("question")),
        do.AnswerQuestion("question", AgentSlow()),
    ]
    assert DROPPED in host.responds(here), "what it says all the same is dropped"


def test_who_leaves_when_the_answer_is_there_changes_nothing() -> None:
    host = History()
    here = host.connects()
    host.is_asked()
    host.responds(here)
    assert host.happens(events.NobodyWaits("question")) == []


def test_a_response_that_was_not_asked_for_and_a_second_one_are_dropped_and_counted() -> None:
    host = History()
    here = host.connects()
    assert host.responds(here, "other") == [do.SignOfLife(host.at), DROPPED]
    host.is_asked()
    assert answers(host.responds(here)) != {}
    second = host.responds(here, items=Raw(b'["another"]'))
    assert answers(second) == {}
    assert DROPPED in second


def test_an_agent_that_does_not_know_the_frame_is_too_old_for_every_open_question() -> None:
    host = History()
    here = host.connects()
    host.is_asked("one")
    host.is_asked("two")
    assert answers(host.says(here, wire.AgentError("bad_message"))) == {}, "that may be about anything"
    assert answers(host.says(here, wire.AgentError("unknown_type", "unknown type 'request'"))) == {
        "one": AgentTooOld(),
        "two": AgentTooOld(),
    }
    assert answers(host.says(here, wire.AgentError("unknown_type"))) == {}


def test_when_the_connection_breaks_nobody_waits_for_it() -> None:
    host = History()
    here = host.connects()
    host.is_asked("one")
    host.is_asked("two")
    assert answers(host.hangs_up(here)) == {"one": AgentAway(), "two": AgentAway()}
    assert answers(host.hangs_up(here)) == {}


def test_when_another_connection_takes_its_place_nobody_waits_for_the_older() -> None:
    host = History()
    before = host.connects(1)
    host.is_asked()
    here = connection(2)
    assert answers(host.says_hello(here)) == {"question": AgentAway()}
    assert answers(host.responds(before)) == {}
    assert only(host.is_asked("next"), do.SendFrame) == [
        do.SendFrame(here, wire.Request("next", "browse", ASKED.params))
    ]


def test_a_second_hello_on_the_same_connection_ends_no_question() -> None:
    host = History()
    here = host.connects()
    host.is_asked()
    assert answers(host.says_hello(here)) == {}
    assert answers(host.responds(here)) == {"question": AgentAnswered(Raw(b"[]"), None)}


# ---- at random


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_question_ends_once_and_only_who_was_asked_answers(seed: int) -> None:
    chance = random.Random(seed)
    host = History()
    links: list[AgentConnection] = []
    asked: dict[str, AgentConnection | None] = {}
    told: dict[str, LiveAnswer] = {}
    said: dict[str, str] = {}

    def happened(effects: list[do.Effect]) -> None:
        for effect in only(effects, do.AnswerQuestion):
            assert effect.request_id not in told, "told twice"
            told[effect.request_id] = effect.answer
        for effect in only(effects, do.SendFrame):
            if isinstance(effect.frame, wire.Request):
                asked[effect.frame.request_id] = effect.connection
            if isinstance(effect.frame, wire.CancelRequest):
                assert asked[effect.frame.request_id] is effect.connection

    for step in range(300):
        known = [*asked, "never asked"][-4:]
        match chance.choice([*4 * ["ask", "respond"], *2 * ["leave"], "hello", "report", "break", "old"]):
            case "ask":
                asked[f"question {step}"] = None
                happened(host.is_asked(f"question {step}"))
            case "respond" if links:
                request_id, link = chance.choice(known), chance.choice(links)
                if asked.get(request_id) is link:
                    said.setdefault(request_id, f'["{step}"]')
                happened(host.responds(link, request_id, items=Raw(f'["{step}"]'.encode())))
            case "leave":
                happened(host.happens(events.NobodyWaits(chance.choice(known))))
            case "hello" | "report" as what:
                links.append(connection(step))
                hello = host.says_hello(links[-1], purpose="agent" if what == "hello" else "report")
                happened(hello)
                happened(host.is_read(hello, work()))
            case "break" if links:
                happened(host.hangs_up(links.pop(chance.randrange(len(links)))))
            case "old" if links:
                happened(host.says(chance.choice(links), wire.AgentError("unknown_type")))
    for link in links:
        happened(host.hangs_up(link))
    assert told.keys() == asked.keys(), "nobody waits on and on"
    for request_id, answer in told.items():
        if isinstance(answer, AgentAnswered):
            assert bytes(answer.items).decode() == said[request_id], "of the connection that was asked"
    assert {type(answer) for answer in told.values()} >= {AgentAnswered, AgentAway, AgentSlow}
