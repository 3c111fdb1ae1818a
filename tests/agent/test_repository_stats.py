"""What is read from restic's words about a repository, and what follows for each host."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.agent.own_snapshots import Snapshot
from rmactors.agent.repository_stats import (
    MOST_HOSTS,
    MOST_LISTED,
    Amount,
    Config,
    HostShare,
    can_be_told_apart,
    groups,
    lock_told,
    read_amount,
    read_config,
    read_ids,
    shares,
    shares_told,
    told_apart,
)
from rmactors.agent.unlock_job import HeldLock

ID = "ab" * 32


def test_the_id_and_the_version_are_read_from_the_config() -> None:
    assert read_config(b'{\n  "version": 2,\n  "id": "%s"\n}\n' % ID.encode()) == Config(ID, 2)
    assert read_config(b'{"id": "%s", "version": true}' % ID.encode()) == Config(ID, None)


@pytest.mark.parametrize("answer", [b"", b"[1]", b"{", b'{"id": "abc"}', b'{"id": 1}', b"\xff{]", b"{" * 100_000])
def test_what_is_no_config_is_none(answer: bytes) -> None:
    assert read_config(answer) is None


def test_sizes_are_read_as_far_as_restic_tells_them() -> None:
    old = b'{"total_size":4002343,"total_file_count":0,"total_blob_count":10,"snapshots_count":3}'
    assert read_amount(old) == Amount(4_002_343, None, None)
    new = b'a line\n{"total_size":4,"total_uncompressed_size":7,"compression_ratio":1.75,"compression_progress":100}'
    assert read_amount(new) == Amount(4, 7, 1.75)
    assert read_amount(b'{"total_size":4,"compression_ratio":0}') == Amount(4, None, None)
    assert read_amount(b'{"total_size":4,"compression_ratio":"2"}') == Amount(4, None, None)
    assert read_amount(b'{"total_size":4,"compression_ratio":NaN}') == Amount(4, None, None)


@pytest.mark.parametrize("size", ["-1", "true", '"4"', "null", "9223372036854775808"])
def test_a_size_that_is_none_is_not_taken(size: str) -> None:
    assert read_amount(b'{"total_size":%s}' % size.encode()) is None


def test_ids_of_locks_are_read_and_other_lines_are_not() -> None:
    assert read_ids(f"{ID}\nrepository opened\n{'0' * 64}\n".encode()) == ["0" * 64, ID]


def snapshots_of(*hosts: str) -> list[Snapshot]:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return [Snapshot(f"{n:064x}", at, host, ("/x",), frozenset(), "t", None) for n, host in enumerate(hosts)]


def test_hosts_with_most_snapshots_come_first() -> None:
    assert shares(snapshots_of("b", "a", "c", "c")) == [HostShare("c", 2), HostShare("a", 1), HostShare("b", 1)]


def test_many_hosts_and_one_without_a_name_are_not_told_apart() -> None:
    few = [HostShare(str(n), 1) for n in range(MOST_HOSTS)]
    assert can_be_told_apart(few)
    assert not can_be_told_apart([*few, HostShare("one more", 1)])
    assert not can_be_told_apart([HostShare("a", 1), HostShare("", 1)])


def test_one_host_alone_needs_no_further_look() -> None:
    assert groups([HostShare("a", 3)]) == []
    assert told_apart([HostShare("a", 3)], 100, {}) == [HostShare("a", 3, 100, 100)]
    assert groups([]) == told_apart([], 0, {}) == []


def test_two_hosts_need_a_look_at_each() -> None:
    hosts = [HostShare("a", 3), HostShare("b", 1)]
    wanted = groups(hosts)
    assert wanted == [frozenset("a"), frozenset("b")]
    found = told_apart(hosts, 100, {frozenset("a"): 90, frozenset("b"): 30})
    assert found == [HostShare("a", 3, 90, 70), HostShare("b", 1, 30, 10)]


def test_what_was_not_counted_is_unknown_and_nothing_is_below_zero() -> None:
    hosts = [HostShare(name, 1) for name in "abc"]
    assert told_apart(hosts, 10, {frozenset("a"): 4, frozenset("bc"): 12}) == [
        HostShare("a", 1, 4, 0), HostShare("b", 1), HostShare("c", 1),
    ]  # fmt: skip


@given(st.dictionaries(st.integers(0, 50), st.sets(st.sampled_from("abcd"), min_size=1), min_size=1))
def test_unique_bytes_are_those_of_the_blobs_that_only_one_host_uses(blobs: dict[int, set[str]]) -> None:
    """Each blob is as large as its number."""
    names = sorted(set().union(*blobs.values()))
    hosts = [HostShare(name, 1) for name in names]
    amounts = {group: sum(n for n, users in blobs.items() if users & group) for group in groups(hosts)}
    for share in told_apart(hosts, sum(blobs), amounts):
        assert share.bytes == sum(n for n, users in blobs.items() if share.host in users)
        assert share.unique_bytes == sum(n for n, users in blobs.items() if users == {share.host})


def test_names_and_times_are_told_so_that_they_fit_a_frame() -> None:
    told = shares_told([HostShare("n\x1bas" + "x" * 300, 1, 2, 3), *(HostShare(str(n), 1) for n in range(300))])
    assert len(told) == MOST_LISTED
    assert len(told[0]["host"]) == 200
    assert told[0]["host"].isprintable()
    at = datetime(2026, 11, 1, 2, 0, 5, 123, tzinfo=timezone(timedelta(hours=1)))
    lock = lock_told(HeldLock("nas", "root", 12, at, exclusive=True))
    assert lock == {"host": "nas", "user": "root", "pid": 12, "at": "2026-11-01T01:00:05Z", "exclusive": True}
    json.dumps([told, lock])
