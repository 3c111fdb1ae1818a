"""`run`, `check`, `install` and `uninstall` as they are typed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from rmactors.agent import unit
from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.cli.main import main
from tests.restics import INSTALLED_SAFELY

from .repositories import ResticRepository
from .server_double import ServerDouble, eventually

ROOT = Path(__file__).resolve().parents[2]


def write_file(folder: Path, repository: ResticRepository, source: Path | None = None) -> Path:
    repository.password_file.chmod(0o600)
    file = folder / "agent.toml"
    file.write_text(
        f'allow = ["backup"]\n[repositories.main]\nrepository = "{repository.path}"\n'
        f'password_file = "{repository.password_file}"\ncache_dir = "{repository.cache}"\n'
        f'[plans.home]\nrepository = "main"\nsources = ["{source or repository.source}"]\n'
    )
    return file


def cpu_ticks(pid: int) -> int:
    """Hundredths of a second that a process has used."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))


def resident_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def command(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return await trio.run_process(
        [sys.executable, "-m", "rmactors", "agent", *arguments],
        capture_stdout=True, capture_stderr=True, check=False, cwd=ROOT,
    )  # fmt: skip


async def test_check_finds_all_well(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    file = write_file(tmp_path, repository)
    done = await command("check", "--config", str(file), "--state-dir", str(enrolled.path))
    assert (done.returncode, done.stderr) == (0, b"")
    words = done.stdout.decode()
    assert "the server may start here: backup" in words
    assert re.search(r"restic is version \d", words)
    assert re.search(r"time zone data: \d{4}[a-z]+, ", words)
    assert "repository main opens with its password" in words
    assert "knows this host as nas" in words
    assert not repository.locks()


async def test_check_names_every_fault_and_fails(state: StateDir, repository: ResticRepository, tmp_path: Path) -> None:
    file = write_file(tmp_path, repository, Path("/nonexistent/home"))
    repository.password_file.write_text("wrong")
    repository.password_file.chmod(0o644)
    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    done = await command("check", "--config", str(file), "--state-dir", str(state.path))
    words = done.stdout.decode()
    assert done.returncode == 1
    assert "chmod 600" in words
    assert "repository main: wrong password" in words
    assert "/nonexistent/home does not exist" in words
    assert "cannot reach 127.0.0.1:1" in words
    assert b"4 faults found" in done.stderr


async def test_check_says_what_a_server_may_look_at(state: StateDir, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"

    async def words(more: str) -> str:
        file.write_text(more)
        return (await command("check", "--config", str(file), "--state-dir", str(state.path))).stdout.decode()

    plans = (
        '[repositories.main]\nrepository = "/srv/x"\npassword_file = "/nonexistent"\n'
        '[plans.home]\nrepository = "main"\nsources = ["/home"]\n'
    )
    assert "look into" not in await words('allow = ["backup"]')
    assert "the server finds nothing to look into" in await words('allow = ["browse"]')
    told = await words(f'allow = ["backup", "browse"]\n{plans}')
    assert "the server may start here: backup\n" in told
    assert "the server may look into snapshots of this host: names, sizes and times of files" in told
    shared = plans.replace("[plans.home]", "snapshots_of_other_hosts = true\n[plans.home]")
    assert "look into snapshots of this host, and of other hosts in main: names" in await words(
        f'allow = ["browse"]\n{shared}'
    )


async def test_a_broken_file_stops_run_with_a_sentence(enrolled: StateDir, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("alow = []")
    done = await command("run", "--config", str(tmp_path / "agent.toml"), "--state-dir", str(enrolled.path))
    assert done.returncode == 1
    assert b"unknown key 'alow'; did you mean 'allow'?" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_run_ends_cleanly(server: ServerDouble, enrolled: StateDir, number: signal.Signals) -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(enrolled.path)],
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    session = await server.an_agent()
    process.send_signal(number)
    with trio.fail_after(120):
        assert await process.wait() == 0
    await eventually(lambda: session.gone)
    assert session.socket.closed is not None
    assert session.socket.closed.code == 1001


async def test_an_idle_agent_is_small_and_still(server: ServerDouble, enrolled: StateDir) -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(enrolled.path)],
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await server.an_agent()
        with trio.fail_after(30):
            while await ticks_in_a_while(process.pid) > 1:  # on a busy machine it takes some time to have started
                pass
        resident = resident_kib(process.pid)
    finally:
        process.kill()
        await process.wait()
    assert resident < 40 * 1024


async def ticks_in_a_while(pid: int) -> int:
    """Hundredths of a second that the process computed for in 0.7 s."""
    before = cpu_ticks(pid)
    await trio.sleep(0.7)
    return cpu_ticks(pid) - before


def test_the_agent_imports_nothing_of_the_servers() -> None:
    script = (
        "import sys, rmactors.cli.agent, rmactors.agent.daemon, rmactors.agent.wrapping, rmactors.agent.checking\n"
        "import rmactors.agent.unit\n"
        "bad = {'quart', 'hypercorn', 'httpx', 'cryptography', 'jinja2', 'argon2', 'h2', 'asyncio'}\n"
        "bad &= set(sys.modules)\n"
        "bad |= {m for m in sys.modules if m.startswith('rmactors.server')}\n"
        "print(sorted(bad))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(not INSTALLED_SAFELY, reason="others can change this checkout: install refuses it")
def test_install_shows_the_unit_before_it_writes_it(tmp_path: Path) -> None:
    arguments = [
        "agent",
        "install",
        "--unit-dir",
        str(tmp_path),
        "--no-start",
        "--state-dir",
        "/var/lib/rmactors-agent",
    ]
    refused = CliRunner().invoke(main, arguments, input="n\n")
    assert "[Service]" in refused.output
    assert "Write this to" in refused.output
    assert refused.exit_code == 1
    assert list(tmp_path.iterdir()) == []
    done = CliRunner().invoke(main, arguments, input="y\n")
    assert done.exit_code == 0
    assert "agent run\n" in (tmp_path / unit.NAME).read_text(), "the default file need not be there"
    gone = CliRunner().invoke(main, ["agent", "uninstall", "--unit-dir", str(tmp_path), "--no-stop"])
    assert gone.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_the_unit_lets_the_agent_write_where_its_file_says_and_nowhere_else() -> None:
    agent_file = AgentFile(
        repositories={
            "main": Repository("local:/srv/restic", password_file="/p", restore_to="/srv/back"),
            "far": Repository("s3:bucket", password_file="/p"),
        },
        plans={"home": Plan("main", ["/home"])},
        cancel_grace_seconds=60,
        restore_targets=["/srv/restore", "/srv/back"],
        restore_test_dir="/srv/tests",
    )
    text = unit.render(["/usr/bin/rmactors"], Path("/srv/agent.toml"), Path("/var/lib/rmactors-agent"), agent_file)
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["ReadWritePaths"] == "-/var/lib/rmactors-agent -/srv/restic -/srv/back -/srv/restore -/srv/tests"
    assert lines["ExecStart"] == "/usr/bin/rmactors agent run --config /srv/agent.toml"
    assert lines["TimeoutStopSec"] == "135"
    assert lines["ProtectSystem"] == "strict"
