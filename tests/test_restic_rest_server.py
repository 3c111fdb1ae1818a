"""The REST backend of the tests is one that restic itself takes for real, and its switches do what they say."""

import os
import subprocess
from pathlib import Path

from tests.restic_rest_server import Asked, RestServer, rest_server


def restic(path: str, folder: Path, server: RestServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "RESTIC_REPOSITORY": server.repository, "RESTIC_PASSWORD": "secret", "RESTIC_CACHE_DIR": str(folder / "cache"),
    }  # fmt: skip
    return subprocess.run(
        [path, *arguments], env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_a_repository_is_made_filled_read_and_emptied_through_it(each_restic: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "f").write_bytes(os.urandom(300_000))
    with rest_server() as server:
        for arguments in (("init",), ("backup", str(tmp_path / "x")), ("check", "--read-data")):
            done = restic(each_restic, tmp_path, server, *arguments)
            assert done.returncode == 0, done.stderr
        assert len(server.names("snapshots")) == 1
        assert server.names("locks") == []
        assert restic(each_restic, tmp_path, server, "forget", server.names("snapshots")[0]).returncode == 0
        assert server.names("snapshots") == []


def test_the_switches_refuse_what_they_say() -> None:
    with rest_server() as server:
        for kind in ("snapshots", "locks"):
            assert server.answer(Asked("POST", kind, "ab"), b"1") == (200, b"")
        server.append_only = True
        assert server.answer(Asked("DELETE", "snapshots", "ab"), b"")[0] == 403
        assert server.answer(Asked("POST", "snapshots", "ab"), b"2")[0] == 403
        assert server.answer(Asked("POST", "snapshots", "cd"), b"2")[0] == 200
        assert server.answer(Asked("DELETE", "locks", "ab"), b"")[0] == 200
        server.no_deletes = True
        server.answer(Asked("POST", "locks", "ab"), b"1")
        assert server.answer(Asked("DELETE", "locks", "ab"), b"")[0] == 403
        server.fails = lambda asked: 500 if asked.method == "GET" else None
        assert server.answer(Asked("GET", "snapshots", "ab"), b"")[0] == 500
        assert server.names("snapshots") == ["ab", "cd"]
