"""The janitor over a real store: all that is old goes, in small steps, and reports go before it."""

from typing import Any

import trio

from rmactors.common import clock, ids
from rmactors.common.clock import DAY
from rmactors.server.actors import janitor
from rmactors.server.actors.janitor import LINES, STEP, Periods
from rmactors.server.messages.retention import Prune
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox
from tests.actors.works import Works, until
from tests.databases import on_sqlite_alone
from tests.store.ledger import save_start, start

PERIODS = Periods(job_logs=30, jobs=400, alerts=400, notification_log=90, audit=400)
NOW = clock.now()


class Watched:
    """The way into the store, and what went along it in what order."""

    def __init__(self, to_store: Mailbox[Commit]) -> None:
        self._to_store = to_store
        self.passed: list[object] = []

    async def send(self, message: Commit) -> None:
        self.passed += message.writes
        await self._to_store.send(message)

    def offer(self, message: Commit) -> bool:
        self.passed += message.writes
        return self._to_store.offer(message)

    @property
    def steps(self) -> list[Prune]:
        return [write for write in self.passed if isinstance(write, Prune)]


def jobs(works: Works, count: int, days_ago: float, lines: int = 0) -> list[str]:
    """Jobs that ended so long ago."""
    host_id = works.ledger.host(f"host-{ids.new()}")
    at, made = NOW - round(days_ago * DAY), [ids.new() for _ in range(count)]
    works.ledger.connection.execute("BEGIN")
    works.ledger.connection.executemany(
        "INSERT INTO jobs (id, host_id, kind, subject, status, started_at, finished_at, sort_at)"
        " VALUES (?, ?, 'backup', '', 'succeeded', ?, ?, ?)",
        [(job_id, host_id, at, at, at) for job_id in made],
    )
    works.ledger.connection.executemany(
        "INSERT INTO job_logs VALUES (?, ?, 'stdout', 'x')", [(job_id, n) for job_id in made for n in range(lines)]
    )
    works.ledger.connection.execute("COMMIT")
    return made


def count(works: Works, table: str) -> int:
    found: int = works.ledger.value(f"SELECT count(*) FROM {table}")
    return found


async def test_each_kind_goes_after_its_own_period(works: Works) -> None:
    jobs(works, 3, 401, lines=2)
    middle, new = jobs(works, 3, 31, lines=2), jobs(works, 3, 29, lines=2)
    assert await janitor.clear_up(works.to_store, works.reader, PERIODS, NOW)
    assert {job_id for (job_id,) in works.ledger.rows("SELECT id FROM jobs")} == {*middle, *new}
    assert {job_id for (job_id,) in works.ledger.rows("SELECT DISTINCT job_id FROM job_logs")} == set(new)


async def test_much_goes_in_many_small_steps_until_nothing_old_is_left(works: Works) -> None:
    jobs(works, 2 * STEP + 7, 401)
    [talkative] = jobs(works, 1, 31, lines=3 * LINES + 5)
    way: Any = Watched(works.to_store)
    assert await janitor.clear_up(way, works.reader, PERIODS, NOW)
    assert (count(works, "jobs"), count(works, "job_logs")) == (1, 0)
    assert talkative == works.ledger.value("SELECT id FROM jobs")
    of_jobs = [step for step in way.steps if step.what == "jobs"]
    assert [len(step.keys) for step in of_jobs] == [STEP, STEP, 7]
    assert len([step for step in way.steps if step.what == "job_logs"]) >= 4
    assert all(step.most <= LINES and len(step.keys) <= STEP for step in way.steps)


async def test_a_report_waits_for_one_step_at_most(works: Works) -> None:
    """Reports are sent one behind the other's answer: each finds at most one step before it in the store."""
    jobs(works, 5 * STEP, 401)
    host_id = works.ledger.host()
    way: Any = Watched(works.to_store)
    cleared = False
    async with trio.open_nursery() as nursery:

        async def report() -> None:
            while not cleared:
                job_id = ids.new()
                way.passed.append(job_id)
                await works.commit(save_start(start(host_id, job_id)))
                way.passed.append(f"{job_id} is on disk")

        nursery.start_soon(report)
        cleared = await janitor.clear_up(way, works.reader, PERIODS, NOW)
    between = 0
    for passed in way.passed:
        between = between + 1 if isinstance(passed, Prune) else 0 if str(passed).endswith("on disk") else between
        assert between <= 2, "the step that was in flight when the report came, and no more than one behind it"
    assert len([passed for passed in way.passed if str(passed).endswith("on disk")]) >= len(way.steps)
    assert count(works, "jobs WHERE status = 'succeeded'") == 0


async def test_a_store_that_takes_nothing_cuts_the_round_short_and_it_is_begun_again(works: Works) -> None:
    jobs(works, 3, 401)
    with works.ledger.locked():
        assert not await janitor.clear_up(works.to_store, works.reader, PERIODS, NOW)
    assert count(works, "jobs") == 3
    async with trio.open_nursery() as nursery:
        with works.ledger.locked():
            nursery.start_soon(janitor.run, works.to_store, works.reader, PERIODS, 0, 3600, 0.01)
            await trio.sleep(0.1)  # it has tried; whether once or often is all the same
            assert count(works, "jobs") == 3
        await until(lambda: count(works, "jobs") == 0)
        nursery.cancel_scope.cancel()


@on_sqlite_alone  # when PostgreSQL cleans up is its own affair
async def test_what_was_freed_is_used_again_so_that_the_file_stops_growing(works: Works) -> None:
    """The same load again and again: after the first time, the file is as large as it gets."""
    sizes = []
    for _ in range(5):
        jobs(works, 50, 401, lines=40)
        assert await janitor.clear_up(works.to_store, works.reader, PERIODS, NOW)
        sizes.append(works.ledger.value("PRAGMA page_count"))
    assert sizes[-1] <= sizes[0] * 1.1, sizes
