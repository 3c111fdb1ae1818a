"""Status pages: made and ended."""

import json

from rmactors.server.messages.status_pages import CreateStatusPage, DeleteStatusPage
from rmactors.server.store import audit
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def create_status_page(tx: Transaction, write: CreateStatusPage) -> None:
    (there,) = tx.row("SELECT count(*) FROM status_pages") or (0,)
    if there >= write.most:
        raise RefusedWrite("conflict", f"There are {write.most} status pages already. Delete one first.")
    tx.execute(
        "INSERT INTO status_pages (id, name, host_tags, show, token_hash, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (write.id, write.name, json.dumps(write.host_tags), write.show, write.token_hash, write.by, write.at),
    )
    audit.append(tx, write.audit)


@handles
def delete_status_page(tx: Transaction, write: DeleteStatusPage) -> None:
    if not tx.changed("DELETE FROM status_pages WHERE id = ?", (write.id,)):
        raise RefusedWrite("not_found", "there is no such status page")
    audit.append(tx, write.audit)
