"""Digests are queued here, each once: that a slot had its digest is remembered in the transaction that queues it."""

import msgspec

from rmactors import PRODUCT
from rmactors.server.messages.digests import QueueDigest
from rmactors.server.messages.notifications import NotificationBody
from rmactors.server.store.transaction import StaleWrite, Transaction, handles


@handles
def queue_digest(tx: Transaction, write: QueueDigest) -> None:
    channel = tx.row(
        "UPDATE channels SET digest_at = ?"
        " WHERE id = ? AND enabled = 1 AND digest = ? AND digest_at = ? AND digest_at < ?"
        " RETURNING name",
        (write.slot, write.channel_id, write.digest, write.since, write.slot),
    )
    if channel is None:
        raise StaleWrite("this digest was queued already, or is not wanted any more")
    body = NotificationBody("info", "digest", "", PRODUCT, write.message, write.slot, write.at, actor=None, note=None)
    tx.execute(
        "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state, created_at, due_at,"
        " loud) VALUES (?, ?, ?, '', 'alert.digest', ?, 1, ?, 'queued', ?, ?, 1)",
        (
            write.delivery_id, write.channel_id, write.alert_id, tx.next_number(write.channel_id),
            msgspec.json.encode(body).decode(), write.at, write.at,
        ),
    )  # fmt: skip
    tx.wake.channels.add(write.channel_id)
    tx.wake.topics.add("channels")
    tx.wake.tell("info", "digest.queued", channel_id=write.channel_id, channel=channel["name"])
