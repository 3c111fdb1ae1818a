"""What the server may ask, and what restic is told then. Nothing outside the agent's file gets through."""

from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile, Hooks, Keep, Plan, Repository
from rmactors.agent.job_spec import JobRefused, JobSpec, SampleSize, spec_for
from rmactors.common.vocabulary import JOB_KINDS, JobKind

FILE = AgentFile(
    allow=list(JOB_KINDS),
    repositories={
        "main": Repository("/srv/restic", password_file="/p", restore_to="/restored"),
        "off": Repository("s3:x", environment_file="/e"),
    },
    plans={
        "home": Plan(
            "main", ["/home", "/etc"], exclude=["*.cache", "--dry-run"], tags=["t"], keep=Keep(daily=7), check_parts=12
        ),
        "bare": Plan("main", keep=Keep(last=1)),
        "db": Plan("off", ["/var/db"], hooks=Hooks(before=["/bin/dump"])),
    },
)


def work(kind: JobKind, params: dict[str, Any], agent_file: AgentFile = FILE) -> JobSpec:
    return spec_for(agent_file, kind, params, "J" * 26, "nas")


def test_a_backup_is_the_plans_sources_and_nothing_of_the_servers() -> None:
    found = work("backup", {"plan": "home"})
    assert found.arguments == (
        "backup", "--json", "--host", "nas", "--exclude=*.cache", "--exclude=--dry-run",
        "--tag=rmactors-plan:home", "--tag=t", "--", "/home", "/etc",
    )  # fmt: skip


def test_forget_is_bound_to_this_host_and_the_plans_own_tag_whatever_the_paths() -> None:
    found = work("forget", {"plan": "home", "prune": True})
    assert found.arguments == (
        "forget", "--json", "--host", "nas", "--tag", "rmactors-plan:home", "--group-by", "", "--keep-daily", "7",
    )  # fmt: skip
    assert found.prune_after


def test_a_restore_test_has_its_usual_sample_unless_told_another() -> None:
    usual = work("restore_test", {"plan": "home"})
    assert (usual.plan_name, usual.sample, usual.arguments) == ("home", SampleSize(20, 1 << 30), ())
    assert usual.identity is not None
    other = work("restore_test", {"plan": "home", "sample_files": 1000, "sample_bytes": 1})
    assert other.sample == SampleSize(1000, 1)
    assert work("restore_test", {"plan": "home", "sample_files": None}).sample == SampleSize()


def test_check_reads_the_data_in_turn_unless_told_what_to_read() -> None:
    assert work("check", {"plan": "home"}).rotation == ("check:main", 12)
    assert work("check", {"plan": "home", "read_data_subset": "1/5"}).rotation is None
    assert "--read-data-subset=10%" in work("check", {"plan": "home", "read_data_subset": "10%"}).arguments
    assert "--read-data" in work("check", {"repository": "off", "read_data": True}).arguments


def test_a_restore_lands_in_a_folder_of_its_own_below_the_one_in_the_file() -> None:
    found = work("restore", {"plan": "home", "snapshot": "0123abcd", "include": ["/home/me"]})
    assert found.target is not None
    assert found.target.own_path == "/restored/" + "J" * 26
    assert found.target.in_new_folder
    assert (found.snapshot, found.include) == ("0123abcd", ("/home/me",))
    assert found.arguments == ("restore", "--json", "--no-lock", "--include=/home/me")


def test_a_restore_of_everything_that_is_named_so_needs_no_pattern() -> None:
    assert not [word for word in work("restore", {"plan": "home", "include": ["/", "/x"]}).arguments if "incl" in word]


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        ("/x/film [1080p].nfo", r"/x/film \[1080p\].nfo"),
        ("/x/a*b?", r"/x/a\*b\?"),
        ("/x/back\\slash", r"/x/back\\slash"),
        ("/x//y/../z/", "/x/z"),
        ("/x/**/y", r"/x/\*\*/y"),
        ("//x", "/x"),
        ("/x/new\nline", "/x/new\nline"),
        ("/x/\ufffd", "/x/[\ufffd]"),
    ],
)
def test_a_named_file_is_no_pattern(path: str, becomes: str) -> None:
    assert f"--include={becomes}" in work("restore", {"plan": "home", "include": [path]}).arguments


def test_what_only_reads_takes_no_lock() -> None:
    for kind, params in (
        ("snapshots", {"plan": "home"}), ("snapshots", {"repository": "main"}), ("restore", {"plan": "home"}),
        ("diff", {"plan": "home", "from": "0123", "to": "4567"}),
    ):  # fmt: skip
        assert "--no-lock" in work(kind, params).arguments  # type: ignore[arg-type]


def test_snapshots_are_the_plans_or_where_a_repository_is_named_all() -> None:
    named = work("snapshots", {"plan": "home"}).identity
    assert named is not None
    assert named.selection == ("--host", "nas", "--tag", "rmactors-plan:home")
    assert work("snapshots", {"repository": "main"}).identity is None


def test_the_only_plan_need_not_be_named() -> None:
    single = AgentFile(allow=["backup"], repositories=FILE.repositories, plans={"home": FILE.plans["home"]})
    assert work("backup", {}, single).plan_name == "home"


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("backup", {}, "no plan was given: this host has home, bare and db"),
        ("backup", {"plan": "nope"}, "no plan 'nope'"),
        ("backup", {"plan": 7}, "params: Expected `str | null`"),
        ("backup", {"plan": "home", "sources": ["/etc/shadow"]}, "no parameter `sources`"),
        ("backup", {"plan": "home", "command": "rm"}, "no parameter `command`"),
        ("forget", {"plan": "db"}, "has no `keep`"),
        ("forget", {"plan": "bare"}, "has no sources: forget would not know"),
        ("restore", {"plan": "db"}, "needs `restore_targets`, or `restore_to` for the repository off"),
        ("restore", {"plan": "home", "snapshot": "--help"}, "params"),
        ("restore", {"plan": "home", "target": "/"}, "names no `restore_targets`"),
        ("restore", {"plan": "home", "target": 7}, "params: Expected `str | null`"),
        ("restore", {"plan": "home", "include": ["/a\0b"]}, "params"),
        ("restore_test", {"plan": "home", "sample_files": 0}, "params: Expected `int` >= 1 - at `sample_files`"),
        ("restore_test", {"plan": "home", "sample_files": 1001}, "params"),
        ("restore_test", {"plan": "home", "sample_bytes": 1 << 51}, "params"),
        ("restore_test", {"plan": "home", "sample_bytes": "1G"}, "params"),
        ("restore_test", {"plan": "home", "target": "/x"}, "this kind of job has no parameter `target`"),
        ("restore", {"plan": "home", "include": ["relative"]}, "params"),
        ("diff", {"plan": "home", "from": "0123", "to": "--x"}, "params"),
        ("diff", {"plan": "home"}, "missing `from`"),
        ("check", {"plan": "home", "read_data_subset": "1/5 --x"}, "params"),
        (
            "check",
            {"plan": "home", "read_data_subset": "3/2"},
            "read_data_subset: '3/2' must be n/m",
        ),
        ("check", {"plan": "home", "read_data_subset": "0/5"}, "'0/5' must be n/m"),
        ("check", {"plan": "home", "read_data_subset": "1/257"}, "m at most 256"),
        ("check", {"plan": "home", "read_data_subset": "0%"}, "must be above 0%"),
        ("check", {"plan": "home", "read_data_subset": "0.0%"}, "must be above 0%"),
        ("check", {"plan": "home", "read_data_subset": "150%"}, "at most 100%"),
        ("check", {"plan": "home", "read_data_subset": "100.1%"}, "at most 100%"),
        ("check", {"plan": "home", "read_data_subset": "half"}, "'half' must be n/m, like 1/5, or a percentage"),
        ("check", {"plan": "home", "repository": "main"}, "not both"),
        ("prune", {"repository": "nope"}, "no repository 'nope'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(kind: JobKind, params: dict[str, Any], says: str) -> None:
    with pytest.raises(JobRefused) as caught:
        work(kind, params)
    assert says in str(caught.value)


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_a_kind_that_the_file_does_not_allow_is_refused(kind: JobKind) -> None:
    with pytest.raises(JobRefused, match=r"not allowed on this host: its agent\.toml allows nothing"):
        work(kind, {"plan": "home"}, AgentFile(allow=[], repositories=FILE.repositories, plans=FILE.plans))


def test_forget_with_prune_needs_leave_to_prune() -> None:
    without = AgentFile(allow=["forget"], repositories=FILE.repositories, plans=FILE.plans)
    with pytest.raises(JobRefused, match="prune is not allowed"):
        work("forget", {"plan": "home", "prune": True}, without)
