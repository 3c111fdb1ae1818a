"""Where a restore may go by what agent.toml says, in words alone: no disk is looked at here."""

import json
from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile, AgentFileError, Plan, Repository, parse
from rmactors.agent.restore_targets import Kept, Target, TargetRefused, is_below, kept_by, target_of

JOB = "J" * 26


def file_with(*targets: str, restore_to: str | None = None) -> AgentFile:
    return AgentFile(
        repositories={"main": Repository("s3:x", password_file="/p", restore_to=restore_to)},
        plans={"home": Plan("main", ["/home"])},
        restore_targets=list(targets),
    )


def asked(target: str | None, *targets: str, restore_to: str | None = None, job_id: str = JOB) -> Target:
    return target_of(file_with(*targets, restore_to=restore_to), "main", target, job_id)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/srv/restore", "/srv/restore"),
        ("/srv/restore/", "/srv/restore"),
        ("//srv//restore/./a/", "/srv/restore/a"),
        ("/srv/restore/a/b c/[ü]", "/srv/restore/a/b c/[ü]"),
        ("/srv/restore/...", "/srv/restore/..."),
    ],
)
def test_a_target_may_be_a_folder_of_the_file_or_one_below_it(target: str, path: str) -> None:
    found = asked(target, "/srv/restore/", restore_to="/elsewhere")
    assert (found.path, found.within, found.in_new_folder) == (path, "/srv/restore", False)
    assert found.own_path == f"{path}/{JOB}"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("srv/restore", "'srv/restore' must be an absolute path"),
        ("", "'' must be an absolute path"),
        ("~/x", "must be an absolute path"),
        ("/srv/restore/../etc", "must not contain `..`"),
        ("/srv/restore/a/..", "must not contain `..`"),
        ("/srv/restore/" + "ü" * 128, "no folder can have a name of more than 255 bytes"),
        ("/srv/restored", "is not below a folder that agent.toml names in `restore_targets` (/srv/restore, /mnt)"),
        ("/srv", "is not below a folder"),
        ("/", "is not below a folder"),
        ("/etc", "is not below a folder"),
        ("/srv/restore/a\nb", "without control characters"),
        ("/srv/restore/\x1b[2J", "without control characters"),
        ("/srv/restore/\0", "without control characters"),
        ("/srv/restore/" + "a" * 4096, "at most 4096 characters"),
    ],
)
def test_any_other_target_is_refused_in_words(target: str, says: str) -> None:
    with pytest.raises(TargetRefused) as refused:
        asked(target, "/srv/restore", "/mnt")
    assert says in str(refused.value)


def test_of_folders_in_each_other_the_inner_one_counts() -> None:
    assert asked("/srv/restore/a/b", "/srv", "/srv/restore").within == "/srv/restore"


def test_without_a_target_restore_to_counts_then_the_only_folder_and_each_gets_a_new_one_in_it() -> None:
    for found, key, path in (
        (asked(None, "/srv/restore", restore_to="/old/../back/"), "restore_to", "/back"),
        (asked(None, "/srv//restore/"), "restore_targets", "/srv/restore"),
    ):
        assert (found.key, found.path, found.in_new_folder) == (key, path, True)
        assert found.own_path == f"{path}/{JOB}"


def test_without_a_target_and_without_one_folder_for_it_nothing_is_restored() -> None:
    with pytest.raises(TargetRefused, match="needs `restore_targets`, or `restore_to` for the repository main"):
        asked(None)
    with pytest.raises(TargetRefused, match=r"must say where to: agent\.toml allows /a, /b"):
        asked(None, "/a", "/b")
    with pytest.raises(TargetRefused, match="names no `restore_targets`"):
        asked("/old/x", restore_to="/old")


@pytest.mark.parametrize("job_id", ["", "..", "../" + JOB, JOB + "\n", JOB.lower(), f"{JOB}/x"])
def test_what_is_no_job_id_names_no_folder(job_id: str) -> None:
    for target in (None, "/srv/restore"):
        with pytest.raises(TargetRefused, match="would not name a folder"):
            asked(target, "/srv/restore", job_id=job_id)


def test_sources_of_every_plan_and_repositories_on_this_machine_are_kept() -> None:
    agent_file = AgentFile(
        repositories={"disk": Repository("/mnt/repo/", password_file="/p"), "cloud": Repository("s3:x")},
        plans={
            "a": Plan("disk", ["/home", "/etc/./x"], exclude=["/home/cache/", "*.tmp", "/home/*/tmp", "/home/a[b"]),
            "b": Plan("cloud", ["/"]),
        },
    )
    assert kept_by(agent_file) == (
        Kept("the source /home of plan a", "/home", True, ("/home/cache",)),
        Kept("the source /etc/./x of plan a", "/etc/x", True, ("/home/cache",)),
        Kept("the source / of plan b", "/", True),
        Kept("the repository disk", "/mnt/repo"),
    )


@pytest.mark.parametrize(
    ("path", "folder", "below"),
    [("/a", "/a", True), ("/a/b", "/a", True), ("/ab", "/a", False), ("/a", "/a/b", False), ("/a", "/", True)],
)
def test_below_is_by_whole_names(path: str, folder: str, below: bool) -> None:
    assert is_below(path, folder) is below


def test_the_file_names_them_as_a_list() -> None:
    assert parse('restore_targets = ["/srv/restore", "/mnt/usb"]').restore_targets == ["/srv/restore", "/mnt/usb"]
    assert parse("").restore_targets == []


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (["srv/restore"], "restore_targets: 'srv/restore' must be an absolute path"),
        (["/srv/../etc"], "restore_targets: '/srv/../etc' must not contain `..`"),
        (["/"], "restore_targets: '/' is the whole system: name a folder for restores alone"),
        (["//./"], "restore_targets: '//./' is the whole system"),
        (["/a\nb"], "must be one line of at most 4096 characters"),
        (["/a"] * 51, "restore_targets: expected `array` of length <= 50"),
        ([7], "restore_targets"),
        ("/srv/restore", "restore_targets: expected `array`, got `str`"),
    ],
)
def test_a_folder_that_no_restore_may_go_to_is_refused_with_its_key(value: Any, says: str) -> None:
    with pytest.raises(AgentFileError) as refused:
        parse(f"restore_targets = {json.dumps(value)}")
    assert says in str(refused.value)
