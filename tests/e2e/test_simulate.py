"""`rmactors simulate` against a real server: enrolls its hosts, reports, brings them back, removes them."""

import subprocess
from pathlib import Path

from harness.processes import COMMAND, ROOT, Server, environment


def simulate(server: Server, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "token").write_text(server.token)
    return subprocess.run(
        [
            *COMMAND,
            "simulate",
            f"--server=http://127.0.0.1:{server.agent_port}",
            f"--api={server.url}",
            f"--token-file={folder / 'token'}",
            f"--hosts-file={folder / 'hosts.jsonl'}",
            *arguments,
        ],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_fleet_is_enrolled_reports_comes_back_and_is_removed(server: Server, tmp_path: Path) -> None:
    first = simulate(
        server, tmp_path, "--agents=8", "--report-rate=200", "--fail-rate=0.5", "--duration=1", "--every=0.5"
    )
    assert first.returncode == 0, first.stdout + first.stderr
    assert "8 connected" in first.stdout
    hosts = server.all_items("/api/hosts")
    assert len(hosts) == 8
    assert server.ask("GET", "/api/alerts?status=all")["items"]
    jobs = server.all_items("/api/jobs?kind=backup")
    assert {job["status"] for job in jobs} == {"failed", "succeeded"}

    again = simulate(server, tmp_path, "--agents=8", "--report-rate=0", "--duration=0.5", "--remove")
    assert again.returncode == 0, again.stdout + again.stderr
    assert server.all_items("/api/hosts") == []
    assert not (tmp_path / "hosts.jsonl").exists()


def test_what_cannot_work_is_said_in_a_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "hosts.jsonl").write_text("nonsense\n")
    done = simulate(server, tmp_path, "--agents=1", "--duration=0.1")
    assert done.returncode == 1
    assert "is not a file of simulated hosts" in done.stderr
    assert "Traceback" not in done.stderr
