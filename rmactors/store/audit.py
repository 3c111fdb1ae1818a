"""The audit trail: append-only, in the transaction of the change it tells of."""

from rmactors import ids
from rmactors.messages.writes import AppendAudit, Audit
from rmactors.store.transaction import Transaction, handles


def append(tx: Transaction, audit: Audit | None) -> None:
    """Add one row; None adds nothing."""
    if audit is None:
        return
    tx.wake.tell(
        "warning" if audit.result == "failed" else "info", audit.action, actor=audit.actor, actor_kind=audit.actor_kind,
        target_kind=audit.target_kind, target_id=audit.target_id, result=audit.result, address=audit.address,
    )  # fmt: skip
    tx.execute(
        "INSERT INTO audit (id, n, at, actor, actor_kind, action, target_kind, target_id, result, address, detail)"
        " VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM audit), ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            ids.new(), audit.at, audit.actor, audit.actor_kind, audit.action, audit.target_kind, audit.target_id,
            audit.result, audit.address, audit.detail,
        ),
    )  # fmt: skip


@handles(AppendAudit)
def append_audit(tx: Transaction, write: AppendAudit) -> None:
    append(tx, write.audit)
