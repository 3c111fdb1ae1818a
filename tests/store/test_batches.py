"""What may share one transaction of the store."""

from rmactors.common import ids
from rmactors.server.actors.store import batches
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.hosts import NoteOnHost, RecordHello, RecordSigns
from rmactors.server.messages.jobs import SaveEnd, SaveLogLines
from rmactors.server.messages.writes import Commit
from tests.store.ledger import end


def commit(*writes: object) -> Commit:
    return Commit(writes, no_reply)  # type: ignore[arg-type]


def lines(number: int, characters: int = 10) -> Commit:
    return commit(SaveLogLines("host", "job", tuple((n, "stdout", "x" * characters) for n in range(number))))


def hello(plans: str) -> RecordHello:
    return RecordHello("host", 0, False, "", "", "", "", "", None, plans, None, None, None, False)


def test_a_request_weighs_as_many_rows_as_it_changes_and_as_much_as_its_long_texts() -> None:
    assert batches.weight(commit()) == (0, 0)
    assert batches.weight(commit(Pulse(1), Pulse(2))) == (2, 0)
    assert batches.weight(lines(5, 100)) == (6, 500)
    assert batches.weight(commit(hello("x" * 1000))) == (1, 1000)
    assert batches.weight(commit(RecordSigns((("a", 1), ("b", 2))))) == (3, 0)
    assert batches.weight(commit(NoteOnHost(ids.new(), "host", 0, "code", "four"))) == (1, 4)
    ended = SaveEnd(end("host", "job", error="eight888", stats='{"a": 1}'), None, "subject", None)
    assert batches.weight(commit(ended)) == (1, 16)


def test_a_batch_is_bounded_by_rows() -> None:
    room = batches.for_log_lines()
    assert [room.takes(lines(199)) for _ in range(5)] == [True] * 4 + [False]


def test_a_batch_is_bounded_by_what_its_texts_weigh() -> None:
    room = batches.for_requests()
    large = commit(hello("x" * (batches.CHARACTERS // 2)))
    assert [room.takes(large) for _ in range(3)] == [True, True, False]
    assert room.takes(commit(Pulse(1))), "what is small still fits"


def test_one_request_alone_always_fits() -> None:
    room = batches.for_log_lines()
    assert room.takes(lines(20_000))
    assert not room.takes(commit(Pulse(1)))
