"""What is asked while an earlier decision is in flight to disk, and that one fails: single cases, step by step."""

from collections.abc import AsyncIterator

import pytest

from rmactors.common.clock import HOUR
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.requests import HostWentSilent, JudgeEnd, JudgeStart, Resolve
from rmactors.server.store.place import Place
from tests.machine.engine import Engine
from tests.store.ledger import NOON, audit, end, start


@pytest.fixture
async def engine(place: Place) -> AsyncIterator[Engine]:
    opened = Engine(place)
    yield opened
    opened.close()


def ends(engine: Engine, report: EndReport) -> list[Answer]:
    """An agent reports an end; the answer comes in here."""
    answers: list[Answer] = []
    engine.say(JudgeEnd(report, answers.append))
    return answers


async def test_a_resolution_that_is_asked_for_again_before_the_first_one_failed_keeps_its_alert_quiet(
    engine: Engine,
) -> None:
    host = engine.ledger.host()
    engine.say(HostWentSilent(host, NOON - HOUR, NOON, lambda _: None))
    engine.settle()
    alert = engine.ledger.value("SELECT id FROM alerts")
    answers: list[Answer] = []
    for by in ("anna", "ben"):
        engine.say(Resolve(alert, by, None, NOON, audit(), answers.append))
    with engine.ledger.locked():
        engine.write(1)  # Anna's
    engine.settle()
    assert [type(answer) for answer in answers] == [Failed, Committed]
    assert engine.ledger.rows("SELECT resolved_by FROM alerts") == [("ben",)]
    engine.say(HostWentSilent(host, NOON - HOUR, NOON + HOUR, answers.append))
    engine.settle()
    assert isinstance(answers[-1], Committed)
    assert engine.ledger.value("SELECT count(*) FROM alerts") == 1, "quiet until the host is back"


async def test_a_run_whose_start_was_not_committed_is_noted_by_its_end(engine: Engine) -> None:
    host = engine.ledger.host()
    schedule = engine.ledger.schedule(host)
    begun: list[Answer] = []
    engine.say(JudgeStart(start(host, "job1", schedule_id=schedule), begun.append))
    ended = ends(engine, end(host, "job1", schedule_id=schedule))  # decided as of a run that is known
    with engine.ledger.locked():
        engine.write(1)
    engine.settle()
    assert [type(answer) for answer in (*begun, *ended)] == [Failed, Committed]
    assert engine.ledger.value("SELECT last_run_at FROM schedules") == NOON


async def test_a_run_of_which_nothing_was_committed_is_noted_by_its_end_when_that_comes_again(engine: Engine) -> None:
    host = engine.ledger.host()
    schedule = engine.ledger.schedule(host)
    begun: list[Answer] = []
    engine.say(JudgeStart(start(host, "job1", schedule_id=schedule), begun.append))
    ended = ends(engine, end(host, "job1", schedule_id=schedule))
    with engine.ledger.locked():
        engine.write()  # both in one transaction
    engine.settle()
    assert [type(answer) for answer in (*begun, *ended)] == [Failed, Failed]
    assert engine.ledger.value("SELECT last_run_at FROM schedules") is None
    again = ends(engine, end(host, "job1", schedule_id=schedule))
    engine.settle()
    assert [type(answer) for answer in again] == [Committed]
    assert engine.ledger.value("SELECT last_run_at FROM schedules") == NOON


async def test_a_good_end_on_top_of_a_resolution_by_hand_that_failed_resolves_the_alert(engine: Engine) -> None:
    _, resolved, good = _resolved_by_hand_and_good(engine)
    with engine.ledger.locked():
        engine.write(1)  # the resolution alone
    engine.settle()
    assert [type(answer) for answer in (*resolved, *good)] == [Failed, Committed]
    assert engine.ledger.rows("SELECT resolved, resolved_by FROM alerts") == [(1, "rule")]


async def test_a_good_end_that_failed_with_the_resolution_by_hand_resolves_when_it_comes_again(engine: Engine) -> None:
    host, resolved, good = _resolved_by_hand_and_good(engine)
    with engine.ledger.locked():
        engine.write()  # both in one transaction
    engine.settle()
    assert [type(answer) for answer in (*resolved, *good)] == [Failed, Failed]
    assert engine.ledger.rows("SELECT resolved FROM alerts") == [(0,)]
    again = ends(engine, end(host, "job2", at=NOON + 1))
    engine.settle()
    assert [type(answer) for answer in again] == [Committed]
    assert engine.ledger.rows("SELECT resolved, resolved_by FROM alerts") == [(1, "rule")]


def _resolved_by_hand_and_good(engine: Engine) -> tuple[str, list[Answer], list[Answer]]:
    """A host with an open alert that Anna resolves, and a good end right after. Neither is on disk."""
    host = engine.ledger.host()
    ends(engine, end(host, "job1", status="failed"))
    engine.settle()
    resolved: list[Answer] = []
    engine.say(Resolve(engine.ledger.value("SELECT id FROM alerts"), "anna", None, NOON, audit(), resolved.append))
    return host, resolved, ends(engine, end(host, "job2", at=NOON + 1))
