"""Looking into snapshots with nothing made up: the server's API, the real agent, each restic that is there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.agents import AgentProcess
from harness.processes import Server
from rmactors.common import ids
from tests.e2e.hunt import Hunt
from tests.restics import restics

CANARY = f"canary-{ids.new()}"
"""A name that is nowhere else."""
ODD = [CANARY, "-rf", "[x]", "a*b?", "line\nbreak", "\x1b[31mred", "<b>&amp;", "ä\u202eb", " ", "x" * 255]
"""Names of files, shown as they are."""


class Host:
    """An agent with two backups: between them `kept.txt` changes, `gone.txt` goes and `new.txt` comes."""

    def __init__(self, agent: AgentProcess, host_id: str) -> None:
        self.agent, self.id = agent, host_id

    def ask(self, kind: str, status: int = 200, **body: Any) -> Any:
        answer = httpx.request(
            "POST" if kind != "snapshots" else "GET",
            f"{self.agent.server.url}/api/hosts/{self.id}/{kind}",
            json=body if kind != "snapshots" else None,
            headers={"Authorization": f"Bearer {self.agent.server.token}"},
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == status, answer.text
        return answer.json()

    def names(self, path: Path, **body: Any) -> list[str]:
        """What is in a folder of the newest snapshot, page by page."""
        found: list[str] = []
        asked = {"snapshot": "latest", "path": str(path), **body}
        while True:
            page = self.ask("browse", **asked)
            assert "left_out" not in page
            found += [item["name"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            asked["cursor"] = page["next_cursor"]


@pytest.fixture(scope="module", params=list(restics()))
def host(shared_server: Server, tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("agent")
    agent = AgentProcess(shared_server, folder / "host", f"real-{request.param}-{ids.new()}")
    config = agent.config.read_text().replace('"check"]', '"check", "restore", "browse"]')
    target = folder / "restored"
    target.mkdir(mode=0o700)
    agent.config.write_text(f'restic = "{restics()[request.param]}"\nrestore_targets = ["{target}"]\n{config}')
    odd = agent.source / "odd"
    odd.mkdir()
    for name in ODD:
        (odd / name).write_text("odd\n")
    Path(os.fsdecode(os.fsencode(agent.source) + b"/invalid-\xff")).write_text("no text\n")
    (agent.source / "link").symlink_to("odd")
    (agent.source / "gone.txt").write_text("gone\n")
    (agent.source / "kept.txt").write_text("before\n")
    host_id = agent.enroll()
    try:
        agent.start(host_id)
        assert agent.run_backup(host_id)["status"] == "succeeded"
        (agent.source / "gone.txt").unlink()
        (agent.source / "new.txt").write_text("new\n")
        (agent.source / "kept.txt").write_text("afterwards\n")
        assert agent.run_backup(host_id)["status"] == "succeeded"
        yield Host(agent, host_id)
    finally:
        agent.end()
        shutil.rmtree(folder)


def test_its_snapshots_are_listed(host: Host) -> None:
    newest, oldest = host.ask("snapshots")["items"]
    assert newest["time"] > oldest["time"]
    assert (newest["plan"], newest["paths"], newest["tags"]) == ("home", [str(host.agent.source)], [])
    assert newest["id"].startswith(newest["short_id"])


def test_folders_are_shown_with_their_names_as_they_are(host: Host) -> None:
    source = host.agent.source
    assert sorted(host.names(source / "odd")) == sorted(ODD)
    assert sorted(host.names(source / "odd", limit=4)) == sorted(ODD), "page by page"
    shown = {item["name"]: item for item in host.ask("browse", snapshot="latest", path=str(source))["items"]}
    assert set(shown) == {"invalid-\ufffd", "kept.txt", "letter.txt", "link", "new.txt", "odd"}
    assert (shown["kept.txt"]["type"], shown["kept.txt"]["size"]) == ("file", len("afterwards\n"))
    assert (shown["odd"]["type"], shown["link"]["type"]) == ("dir", "symlink")
    assert shown["kept.txt"]["path"] == str(source / "kept.txt")


def test_a_file_is_found_in_every_snapshot_that_has_it(host: Host) -> None:
    newest, oldest = (item["id"] for item in host.ask("snapshots")["items"])
    assert [item["snapshot"] for item in host.ask("find", pattern="gone.txt")["items"]] == [oldest]
    found = host.ask("find", pattern="k*.txt")["items"]
    assert {item["snapshot"] for item in found} == {newest, oldest}
    assert {item["path"] for item in found} == {str(host.agent.source / "kept.txt")}
    assert host.ask("find", pattern="no-such-file")["items"] == []


def test_two_snapshots_are_compared(host: Host) -> None:
    newest, oldest = (item["id"] for item in host.ask("snapshots")["items"])
    changes = host.ask("diff", **{"from": oldest, "to": newest})["items"]
    source = host.agent.source
    expected = {
        str(source / "gone.txt"): "removed",
        str(source / "kept.txt"): "modified",
        str(source / "new.txt"): "added",
    }
    found = {item["path"]: item["change"] for item in changes}
    assert expected.items() <= found.items()
    assert set(found.values()) <= {"removed", "modified", "added", "metadata"}


def test_a_restore_says_before_it_begins_what_it_would_write(host: Host) -> None:
    target = host.agent.folder.parent / "restored"
    kept = host.agent.source / "kept.txt"
    found = host.ask("restore-preview", include=[str(kept)], target=str(target))
    assert (found["files"], found["bytes"], found["into"]) == (1, len("afterwards\n"), str(target))
    assert found["free_bytes"] > 0
    assert list(target.iterdir()) == [], "nothing was written"
    host.ask("restore-preview", 403, target="/etc")
    host.ask("restore-preview", 404, include=["/no/such"], target=str(target))


def test_what_is_not_there_is_404_with_the_agents_words(host: Host) -> None:
    for asked in ({"snapshot": "latest", "path": "/no/such"}, {"snapshot": "0123456789abcdef", "path": "/"}):
        problem = host.ask("browse", 404, **asked)
        assert problem["type"].endswith(":not-found")
        assert problem["detail"]
    assert host.ask("browse", 404, plan="no-such-plan", snapshot="latest", path="/")["detail"]


def test_a_pattern_that_restic_cannot_read_is_422(host: Host) -> None:
    assert host.ask("find", 422, pattern="[")["detail"]


def test_a_repository_that_is_away_is_502_with_the_reason(host: Host) -> None:
    away = host.agent.folder / "away"
    host.agent.repository.rename(away)
    try:
        assert host.ask("browse", 502, snapshot="latest", path="/")["detail"]
    finally:
        away.rename(host.agent.repository)


def test_none_of_the_names_is_left_on_the_server(host: Host) -> None:
    folder, server = host.agent.source / "odd", host.agent.server
    assert CANARY in host.names(folder)
    assert host.ask("find", pattern=f"{CANARY}*")["items"]
    host.ask("browse", 404, snapshot="latest", path=str(folder / CANARY / "not there"))
    target = str(host.agent.folder.parent / "restored")
    host.ask("restore-preview", snapshot="latest", include=[str(folder / CANARY)], target=target)
    hunt = Hunt()
    hunt.hide("a file's name", CANARY)
    hunt.hide("the host's", host.id)
    for path in sorted(server.data_dir.iterdir()):
        hunt.search(f"file {path.name}", path.read_bytes())
    hunt.search_tables(server.data_dir / "rm.db")
    hunt.search("the log", server.log.encode())
    assert hunt.found("the host's"), "the search does not find what is there"
    assert hunt.found("a file's name") == set()
