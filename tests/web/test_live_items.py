"""What agents answer about their repositories, judged item by item."""

import json
from typing import Any

import pytest
from msgspec import Raw

from rmactors.common import clock, ids, wire
from rmactors.server.web import live_items
from rmactors.server.web.live_items import Change, Entry, Found, Items, NotAListError, Preview, Snapshot

ID = "0123456789abcdef" * 4
AT = "2026-11-28T10:00:00Z"
MICROS = clock.from_rfc3339(AT)
FILE = {"name": "a", "path": "/home/a", "type": "file", "size": 5, "mtime": AT}


def raw(*items: Any) -> Raw:
    return Raw(json.dumps(items).encode())


def test_a_snapshot_as_restic_of_today_has_it() -> None:
    said = {
        "id": ID, "short_id": "ffffffff", "time": "2026-11-28T11:00:00.123456789+01:00", "plan": "home",
        "paths": ["/home"], "tags": ["nightly"], "hostname": "nas1", "files": 3, "bytes": 12, "added_bytes": 0,
        "program_version": "restic 0.19.1",
    }  # fmt: skip
    expected = Snapshot(
        ID, "01234567", MICROS + 123_456, "home", ["/home"], ["nightly"], "nas1", 3, 12, 0, "restic 0.19.1"
    )
    assert live_items.snapshots(raw(said)) == Items([expected], 0), "the short id is the beginning of the id"


def test_of_an_old_restic_what_it_does_not_say_is_unknown() -> None:
    expected = Snapshot(ID, ID[:8], MICROS, None, [], [], None, None, None, None, None)
    assert live_items.snapshots(raw({"id": ID, "time": AT})) == Items([expected], 0)


def test_what_is_said_beside_it_may_make_no_sense() -> None:
    odd = {
        "id": ID, "time": AT, "plan": 5, "paths": "x", "tags": ["a", 5, "\0"], "hostname": "\0", "files": -1,
        "bytes": True, "added_bytes": 1 << 63, "program_version": ["x"], "from the future": {},
    }  # fmt: skip
    expected = Snapshot(ID, ID[:8], MICROS, None, [], ["a"], None, None, None, None, None)
    assert live_items.snapshots(raw(odd)) == Items([expected], 0)


@pytest.mark.parametrize(
    "name",
    ["a", "-rf", "[x]", "a\nb", " ", "\x1b[31mred", "<script>alert(1)", "ä\u202eb", "\ufffd", "x" * 255, ".."],
)
def test_a_name_stays_as_it_is(name: str) -> None:
    said = {**FILE, "name": name, "path": f"/{name}"}
    assert live_items.entries(raw(said)) == Items([Entry(name, f"/{name}", "file", 5, MICROS)], 0)


@pytest.mark.parametrize("type_", live_items.ENTRY_TYPES)
def test_every_type_that_restic_has_is_shown(type_: str) -> None:
    [entry] = live_items.entries(raw({**FILE, "type": type_})).items
    assert entry.type == type_


@pytest.mark.parametrize("mtime", [None, 5, "", "yesterday", "2026-11-28T10:00:00", "99999-01-01T00:00:00Z"])
def test_a_time_that_is_none_is_unknown(mtime: object) -> None:
    assert live_items.entries(raw({**FILE, "mtime": mtime})) == Items([Entry("a", "/home/a", "file", 5, None)], 0)


@pytest.mark.parametrize(
    "change",
    [
        {"name": None}, {"name": ""}, {"name": "a/b"}, {"name": "a\0"}, {"name": 5}, {"name": "x" * 5_000},
        {"path": None}, {"path": "home"}, {"path": ""}, {"path": "/\0"}, {"path": "/" * 40_000},
        {"type": "folder"}, {"type": None}, {"type": 1},
    ],
    ids=str,
)  # fmt: skip
def test_an_entry_that_does_not_fit_is_left_out_and_counted(change: dict[str, object]) -> None:
    found = live_items.entries(raw({**FILE, **change}, FILE))
    assert [entry.name for entry in found.items] == ["a"]
    assert found.left_out == 1


@pytest.mark.parametrize("item", [None, 5, "x", [], {}, [[[]]]], ids=str)
def test_what_is_no_item_at_all_is_left_out_of_every_kind(item: object) -> None:
    for read in (
        live_items.snapshots, live_items.entries, live_items.found, live_items.changes, live_items.previews,
    ):  # fmt: skip
        assert read(raw(item)) == Items([], 1)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    "change", [{"id": "latest"}, {"id": "0123"}, {"id": f"{ID}0"}, {"id": "../../x"}, {"time": "soon"}, {"time": 5}]
)
def test_a_snapshot_without_an_id_or_a_time_is_left_out(change: dict[str, object]) -> None:
    assert live_items.snapshots(raw({"id": ID, "time": AT, **change})) == Items([], 1)


def test_a_file_that_was_found_says_in_which_snapshot() -> None:
    said = {"snapshot": ID, "time": AT, "path": "/a", "type": "dir", "size": None, "mtime": "0001-01-01T00:00:00Z"}
    [found] = live_items.found(raw(said)).items
    assert (found.snapshot, found.time, found.path, found.type, found.size) == (ID, MICROS, "/a", "dir", None)
    assert isinstance(found, Found)


@pytest.mark.parametrize("kind", live_items.CHANGE_KINDS)
def test_a_change_says_what_it_is(kind: Any) -> None:
    assert live_items.changes(raw({"path": "/a", "change": kind})) == Items([Change("/a", kind)], 0)
    assert live_items.changes(raw({"path": "/a", "change": "M"})).left_out == 1


def test_a_preview_has_what_can_be_known() -> None:
    said = {"snapshot": ID, "files": 3, "bytes": None, "into": "/srv/restore", "free_bytes": 1 << 40}
    assert live_items.previews(raw(said)) == Items([Preview(ID, 3, None, "/srv/restore", 1 << 40)], 0)


@pytest.mark.parametrize("answer", ["{}", "null", '"x"', "5", "[" * 5_000 + "]" * 5_000])
def test_what_is_no_list_is_no_answer(answer: str) -> None:
    with pytest.raises(NotAListError):
        live_items.entries(Raw(answer.encode()))


def test_half_a_pair_is_shown_as_a_mark() -> None:
    items = rb'[{"name":"a\ud800","path":"/a\ud800","type":"file"}]'.decode()
    frame = wire.decode_from_agent(f'{{"type":"response","request_id":"{ids.new()}","ok":true,"items":{items}}}')
    assert isinstance(frame, wire.Response)
    [entry] = live_items.entries(frame.items).items
    assert (entry.name, entry.path) == ("a\ufffd", "/a\ufffd")


def test_more_than_an_agent_gives_at_once_is_left_out() -> None:
    found = live_items.entries(raw(*[FILE] * (live_items.MOST_ITEMS + 7)))
    assert (len(found.items), found.left_out) == (live_items.MOST_ITEMS, 7)
