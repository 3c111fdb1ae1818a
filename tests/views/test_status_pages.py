"""What a status page says of which hosts."""

import json

import pytest

from rmactors.server.store.queries.pages import AlertCount
from rmactors.server.store.queries.status_pages import StatusPageRow, Watched
from rmactors.server.web.views.status_pages import MOST_ITEMS, Counts, badge_words, judged, lines, page_line, sentence
from rmactors.server.web.views.times import Moment

NOW = 1_764_000_000_000_000


def page(show: str = "hosts", *tags: str) -> StatusPageRow:
    return StatusPageRow("p", "Office", json.dumps(tags), show, "anna", NOW)


def fleet(*kinds_of_hosts: tuple[str, ...], tags: tuple[tuple[str, ...], ...] = ()) -> Watched:
    """Hosts `h0`, `h1` … with open alerts of these kinds."""
    theirs = [tags[n] if n < len(tags) else () for n in range(len(kinds_of_hosts))]
    return Watched(
        [(f"id{n}", f"h{n}", json.dumps(theirs[n])) for n in range(len(kinds_of_hosts))],
        [AlertCount(f"id{n}", kind, 2) for n, kinds in enumerate(kinds_of_hosts) for kind in kinds],
        {"id0": NOW - 1},
    )


def test_a_host_is_as_bad_as_its_worst_open_alert() -> None:
    view = judged(page(), fleet((), ("backup_failed",), ("agent_offline", "backup_overdue")), NOW)
    assert view.status == "critical"
    assert view.hosts == Counts(total=3, ok=1, warning=1, critical=1, failed=2)
    assert view.items is not None
    assert [(item.name, item.status, item.last_backup) for item in view.items] == [
        ("h2", "critical", None),
        ("h1", "warning", None),
        ("h0", "ok", NOW - 1),
    ]


def test_a_silent_host_needs_attention_and_no_backup_of_it_failed() -> None:
    view = judged(page(), fleet(("agent_offline",)), NOW)
    assert view.hosts == Counts(total=1, ok=0, warning=1, critical=0, failed=0)
    assert (sentence(view.hosts), badge_words(view.hosts)) == ("1 host needs attention", "1 needs attention")


def test_only_hosts_with_one_of_the_tags_count() -> None:
    found = fleet((), ("backup_failed",), (), tags=(("prod",), ("home",), ("prod", "db")))
    assert judged(page("hosts", "prod"), found, NOW).hosts.total == 2
    assert judged(page("hosts", "db", "home"), found, NOW).hosts.total == 2
    assert judged(page("hosts", "nobody"), found, NOW).hosts == Counts(0, 0, 0, 0, 0)
    assert judged(page("hosts"), found, NOW).hosts.total == 3


def test_an_overview_names_nobody() -> None:
    view = judged(page("overview"), fleet((), ("backup_failed",)), NOW)
    assert view.items is None
    assert "h0" not in repr(view)


def test_of_very_many_hosts_the_worst_are_shown() -> None:
    view = judged(page(), fleet(*[()] * MOST_ITEMS, ("backup_overdue",)), NOW)
    assert view.items is not None
    assert len(view.items) == MOST_ITEMS
    assert view.items[0].status == "critical"


@pytest.mark.parametrize(
    ("counts", "words", "headline"),
    [
        (Counts(0, 0, 0, 0, 0), "no hosts", "No hosts yet"),
        (Counts(1, 1, 0, 0, 0), "1 ok", "1 host is fine"),
        (Counts(12, 12, 0, 0, 0), "12 ok", "All 12 hosts are fine"),
        (Counts(12, 11, 1, 0, 1), "1 failed", "1 host needs attention"),
        (Counts(12, 10, 1, 1, 0), "2 need attention", "2 hosts need attention"),
    ],
)
def test_the_words_of_page_and_badge(counts: Counts, words: str, headline: str) -> None:
    assert (badge_words(counts), sentence(counts)) == (words, headline)


def test_its_lines_say_when_a_backup_ended_well_last() -> None:
    view = judged(page(), fleet((), ("backup_failed",)), NOW)
    found = lines(view, Moment(NOW + 3_600_000_000))
    assert [(line.name, line.state.word, line.last_backup.words if line.last_backup else None) for line in found] == [
        ("h1", "Needs attention", None),
        ("h0", "OK", "1 h ago"),
    ]
    assert lines(judged(page("overview"), fleet(()), NOW), Moment(NOW)) == []


def test_the_settings_say_which_hosts_a_page_is_about() -> None:
    assert page_line(page("hosts", "prod", "db"), Moment(NOW)).about == "db, prod"
    everybody = page_line(page("overview"), Moment(NOW))
    assert (everybody.about, everybody.shows) == ("all hosts", "Numbers only")
    assert page_line(page("hosts"), Moment(NOW)).shows == "Numbers and names of hosts"


def test_tags_that_are_no_list_are_none() -> None:
    found = Watched([("id0", "h0", '"prod"'), ("id1", "h1", "[prod"), ("id2", "h2", "")], [], {})
    assert judged(page("hosts", "prod"), found, NOW).hosts.total == 0
    assert judged(page("hosts"), found, NOW).hosts.total == 3
