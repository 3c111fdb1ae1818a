"""Writes that queue notifications whose time has come."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReleaseHeld:
    """Sends what silences held back and no silence holds any more."""

    at: int


@dataclass(frozen=True, slots=True)
class QueueReminders:
    """Queues `alert.reminder` where a channel wants one and the time has come."""

    at: int
