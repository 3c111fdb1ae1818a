"""Delivery actors when one host has queued far more than memory holds: another one's alert goes out among the first."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
import trio

from rmactors.server.actors.delivery.actor import WINDOW
from tests.actors.office import FINE, Gate, Office, arrived, bodies
from tests.actors.works import until
from tests.channels.receivers import Receiver, Request, Stream

LOUD = WINDOW + 2_000


@dataclass
class First:
    """Answers so many, then nobody: what came until then is looked at while nothing moves."""

    number: int
    answered: int = 0
    over: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, stream: Stream, request: Request) -> None:
        self.answered += 1
        if self.answered > self.number:
            self.over.set()
            await trio.sleep_forever()
        await FINE(stream, request)


def queue_many(office: Office, host: str, number: int) -> None:
    """As if the host had had so many alerts: copies of the one that it has."""
    office.works.ledger.connection.execute(
        "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state, created_at, due_at)"
        " WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
        " SELECT 'copy ' || n, channel_id, 'copy ' || n, host_id, event, next_seq + n, pos, body, state,"
        " deliveries.created_at, due_at FROM deliveries, channels, n WHERE host_id = ?",
        (number, host),
    )
    office.works.ledger.connection.execute("UPDATE channels SET next_seq = next_seq + ? + 1", (number,))


@pytest.mark.parametrize("when", ["before the process was killed", "while the flood was being sent"])
async def test_behind_more_than_memory_holds_another_hosts_alert_is_among_the_next_to_go(
    when: str, office: Office, receiver: Receiver
) -> None:
    ledger, gate = office.works.ledger, Gate()
    loud, quiet = ledger.host("loud"), ledger.host("quiet")
    receiver.script = gate
    await office.save(receiver.url())
    await office.raise_(loud, "first")
    await arrived(receiver, 1)
    await office.crash()
    queue_many(office, loud, LOUD)
    if when.startswith("before"):
        await office.raise_(quiet, "only")
        office.start()
    else:
        office.start()
        await arrived(receiver, 10)
        await office.raise_(quiet, "only")
    receiver.script = some = First(100)
    gate.opened.set()
    await some.over.wait()
    told = Counter(body["host_name"] for body in bodies(receiver))
    assert told["loud"] > 50
    assert told["quiet"] == 1, "it is known, although memory is full of the other host's"


async def test_a_queue_longer_than_memory_is_sent_to_its_end(office: Office, receiver: Receiver) -> None:
    """In groups, so that a few requests are enough; one that is left over goes by itself."""
    ledger, loud = office.works.ledger, office.works.ledger.host("loud")
    receiver.script = Gate()
    await office.save(receiver.url())
    await office.raise_(loud, "first")
    await arrived(receiver, 1)
    await office.crash()
    queue_many(office, loud, LOUD)
    ledger.connection.execute("UPDATE deliveries SET grouped = 1 WHERE id LIKE 'copy %'")
    receiver.script = FINE
    office.start()
    await until(lambda: not ledger.value("SELECT count(*) FROM deliveries WHERE state <> 'delivered'"))
    told = [member["alert_id"] for body in bodies(receiver) for member in body.get("group") or [body]]
    copies = [alert_id for alert_id in told if alert_id.startswith("copy ")]
    assert len(copies) == len(set(copies)) == LOUD
