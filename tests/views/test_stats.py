"""A job's statistics in words: every name that an agent sends has a label, no matter who invented it."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from rmactors.agent import restic_output
from rmactors.common import clock
from rmactors.server.web.views import stats
from rmactors.server.web.views.snapshots import snapshots
from rmactors.server.web.views.times import Moment

AGENT = Path(restic_output.__file__).parent
NOW = clock.from_rfc3339("2026-11-23T12:00:00Z")
NAMED = {"stats", "numbers", "_found"}
"""What the agent's code calls the numbers of a job."""


def sent_by_the_agent() -> set[str]:
    """The keys that the agent's code puts into a job's numbers, read from its source."""
    found = set(restic_output._NUMBERS.values())
    for path in AGENT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Subscript) and _name(target.value) in NAMED:
                        found |= _texts(target.slice)
                    if _name(target) in NAMED and isinstance(node.value, ast.Dict):
                        found |= {text for key in node.value.keys if key is not None for text in _texts(key)}
            if isinstance(node, ast.AugAssign) and _name(node.target) in NAMED and isinstance(node.value, ast.Dict):
                found |= {text for key in node.value.keys if key is not None for text in _texts(key)}
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _texts(node: ast.expr) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_every_name_that_an_agent_sends_has_a_label() -> None:
    names = sent_by_the_agent()
    assert {"files_new", "bytes_total", "files_unread", "snapshot_id", "snapshots_count"} <= names
    elsewhere = {"warning", "unknown_schedule", "snapshots"}
    assert {name for name in names if name not in stats.LABELS} <= elsewhere


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"files_new": 3}, ("New files", "3")),
        ({"files_total": 81_234}, ("Files in total", "81,234")),
        ({"total_files_processed": 81_234}, ("Files in total", "81,234")),
        ({"bytes_total": 18_200_000_000}, ("Size", "18.2 GB")),
        ({"total_bytes_processed": 18_200_000_000}, ("Size", "18.2 GB")),
        ({"bytes_added": 1_500}, ("Added to the repository", "1.5 kB")),
        ({"data_added": 1_500}, ("Added to the repository", "1.5 kB")),
        ({"bytes_stored": 900}, ("Added, compressed", "900 B")),
        ({"duration_seconds": 41.2}, ("Running time", "41 s")),
        ({"total_duration": 41.2}, ("Running time", "41 s")),
        ({"errors": 2}, ("Errors", "2")),
        ({"files_unread": 4}, ("Files that could not be read", "4")),
        ({"snapshots_removed": 0}, ("Snapshots removed", "0")),
        ({"bytes_freed": 2_000_000}, ("Freed", "2.0 MB")),
        ({"snapshot_id": "0123abcd"}, ("Snapshot", "0123abcd")),
        ({"dry_run": True}, ("Dry run", "yes")),
        ({"added": {"files": 3, "bytes": 1000}}, ("Added: size", "1.0 kB")),
        ({"some_new_number": 7}, ("Some new number", "7")),  # of an agent that is newer than the server
        ({"Restic__speed_bytes": 1000}, ("Restic speed bytes", "1.0 kB")),
        ({"files_new": 2**63}, ("New files", f"{2**63:,}")),
        ({"added_files": 3}, ("Added: files", "3")),
    ],
)
def test_numbers_have_a_name_and_a_unit(given: dict[str, object], shown: tuple[str, str]) -> None:
    assert shown in stats.facts(json.dumps(given))


@pytest.mark.parametrize(
    "given",
    [
        {"duration_seconds": -9223372036.85},  # what restic 0.18 says of a backup that it skipped
        {"duration_seconds": float("inf")},
        {"files_new": float("nan")},
        {"files_new": None},
        {"warning": "is shown above"},
        {"snapshots": [{"id": "0123"}]},
        {"message_type": "summary"},
        {"list": [1, 2]},
        {"bytes_total": 10**400},
        {"deep": {"er": 1}},
    ],
)
def test_what_says_nothing_there_is_not_shown(given: dict[str, object]) -> None:
    assert stats.facts(json.dumps(given)) == []


@pytest.mark.parametrize("text", ["", "[]", "7", "not json", "[" * 100_000])
def test_statistics_that_are_no_object_are_none(text: str) -> None:
    assert stats.facts(text) == []


def test_snapshots_are_a_table_newest_first() -> None:
    listed = {
        "snapshots_count": 7,
        "snapshots": [
            {
                "id": "aaaa1111",
                "time": "2026-11-22T12:00:00Z",
                "host": "nas1",
                "plan": "home",
                "paths": ["/home", "/etc"],
            },
            {"id": "bbbb2222", "time": "2026-11-23T10:00:00Z", "plan": None, "paths": ["/srv"], "size": 18_200_000_000},
        ],
    }
    found = snapshots(json.dumps(listed), Moment(NOW))
    assert found is not None
    newest, oldest = found.lines
    assert (newest.id, newest.paths, newest.size, newest.plan) == ("bbbb2222", ("/srv",), "18.2 GB", "")
    assert newest.when is not None
    assert newest.when.words == "2 h ago"
    assert (oldest.id, oldest.host, oldest.plan, oldest.paths, oldest.size) == (
        "aaaa1111", "nas1", "home", ("/home", "/etc"), "",
    )  # fmt: skip
    assert found.older == "5 older snapshots are not shown"
    assert found.has_sizes


@pytest.mark.parametrize(
    "entries",
    [[7], ["x"], [{}], [{"id": 5, "time": "soon", "paths": "x"}], [{"time": "9999-12-31T23:59:59+00:00"}]],
)
def test_a_list_of_snapshots_from_a_strange_agent_breaks_nothing(entries: list[object]) -> None:
    found = snapshots(json.dumps({"snapshots": entries, "snapshots_count": "many"}), Moment(NOW))
    assert found is not None
    assert found.older == ""


def test_statistics_without_a_list_of_snapshots_have_no_table() -> None:
    assert snapshots("{}", Moment(NOW)) is None
    empty = snapshots('{"snapshots": [], "snapshots_count": 0}', Moment(NOW))
    assert empty is not None
    assert empty.lines == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ('{"files_restored": 1, "bytes_restored": 14}', "1 file restored · 14 B"),
        ('{"files_restored": 1222}', "1,222 files restored"),
        ('{"files_left": 3, "bytes_left": 5}', ""),
    ],
)
def test_a_restore_says_how_many_files_came(found: str, words: str) -> None:
    assert stats.amounts(SimpleNamespace(stats=found)) == words  # type: ignore[arg-type]
