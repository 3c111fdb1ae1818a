"""What a delivery actor rebuilds from: its channel, and the deliveries that wait."""

from dataclasses import dataclass
from typing import Final

from rmactors.common.vocabulary import Priority, Severity
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.state.refusals import Refusals


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """An enabled channel as its delivery actor starts with. `config` is encrypted.

    `not_before`: when the attempt that ended last is to be repeated; None if it need not be. `held_until`: the receiver
    asked for quiet until then, perhaps a time that is over.
    """

    id: str
    kind: str
    name: str
    config: bytes
    default_priority: Priority | None
    events: frozenset[str]
    updated_at: int
    failing_since: int | None
    not_before: int | None
    held_until: int | None = None
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One queued delivery. `body` is JSON, times are microseconds; `host_id` is empty if it is about no host.

    `grouped`: it goes with others, those of its `group_key`, or of its host and window where that is empty.
    """

    id: str
    alert_id: str
    host_id: str
    event: str
    seq: int
    body: str
    attempts: int
    created_at: int
    due_at: int
    grouped: bool
    recipients_left: tuple[str, ...] = ()
    group_key: str = ""
    loud: bool = False
    """It goes out in quiet hours, too."""
    tried_as: str = ""
    """Under which id a receiver may have got it, as one of a group. In memory alone, as is what follows."""
    refusals: Refusals | None = None
    """In doubt, in a row, up to now. After a restart they begin again, within the time for retries."""
    of_night: bool = False
    """It was tried as a part of what quiet hours had held back."""
    opened: int = 0
    """How often it opened the breaker."""


@dataclass(frozen=True, slots=True)
class OpenAlerts:
    """What of a group is not resolved yet: how many alerts, and severity, host and kind of the first few."""

    number: int
    first: tuple[tuple[Severity, str, str], ...]


NONE_OPEN: Final = OpenAlerts(0, ())
