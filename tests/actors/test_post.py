"""The post against real listeners: channels come, change and go while messages wait or are in flight.

Pauses between tries are the real ones, so what waits for one takes a second or two. Nothing here measures time.
"""

from collections import Counter

import pytest

from tests.actors.office import DOWN, FINE, Gate, Office, arrived, bodies, raising, told
from tests.actors.works import until
from tests.channels.receivers import Receiver, Script, cuts


async def in_flight(office: Office, receiver: Receiver, subject: str) -> tuple[str, str, Gate]:
    """(channel, alert, gate): the receiver has got the raise, and answers when the gate is opened."""
    gate = receiver.script = Gate()
    channel_id = await office.save(receiver.url())
    alert_id = await office.raise_(office.works.ledger.host(), subject)
    await arrived(receiver, 1)
    return channel_id, alert_id, gate


async def test_a_channel_is_told_from_the_moment_it_is_made(office: Office, receiver: Receiver) -> None:
    host = office.works.ledger.host()
    await office.raise_(host, "before")
    await office.save(receiver.url())
    alert = await office.raise_(host, "after")
    await office.acknowledge(alert)
    await office.resolve(alert)
    await office.until_done()
    assert {subject for _, subject in told(receiver)} == {"after"}
    assert [event for event, _ in told(receiver)][-1] == "resolved"
    body = bodies(receiver)[0]
    assert receiver.requests[0].headers["idempotency-key"] == body["delivery_id"]
    assert body["link"] == f"https://rm.example.org/alerts/{alert}"


@pytest.mark.parametrize("trouble", [DOWN, cuts])
async def test_what_waits_on_a_channel_that_is_corrected_goes_to_its_new_address_at_once_and_once(
    trouble: Script, office: Office, receiver: Receiver, other: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), trouble
    ops = await office.save(receiver.url())
    for n in range(30):
        await office.raise_(host, f"s{n}")
    await arrived(receiver, 2)
    await office.save(other.url(), ops)
    await office.until_done()
    assert sorted(told(other)) == sorted(("raised", f"s{n}") for n in range(30))
    assert set(office.states()) == {"delivered"}


async def test_an_edit_lets_the_send_in_flight_finish_and_repeats_nothing(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    ops, alert, gate = await in_flight(office, receiver, "slow")
    await office.save(other.url(), ops, name="first edit")
    await office.save(other.url(), ops, name="second edit, before the first has come into effect")
    await office.resolve(alert)
    await office.works.settle()
    assert told(other) == [], "its order would be lost if the end overtook the raise"
    gate.opened.set()
    await office.until_states("delivered", "delivered")
    assert told(receiver) == [("raised", "slow")]
    assert told(other) == [("resolved", "slow")]


async def test_disabling_ends_what_waits_and_what_was_in_flight_counts_as_what_became_of_it(
    office: Office, receiver: Receiver
) -> None:
    ops, alert, gate = await in_flight(office, receiver, "in flight")
    await office.acknowledge(alert)
    await office.save(receiver.url(), ops, enabled=False, queued="drop")
    await office.raise_(office.works.ledger.host("nas2"), "while off")
    assert office.states() == ["dead", "dead"]
    gate.opened.set()
    await office.until_states("delivered", "dead")
    await office.save(receiver.url(), ops)
    await office.raise_(office.works.ledger.host("nas3"), "on again")
    await office.until_states("delivered", "dead", "delivered")
    assert told(receiver) == [("raised", "in flight"), ("raised", "on again")]


@pytest.mark.parametrize("queued", ["drop", "keep"])
async def test_a_channel_switched_off_and_on_waits_for_its_send_in_flight(
    office: Office, receiver: Receiver, queued: str
) -> None:
    ops, alert, gate = await in_flight(office, receiver, "a")
    await office.save(receiver.url(), ops, enabled=False, queued=queued)
    await office.works.settle()
    await office.save(receiver.url(), ops)
    await office.resolve(alert)
    await office.works.settle()
    assert told(receiver) == [("raised", "a")]
    gate.opened.set()
    await office.until_states("delivered", "delivered")
    assert told(receiver) == [("raised", "a"), ("resolved", "a")]


async def test_what_was_kept_while_a_channel_was_off_goes_out_when_it_is_on_but_not_what_is_over(
    office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), DOWN
    ops = await office.save(receiver.url())
    over, goes_on = await office.raise_(host, "over"), await office.raise_(host, "goes on")
    await arrived(receiver, 2)
    await until(lambda: office.works.ledger.rows("SELECT min(attempts) FROM deliveries") == [(1,)])
    await office.save(receiver.url(), ops, enabled=False, queued="keep")
    await office.resolve(over)
    await office.raise_(host, "while off")
    receiver.requests.clear()
    receiver.script = FINE
    await office.save(receiver.url(), ops)
    await office.acknowledge(goes_on)
    await office.until_states("superseded", "delivered", "delivered")
    assert told(receiver) == [("raised", "goes on"), ("acknowledged", "goes on")]


async def test_a_deleted_channel_takes_its_queue_along_and_its_send_in_flight_harms_nobody(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    await office.save(other.url(), name="stays")
    ops, alert, gate = await in_flight(office, receiver, "a")
    await office.delete(ops)
    gate.opened.set()
    await office.resolve(alert)
    await office.until_done()
    assert [event for event, _ in told(other)] in (["raised", "resolved"], ["resolved"])
    assert told(receiver) == [("raised", "a")]
    assert office.works.status.restarts == 0


async def test_two_channels_of_one_name_are_two(office: Office, receiver: Receiver, other: Receiver) -> None:
    await office.save(receiver.url(), name="ops")
    await office.save(other.url(), name="ops")
    await office.raise_(office.works.ledger.host(), "a")
    await office.until_states("delivered", "delivered")
    assert told(receiver) == told(other) == [("raised", "a")]


async def test_whatever_is_changed_while_messages_flow_each_arrives_once(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    host = office.works.ledger.host()
    ops = await office.save(receiver.url())
    for n in range(40):
        await office.works.commit(*(raising(host, f"s{n}.{i}") for i in range(5)))
        await office.save((receiver, other)[n % 2].url(), ops, name=f"edit {n}")
    await office.until_done()
    came = Counter(subject for _, subject in told(receiver) + told(other))
    assert came == {f"s{n}.{i}": 1 for n in range(40) for i in range(5)}
    assert set(office.states()) == {"delivered"}


async def test_a_channel_whose_settings_cannot_be_used_waits_until_they_are_saved_and_stops_no_other(
    office: Office, receiver: Receiver, other: Receiver
) -> None:
    broken = await office.save_config({"no": "url"})
    await office.save(other.url(), name="works")
    await office.raise_(office.works.ledger.host(), "a")
    await arrived(other, 1)
    down = office.works.status.down
    await until(lambda: down == {f"delivery:{broken}": f"the settings of channel {broken} cannot be used"})
    await until(lambda: sorted(office.states()) == ["delivered", "queued"])
    await office.save(receiver.url(), broken)
    await office.until_done()
    assert told(receiver) == told(other) == [("raised", "a")]
    assert (down, office.works.status.restarts) == ({}, 0)
