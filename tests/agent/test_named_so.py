"""Which of the hits of `restic find` have themselves the name that was asked for."""

import json
import os
import subprocess

import pytest

from rmactors.agent.live_requests.named_so import NamedSo

from .looked_at import Host
from .repositories import ResticRepository

NAMES = ("a", "b", "ab", "A", "a-b", "^a", "]", "[", "a]", "\\", "-", "é", "*", "a*", "x\ny", "&&", "a~", "|")
BACKWARDS = "[b-a]"
"""No name matches it, and so it is not judged."""
PATTERNS = (
    "a", "?", "a?", "*", "a*", "*b", "[ab]", "[^ab]", "[a-c]*", "[a\\-c]", "[\\]]", "[\\^]a", "\\*", "a\\*", "\\\\",
    "[]", "[^]",
    "*a*", "*a?b*", "a*b", "*[ab]*b", "*-*b",
    BACKWARDS, "é", "[à-ÿ]", "**", "a**", "x?y", "[&&]*", "[a~]*", "[|]", "]", "a]", "[[]", "[-]", "[a-]",
)  # fmt: skip


def taken(pattern: str, *paths: str, ignore_case: bool = False) -> list[str]:
    """Of these paths; one that ends in a slash is a folder."""
    named = NamedSo(pattern, ignore_case=ignore_case)
    return [path for path in paths if named.takes(path.rstrip("/"), is_folder=path.endswith("/"))]


def test_what_lies_below_a_folder_of_that_name_is_left_out() -> None:
    below = ("/me/notes/", "/me/notes/letter", "/me/notes/old/", "/me/notes/old/notes/", "/me/notes/old/notes/x")
    assert taken("notes", *below, "/me/notes2/notes") == ["/me/notes/", "/me/notes/old/notes/", "/me/notes2/notes"]
    assert taken("note*", *below, "/me/notes2/") == ["/me/notes/", "/me/notes/old/notes/", "/me/notes2/"]
    assert taken("notes/", *below) == ["/me/notes/", "/me/notes/old/notes/"]
    assert taken("NOTES", *below, ignore_case=True) == ["/me/notes/", "/me/notes/old/notes/"]
    assert taken("/me/notes", *below) == ["/me/notes/"]
    assert taken("/*/notes", *below) == ["/me/notes/"]
    assert taken("*", *below) == list(below)


def test_where_it_cannot_be_told_restics_word_counts() -> None:
    below = ("/me/notes/", "/me/notes/letter")
    for pattern in ("me/notes", "/**/notes", "[", "[z-a]", "a\\"):
        assert taken(pattern, *below) == list(below)


def test_no_pattern_takes_long() -> None:
    """With a second try for each star, this would take years."""
    assert taken("*a" * 100 + "*b", "/x/", f"/x/{'a' * 255}") == ["/x/"]


def test_each_snapshot_begins_again_with_nothing_taken() -> None:
    named = NamedSo("notes")
    assert named.takes("/notes", is_folder=True)
    assert not named.takes("/notes/letter", is_folder=False)
    named.next_snapshot()
    assert named.takes("/notes/letter", is_folder=False)


@pytest.mark.parametrize("ignore_case", [False, True], ids=["as it is", "ignoring case"])
def test_names_match_as_for_restic(repository: ResticRepository, each_restic: str, ignore_case: bool) -> None:
    """In a folder of that name, each file shows whether it matches by itself."""
    host = Host(repository, each_restic)
    for name in NAMES:
        (host.source / name).mkdir()
    # At the root: else a folder above could match, and all would be listed.
    command = [each_restic, "backup", "-q", "."]
    subprocess.run(command, env=repository.environment, cwd=host.source, check=True, timeout=60)
    case = ["-i"] if ignore_case else []
    for pattern in PATTERNS:
        try:
            answer = host.run("find", "--json", "--no-lock", *case, "--", pattern)
        except subprocess.CalledProcessError:  # it takes no such pattern
            continue
        found = {os.path.basename(hit["path"]) for one in json.loads(answer) for hit in one["matches"]}
        named = NamedSo(pattern, ignore_case=ignore_case)
        named.takes("/below", is_folder=True)
        ours = {name for name in NAMES if named.takes(f"/below/{name}", is_folder=False)}
        assert ours == (set(NAMES) if pattern == BACKWARDS else found & set(NAMES)), pattern
