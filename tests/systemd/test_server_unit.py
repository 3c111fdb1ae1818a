"""`rmactors server install` and `uninstall`, and what the unit says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from rmactors.agent import unit as agent_unit
from rmactors.agent.agent_file import AgentFile
from rmactors.cli import units
from rmactors.cli.main import main
from rmactors.systemd import server as unit


@pytest.fixture(autouse=True)
def _within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tests run is often somebody's home."""
    monkeypatch.setattr(units, "out_of_reach", lambda *_: None)


def lines_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def test_install_shows_the_unit_before_it_writes_it(tmp_path: Path) -> None:
    arguments = ["server", "install", "--unit-dir", str(tmp_path), "--no-start"]
    refused = CliRunner().invoke(main, arguments, input="n\n")
    assert "[Service]" in refused.output
    assert refused.exit_code == 1
    assert list(tmp_path.iterdir()) == []
    done = CliRunner().invoke(main, arguments, input="y\n")
    assert done.exit_code == 0, done.output
    assert "Type=notify" in (tmp_path / unit.NAME).read_text()
    gone = CliRunner().invoke(main, ["server", "uninstall", "--unit-dir", str(tmp_path), "--no-stop"])
    assert gone.exit_code == 0
    assert list(tmp_path.iterdir()) == []
    again = CliRunner().invoke(main, ["server", "uninstall", "--unit-dir", str(tmp_path), "--no-stop"])
    assert again.exit_code == 1
    assert "there is no" in again.output


def test_the_services_flags_are_those_before_install(tmp_path: Path) -> None:
    file = tmp_path / "rm $1.toml"
    file.write_text('tick_seconds = 5\ndata_dir = "/var/lib/fleet/b"\n')
    arguments = ["server", "--listen", "[::]:8080", "--config", str(file)]
    done = CliRunner().invoke(main, [*arguments, "install", "--print"])
    assert "Environment=RM_DATA_DIR=/var/lib/fleet/b\n" in done.output
    done = CliRunner().invoke(main, [*arguments, "--data-dir", "/var/lib/fleet/a", "install", "--print"])
    assert done.exit_code == 0, done.output
    lines = lines_of(done.output)
    assert lines["ExecStart"].endswith(f'server "--config={tmp_path}/rm $$1.toml" "--listen=[::]:8080"')
    assert lines["StateDirectory"] == "fleet/a"
    assert "Environment=RM_DATA_DIR=/var/lib/fleet/a\n" in done.output


def test_what_the_services_user_could_not_run_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "out_of_reach", lambda *_: Path("/root"))
    done = CliRunner().invoke(main, ["server", "install", "--yes", "--unit-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "cannot read what is in /root" in done.output
    assert "PIPX_HOME" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data_dir", ["/srv/rm", "/var/lib", "/var/lib/../../srv"])
def test_a_data_dir_that_systemd_would_not_make_is_refused(data_dir: str) -> None:
    done = CliRunner().invoke(main, ["server", "--data-dir", data_dir, "install", "--print"])
    assert done.exit_code == 1
    assert "below /var/lib" in done.output


def test_a_setting_that_cannot_be_used_is_said_before_anything_is_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main, ["server", "--tick-seconds", "soon", "install", "--yes", "--unit-dir", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert "tick_seconds" in done.output
    assert list(tmp_path.iterdir()) == []


UNITS = {
    unit.NAME: lambda command: unit.render(command, ["--log-level=info"], unit.DATA_DIR, in_home=False),
    agent_unit.NAME: lambda command: agent_unit.render(
        command, Path("/etc/rmactors/agent.toml"), Path("/var/lib/rmactors-agent"), AgentFile()
    ),
}


# 0 is nothing to attack, 100 everything: the server has a user of its own, the agent reads every file as root.
@pytest.mark.parametrize(("name", "exposed"), [(unit.NAME, 20), (agent_unit.NAME, 60)])
def test_systemd_finds_nothing_wrong_with_the_unit(name: str, exposed: int, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is not installed, and CI=true does not skip")
        pytest.skip("systemd-analyze is not installed")
    file = tmp_path / name
    file.write_text(UNITS[name]([sys.executable, "-m", "rmactors"]))
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, timeout=60)
    about_ours = [line for line in (verified.stdout + verified.stderr).splitlines() if name in line]
    assert (verified.returncode, about_ours) == (0, [])
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={exposed}", "--no-pager", file],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout[-500:]
