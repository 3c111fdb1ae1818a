"""What the rules look at of each channel, to say when one does not deliver. Read from the store at each tick."""

from dataclasses import dataclass

from rmactors.server.calendars.quiet_hours import QuietHours


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What is dead of a channel, and was neither dropped on purpose nor dismissed. `at` and `error` are of the newest.

    Without messages that tell of a failing channel: two channels that fail would tell of each other without an end.
    """

    number: int
    at: int
    error: str


@dataclass(frozen=True, slots=True)
class ChannelTrouble:
    """A channel that has trouble, or an open alert about it. Times in microseconds.

    there          it was not deleted
    failing_since  its last attempt failed then or later, and something is there to try
    alert_id, said the open alert about it and its message
    resolved_at    when an operator last resolved one
    quiet          its quiet hours, where all that is queued waits for their end
    """

    id: str
    name: str
    there: bool
    enabled: bool
    failing_since: int | None = None
    last_error: str | None = None
    given_up: GivenUp | None = None
    alert_id: str | None = None
    said: str = ""
    resolved_at: int | None = None
    quiet: QuietHours | None = None
