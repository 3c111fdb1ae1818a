"""The store actor.

Owns      the one connection that writes.
Receives  `Commit`; each gets exactly one answer, after its transaction is on disk or is known not to be. Log lines come
          in a lane of their own, of which each transaction takes a little.
Sends     wake-ups, after the commit, to those that have something new to read (they coalesce and never wait).
Restart   starts with an empty cache; requests in its mailbox are still there.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

from rmactors.common.logs import fields
from rmactors.server.actors.store import batches
from rmactors.server.messages.answers import Failed
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.store.engines.opening import BatchWriter
from rmactors.server.store.transaction import Wakeups

_log = logging.getLogger(__name__)

BATCH = batches.REQUESTS
LINGER_FROM = 8
LINGER_SECONDS = 0.002
"""Under load, waiting a moment for more requests nearly halves the CPU of each; alone, a request never waits."""

SLOW_SECONDS = 1.0
"""A transaction that takes longer is worth a line: the disk, or a thread that did not get its turn."""


@dataclass(slots=True)
class StoreState:
    """What `/healthz` and `/metrics` read of the store. Durations in seconds.

    `failing` is set from the first transaction that failed until a changed row is on the disk again.
    """

    failing: str | None = None
    committed_at: float = 0.0
    commits: int = 0
    requests: int = 0
    observe: Callable[[float, int], None] = lambda _seconds, _requests: None
    """Told of each transaction that reached the disk: how long it took, and how many requests shared it."""


async def run(
    inbox: Mailbox[Commit],
    open_writer: Callable[[], BatchWriter],
    wake: Callable[[Wakeups], None],
    state: StoreState,
) -> None:
    """Commit what comes, in batches."""
    one_thread = trio.CapacityLimiter(1)
    writer = await trio.to_thread.run_sync(open_writer)
    try:
        while True:
            await inbox.wait()
            room = batches.for_requests()
            batch = inbox.take(BATCH, room.takes)
            try:
                if LINGER_FROM <= len(batch) < BATCH:
                    await trio.sleep(LINGER_SECONDS)
                    batch += inbox.take(BATCH - len(batch), room.takes)
                batch += inbox.take_late(BATCH - len(batch), room.takes)
                # Log lines have waited apart: no report is behind them, and they never take more than their share.
                batch += inbox.take_aside(BATCH, batches.for_log_lines().takes)
                began = time.perf_counter()
                answers, wakeups = await trio.to_thread.run_sync(
                    writer.apply, [commit.writes for commit in batch], limiter=one_thread
                )
            except BaseException:
                # A bug or the end of the process: nothing of this batch was promised, and nobody is left waiting.
                for commit in batch:
                    commit.reply(Failed("the store stopped"))
                raise
            took = time.perf_counter() - began
            if state.failing is None or isinstance(answers[0], Failed):
                _note(state, answers[0], len(batch), took)
            for commit, answer in zip(batch, answers, strict=True):
                commit.reply(answer)
            wake(wakeups)
            if state.failing is not None and not isinstance(answers[0], Failed):
                # What was asked for may have changed nothing, and then it ends well on a full disk too.
                refused = await trio.to_thread.run_sync(writer.prove, limiter=one_thread)
                _note(state, answers[0] if refused is None else Failed(refused), len(batch), took)
    finally:
        writer.close()


def _note(state: StoreState, answer: object, requests: int, took: float) -> None:
    if isinstance(answer, Failed):  # a batch fails as a whole
        if state.failing != answer.detail:  # once, not with every try
            _log.error(
                "nothing can be committed: %s", answer.detail, extra=fields("store.failing", error=answer.detail)
            )
        state.failing = answer.detail
        return
    if state.failing is not None:
        _log.warning("commits work again", extra=fields("store.recovered"))
    if took > SLOW_SECONDS:
        said = fields("store.slow", seconds=round(took, 3), requests=requests)
        _log.warning("a commit was slow", extra=said)
    state.failing = None
    state.committed_at = trio.current_time()
    state.commits += 1
    state.requests += requests
    state.observe(took, requests)
