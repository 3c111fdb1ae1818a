"""A real ntfy on loopback, as Debian ships it: 2.11 of trixie and what is newest in sid."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from harness.processes import PLAIN, STARTS_WITHIN, free_port
from harness.tools import receiver, running

VERSIONS = {"ntfy": "2.11", "ntfy-sid": "2.27"}
"""By the folder that `tests/fetch_receivers.sh` unpacks it into; the second is what sid had when this was written."""


@dataclass(frozen=True)
class Ntfy:
    """One server. Methods block."""

    url: str
    client: httpx.Client

    def messages(self, topic: str) -> list[dict[str, Any]]:
        """What a phone that subscribes now is told, oldest first."""
        answer = self.client.get(f"{self.url}/{topic}/json", params={"poll": "1", "since": "all"})
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines()]

    def is_up(self) -> bool:
        try:
            return self.client.get(f"{self.url}/v1/health").status_code in (200, 429)  # it counts against a limit
        except httpx.TransportError:
            return False


@contextmanager
def ntfy_server(folder: str, where: Path, **settings: str | int) -> Iterator[Ntfy]:
    """A server for as long as the block lasts. `settings` are lines of its file: `message_size_limit="1k"`."""
    program, url = receiver(folder, "ntfy"), f"http://127.0.0.1:{free_port()}"
    lines: dict[str, str | int] = {"listen-http": url.removeprefix("http://"), "base-url": url}
    lines |= {"cache-file": str(where / "cache.db")}
    lines |= {name.replace("_", "-"): value for name, value in settings.items()}
    file = where / "server.yml"
    file.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items()))
    with (
        running([program, "serve", "--config", str(file)], where) as log,
        httpx.Client(verify=PLAIN, trust_env=False, timeout=STARTS_WITHIN) as client,
    ):
        ntfy = Ntfy(url, client)
        _until_up(ntfy, log)
        yield ntfy


def _until_up(ntfy: Ntfy, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not ntfy.is_up():
        assert time.monotonic() < deadline, f"ntfy does not answer: {log.read_text()}"
        time.sleep(0.05)
