"""Writes that queue notifications whose time has come."""

from msgspec import Struct


class ReleaseHeld(Struct, frozen=True):
    """Sends what silences held back and no silence holds any more."""

    at: int


class QueueReminders(Struct, frozen=True):
    """Queues `alert.reminder` where a channel wants one and the time has come."""

    at: int
