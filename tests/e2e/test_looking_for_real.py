"""Looking into snapshots with everything real: the API, the server, the agent's process and its restic."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.agents import AgentProcess
from harness.processes import Server, running_server

pytestmark = pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
SECRET = "Letter to nobody [3]\n"
"""Of a file; it must stand nowhere on the server."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "server") as running:
        yield running


def test_what_is_in_snapshots_is_seen_and_nothing_of_it_stays_on_the_server(server: Server, tmp_path: Path) -> None:
    agent = AgentProcess(server, tmp_path / "nas", "nas", allow=("backup", "browse"))
    (agent.source / SECRET).mkdir()
    (agent.source / SECRET / "draft").write_text("1")
    host_id = agent.enroll()

    def ask(kind: str, **body: Any) -> Any:
        return server.ask("POST", f"/api/hosts/{host_id}/{kind}", {"plan": "home", **body})

    agent.start(host_id)
    try:
        agent.run_backup(host_id)
        (agent.source / SECRET / "draft").write_text("22")
        (agent.source / "letter.txt").unlink()
        agent.run_backup(host_id)
        newest, oldest = server.ask("GET", f"/api/hosts/{host_id}/snapshots?plan=home")["items"]
        folder = ask("browse", snapshot=oldest["id"], path=str(agent.source), limit=1)
        rest = ask("browse", snapshot=oldest["id"], path=str(agent.source), cursor=folder["next_cursor"])
        inside = ask("browse", snapshot="latest", path=f"{agent.source}/{SECRET}")
        hits = ask("find", pattern="draft")["items"]
        named = ask("find", pattern="Letter to nobody*")["items"]
        changes = ask("diff", **{"from": oldest["id"], "to": newest["id"]})["items"]
    finally:
        agent.stop()
    assert [item["name"] for item in folder["items"] + rest["items"]] == [SECRET, "letter.txt"]
    assert [(item["name"], item["size"]) for item in inside["items"]] == [("draft", 2)]
    assert {(hit["snapshot"], hit["size"]) for hit in hits} == {(newest["id"], 2), (oldest["id"], 1)}
    assert {hit["path"] for hit in named} == {f"{agent.source}/{SECRET}"}
    assert {(one["path"], one["change"]) for one in changes} == {
        (f"{agent.source}/{SECRET}/draft", "modified"), (f"{agent.source}/letter.txt", "removed"),
    }  # fmt: skip
    assert written_by(server, agent) == {"server": [], "agent": []}


def written_by(server: Server, agent: AgentProcess) -> dict[str, list[str]]:
    """The files of both in which the name stands, in part at least."""
    server.stop()
    needles = (SECRET.strip().encode(), b"to nobody")
    found: dict[str, list[str]] = {}
    for name, folders in (("server", [server.folder]), ("agent", [agent.folder / "state", agent.log_file])):
        files = [file for folder in folders for file in ([folder] if folder.is_file() else folder.rglob("*"))]
        found[name] = [
            os.fspath(file)
            for file in files
            if file.is_file() and any(needle in file.read_bytes() for needle in needles)
        ]
    return found
