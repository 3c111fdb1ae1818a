"""What an agent is to be told of jobs: start this one, cancel that one, each once a connection. Pure."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from rmactors.common import wire
from rmactors.server.state.host import PendingCommand


@dataclass(slots=True)
class Errands:
    """What the agent on one connection has been told."""

    _told_to_run: set[str] = field(default_factory=set)
    _told_to_cancel: set[str] = field(default_factory=set)

    def forget(self, job_id: str) -> None:
        """The job has ended."""
        self._told_to_run.discard(job_id)
        self._told_to_cancel.discard(job_id)

    def untold(self, errands: Iterable[PendingCommand], begun: Container[str]) -> list[wire.FromServer]:
        """The frames that are due now. `begun` are jobs that the agent has reported as started."""
        frames: list[wire.FromServer] = []
        waiting = set()
        for errand in errands:
            waiting.add(errand.job_id)
            if errand.queued and not errand.cancel and errand.job_id not in self._told_to_run:
                self._told_to_run.add(errand.job_id)
                frames.append(wire.RunJob(errand.job_id, errand.kind, errand.schedule_id, errand.params))
            if errand.cancel:
                frames += self._cancel(errand.job_id)
        for job_id in sorted(self._told_to_run - waiting):
            # Told, but cancelled before it began: the agent may hold it back until another job ends.
            if job_id not in begun:
                frames += self._cancel(job_id)
        return frames

    def _cancel(self, job_id: str) -> list[wire.FromServer]:
        if job_id in self._told_to_cancel:
            return []
        self._told_to_cancel.add(job_id)
        return [wire.CancelJob(job_id)]
