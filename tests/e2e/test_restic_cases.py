"""What happens to backups, on real processes: server, agent and restic, from the operator's order to the alert.

One server and one agent for all of them; each case has a plan, and where it spoils something a repository, of its own.
"""

import filecmp
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.agents import PASSWORD, AgentProcess
from harness.cheap_key import new_repository
from harness.processes import Server, eventually
from rmactors.cli.main import main

NOBODY = 65534


@dataclass
class Nas:
    """The host: its agent, and its repositories, one for each name below `folder`."""

    agent: AgentProcess
    host_id: str
    folder: Path

    def run(self, kind: str, plan: str) -> dict[str, Any]:
        return self.agent.run_job(self.host_id, kind, {"plan": plan})

    def alert(self, plan: str, kind: str) -> dict[str, Any] | None:
        """The unresolved alert about a plan."""
        found = self.agent.server.all_items(f"/api/alerts?host_id={self.host_id}&kind={kind}")
        return next((alert for alert in found if alert["subject"] == f"plan:{plan}"), None)

    def locks(self, repository: str) -> list[str]:
        """Locks that count: not those that are still being written."""
        return [file.name for file in (self.folder / repository / "locks").iterdir() if len(file.name) == 64]

    def packs(self, repository: str) -> list[Path]:
        found = [file for file in (self.folder / repository / "data").rglob("*") if file.is_file()]
        return sorted(found, key=lambda file: file.stat().st_size)

    def restic(self, repository: str, *arguments: str) -> list[str]:
        return [
            "restic",
            "--repo",
            str(self.folder / repository),
            "--password-file",
            str(self.folder / "pass"),
            *arguments,
        ]


REPOSITORIES = ("main", "held", "broken", "slow", "nobodys", "tested")
PLANS = {"home": "main", "gone": "main", "wrong": "wrong", "missing": "missing", "held": "held", "broken": "broken",
         "slow": "slow", "closed": "nobodys", "tested": "tested"}  # fmt: skip


def agent_file(folder: Path) -> str:
    """A plan for each case. restic is a script that becomes somebody else for one of the repositories."""
    text = [
        'allow = ["backup", "browse", "check", "prune", "restore", "restore_test", "unlock"]',
        f'restic = "{folder}/restic"\nlock_wait_seconds = 0\nrestore_targets = ["{folder}/restore"]',
    ]
    for name in (*REPOSITORIES, "missing", "wrong"):
        where, password = ("main", "wrong") if name == "wrong" else (name, "pass")
        text.append(
            f'[repositories.{name}]\nrepository = "{folder}/{where}"\npassword_file = "{folder}/{password}"\n'
            f'cache_dir = "{folder}/cache-{name}"\nrestore_to = "{folder}/restored"'
        )
        text += ["limit_upload = 2000"] if name == "slow" else []
    for plan, repository in PLANS.items():
        sources = [f"{folder}/{'big' if plan == 'slow' else 'closed' if plan == 'closed' else 'home'}"]
        sources += ["/nonexistent/photos"] if plan == "gone" else []
        text.append(f'[plans.{plan}]\nrepository = "{repository}"\nsources = {json.dumps(sources)}')
    return "\n".join(text)


def fill(folder: Path) -> None:
    (folder / "pass").write_text(f"{PASSWORD}\n")
    (folder / "wrong").write_text("battery staple\n")
    for source in ("home/deep", "big", "closed"):
        (folder / source).mkdir(parents=True)
    (folder / "home" / "letter.txt").write_text("worth keeping\n")
    (folder / "home" / "deep" / "ü ñ.bin").write_bytes(os.urandom(300_000))
    (folder / "home" / "empty").touch()
    (folder / "home" / "new\nline [1]").write_text("odd")
    (folder / "restore").mkdir(0o700)
    (folder / "home" / "link").symlink_to("letter.txt")
    (folder / "big" / "film").write_bytes(os.urandom(60_000_000))
    (folder / "closed" / "open.txt").write_text("anybody may read this")
    (folder / "closed" / "secret.txt").write_text("nobody may read this")
    (folder / "closed" / "secret.txt").chmod(0)
    script = folder / "restic"
    become = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps=-all" if os.geteuid() == 0 else ""
    script.write_text(
        f'#!/bin/sh\ncase "$RESTIC_REPOSITORY" in */nobodys) exec {become} restic "$@";; *) exec restic "$@";; esac\n'
    )
    script.chmod(0o755)


@pytest.fixture(scope="module")
def nas(shared_server: Server, tmp_path_factory: pytest.TempPathFactory, restic: str) -> Iterator[Nas]:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders can be entered by their owner alone
        folder = Path(name)
        folder.chmod(0o755)
        fill(folder)
        agent = AgentProcess(shared_server, tmp_path_factory.mktemp("nas"), "nas")
        found = Nas(agent, agent.enroll(), folder)
        new_repository(folder / "main", PASSWORD)
        for repository in REPOSITORIES[1:]:
            shutil.copytree(folder / "main", folder / repository)
        (folder / "cache-nobodys").mkdir()
        if os.geteuid() == 0:
            for file in [folder / "cache-nobodys", folder / "nobodys", *(folder / "nobodys").rglob("*")]:
                os.chown(file, NOBODY, NOBODY)
        agent.config.write_text(agent_file(folder))
        agent.start(found.host_id)
        try:
            yield found
        finally:
            agent.end()


def test_a_good_backup(nas: Nas) -> None:
    job = nas.run("backup", "home")
    assert (job["status"], job["reason"], job["error"], job["exit_code"]) == ("succeeded", "ok", None, 0)
    stats = job["stats"]
    assert (stats["files_new"], stats["files_total"], stats["bytes_total"]) == (4, 4, 300_017)
    assert stats["bytes_added"] > 300_000
    assert 0 < stats["duration_seconds"] < 60
    listed = subprocess.run(nas.restic("main", "snapshots", "--json"), capture_output=True, check=True)
    assert [one["short_id"] for one in json.loads(listed.stdout)] == [stats["snapshot_id"][:8]]
    assert nas.alert("home", "backup_failed") is None
    host = nas.agent.server.ask("GET", f"/api/hosts/{nas.host_id}")
    assert host["last_jobs"]["backup"]["id"] == job["id"]
    assert {plan["name"] for plan in host["plans"]} == set(PLANS)


def test_a_wrong_password(nas: Nas) -> None:
    job = nas.run("backup", "wrong")
    assert (job["status"], job["reason"], job["error"]) == ("failed", "wrong_password", "wrong password")
    alert = nas.alert("wrong", "backup_failed")
    assert alert is not None
    assert "wrong password" in alert["message"]


def test_a_missing_repository(nas: Nas) -> None:
    job = nas.run("backup", "missing")
    assert (job["status"], job["reason"]) == ("failed", "no_repository")
    assert "no such file or directory" in job["error"]
    assert nas.alert("missing", "backup_failed") is not None


def test_a_file_that_cannot_be_read_by_who_is_not_root(nas: Nas) -> None:
    job = nas.run("backup", "closed")
    assert (job["status"], job["reason"], job["exit_code"]) == ("partial", "partial", 3)
    assert job["error"].startswith("1 file could not be read: ")
    assert "secret.txt: permission denied" in job["error"]
    assert job["stats"]["files_unread"] == 1
    assert job["stats"]["snapshot_id"], "the rest is in a snapshot"
    alert = nas.alert("closed", "backup_failed")
    assert alert is not None
    assert "secret.txt" in alert["message"]

    (nas.folder / "closed" / "secret.txt").chmod(0o644)
    assert nas.run("backup", "closed")["status"] == "succeeded"
    assert nas.alert("closed", "backup_failed") is None


def test_a_vanished_source(nas: Nas) -> None:
    """restic calls this a success, before 0.19."""
    job = nas.run("backup", "gone")
    assert (job["status"], job["reason"]) == ("partial", "no_source")
    assert job["error"] == "/nonexistent/photos does not exist"
    assert nas.alert("gone", "backup_failed") is not None


def test_a_lock_held_by_another_restic(nas: Nas) -> None:
    command = nas.restic("held", "--no-cache", "backup", "--stdin")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as holder:
        eventually(lambda: bool(nas.locks("held")), 60, lambda: "it takes no lock")
        job = nas.run("prune", "held")
        assert (job["status"], job["reason"]) == ("failed", "locked")
        assert f"repository locked by pid {holder.pid} on {socket.gethostname()}" in job["error"]
        alert = nas.alert("held", "prune_failed")
        assert alert is not None
        assert f"pid {holder.pid}" in alert["message"]
        assert nas.locks("held"), "it is in use: nobody takes it away"
        holder.send_signal(signal.SIGKILL)
    assert nas.locks("held"), "and now it is stale"
    assert nas.run("prune", "held")["status"] == "succeeded"
    assert nas.locks("held") == []
    assert nas.alert("held", "prune_failed") is None


def test_a_truncated_pack(nas: Nas) -> None:
    assert nas.run("backup", "broken")["status"] == "succeeded"
    assert nas.run("check", "broken")["status"] == "succeeded"
    largest = nas.packs("broken")[-1]
    largest.chmod(0o600)
    os.truncate(largest, 1000)
    assert nas.run("backup", "broken")["status"] == "succeeded", "a backup does not notice"
    job = nas.run("check", "broken")
    assert (job["status"], job["reason"], job["exit_code"]) == ("failed", "corrupt", 1)
    assert largest.name[:8] in job["error"]
    alert = nas.alert("broken", "check_failed")
    assert alert is not None
    assert alert["severity"] == "critical"


def test_a_cancel_in_mid_backup_leaves_the_repository_unlocked(nas: Nas) -> None:
    server = nas.agent.server
    job = server.ask("POST", f"/api/hosts/{nas.host_id}/jobs", {"kind": "backup", "params": {"plan": "slow"}})
    eventually(lambda: bool(nas.packs("slow") and nas.locks("slow")), 30, lambda: "it does not begin")
    server.ask("POST", f"/api/jobs/{job['id']}/cancel")
    job = nas.agent.until_ended(job)
    assert (job["status"], job["reason"]) == ("cancelled", "cancelled")
    assert nas.locks("slow") == []
    assert nas.alert("slow", "backup_failed") is None
    assert nas.run("check", "slow")["status"] == "succeeded", "what it left is whole"


def test_a_restore_gives_back_every_byte(nas: Nas) -> None:
    assert nas.run("backup", "home")["status"] == "succeeded"
    job = nas.run("restore", "home")
    assert job["status"] == "succeeded", job["error"]
    original, restored = nas.folder / "home", Path(f"{job['stats']['restored_into']}{nas.folder}/home")
    names = sorted(str(path.relative_to(original)) for path in original.rglob("*"))
    assert sorted(str(path.relative_to(restored)) for path in restored.rglob("*")) == names
    files = [name for name in names if (original / name).is_file()]
    assert filecmp.cmpfiles(original, restored, files, shallow=False) == (files, [], [])
    assert (restored / "link").readlink() == Path("letter.txt")


def typed(nas: Nas, *words: str, code: int = 0) -> Result:
    """A command over the API; its exit code must be `code`."""
    server = nas.agent.server
    given = {"RM_SERVER": server.url, "RM_TOKEN": server.token}
    done = CliRunner().invoke(main, ["jobs", "run", "nas", *words], env=given, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done


def test_a_restore_from_the_command_line_says_before_what_it_brings_and_after_what_it_brought(nas: Nas) -> None:
    assert nas.run("backup", "home")["status"] == "succeeded"
    names = ("letter.txt", "new\nline [1]")
    into = nas.folder / "restore" / "mine"
    words = ["restore", "--plan", "home", "--snapshot", "latest", "--target", str(into)]
    words += [word for name in names for word in ("--include", str(nas.folder / "home" / name))]
    outlook = json.loads(typed(nas, *words, "--dry-run", "--json").stdout)
    assert (outlook["files"], outlook["bytes"], outlook["into"]) == (2, 17, str(into))
    lines = typed(nas, *words, "--dry-run").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["snapshot", "files", "size", "into", "free"]
    assert list((nas.folder / "restore").iterdir()) == []

    done = dict(line.split("  ", 1) for line in typed(nas, *words, "--wait").stdout.splitlines())
    assert (done["status"].strip(), done["files restored"].strip()) == ("succeeded", "2")
    restored = Path(f"{into}{nas.folder}/home")
    assert {path.name: path.read_bytes() for path in restored.iterdir()} == {
        name: (nas.folder / "home" / name).read_bytes() for name in names
    }

    more = typed(nas, *words, "--include", "/nope", "--wait", code=1)
    assert "the job did not restore everything: nothing in the snapshot matches /nope" in more.stderr
    refused = typed(nas, "restore", "--plan", "home", "--target", str(nas.folder / "home"), "--wait", code=1)
    assert "is not below a folder that agent.toml names in `restore_targets`" in refused.stderr
    before = typed(nas, "restore", "--plan", "home", "--target", str(nas.folder / "home"), "--dry-run", code=1)
    assert "is not below a folder that agent.toml names in `restore_targets`" in before.stderr
    assert "--dry-run is for restore" in typed(nas, "backup", "--plan", "home", "--dry-run", code=2).stderr


def test_a_restore_test_proves_a_plan_and_finds_what_cannot_be_restored(nas: Nas) -> None:
    server = nas.agent.server

    def proven() -> list[dict[str, Any]]:
        host = server.ask("GET", f"/api/hosts/{nas.host_id}")
        return [one for one in host["last_restore_tests"] if one["plan"] == "tested"]

    assert nas.run("backup", "tested")["status"] == "succeeded"
    assert proven() == []
    good = nas.run("restore_test", "tested")
    assert (good["status"], good["reason"], good["error"]) == ("succeeded", "ok", None)
    sizes = [path.lstat().st_size for path in (nas.folder / "home").rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    assert (good["stats"]["files_tested"], good["stats"]["compared_with_source"]) == (len(sizes), len(sizes))
    [first] = proven()
    assert (first["files"], first["bytes"], first["job_id"]) == (len(sizes), sum(sizes), good["id"])
    largest = nas.packs("tested")[-1]
    whole = largest.read_bytes()
    largest.chmod(0o600)
    largest.write_bytes(whole[:200_000] + bytes([whole[200_000] ^ 1]) + whole[200_001:])
    assert nas.run("check", "tested")["status"] == "succeeded", "a check that reads no data does not notice"
    bad = nas.run("restore_test", "tested")
    assert (bad["status"], bad["reason"]) == ("failed", "corrupt")
    alert = nas.alert("tested", "restore_test_failed")
    assert alert is not None
    assert alert["severity"] == "critical"
    assert "Restore test of tested failed: " in alert["message"]
    assert f"{nas.folder}/home/deep/ü ñ.bin" in alert["message"]
    assert proven() == [first]
    largest.write_bytes(whole)
    again = nas.run("restore_test", "tested")
    assert again["status"] == "succeeded"
    assert nas.alert("tested", "restore_test_failed") is None
    assert [one["job_id"] for one in proven()] == [again["id"]]


def test_a_kind_that_the_agents_file_does_not_allow(nas: Nas) -> None:
    job = nas.agent.run_job(nas.host_id, "forget", {"plan": "home"})
    assert (job["status"], job["reason"]) == ("failed", "refused")
    assert "forget is not allowed on this host" in job["error"]
