"""The real rules actor and the real writer on a real database, driven by hand: what a test asks for happens, no more.

The actor runs until it waits for its next message. What it sends lies in a queue until a test has it written, so that
a test decides what shares a transaction, what fails, and what was still in flight when something died. Time is what
messages say. The actor reads trio's clock, so all of this has to be called from within a running trio.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Generator
from types import coroutine
from typing import Any

from outcome import Value

from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.answers import Answer, Committed
from rmactors.server.messages.requests import Request
from rmactors.server.messages.writes import Commit
from rmactors.server.store.place import Place
from rmactors.server.store.reader import Reader
from tests.store.ledger import Ledger

BATCH = 256
LEAST_GRACE = 300.0
"""`RM_STALE_GRACE_SECONDS`"""
_WAITS = object()


@coroutine
def _wait() -> Generator[object, None, None]:
    yield _WAITS


class _Inbox:
    """What the rules actor is given to receive from."""

    def __init__(self) -> None:
        self.items: deque[Request | rules.Answered] = deque()

    async def receive(self, at_a_stretch: int = 1) -> Request | rules.Answered:
        while not self.items:
            await _wait()
        return self.items.popleft()

    def put_unbounded(self, item: rules.Answered) -> None:
        self.items.append(item)


class _ToStore:
    """What the rules actor sends to. An empty commit asks to hear when all before it is done: that is done at once."""

    def __init__(self, write_all: Callable[[], None]) -> None:
        self.waiting: deque[Commit] = deque()
        self._write_all = write_all

    async def send(self, commit: Commit) -> None:
        if commit.writes:
            self.waiting.append(commit)
        else:
            self._write_all()
            commit.reply(Committed())


class _Reader(Reader):
    """Reads in the calling thread."""

    async def run(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self.run_here(query, *args, **kwargs)


class Engine:
    """`say` gives the rules a message, `write` puts on disk what they sent."""

    def __init__(self, place: Place, started_at: int = 0, restart_grace: int = 0, most_open: int = 0) -> None:
        self.ledger = Ledger(place, busy_seconds=0)  # who waits for a lock here waits forever
        if isinstance(self.ledger.connection, sqlite3.Connection):
            self.ledger.connection.execute("PRAGMA synchronous = OFF")  # nobody cuts the power
        self.raised: list[str] = []
        """The ids of alerts, in the order in which they came to disk."""
        self._reader = _Reader(place)
        self.state = rules.RulesState()
        self.most_open = most_open
        self._start(started_at, restart_grace)

    def close(self) -> None:
        self._actor.close()
        self._reader.close()
        self.ledger.close()

    # ---- what happens

    def say(self, message: Request) -> None:
        self._inbox.items.append(message)
        self._go_on()

    @property
    def in_flight(self) -> int:
        """Commits that are not written yet."""
        return len(self._to_store.waiting)

    def write(self, most: int = BATCH) -> None:
        """Write the oldest of what waits, in one transaction, and let the rules hear the answers."""
        self._write_batch(most)
        self._hand_over()

    def settle(self) -> None:
        """Write until nothing waits any more, what is decided again included."""
        for _ in range(100):
            if not self.in_flight:
                return
            self.write()
        raise AssertionError("the rules never come to rest")

    def crash_rules(self) -> None:
        """The rules actor alone dies and is started again. What it had sent is still in flight."""
        self._actor.close()
        self._actor = self._run()
        self._go_on()
        self._hand_over()

    def kill(self, started_at: int = 0, restart_grace: int = 0) -> None:
        """SIGKILL, and a new process: only what is on disk is left."""
        self._actor.close()
        self.state = rules.RulesState()
        self._start(started_at, restart_grace)

    # ---- inside

    def _start(self, started_at: int, restart_grace: int) -> None:
        self._inbox = _Inbox()
        self._to_store = _ToStore(self._write_all)
        self._answered: deque[tuple[Commit, Answer]] = deque()
        self._timing = Timing(started_at, restart_grace, LEAST_GRACE)
        self._actor = self._run()
        self._go_on()

    def _run(self) -> Any:
        return rules.run(
            self._inbox, self._to_store, self._reader, self._timing, self.state, self.most_open,  # type: ignore[arg-type]
        )  # fmt: skip

    def _go_on(self) -> None:
        """Until the actor waits for a message. Any other wait is a checkpoint of trio's, which is over at once."""
        trap = self._actor.send(None)
        while trap is not _WAITS:
            trap = self._actor.send(Value(None))

    def _write_batch(self, most: int) -> None:
        waiting = self._to_store.waiting
        batch = [waiting.popleft() for _ in range(min(most, len(waiting)))]
        if not batch:
            return
        answers, _ = self.ledger.writer.apply([commit.writes for commit in batch])
        self._answered += zip(batch, answers, strict=True)
        self.raised += [
            write.alert_id
            for commit, answer in zip(batch, answers, strict=True) if isinstance(answer, Committed)
            for write in commit.writes if isinstance(write, RaiseAlert)
        ]  # fmt: skip

    def _hand_over(self) -> None:
        """Give the answers to those who asked, one after the other: so they are heard in the order of the commits."""
        while self._answered:
            commit, answer = self._answered.popleft()
            commit.reply(answer)
            self._go_on()

    def _write_all(self) -> None:
        while self.in_flight:
            self._write_batch(BATCH)
