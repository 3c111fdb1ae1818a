"""What a list can be asked for: addresses in, addresses out."""

import pytest

from rmactors.server.store.queries.host_lists import HostFilter, TagCount
from rmactors.server.store.queries.pages import Fleet
from rmactors.server.web.views import fleet, host_lists, lists
from rmactors.server.web.views.host_lists import HOSTS, OVERVIEW
from tests.views.test_fleet_views import MOMENT, NOW, HostView, host


def test_an_address_says_what_narrows_a_list_and_comes_back_the_same() -> None:
    asked = lists.asked(HOSTS, {"tag": "prod", "q": " web ", "sort": "-status", "page": "3", "nonsense": "1"})
    assert (asked.get("q"), asked.get("tag"), asked.sort, asked.page) == ("web", "prod", "-status", 3)
    assert asked.href() == "/hosts?q=web&tag=prod&sort=-status&page=3"
    assert lists.asked(HOSTS, {}).href() == "/hosts"
    assert asked.href("/hosts.csv") == "/hosts.csv?q=web&tag=prod&sort=-status&page=3"
    assert asked.narrowed
    assert not lists.asked(HOSTS, {}).narrowed


@pytest.mark.parametrize(
    "given",
    [
        {"sort": "size"}, {"status": "asleep"}, {"page": "0"}, {"page": "-1"}, {"page": "²"}, {"group": "name"},
        {"q": "\0"}, {"sort": "--name"},
    ],
)  # fmt: skip
def test_what_a_list_does_not_know_counts_as_not_given(given: dict[str, str]) -> None:
    assert lists.asked(HOSTS, given) == lists.asked(HOSTS, {})


def test_very_long_values_are_cut_and_huge_pages_are_pages() -> None:
    assert len(lists.asked(HOSTS, {"q": "x" * 5000}).get("q")) == lists.LONGEST
    assert lists.asked(HOSTS, {"page": "9" * 5000}).page == 99_999


def test_a_head_sorts_by_its_column_and_again_the_other_way_round() -> None:
    columns = (("name", "Host"), ("last_backup", "Last backup"), ("", "Next due"))
    name, last, due = lists.heads(lists.asked(HOSTS, {"q": "web", "page": "2"}), columns)
    assert (name.href, name.direction) == ("/hosts?q=web&sort=-name", "ascending")
    assert (last.href, last.direction) == ("/hosts?q=web&sort=-last_backup", "")
    assert (due.href, due.direction) == ("", "")
    newest = lists.heads(lists.asked(HOSTS, {"sort": "-last_backup"}), columns)[1]
    assert (newest.href, newest.direction) == ("/hosts?sort=last_backup", "descending")


def test_pages_lead_on_and_back() -> None:
    asked = lists.asked(HOSTS, {"page": "2", "q": "web"})
    pages = lists.pages(asked, 250, 100)
    assert pages == lists.Pages("Page 2 of 3", "/hosts?q=web", "/hosts?q=web", "/hosts?q=web&page=3")
    assert lists.pages(lists.asked(HOSTS, {}), 100, 100).words == ""
    assert lists.pages(lists.asked(HOSTS, {"page": "9"}), 250, 100).previous == "/hosts?page=3"
    assert lists.pages(lists.asked(HOSTS, {"page": "3"}), 250, 100).following == ""


def test_another_filter_begins_at_the_first_page() -> None:
    asked = lists.asked(HOSTS, {"page": "2", "q": "web"})
    assert asked.with_filter("tag", "a b").href() == "/hosts?q=web&tag=a+b"
    assert asked.with_filter("q", "").href() == "/hosts"


def test_what_is_chosen_stands_among_the_choices_even_if_it_is_gone() -> None:
    found = lists.choices(lists.asked(HOSTS, {"tag": "old"}), "tag", [("prod", "prod (3)")])
    assert [(each.value, each.chosen) for each in found] == [("prod", False), ("old", True)]


# ---- hosts


def table(given: dict[str, str], found: Fleet, kind: lists.ListKind = HOSTS) -> host_lists.HostTable:
    asked = lists.asked(kind, given)
    lines = fleet.host_lines(found, MOMENT, 90.0)
    return host_lists.table(found, lines, asked, [TagCount("prod", 2)], 100)


def some_hosts(matching: int = 2, of: int = 2) -> Fleet:
    views = [HostView(host(name), [], {}) for name in ("nas1", "web")]
    return Fleet(views, of, 0, [], {}, [], matching)


def test_a_narrowed_list_counts_what_was_found_among_all() -> None:
    assert table({}, some_hosts(360, 360)).lede == "360 hosts."
    assert table({"q": "db"}, some_hosts(12, 360)).lede == "12 of 360 hosts."
    assert table({"sort": "-name"}, some_hosts(360, 360)).lede == "360 hosts."


def test_an_address_says_what_the_database_is_asked_for() -> None:
    asked = lists.asked(OVERVIEW, {"status": "offline", "page": "3", "group": "tag"})
    wanted = host_lists.wanted(asked, NOW, 90.0, 50)
    assert (wanted.wanted, wanted.sort, wanted.skip, wanted.by_tag) == (
        HostFilter(status="offline"), "-alerts", 100, True,
    )  # fmt: skip
    assert wanted.heard_since == NOW - 90_000_000
    assert host_lists.wanted(lists.asked(HOSTS, {"status": "alerts"}), NOW, 90.0, 50).wanted == HostFilter(alerts=True)


def test_hosts_stand_under_each_of_their_tags() -> None:
    found = some_hosts()
    nas, web = (view.host.id for view in found.hosts)
    found.places.extend([("home", nas), ("prod", nas), ("prod", web), ("", web)])
    found.tags.update({"home": 1, "prod": 140, "": 1})
    shown = table({"group": "tag", "q": "a"}, found)
    assert [(group.name, group.words, [line.name for line in group.lines]) for group in shown.groups] == [
        ("home", "1 host", ["nas1"]), ("prod", "140 hosts", ["nas1", "web"]), ("Without a tag", "1 host", ["web"]),
    ]  # fmt: skip
    assert shown.groups[1].href == "/hosts?q=a&tag=prod"
    assert shown.pages.words == "Page 1 of 2"


def test_a_list_without_hosts_says_why() -> None:
    nothing = Fleet([], 5, 0, [], {}, [], 0)
    assert table({"q": "zzz"}, nothing).empty == ("No matches", "No host has this in its name, host name or tags.")
    gone = table({"page": "7"}, nothing).empty
    assert gone is not None
    assert gone[0] == "No hosts on this page"
    assert table({}, Fleet([], 0, 0, [], {}, [])).first_run
