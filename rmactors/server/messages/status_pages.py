"""Writes about status pages. The digest alone: no address passes through here."""

from dataclasses import dataclass
from typing import Literal

from rmactors.server.messages.audit import Audit

Show = Literal["overview", "hosts"]


@dataclass(frozen=True, slots=True)
class CreateStatusPage:
    """Refused `conflict` where there are `most` already. `host_tags`: any of them, none means every host."""

    id: str
    name: str
    host_tags: tuple[str, ...]
    show: Show
    token_hash: str
    by: str
    at: int
    most: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteStatusPage:
    """Its address leads nowhere from then on. Refused `not_found`."""

    id: str
    audit: Audit
