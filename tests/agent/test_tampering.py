"""Root trusts `agent.toml`: it is not read, and nothing that it names is run, where somebody else could change that."""

import grp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rmactors.agent import programs, this_host
from rmactors.agent.agent_file import AgentFile, AgentFileError, Hooks, Plan, Repository, load
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import StateDir
from rmactors.agent.tampering import trouble_with
from rmactors.cli.main import main
from tests.restics import INSTALLED_SAFELY

from .jobs import Jobs
from .repositories import ResticRepository

NOBODY = 65534
installed_safely = pytest.mark.skipif(not INSTALLED_SAFELY, reason="others can change this checkout")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def make(path: Path, mode: int = 0o644, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_that_its_owner_alone_writes_is_trusted(tmp_path: Path) -> None:
    assert trouble_with(make(tmp_path / "a" / "agent.toml")) is None
    assert trouble_with(tmp_path / "not there") is None
    assert trouble_with("/dev/null") is None
    assert trouble_with("/bin/sh") is None


def test_a_file_that_everybody_can_write_is_not(tmp_path: Path) -> None:
    file = make(tmp_path / "agent.toml", 0o666)
    assert trouble_with(file) == (
        f"{file} can be written by everybody, and anyone who can change it decides what runs here: chmod o-w {file}"
    )


def test_a_folder_above_it_counts_unless_nobody_can_replace_what_others_have_in_it(tmp_path: Path) -> None:
    file = make(tmp_path / "open" / "below" / "hook")
    (tmp_path / "open").chmod(0o777)
    assert trouble_with(file, of="the hook") == (
        f"the hook {file}: {tmp_path}/open, on the way to it, can be written by everybody, "
        f"and anyone who can change it decides what runs here: chmod o-w {tmp_path}/open"
    )
    (tmp_path / "open").chmod(0o1777)
    assert trouble_with(file) is None


def test_a_link_is_as_good_as_what_it_leads_to_and_the_folder_that_it_lies_in(tmp_path: Path) -> None:
    target = make(tmp_path / "target" / "restic", 0o755)
    link = tmp_path / "bin" / "restic"
    link.parent.mkdir()
    link.symlink_to("../target/restic")
    assert trouble_with(link) is None
    target.chmod(0o777)
    assert f"{link}: {target}, on the way to it, can be written" in (trouble_with(link) or "")
    target.chmod(0o755)
    link.parent.chmod(0o777)
    assert f"{link.parent}, on the way" in (trouble_with(link) or "")
    (tmp_path / "loop").symlink_to("loop")
    assert trouble_with(tmp_path / "loop") is None


def test_where_the_agent_was_started_may_be_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, in a folder that somebody has tidied away since."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert trouble_with(make(tmp_path / "agent.toml")) is None
    assert trouble_with("/bin/sh") is None


@as_root
def test_a_file_or_folder_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    file = make(tmp_path / "theirs" / "agent.toml")
    os.chown(file, NOBODY, NOBODY)
    assert f"{file} belongs to nobody" in (trouble_with(file) or "")
    assert (trouble_with(file) or "").endswith(f"chown -h root {file}")
    os.chown(file, 0, 0)
    os.chown(file.parent, NOBODY, NOBODY)
    trouble = trouble_with(file) or ""
    assert f"{file.parent}, on the way to it, belongs to nobody" in trouble
    assert trouble.endswith(": put it where only root can write"), "a home that is root's is its owner's no more"
    link = tmp_path / "link"
    link.symlink_to(make(tmp_path / "mine"))
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    assert f"{link} belongs to nobody" in (trouble_with(link) or "")
    subprocess.run((trouble_with(link) or "").rpartition(": ")[2].split(), check=True)
    assert trouble_with(link) is None, "what is to be typed is about the link"


@as_root
def test_a_group_counts_where_somebody_else_is_in_it(tmp_path: Path) -> None:
    """Debian's users have a group of their own, which may write all that they make."""
    file = make(tmp_path / "agent.toml", 0o664)
    assert trouble_with(file) is None, "root's own group"
    os.chown(file, 0, NOBODY)
    assert f"can be written by the group {grp.getgrgid(NOBODY).gr_name}" in (trouble_with(file) or "")
    os.chown(file, 0, 4_000_000_000)
    assert "can be written by the group 4000000000" in (trouble_with(file) or ""), "nobody knows who is in it"


# ---- what the file has the agent run


def agent_file(*, restic: str = "/usr/bin/env", hook: list[str] | None = None, **repository: object) -> AgentFile:
    values: dict[str, object] = {"repository": "/srv/restic", "password_file": "/p"} | repository
    hooks = Hooks(before=hook)
    return AgentFile(
        restic=restic,
        repositories={"main": Repository(**values)},
        plans={"home": Plan("main", ["/home"], hooks=hooks)},  # type: ignore[arg-type]
    )


def test_everything_that_is_run_is_looked_at(tmp_path: Path) -> None:
    bad = str(make(tmp_path / "bad", 0o777, "#!/bin/sh\n"))
    cases = [
        (agent_file(restic=bad), f"restic {bad} can"),
        (agent_file(hook=[bad]), f"plans.home: the hook {bad} can"),
        (agent_file(hook=["/bin/sh", bad]), f"plans.home: the hook {bad} can"),
        (agent_file(hook=["/usr/bin/nice", "-n", "5", "/bin/bash", "-e", bad]), f"plans.home: the hook {bad} can"),
        (agent_file(password_command=f"{bad} show x"), f"repositories.main: the command {bad} can"),
        (agent_file(password_command=f"python3 {bad}"), f"repositories.main: the command {bad} can"),
        (agent_file(environment_file=bad), f"repositories.main: the environment_file {bad} can"),
        (agent_file(options=[f"sftp.command={bad} -x"]), f"repositories.main: the command {bad} can"),
    ]
    for given, says in cases:
        (trouble,) = programs.troubles_of(given)
        assert trouble.startswith(says)
    fine = agent_file(hook=["/usr/bin/touch", bad], password_command="sh -c 'cat /x'", options=["sftp.connections=2"])
    assert programs.troubles_of(fine) == [], "what a hook works on is not what it is"
    assert programs.troubles_of(agent_file(password_command="'unfinished")) == []


def test_a_host_that_only_reports_what_others_run_is_not_held_up_by_its_restic(tmp_path: Path) -> None:
    """The server is told why, and nothing is run: not even `restic version`."""
    restic = str(make(tmp_path / "restic", 0o777, f"#!/bin/sh\ntouch {tmp_path}/ran\necho restic 0.18.0\n"))
    assert programs.troubles_of(AgentFile(restic=restic)) == []
    found = this_host.look_at_restic(restic)
    assert found.version is None
    assert f"{restic} can be written by everybody" in (found.problem or "")
    assert not (tmp_path / "ran").exists()


CONFIG = '[repositories.main]\nrepository = "/srv/x"\npassword_file = "/p"\n[plans.home]\nrepository = "main"\n'


def ran(*arguments: str, tmp_path: Path) -> tuple[int, str]:
    done = CliRunner().invoke(
        main, ["agent", *arguments, "--config", str(tmp_path / "agent.toml"), "--state-dir", str(tmp_path / "state")]
    )
    return done.exit_code, done.output


@pytest.mark.parametrize("arguments", [("run",), ("check",), ("install", "--print")], ids=" ".join)
def test_commands_refuse_a_file_that_others_can_write(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = make(tmp_path / "agent.toml", 0o666, CONFIG)
    code, output = ran(*arguments, tmp_path=tmp_path)
    assert code == 1
    assert f"{file} can be written by everybody, and anyone who can change it decides what runs here: chmod" in output
    with pytest.raises(AgentFileError, match="chmod o-w"):
        load(file)


@pytest.mark.parametrize(
    "arguments", [("run",), ("check",), pytest.param(("install", "--print"), marks=installed_safely)], ids=" ".join
)
def test_commands_refuse_a_restic_that_others_can_write_and_do_not_run_it(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    restic = make(tmp_path / "restic", 0o777, f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    make(tmp_path / "agent.toml", 0o644, f'restic = "{restic}"\n{CONFIG}')
    code, output = ran(*arguments, tmp_path=tmp_path)
    assert code == 1
    assert f"restic {restic} can be written by everybody" in output
    assert not (tmp_path / "ran").exists()


async def test_a_job_does_not_run_what_was_opened_to_others_after_the_start(
    repository: ResticRepository, tmp_path: Path
) -> None:
    hook = make(tmp_path / "hook", 0o755, f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    jobs = Jobs(repository.agent_file(plan={"hooks": Hooks(before=[str(hook)])}), tmp_path / "state")
    hook.chmod(0o777)
    end = await jobs.do("backup")
    assert (end.verdict.status, end.verdict.reason) == ("failed", "refused")
    assert "nothing was run: plans.home: the hook" in (end.verdict.error or "")
    assert not (tmp_path / "ran").exists()


async def test_nothing_is_restored_to_where_others_could_put_a_link_in_its_place(
    repository: ResticRepository, tmp_path: Path
) -> None:
    target = tmp_path / "restored"
    target.mkdir()
    target.chmod(0o777)
    jobs = Jobs(repository.agent_file(), tmp_path / "state")
    await jobs.do("backup")
    end = await jobs.do("restore")
    assert (end.verdict.status, end.verdict.reason) == ("failed", "refused")
    assert f"restore_to {target} can be written by everybody" in (end.verdict.error or "")
    target.chmod(0o1777)
    assert (await jobs.do("restore")).verdict.status == "succeeded"


@as_root
@installed_safely
def test_install_refuses_a_command_below_a_folder_of_somebody_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    command = make(
        home / "bin" / "rmactors", 0o755, f"#!{sys.executable}\nfrom rmactors.cli.main import main\nmain()\n"
    )
    make(tmp_path / "agent.toml", 0o644, CONFIG)
    arguments = ["agent", "install", "--yes", "--no-start", "--unit-dir", str(tmp_path), "--config"]
    call = [str(command), *arguments, str(tmp_path / "agent.toml"), "--state-dir", str(tmp_path / "state")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    good = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert f"ExecStart={command}" in good.stdout
    (tmp_path / "rmactors-agent.service").unlink()
    os.chown(home, NOBODY, NOBODY)
    refused = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"{home}, on the way to it, belongs to nobody" in refused.stderr
    assert "install it where only root can write: python3 -m venv /opt/rmactors" in refused.stderr
    assert not (tmp_path / "rmactors-agent.service").exists()


def test_exec_reads_no_file_and_keeps_the_outcome_and_the_exit_code(tmp_path: Path) -> None:
    """It wraps what the caller already runs: there is nothing in the agent's file that it could be made to run."""
    make(tmp_path / "agent.toml", 0o666, CONFIG)
    call = [
        sys.executable,
        "-m",
        "rmactors",
        "agent",
        "exec",
        "--kind",
        "backup",
        "--state-dir",
        str(tmp_path / "state"),
    ]
    environment = {**os.environ, "RM_AGENT_CONFIG": str(tmp_path / "agent.toml")}
    sh = shutil.which("sh") or "/bin/sh"
    done = subprocess.run([*call, "--", sh, "-c", "exit 7"], env=environment, capture_output=True, check=False)
    assert done.returncode == 7
    spool = Spool(StateDir(tmp_path / "state").spool_file)
    assert spool.count() == 2, "start and end"
    spool.close()
