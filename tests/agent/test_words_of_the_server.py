"""A server that was taken over: whatever it says, this host runs words of its own file, or what a type allows."""

import json
import os
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmactors.agent.agent_file import AgentFile, Hooks, Keep, Plan, Repository
from rmactors.agent.job_spec import JobRefused, JobSpec, spec_for
from rmactors.common import wire
from rmactors.common.text import one_line
from rmactors.common.vocabulary import JOB_KINDS, JobKind

from .jobs import Jobs

JOB = "01JDX0000000000000000000AB"
FILE = AgentFile(
    allow=list(JOB_KINDS),
    repositories={
        "main": Repository("/srv/restic", password_file="/p", restore_to="/restored"),
        "off": Repository("s3:x", environment_file="/e", restore_to="/srv/../other/"),
    },
    plans={
        "home": Plan("main", ["/home", "/etc"], exclude=["*.cache"], tags=["t"], keep=Keep(daily=7), check_parts=12),
        "db": Plan("off", ["/var/db"], hooks=Hooks(before=["/bin/dump"]), keep=Keep(within="1y")),
    },
    restore_targets=["/back", "/srv/back"],
)
OURS = {
    "backup", "forget", "check", "restore", "diff", "snapshots", "init", "unlock", "prune", "--json", "--no-lock",
    "--host", "nas", "--tag", "--group-by", "", "--latest", "50", "--keep-daily", "7", "--keep-within", "1y",
    "--exclude=*.cache", "--tag=t", "--tag=rmactors-plan:home", "--tag=rmactors-plan:db", "rmactors-plan:home",
    "rmactors-plan:db", "--", "/home", "/etc", "/var/db", "--read-data",
}  # fmt: skip
"""Every word that a restic may be given here, but for those with a value of the server's."""
ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
SNAPSHOT = re.compile(r"[0-9a-f]{4,64}")
SUBSET = re.compile(r"--read-data-subset=(\d{1,3}/\d{1,3}|\d{1,3}(\.\d{1,3})?%)")
INCLUDE = re.compile(r"--include=/[^\x00]*")

paths = st.sampled_from(["/home/me", "/", "/../../etc", "//x", "/a\nb", "home", "-rf", "/" + "y" * 5000]) | st.text()
targets = paths | st.sampled_from(
    ["/back", "/srv/back/x", "/back/../x", "/backed", "//back/./y//", "/back/a\nb", "/srv"]
)
snapshots = st.sampled_from(["latest", "0123abcd", "0123abcd\n", "--target=/", "a" * 65, "LATEST", "-"]) | st.text(
    string.hexdigits, max_size=70
)
names = st.sampled_from(["home", "db", "main", "off", "nope", "home\n", "../home", "--repo=/x", ""])
subsets = st.sampled_from(["1/5", "5/5", "1/5\n", "100%", "0.5%", "1e9%", "9/1", "/etc", "1/5 --repo=/x"])
job_ids = st.sampled_from(
    [JOB, f"{JOB}\n", JOB.lower(), "/etc/cron.d/x", f"../{JOB}", f"{JOB}/../../etc/.", ".", "..", "", "J" * 25 + "/"]
) | st.text(max_size=30)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
params = st.fixed_dictionaries(
    {},
    optional={
        "plan": names | anything, "repository": names | anything, "prune": st.booleans() | anything,
        "read_data": st.booleans() | anything, "read_data_subset": subsets | anything,
        "snapshot": snapshots | anything, "include": st.lists(paths, max_size=3) | anything,
        "from": snapshots | anything, "to": snapshots | anything, "target": targets | anything, "--repo": paths,
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(job_ids | st.just(JOB), st.sampled_from([*JOB_KINDS, "format"]), params)
def test_whatever_is_ordered_restic_gets_words_of_the_file_or_what_a_type_allows(
    job_id: str, kind: str, given_params: dict[str, Any]
) -> None:
    command = {"type": "run_job", "job_id": job_id, "kind": kind, "params": given_params}
    heard = wire.decode_from_server(json.dumps(command))
    if heard.frame is None:
        assert heard.fault
        assert heard.fault.isprintable()
        return
    assert isinstance(heard.frame, wire.RunJob)
    assert ID.fullmatch(heard.frame.job_id)
    judge(heard.frame.kind, heard.frame.params, heard.frame.job_id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(JOB_KINDS), params)
def test_a_schedule_says_no_more_than_an_order(kind: str, given_params: dict[str, Any]) -> None:
    schedule = {"id": JOB, "name": "x", "kind": kind, "cron": "@daily", "params": given_params}
    heard = wire.decode_from_server(json.dumps({"type": "schedules", "schedules_rev": 1, "schedules": [schedule]}))
    if heard.frame is None:  # Python writes numbers that JSON does not have
        assert heard.fault
        return
    assert isinstance(heard.frame, wire.Schedules)
    for told in heard.frame.schedules:
        judge(told.kind, told.params, JOB)


def judge(kind: JobKind, told: dict[str, Any], job_id: str) -> None:
    """Every word, path and name that comes of it is of the file, or matches its type; a refusal is one plain line."""
    work = meant(kind, told, job_id)
    if isinstance(work, str):
        assert one_line(work) == work
        assert len(work) <= 500
        return
    assert work.repository in FILE.repositories.values()
    assert work.plan is None or work.plan in FILE.plans.values()
    for word in work.arguments:
        assert word in OURS or SUBSET.fullmatch(word) or INCLUDE.fullmatch(word), word
    assert work.snapshot == "latest" or SNAPSHOT.fullmatch(work.snapshot)
    assert all(SNAPSHOT.fullmatch(one) for one in work.compared)
    if work.target is not None:
        assert work.repository.restore_to is not None
        if told.get("target") is None:
            assert work.target.path == os.path.normpath(work.repository.restore_to)
            assert work.target.own_path == os.path.join(work.target.path, job_id)
        else:
            assert work.target.within in FILE.restore_targets
            assert os.path.normpath(work.target.path) == work.target.path
            assert work.target.path.startswith(work.target.within)


def meant(kind: JobKind, told: dict[str, Any], job_id: str) -> JobSpec | str:
    """What is to be done, or the words with which it is refused."""
    try:
        return spec_for(FILE, kind, told, job_id, "nas")
    except JobRefused as refused:
        return str(refused)


@pytest.mark.parametrize(
    "job_id", ["/etc/cron.d/x", f"../{JOB}", f"{JOB}/../../etc/.", ".", "..", "", f"{JOB}\n", JOB.lower(), f"{JOB}/."]
)
def test_a_restore_for_what_is_no_job_id_is_refused_a_second_time(job_id: str) -> None:
    """Behind the wire as well: the folder is what matters."""
    with pytest.raises(JobRefused, match="would not name a folder"):
        spec_for(FILE, "restore", {"plan": "home"}, job_id, "nas")


def test_a_refusal_of_a_parameter_with_an_endless_name_still_fits_a_report() -> None:
    """Else the report about it is larger than a frame, and the spool stands still behind it."""
    with pytest.raises(JobRefused) as refused:
        spec_for(FILE, "backup", {"plan": "home", "x" * 1_000_000: 1}, JOB, "nas")
    assert len(str(refused.value)) == 500


async def test_what_programs_really_get_is_of_the_file_or_of_a_type(tmp_path: Path) -> None:
    """The same for whole jobs: a restic and a hook that write down their arguments and their environment."""
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {tmp_path}/argv.$$\nenv -0 > {tmp_path}/env.$$\necho "[]"\n')
    spy.chmod(0o755)
    (tmp_path / "home").mkdir()
    hooks = Hooks(before=[str(spy), "hook"])
    plan = Plan("main", [str(tmp_path / "home")], hooks=hooks, keep=Keep(daily=7))
    repository = Repository(
        str(tmp_path / "repo"), password_command="/bin/cat /p", restore_to=str(tmp_path / "restored")
    )
    jobs = Jobs(AgentFile(list(JOB_KINDS), {"main": repository}, {"home": plan}, str(spy), "nas"), tmp_path / "state")
    await jobs.do("backup")
    await jobs.do("check", read_data_subset="1/5")
    await jobs.do("restore", snapshot="0123abcd", include=["/etc"])
    await jobs.do("diff", **{"from": "0123abcd", "to": "cafe0123"})
    words = written(tmp_path, "argv.*")
    home = str(tmp_path / "home")
    ours = OURS | {"version", "hook", "--no-cache", home, f"--path={home}"}
    ours |= {"0123abcd", "cafe0123", "--read-data-subset=1/5"}
    assert words <= ours
    assert {"hook", "0123abcd", "--read-data-subset=1/5"} <= words
    variables = written(tmp_path, "env.*") - {f"{name}={value}" for name, value in os.environ.items()}
    named = dict(variable.partition("=")[::2] for variable in variables if variable)
    assert ID.fullmatch(named.pop("RM_JOB_ID"))
    # what else is new there is made by the shell and by Python, of what this process has
    assert {name: value for name, value in named.items() if name.startswith(("RM_", "RESTIC_"))} == {
        "RM_JOB_KIND": "backup", "RM_PLAN": "home", "RESTIC_REPOSITORY": str(tmp_path / "repo"),
        "RESTIC_PASSWORD_COMMAND": "/bin/cat /p", "RESTIC_PROGRESS_FPS": "1",
    }  # fmt: skip


def written(folder: Path, names: str) -> set[str]:
    """What stands in those files, between NULs."""
    return {word for file in folder.glob(names) for word in file.read_text().split("\0")}
