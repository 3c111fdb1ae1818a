"""What the server keeps of itself."""

from rmactors.server.messages.facts import Pulse
from rmactors.server.store.transaction import Transaction, handles


@handles
def pulse(tx: Transaction, write: Pulse) -> None:
    tx.execute(
        "INSERT INTO facts (name, value) VALUES ('pulse', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (str(write.at),),
    )
