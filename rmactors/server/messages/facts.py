"""Writes about what the server keeps of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pulse:
    """Changes one row, to learn whether the store can commit."""

    at: int
