"""Writes about what the server keeps of itself."""

from msgspec import Struct


class Pulse(Struct, frozen=True):
    """Changes one row, to learn whether the store can commit."""

    at: int
