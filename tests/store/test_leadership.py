"""The lease: who has it, who may write, and what a database that was set back makes of both."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from rmactors.server.messages.answers import Committed, Failed
from rmactors.server.messages.facts import Pulse
from rmactors.server.store import leadership
from rmactors.server.store.database import Connection
from rmactors.server.store.engines.opening import connect, open_writer
from rmactors.server.store.place import PostgresUrl
from tests.store.ledger import NOON


@pytest.fixture
def db(postgres_place: PostgresUrl) -> Iterator[Connection]:
    with closing(connect(postgres_place)) as connection:
        yield connection


def takes(db: Connection, name: str, seconds: float = 600.0) -> int:
    turn = leadership.take(db, name, f"https://{name}.example.org", seconds)
    assert turn is not None
    return turn


def commits(database: PostgresUrl, turn: int) -> bool:
    """Whether a writer of that turn is let in."""
    with closing(open_writer(database, turn=turn)) as writer:
        [answer], _ = writer.apply([(Pulse(NOON),)])
    assert isinstance(answer, Committed | Failed)
    return isinstance(answer, Committed)


def test_a_lease_is_taken_once_it_has_run_out_or_was_given_back(db: Connection) -> None:
    first = takes(db, "a")
    assert leadership.take(db, "b", "", 600) is None
    assert leadership.renew(db, first, 600)
    leadership.give_back(db, first)
    second = takes(db, "b", 0.0)
    assert leadership.look(db).epoch == 2
    assert second != first
    takes(db, "c")


def test_who_led_before_neither_renews_nor_writes(db: Connection, postgres_place: PostgresUrl) -> None:
    first = takes(db, "a", 0.0)
    assert commits(postgres_place, first), "nobody has taken it yet"
    second = takes(db, "b")
    assert not leadership.renew(db, first, 600)
    leadership.give_back(db, first)
    assert leadership.look(db).left > 0, "it is not his to give"
    assert (commits(postgres_place, first), commits(postgres_place, second)) == (False, True)


def test_two_leaders_never_have_the_same_turn_though_the_tables_were_set_back(
    db: Connection, postgres_place: PostgresUrl
) -> None:
    """As by a failover to a standby that had not got the last commits."""
    first = takes(db, "a", 0.0)
    lost = takes(db, "b", 0.0)
    db.execute("UPDATE leader SET epoch = 1, node = 'a'")
    db.execute("UPDATE turn SET number = ?", (first,))
    third = takes(db, "c")
    assert leadership.look(db).epoch == 2, "as b's was"
    assert not leadership.renew(db, lost, 600)
    assert (commits(postgres_place, lost), commits(postgres_place, third)) == (False, True)
