"""What a host's actor finds in its mailboxes beside what the gateway sends. Pure."""

from dataclasses import dataclass

from rmactors.server.actors.host.reports_in_flight import Step
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.links import FromLink


@dataclass(frozen=True, slots=True)
class Look:
    """Something changed in the store that concerns this host."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The rules' answer to a report: what became of it."""

    step: Step
    answer: Answer


@dataclass(frozen=True, slots=True)
class SilenceJudged:
    answer: Answer


@dataclass(frozen=True, slots=True)
class LinesWritten:
    """Some log lines are on disk, or are lost."""


HostInbox = FromLink | Look | Judged | SilenceJudged | LinesWritten
