"""Several nodes of one server, each a real process, on one PostgreSQL."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from harness.processes import STARTS_WITHIN, Server, ServerDied, eventually
from rmactors.server.store.place import PostgresUrl

LEASE_SECONDS = 5.0
"""As short as a busy machine allows: who cannot renew it within three quarters of it ends."""


class Node(Server):
    """One of the nodes. It shares the key with the others, and has a data dir of its own."""

    def __init__(self, folder: Path, name: str, place: PostgresUrl, **settings: object) -> None:
        shared: dict[str, object] = {
            "database_url": place.url, "lease_seconds": LEASE_SECONDS, "node_name": name,
            "secret_key_file": folder / "secret.key", **settings,
        }  # fmt: skip
        folder.mkdir(mode=0o700, exist_ok=True)
        super().__init__(folder / name, **shared)
        self.settings.setdefault("node_url", self.url)

    def state(self) -> tuple[int, dict[str, object]]:
        """What /healthz says; (0, {}) where nobody answers."""
        try:
            answer = httpx.get(f"{self.url}/healthz", timeout=20, trust_env=False, verify=self.verify)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    @property
    def waits(self) -> bool:
        return self.state()[1].get("status") == "standby"

    def wait(self, leader: "Server | None" = None) -> None:
        """Until it stands by; with `leader`, until it knows that one."""

        def so() -> bool:
            if not self.running:
                raise ServerDied(f"the node ended with {self.process and self.process.returncode}\n{self.log[-4000:]}")
            said = self.state()[1]
            return said.get("status") == "standby" and (leader is None or said.get("leader") == leader.url)

        eventually(so, STARTS_WITHIN, lambda: f"the node does not wait\n{self.log[-4000:]}", pause=0.02)

    def pause(self) -> None:
        """SIGSTOP: it neither answers nor hangs up."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, and nothing else."""
        os.kill(self.pid, signal.SIGTERM)

    def ends(self, seconds: float = 60.0) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(seconds)


@contextmanager
def a_leader_and_a_standby(folder: Path, place: PostgresUrl, **settings: object) -> Iterator[tuple[Node, Node]]:
    """`rm1` leads, `rm2` waits; both are gone at the end of the block however that ends."""
    nodes = Node(folder, "rm1", place, **settings), Node(folder, "rm2", place, **settings)
    try:
        nodes[0].start()
        nodes[1].spawn()
        nodes[1].wait(nodes[0])
        yield nodes
    finally:
        for node in nodes:
            if node.running:
                node.resume()
                node.kill()
