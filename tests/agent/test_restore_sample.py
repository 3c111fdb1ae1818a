"""Which files a restore test takes, and how a listing of restic's is read: pure functions."""

import json
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.agent.restore_test.listed import LONGEST_LINE, Listing, nanoseconds
from rmactors.agent.restore_test.sampling import AGES, SIZES, Entry, Sampler

DAY = 86_400 * 10**9
NOW = 20_000 * DAY
HUGE = 1 << 60

sizes = st.one_of(st.integers(0, 5_000), st.integers(0, 1 << 40))
times = st.one_of(st.none(), st.integers(NOW - 800 * DAY, NOW + DAY), st.integers(-HUGE, HUGE))
listings = st.lists(st.tuples(sizes, times), max_size=150)


def entries(listing: list[tuple[int, int | None]]) -> list[Entry]:
    return [Entry(f"/{n}", size, mtime, mtime) for n, (size, mtime) in enumerate(listing)]


def draw(listed: list[Entry], files: int, size: int, seed: int = 0) -> list[Entry]:
    sampler = Sampler(files, size, NOW, Random(seed))
    for entry in listed:
        sampler.take(entry)
    return sampler.draw()


def of_each_stratum(count: int) -> list[Entry]:
    """So many files of each class of size and age."""
    kinds = [(size, days) for size in (0, *SIZES) for days in (0, *AGES)]
    return [
        Entry(f"/{size}/{days}/{n}", size, NOW - (2 * days + 1) * DAY // 2, None)
        for size, days in kinds
        for n in range(count)
    ]


@given(listings, st.integers(1, 200), st.integers(1, 1 << 41), st.integers(0, 9))
def test_a_sample_keeps_its_bounds_and_holds_no_file_twice(
    listing: list[tuple[int, int | None]], files: int, size: int, seed: int
) -> None:
    listed = entries(listing)
    drawn = draw(listed, files, size, seed)
    assert len(drawn) <= files
    assert sum(entry.size for entry in drawn) <= size
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(listed)
    assert drawn == draw(listed, files, size, seed), "the same numbers give the same sample"


@given(listings, st.integers(1, 200), st.integers(1, 1 << 41), st.integers(0, 9))
def test_nothing_that_would_still_fit_is_left_out(
    listing: list[tuple[int, int | None]], files: int, size: int, seed: int
) -> None:
    listed = entries(listing)
    drawn = draw(listed, files, size, seed)
    left = size - sum(entry.size for entry in drawn)
    others = set(listed) - set(drawn)
    if len(listed) <= files:  # then each is still known
        assert all(entry.size > left for entry in others)
    assert bool(drawn) == any(entry.size <= size for entry in listed)


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_large_and_small_old_and_new_take_part(seed: int) -> None:
    listed = of_each_stratum(3) + [Entry(f"/small/{n}", 100, NOW - DAY // 2, None) for n in range(2_000)]
    drawn = draw(listed, 20, HUGE, seed)
    by_size = {entry.size: [e for e in drawn if e.size == entry.size] for entry in of_each_stratum(1)}
    assert all(len(found) in (3, 4) for size, found in by_size.items() if size)
    ages = [round((NOW - entry.mtime) / DAY) for entry in drawn if entry.mtime is not None]
    assert len(set(ages)) == len(AGES) + 1
    assert len(draw(listed, len(SIZES) + 1, HUGE, seed)) == len({e.size for e in draw(listed, 6, HUGE, seed)}) == 6


def test_one_large_file_leaves_room_for_others() -> None:
    large, small = Entry("/large", 900, NOW, None), [Entry(f"/{n}", 200, NOW, None) for n in range(4)]
    drawn = draw([large, *small], 20, 1_000)
    assert large not in drawn
    assert len(drawn) == 4
    assert draw([large], 20, 1_000) == [large], "where it is the only one, it is taken"


def test_every_file_of_a_stratum_has_the_same_chance() -> None:
    listed = [Entry(f"/{n}", 10, NOW, None) for n in range(40)]
    times_drawn = dict.fromkeys(listed, 0)
    for seed in range(2_000):
        for entry in draw(listed, 10, HUGE, seed):
            times_drawn[entry] += 1
    assert all(400 < count < 600 for count in times_drawn.values()), times_drawn


def test_what_alone_is_too_large_is_counted() -> None:
    sampler = Sampler(20, 1_000, NOW, Random(0))
    for size in (1_000, 3_000, 2_000, 5_000):
        sampler.take(Entry(f"/{size}", size, NOW, None))
    assert (sampler.files, sampler.too_large, sampler.smallest_too_large) == (4, 3, 2_000)
    assert [entry.size for entry in sampler.draw()] == [1_000]


# ---- the listing


def read(data: bytes, cuts: list[int] | None = None) -> tuple[list[Entry], int]:
    found: list[Entry] = []
    listing = Listing(found.append)
    places = [0, *sorted(cuts or []), len(data)]
    for start, end in pairwise(places):
        listing.feed(data[start:end])
    return found, listing.unnamed


def line(**values: object) -> bytes:
    node = {"type": "file", "path": "/a", "size": 1, "mtime": "2026-11-29T12:02:04.363132571Z", "struct_type": "node"}
    return json.dumps(node | values).encode() + b"\n"


def test_files_are_taken_and_nothing_else() -> None:
    data = b'{"time":"2026-11-29T12:02:06Z","paths":["/a"],"struct_type":"snapshot"}\n' + line(type="dir")
    data += line(path="/b", ctime="2026-11-29T13:02:04.5+01:00") + b"not json\n" + line(type="symlink") + b"[]\n"
    (entry,), unnamed = read(data)
    assert (entry.path, entry.size, unnamed) == ("/b", 1, 0)
    assert entry.mtime == 1_795_953_724_363_132_571
    assert entry.ctime == 1_795_953_724_500_000_000


def test_a_name_that_cannot_be_given_back_is_left_out_and_counted() -> None:
    data = b"".join(line(path=path) for path in ("/bad\ufffd", "/nul\0", "relative", "/" + "ü" * 2_100, "/good\n"))
    found, unnamed = read(data)
    assert [entry.path for entry in found] == ["/good\n"]
    assert unnamed == 4


def test_a_line_that_is_none_of_restics_is_dropped_however_long_it_is() -> None:
    data = line(path="/a") + b"x" * (LONGEST_LINE + 1) + b"\n" + line(path="/b")
    found, _ = read(data)
    assert [entry.path for entry in found] == ["/a", "/b"]


@given(st.lists(st.integers(0, 500), max_size=8))
def test_any_cut_of_the_same_bytes_gives_the_same_entries(cuts: list[int]) -> None:
    data = b"".join(line(path=f"/{n}ü") for n in range(4))
    assert read(data, cuts) == read(data)


def test_times_are_read_to_the_nanosecond_and_odd_ones_are_none() -> None:
    assert nanoseconds("1970-01-01T00:00:00Z") == 0
    assert nanoseconds("1969-12-31T23:59:59.9Z") == -100_000_000
    assert nanoseconds("1970-01-01T01:00:00.000000001+01:00") == 1
    assert nanoseconds("0001-01-01T00:00:00Z") == -62_135_596_800 * 10**9
    for odd in ("", "yesterday", "1970-13-01T00:00:00Z", "12026-01-01T00:00:00Z"):
        assert nanoseconds(odd) is None, odd
