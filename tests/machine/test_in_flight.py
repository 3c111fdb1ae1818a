"""What is asked while an earlier decision is on its way to disk, and that one fails: single cases, step by step."""

from pathlib import Path

from rmactors.common.clock import HOUR
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.requests import HostWentSilent, Resolve
from tests.machine.engine import Engine
from tests.store.ledger import NOON, audit


async def test_a_resolution_that_is_asked_for_again_before_the_first_one_failed_keeps_its_alert_quiet(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path / "rm.db")
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
    engine.close()
