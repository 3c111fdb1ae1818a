"""What is answered as committed is on the standby as well, also where somebody meddles with the wait for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest

from harness.postgres import PostgresServer, running_postgres
from harness.postgres_pair import running_pair
from harness.processes import eventually
from rmactors.common import ids
from rmactors.server.messages.alerts import RaiseAlert
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed
from rmactors.server.store.engines.opening import connect, open_writer
from rmactors.server.store.engines.postgres_writer import PostgresWriter
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import PostgresUrl
from rmactors.server.store.transaction import Wakeups
from tests.store.ledger import NOON, Ledger, save_start, start

Apply = Callable[[], "Future[Answer]"]
_WAITS = "SELECT pid FROM pg_stat_activity WHERE datname = 'd' AND wait_event = 'SyncRep'"
_UP = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'checkpointer' AND wait_event = 'CheckpointerMain'"
"""The checkpointer tells the others that there is somebody to wait for, and then only waits for work."""


@pytest.fixture
def alone() -> Iterator[PostgresServer]:
    """Its database is `d`; the standby that each commit waits for is not there."""
    with running_postgres(durable=True) as server:
        with closing(connect(server.new_database("d"))) as connection:
            migrate(connection)
        yield server


@contextmanager
def waiting_for_nobody(server: PostgresServer) -> Iterator[None]:
    server.stop()
    server.set(synchronous_standby_names="not_there")
    server.start()
    eventually(lambda: server.execute(_UP) == [(1,)], 60, lambda: "the checkpointer is not up")
    yield
    server.set(synchronous_standby_names="")
    server.execute("SELECT pg_reload_conf()")


def one_that_waits(server: PostgresServer) -> int:
    eventually(lambda: len(server.execute(_WAITS)) == 1, 60, lambda: "no commit waits for the standby")
    [(pid,)] = server.execute(_WAITS)
    return int(pid)


def test_a_cancelled_wait_for_the_standby_is_no_ack_and_the_repeated_commit_waits_again(alone: PostgresServer) -> None:
    place = alone.url("d", "rm")
    with closing(Ledger(place)) as ledger:
        job = save_start(start(ledger.host(), "job"), deadline_at=77)
    with ThreadPoolExecutor() as threads, closing(open_writer(place)) as writer:
        with waiting_for_nobody(alone):
            first = threads.submit(lambda: writer.apply([(job,)])[0])
            alone.execute("SELECT pg_cancel_backend(%s)", (one_that_waits(alone),))
            [failed] = first.result(60)
            assert isinstance(failed, Failed)
            assert "synchronous replication" in failed.detail
            again = threads.submit(lambda: writer.apply([(job,)])[0])
            one_that_waits(alone)  # though it is there already
            assert not again.done()
        [answer] = again.result(60)
    assert isinstance(answer, Committed | Duplicate)
    assert alone.execute("SELECT id FROM jobs", database="d") == [("job",)]


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_who_was_to_be_woken_by_a_commit_in_doubt_is_woken_by_the_next_one(alone: PostgresServer, end: str) -> None:
    place = alone.url("d", "rm")
    with closing(Ledger(place)) as ledger:
        host, channel_id = ledger.host(), ledger.channel()
    raised = RaiseAlert(ids.new(), host, "backup_failed", "plan:home", "warning", "disk on fire", NOON)
    other = save_start(start(host, "job"), deadline_at=77)
    with ThreadPoolExecutor() as threads, closing(open_writer(place)) as writer:
        with waiting_for_nobody(alone):
            first = threads.submit(lambda: writer.apply([(raised,)]))
            alone.execute(f"SELECT {end}(%s)", (one_that_waits(alone),))
            [failed], nobody = first.result(60)
        assert isinstance(failed, Failed)
        assert nobody == Wakeups()
        [answer], woken = writer.apply([(other,)])
        _, later = writer.apply([(other,)])
    assert isinstance(answer, Committed)
    assert alone.execute("SELECT count(*) FROM deliveries WHERE state = 'queued'", database="d") == [(1,)]
    assert (woken.channels, woken.deliveries) == ({channel_id}, {}), "it reads what is there"
    assert "alerts" in woken.topics
    assert all(event != "alert.raised" for _, event, _ in woken.told), "nobody knew whether it was so"
    assert later.channels == set()


def test_a_proof_that_was_not_waited_for_is_none(alone: PostgresServer) -> None:
    with ThreadPoolExecutor() as threads, closing(open_writer(alone.url("d", "rm"))) as writer:
        with waiting_for_nobody(alone):
            proof = threads.submit(writer.prove)
            alone.execute("SELECT pg_cancel_backend(%s)", (one_that_waits(alone),))
            assert "synchronous replication" in (proof.result(60) or "")
        assert writer.prove() is None


def test_after_a_failover_the_writer_goes_on_at_the_new_primary_with_all_that_was_committed() -> None:
    with running_pair() as pair:
        with closing(connect(pair.primary.new_database("d"))) as connection:
            migrate(connection)
        first, second = (server.url("d", "rm").url.partition("@")[2].partition("/")[0] for server in pair.both)
        url = pair.primary.url("d", "rm").url.replace(first, f"{first},{second}")
        place = PostgresUrl(f"{url}?target_session_attrs=read-write")
        with closing(Ledger(place)) as ledger:
            host = ledger.host()
            jobs = [save_start(start(host, f"job-{n}"), deadline_at=77) for n in range(2)]
            assert isinstance(ledger.writer, PostgresWriter)
            assert isinstance(ledger.apply(jobs[0]), Committed)
            pair.fail_over()
            [failed] = ledger.writer.apply([(jobs[1],)])[0]
            assert isinstance(failed, Failed)
            with ThreadPoolExecutor() as threads:
                again = threads.submit(lambda: ledger.writer.apply([(job,) for job in jobs])[0])
                pair.rebuild()
                answers = again.result(60)
        assert isinstance(answers[1], Committed)
        found = pair.primary.execute("SELECT id FROM jobs ORDER BY id", database="d")
    assert found == [("job-0",), ("job-1",)]
