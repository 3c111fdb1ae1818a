"""Mail servers that have the whole mail and take minutes to answer: looking for viruses, as a rule.

The server is a real one; its minutes are jumps of the clock by which a channel's patience goes.
"""

import threading
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
import trio
from aiosmtpd.smtp import Envelope
from trio.testing import MockClock

from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.store.load_channels import load_due
from tests.actors.office import Office
from tests.actors.works import until
from tests.channels.mailservers import Post, mail_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")

ALL_IN_ALL = 10
"""Seconds for a mail up to its final dot."""
MINUTES = 8 * 60


@pytest.fixture
def mails() -> Iterator[Post]:
    with mail_server() as post:
        yield post


@pytest.fixture
async def ops(mails: Post, mock_clock: MockClock, office: Office) -> AsyncIterator[str]:
    yield await office.save_config(settings(mails), kind="smtp")
    mails.answer()


def settings(mails: Post, **changes: Any) -> dict[str, Any]:
    made = {"host": "127.0.0.1", "port": mails.port, "encryption": "none", "from": "a@example.org"}
    return {**made, "to": "maria@example.org", **changes}


def about(envelope: Envelope) -> str:
    """The first word of what it tells: an alert's subject, or of a resolution `it resolved`."""
    assert isinstance(envelope.content, bytes)
    mail = message_from_bytes(envelope.content, policy=policy.default)
    end = " resolved" if "(resolved)" in mail["Subject"] else ""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).split()[0] + end


async def pondered(mails: Post, *subjects: str) -> None:
    await until(lambda: sorted(map(about, mails.pondered)) == sorted(subjects), lambda: f"{mails.pondered}")


def health(office: Office) -> tuple[Any, ...]:
    (found,) = office.works.ledger.rows("SELECT failing_since, last_error FROM channels")
    return tuple(found)


async def test_a_server_that_takes_minutes_gets_the_mail_once_and_nothing_is_called_wrong(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: True
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    for seconds in (ALL_IN_ALL + 2, MINUTES):
        mock_clock.jump(seconds)
        await office.works.settle()
    assert (office.states(), health(office)) == (["queued"], (None, None))
    mails.answer()
    await office.until_states("delivered")
    assert [about(mail) for mail in mails.mails] == ["a"]
    assert office.works.ledger.rows("SELECT attempt, ok, status_code FROM notification_log") == [(1, 1, 250)]


async def test_the_other_messages_of_the_channel_go_out_meanwhile(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    host, slow = office.works.ledger.host(), [f"slow{n}" for n in range(8)]
    mails.ponders = lambda content: b"slow" in content
    for subject in slow:
        await office.raise_(host, subject)
    await until(lambda: len(mails.pondered) == 4)  # so many conversations at once
    await office.raise_(host, "quick")
    mock_clock.jump(ALL_IN_ALL)
    await pondered(mails, *slow)
    mock_clock.jump(ALL_IN_ALL)
    await until(lambda: [about(mail) for mail in mails.mails] == ["quick"])
    mock_clock.jump(MINUTES)
    await office.works.settle()
    mails.answer()
    await office.until_done()
    assert sorted(map(about, mails.mails)) == ["quick", *slow]


async def test_what_follows_on_the_same_alert_waits_for_the_answer_so_that_it_stays_in_order(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: True
    alert = await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL + 2)
    await office.resolve(alert)
    await office.works.settle()
    mock_clock.jump(MINUTES)
    await office.works.settle()
    assert len(mails.pondered) == 1
    mails.answer()
    await office.until_states("delivered", "delivered")
    assert [about(mail) for mail in mails.mails] == ["a", "it resolved"]


async def test_an_answer_that_never_comes_is_waited_for_ten_minutes_and_then_the_mail_is_sent_again(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: not mails.pondered
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL)
    await office.works.settle()
    mock_clock.jump(500)
    await office.works.settle()
    assert health(office) == (None, None)
    for seconds in (101, 10):
        mock_clock.jump(seconds)
        await office.works.settle()
    await office.until_states("delivered")
    errors = office.works.ledger.rows("SELECT error FROM notification_log ORDER BY n")
    assert errors == [("the server has the whole mail, and no answer within 610 s: it may arrive",), (None,)]
    ids = [message_from_bytes(mail.content or b"")["Message-ID"] for mail in (*mails.pondered, *mails.mails)]
    assert len(ids) == 2
    assert len(set(ids)) == 1, "anyone who has it twice can see that"


async def test_an_answer_that_came_while_this_process_stood_still_is_read_though_its_time_is_over(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: True
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL)
    await office.works.settle()
    mails.answer()
    mock_clock.jump(MINUTES * 2)  # nothing of this process ran in between
    await office.until_states("delivered")
    assert [about(mail) for mail in mails.mails] == ["a"]


async def test_the_end_of_the_process_does_not_wait_for_an_answer_and_the_mail_is_sent_again_after_the_start(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: not mails.pondered
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL + 2)
    await office.works.settle()
    office.closing.set()
    await office.works.settle()
    mock_clock.jump(2)
    with trio.fail_after(120):
        await office.ended.wait()
    assert office.states() == ["queued"]
    office.start()
    await office.until_states("delivered")
    assert [about(mail) for mail in (*mails.pondered, *mails.mails)] == ["a", "a"]


async def test_a_change_of_the_channel_neither_waits_for_an_answer_nor_sends_the_mail_again(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    host = office.works.ledger.host()
    mails.ponders = lambda content: b"slow" in content
    alert = await office.raise_(host, "slow")
    await pondered(mails, "slow")
    await office.save_config(settings(mails, to="li@example.org"), ops, kind="smtp")
    mock_clock.jump(ALL_IN_ALL + 2)
    await office.raise_(host, "next")
    await until(lambda: [about(mail) for mail in mails.mails] == ["next"])
    await office.resolve(alert)
    mock_clock.jump(MINUTES)
    await office.works.settle()
    assert len(mails.pondered) == 1
    mails.answer()
    await office.until_done()
    assert [(about(mail), mail.rcpt_tos) for mail in mails.mails] == [
        ("next", ["li@example.org"]),
        ("slow", ["maria@example.org"]),
        ("it resolved", ["li@example.org"]),
    ]
    assert office.states() == ["delivered"] * 3


async def test_an_answer_that_comes_while_the_next_actor_reads_its_queue_is_no_reason_to_send_the_mail_again(
    office: Office, mails: Post, ops: str, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails.ponders = lambda _: not mails.pondered
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL + 2)
    await office.works.settle()
    has_read, go_on = threading.Event(), threading.Event()

    def slowly(*about: Any) -> Any:
        found = load_due(*about)
        has_read.set()
        assert go_on.wait(120)
        return found

    monkeypatch.setattr(delivery, "load_due", slowly)
    await office.save_config(settings(mails), ops, kind="smtp", name="another")
    await until(has_read.is_set)
    mails.answer()
    await office.until_states("delivered")
    await office.works.settle()
    go_on.set()
    await office.raise_(office.works.ledger.host("nas2"), "b")
    await office.until_done()
    assert [about(mail) for mail in mails.mails] == ["a", "b"]


async def test_a_disabled_channels_last_mail_is_still_answered_and_called_delivered(
    office: Office, mails: Post, ops: str, mock_clock: MockClock
) -> None:
    mails.ponders = lambda _: True
    await office.raise_(office.works.ledger.host(), "a")
    await pondered(mails, "a")
    mock_clock.jump(ALL_IN_ALL + 2)
    await office.works.settle()
    for enabled in (False, True):
        await office.save_config(settings(mails), ops, kind="smtp", enabled=enabled, queued="drop")
        await office.works.settle()
    assert office.states() == ["dead"]
    mails.answer()
    await office.until_states("delivered")
    assert len(mails.mails) == 1
