"""nginx that lets in only who shows a client certificate (`ssl_verify_client on`), before the agents' port."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from harness.processes import COMMAND, ROOT, Server, away, environment, eventually
from harness.proxies import Site, nginx, replaced, running_site
from harness.tools import running
from tests.agent.client_authority import ClientAuthority, make_client_authority

Agent = Callable[..., "subprocess.CompletedProcess[str]"]


def asking_nginx(
    folder: Path, server: Server, pages: int, agents: int, certificate: Path, clients: ClientAuthority
) -> list[str]:
    command = nginx(folder, server, pages, agents, certificate)
    site = folder / "site.conf"
    listen = f"listen {agents} ssl http2;"
    asked = f"{listen} ssl_verify_client on; ssl_client_certificate {clients.file};"
    site.write_text(replaced(site.read_text(), (listen, asked)))
    return command


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> ClientAuthority:
    return make_client_authority(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def site(clients: ClientAuthority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(partial(asking_nginx, clients=clients), tmp_path_factory.mktemp("asking")) as behind:
        yield behind


def variables(site: Site, folder: Path) -> dict[str, str]:
    return {
        "RM_AGENT_STATE_DIR": str(folder / "state"), "SSL_CERT_FILE": str(site.authority.file),
        "RM_AGENT_CONFIG": str(folder / "agent.toml"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip


@pytest.fixture
def agent(site: Site, tmp_path: Path) -> Agent:
    """Runs `rmactors agent …` to its end."""
    (tmp_path / "agent.toml").write_text("allow = []\n")

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*COMMAND, "agent", *words], cwd=ROOT, env=environment(variables(site, tmp_path)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


async def test_an_agent_enrolls_runs_and_reports_with_a_client_certificate(
    site: Site, agent: Agent, clients: ClientAuthority, tmp_path: Path
) -> None:
    cert, key = clients.issue("nas")
    token_file = tmp_path / "token"
    token_file.write_text(await away(site.server.enrollment_token))
    enroll = ("enroll", "--server", site.agents_url, "--token-file", str(token_file), "--name", "nas")

    def enrolled(*more: str) -> str:
        done = agent(*enroll, *more)
        assert (done.returncode == 0) == ("enrolled as nas" in done.stdout)
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    assert "the server asks for a client certificate" in await away(enrolled)
    old = clients.issue("old", datetime(2026, 3, 1, tzinfo=UTC))
    expired = ("--tls-cert-file", str(old[0]), "--tls-key-file", str(old[1]))
    said = await away(lambda: enrolled(*expired))
    assert "the server does not accept this host's client certificate" in said
    assert f"{old[0]} expired at 2026-03-01 00:00 UTC" in said
    good = ("--tls-cert-file", str(cert), "--tls-key-file", str(key))
    assert "enrolled as nas" in await away(lambda: enrolled(*good))

    def jobs() -> list[object]:
        return [job["exit_code"] for job in site.server.all_items("/api/jobs") if job["kind"] == "backup"]

    done = await away(lambda: agent("exec", "--kind", "backup", "--", "sh", "-c", "exit 7"))
    assert done.returncode == 7
    await away(lambda: eventually(lambda: jobs() == [7], 120, lambda: f"{jobs()} {done.stderr}"))
    key.rename(tmp_path / "moved.key")
    checked = await away(lambda: agent("check"))
    assert f"cannot read the client certificate's key {key}: No such file" in checked.stdout + checked.stderr
    (tmp_path / "agent.toml").write_text(
        f'allow = []\ntls_cert_file = "{cert}"\ntls_key_file = "{tmp_path / "moved.key"}"\n'
    )
    done = await away(lambda: agent("exec", "--kind", "backup", "--", "sh", "-c", "exit 8"))
    await away(lambda: eventually(lambda: jobs() == [8, 7], 120, lambda: f"{jobs()} {done.stderr}"))
    with running([*COMMAND, "agent", "run"], tmp_path, variables(site, tmp_path)) as log:

        def status() -> object:
            return next(host["status"] for host in site.server.all_items("/api/hosts") if host["name"] == "nas")

        await away(lambda: eventually(lambda: status() == "online", 120, log.read_text))
