"""The first of several ends them all."""

import pytest
import trio

from rmactors.common.race import race


async def one() -> int:
    return 1


async def fails() -> None:
    raise ValueError("no")


async def test_the_result_is_mains_if_main_ends_first() -> None:
    assert await race(one, trio.sleep_forever, trio.sleep_forever) == 1
    assert await race(one) == 1


async def test_there_is_no_result_if_another_ends_first() -> None:
    assert await race(trio.sleep_forever, trio.sleep_forever, one) is None


async def test_a_lock_that_main_took_is_the_callers() -> None:
    lock = trio.Lock()

    async def acquire() -> bool:
        await lock.acquire()
        return True

    assert await race(acquire, trio.sleep_forever)
    lock.release()


async def test_what_one_of_them_raises_ends_the_others() -> None:
    with pytest.RaisesGroup(ValueError):
        await race(trio.sleep_forever, fails)
