"""Delivery actors against real listeners: breaker, restarts, what the database decides, what goes over the wire.

Pauses between tries are the real ones, so what waits for one takes a second or two. Nothing here measures time.
"""

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trio

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR, SECOND
from rmactors.server.actors.delivery import actor as delivery_actor
from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.messages.channels import RetryDelivery
from rmactors.server.messages.outbox import QueueReminders
from rmactors.server.state.delivery import Delivery
from rmactors.server.store.database import Database
from rmactors.server.store.load_channels import load_due
from rmactors.server.store.place import Place
from tests.actors.office import DOWN, FINE, Gate, Office, arrived, bodies, open_office, raising, told
from tests.actors.works import until
from tests.channels.mailservers import mail_server
from tests.channels.receivers import Receiver, Request, Stream, answers_as_ntfy, hangs, replies
from tests.store.ledger import audit

# ---- one party slows nobody else; the breaker


async def test_while_one_channel_hangs_the_others_go_on(office: Office, receiver: Receiver, other: Receiver) -> None:
    host, receiver.script = office.works.ledger.host(), hangs
    await office.save(receiver.url(), name="hangs")
    await office.save(other.url(), name="works")
    for n in range(60):
        await office.raise_(host, f"s{n}")
    await arrived(other, 60)
    assert sorted(told(other)) == sorted(("raised", f"s{n}") for n in range(60))
    await until(lambda: Counter(office.states()) == {"queued": 60, "delivered": 60})


async def test_a_receiver_that_is_away_is_probed_and_on_its_return_all_arrive_once(
    office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), DOWN
    ops = await office.save(receiver.url())
    await office.works.commit(*(raising(host, f"s{n}") for n in range(300)))
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT count(*) FROM notification_log")[0][0] >= 16)
    tries = len(receiver.requests)
    assert tries < 40, "sixteen were in flight before it was known, then one at a time"
    assert rows("SELECT failing_since IS NULL, last_error FROM channels") == [(0, "503 Service Unavailable")]
    receiver.script = FINE
    await office.until_done()
    came = Counter(subject for _, subject in told(receiver))
    assert set(came) == {f"s{n}" for n in range(300)}
    assert sum(came.values()) - len(came) <= tries + 1, "nothing is sent again but what had been refused"
    assert rows("SELECT failing_since, last_error, last_fired_at IS NULL FROM channels WHERE id = ?", ops) == [
        (None, None, 0)
    ]


async def test_only_one_probe_at_a_time_knocks_at_a_receiver_that_is_away(office: Office, receiver: Receiver) -> None:
    host, receiver.script = office.works.ledger.host(), DOWN
    await office.save(receiver.url())
    for n in range(5):
        await office.raise_(host, f"s{n}")
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT count(*) FROM notification_log")[0][0] >= 2)
    gate, before = Gate(), len(receiver.requests)
    receiver.script = gate
    await arrived(receiver, before + 1)
    await office.raise_(host, "more")
    await office.works.settle()
    assert len(receiver.requests) == before + 1
    gate.opened.set()
    await office.until_done()


# ---- what is new is handed over


async def test_what_is_new_is_handed_over_and_not_read_again(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[int] = []

    def counted(connection: Database, channel_id: str, after_seq: int, most: int) -> list[Delivery]:
        readings.append(after_seq)
        return load_due(connection, channel_id, after_seq, most)

    monkeypatch.setattr(delivery_actor, "load_due", counted)
    host = office.works.ledger.host()
    await office.save(receiver.url())
    await until(lambda: bool(readings))
    for n in range(50):
        await office.raise_(host, f"s{n}")
    await arrived(receiver, 50)
    await office.until_done()
    assert Counter(told(receiver)) == Counter(("raised", f"s{n}") for n in range(50))
    assert readings == [0], "once, at the start"


async def test_beside_readings_that_fail_and_come_back_nothing_is_missed_or_sent_twice(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    lot = random.Random(7)
    monkeypatch.setattr(delivery_actor, "WINDOW", 8)
    monkeypatch.setattr(delivery_actor, "AGAIN_SECONDS", 0.01)

    def unsure(connection: Database, channel_id: str, after_seq: int, most: int) -> list[Delivery]:
        if lot.random() < 0.4:
            raise sqlite3.OperationalError("disk I/O error")
        return load_due(connection, channel_id, after_seq, most)

    monkeypatch.setattr(delivery_actor, "load_due", unsure)
    host = office.works.ledger.host()
    channel_id = await office.save(receiver.url())
    for n in range(120):
        await office.works.commit(*(raising(host, f"s{n}-{m}") for m in range(lot.choice((1, 1, 2, 12)))))
        if lot.random() < 0.3:
            office.works.channel_wakeups.wake({channel_id}, False, {})
        if lot.random() < 0.1:
            await office.works.settle()
    await office.until_done()
    came = Counter(subject for _, subject in told(receiver))
    queued = office.works.ledger.rows("SELECT alerts.subject FROM deliveries JOIN alerts ON alerts.id = alert_id")
    assert came == Counter(subject for (subject,) in queued)


# ---- what is on disk decides


async def test_while_the_database_is_locked_the_next_message_of_an_alert_waits_and_none_is_sent_twice(
    office: Office, receiver: Receiver
) -> None:
    host, gate = office.works.ledger.host(), Gate()
    receiver.script = gate
    await office.save(receiver.url())
    alert = await office.raise_(host, "a")
    await arrived(receiver, 1)
    await office.acknowledge(alert)
    with office.works.ledger.locked():
        gate.opened.set()
        await until(lambda: office.works.store_state.failing)
        assert office.states() == ["queued", "queued"]
        assert len(receiver.requests) == 1
    await office.until_done()
    assert told(receiver) == [("raised", "a"), ("acknowledged", "a")]
    assert office.works.ledger.rows("SELECT attempt, ok FROM notification_log ORDER BY n") == [(1, 1), (1, 1)]


async def test_what_was_cut_off_is_sent_again_after_a_crash_under_the_same_id(
    office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), Gate()
    await office.save(receiver.url())
    for n in range(3):
        await office.raise_(host, f"s{n}")
    await arrived(receiver, 3)
    await office.crash()
    assert set(office.states()) == {"queued"}
    receiver.script = FINE
    office.start()
    await office.until_done()
    ids_of = Counter(body["delivery_id"] for body in bodies(receiver))
    assert sorted(ids_of.values()) == [2, 2, 2]


def in_seconds() -> str:
    return "2"


def as_a_date() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize("said", [in_seconds, as_a_date])
async def test_a_pause_that_the_receiver_asked_for_outlives_a_crash_and_holds_for_messages_that_came_since(
    said: Callable[[], str], office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), replies("429 Too Many Requests", retry_after=said())
    await office.save(receiver.url())
    await office.raise_(host, "refused")
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT attempts FROM deliveries") == [(1,)])
    ((due_at,),) = rows("SELECT due_at FROM deliveries")
    await office.crash()
    times: list[int] = []

    async def note(stream: trio.abc.Stream, request: object) -> None:
        times.append(clock.now())
        await stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")

    receiver.script = note
    await office.raise_(host, "fresh")
    office.start()
    await office.until_done()
    assert len(times) == 2
    assert min(times) >= due_at
    assert rows("SELECT attempts, state FROM deliveries ORDER BY seq") == [(2, "delivered"), (1, "delivered")]


async def test_a_pause_that_was_asked_for_outlives_a_crash_also_if_a_message_in_flight_arrived_after_that(
    office: Office, receiver: Receiver
) -> None:
    host, gate, asked = office.works.ledger.host(), Gate(), replies("429 Too Many Requests", retry_after="3")

    async def only_the_first(stream: Stream, request: Request) -> None:
        await (gate if request is receiver.requests[0] else asked)(stream, request)

    receiver.script = only_the_first
    await office.save(receiver.url())
    await office.raise_(host, "in flight")
    await arrived(receiver, 1)
    await office.raise_(host, "refused")
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT max(attempts) FROM deliveries") == [(1,)])
    gate.opened.set()
    await until(lambda: sorted(office.states()) == ["delivered", "queued"])
    [(held_until, because, failing)] = rows("SELECT held_until, held_because, failing_since IS NOT NULL FROM channels")
    assert (because, failing) == ("429 Too Many Requests", 1)
    await office.crash()
    times: list[int] = []

    async def note(stream: Stream, request: object) -> None:
        times.append(clock.now())
        await stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")

    receiver.script = note
    await office.raise_(host, "fresh")
    office.start()
    await office.until_done()
    assert min(times) >= held_until
    assert rows("SELECT held_until, held_because, failing_since FROM channels") == [(None, None, None)]


async def test_a_daily_quota_that_is_used_up_waits_for_midnight_or_for_somebody_who_changes_the_channel(
    office: Office, receiver: Receiver
) -> None:
    quota = {"code": 42908, "http": 429, "error": "limit reached: daily message quota reached"}
    host, receiver.script = office.works.ledger.host(), replies("429 Too Many Requests", json.dumps(quota).encode())
    config = {"server_url": receiver.url(""), "topic": "backups"}
    phone = await office.save_config(config, kind="ntfy")
    before = clock.now()
    await office.raise_(host, "a")
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT attempts FROM deliveries") == [(1,)])
    ((due_at,),) = rows("SELECT due_at FROM deliveries")
    assert due_at in ((before // DAY + 1) * DAY, (clock.now() // DAY + 1) * DAY)
    assert rows("SELECT last_error FROM channels") == [(f"429 Too Many Requests: {quota['error']}",)]
    receiver.script = answers_as_ntfy
    await office.save_config({**config, "topic": "another"}, phone, kind="ntfy")
    await office.until_states("delivered")
    assert [request.line for request in receiver.requests] == ["POST /backups HTTP/1.1", "POST /another HTTP/1.1"]


async def test_after_a_day_off_a_channel_that_had_been_failing_is_tried_before_anything_is_given_up(
    office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), DOWN
    ops = await office.save(receiver.url())
    for n in range(3):
        await office.raise_(host, f"s{n}")
    await until(lambda: office.works.ledger.value("SELECT count(*) FROM notification_log") >= 2)
    await office.crash()
    past = clock.now() - 25 * HOUR
    office.works.ledger.connection.execute("UPDATE deliveries SET created_at = ?, due_at = ?", (past, past))
    office.works.ledger.connection.execute("UPDATE channels SET failing_since = ? WHERE id = ?", (past, ops))
    receiver.script = FINE
    office.start()
    await office.until_states("delivered", "delivered", "delivered")


async def test_what_is_retried_for_too_long_is_dead_and_says_so(place: Place, receiver: Receiver) -> None:
    async with open_office(place, shared_ssl_context(), retry_max=2 * SECOND) as office:
        receiver.script = DOWN
        await office.save(receiver.url())
        for n in range(3):
            await office.raise_(office.works.ledger.host(f"nas{n}"), "a")
        await office.until_states("dead", "dead", "dead")
        said = office.works.ledger.rows("SELECT DISTINCT last_error LIKE 'gave up after 2 s: %' FROM deliveries")
        assert said == [(1,)]


async def test_what_was_refused_for_good_is_sent_again_by_hand_under_the_same_id(
    office: Office, receiver: Receiver
) -> None:
    receiver.script = replies("400 Bad Request", b'{"error": "no such room"}')
    await office.save(receiver.url())
    await office.raise_(office.works.ledger.host(), "a")
    await office.until_states("dead")
    assert office.works.ledger.value("SELECT last_error FROM deliveries") == "400 Bad Request: no such room"
    receiver.script = FINE
    delivery_id = office.works.ledger.value("SELECT id FROM deliveries")
    await office.works.commit(RetryDelivery(delivery_id, clock.now(), audit()))
    await office.until_states("delivered")
    assert [body["delivery_id"] for body in bodies(receiver)] == [delivery_id] * 2


@pytest.mark.parametrize("refusal", ["404 Not Found", "401 Unauthorized", "302 Found"])
async def test_one_refusal_that_may_be_a_proxys_costs_no_message(
    refusal: str, office: Office, receiver: Receiver
) -> None:
    host, receiver.script = office.works.ledger.host(), replies(refusal, location="http://portal.example/")
    await office.save(receiver.url())
    await office.raise_(host, "a")
    rows = office.works.ledger.rows
    await until(lambda: rows("SELECT attempts, state FROM deliveries") == [(1, "queued")])
    assert rows("SELECT last_error LIKE ? FROM deliveries", f"{refusal}%") == [(1,)]
    receiver.script = FINE
    await office.raise_(host, "b")
    await office.until_states("delivered", "delivered")
    assert rows("SELECT status_code, ok, dead FROM notification_log ORDER BY n LIMIT 1") == [(int(refusal[:3]), 0, 0)]


async def test_a_message_that_cannot_be_made_is_dead_and_takes_no_other_along(
    office: Office, receiver: Receiver
) -> None:
    """A bug, here a body that nobody can read, would otherwise crash the actor with each of its restarts."""
    host, receiver.script = office.works.ledger.host(), Gate()
    await office.save(receiver.url())
    await office.raise_(host, "a")
    await arrived(receiver, 1)
    await office.crash()
    office.works.ledger.connection.execute("UPDATE deliveries SET body = '{}'")
    receiver.script = FINE
    office.start()
    await office.until_states("dead")
    await office.raise_(host, "b")
    await office.until_states("dead", "delivered")
    assert office.works.ledger.value("SELECT last_error FROM deliveries WHERE state = 'dead'") == (
        "a bug in restic-manager: ValidationError, see its log"
    )
    assert office.works.status.restarts == 0


async def test_at_the_end_of_the_process_a_send_in_flight_may_finish(office: Office, receiver: Receiver) -> None:
    gate = receiver.script = Gate()
    await office.save(receiver.url())
    await office.raise_(office.works.ledger.host(), "a")
    await arrived(receiver, 1)
    office.closing.set()
    await office.works.settle()
    gate.opened.set()
    await office.ended.wait()
    assert office.states() == ["delivered"]


# ---- what goes over the wire


async def test_a_raise_and_its_end_that_waited_together_are_one_message_that_tells_both(
    office: Office, receiver: Receiver
) -> None:
    receiver.script = DOWN
    await office.save(receiver.url())
    alert = await office.raise_(office.works.ledger.host(), "a")
    await until(lambda: office.works.ledger.value("SELECT count(*) FROM notification_log") >= 1)
    await office.acknowledge(alert)
    await office.resolve(alert)
    receiver.script = FINE
    await office.until_states("superseded", "superseded", "delivered")
    last = bodies(receiver)[-1]
    assert (last["event"], last["actor"]) == ("alert.resolved", "rule")
    assert last["message"].startswith("Raised ")
    assert "a failed" in last["message"]
    assert "it succeeded" in last["message"]
    assert office.works.ledger.timeline(alert).count("superseded") == 2


async def test_what_follows_on_a_host_within_the_window_is_one_message(office: Office, receiver: Receiver) -> None:
    host = office.works.ledger.host()
    await office.save(receiver.url(), group_seconds=1.0)
    for subject in "abc":
        await office.raise_(host, subject)
    await office.until_states("delivered", "delivered", "delivered")
    first, together = bodies(receiver)
    assert (first["subject"], first["kind"], "group" in first) == ("a", "backup_failed", False)
    assert (together["event"], together["kind"], together["severity"]) == ("alert.raised", "multiple", "warning")
    assert list(together)[-1] == "group"
    keys = ["alert_id", "severity", "kind", "subject", "message"]
    assert [list(member) for member in together["group"]] == [keys, keys]
    assert [member["subject"] for member in together["group"]] == ["b", "c"]
    assert together["alert_id"] == together["group"][0]["alert_id"]
    assert "b failed" in together["message"]
    assert "c failed" in together["message"]


async def test_a_reminder_goes_over_the_wire_as_one(office: Office, receiver: Receiver) -> None:
    await office.save(receiver.url(), remind_hours=1e-6)
    alert = await office.raise_(office.works.ledger.host(), "a")
    await office.until_states("delivered")
    await office.works.commit(QueueReminders(clock.now() + SECOND // 100))
    await arrived(receiver, 2)
    raised, reminder = bodies(receiver)
    assert (reminder["event"], reminder["alert_id"], reminder["message"]) == ("alert.reminder", alert, "a failed")
    assert reminder["raised_at"] == raised["raised_at"]
    assert list(reminder) == list(raised)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
async def test_of_several_recipients_only_those_refused_for_now_are_mailed_again(office: Office) -> None:
    maria, li = "maria@example.org", "li@example.org"
    with mail_server() as mails:
        mails.refuse = {li: "451 try later"}
        config = {"host": "127.0.0.1", "port": mails.port, "encryption": "none", "from": maria, "to": f"{maria}, {li}"}
        await office.save_config(config, kind="smtp")
        await office.raise_(office.works.ledger.host(), "a")
        rows = office.works.ledger.rows
        await until(lambda: rows("SELECT recipients_left FROM deliveries") == [(json.dumps([li]),)])
        mails.refuse = {}
        await office.until_states("delivered")
        assert [mail.rcpt_tos for mail in mails.mails] == [[maria], [li]]
        codes = rows("SELECT attempt, ok, status_code FROM notification_log ORDER BY n")
        assert codes == [(1, 0, 451), (2, 1, 250)]
