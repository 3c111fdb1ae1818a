"""One job with real restic, from what the server asks to how it ended, without a server."""

from pathlib import Path
from typing import Any

import trio

from rmactors.agent import this_host
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.job_spec import spec_for
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.process import Stop
from rmactors.agent.report_queue import open_queue
from rmactors.agent.restic_job import ResticJob
from rmactors.agent.restic_locks import Leftovers
from rmactors.agent.restic_steps import JobResult
from rmactors.agent.restore_test.folder import PrivateFolders
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire
from rmactors.common.vocabulary import JobKind


class Jobs:
    """Does jobs one after the other, on a state dir of its own. `said` are the log lines of the last one; they are in
    `feed` until then."""

    def __init__(
        self, agent_file: AgentFile, state: Path, seconds: float = 240.0, *, spare_cache: str | None = None
    ) -> None:
        self.agent_file = agent_file
        self.said: list[str] = []
        self.feed = LiveFeed()
        self._state = StateDir(state)
        self._seconds = seconds
        self._spare_cache = spare_cache
        self._leftovers = Leftovers()

    async def do(self, kind: JobKind, stop: Stop | None = None, **params: Any) -> JobResult:
        feed, job_id = self.feed, ids.new()
        feed.open()
        work = spec_for(self.agent_file, kind, params, job_id, this_host.hostname())
        async with open_queue(self._state) as queue:
            job = ResticJob(job_id, work, self.agent_file, feed, stop or Stop(), queue)
            job.spare_cache, job.leftovers = self._spare_cache, self._leftovers
            job.private_folders = PrivateFolders(self._state.path, self.agent_file.restore_test_dir)
            with trio.fail_after(self._seconds):
                outcome = await job.run()
        frames = [frame for frame in feed.take() if isinstance(frame, wire.JobLog)]
        self.said = [line.text for frame in frames for line in frame.lines]
        return outcome
