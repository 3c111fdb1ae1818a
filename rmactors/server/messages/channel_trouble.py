"""What a decision about a channel's trouble expects of the store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpectChannel:
    """Changes nothing. Expects the channel's trouble to be this, as in `ChannelTrouble`: a decision is built on it."""

    channel_id: str
    there: bool
    enabled: bool
    failing_since: int | None
    given_up_at: int | None
