"""Silences, one-time and recurring."""

from rmactors.server.messages.outbox import ReleaseHeld
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.store import audit
from rmactors.server.store.outbox import release_held
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def create_silence(tx: Transaction, write: CreateSilence) -> None:
    tx.execute(
        "INSERT INTO silences (id, host_id, kind, tag, starts_at, ends_at, recurrence, reason, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            write.silence_id, write.host_id, write.kind, write.tag, write.starts_at, write.ends_at, write.recurrence,
            write.reason, write.by, write.at,
        ),
    )  # fmt: skip
    tx.forget("silences")
    audit.append(tx, write.audit)
    tx.wake.topics.add("silences")


@handles
def delete_silence(tx: Transaction, write: DeleteSilence) -> None:
    if not tx.changed(
        "UPDATE silences SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (write.at, write.silence_id)
    ):
        raise RefusedWrite("not_found", "there is no such silence")
    tx.forget("silences")
    audit.append(tx, write.audit)
    release_held(tx, ReleaseHeld(write.at))
    tx.wake.topics.add("silences")
