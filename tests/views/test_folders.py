"""Snapshots and folders as a page shows them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from rmactors.common import clock
from rmactors.server.web.live_items import Entry, Snapshot
from rmactors.server.web.views import folders
from rmactors.server.web.views.folders import SNAPSHOTS_SHOWN, Place
from rmactors.server.web.views.times import Moment

NOW = Moment(clock.from_rfc3339("2026-11-28T12:00:00Z"))
PLACE = Place("HOST", "home", lambda text: f"<{text}>" if text else "")


def snapshot(letter: str, hours: int = 1, **more: object) -> Snapshot:
    given: dict[str, object] = {
        "id": letter * 64, "short_id": letter * 8, "time": NOW.now - hours * clock.HOUR, "plan": "home",
        "paths": ["/home"], "tags": [], "hostname": "nas1", "files": 1200, "bytes": 18_200_000_000,
        "added_bytes": 5_000_000, "program_version": "restic 0.18.0",
    }  # fmt: skip
    return Snapshot(**(given | more))  # type: ignore[arg-type]


def query(href: str) -> dict[str, list[str]]:
    """What the address asks for, beside the times that it carries."""
    return {name: value for name, value in parse_qs(urlsplit(href).query).items() if name != "times"}


def test_a_snapshot_says_when_it_was_made_and_how_much_is_in_it() -> None:
    view = folders.snapshot_list([snapshot("a")], 0, 0, PLACE, NOW)
    (line,) = view.lines
    assert (line.short, line.when.words, line.size, line.files, line.added) == (
        "aaaaaaaa", "1 h ago", "18.2 GB", "1,200 files", "5.0 MB",
    )  # fmt: skip
    assert view.summary == "1 snapshot"
    assert line.folder.startswith(f"/hosts/HOST/snapshots/{'a' * 64}?plan=home&")
    assert line.restore.startswith(f"/hosts/HOST/restore?plan=home&snapshot={'a' * 64}&")
    assert line.value == f"<{'a' * 64} {NOW.now - clock.HOUR}>"


def test_addresses_carry_the_times_of_the_snapshots_that_they_are_about() -> None:
    view = folders.snapshot_list([snapshot("b"), snapshot("a", 25)], 0, 0, PLACE, NOW)
    hour, day = NOW.now - clock.HOUR, NOW.now - 25 * clock.HOUR
    assert parse_qs(urlsplit(view.lines[0].folder).query)["times"] == [f"<bbbbbbbb={hour}>"]
    carried = parse_qs(urlsplit(view.lines[0].changes).query)["times"][0]
    assert folders.times_from(carried.strip("<>")) == {"aaaaaaaa": day, "bbbbbbbb": hour}
    assert "times" not in PLACE.folder("a" * 64)


def test_one_file_is_one_file() -> None:
    assert folders.snapshot_list([snapshot("a", files=1)], 0, 0, PLACE, NOW).lines[0].files == "1 file"


def test_a_page_behind_the_end_is_the_first_one() -> None:
    """A forget may have removed what was there; that is no repository without snapshots."""
    view = folders.snapshot_list([snapshot("a")], 0, SNAPSHOTS_SHOWN, PLACE, NOW)
    assert [line.short for line in view.lines] == ["a" * 8]


@pytest.mark.parametrize("text", ["", "x", "a=b", "/home/a=b c", "a=" + "9" * 40, "="])
def test_what_carries_no_times_is_read_as_none(text: str) -> None:
    assert folders.times_from(text) == {}


def test_what_changed_is_asked_against_the_one_before() -> None:
    view = folders.snapshot_list([snapshot("b"), snapshot("a", 25)], 0, 0, PLACE, NOW)
    assert query(view.lines[0].changes) == {"plan": ["home"], "from": ["a" * 64], "to": ["b" * 64]}
    assert view.lines[1].changes == ""


def test_what_an_older_restic_does_not_say_is_left_out() -> None:
    bare = snapshot("a", files=None, bytes=None, added_bytes=None, hostname=None)
    view = folders.snapshot_list([bare], 0, 0, PLACE, NOW)
    assert not view.has_sizes
    assert (view.lines[0].size, view.lines[0].files, view.lines[0].added, view.lines[0].host) == ("", "", "", "")


def test_of_many_paths_the_first_are_shown() -> None:
    (line,) = folders.snapshot_list([snapshot("a", paths=[f"/{n}" for n in range(7)])], 0, 0, PLACE, NOW).lines
    assert [path[0].text for path in line.paths] == ["/0", "/1", "/2", "/3", "/4"]
    assert line.more_paths == "and 2 more"


def test_many_snapshots_come_in_pages_and_each_knows_the_one_before() -> None:
    rows = [snapshot("a", n, id=f"{n:064x}") for n in range(SNAPSHOTS_SHOWN + 1)]
    first = folders.snapshot_list(rows, 0, 0, PLACE, NOW)
    assert len(first.lines) == SNAPSHOTS_SHOWN
    assert query(first.lines[-1].changes)["from"] == [rows[-1].id]
    assert query(first.more)["begin"] == [str(SNAPSHOTS_SHOWN)]
    second = folders.snapshot_list(rows, 0, SNAPSHOTS_SHOWN, PLACE, NOW)
    assert [line.id for line in second.lines] == [rows[-1].id]
    assert (second.more, second.lines[0].changes) == ("", "")


def test_a_list_that_ends_before_the_oldest_says_so() -> None:
    view = folders.snapshot_list([snapshot("a")] * 3, 0, 0, PLACE, NOW, all_of_them=False)
    assert view.summary == "The newest 3 snapshots; there are older ones."


def test_no_snapshots_and_some_that_cannot_be_read() -> None:
    view = folders.snapshot_list([], 2, 0, PLACE, NOW)
    assert (view.lines, view.summary, view.unreadable) == ((), "", "2 entries cannot be shown.")


FILE = Entry("a.txt", "/home/a.txt", "file", 1234, NOW.now - clock.DAY)


def test_a_folder_has_links_to_its_folders_and_sizes_of_its_files() -> None:
    rows = [FILE, Entry("pics", "/home/pics", "dir", None, None), Entry("l", "/home/l", "symlink", 9, None)]
    view = folders.folder(rows, 0, None, "a" * 64, "/home", PLACE, NOW)
    file, folder, link = view.lines
    assert (file.size, file.type, file.folder, file.value) == ("1.2 kB", "", "", "</home/a.txt>")
    assert file.when is not None
    assert file.when.words == "1 d ago"
    assert (folder.size, folder.type, folder.when) == ("", "folder", None)
    assert query(folder.folder) == {"plan": ["home"], "at": ["</home/pics>"]}
    assert (link.size, link.type, link.folder) == ("", "symbolic link", "")
    assert (view.whole, view.is_root, view.twice, view.unreadable, view.more) == ("</home>", False, "", "", "")


def test_a_large_folder_goes_on_where_the_agent_says() -> None:
    view = folders.folder([FILE], 0, "after a", "a" * 64, "/home", PLACE, NOW)
    assert query(view.more) == {"plan": ["home"], "at": ["</home>"], "next": ["<after a>"]}


def test_the_root_is_restored_as_a_whole_snapshot() -> None:
    view = folders.folder([], 1, None, "latest", "/", PLACE, NOW)
    assert view.is_root
    assert view.unreadable == "1 entry cannot be shown."
    assert PLACE.folder("latest") == "/hosts/HOST/snapshots/latest?plan=home"


def test_entries_that_share_a_name_are_told() -> None:
    twins = [Entry("caf\ufffd", "/caf\ufffd", "file", n, None) for n in (1, 2)]
    assert folders.folder([FILE, *twins], 0, None, "a" * 64, "/", PLACE, NOW).twice.startswith("2 entries share a name")


def test_a_type_that_is_not_known_is_shown_as_it_is() -> None:
    assert (folders.type_word("door"), folders.type_word("file")) == ("door", "")


def test_snapshots_are_sorted_by_a_column_and_each_still_knows_the_one_before_it() -> None:
    rows = [snapshot("c", 0, bytes=5), snapshot("b", 10, bytes=9), snapshot("a", 20, bytes=None)]
    usual = folders.snapshot_list(rows, 0, 0, PLACE, NOW)
    largest = folders.snapshot_list(rows, 0, 0, PLACE, NOW, sort="-size")
    smallest = folders.snapshot_list(rows, 0, 0, PLACE, NOW, sort="size")
    oldest = folders.snapshot_list(rows, 0, 0, PLACE, NOW, sort="time")
    order = lambda view: [line.short[:1] for line in view.lines]  # noqa: E731
    assert [order(view) for view in (usual, largest, smallest, oldest)] == [
        ["c", "b", "a"], ["b", "c", "a"], ["c", "b", "a"], ["a", "b", "c"],
    ]  # fmt: skip
    assert {line.short: line.changes for line in largest.lines} == {line.short: line.changes for line in usual.lines}
    assert [head.direction for head in largest.heads] == ["", "descending", ""]
    assert "sort=size" in largest.heads[1].href
    assert "sort" not in largest.heads[0].href
    assert order(folders.snapshot_list(rows, 0, 0, PLACE, NOW, sort="colour")) == order(usual)
