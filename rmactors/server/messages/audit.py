"""Who did what to what."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what to what. Written in the transaction of the change."""

    at: int
    actor: str
    actor_kind: Literal["user", "token", "agent", "system"]
    action: str
    target_kind: str
    target_id: str
    address: str = ""
    result: str = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AppendAudit:
    """An audit row for what changes nothing else: a failed login, a refused role."""

    audit: Audit
