"""A host whose snapshots are looked at."""

import json
import subprocess
from contextlib import AbstractAsyncContextManager

from .jobs import Jobs
from .questions import Questions, asking
from .repositories import ResticRepository


class Host:
    """A host with plan `home`, its repository, and the restic that is tried."""

    def __init__(self, repository: ResticRepository, restic: str) -> None:
        self.repository = repository
        self.restic = restic
        self.source = repository.source
        self.agent_file = repository.agent_file(restic=restic, host="nas", plan={"tags": ["daily"]})
        self.state = repository.path.parent / "state"

    async def backup(self) -> str:
        end = await Jobs(self.agent_file, self.state).do("backup")
        assert end.verdict.status in {"succeeded", "partial"}, end.verdict
        return self.ids()[-1]

    def ids(self, *selection: str) -> list[str]:
        """Full ids in the repository, oldest first."""
        found = self.run("snapshots", "--json", "--no-lock", *selection)
        return [one["id"] for one in sorted(json.loads(found), key=lambda one: one["time"])]

    def run(self, *arguments: str | bytes) -> str:
        return subprocess.run(
            [self.restic, *arguments], env=self.repository.environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=True, timeout=60,
        ).stdout  # fmt: skip

    def backup_as(self, host: str, *arguments: str) -> str:
        """A snapshot that nobody's plan made."""
        self.run("backup", "-q", "--host", host, *arguments, str(self.source))
        return self.ids("--host", host)[-1]

    def asking(self) -> AbstractAsyncContextManager[Questions]:
        return asking(self.agent_file, self.state)
