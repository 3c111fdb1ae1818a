"""Unacked reports over one connection, in order, until each is acked.

Owns what is in flight on this connection. Lives and dies with it: the spool remembers, this forgets.
"""

import logging
import math
from typing import Final

import trio

from rmactors.agent.connection import Connection
from rmactors.agent.report_queue import Lane
from rmactors.common import wire
from rmactors.common.race import race

log = logging.getLogger(__name__)

WINDOW: Final = 64
"""Reports sent and not yet acked: one batch of the server's group commit."""


class ReportSender:
    """Sends what a lane of the queue holds. The task that reads the connection calls `took` with each ack."""

    def __init__(self, connection: Connection, lane: Lane, ack_seconds: float) -> None:
        self._connection = connection
        self._lane = lane
        self._spool_id = lane.spool_id
        self._ack_seconds = ack_seconds
        self._newest = 0
        self._sent: dict[int, float] = {}
        self._acked: set[int] = set()
        self._woken = trio.Event()

    def took(self, ack: wire.Ack) -> None:
        """The server has that report, or says that it will never take it. Never waits."""
        if ack.refused:
            log.warning("the server refuses report %d: %s (%s); dropped", ack.seq, ack.detail or "-", ack.refused)
        self._acked.add(ack.seq)
        self._woken.set()

    async def until_empty(self) -> None:
        """Deliver, and return when nothing is left. Raises LinkDown."""
        await self._run(stop_when_empty=True)

    async def forever(self) -> None:
        """Deliver what is there and what comes. Raises LinkDown."""
        await self._run(stop_when_empty=False)

    async def _run(self, *, stop_when_empty: bool) -> None:
        while True:
            news, self._woken = self._lane.news(), trio.Event()
            await self._forget_acked()
            self._rewind_when_overdue()
            batch = await self._lane.pending(self._newest, WINDOW - len(self._sent)) if len(self._sent) < WINDOW else []
            for report in batch:
                if report.ends is not None:  # before it: once its ack is here, the log has arrived as well
                    await self._send_log(report.ends)
                await self._connection.send(report.frame)
                self._sent[report.seq] = trio.current_time()
                self._newest = report.seq
            if self._acked or batch or await self._sent_loose_logs():
                continue
            if stop_when_empty and not self._sent:
                return
            await self._wait(news)

    async def _send_log(self, job_id: str) -> None:
        for frame in await self._lane.log_of(job_id):
            await self._connection.send(frame)

    async def _sent_loose_logs(self) -> bool:
        """Logs that came into the spool as the end of their job had left it already."""
        loose = await self._lane.loose_logs()
        for job_id in loose:
            await self._send_log(job_id)
            await self._lane.drop_logs(job_id)
        return bool(loose)

    async def _forget_acked(self) -> None:
        if self._acked:
            acked, self._acked = self._acked, set()
            await self._lane.ack(acked, self._spool_id)
            for seq in acked:
                self._sent.pop(seq, None)

    def _rewind_when_overdue(self) -> None:
        """No ack for too long: begin again with the oldest, so that order is kept."""
        if self._sent and trio.current_time() >= min(self._sent.values()) + self._ack_seconds:
            log.warning("no ack for %d reports in %g s: sending them again", len(self._sent), self._ack_seconds)
            self._sent.clear()
            self._newest = 0

    async def _wait(self, news: trio.Event) -> None:
        deadline = min(self._sent.values()) + self._ack_seconds if self._sent else math.inf
        with trio.CancelScope(deadline=deadline):
            await race(news.wait, self._woken.wait)
