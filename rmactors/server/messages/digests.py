"""Writes about digests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueueDigest:
    """Queues a channel's digest for `slot`, and remembers that it was. Stale where the digest was changed or queued
    meanwhile: `digest` is what the channel wants, `since` the end of what its last one covered."""

    channel_id: str
    delivery_id: str
    alert_id: str
    digest: str
    since: int
    slot: int
    message: str
    at: int
