"""When a host is asked again, and what each answer means."""

import pytest
from msgspec import Raw

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.repositories.agenda import (
    AWAY,
    FRESH,
    Away,
    Listed,
    Problem,
    after_look,
    heard,
    in_words,
    when_away,
)
from rmactors.server.messages.live_requests import AgentAnswered, AgentAway, AgentRefused, AgentSlow, AgentTooOld
from rmactors.server.messages.repositories import PostponeLook, SettleLook
from rmactors.server.state.repositories import DueHost

HOST = DueHost("h", "nas", 0)
AT = 1_000 * DAY


def test_each_answer_has_its_meaning() -> None:
    assert heard(AgentAnswered(Raw(b"[]"), None)) == Listed(())
    assert heard(AgentAnswered(Raw(b"{}"), None)) == Problem("failed", "its answer cannot be read")
    assert heard(AgentAway()) == heard(AgentRefused("busy", "others ask")) == Away()
    assert heard(AgentRefused("not_allowed", "browse")) == Problem("not_allowed", "")
    assert heard(AgentRefused("failed", "no restic")) == Problem("failed", "no restic")
    assert heard(AgentTooOld()) == Problem("too_old", "")
    assert heard(AgentSlow()) == Problem("slow", "")


def test_a_problem_is_said_of_the_repository_that_was_asked_for() -> None:
    assert in_words(Problem("failed", "no restic")) == "no restic"
    assert in_words(Problem("slow", "")) == "its agent did not answer in time"
    assert in_words(Problem("too_old", "")) == "its agent does not tell"


def test_a_good_look_is_followed_by_one_a_day_later_and_finds_what_it_measured_no_longer_fresh() -> None:
    settled = after_look(HOST, AT, None, ())
    assert settled == SettleLook("h", AT, AT + DAY, 0, None, None)
    assert settled.due_at - AT >= FRESH


def test_an_agent_that_may_not_tell_or_cannot_is_asked_once_a_day() -> None:
    for code in ("not_allowed", "too_old"):
        assert after_look(DueHost("h", "nas", 3), AT, Problem(code, "x"), ()) == SettleLook(
            "h", AT, AT + DAY, 0, code, None
        )


@pytest.mark.parametrize(
    ("failures", "pause"), [(0, 15 * MINUTE), (1, 30 * MINUTE), (2, HOUR), (6, 16 * HOUR), (7, DAY), (400, DAY)]
)
def test_pauses_grow_while_something_goes_wrong(failures: int, pause: int) -> None:
    host = DueHost("h", "nas", failures)
    expected = SettleLook("h", AT, AT + pause, failures + 1, None, None)
    assert after_look(host, AT, None, ["wrong password"]) == expected
    told = after_look(host, AT, Problem("failed", "no restic"), ())
    assert told == SettleLook("h", AT, AT + pause, failures + 1, "failed", "no restic")
    assert after_look(host, AT, Problem("slow", ""), ()).detail is None


def test_an_agent_that_is_away_is_asked_again_soon() -> None:
    assert when_away(HOST, AT) == PostponeLook("h", AT + AWAY)
