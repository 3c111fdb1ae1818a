"""unlock, and who holds the repository even so.

restic takes away the locks that it holds for stale: those of processes of this host that are no more, and any that
was not refreshed for half an hour. It ends with 0 also if others stay, and does not mention them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rmactors.agent import this_host
from rmactors.agent.restic_steps import JobResult, Restic, outcome
from rmactors.agent.verdict import LONGEST_ERROR, JobVerdict
from rmactors.common import clock
from rmactors.common.text import printable

STALE_AFTER: Final = timedelta(minutes=35)
"""restic refreshes its locks every five minutes, and calls one stale after thirty. The rest is for the way."""
_MOST_LOOKED_AT: Final = 10


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock in the repository. `at` is when it was made or last refreshed."""

    host: str
    user: str
    pid: int
    at: datetime
    exclusive: bool


async def unlock(restic: Restic) -> JobResult:
    """Remove what is stale; the end says who still holds the repository."""
    before = await _ids(restic)
    done = await restic.run("unlock", "unlock")
    if done.verdict.status != "succeeded":
        return done.outcome()
    left = await _ids(restic)
    if left is None:
        return done.outcome()
    stats: dict[str, Any] = {"locks_left": len(left)}
    if before is not None:
        stats["locks_removed"] = len(before - left)
    held = []
    for lock_id in sorted(left)[:_MOST_LOOKED_AT]:
        run = await restic.ask("cat", "lock", "--no-lock", lock_id)
        if run.verdict.status == "succeeded" and (lock := read_lock(run.answer)) is not None:
            held.append(lock)
    now, here = clock.to_datetime(clock.now()), this_host.hostname()
    overdue = [lock for lock in held if is_stale(lock, now, here, alive=this_host.answers(lock.pid))]
    if overdue:
        words = f"a stale lock could not be removed: {in_words(overdue, now)}"
        return JobResult(JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR]), done.code, stats)
    if not left:
        return done.outcome(stats)
    words = (
        f"the repository is still locked by {in_words(held, now) or f'{len(left)} others'}; unlock leaves alone what "
        "is held by a live process, or by another host for less than 30 minutes"
    )
    return outcome(JobVerdict("succeeded", "ok", None, words[:LONGEST_ERROR]), done.code, stats)


def read_lock(answer: bytes) -> HeldLock | None:
    """What `restic cat lock` answered; None if that is no lock: it may have gone meanwhile."""
    try:
        found = json.loads(answer)
        at = datetime.fromisoformat(str(found.get("time"))) if isinstance(found, Mapping) else None
    except ValueError:
        return None
    if at is None or at.tzinfo is None:
        return None
    pid = found.get("pid")
    return HeldLock(
        host=_shown(found.get("hostname")),
        user=_shown(found.get("username")),
        pid=pid if isinstance(pid, int) else 0,
        at=at,
        exclusive=found.get("exclusive") is True,
    )


def is_stale(lock: HeldLock, now: datetime, here: str, *, alive: bool) -> bool:
    """Whether restic's unlock should have taken it. `alive`: a process of this number runs here."""
    return now - lock.at > STALE_AFTER or (lock.host == here and not alive)


def in_words(locks: list[HeldLock], now: datetime) -> str:
    """`pid 12 of root on nas since 2026-11-28 03:00:12 UTC (2 min ago), exclusively`."""
    return "; ".join(
        f"pid {lock.pid} of {lock.user} on {lock.host} since {lock.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC "
        f"({_age(now - lock.at)}){', exclusively' if lock.exclusive else ''}"
        for lock in locks
    )


async def _ids(restic: Restic) -> set[str] | None:
    """The locks by id; None if they cannot be listed."""
    run = await restic.ask("list", "locks", "--no-lock")
    if run.verdict.status != "succeeded":
        return None
    return {line for line in run.answer.decode("ascii", "replace").split() if len(line) == 64}


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 0:
        return "in the future: one of the two clocks is wrong"
    return f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return printable(text[:200]) or "?"
