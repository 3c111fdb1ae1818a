"""The commands that an agent is sent: run this job, cancel that one, each once a connection. Pure."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from rmactors.common import wire
from rmactors.server.state.host import PendingCommand


@dataclass(slots=True)
class SentCommands:
    """What the agent on one connection has been sent."""

    _sent_runs: set[str] = field(default_factory=set)
    _sent_cancels: set[str] = field(default_factory=set)

    def forget(self, job_id: str) -> None:
        """The job has ended."""
        self._sent_runs.discard(job_id)
        self._sent_cancels.discard(job_id)

    def undelivered(self, commands: Iterable[PendingCommand], started: Container[str]) -> list[wire.FromServer]:
        """The frames that are due now. `started` are jobs that the agent has reported as started."""
        frames: list[wire.FromServer] = []
        waiting = set()
        for command in commands:
            waiting.add(command.job_id)
            if command.queued and not command.cancel and command.job_id not in self._sent_runs:
                self._sent_runs.add(command.job_id)
                frames.append(wire.RunJob(command.job_id, command.kind, command.schedule_id, command.params))
            if command.cancel:
                frames += self._cancel(command.job_id)
        for job_id in sorted(self._sent_runs - waiting):
            # Sent, but cancelled before it began: the agent may hold it back until another job ends.
            if job_id not in started:
                frames += self._cancel(job_id)
        return frames

    def _cancel(self, job_id: str) -> list[wire.FromServer]:
        if job_id in self._sent_cancels:
            return []
        self._sent_cancels.add(job_id)
        return [wire.CancelJob(job_id)]
