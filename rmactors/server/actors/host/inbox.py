"""What a host's actor finds in its mailboxes beside what the gateway sends. Pure."""

from dataclasses import dataclass

from rmactors.server.actors.host.reports_in_flight import JobEvent
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.connections import FromConnection


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Something changed in the store that concerns this host."""


@dataclass(frozen=True, slots=True)
class ReportAnswered:
    """The rules' answer to a report: what became of it."""

    event: JobEvent
    answer: Answer


@dataclass(frozen=True, slots=True)
class SilenceAnswered:
    answer: Answer


@dataclass(frozen=True, slots=True)
class LinesWritten:
    """Some log lines are on disk, or are lost."""


HostInbox = FromConnection | HostChanged | ReportAnswered | SilenceAnswered | LinesWritten
