"""Long answers in pages: what is kept, where, for how long, and what becomes of those that wait for it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from rmactors.agent.live_requests import listings
from rmactors.agent.live_requests.listings import KEPT_SECONDS, MOST_KEPT, Listing, Listings
from rmactors.agent.live_requests.refusal import Refused


def entries(first: int, number: int) -> list[bytes]:
    return [f'{{"n":{n}}}'.encode() for n in range(first, first + number)]


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Listings]:
    async with trio.open_nursery() as nursery:
        made = Listings(tmp_path, nursery.start_soon)
        yield made
        made.close()
        nursery.cancel_scope.cancel()


def making(*parts: list[bytes]) -> listings.Make:
    async def make(listing: Listing) -> None:
        for part in parts:
            listing.add(part)
            await trio.lowlevel.checkpoint()

    return make


async def test_a_page_comes_as_soon_as_it_is_there_and_the_rest_follows(kept: Listings) -> None:
    more = trio.Event()

    async def make(listing: Listing) -> None:
        listing.add(entries(0, 11))
        await more.wait()
        listing.add(entries(11, 2))

    listing = kept.open("a", make)
    assert await listing.page(0, 10) == (entries(0, 10), True)
    assert not listing.done
    more.set()
    assert await listing.page(10, 10) == (entries(10, 3), False)
    assert await listing.page(13, 10) == ([], False)
    assert await listing.page(100, 10) == ([], False)


async def test_any_page_of_a_long_list_is_found_and_lies_in_a_file_without_a_name(
    kept: Listings, tmp_path: Path
) -> None:
    number = 100_000
    listing = kept.open("a", making(*(entries(n, 1000) for n in range(0, number, 1000))))
    for start in (0, 1, 499, 500, 501, 77_777, number - 3):
        assert await listing.page(start, 7) == (entries(start, min(7, number - start)), start + 7 < number)
    files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_is_there(fd)]
    assert [file for file in files if file.startswith(str(tmp_path))], "it is too long for the memory"
    assert os.listdir(tmp_path) == []


def fd_is_there(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


async def test_entries_begin_with_what_is_said_behind_them(kept: Listings) -> None:
    async def make(listing: Listing) -> None:
        listing.add([b"1}", b"2}"], whole=False)
        listing.add([b"3}"], whole=False)
        assert listing.count == 0, "not before it is said"
        listing.begin_with(b'{"a",')
        listing.begin_with(b"nothing came before it")
        listing.add([b"4}"], whole=False)
        listing.begin_with(b'{"b",')

    listing = kept.open("a", make)
    assert await listing.page(0, 3) == ([b'{"a",1}', b'{"a",2}', b'{"a",3}'], True)
    assert await listing.page(1, 9) == ([b'{"a",2}', b'{"a",3}', b'{"b",4}'], False)
    assert await listing.page(3, 9) == ([b'{"b",4}'], False)


async def test_a_page_of_long_entries_has_fewer_of_them(kept: Listings) -> None:
    long = [b"x" * 400_000] * 5
    listing = kept.open("a", making(long))
    assert await listing.page(0, 5) == (long[:2], True)
    assert await listing.page(2, 5) == (long[:2], True)
    assert await listing.page(4, 5) == (long[:1], False)
    one = [b"x" * 2_000_000]
    assert await kept.open("b", making(one)).page(0, 5) == (one, False), "what is too long alone is told elsewhere"


async def test_what_could_not_be_had_is_said_where_the_entries_end_and_is_tried_again(kept: Listings) -> None:
    async def make(listing: Listing) -> None:
        listing.add(entries(0, 15))
        raise Refused("failed", "the connection broke")

    listing = kept.open("a", make)
    assert (await listing.page(0, 10))[1]
    with pytest.raises(Refused, match="the connection broke"):
        await listing.page(10, 10)
    assert kept.get("a") is None
    assert await kept.open("a", making(entries(0, 3))).page(0, 10) == (entries(0, 3), False)


async def test_a_bug_is_told_and_ends_nothing_else(kept: Listings) -> None:
    async def make(listing: Listing) -> None:
        raise KeyError("x")

    with pytest.raises(Refused, match="an internal error of the agent"):
        await kept.open("a", make).page(0, 10)


async def test_a_list_that_nobody_waits_for_any_more_is_not_made(kept: Listings) -> None:
    ended = trio.Event()

    async def make(listing: Listing) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    listing = kept.open("a", make)
    async with trio.open_nursery() as nursery:
        first, second = trio.CancelScope(), trio.CancelScope()

        async def wait(scope: trio.CancelScope) -> None:
            with scope:
                await listing.page(0, 10)

        nursery.start_soon(wait, first)
        nursery.start_soon(wait, second)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not ended.is_set(), "somebody else waits for it"
        second.cancel()
    await ended.wait()
    assert kept.get("a") is None


async def test_what_is_closed_is_told_to_those_that_wait(kept: Listings) -> None:
    async def make(listing: Listing) -> None:
        await trio.sleep_forever()

    listing = kept.open("a", make)
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(Refused, match="called off"):
                await listing.page(0, 10)

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        kept.close()
    listing.add(entries(0, 1))
    assert listing.count == 0, "what still comes of it is dropped"


async def test_a_list_is_kept_for_some_minutes_after_its_last_page(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        kept = Listings(tmp_path, nursery.start_soon)
        listing = kept.open("a", making(entries(0, 3)))
        await listing.page(0, 10)
        mock_clock.jump(KEPT_SECONDS - 1)
        kept.drop_idle()
        assert kept.get("a") is listing
        await listing.page(0, 10)
        mock_clock.jump(KEPT_SECONDS - 1)
        kept.drop_idle()
        assert kept.get("a") is listing
        mock_clock.jump(1)
        kept.drop_idle()
        assert kept.get("a") is None
        nursery.cancel_scope.cancel()


async def test_few_lists_are_kept_and_the_oldest_goes_unless_it_is_waited_for(kept: Listings) -> None:
    async def wait_forever(listing: Listing) -> None:
        await trio.sleep_forever()

    waited_for = kept.open("waited for", wait_forever)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waited_for.page, 0, 1)
        await trio.testing.wait_all_tasks_blocked()
        for number in range(MOST_KEPT + 3):
            await kept.open(number, making(entries(0, 1))).page(0, 1)
            await kept.open(0, making(entries(0, 1))).page(0, 1)
        nursery.cancel_scope.cancel()
        assert kept.get("waited for") is waited_for
    there = [number for number in range(MOST_KEPT + 3) if kept.get(number) is not None]
    assert len(there) == MOST_KEPT - 1
    assert there[0] == 0, "it was asked for again and again"
    assert there[-1] == MOST_KEPT + 2


@pytest.mark.parametrize(("name", "bound"), [("MOST_ENTRIES", 15), ("MOST_BYTES", 150)])
async def test_there_is_an_end_to_a_list(
    kept: Listings, monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(listings, name, bound)
    listing = kept.open("a", making(entries(0, 10), entries(10, 10)))
    assert await listing.page(0, 5) == (entries(0, 5), True)
    with pytest.raises(Refused, match="there is more than this agent lists: the first 10 entries were shown"):
        await listing.page(5, 5)


async def test_a_disk_that_is_nearly_full_is_left_to_the_reports(
    kept: Listings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LEAST_FREE", 1 << 60)
    assert (await kept.open("short", making([b"x" * 1_000_000])).page(0, 1))[0]
    with pytest.raises(Refused, match=f"a long list cannot be kept in {tmp_path}: its disk is nearly full"):
        await kept.open("long", making([b"x" * 2_000_000])).page(0, 1)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        kept = Listings(tmp_path / "gone", nursery.start_soon)
        assert (await kept.open("short", making([b"x"])).page(0, 1))[0]
        with pytest.raises(Refused, match=r"a long list cannot be kept in .*/gone: No such file or directory"):
            await kept.open("long", making([b"x" * 2_000_000])).page(0, 1)
        kept.close()
        nursery.cancel_scope.cancel()
