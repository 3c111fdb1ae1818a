"""A bounded queue into one actor.

Owned by the tree, lent to actors: it survives the restart of either end. `send` waits when it is full,
`offer` drops and counts, `put_once` lets one of a kind wait, `put_unbounded` always goes in: answers are bounded by
what was asked. Because answers never wait, two actors that ask each other cannot stand still.
What may be dropped can be put `aside`: it waits in a lane of its own, so that nothing else is ever behind it. What is
worth nothing sooner can be put in `late`: the receiver takes it along with what comes next, or after `LATE_SECONDS`.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

from rmactors.server.messages.answers import Answer, Failed, Reply
from rmactors.server.messages.writes import Commit, Write

LATE_SECONDS: Final = 0.02
LATE_MOST: Final = 4
"""So many that came late do not wait for company: they have it."""
T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S", contravariant=True)


class Outlet(Protocol[S]):
    """The sending end of a mailbox, for one who sends it only some of what it takes."""

    def __len__(self) -> int: ...

    async def send(self, item: S) -> None: ...

    def offer(self, item: S) -> bool: ...

    def put_aside(self, item: S) -> bool: ...

    def put_once(self, item: S) -> bool: ...

    def put_unbounded(self, item: S) -> None: ...

    def put_late(self, item: S) -> None: ...


def _all(_: object) -> bool:
    return True


class Mailbox(Generic[T]):
    """A queue of at most `capacity` messages, answers not counted. One receiver, any number of senders.

    `beside` is another mailbox of the same receiver, who waits for both: see `receive_first`.
    """

    __slots__ = (
        "_aside", "_items", "_late", "_receiver", "_senders", "_stretch", "_until",
        "aside", "capacity", "dropped", "name",
    )  # fmt: skip

    def __init__(self, name: str, capacity: int, *, aside: int = 0, beside: "Mailbox[Any] | None" = None) -> None:
        self.name = name
        self.capacity = capacity
        self.aside = aside
        self.dropped = 0
        self._stretch = 0
        self._items: deque[T] = deque()
        self._aside: deque[T] = deque()
        self._late: list[T] = []  # of one mailbox alone, and short
        self._until = 0.0  # when the first of those that are late is taken all the same
        self._senders = trio.lowlevel.ParkingLot()
        self._receiver: trio.lowlevel.ParkingLot = trio.lowlevel.ParkingLot() if beside is None else beside._receiver

    def __len__(self) -> int:
        """How many messages wait, those aside not counted."""
        return len(self._items)

    async def send(self, item: T) -> None:
        """Put `item` in, waiting while the mailbox is full."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while len(self._items) >= self.capacity:
            await self._senders.park()
        self._put(item)

    def offer(self, item: T) -> bool:
        """Put `item` in unless the mailbox is full; then count it as dropped and return False."""
        if len(self._items) >= self.capacity:
            self.dropped += 1
            return False
        self._put(item)
        return True

    def put_aside(self, item: T) -> bool:
        """Put `item` into the lane of what may be dropped, unless `aside` messages wait there; then count it as dropped
        and return False. The receiver takes from it with `take_aside`."""
        if len(self._aside) >= self.aside:
            self.dropped += 1
            return False
        self._aside.append(item)
        self._receiver.unpark()
        return True

    def put_once(self, item: T) -> bool:
        """Put `item` in unless one of its type waits already: for what says the same as the one before it, a tick say.

        One goes into a full mailbox too: behind a crowd that never ends, it would else never come to its turn.
        """
        if any(type(waiting) is type(item) for waiting in self._items):
            return False
        self._put(item)
        return True

    def put_unbounded(self, item: T) -> None:
        """Put in an answer to something that the receiver asked. Never waits, never drops."""
        self._put(item)

    def put_late(self, item: T) -> None:
        """Put in what can wait a moment for company. Never waits, never drops: its sender awaits what becomes of it."""
        if not self._late:
            self._until = trio.current_time() + LATE_SECONDS
        self._late.append(item)
        if len(self._late) in (1, LATE_MOST):
            self._receiver.unpark()

    async def receive(self, at_a_stretch: int = 1) -> T:
        """Take the oldest message, waiting for one. Others run after so many that were there already."""
        self._stretch = (self._stretch + 1) % at_a_stretch
        if not self._items or self._stretch:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()  # a busy actor still lets others run
        while not self._items:
            await self._receiver.park()
        return self._take()

    async def receive_many(self, most: int) -> list[T]:
        """Take what is there, at least one and at most `most` messages, oldest first."""
        return [await self.receive(), *self.take(most - 1)]

    async def wait(self) -> None:
        """Wait until there is something to take: in order, aside, or late for long enough."""
        await trio.lowlevel.checkpoint()
        while not self._items and not self._aside and len(self._late) < LATE_MOST:
            with trio.move_on_at(self._until if self._late else float("inf")) as scope:
                await self._receiver.park()
            if scope.cancelled_caught:
                return

    def take(self, most: int, fits: Callable[[T], bool] = _all) -> list[T]:
        """Take what is there without waiting, oldest first: at most `most` messages, and none from the first on that
        does not fit."""
        taken: list[T] = []
        while self._items and len(taken) < most and fits(self._items[0]):
            taken.append(self._take())
        return taken

    def take_aside(self, most: int, fits: Callable[[T], bool] = _all) -> list[T]:
        """The same, of what was put aside."""
        taken: list[T] = []
        while self._aside and len(taken) < most and fits(self._aside[0]):
            taken.append(self._aside.popleft())
        return taken

    def take_late(self, most: int, fits: Callable[[T], bool] = _all) -> list[T]:
        """The same, of what was put in late."""
        number = 0
        while number < min(most, len(self._late)) and fits(self._late[number]):
            number += 1
        taken, self._late = self._late[:number], self._late[number:]
        return taken

    def _put(self, item: T) -> None:
        self._items.append(item)
        if self._receiver:  # to look costs a fifth of waking nobody
            self._receiver.unpark()

    def _take(self) -> T:
        item = self._items.popleft()
        if self._senders and len(self._items) < self.capacity:
            self._senders.unpark()
        return item


async def receive_first(first: Mailbox[T], *others: Mailbox[T], deadline: float = float("inf")) -> T | None:
    """The oldest message of the first of these mailboxes that has one, waiting for one until `deadline`; None if that
    has passed already, or passes meanwhile. They are beside each other."""
    await trio.lowlevel.checkpoint()
    if trio.current_time() >= deadline:
        return None
    while True:
        if (item := take_first(first, *others)) is not None:
            return item
        with trio.move_on_at(deadline) as scope:  # only to wait: a scope for each message costs as much as the rest
            await first._receiver.park()
        if scope.cancelled_caught:
            return None


def take_first(first: Mailbox[T], *others: Mailbox[T]) -> T | None:
    """The same without waiting: None if there is none."""
    for box in (first, *others):
        if box._items:
            return box._take()
    return None


async def ask(
    send: Callable[[R], Awaitable[None]], request: Callable[[Reply], R], seconds: float = 30.0, *, shield: bool = True
) -> Answer:
    """Send a request and wait for its answer; Failed if none comes in time.

    Shielded for operators: a browser that goes away in the middle does not leave its change half known. What the server
    asks by itself is not, so that its stop need not wait for that.
    """
    answered = trio.Event()
    answers: list[Answer] = []

    def reply(answer: Answer) -> None:
        answers.append(answer)
        answered.set()

    with trio.move_on_after(seconds, shield=shield):
        await send(request(reply))
        await answered.wait()
    return answers[0] if answers else Failed("no answer in time")


async def ask_store(to_store: Outlet[Commit], *writes: Write) -> Answer:
    """Commit the writes together, all or none; otherwise as `ask`."""
    return await ask(to_store.send, lambda reply: Commit(writes, reply))


async def ask_later(to_store: Outlet[Commit], *writes: Write) -> Answer:
    """The same for what may wait a moment to share its transaction with what comes next: see `put_late`."""

    async def put(commit: Commit) -> None:
        to_store.put_late(commit)

    return await ask(put, lambda reply: Commit(writes, reply))


class Signal:
    """Wakes one waiting task. However often it is set in between, the waiter wakes once: it looks for itself."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Wait until set since the last `wait` returned."""
        await self._event.wait()
        self._event = trio.Event()


class WakeupSet:
    """Ids left for one waiting task, which looks for itself at what they name. Never waits; what was left in between is
    taken at once."""

    __slots__ = ("_ids", "_signal")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._signal = Signal()

    def add(self, ids: set[str]) -> None:
        if ids:
            self._ids |= ids
            self._signal.set()

    def ring(self) -> None:
        """Wake the task although there may be no id."""
        self._signal.set()

    async def take(self) -> set[str]:
        """The ids left since the last call; waits for one, or for `ring`."""
        await self._signal.wait()
        taken, self._ids = self._ids, set()
        return taken
