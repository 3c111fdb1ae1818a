"""Fans topic names out to browsers.

Owns      the subscriptions, and the last progress of each running job.
Receives  topics, from the store after each commit and from host actors.
Sends     to each subscriber a set of topics, what it has not taken yet merged: a slow browser slows nobody.
Restart   not an actor with a task of its own: nothing in here waits.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from rmactors.common import wire

PROGRESS_KEPT = 1_000
Subscription = tuple[trio.MemorySendChannel[frozenset[str]], trio.MemoryReceiveChannel[frozenset[str]]]


class Live:
    """Topics to all subscribers."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._progress: OrderedDict[str, wire.JobProgress] = OrderedDict()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, topics: set[str] | frozenset[str]) -> None:
        """Send to every subscriber; if one has not taken the last set yet, it gets both as one."""
        if not topics:
            return
        for send, receive in self._subscriptions:
            fresh = frozenset(topics)
            try:
                fresh |= receive.receive_nowait()
            except trio.WouldBlock:
                pass
            except trio.EndOfChannel:  # closed, the stream is about to end
                continue
            send.send_nowait(fresh)

    def progress(self, frame: wire.JobProgress) -> None:
        """Keep how far a job is, and tell those who watch it."""
        self._progress[frame.job_id] = frame
        self._progress.move_to_end(frame.job_id)
        if len(self._progress) > PROGRESS_KEPT:
            self._progress.popitem(last=False)
        self.publish({f"job:{frame.job_id}"})

    def progress_of(self, job_id: str) -> wire.JobProgress | None:
        return self._progress.get(job_id)

    def close(self) -> None:
        """End every subscription: the server stops."""
        for send, _ in self._subscriptions:
            send.close()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[trio.MemoryReceiveChannel[frozenset[str]]]:
        """Sets of topics from now on."""
        send, receive = trio.open_memory_channel[frozenset[str]](1)
        subscription = (send, receive.clone())
        self._subscriptions.add(subscription)
        try:
            yield receive
        finally:
            self._subscriptions.discard(subscription)
            send.close()
            subscription[1].close()
            receive.close()
