"""The watchdog: it fetches while all is well, and falls silent when something is not."""

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio

from rmactors.common import clock, ids
from rmactors.server.actors import watchdog
from rmactors.server.messages.notifications import Attempt
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place, PostgresUrl
from rmactors.server.store.reader import Reader


class Monitor:
    """Counts the fetches, and the looks at the server's health: each begins with one."""

    def __init__(self, healthy: bool = True) -> None:
        self.looks = 0
        self.fetched = 0
        self.fetched_in_three_looks = 0
        self.fourth_look = trio.Event()
        self._healthy = healthy

    async def fetch(self) -> Attempt:
        self.fetched += 1
        return Attempt("delivered", 200, 1.0)

    def healthy(self) -> bool:
        self.looks += 1
        if self.looks == 4:
            self.fetched_in_three_looks = self.fetched
            self.fourth_look.set()
        return self._healthy


def queue_a_delivery(place: Place, age: int) -> None:
    channel, at = ids.new(), clock.now() - age
    with closing(connect(place)) as connection:
        connection.execute(
            "INSERT INTO channels (id, kind, name, enabled, config, min_severity, events, host_tags, group_seconds,"
            " remind_hours, created_at, updated_at)"
            " VALUES (?, 'webhook', 'ops', 1, ?, 'info', '[]', '[]', 0, 0, 0, 0)",
            (channel, b"\0"),
        )
        connection.execute(
            "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state, created_at,"
            " due_at)"
            " VALUES (?, ?, 'a', 'h', 'alert.raised', 1, 1, '{}', 'queued', ?, ?)",
            (ids.new(), channel, at, at),
        )


async def fetches_in_three_looks(place: Place, monitor: Monitor) -> int:
    """Runs the real actor, looking every 10 ms, until it has looked three times."""
    with trio.fail_after(30), closing(Reader(place)) as reader:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(watchdog.run, monitor.fetch, monitor.healthy, reader, every=0.01))
            await monitor.fourth_look.wait()
            nursery.cancel_scope.cancel()
    return monitor.fetched_in_three_looks


@pytest.fixture
def prepared(place: Place) -> Place:
    with closing(connect(place)) as connection:
        migrate(connection)
    return place


async def test_it_fetches_again_and_again_while_all_is_well(prepared: Place) -> None:
    assert await fetches_in_three_looks(prepared, Monitor()) == 3


async def test_it_falls_silent_while_something_is_down(prepared: Place) -> None:
    assert await fetches_in_three_looks(prepared, Monitor(healthy=False)) == 0


async def test_it_falls_silent_while_a_notification_waits_for_more_than_ten_minutes(prepared: Place) -> None:
    queue_a_delivery(prepared, 11 * clock.MINUTE)
    assert await fetches_in_three_looks(prepared, Monitor()) == 0


async def test_a_notification_that_waits_for_a_minute_is_no_reason_to_fall_silent(prepared: Place) -> None:
    queue_a_delivery(prepared, clock.MINUTE)
    assert await fetches_in_three_looks(prepared, Monitor()) == 3


@pytest.mark.parametrize("url", [None, "postgresql://rm@/rm?host={}"])
async def test_it_falls_silent_where_the_database_cannot_be_read(tmp_path: Path, url: str | None) -> None:
    missing: Place = PostgresUrl(url.format(tmp_path)) if url else tmp_path / "missing.db"
    assert await fetches_in_three_looks(missing, Monitor()) == 0
