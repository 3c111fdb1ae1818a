"""A batch of commits in one flight: everything is sent, then everything is read.

    BEGIN; the lock of the row of turns; what is read ahead; SAVEPOINT one | sync
    for each commit: its statements; RELEASE one; SAVEPOINT one | sync; ROLLBACK TO one
    what their rows lead to; what a batch writes once | sync
    COMMIT | sync

That is one round trip; one more where something was read ahead, and one where rows lead to more.

Where a commit went well, ROLLBACK TO goes back to the savepoint just made and undoes nothing. Where one of its
statements failed, what follows up to the sync is skipped, the new savepoint too, so it undoes that commit alone. Nobody
waits to learn which.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from rmactors.server.messages.answers import Answer, Committed, Failed, Refused
from rmactors.server.messages.writes import Write
from rmactors.server.store.ahead import AHEAD, LEAVES, Look
from rmactors.server.store.batch_end import NEXT_NUMBER, BatchEnd
from rmactors.server.store.database import Parameters, PostgresError, PostgresIntegrityError, Row, Rows
from rmactors.server.store.engines.postgres import LOCKED_TURN, Lost, Result, Session, Skipped
from rmactors.server.store.transaction import (
    HANDLERS,
    PROOF,
    DuplicateWrite,
    Otherwise,
    RefusedWrite,
    StaleWrite,
    Transaction,
    Wakeups,
    answer_to,
    is_a_look,
)

_log = logging.getLogger(__name__)

_IDLE: Final = "set_config('idle_in_transaction_session_timeout', '5000', true)"
_FENCE: Final = f"SELECT rm_lead({LOCKED_TURN} = ?), {_IDLE}"
_LOCK: Final = f"SELECT rm_lead({LOCKED_TURN} >= 0), {_IDLE}"
_SYNCHRONOUS: Final = ", rm_synchronous()"
_SAVE: Final = "SAVEPOINT one"
_KEEP: Final = "RELEASE one"
_UNDO: Final = "ROLLBACK TO one"
_NOT_AS_EXPECTED: Final = "RM001"
_DATA: Final = "22"
"""Class of errors about a value: too large a number, say. The same value fails again."""


@lru_cache
def _expecting(sql: str) -> str:
    """The statement, made to fail where it touches or finds no row."""
    if is_a_look(sql):
        return f"SELECT rm_expect(count(*)) FROM ({sql}) AS expected"  # noqa: S608 - the store's own
    return f"WITH expected AS ({sql} RETURNING 1) SELECT rm_expect(count(*)) FROM expected"  # noqa: S608


@dataclass(slots=True)
class _Attempt:
    """One commit of a batch: what it sent, what its handlers said, and what an unmet expectation means."""

    writes: tuple[Write, ...]
    results: list[Result] = field(default_factory=list)
    otherwise: dict[int, Otherwise] = field(default_factory=dict)
    """By the place in `results`."""
    then: list[tuple[Result, Callable[[Transaction, Rows], None]]] = field(default_factory=list)
    answered: tuple[Any, ...] = ()
    raised: Exception | None = None
    wake: Wakeups = field(default_factory=Wakeups)

    def failure(self) -> tuple[int, PostgresError] | None:
        """The first statement that failed by itself, and how."""
        for place, result in enumerate(self.results):
            if result.error is not None and not isinstance(result.error, Skipped):
                return place, result.error
        return None


class _Sending:
    """What a transaction of the flight calls for a connection."""

    def __init__(self, session: Session, attempt: _Attempt, ahead: dict[Look, Result]) -> None:
        self._session = session
        self._ahead = ahead
        self.attempt = attempt

    def execute(self, sql: str, parameters: Parameters = ()) -> Result:
        if self._ahead and isinstance(parameters, tuple) and (known := self._ahead.get((sql, parameters))) is not None:
            return known.again()
        result = self._session.send(sql, parameters)
        self.attempt.results.append(result)
        return result

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        for row in rows:
            self.execute(sql, row)


class _FlightTransaction(Transaction):
    __slots__ = ("_sending",)

    def __init__(self, sending: _Sending, cache: dict[str, Any], end: BatchEnd) -> None:
        super().__init__(sending, cache, end)
        self._sending = sending

    def look(self, sql: str, parameters: tuple[Any, ...]) -> Row | None:
        """It was read ahead."""
        return self.row(sql, parameters)

    def expect(self, sql: str, parameters: Parameters, otherwise: Otherwise) -> None:
        attempt = self._sending.attempt
        attempt.otherwise[len(attempt.results)] = otherwise
        self._sending.execute(_expecting(sql), parameters)

    def then(self, sql: str, parameters: Parameters, do: Callable[[Transaction, Rows], None]) -> None:
        self._sending.attempt.then.append((self._sending.execute(sql, parameters), do))


class PostgresWriter:
    """Applies batches of commits, each batch in one transaction, each commit in a savepoint of its own.

    Opens its connection again where it broke, with the next batch.
    """

    def __init__(
        self, open_session: Callable[[], Session], turn: int | None = None, *, require_sync: bool = False
    ) -> None:
        """`require_sync`: where no commit waits for a standby, every batch fails."""
        self._open = open_session
        self._turn = turn
        self._first = f"{_LOCK if turn is None else _FENCE}{_SYNCHRONOUS if require_sync else ''}"
        self._session: Session | None = None
        self._cache: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._begun: Result | None = None
        self._attempts: list[_Attempt] = []
        """Of this batch."""
        self._more: list[_Attempt] = []
        """What the rows of this batch led to: if it fails, the batch does."""
        self._doubted = Wakeups()
        """Of batches that failed, and perhaps are on the disk: with the next one that is there, it is known."""
        self.round_trips = 0
        """Of all batches so far: how often something was waited for."""

    def apply(self, batch: Sequence[tuple[Write, ...]]) -> tuple[list[Answer], Wakeups]:
        """One answer for each commit, in order, and whom to wake. Where the transaction fails, all are Failed: it did
        not happen, or perhaps it did, where the connection broke during COMMIT. Ask again: what did happen is then a
        Duplicate. Its wake-ups come with the next batch, which waits for the same row lock, so the end is known then.

        Never raises PostgresError.
        """
        try:
            session = self._connected()
            before = session.round_trips
            try:
                answers, wakeups = self._fly(session, batch)
            finally:
                self.round_trips += session.round_trips - before
        except PostgresError as error:
            cause = self._cause(error)
            self._cache.clear()
            self._give_up()
            for attempt in self._attempts:
                self._doubted.merge(attempt.wake.in_doubt())
            _log.debug("commit of %d requests failed: %s", len(batch), cause)
            return [Failed(str(cause))] * len(batch), Wakeups()
        wakeups.merge(self._doubted)
        self._doubted = Wakeups()
        return answers, wakeups

    def prove(self) -> str | None:
        """Put one changed row on the disk, and nothing else. None if it is there, else what the database said."""
        try:
            session = self._connected()
            begun = self._begin(session)
            session.send(PROOF)
            session.sync()
            self._commit(session, begun)
        except PostgresError as error:
            self._give_up()
            return str(self._cause(error))
        return None

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # ---- the flight

    def _fly(self, session: Session, batch: Sequence[tuple[Write, ...]]) -> tuple[list[Answer], Wakeups]:
        end = BatchEnd()
        begun = self._begin(session)
        ahead = self._read_ahead(session, batch)
        session.send(_SAVE)
        session.sync()
        if ahead:
            session.read_all()
            begun.wait()
        for writes in batch:
            if ahead and not all(type(write) in LEAVES for write in writes):
                ahead = {}
            self._attempts.append(self._one(session, writes, end, ahead))
        self._go_on(session, self._attempts, end)
        for sql, parameters in end.statements():
            session.send(sql, parameters)
        session.sync()
        self._commit(session, begun)
        wakeups = Wakeups()
        answers = [self._answer(session, attempt, wakeups) for attempt in self._attempts]
        if not all(isinstance(answer, Committed) for answer in answers):
            self._cache.clear()
        return answers, wakeups

    def _read_ahead(self, session: Session, batch: Sequence[tuple[Write, ...]]) -> dict[Look, Result]:
        looks = {
            look: None for writes in batch for write in writes if (of := AHEAD.get(type(write))) for look in of(write)
        }
        if looks and (channels := self._cache.get("channels")):
            looks |= {(NEXT_NUMBER, (channel.id,)): None for channel in channels}
        return {(sql, parameters): session.send(sql, parameters) for sql, parameters in looks}

    def _go_on(self, session: Session, attempts: list[_Attempt], end: BatchEnd) -> None:
        """What rows lead to, of the commits that stand."""
        if not any(attempt.then for attempt in attempts):
            return
        session.read_all()
        for attempt in attempts:
            if attempt.then and attempt.raised is None and attempt.failure() is None:
                more = _Attempt(attempt.writes)
                transaction = _FlightTransaction(_Sending(session, more, {}), self._cache, end)
                transaction.wake = attempt.wake
                for rows, do in attempt.then:
                    do(transaction, rows)
                self._more.append(more)

    def _begin(self, session: Session) -> Result:
        session.send("BEGIN")
        wait = session.lock_timeout
        begun = session.send(self._first, (wait,) if self._turn is None else (wait, self._turn))
        self._begun = begun
        return begun

    def _cause(self, error: PostgresError) -> PostgresError:
        """Why a batch failed: where its first statement did, what came after says only that something had failed."""
        first = self._begun.error if self._begun is not None else None
        return error if first is None or isinstance(error, Lost) else first

    def _commit(self, session: Session, begun: Result) -> None:
        """Raises PostgresError where nothing is, or nothing is known to be, on the disk and on the standby."""
        commit = session.send("COMMIT")
        session.sync()
        session.read_all()
        begun.wait()
        commit.wait()
        if commit.tag != "COMMIT":
            failed = next((found[1] for more in self._more if (found := more.failure())), None)
            raise failed or PostgresError("the transaction was rolled back")
        if self._warnings:  # the wait for the standby was cancelled: PostgreSQL says COMMIT all the same
            raise PostgresError(self._warnings[0])

    def _one(self, session: Session, writes: tuple[Write, ...], end: BatchEnd, ahead: dict[Look, Result]) -> _Attempt:
        attempt = _Attempt(writes)
        transaction = _FlightTransaction(_Sending(session, attempt, ahead), self._cache, end)
        try:
            answered = [HANDLERS[type(write)](transaction, write) for write in writes]
        except Lost:
            raise
        except (RefusedWrite, StaleWrite, DuplicateWrite, PostgresError) as error:
            attempt.raised = error
        except Exception as error:
            # A handler goes on where an expectation is not met, and may stumble over what it would never have seen.
            session.read_all()
            if attempt.failure() is None:
                raise
            attempt.raised = error
        else:
            attempt.answered = tuple([result for result in answered if result is not None])
            attempt.wake = transaction.wake
            session.send(_KEEP)
            session.send(_SAVE)
        session.sync()
        session.send(_UNDO)
        if transaction.forgot:  # what the next ones keep in mind depends on whether this one stands
            session.read_all()
            if attempt.raised is not None or attempt.failure() is not None:
                self._cache.clear()
        elif attempt.raised is not None:
            self._cache.clear()
        return attempt

    def _answer(self, session: Session, attempt: _Attempt, wakeups: Wakeups) -> Answer:
        """What became of a commit, its transaction being on the disk."""
        error: Exception | None = attempt.raised
        failure = attempt.failure()
        if failure is not None:
            place, error = failure
            otherwise = attempt.otherwise.get(place)
            if error.sqlstate == _NOT_AS_EXPECTED and otherwise is not None:
                error = otherwise if isinstance(otherwise, Exception) else self._explained(session, otherwise)
        match error:
            case None:
                wakeups.merge(attempt.wake)
                return Committed(attempt.answered)
            case RefusedWrite() | StaleWrite() | DuplicateWrite():
                return answer_to(error)
            case PostgresIntegrityError():
                names = ", ".join(type(write).__name__ for write in attempt.writes)
                _log.error("the database refused %s: %s", names, error)
                return Refused("invalid", str(error))
            case PostgresError(sqlstate=str(code)) if code.startswith(_DATA):
                return Refused("invalid", str(error))
            case _:
                return Failed(str(error))

    def _explained(self, session: Session, otherwise: Callable[[Transaction], Exception]) -> Exception:
        """An expectation was not met: why, by what is there now."""
        try:
            return otherwise(Transaction(session, {}))
        except (RefusedWrite, StaleWrite, DuplicateWrite) as error:
            return error

    def _connected(self) -> Session:
        self._warnings.clear()
        self._attempts.clear()
        self._more.clear()
        self._begun = None
        if self._session is None or self._session.broken:
            self.close()
            self._session = self._open()
            self._session.on_warning = self._warnings.append
            self._session.prepare(_SAVE, _KEEP, _UNDO)
        return self._session

    def _give_up(self) -> None:
        """After a failure of the whole batch, nothing is known of the connection's state."""
        self.close()
