"""What a server listens on and goes by: all addresses, and a public address that cannot work."""

import subprocess
from pathlib import Path

import httpx
import pytest

from harness.processes import COMMAND, ROOT, Server, environment


def code(server: Server, host: str, **headers: str) -> int:
    url = f"http://{host}:{server.port}"
    return httpx.get(f"{url}/login", headers=headers, trust_env=False, timeout=120).status_code


@pytest.mark.parametrize("every", ["*", ""])
def test_a_star_and_nothing_are_all_addresses_for_pages_and_agents(tmp_path: Path, every: str) -> None:
    server = Server(tmp_path / "server")
    server.settings |= {"listen": f"{every}:{server.port}", "agent_listen": f"{every}:{server.agent_port}"}
    server.start()
    try:
        for host in ("127.0.0.1", "[::1]", "localhost", "127.0.0.2"):
            assert code(server, host) == 303, host
            agents = f"http://{host}:{server.agent_port}/ws/agent"
            assert httpx.get(agents, trust_env=False, timeout=120).status_code < 500, host
        assert code(server, "127.0.0.1", Host=f"192.168.1.5:{server.port}") == 303
        assert code(server, "127.0.0.1", Host=f"[fd00::5]:{server.port}") == 303
        assert code(server, "127.0.0.1", Host="evil.example") == 421
        own = {"Origin": f"http://192.168.1.5:{server.port}", "Host": f"192.168.1.5:{server.port}"}
        post = httpx.post(f"http://127.0.0.1:{server.port}/logout", headers=own, trust_env=False, timeout=120)
        assert post.status_code == 303
        assert f"pages on http://127.0.0.1:{server.port}" in server.log
        assert "RM_BASE_URL is not set" in server.log
    finally:
        server.kill()


@pytest.mark.parametrize("tail", ["/backup", "/?a=b", "/#x"])
def test_a_base_url_with_more_than_a_host_is_refused_before_anything_starts(tmp_path: Path, tail: str) -> None:
    done = subprocess.run(
        [*COMMAND, "server"],
        cwd=ROOT,
        env=environment({"RM_DATA_DIR": str(tmp_path / "data"), "RM_BASE_URL": f"https://rm.example{tail}"}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "base_url must not have a" in done.stderr
    assert "https://rm.example" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
