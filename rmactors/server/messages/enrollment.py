"""Writes about a machine that becomes a host, and what comes of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EnrollHost:
    """Spends one use of the token and makes the host, with the token's tags. Where the token is for a host that there
    is, the machine becomes that host, whatever name it says; `name_given`: an administrator typed this name, so it has
    to be that host's.

    Refused `token_spent`, `name_taken` or `other_host`. Result: `Enrolled`.
    """

    enrollment_id: str
    host_id: str
    name: str
    hostname: str
    os: str
    arch: str
    agent_version: str
    token_hash: str
    at: int
    address: str
    name_given: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """`host_id` is the one asked for, or that of a host that there was before; `name` is its name."""

    host_id: str
    name: str
