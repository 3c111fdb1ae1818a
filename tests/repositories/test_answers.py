"""What an agent tells of its repositories: whatever it is, what is kept is within bounds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from rmactors.server.actors.repositories.answers import MOST_LOCKS, MOST_REPOSITORIES, MOST_SHARES, read_answer
from rmactors.server.messages.repositories import FoundRepository, Measurement

ID = "ab" * 32
ITEM: dict[str, Any] = {
    "name": "main", "repository_id": ID, "location": "/srv/restic", "plans": ["home", "etc", "home"], "version": 2,
    "own_host": "nas", "compression": 1.5, "size_bytes": 1000, "uncompressed_bytes": 1500, "snapshots": 3,
    "hosts": [{"host": "nas", "snapshots": 3, "bytes": 1000, "unique_bytes": 1000}],
    "locks": [{"host": "nas", "user": "root", "pid": 7, "at": "2026-11-29T12:00:00Z", "exclusive": True}],
    "measured": True, "error": None,
}  # fmt: skip


def read(*items: object) -> tuple[FoundRepository, ...]:
    found = read_answer(Raw(json.dumps(items).encode()))
    assert found is not None
    return found


def one(**changes: object) -> FoundRepository:
    (found,) = read(ITEM | changes)
    return found


def measured(**changes: object) -> Measurement:
    found = one(**changes).measurement
    assert found is not None
    return found


def test_what_an_agent_tells_of_a_repository_is_taken() -> None:
    assert one() == FoundRepository(
        "main", ID, "/srv/restic", ("home", "etc"), "nas", 2,
        Measurement(1000, 1500, 1.5, 3, json.dumps(ITEM["hosts"], separators=(",", ":")),
                    json.dumps(ITEM["locks"], separators=(",", ":"))),
        None,
    )  # fmt: skip


def test_one_that_could_not_be_opened_has_its_reason() -> None:
    found = one(repository_id=None, size_bytes=None, snapshots=None, measured=False, error="wrong password\x1b[1m")
    assert (found.repository_id, found.measurement) == (None, None)
    assert found.error == "wrong password\ufffd[1m"


def test_one_that_was_not_measured_has_an_id_and_no_sizes() -> None:
    found = one(size_bytes=None, measured=False)
    assert (found.repository_id, found.measurement, found.error) == (ID, None, None)


def test_numbers_beside_an_error_count_for_nothing() -> None:
    assert one(error="it took too long").measurement is None


@pytest.mark.parametrize("changes", [{"size_bytes": -1}, {"snapshots": "3"}, {"size_bytes": 1 << 63}])
def test_one_that_says_it_was_measured_without_a_size_is_an_error(changes: dict[str, object]) -> None:
    found = one(**changes)
    assert (found.measurement, found.error) == (None, "its agent's answer cannot be read")


@pytest.mark.parametrize("identifier", ["", "AB" * 32, ID + "\n", 5, None, "ab" * 33])
def test_what_is_no_id_is_none(identifier: object) -> None:
    found = one(repository_id=identifier, measured=False)
    assert (found.repository_id, found.measurement) == (None, None)


@pytest.mark.parametrize("ratio", [0, -1.5, "2", True, None, 1e300, []])
def test_a_ratio_that_is_none_is_not_taken(ratio: object) -> None:
    assert measured(compression=ratio).compression is None


def test_shares_and_locks_are_bounded_and_what_is_none_is_left_out() -> None:
    found = measured(
        hosts=[*ITEM["hosts"], 5, {}, *({"host": str(n)} for n in range(MOST_SHARES))],
        locks=["x", {"at": "yesterday", "pid": -5}, *(ITEM["locks"] * MOST_LOCKS)],
    )
    shares, locks = json.loads(found.shares), json.loads(found.locks)
    assert shares[1] == {"host": "", "snapshots": 0, "bytes": None, "unique_bytes": None}
    assert len(shares) == MOST_SHARES - 1
    assert locks[0] == {"host": "", "user": "", "pid": 0, "at": None, "exclusive": False}
    assert len(locks) == MOST_LOCKS - 1


def test_lists_and_names_that_are_none_are_empty() -> None:
    found = one(plans="home", own_host=None, location=["x"], version="2", hosts=None)
    assert (found.plans, found.filed_as, found.location, found.version) == ((), "", "", None)


def test_what_is_no_repository_is_left_out_and_the_first_of_a_name_counts() -> None:
    again = ITEM | {"location": "/elsewhere"}
    assert [found.location for found in read(5, [], {}, {"name": ""}, ITEM, again)] == ["/srv/restic"]


def test_only_so_many_are_taken() -> None:
    many = [ITEM | {"name": str(n)} for n in range(MOST_REPOSITORIES + 5)]
    assert len(read(*many)) == MOST_REPOSITORIES


@pytest.mark.parametrize("items", [b"{}", b"", b"[", b"[" * 100_000])
def test_an_answer_that_is_no_list_is_none(items: bytes) -> None:
    assert read_answer(Raw(items)) is None


def test_an_item_that_cannot_be_read_is_left_out() -> None:
    assert read_answer(Raw(b'[{"name": "a"}, {"name": "b", "version": 1e999}]')) is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(ITEM)), JSON))
def test_whatever_stands_in_the_fields_nothing_breaks(changes: dict[str, Any]) -> None:
    found = read_answer(Raw(json.dumps([ITEM | changes]).encode()))
    assert found is not None
    for each in found:
        assert 0 < len(each.name) <= 200
        assert each.error is None or len(each.error) <= 500
