"""`deploy/caddy` and `deploy/haproxy` before two nodes: everything goes to the one that leads. And the compose file."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from harness.certificates import Authority, make_authority
from harness.nodes import Node, a_leader_and_a_standby
from harness.ports import free_port
from harness.processes import STARTS_WITHIN, eventually
from harness.proxies import UPGRADE, replaced
from harness.tools import DEPLOY, libraries, program, running
from rmactors.server.config.settings import Settings
from rmactors.server.store.place import url_problem
from tests.databases import PostgresDatabases

Proxy = Callable[[Path, tuple[Node, Node], int, int], list[str]]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose-ha.yml").read_text())


def caddy(folder: Path, nodes: tuple[Node, Node], pages: int, agents: int) -> list[str]:
    binary, certificate = program("caddy"), folder / "here.pem"
    one, other = nodes
    text = replaced(
        (DEPLOY / "caddy" / "Caddyfile.nodes").read_text(),
        ("\n{\n\tservers {", "\n{\n\tadmin off\n\tauto_https off\n\tservers {"),
        ("{$RM_NODE1:rm1}:8080 {$RM_NODE2:rm2}:8080", f"127.0.0.1:{one.port} 127.0.0.1:{other.port}"),
        ("{$RM_NODE1:rm1}:8081 {$RM_NODE2:rm2}:8081", f"127.0.0.1:{one.agent_port} 127.0.0.1:{other.agent_port}"),
        # Two nodes on one machine have two ports for pages: the agents' port is looked at by itself here.
        ("\t\t\thealth_uri /healthz\n\t\t\thealth_port 8080\n\t\t\thealth_interval 2s\n\t\t\thealth_timeout 5s\n", ""),
        ("\n{$RM_DOMAIN:backup.example.org} {", f"\nhttps://localhost:{pages} {{\n\ttls {certificate} {certificate}"),
        (
            "\n{$RM_AGENTS_DOMAIN:agents.example.org} {",
            f"\nhttps://localhost:{agents} {{\n\ttls {certificate} {certificate}",
        ),
    )  # fmt: skip
    (folder / "Caddyfile").write_text(text)
    return [binary, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def haproxy(folder: Path, nodes: tuple[Node, Node], pages: int, agents: int) -> list[str]:
    binary = program("haproxy")
    one, other = nodes
    text = replaced(
        (DEPLOY / "haproxy" / "nodes.cfg").read_text(),
        ("rm1.example.org:8080", f"127.0.0.1:{one.port}"),
        ("rm2.example.org:8080", f"127.0.0.1:{other.port}"),
        ("rm1.example.org:8081 port 8080", f"127.0.0.1:{one.agent_port} port {one.port}"),
        ("rm2.example.org:8081 port 8080", f"127.0.0.1:{other.agent_port} port {other.port}"),
        ("backup.example.org", "localhost"),
        ("bind :443", f"bind 127.0.0.1:{pages}"),
        ("bind :8443", f"bind 127.0.0.1:{agents}"),
    )
    (folder / "nodes.cfg").write_text("global\n    maxconn 500\n" + text)
    return [binary, "-db", "-f", str(folder / "nodes.cfg")]


@contextmanager
def two_nodes(folder: Path, databases: PostgresDatabases, **settings: object) -> Iterator[tuple[Node, Node]]:
    place = databases.new()
    try:
        with a_leader_and_a_standby(folder, place, **settings) as nodes:
            yield nodes
    finally:
        databases.give_back(place)


@pytest.mark.parametrize("proxy", [caddy, haproxy])
def test_pages_and_agents_come_to_the_node_that_leads_also_after_a_takeover(
    proxy: Proxy, tmp_path: Path, postgres_databases: PostgresDatabases
) -> None:
    authority = make_authority(tmp_path)
    pages, agents = free_port(), free_port()
    url = f"https://localhost:{pages}"
    settings: dict[str, object] = {
        "base_url": url, "trusted_proxies": "127.0.0.1/32", "cookie_secure": "true", "lease_seconds": 10,
    }  # fmt: skip
    if proxy is haproxy:
        chain = tmp_path / "chain.pem"
        chain.write_bytes((tmp_path / "here.pem").read_bytes() + authority.file.read_bytes())
        settings |= {"tls_cert_file": chain, "tls_key_file": tmp_path / "here.pem"}
    with two_nodes(tmp_path / "nodes", postgres_databases, **settings) as nodes:
        command = proxy(tmp_path, nodes, pages, agents)
        variables = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), **libraries()}
        with running(command, tmp_path, variables) as output:
            for leader in nodes:
                found = _until(200, f"{url}/healthz", {}, authority, output)
                assert found.json()["status"] == "ok"
                headers = {**UPGRADE, "Authorization": "Bearer rmh_wrong"}
                # The leader's port for agents asks who it is; a standby's is closed.
                _until(401, f"https://localhost:{agents}/ws/agent", headers, authority, output)
                if leader is nodes[0]:
                    leader.kill()
                    nodes[1].wait_until_ready()


def _until(status: int, url: str, headers: dict[str, str], authority: Authority, output: Path) -> httpx.Response:
    """The answer through the proxy, as soon as it comes from the node that leads."""
    found: list[httpx.Response] = []
    trust = authority.trusting()

    def answers() -> bool:
        try:
            found.append(httpx.get(url, headers=headers, verify=trust, trust_env=False, timeout=60))
        except httpx.TransportError:
            return False
        return found[-1].status_code == status

    eventually(answers, STARTS_WITHIN, lambda: output.read_text()[-4000:])
    return found[-1]


# ---- compose-ha.yml


def settings_of(node: str) -> dict[str, str]:
    found: dict[str, str] = COMPOSE["services"][node]["environment"]
    return found


def test_both_nodes_differ_in_their_names_and_data_alone() -> None:
    one, other = COMPOSE["services"]["rm1"], COMPOSE["services"]["rm2"]
    assert (one["hostname"], settings_of("rm1")["RM_NODE_NAME"]) == ("rm1", "rm1")
    assert (other["hostname"], settings_of("rm2")["RM_NODE_NAME"]) == ("rm2", "rm2")
    assert {**one, "hostname": "", "volumes": [], "environment": {**settings_of("rm1"), "RM_NODE_NAME": ""}} == {
        **other, "hostname": "", "volumes": [], "environment": {**settings_of("rm2"), "RM_NODE_NAME": ""},
    }  # fmt: skip
    assert [volume for volume in one["volumes"] if volume in other["volumes"]] == ["key:/key"]


def test_every_setting_of_a_node_is_one_and_its_url_is_a_postgresql() -> None:
    known = {f"RM_{name.upper()}" for name in Settings.__dataclass_fields__}
    assert settings_of("rm1").keys() <= known
    url = re.sub(r"\$\{[^}]*\}", "secret", settings_of("rm1")["RM_DATABASE_URL"])
    assert url_problem(url) is None
    assert "target_session_attrs=read-write" in url


def test_what_the_compose_file_names_is_there() -> None:
    services = COMPOSE["services"]
    hosts = {service.get("hostname", name) for name, service in services.items()}
    assert set(re.findall(r"@([\w,]+)/", settings_of("rm1")["RM_DATABASE_URL"])[0].split(",")) <= hosts
    volumes = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {name for name in volumes if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert all((DEPLOY / name).exists() for name in volumes if name.startswith("."))
    waited_for = {name for service in services.values() for name in service.get("depends_on", {})}
    assert waited_for <= set(services)
    subnet = COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    assert settings_of("rm1")["RM_TRUSTED_PROXIES"] == subnet


def test_every_commit_waits_for_the_standby_by_its_name() -> None:
    primary, standby = (COMPOSE["services"][name]["command"][0] for name in ("primary", "standby"))
    assert "synchronous_standby_names = 'standby'" in primary
    assert "application_name=standby" in standby
    assert settings_of("rm1")["RM_REQUIRE_SYNC"] == "true"


@pytest.mark.parametrize("service", ["key", "primary", "standby"])
def test_what_a_service_has_the_shell_do_can_be_read_by_it(service: str) -> None:
    script = COMPOSE["services"][service]["command"][0].replace("$$", "$")
    done = subprocess.run(["bash", "-n", "-euc", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
