"""Writes about API and enrollment tokens, and who made them. Hashes only: no token passes through here."""

from dataclasses import dataclass
from typing import Final

from rmactors.common.vocabulary import Role
from rmactors.server.messages.audit import Audit

MOST_USES: Final = 10_000
"""Hosts that one enrollment token enrolls. The database holds this too."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a token. `name` is shown; `owner_id` is the user behind it, `parent_id` the API token that made it."""

    name: str
    owner_id: str | None = None
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateApiToken:
    """Refused `not_found` if the token that makes it has gone or ended, or may give less by now."""

    token_id: str
    name: str
    role: Role
    prefix: str
    token_hash: str
    at: int
    expires_at: int | None
    audit: Audit
    maker: Maker | None = None


@dataclass(frozen=True, slots=True)
class TouchApiToken:
    token_id: str
    at: int


@dataclass(frozen=True, slots=True)
class DeleteApiToken:
    """With all that was made with it. Refused `not_found`."""

    token_id: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class CreateEnrollmentToken:
    """`prefix` is its readable beginning. It enrolls `uses` hosts, each with these `tags`; or one machine, as the host
    `for_host_id`. Refused `not_found` if the API token that makes it has ended, or there is no such host."""

    id: str
    token_hash: str
    at: int
    expires_at: int
    audit: Audit
    prefix: str = ""
    maker: Maker | None = None
    uses: int = 1
    tags: tuple[str, ...] = ()
    for_host_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteEnrollmentToken:
    """Refused `not_found`."""

    id: str
    audit: Audit
