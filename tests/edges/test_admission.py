"""Those in line at the agents' port have their turn as fast as those before them are served."""

import pytest
import trio
from trio.testing import MockClock

from rmactors.server.edges.admission import BACKLOG, PACE_SECONDS, PATIENCE_SECONDS, SERVED_AT_ONCE, Admission


class Store:
    backlog = 0

    def __call__(self) -> int:
        return self.backlog


async def waited(admission: Admission) -> float:
    """Seconds until the next handful has its turn."""
    began = trio.current_time()
    await admission.turn()
    return trio.current_time() - began


@pytest.fixture
def store() -> Store:
    return Store()


async def test_the_first_handful_has_its_turn_at_once_and_the_next_a_moment_later(
    store: Store, autojump_clock: MockClock
) -> None:
    admission = Admission(store)
    await trio.sleep(1)
    assert await waited(admission) == 0
    assert [await waited(admission) for _ in range(3)] == pytest.approx([PACE_SECONDS] * 3)


async def test_nobody_has_a_turn_while_many_are_served_until_one_of_them_is(
    store: Store, autojump_clock: MockClock
) -> None:
    admission = Admission(store)
    for client in range(SERVED_AT_ONCE):
        admission.begin(client)

    async def serve_one() -> None:
        await trio.sleep(0.1)
        admission.end(7)
        admission.end(7)  # its connection ends as well

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_one)
        assert 0.1 <= await waited(admission) <= 0.1 + PACE_SECONDS
    assert len(admission) == SERVED_AT_ONCE - 1


async def test_nobody_has_a_turn_while_much_waits_for_the_store(store: Store, autojump_clock: MockClock) -> None:
    admission = Admission(store)
    store.backlog = BACKLOG + 1

    async def write() -> None:
        await trio.sleep(0.1)
        store.backlog = BACKLOG

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        assert 0.1 <= await waited(admission) <= 0.1 + PACE_SECONDS


async def test_where_nobody_is_ever_served_the_line_goes_on_slowly(store: Store, autojump_clock: MockClock) -> None:
    admission = Admission(store, served_at_once=1)
    store.backlog = BACKLOG + 1
    with admission.serve():
        for _ in range(3):
            assert PATIENCE_SECONDS <= await waited(admission) <= PATIENCE_SECONDS + 2 * PACE_SECONDS
    assert len(admission) == 0


async def test_who_leaves_while_it_is_served_is_not_counted_any_more(store: Store, autojump_clock: MockClock) -> None:
    admission = Admission(store)
    with trio.move_on_after(1):
        with admission.serve():
            assert len(admission) == 1
            await trio.sleep_forever()
    assert len(admission) == 0
