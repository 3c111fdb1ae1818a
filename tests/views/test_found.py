"""What a pattern found, and what changed, as a page shows it."""

from rmactors.common import clock
from rmactors.server.web.live_items import Change, Found
from rmactors.server.web.views import found
from tests.views.test_folders import NOW, PLACE, query

A, B, C = "a" * 64, "b" * 64, "c" * 64


def hit(snapshot: str, days: int, size: int | None = 10, path: str = "/home/r.pdf", changed: int = 9) -> Found:
    return Found(snapshot, NOW.now - days * clock.DAY, path, "file", size, NOW.now - changed * clock.DAY)


def test_a_file_is_one_entry_with_its_versions_newest_first() -> None:
    view = found.found_page([hit(A, 3), hit(C, 1, 20, changed=1), hit(B, 2)], 0, None, "r*", PLACE, NOW)
    assert view.summary == "1 match in 3 snapshots"
    (file,) = view.files
    assert (file.name[0].text, file.above[0].text, file.value) == ("r.pdf", "/home", "</home/r.pdf>")
    new, old = file.versions
    assert (new.size, new.count, new.snapshot, new.oldest) == ("20 B", "in 1 snapshot", C, None)
    assert (old.size, old.count, old.snapshot) == ("10 B", "in 2 snapshots", B)
    assert old.oldest is not None
    assert (old.newest.words, old.oldest.words) == ("2 d ago", "3 d ago")
    assert query(old.folder) == {"plan": ["home"], "at": ["</home>"]}
    assert f"/snapshots/{B}?" in old.folder


def test_files_of_the_same_name_in_two_folders_are_two() -> None:
    view = found.found_page([hit(A, 1), hit(A, 1, path="/etc/r.pdf")], 0, "more", "r*", PLACE, NOW)
    assert [file.above[0].text for file in view.files] == ["/home", "/etc"]
    assert query(view.more) == {"plan": ["home"], "what": ["<r*>"], "next": ["<more>"]}


def test_a_folder_that_was_found_says_so_and_has_no_size() -> None:
    row = Found(A, NOW.now, "/home/r", "dir", 4096, None)
    (file,) = found.found_page([row], 0, None, "r", PLACE, NOW).files
    assert (file.type, file.versions[0].size, file.versions[0].changed) == ("folder", "", None)


def test_nothing_found_has_no_summary() -> None:
    view = found.found_page([], 3, None, "r", PLACE, NOW)
    assert (view.summary, view.files, view.unreadable) == ("", (), "3 entries cannot be shown.")


def test_changes_are_counted_by_kind_and_lead_to_where_the_file_is() -> None:
    rows = [
        Change("/home/new", "added"), Change("/home/gone", "removed"), Change("/home/a", "modified"),
        Change("/home/b", "modified"), Change("/home/c", "metadata"), Change("/home/d", "type"),
    ]  # fmt: skip
    view = found.change_page(rows, 0, None, A, B, False, PLACE)
    assert [count.word for count in view.counts] == [
        "1 added", "1 removed", "2 changed", "1 with other metadata only", "1 of another type",
    ]  # fmt: skip
    assert [line.state.word for line in view.lines][:3] == ["Added", "Removed", "Changed"]
    assert f"/snapshots/{B}?" in view.lines[0].folder
    assert f"/snapshots/{A}?" in view.lines[1].folder
    assert (view.part, view.more) == (False, "")


def test_many_changes_come_in_pages_whose_counts_are_their_own() -> None:
    first = found.change_page([Change("/a", "added")], 0, "more", A, B, False, PLACE)
    assert first.part
    assert query(first.more) == {"plan": ["home"], "from": [A], "to": [B], "next": ["<more>"]}
    assert found.change_page([], 1, None, A, B, True, PLACE).part
