"""One connection to PostgreSQL, over libpq's pipeline: statements are sent ahead, and waited for when somebody reads.

The module is imported only where `RM_DATABASE_URL` is set: psycopg comes with the extra `postgresql`.

It keeps no state of the session but prepared statements, and uses no LISTEN, no advisory locks.
"""

import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from rmactors.server.store.database import NO_ANSWER, Parameters, PostgresError, PostgresIntegrityError
from rmactors.server.store.engines.postgres_sql import translated
from rmactors.server.store.engines.postgres_values import bound, reader_of

PATIENCE: Final = 60.0
"""Seconds that PostgreSQL may take to answer, the wait for a standby included. Longer, and the connection is given up;
what was asked of it may have happened."""
SCHEMA_LOCK_SECONDS = 60.0
"""For a table that somebody else keeps locked."""
_DEFAULTS: Final[dict[str, Any]] = {
    "connect_timeout": 10, "application_name": "rmactors", "client_encoding": "utf8",
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000,
}  # fmt: skip
KEPT: Final = 512
"""Statements that stay prepared: the program's own, and what lists make of their filters. Past that, all are forgotten,
for they cost PostgreSQL memory on each connection."""
_FLUSH_EVERY: Final = 16
"""Statements: so that PostgreSQL works on the first while later ones are made."""

LOCKED_TURN: Final = (
    "(SELECT number FROM turn WHERE name = 'server' AND set_config('lock_timeout', ?, true) IS NOT NULL FOR UPDATE)"
)
"""Who writes locks this row first. The bound of its wait stands in the condition, which is looked at before the row is
locked: one statement, so that it is one also where nothing is sent ahead. It holds until the transaction's end."""
_OK: Final = {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}
_INTEGRITY: Final = "23"
_LAST_WORDS: Final = {b"FATAL", b"PANIC"}


class Lost(PostgresError):
    """The connection broke, or never came about. What was asked may or may not have happened."""


class Skipped(PostgresError):
    """An earlier statement of the same segment failed, so this one was not run."""


class Result:
    """A statement that was sent: its rows, once they are read. Reading them waits for the answer."""

    __slots__ = ("_index", "_rows", "_session", "_touched", "done", "error", "sql", "tag", "taken")

    def __init__(self, session: "Session", sql: str) -> None:
        self._session = session
        self.sql = sql
        self.done = False
        self.error: PostgresError | None = None
        self.tag = ""
        self.taken = False
        """Whether an answer came; `done` once it is whole."""
        self._touched = -1
        self._rows: list[Any] = []
        self._index = 0

    def take(self, result: Any) -> None:
        status = result.status
        if status == pq.ExecStatus.TUPLES_OK:
            self._rows = self._session.decoded(self.sql, result)
            self._touched = result.command_tuples or 0
        elif status == pq.ExecStatus.COMMAND_OK:
            self._touched = result.command_tuples or 0
            self.tag = (result.command_status or b"").decode()
        elif status == pq.ExecStatus.PIPELINE_ABORTED:
            self.error = Skipped("an earlier statement failed")
        else:
            self.error = _error(result)
        self.taken = True

    def wait(self) -> "Result":
        """Raises PostgresError if the statement failed, Skipped if an earlier one did."""
        if not self.done:
            self._session.read_until(self)
        if self.error is not None:
            raise self.error
        return self

    def again(self) -> "Result":
        """The same answer for another reader."""
        copy = Result(self._session, self.sql)
        copy.done, copy.error, copy.tag = self.done, self.error, self.tag
        copy._rows, copy._touched = self._rows, self._touched
        return copy

    @property
    def rowcount(self) -> int:
        self.wait()
        return self._touched

    def fetchone(self) -> Any:
        self.wait()
        if self._index >= len(self._rows):
            return None
        self._index += 1
        return self._rows[self._index - 1]

    def fetchall(self) -> list[Any]:
        self.wait()
        found = self._rows[self._index :]
        self._index = len(self._rows)
        return found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())


class Session:
    """A connection in pipeline mode. Each `execute` waits for its answer; `send` does not.

    `prepared`: whether statements are prepared under names, as they are but behind a pooler that cannot keep them.
    `busy_seconds`: how long a transaction that writes waits for another one to end. `patience`: seconds until an answer
    that does not come is given up, and the connection with it.
    """

    def __init__(
        self, url: str, *, prepared: bool = True, busy_seconds: float = 5.0, patience: float = PATIENCE, **options: Any
    ) -> None:
        """Raises Lost."""
        self.patience = patience
        try:
            given = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.Error as error:  # an option that libpq does not know
            raise Lost(f"PostgreSQL cannot be reached: {_one_line(str(error))}") from None
        defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
        self._connection = _connected(make_conninfo(url, **defaults, **options))
        self._pg: Any = self._connection.pgconn
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._queue: deque[Result | None] = deque()  # None: a sync
        self._names: dict[str, bytes] = {}
        self._made = 0
        self._rows: dict[str, Callable[[Any], list[Any]]] = {}
        self._prepared = prepared
        self._unflushed = 0
        self._begun = False
        self.lock_timeout = str(max(1, round(busy_seconds * 1000)))
        """As PostgreSQL is told it: milliseconds, and 0 would be forever."""
        self.round_trips = 0
        self.on_warning: Callable[[str], None] | None = None
        self._pg.notice_handler = self._notice

    # ---- what the store calls

    def execute(self, sql: str, parameters: Parameters = ()) -> Result:
        """The statement, run and answered. Raises PostgresError."""
        try:
            result = self.send(sql, parameters)
        finally:
            self.sync()
        return result.wait()

    def executemany(self, sql: str, rows: Sequence[Parameters]) -> None:
        for row in rows:
            self.execute(sql, row)

    @property
    def in_transaction(self) -> bool:
        return self._begun

    def begin_writing(self) -> None:
        """A transaction that alone writes: the row of turns is locked until its end. Raises PostgresError, also where
        another one does not end in time; then there is none."""
        self.execute("BEGIN")
        self._begun = True
        self._first(f"SELECT {LOCKED_TURN}", (self.lock_timeout,))

    def begin_alone(self) -> None:
        """A transaction that changes the schema: nobody else does meanwhile, also where there is no schema yet. Raises
        PostgresError, also where another session holds one of its tables for a minute."""
        self.execute("BEGIN")
        self._begun = True
        self.take_time(SCHEMA_LOCK_SECONDS)
        self._first("LOCK TABLE migrations IN ACCESS EXCLUSIVE MODE")

    def take_time(self, lock_seconds: float) -> None:
        """In this transaction, what an administrator has set for servers that hang ends nothing. A lock that somebody
        else holds is waited for only so long."""
        self.execute(f"SET LOCAL lock_timeout = {round(lock_seconds * 1000)}")
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            self.execute(f"SET LOCAL {limit} = 0")

    def begin_reading(self) -> None:
        """A transaction that sees the database as it is now, and changes nothing."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._begun = True

    def _first(self, sql: str, parameters: Parameters = ()) -> None:
        """Without which there is no transaction."""
        try:
            self.execute(sql, parameters)
        except PostgresError:
            if not self.broken:
                self.end("ROLLBACK")
            raise

    def end(self, how: str) -> None:
        """COMMIT or ROLLBACK."""
        self._begun = False
        self.execute(how)

    def close(self) -> None:
        self._connection.close()

    @property
    def broken(self) -> bool:
        return bool(self._pg.status != pq.ConnStatus.OK)

    @property
    def server_version(self) -> int:
        return int(self._pg.server_version)

    # ---- the pipeline

    def send(self, sql: str, parameters: Parameters = ()) -> Result:
        """Sent, not waited for. What fails is seen by who reads it; until the next `sync`, nothing after it is run."""
        text, names = translated(sql)
        values_given = [parameters[name] for name in names] if names and isinstance(parameters, Mapping) else parameters
        values, formats = bound(values_given)  # type: ignore[arg-type]
        result = Result(self, sql)
        try:
            if self._prepared:
                name = self._names.get(text) or self._prepare(text)
                self._pg.send_query_prepared(name, values, formats)
            else:
                self._pg.send_query_params(text.encode(), values, param_formats=formats)
        except Skipped as skipped:  # as the statement itself would have been
            result.done, result.error = True, skipped
            return result
        except psycopg.Error as error:
            raise self._lost(str(error)) from None
        self._queue.append(result)
        self._unflushed += 1
        if self._unflushed >= _FLUSH_EVERY:
            self._flush()
        return result

    def sync(self) -> None:
        """The end of a segment: a failure before it skips nothing after it."""
        if self.broken:
            return
        try:
            self._pg.pipeline_sync()
        except psycopg.Error:  # whose words are always that there is no pipeline
            raise self._lost(self._pg.get_error_message()) from None
        self._queue.append(None)
        self._unflushed += 1

    def read_until(self, result: Result) -> None:
        """Read answers up to this one. Raises Lost."""
        self._ask_for_answers()
        self._read(lambda: result.done)

    def read_all(self) -> None:
        """Read every answer that is still to come. Raises Lost."""
        self._ask_for_answers()
        self._read(lambda: not self._queue)

    def _ask_for_answers(self) -> None:
        """PostgreSQL keeps them back until a sync, or until it is asked."""
        if self._queue and self._queue[-1] is not None:
            try:
                self._pg.send_flush_request()
            except psycopg.Error as error:
                raise self._lost(str(error)) from None

    def decoded(self, sql: str, result: Any) -> list[Any]:
        """The rows of an answer. How those of one statement are read is worked out once."""
        reading = self._rows.get(sql)
        if reading is None:
            reading = self._rows[sql] = reader_of(result)
        return reading(result)

    def prepare(self, *statements: str) -> None:
        """Of statements that are sent where an earlier one may have failed: there, none could be prepared any more."""
        for statement in statements:
            if self._prepared and statement not in self._names:
                self._prepare(statement)
        self.sync()

    def _prepare(self, text: str) -> bytes:
        """Waits: a preparation that is skipped, for something before it failed, would leave a name without a
        statement."""
        if len(self._names) >= KEPT:
            self._names.clear()
            self._pg.send_query_params(b"DEALLOCATE ALL", None)
            self._queue.append(Result(self, "DEALLOCATE ALL"))
        self._made += 1
        name = f"s{self._made}".encode()  # never one that was used before: what forgets them may be skipped
        preparing = Result(self, text)
        self._pg.send_prepare(name, text.encode())
        self._queue.append(preparing)
        preparing.wait()
        self._names[text] = name
        return name

    def _read(self, enough: Callable[[], bool]) -> None:
        """Every answer in order, until it is enough."""
        end = time.monotonic() + self.patience
        self.round_trips += 1
        try:
            if self._queue and self._queue[-1] is not None:  # else PostgreSQL keeps the last answers until a sync
                self._pg.send_flush_request()
            while not enough():
                if not self._queue:
                    raise Lost("an answer never came")
                if self._pg.is_busy():
                    self._wait(end)
                    continue
                result, head = self._pg.get_result(), self._queue[0]
                if result is None:
                    if head is None or not head.taken:  # what ends a connection comes without asking, or not at all
                        raise self._lost(self._pg.get_error_message())
                    self._queue.popleft()
                    head.done = True
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._queue.popleft()
                elif head is None or result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED) in _LAST_WORDS:
                    raise self._lost(_message(result))
                else:
                    head.take(result)
        except psycopg.Error as error:
            raise self._lost(str(error)) from None

    def _wait(self, end: float) -> None:
        """Until something came, sending meanwhile what is left to send."""
        left = end - time.monotonic()
        if left <= 0:
            raise self._lost(f"{NO_ANSWER} {self.patience:g} s")
        more = self._pg.flush()
        self._unflushed = 0
        socket = self._pg.socket
        readable, _, _ = select.select([socket], [socket] if more else [], [], left)
        if readable:
            self._pg.consume_input()

    def _flush(self) -> None:
        self._unflushed = 0
        try:
            self._pg.flush()
        except psycopg.Error as error:
            raise self._lost(str(error)) from None

    def _lost(self, text: str) -> Lost:
        said = _one_line(text)
        self._pg.finish()
        lost = Lost(f"the connection to PostgreSQL broke: {said}")
        for each in self._queue:
            if each is not None:
                each.done, each.error = True, lost
        self._queue.clear()
        return lost

    def _notice(self, result: Any) -> None:
        field = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        if field == b"WARNING" and self.on_warning is not None:
            self.on_warning(_message(result))


def _connected(conninfo: str) -> psycopg.Connection[Any]:
    """Through psycopg, which waits without holding Python's lock, as libpq's own call does: the rest of the process
    would stand still for as long as a host does not answer."""
    try:
        return psycopg.Connection.connect(conninfo, autocommit=True)
    except psycopg.Error as error:
        said = _one_line(str(error)).removeprefix("connection failed: ")
        raise Lost(f"PostgreSQL cannot be reached: {said}") from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _message(result: Any) -> str:
    field = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)
    return _one_line(field.decode(errors="replace")) if field else "PostgreSQL gave no reason"


def _error(result: Any) -> PostgresError:
    code = result.error_field(pq.DiagnosticField.SQLSTATE)
    sqlstate = code.decode() if code else None
    if sqlstate is not None and sqlstate.startswith(_INTEGRITY):
        return PostgresIntegrityError(_message(result), sqlstate)
    return PostgresError(_message(result), sqlstate)
