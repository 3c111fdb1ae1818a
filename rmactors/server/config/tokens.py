"""Secrets that this server gives out: made from 256 random bits, kept only as a digest.

A plain SHA-256 is enough for them, unlike for passwords: 256 bits cannot be guessed. The prefix says what a
token is for, so that one found in a log or a paste is recognised.
"""

import hashlib
import secrets
from typing import Final

API: Final = "rma_"
ENROLLMENT: Final = "rme_"
HOST: Final = "rmh_"
SESSION: Final = "rms_"
SETUP: Final = "rmu_"
STATUS: Final = "rmp_"

SHOWN_PREFIX_LENGTH: Final = 12
"""How much of an API token is kept readable, for telling tokens apart."""


def make(prefix: str) -> str:
    """A fresh token: `prefix` and 43 characters of URL-safe base64."""
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token, and what it is found by: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def enrollment_gives(uses: int, tags: tuple[str, ...], for_host_id: str | None) -> str:
    """For the audit trail: `for 40 hosts, tags prod`; empty for one host without tags."""
    if for_host_id is not None:
        return f"for host {for_host_id}"
    told = [f"for {uses} hosts"] if uses > 1 else []
    return ", ".join([*told, *([f"tags {' '.join(tags)}"] if tags else [])])
