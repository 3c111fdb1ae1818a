"""The key is changed while two nodes run: the one that leads, on another machine than the command, goes on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.nodes import Node
from harness.processes import COMMAND, ROOT, eventually
from rmactors.server.config.secrets import key_id, read_keys
from tests.conftest import PostgresDatabases

LEASE_SECONDS = 15


class Machine(Node):
    """A node with a key file of its own."""

    @property
    def key_file(self) -> Path:
        return Path(str(self.settings["secret_key_file"]))

    @property
    def keys(self) -> list[str]:
        return [key_id(raw).hex() for raw in read_keys(self.key_file)]

    def run_keys(self, word: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "keys", word], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120
        )


@pytest.fixture
def machines(tmp_path: Path, postgres_databases: PostgresDatabases) -> Iterator[tuple[Machine, Machine]]:
    """One that leads, one that waits, each with a copy of the key."""
    place = postgres_databases.new()
    first, second = (
        Machine(tmp_path, name, place, lease_seconds=LEASE_SECONDS, secret_key_file=tmp_path / f"{name}.key")
        for name in ("first", "second")
    )
    try:
        first.start()
        shutil.copy(first.key_file, second.key_file)
        second.spawn()
        second.wait(first)
        yield first, second
    finally:
        for node in (first, second):
            if node.running:
                node.kill()
        postgres_databases.give_back(place)


def test_the_leader_seals_under_the_new_key_before_its_file_is_copied_again(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    first.webhook("http://127.0.0.1:9/", name="before")
    assert second.run_keys("add").returncode == 0
    old, new = second.keys
    refused = second.run_keys("rotate")
    assert refused.returncode == 1
    assert "the new key is not in the key file of first" in refused.stderr
    shutil.copy(second.key_file, first.key_file)
    said: list[str] = []

    def rotated() -> bool:
        done = second.run_keys("rotate")
        said.append(done.stdout + done.stderr)
        return done.returncode == 0

    eventually(rotated, 120, lambda: said[-1], pause=1)
    assert (first.keys, second.keys) == ([old, new], [new])
    headers = {"Authorization": f"Bearer {first.token}"}
    answers: list[httpx.Response] = []

    def saved() -> bool:
        body = {"kind": "webhook", "name": "after", "config": {"url": "http://127.0.0.1:9/"}}
        url = f"{first.url}/api/notifications"
        answers.append(httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False))
        return answers[-1].status_code == 201

    eventually(saved, 120, lambda: answers[-1].text, pause=0.5)
    assert {answer.status_code for answer in answers[:-1]} <= {409}, "sealed under the old key: not stored"
    first.kill()
    second.wait_until_ready()
    channels = httpx.get(f"{second.url}/api/notifications", headers=headers, timeout=60, trust_env=False).json()
    assert {channel["name"] for channel in channels["items"]} == {"before", "after"}
    first.spawn()
    first.wait(second)
    assert "detail" not in first.state()[1], "with both keys in its file it could lead"
