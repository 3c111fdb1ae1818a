"""Writes about silences."""

from dataclasses import dataclass

from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class CreateSilence:
    silence_id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: int
    ends_at: int | None
    recurrence: str | None
    reason: str
    by: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteSilence:
    silence_id: str
    at: int
    audit: Audit
