"""When a digest is due. Pure."""

from rmactors.common import cron
from rmactors.server.state.digest import DigestChannel


def due(channel: DigestChannel, now: int) -> int | None:
    """The newest slot that has come since the last digest: one, however many were missed. None if there is none, or
    the expression cannot be read here (a zone that this machine does not know any more)."""
    try:
        return cron.previous_fire(channel.cron, channel.timezone, now, not_before=channel.since + 1)
    except ValueError:
        return None
