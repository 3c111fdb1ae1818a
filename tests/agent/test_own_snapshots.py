"""Whose a snapshot is: one row per case, as restic lists them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.agent.agent_file import AgentFile, AgentFileError, Plan, Repository, parse
from rmactors.agent.own_snapshots import (
    Snapshot,
    by_id,
    exact_paths,
    identity_of,
    identity_tag,
    newest,
    plan_of,
    read_listing,
    removal,
    sort_out,
)

FILE = AgentFile(
    repositories={
        "main": Repository("/srv/restic", password_file="/p"),
        "same": Repository("/srv/../srv/restic/", password_file="/p"),
        "off": Repository("/srv/off", password_file="/p"),
    },
    plans={
        "a": Plan("main", ["/x/"], tags=["t"]),
        "both": Plan("main", ["/x", "/y"]),
        "elsewhere": Plan("off", ["/x"]),
        "twin1": Plan("main", ["/z"]),
        "twin2": Plan("same", ["/z/", "/z"]),
    },
)
A = identity_of(FILE, "a", "nas")
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def snapshot(
    number: int, *tags: str, paths: tuple[str, ...] = ("/x",), host: str = "nas", original: str | None = None
) -> Snapshot:
    """`number` is its id and its age in days before none."""
    return Snapshot(
        f"{number:064x}", BEGIN + timedelta(days=number), host, paths, frozenset(tags), f"tree{number}", original
    )


def ids(snapshots: tuple[Snapshot, ...]) -> list[int]:
    return [int(one.id, 16) for one in snapshots]


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        (snapshot(1, A.tag), "own"),
        (snapshot(1, A.tag, "t", paths=("/elsewhere",)), "own"),  # sources have changed since
        (snapshot(1, A.tag, host="nas2"), "nobody's here"),  # another host with a plan of that name
        (snapshot(1), "adoptable"),
        (snapshot(1, "t"), "adoptable"),
        (snapshot(1, paths=("/x", "/x/")), "adoptable"),
        (snapshot(1, "t", "u"), "not ours"),
        (snapshot(1, identity_tag("both")), "not ours"),
        (snapshot(1, identity_tag("a2")), "not ours"),
        (snapshot(1, paths=("/x", "/y")), "nobody's here"),
        (snapshot(1, "t", paths=("/y",)), "nobody's here"),
        (snapshot(1, paths=("/x/y",)), "nobody's here"),
        (snapshot(1, paths=()), "nobody's here"),
        (snapshot(1, host="nas2"), "nobody's here"),
    ],
)
def test_a_snapshot_is_a_plans_own_by_tag_and_host_and_adoptable_by_exact_paths(found: Snapshot, whose: str) -> None:
    result = sort_out(A, [found], adopted=False)
    names = {"own": result.own, "adoptable": result.adoptable, "not ours": result.not_ours}
    assert [name for name, snapshots in names.items() if snapshots] == ([whose] if whose in names else [])
    assert not sort_out(A, [found], adopted=True).adoptable


def test_what_is_newer_than_the_first_backup_with_the_tag_is_another_tools() -> None:
    result = sort_out(A, [snapshot(1), snapshot(2, A.tag), snapshot(3), snapshot(4, A.tag)], adopted=False)
    assert (ids(result.own), ids(result.adoptable), ids(result.not_ours)) == ([2, 4], [1], [3])


def test_one_that_was_adopted_does_not_say_since_when_the_plan_has_its_tag() -> None:
    adopted = snapshot(1, A.tag, original="f" * 64)
    result = sort_out(A, [adopted, snapshot(2), snapshot(3, A.tag)], adopted=False)
    assert (ids(result.own), ids(result.adoptable)) == ([1, 3], [2])


def test_a_copy_of_what_was_adopted_is_left_over_and_not_adopted_twice() -> None:
    old, other = snapshot(1, "t"), snapshot(2)
    copy = Snapshot("c" * 64, old.time, old.host, old.paths, old.tags | {A.tag}, old.tree, old.id)
    result = sort_out(A, [old, copy, other], adopted=False)
    assert (ids(result.left_over), ids(result.adoptable)) == ([1], [2])
    changed = Snapshot("d" * 64, old.time, old.host, old.paths, old.tags | {A.tag}, "another tree", old.id)
    assert not sort_out(A, [old, changed], adopted=False).left_over


def test_where_two_plans_have_the_same_paths_in_the_same_place_nothing_is_adopted() -> None:
    twin = identity_of(FILE, "twin1", "nas")
    assert twin.twins == ("twin2",)
    result = sort_out(twin, [snapshot(1, paths=("/z",)), snapshot(2, twin.tag)], adopted=False)
    assert (ids(result.own), result.adoptable, ids(result.not_ours)) == ([2], (), [1])
    assert A.twins == ()


def test_the_newest_is_the_plans_newest_and_one_still_to_be_adopted_counts() -> None:
    snapshots = [snapshot(3), snapshot(1, A.tag, paths=("/w",), original="e" * 64), snapshot(4, "other"), snapshot(2)]
    latest = newest(sort_out(A, snapshots, adopted=False))
    assert latest == snapshot(3)
    latest = newest(sort_out(A, snapshots, adopted=True))
    assert latest == snapshots[1]
    assert newest(sort_out(A, [], adopted=False)) is None


def test_a_snapshot_that_was_adopted_is_found_by_its_former_id_too() -> None:
    adopted, other = snapshot(0xA, A.tag, original="cafe" + "0" * 60), snapshot(0xB, A.tag)
    found = sort_out(A, [adopted, other], adopted=True)
    assert by_id(found, "cafe0000") == adopted.id
    assert by_id(found, other.id[:8]) == other.id[:8]
    assert by_id(found, "beef") == "beef"  # another plan's perhaps: restic will know
    assert by_id(found, "latest") == other.id
    assert by_id(sort_out(A, [], adopted=True), "latest") is None
    both = sort_out(A, [adopted, snapshot(0xC, A.tag, original="cafe" + "1" * 60)], adopted=True)
    assert by_id(both, "cafe") == "cafe"  # ambiguous


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_tag_is_its_plans_alone_and_survives_restics_commas(one: str, other: str) -> None:
    tag = identity_tag(one)
    assert "," not in tag
    assert tag.isascii()
    assert tag.isprintable()
    assert " " not in tag
    assert (tag == identity_tag(other)) is (one == other)
    assert plan_of(["x", tag]) == one


def test_tags_that_name_no_plan_or_several_name_none() -> None:
    assert plan_of(["home"]) is None
    assert plan_of([identity_tag("a"), identity_tag("b")]) is None


@pytest.mark.parametrize(
    ("sources", "paths"),
    [
        (["/x/"], {"/x"}),
        (["/x", "/x/", "//x", "/y/../x", "/./x"], {"/x"}),
        (["/x", "/x/y"], {"/x", "/x/y"}),
        (["/"], {"/"}),
        (["x"], {"/x"}),  # the agent runs restic in /
        ([], set()),
    ],
)
def test_paths_are_compared_as_restic_writes_them(sources: list[str], paths: set[str]) -> None:
    assert exact_paths(sources) == paths


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a" * 64, "time": "2026-11-28T16:38:06.593576799+01:00", "hostname": "nas", "paths": ["/x"],
        "tags": None, "tree": "b" * 64,
    } | changes  # fmt: skip


def test_a_listing_is_read_also_behind_other_words() -> None:
    listing = b"some words\n" + json.dumps([entry(tags=["t"], original="c" * 64)]).encode() + b"\n"
    assert read_listing(listing) == [
        Snapshot(
            "a" * 64, datetime.fromisoformat("2026-11-28T15:38:06.593576+00:00"), "nas", ("/x",), frozenset({"t"}),
            "b" * 64, "c" * 64,
        )
    ]  # fmt: skip
    assert read_listing(b"[]") == []
    sized = json.dumps([entry(summary={"total_bytes_processed": 7}), entry(summary={"total_bytes_processed": "7"})])
    assert [one.size for one in read_listing(sized.encode())] == [7, None]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"{}",
        b"[1]",
        b"[{]",
        json.dumps([entry(id="../x")]).encode(),
        json.dumps([entry(id=None)]).encode(),
        json.dumps([entry(time="yesterday")]).encode(),
        json.dumps([entry(time="2026-11-28T16:38:06")]).encode(),
        json.dumps([entry()]).encode()[:-20],
    ],
)
def test_what_is_no_listing_is_not_taken_for_an_empty_one(answer: bytes) -> None:
    with pytest.raises(ValueError):
        read_listing(answer)


def test_what_restic_says_it_removes_is_read_from_all_groups() -> None:
    groups = [{"remove": [{"id": "a"}, {"id": "b"}]}, {"remove": None}, {"remove": [{"id": "c"}, 7]}, 3]
    assert removal(b"some words\n" + json.dumps(groups).encode()) == {"a", "b", "c"}
    assert removal(b"[]\n") == frozenset()
    for nothing in (b"", b"null\n", b"[{"):
        assert removal(nothing) is None


def test_a_tag_of_the_agents_own_kind_and_a_policy_of_nothing_are_refused_in_the_file() -> None:
    head = '[repositories.main]\nrepository = "/r"\npassword_file = "/p"\n[plans.a]\nrepository = "main"\n'
    with pytest.raises(AgentFileError, match=r"plans\.a\.tags: 'rmactors-plan:b'"):
        parse(head + 'tags = ["rmactors-plan:b"]')
    for keep in ('{ within = "0d" }', '{ within = "0y0m", last = 0 }', "{}"):
        with pytest.raises(AgentFileError, match="keeps nothing"):
            parse(head + f"keep = {keep}")
    assert parse(head + 'keep = { within = "10d" }').plans["a"].keep is not None
