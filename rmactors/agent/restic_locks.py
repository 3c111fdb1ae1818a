"""Locks that are left behind in a repository: whose they were, and what to tell about them.

Owns the memory of this agent's own restics that ended badly, so that a lock met the morning after is known as theirs.
"""

import re
from collections import OrderedDict
from typing import Final

from rmactors.agent import this_host
from rmactors.agent.output_summary import Lock, OutputSummary

_REMEMBERED: Final = 200
_NEVER_OPENED: Final = re.compile(r"unable to open (?:config file|repository).*: context canceled")


class Leftovers:
    """The restics of this agent that did not end well, by process number. The newest are remembered."""

    def __init__(self) -> None:
        self._ends: OrderedDict[int, str] = OrderedDict()

    def remember(self, pid: int, what: str) -> None:
        """`what` ended it: `the backup of home that failed at 2026-11-28 03:00 UTC (connection lost)`."""
        self._ends.pop(pid, None)
        self._ends[pid] = what
        while len(self._ends) > _REMEMBERED:
            self._ends.popitem(last=False)

    def whose(self, lock: Lock) -> str | None:
        """Which run of this agent left that lock, if one did."""
        return self._ends.get(lock.pid) if lock.host == this_host.hostname() else None


def is_dead(lock: Lock) -> bool:
    """Whether a lock's owner was on this host and is no more. restic's `unlock` looks for itself as well."""
    return lock.host == this_host.hostname() and not this_host.answers(lock.pid)


def may_have_left_one(summary: OutputSummary) -> bool:
    """Of a restic that was stopped: not if it says that it had not even opened the repository."""
    said = (summary.exit_error.message if summary.exit_error else "", summary.first_fatal or "")
    return not any(_NEVER_OPENED.search(words) for words in said)


def explained(words: str, left_by: str | None, unlock_failed: str | None) -> str:
    """`words` about a lock whose process on this host is no more, with what that means and what helps."""
    text = f"{words}: left behind by {left_by}" if left_by else f"{words}: that process is no more, its lock was left"
    if unlock_failed is None:
        return f"{text}; `restic unlock` removes it"
    return f"{text}; it cannot be removed ({unlock_failed}): run `restic unlock` with a key that may delete"
