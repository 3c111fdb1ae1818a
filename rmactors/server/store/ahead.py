"""What is read once for a whole batch (`Transaction.look`): on PostgreSQL before its first commit, in one round trip
instead of one for each; on SQLite by the first commit that asks.

Only what no write of `LEAVES` changes: where a batch has another one, what was read is forgotten there, and the
handlers after it read by themselves.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from rmactors.server.messages.alerts import (
    ExpectAlertState,
    ExpectOpen,
    ForgetAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
    TouchConditions,
    WorsenAlert,
)
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.hosts import NoteOnHost, RecordSigns
from rmactors.server.messages.jobs import SaveEnd, SaveLogLines, SaveLoss, SaveStart
from rmactors.server.messages.schedules import MarkGood, MarkRun
from rmactors.server.messages.writes import Write

W = TypeVar("W", bound=Write)
Look = tuple[str, tuple[Any, ...]]
"""A statement and its parameters, letter by letter as the handler asks."""

AHEAD: Final[dict[type[Write], Callable[[Any], Iterator[Look]]]] = {}
LEAVES: Final[frozenset[type[Write]]] = frozenset(
    {
        ExpectAlertState, ExpectOpen, ForgetAlertState, RaiseAlert, ResolveAlert, SaveAlertState, TouchAlert,
        TouchConditions, WorsenAlert, SettleAttempt, NoteOnHost, RecordSigns, SaveEnd, SaveLogLines, SaveLoss,
        SaveStart, MarkGood, MarkRun,
    }
)  # fmt: skip
"""Writes that change no name, tag or end of a host, no schedule's zone, and make or delete no channel."""


def reads_ahead(looks: Callable[[W], Iterator[Look]]) -> Callable[[W], Iterator[Look]]:
    """Register what the handler of one kind of write looks at: the type of its `write`."""
    AHEAD[looks.__annotations__["write"]] = looks
    return looks
