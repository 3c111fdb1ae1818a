"""`deploy/cloud-init` and `deploy/ansible`, tried with the real ones: a machine is enrolled without anybody at it.

A folder stands for a machine, with the paths of the examples in it. What is installed there is a wheel of this checkout
without the packages that it needs: those are taken from where the tests have them.
"""

import getpass
import grp
import json
import os
import pwd
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.install_guide import build_wheel
from harness.processes import Server, environment, running_server
from harness.tools import DEPLOY, UNPACKED
from rmactors.agent.state_dir import StateDir
from rmactors.server.web.views import provisioning

TOOLS = UNPACKED / "provisioning"
HERE = Path(__file__).parent
DEBIANS_PYTHON = "/usr/bin/python3"


def needed(name: str) -> Path:
    """The folder of a tool. They are large, and not every network has them: without one its test is skipped."""
    if not (TOOLS / name).exists():
        pytest.skip(f"needs {name}: make provisioning")
    return TOOLS / name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("served") / "server") as running:
        yield running


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    build_wheel(folder)
    return folder


@pytest.fixture
def machine(tmp_path: Path, wheels: Path) -> dict[str, str]:
    """What its commands see of the world: Python, our wheel, and all packages of the tests but ours."""
    python, packages = Path(sys.executable).resolve().parent, tmp_path / "packages"
    packages.mkdir()
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "rmactors" not in each.name:
            (packages / each.name).symlink_to(each)
    return environment(
        {
            "HOME": str(tmp_path), "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin", "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PYTHONPATH": str(packages),
            "RM_AGENT_STATE_DIR": str(tmp_path / "state"),
        }
    )  # fmt: skip


def token_of(server: Server, uses: int, tags: list[str]) -> str:
    token: str = server.ask("POST", "/api/enrollment-tokens", {"uses": uses, "tags": tags})["token"]
    return token


def hosts(server: Server, tag: str) -> dict[str, dict[str, Any]]:
    return {host["name"]: host for host in server.all_items("/api/hosts") if tag in host["tags"]}


def replaced(text: str, words: Mapping[str, str]) -> str:
    for old, new in words.items():
        assert old in text, f"the example does not say {old} any more"
        text = text.replace(old, new)
    return text


def run(command: list[str], variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip


def test_cloud_init_enrolls_a_new_machine(server: Server, machine: dict[str, str], tmp_path: Path) -> None:
    libraries = needed("cloud-init") / "usr" / "lib" / "python3" / "dist-packages"
    python = DEBIANS_PYTHON if Path(DEBIANS_PYTHON).exists() else sys.executable
    token = token_of(server, 1, ["cloud"])
    url = server.agent_url.removesuffix("/ws/agent")
    text = replaced(
        provisioning.cloud_init(url, token),
        {
            "/etc/rmactors": f"{tmp_path}/etc/rmactors", "/opt/rmactors": f"{tmp_path}/opt", "--yes": "--print",
            "/usr/local/bin/rmactors": f"{tmp_path}/rmactors", "--token-file": "--name new-vm --token-file",
            "agent install": f"agent install --config {tmp_path}/etc/rmactors/agent.toml",
        },
    )  # fmt: skip
    (tmp_path / "user-data").write_text(text)
    owner = f"{getpass.getuser()}:{grp.getgrgid(pwd.getpwuid(os.getuid()).pw_gid).gr_name}"
    command = [python, str(HERE / "run_cloud_init.py"), str(tmp_path / "user-data"), str(tmp_path / "cloud"), owner]
    judged = run(command, machine | {"PYTHONPATH": str(libraries)}, tmp_path)
    assert judged.returncode == 0, judged.stderr
    kept = tmp_path / "etc" / "rmactors"
    assert {file.name: file.stat().st_mode & 0o777 for file in kept.iterdir()} == {
        "enrollment-token": 0o600, "agent.toml": 0o600,
    }  # fmt: skip
    done = run([judged.stdout.strip()], machine, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "enrolled as new-vm" in done.stdout
    assert "[Service]" in done.stdout, "and its service would be written"
    assert [file.name for file in kept.iterdir()] == ["agent.toml"], "the token is gone"
    assert token not in done.stdout + done.stderr
    assert list(hosts(server, "cloud")) == ["new-vm"]
    assert StateDir(tmp_path / "state").credential().host_id == hosts(server, "cloud")["new-vm"]["id"]


def test_cloud_init_has_no_fault_to_find_in_the_example() -> None:
    libraries = needed("cloud-init") / "usr" / "lib" / "python3" / "dist-packages"
    python = DEBIANS_PYTHON if Path(DEBIANS_PYTHON).exists() else sys.executable
    main = "import sys; from cloudinit.cmd.main import main; sys.exit(main(['cloud-init', *sys.argv[1:]]))"
    command = [python, "-c", main, "schema", "--config-file", str(DEPLOY / "cloud-init" / "agent.yaml")]
    judged = run(command, environment({"PYTHONPATH": str(libraries)}), HERE)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Valid" in judged.stdout + judged.stderr


def _variables() -> set[str]:
    """Those of the example that say where something goes."""
    [play] = yaml.safe_load((DEPLOY / "ansible" / "agent.yml").read_text())
    return {name for name, value in play["vars"].items() if str(value).startswith("/")}


class Playbook:
    """The example, for a machine that is a folder of this one."""

    def __init__(self, server: Server, token: str, machine: dict[str, str], folder: Path, name: str) -> None:
        self.folder = folder
        self.variables = machine | {
            "PYTHONPATH": f"{needed('ansible')}:{machine['PYTHONPATH']}", "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
        }  # fmt: skip
        of_host = str(folder / "{{ inventory_hostname }}")
        given = {
            "rmactors_token": token, "rmactors_server": server.agent_url.removesuffix("/ws/agent"),
            "rmactors_system_packages": [], "rmactors_start": False, "ansible_become": False,
            "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
            "rmactors_venv": f"{of_host}/venv", "rmactors_command": f"{of_host}/rmactors",
            "rmactors_state_dir": f"{of_host}/state", "rmactors_unit_dir": of_host,
        }  # fmt: skip
        assert given.keys() >= _variables(), "or it would change this machine"
        (folder / name).mkdir()
        (folder / "inventory").write_text(f"{name}\n")
        (folder / "given.json").write_text(json.dumps(given))
        (folder / "agent.yml").write_text((DEPLOY / "ansible" / "agent.yml").read_text())

    def run(self) -> "Played":
        command = [sys.executable, "-m", "ansible", "playbook", "-vvv", "-i", "inventory", "-e", "@given.json"]
        done = run([*command, "agent.yml"], self.variables, self.folder)
        return Played(done.returncode, done.stdout + done.stderr)


@dataclass(frozen=True)
class Played:
    returncode: int
    text: str

    @property
    def recap(self) -> dict[str, int]:
        """Of the one machine."""
        [numbers] = re.findall(r"^\S+ +: (ok=.*)$", self.text, re.MULTILINE)
        return {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", numbers)}


def test_ansible_enrolls_a_machine_changes_nothing_the_second_time_and_says_why_it_cannot(
    server: Server, machine: dict[str, str], tmp_path: Path
) -> None:
    token = token_of(server, 2, ["play"])
    playbook = Playbook(server, token, machine, tmp_path, "db-01")
    first = playbook.run()
    assert first.returncode == 0, first.text[-6000:]
    assert (first.recap["changed"], first.recap["failed"]) == (4, 0)
    assert token not in first.text, "not at a high verbosity either"
    [(name, host)] = hosts(server, "play").items()
    state = StateDir(tmp_path / "db-01" / "state")
    assert (name, state.credential().host_id) == ("db-01", host["id"])
    unit = tmp_path / "db-01" / "rmactors-agent.service"
    assert str(state.path) in unit.read_text()
    second = playbook.run()
    assert (second.returncode, second.recap["changed"]) == (0, 0), second.text[-6000:]
    state.credential_file.unlink()
    unit.unlink()
    third = playbook.run()
    assert third.returncode == 2
    assert "the name 'db-01' is taken by another host" in third.text
    assert token not in third.text
    assert not unit.exists()
