"""The audit trail: append-only, in the transaction of the change it tells of.

Refusals have rows as well, but not without end: who is refused again and again must not push out what others did.
For each action, an address has so many rows in an hour, and all addresses together so many; the rest is one row that
counts them.
"""

from dataclasses import replace
from typing import Final

from rmactors.common import clock, ids
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.store.transaction import Transaction, handles

REFUSALS_OF_AN_ADDRESS: Final = 20
REFUSALS_OF_ALL: Final = 200
_ALL: Final = ""


def append(tx: Transaction, audit: Audit | None) -> None:
    """Add one row; None adds nothing. One of result `failed` may only be counted."""
    if audit is None:
        return
    if audit.result == "failed" and not _has_room(tx, audit):
        return
    _insert(tx, ids.new(), audit)


@handles
def append_audit(tx: Transaction, write: AppendAudit) -> None:
    append(tx, write.audit)


def _insert(tx: Transaction, audit_id: str, audit: Audit) -> None:
    tx.wake.tell(
        "warning" if audit.result == "failed" else "info", audit.action, actor=audit.actor, actor_kind=audit.actor_kind,
        target_kind=audit.target_kind, target_id=audit.target_id, result=audit.result, address=audit.address,
    )  # fmt: skip
    tx.execute(
        "INSERT INTO audit (id, n, at, actor, actor_kind, action, target_kind, target_id, result, address, detail)"
        " VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM audit), ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            audit_id, audit.at, audit.actor, audit.actor_kind, audit.action, audit.target_kind, audit.target_id,
            audit.result, audit.address, audit.detail,
        ),
    )  # fmt: skip


def _has_room(tx: Transaction, audit: Audit) -> bool:
    """Whether a refusal still gets a row of its own; if not, it is counted."""
    hour = audit.at // clock.HOUR
    room = {throttle_key(audit.address): REFUSALS_OF_AN_ADDRESS, _ALL: REFUSALS_OF_ALL}
    for address, most in room.items():
        known = tx.row(
            "SELECT told, audit_id FROM refusals WHERE hour = ? AND address = ? AND action = ?",
            (hour, address, audit.action),
        )
        if known is not None and known["told"] >= most:
            _count(tx, audit, hour, address, known["audit_id"])
            return False
    for address in room:
        tx.execute(
            "INSERT INTO refusals (hour, address, action, told) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (hour, address, action) DO UPDATE SET told = refusals.told + 1",
            (hour, address, audit.action),
        )
    # Of earlier hours, what no row of the trail points to has no use. An hour is left for clocks that go back.
    tx.execute("DELETE FROM refusals WHERE hour < ? AND audit_id IS NULL", (hour - 1,))
    return True


def _count(tx: Transaction, audit: Audit, hour: int, address: str, audit_id: str | None) -> None:
    """One more that has no row of its own; the first of them makes the row that stands for all."""
    if audit_id is None:
        audit_id = ids.new()
        stands = replace(audit, actor="restic-manager", actor_kind="system", target_kind="", target_id="", detail="")
        _insert(tx, audit_id, stands if address != _ALL else replace(stands, address=_ALL))
    tx.execute(
        "UPDATE refusals SET left_out = left_out + 1, audit_id = ? WHERE hour = ? AND address = ? AND action = ?",
        (audit_id, hour, address, audit.action),
    )
