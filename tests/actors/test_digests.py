"""Digests over a real store and a real receiver: each slot has one, whatever happens to the server meanwhile.

What time it is, the tests say: nothing waits for a clock.
"""

import json

import trio

from rmactors.common import clock, ids
from rmactors.common.clock import DAY, HOUR
from rmactors.server.actors.digests import actor as digests
from rmactors.server.store.queries.digests import digest_channels
from tests.actors.office import DOWN, FINE, Office, arrived, bodies
from tests.actors.works import Works, until
from tests.channels.receivers import Receiver

DAILY = json.dumps({"cron": "0 8 * * *", "timezone": "UTC"})
MADE = clock.from_rfc3339("2026-11-22T12:00:00Z")
MONDAY = clock.from_rfc3339("2026-11-23T08:00:00Z")


def back_up(works: Works, host_id: str, at: int) -> None:
    works.ledger.connection.execute(
        "INSERT INTO jobs (id, host_id, kind, subject, status, stats, started_at, finished_at, sort_at)"
        " VALUES (?, ?, 'backup', 's', 'succeeded', '{\"bytes_added\": 1000}', ?, ?, ?)",
        (ids.new(), host_id, at, at, at),
    )


def queued(works: Works) -> int:
    found: int = works.ledger.value("SELECT count(*) FROM deliveries WHERE event = 'alert.digest'")
    return found


async def look(works: Works, at: int) -> None:
    await digests.queue_due(works.to_store, works.reader, at)


async def test_a_digest_arrives_when_it_is_due_once_and_says_what_was_since_the_last(
    office: Office, receiver: Receiver
) -> None:
    works = office.works
    await office.save(receiver.url(), digest=DAILY, at=MADE, events=("alert.raised",), min_severity="critical")
    back_up(works, works.ledger.host("nas1"), MONDAY - HOUR)
    await look(works, MONDAY - 1)
    assert queued(works) == 0
    for late in (0, 1, 2 * HOUR):
        await look(works, MONDAY + late)
    await arrived(receiver, 1)
    await office.until_done()
    [body] = bodies(receiver)
    assert (body["event"], body["kind"], body["severity"], body["host_id"], body["host_name"], body["subject"]) == (
        "alert.digest", "digest", "info", "", "restic-manager", "",
    )  # fmt: skip
    assert body["message"] == (
        "All is well: 1 host, 1 backup since Sunday 2026-11-22 12:00 UTC, 1.0 kB added, no open alerts."
    )
    assert body["raised_at"] == "2026-11-23T08:00:00.000Z"
    assert body["link"] == "https://rm.example.org/"
    assert "group" not in body
    await look(works, MONDAY + DAY)
    await arrived(receiver, 2)
    assert bodies(receiver)[1]["message"].startswith(
        "1 of 1 host needs a look: 0 backups since Monday 2026-11-23 08:00"
    )


async def test_after_a_week_without_the_server_there_is_one_digest_about_all_of_it(
    office: Office, receiver: Receiver
) -> None:
    works = office.works
    await office.save(receiver.url(), digest=DAILY, at=MADE)
    host = works.ledger.host("nas1")
    for day in range(7):
        back_up(works, host, MONDAY + day * DAY - HOUR)
    await look(works, MONDAY + 6 * DAY + HOUR)
    await look(works, MONDAY + 6 * DAY + 2 * HOUR)
    await arrived(receiver, 1)
    assert queued(works) == 1
    assert "7 backups since Sunday 2026-11-22 12:00 UTC" in bodies(receiver)[0]["message"]


async def test_a_server_that_was_killed_before_it_was_queued_queues_it_and_one_that_was_killed_after_does_not(
    office: Office, receiver: Receiver
) -> None:
    works = office.works
    await office.save(receiver.url(), digest=DAILY, at=MADE)
    works.ledger.host("nas1")
    with trio.CancelScope() as killed:
        killed.cancel()
        await look(works, MONDAY)
    assert queued(works) == 0
    receiver.script = DOWN
    await look(works, MONDAY)
    await until(lambda: len(receiver.requests) > 0)
    await office.crash()
    await look(works, MONDAY + 1)
    assert queued(works) == 1
    receiver.script = FINE
    office.start()
    await office.until_done()
    assert {body["delivery_id"] for body in bodies(receiver)} == {
        delivery_id for (delivery_id,) in works.ledger.rows("SELECT id FROM deliveries")
    }


async def test_two_who_look_at_once_queue_one(office: Office, receiver: Receiver) -> None:
    works = office.works
    await office.save(receiver.url(), digest=DAILY, at=MADE)
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(look, works, MONDAY)
    assert queued(works) == 1


async def test_each_channel_has_its_own_time_and_its_own_hosts(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    works = office.works
    weekly = json.dumps({"cron": "0 9 * * 1", "timezone": "UTC"})
    await office.save(receiver.url(), digest=DAILY, at=MADE)
    await office.save(other.url(), digest=weekly, at=MADE, host_tags=("db",))
    await office.save(receiver.url(), at=MADE)
    for n in range(digests.HOSTS + 3):
        back_up(works, works.ledger.host(f"h{n}", tags='["db"]' if n < 2 else "[]"), MONDAY - HOUR)
    await look(works, MONDAY)
    await arrived(receiver, 1)
    await look(works, MONDAY + HOUR)
    await arrived(other, 1)
    [daily], [second] = ([body["message"] for body in bodies(each)] for each in (receiver, other))
    assert daily.startswith(f"All is well: {digests.HOSTS + 3} hosts")
    assert second.startswith("All is well: 2 hosts")


async def test_while_the_store_fails_a_digest_is_put_off_not_lost(works: Works) -> None:
    works.ledger.channel(digest=DAILY, at=MADE)
    with works.ledger.locked():
        await look(works, MONDAY)
    assert queued(works) == 0
    await look(works, MONDAY + 1)
    assert queued(works) == 1
    assert digest_channels(works.ledger.connection)[0].since == MONDAY


async def test_it_looks_again_and_again_after_a_first_wait(works: Works) -> None:
    works.ledger.channel(digest=json.dumps({"cron": "* * * * *", "timezone": "UTC"}), at=clock.now() - HOUR)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(digests.run, works.to_store, works.reader, 0.01, 0.01)
        await until(lambda: queued(works) == 1)
        nursery.cancel_scope.cancel()
