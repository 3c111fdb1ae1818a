"""restic's answers, in whatever pieces they come, as the entries that the server is sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.agent.live_requests import output
from rmactors.agent.live_requests.odd_names import as_shown, names_in
from rmactors.agent.live_requests.output import Finds, Lines, Unreadable

LARGEST = (1 << 63) - 1
hits = st.fixed_dictionaries(
    {"path": st.text(), "type": st.sampled_from(["file", "dir", "symlink"]), "mtime": st.just("2026-01-02T03:04:05Z")},
    optional={"size": st.integers(0, (1 << 64) - 1), "links": st.integers(0, 3), "linktarget": st.text()},
)
groups = st.lists(st.tuples(st.lists(hits, min_size=1, max_size=4), st.binary(min_size=32, max_size=32)), max_size=4)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(groups, st.lists(st.integers(0, 10_000), max_size=20))
def test_hits_come_out_as_they_are_however_the_stream_is_cut(
    found: list[tuple[list[dict[str, Any]], bytes]], cuts: list[int]
) -> None:
    answer = [{"matches": each, "hits": len(each), "snapshot": snapshot.hex()} for each, snapshot in found]
    data = json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    finds, parts = Finds(), list[output.Node | str]()
    for piece in pieces(data, cuts):
        parts += finds.feed(piece)
    expected: list[object] = []
    for group in answer:
        for hit in group["matches"]:
            size = min(hit.get("size", 0), LARGEST) if hit["type"] == "file" else None
            path = hit["path"].encode("utf-8", "replace").decode()
            expected.append({"path": path, "type": hit["type"], "size": size, "mtime": hit["mtime"]})
        expected.append(group["snapshot"])
    assert [part if isinstance(part, str) else json.loads(b"{" + output.hit(part)) for part in parts] == expected


def test_what_is_no_answer_of_find_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "LONGEST_LINE", 100)
    finds = Finds()
    assert list(finds.feed(b"Fatal: ")) == []
    with pytest.raises(Unreadable):
        list(finds.feed(b"x" * 100))


def test_a_hit_that_cannot_be_read_is_told() -> None:
    with pytest.raises(Unreadable):
        list(Finds().feed(b'[{"matches":[{"path":1}'))


def test_lines_are_put_together_and_one_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines()
    assert lines.feed(b"a\nb") == [b"a"]
    assert lines.feed(b"c\n\n") == [b"bc", b""]
    monkeypatch.setattr(output, "LONGEST_LINE", 100)
    with pytest.raises(Unreadable):
        lines.feed(b"x" * 101)


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-11-29T12:09:29.683796644Z", "2026-11-29T12:09:29.683796Z"),
        ("2026-11-29T12:09:29+02:00", "2026-11-29T10:09:29Z"),
        ("0000-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_told_in_utc(time: str | None, shown: str | None) -> None:
    assert output.utc(time) == shown


@pytest.mark.parametrize(
    ("modifier", "change"),
    [("+", "added"), ("-", "removed"), ("M", "modified"), ("MU", "modified"), ("M?", "modified"), ("?", "modified"),
     ("T", "type"), ("TU", "type"), ("TM", "type"), ("U", "metadata"), ("", "metadata")],
)  # fmt: skip
def test_restics_signs_for_changes_have_words(modifier: str, change: str) -> None:
    line = json.dumps({"message_type": "change", "path": "/a", "modifier": modifier}).encode()
    assert json.loads(output.change(line) or b"") == {"path": "/a", "change": change}
    assert output.change(b'{"message_type":"statistics"}') is None
    with pytest.raises(Unreadable):
        output.change(b"[]")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b'{"name":"a","type":"file","path":"/a"}', {"type": "file", "size": 0, "mtime": None}),
        (
            b'{"name":"a","type":"file","path":"/a","size":18446744073709551615}',
            {"type": "file", "size": (1 << 63) - 1},
        ),
        (b'{"name":"a","type":"dir","path":"/a","size":4096}', {"type": "dir", "size": None}),
    ],
)
def test_a_size_is_that_of_a_file(line: bytes, shown: dict[str, Any]) -> None:
    found = json.loads(output.entry(output.node(line)))
    assert found == {"name": "a", "path": "/a", "mtime": None} | shown


def test_what_is_no_node_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        output.node(b"{")


names = st.binary(min_size=1).map(lambda name: name.replace(b"/", b"").replace(b"\0", b"") or b"x")


@given(st.lists(names, unique=True), st.sampled_from([b"", b"/a", b"/a\n/b"]))
def test_names_are_told_apart_whatever_is_in_them(found: list[bytes], folder: bytes) -> None:
    """restic shows a heading, the folder, and a path a line."""
    answer = b"\n".join([b"snapshot 01234567 of [/a]:", folder, *(folder + b"/" + name for name in found), b""])
    assert names_in(answer, folder) == found


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"caf\xe9", "caf\ufffd"), (b"\xe2\x82", "\ufffd\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3),
     ("ü€😀".encode(), "ü€😀"), ("\ufffd".encode(), "\ufffd")],
)  # fmt: skip
def test_bytes_that_are_no_text_are_shown_as_go_shows_them(name: bytes, shown: str) -> None:
    assert as_shown(name) == shown
