"""Mails that a server takes for one recipient and refuses another one for now: a full mailbox, greylisting.

No time goes by here but where that is said, so nothing that arrives has waited for a pause.
"""

from collections import Counter
from functools import partial

import pytest
from trio.testing import MockClock

from rmactors.server.runtime import mailbox
from tests.actors.office import Office
from tests.actors.works import until
from tests.channels.mailservers import Post, mail_server

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock(rate=0.0)


@pytest.fixture(autouse=True)
def no_outcome_waits_for_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "LATE_SECONDS", 0.0)


MARIA, LI = "maria@example.org", "li@example.org"


def settings(post: Post) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": post.port, "encryption": "none", "from": "a@b.example", "to": f"{MARIA},{LI}"}


async def test_who_can_have_thirty_alerts_has_them_without_a_pause_and_the_other_one_gets_them_later(
    office: Office, mock_clock: MockClock
) -> None:
    rows = office.works.ledger.rows
    with mail_server() as post:
        post.refuse = {LI: "452 4.2.2 mailbox full"}
        await office.save_config(settings(post), kind="smtp")
        host = office.works.ledger.host()
        for n in range(30):
            await office.raise_(host, f"s{n}")
        await until(lambda: len(post.mails) == 30, lambda: f"to 30 mails: {len(post.mails)}")
        log = partial(rows, "SELECT error FROM notification_log")
        await until(lambda: len(log()) == 30, lambda: f"to 30 attempts: {Counter(log())}")
        assert Counter(tuple(mail.rcpt_tos) for mail in post.mails) == {(MARIA,): 30}
        assert Counter(office.states()) == {"queued": 30}
        assert rows("SELECT failing_since, last_fired_at IS NULL, last_error FROM channels") == [
            (None, 0, f"{LI} refused for now (452 4.2.2 mailbox full)")
        ]
        post.refuse = {}
        mock_clock.rate = 1.0
        await office.until_done()
        assert Counter(tuple(mail.rcpt_tos) for mail in post.mails) == {(MARIA,): 30, (LI,): 30}
    assert rows("SELECT failing_since, last_error FROM channels") == [(None, None)]


async def test_a_resolution_reaches_who_has_the_raise_while_the_other_one_waits_for_it(
    office: Office, mock_clock: MockClock
) -> None:
    with mail_server() as post:
        post.refuse = {LI: "450 4.2.0 greylisted"}
        await office.save_config(settings(post), kind="smtp")
        alert = await office.raise_(office.works.ledger.host(), "a")
        await until(lambda: len(post.mails) == 1)
        await until(lambda: len(office.works.ledger.rows("SELECT 1 FROM notification_log")) == 1)
        await office.resolve(alert)
        await until(lambda: len(post.mails) == 2)
        assert [mail.rcpt_tos for mail in post.mails] == [[MARIA], [MARIA]]
        assert b"(resolved)" in (post.mails[1].content or b"")
