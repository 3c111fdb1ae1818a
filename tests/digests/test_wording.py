"""What a digest says: one sentence where all is well, the worst first where it is not."""

import pytest

from rmactors.common import clock
from rmactors.common.clock import DAY
from rmactors.server.actors.digests.wording import LONGEST_NAME, MOST_HOSTS, text
from rmactors.server.state.digest import HostFigures

SINCE = clock.from_rfc3339("2026-11-16T08:00:00+01:00")
ZONE = "Europe/Berlin"


def said(*hosts: HostFigures, elsewhere: int = 0, tagged: bool = False) -> str:
    return text(hosts, elsewhere, SINCE, ZONE, tagged)


def line(host: HostFigures) -> str:
    """What it says of one host, beside one that needs a look anyway."""
    _, *lines = said(host, HostFigures("zz", failed=1)).split("\n")
    [found] = [each for each in lines if not each.startswith("- zz")]
    return found


WELL = HostFigures("db1", good=7, added=1_234_000_000)


def test_where_all_is_well_it_is_one_line() -> None:
    assert said(WELL, HostFigures("db2", good=7, added=66_000_000)) == (
        "All is well: 2 hosts, 14 backups since Monday 2026-11-16 08:00 CET, 1.3 GB added, no open alerts."
    )


def test_a_host_of_which_no_backup_was_due_is_well() -> None:
    idle = HostFigures("weekly", expected=False, last_good_at=SINCE - DAY)
    assert said(WELL, idle).startswith("All is well: 2 hosts, 7 backups since")
    assert line(idle) == "- weekly: no backup was due"


def test_what_needs_a_look_is_counted_and_comes_first() -> None:
    bad = HostFigures("nas1", failed=3, last_good_at=SINCE - 3 * DAY, open=2, critical=1, overdue=1)
    assert said(WELL, bad) == (
        "1 of 2 hosts needs a look: 7 backups since Monday 2026-11-16 08:00 CET, 1.2 GB added;"
        " 2 open alerts, 1 overdue backup.\n"
        "- nas1: no good backup since Friday 2026-11-13 08:00 CET, 3 failed; 2 open alerts (1 critical); overdue\n"
        "- db1: 7 backups, 1.2 GB added"
    )


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (HostFigures("a"), "no good backup yet"),
        (HostFigures("a", expected=False, failed=1), "no good backup yet, 1 failed"),
        (HostFigures("a", good=1, partial=1, failed=1, added=5), "2 backups, 1 partial, 1 failed, 5 B added"),
        (HostFigures("a", partial=1), "1 backup, 1 partial, 0 B added"),
        (HostFigures("a", good=1, open=1), "1 backup, 0 B added; 1 open alert"),
        (HostFigures("a", good=1, open=2, critical=2), "1 backup, 0 B added; 2 open alerts (2 critical)"),
        (HostFigures("a", good=1, overdue=1), "1 backup, 0 B added; overdue"),
        (HostFigures("a", expected=False, open=1), "no backup was due; 1 open alert"),
    ],
)
def test_of_each_host_it_says_what_ran_and_what_is_open(host: HostFigures, words: str) -> None:
    assert line(host) == f"- a: {words}"


def test_the_worst_come_first_and_equals_by_name() -> None:
    hosts = [
        WELL,
        HostFigures("partial", good=1, partial=1),
        HostFigures("failed", good=1, failed=1),
        HostFigures("open", good=1, open=1),
        HostFigures("critical", good=1, open=1, critical=1),
        HostFigures("none-b"),
        HostFigures("none-a"),
    ]
    lines = said(*hosts).split("\n")[1:]
    names = [each[2:].partition(":")[0] for each in lines]
    assert names == ["none-a", "none-b", "critical", "open", "failed", "partial", "db1"]
    assert said(*hosts).startswith("6 of 7 hosts need a look: 12 backups since")


def test_a_large_fleet_has_the_worst_and_a_number() -> None:
    bad = [HostFigures(f"bad{n:03}", failed=1) for n in range(MOST_HOSTS + 5)]
    lines = said(*bad, WELL).split("\n")
    assert len(lines) == 1 + MOST_HOSTS + 1
    assert lines[-1] == "and 6 more"
    few = said(bad[0], *[HostFigures(f"well{n:03}", good=1) for n in range(30)]).split("\n")
    assert few[1].startswith("- bad000")
    assert few[-1] == "and 11 more, which are well"


def test_alerts_about_no_host_count_too() -> None:
    assert said(WELL, elsewhere=1).split("\n")[0] == (
        "The hosts are well: 7 backups since Monday 2026-11-16 08:00 CET, 1.2 GB added; 1 open alert."
    )
    assert said(elsewhere=2) == (
        "There is no host yet: 0 backups since Monday 2026-11-16 08:00 CET, 0 B added; 2 open alerts."
    )


def test_without_hosts_it_says_why() -> None:
    assert said() == "There is no host yet."
    assert said(tagged=True) == "No host has one of this channel's tags."


def test_a_very_long_name_is_cut() -> None:
    assert line(HostFigures("n" * 100, good=1)).startswith(f"- {'n' * (LONGEST_NAME - 1)}…: 1 backup")
