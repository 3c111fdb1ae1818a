"""What a PostgreSQL is asked before a server starts on it, and what follows.

Some are set up wrong in one way each; what takes a second machine is the judgement alone.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.postgres import PostgresServer, needed_programs, running_postgres
from harness.processes import eventually
from rmactors.common import clock
from rmactors.common.clock import SECOND
from rmactors.server.messages.answers import Committed, Failed
from rmactors.server.messages.facts import Pulse
from rmactors.server.store.database import PostgresError
from rmactors.server.store.engines.opening import connect, open_writer
from rmactors.server.store.engines.postgres_facts import Leader, ServerFacts, findings, read, unfit
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import PostgresUrl
from tests.databases import PostgresDatabases

GOOD = ServerFacts(
    version=15, encoding="UTF8", binary_order=True, standby=False, role="rm", may_create=True, has_tables=True,
    fsync=True, synchronous_commit="on", standbys="", replicas=(), leader=None, size=1, clock_off=0,
)  # fmt: skip


def facts_of(place: PostgresUrl) -> ServerFacts:
    with closing(connect(place)) as db:
        return read(db, clock.now)


@pytest.fixture
def server(postgres_databases: PostgresDatabases) -> PostgresServer:
    return postgres_databases.server


@contextmanager
def database(server: PostgresServer, how: str, owner: str = "rm") -> Iterator[PostgresUrl]:
    name = f"facts{os.urandom(4).hex()}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER {owner} {how}")
    try:
        yield server.url(name, "rm")
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


# ---- real ones


def test_a_good_one_is_fit_before_and_after_its_first_start(server: PostgresServer) -> None:
    with database(server, "ENCODING 'UTF8' LOCALE 'C'") as place:
        found = facts_of(place)
        assert list(unfit(found)) == []
        assert (found.has_tables, found.leader, found.role, found.standby) == (False, None, "rm", False)
        assert found.version >= 15
        assert found.size > 1_000_000
        assert abs(found.clock_off) < SECOND
        with closing(connect(place)) as db:
            migrate(db)
            db.execute("UPDATE leader SET node = 'rm1', url = 'http://rm1', until_at = ?", (clock.now() + 60 * SECOND,))
        assert facts_of(place).leader == Leader("rm1", "http://rm1", leads=True)
        with closing(connect(place)) as db:
            db.execute("UPDATE leader SET until_at = ?", (clock.now() - SECOND,))
        assert facts_of(place).leader == Leader("rm1", "http://rm1", leads=False)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("ENCODING 'LATIN1' LOCALE 'C'", "the database keeps texts as LATIN1 instead of UTF8"),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'", "the database orders texts by the rules of a language"),
    ],
)
def test_a_database_that_was_made_otherwise_says_how_to_make_it(server: PostgresServer, how: str, said: str) -> None:
    with database(server, how) as place:
        [found] = unfit(facts_of(place))
    assert found.startswith(said)
    assert found.endswith("make another one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")


def test_a_role_that_may_make_no_tables(server: PostgresServer) -> None:
    with database(server, "", owner="admin") as place:
        [found] = unfit(facts_of(place))
    assert found == (
        "the role rm may not create tables here: make it the database's owner with ALTER DATABASE … OWNER TO rm"
    )


def test_the_clock_is_compared_with_the_databases(server: PostgresServer) -> None:
    with database(server, "") as place, closing(connect(place)) as db:
        off = read(db, lambda: clock.now() - 11 * SECOND).clock_off
    assert -12 * SECOND < off < -10 * SECOND


@pytest.fixture(scope="module")
def durable() -> Iterator[PostgresServer]:
    with running_postgres(durable=True, synchronous_standby_names="") as running:
        yield running


def test_one_with_a_synchronous_standby_and_without(durable: PostgresServer, tmp_path: Path) -> None:
    place = durable.new_database("facts")

    def said() -> list[tuple[bool | None, str]]:
        return list(findings(facts_of(durable.url("facts")), require_sync=True))

    with closing(connect(place)) as db:
        migrate(db)
    with closing(open_writer(place, require_sync=True)) as writer, closing(open_writer(place)) as careless:
        proof = (Pulse(1),)
        [failed] = writer.apply([proof])[0]
        assert isinstance(failed, Failed)
        assert failed.detail == "no commit waits for a standby, and RM_REQUIRE_SYNC asks for one"
        assert writer.prove() == failed.detail
        assert isinstance(careless.apply([proof])[0][0], Committed)
    [fault, _] = said()
    assert fault[0] is False
    assert fault[1].startswith("RM_REQUIRE_SYNC is true, and no commit waits for a standby")
    receiver = subprocess.Popen(
        [needed_programs() / "pg_receivewal", "-D", tmp_path, "--synchronous", "--no-loop",
         "-d", f"{durable.url('postgres').url}&application_name=w1"]
    )  # fmt: skip
    try:
        eventually(lambda: facts_of(durable.url("facts")).replicas == ("async",), 30, lambda: durable.log[-2000:])
        [(ok, text), _] = findings(facts_of(durable.url("facts")), require_sync=False)
        assert ok is None
        assert "replication is asynchronous" in text
        durable.execute("ALTER SYSTEM SET synchronous_standby_names = 'w1'")
        durable.execute("SELECT pg_reload_conf()")
        eventually(lambda: facts_of(durable.url("facts")).replicas == ("sync",), 30, lambda: durable.log[-2000:])
        assert said()[0] == (True, "replication is synchronous (synchronous_standby_names is w1)")
        [(ok, text), _] = findings(facts_of(place), require_sync=True)
        assert ok is None
        assert "grant pg_monitor to the role" in text
        with closing(open_writer(place, require_sync=True)) as writer:
            assert isinstance(writer.apply([proof])[0][0], Committed)
    finally:
        receiver.terminate()
        receiver.wait(30)
    eventually(lambda: facts_of(durable.url("facts")).replicas == (), 30, lambda: durable.log[-2000:])
    ok, text = said()[0]
    assert ok is False
    assert "no such standby is connected: nothing can be committed" in text


def test_a_standby_is_no_place_to_start_on(durable: PostgresServer) -> None:
    durable.stop()
    signal = durable.data / "standby.signal"
    signal.touch()
    owner = durable.data.stat()
    os.chown(signal, owner.st_uid, owner.st_gid)
    durable.start()
    [found] = unfit(facts_of(durable.url()))
    assert found.startswith("this PostgreSQL is a standby, which takes no writes: name the primary")
    assert "target_session_attrs=read-write" in found


def test_while_a_host_does_not_answer_the_rest_of_the_process_goes_on() -> None:
    """A machine that is cut off takes seconds to give up on: the event loop cannot stand still for them."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = PostgresUrl(f"postgresql://rm@127.0.0.1:{silent.getsockname()[1]}/rm?connect_timeout=2")
        said: list[str] = []

        def reach() -> None:
            try:
                connect(url)
            except PostgresError as error:
                said.append(str(error))

        reaching = threading.Thread(target=reach)
        reaching.start()
        turns = 0
        while reaching.is_alive():
            reaching.join(0.05)
            turns += 1
    assert turns > 10
    assert said == ["PostgreSQL cannot be reached: connection timeout expired"]


# ---- the judgement alone


def test_of_a_good_one_nothing_is_said_but_that_it_is_good() -> None:
    assert list(unfit(GOOD)) == []
    assert list(findings(GOOD, require_sync=False)) == [
        (True, "PostgreSQL has no standby: what is committed is safe on its own disk"),
        (True, "the clocks here and of PostgreSQL agree"),
    ]


def test_an_old_one_is_refused() -> None:
    assert list(unfit(replace(GOOD, version=14))) == ["PostgreSQL 14 is too old: use version 15 or newer"]


@pytest.mark.parametrize(
    ("facts", "ok", "said"),
    [
        (replace(GOOD, fsync=False), False, "fsync is off in PostgreSQL"),
        (replace(GOOD, synchronous_commit="off"), False, "synchronous_commit is off in PostgreSQL"),
        (replace(GOOD, synchronous_commit="local", standbys="w1", replicas=("sync",)), None, "is asynchronous"),
        (replace(GOOD, replicas=("async", "async")), None, "replication is asynchronous"),
        (replace(GOOD, replicas=(None,)), None, "replication is asynchronous"),
        (replace(GOOD, standbys="ANY 1 (*)", replicas=("quorum", "quorum")), True, "replication is synchronous"),
        (replace(GOOD, standbys="w1", replicas=("async",)), False, "no such standby is connected"),
        (replace(GOOD, standbys="w1", replicas=(None,)), None, "cannot be seen: grant pg_monitor"),
        (replace(GOOD, clock_off=2 * SECOND + 1), None, "the clock here is 2.0 s ahead of PostgreSQL's"),
        (replace(GOOD, clock_off=-2 * SECOND), True, "the clocks here and of PostgreSQL agree"),
        (replace(GOOD, clock_off=-11 * SECOND), False, "the clock here is 11.0 s behind PostgreSQL's"),
    ],
)
def test_what_may_be_wrong_is_a_fault_or_a_note(facts: ServerFacts, ok: bool | None, said: str) -> None:
    found = [(ok, text) for ok, text in findings(facts, require_sync=False) if said in text]
    assert [each[0] for each in found] == [ok]


@pytest.mark.parametrize(
    "facts", [GOOD, replace(GOOD, replicas=("async",)), replace(GOOD, standbys="w1", synchronous_commit="local")]
)
def test_who_requires_a_standby_and_has_none_is_told(facts: ServerFacts) -> None:
    [(ok, text), _] = findings(facts, require_sync=True)
    assert ok is False
    assert "nothing is taken in" in text
