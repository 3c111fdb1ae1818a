"""Channels that do not deliver: `channel_failing`.

About no host, so there is no memory of it beside the database: at each tick what is there is compared with what is said
of it. That costs nothing per message, and after a crash the next tick finds what the last one would have found.

Raised when a channel has been failing for some minutes, or has given up a message; resolved when it delivers again and
has nothing given up, or is switched off or deleted. What an operator resolved comes again with new trouble alone.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rmactors.common.vocabulary import ALERTS
from rmactors.common.zones import day_and_time
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.channel_trouble import ExpectChannel
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Tick
from rmactors.server.messages.writes import Write
from rmactors.server.state.channel_trouble import ChannelTrouble


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written about one channel, and why."""

    writes: tuple[Write, ...]
    reason: Reason


@dataclass(slots=True)
class ChannelWatch:
    """`patience` in microseconds. `counted_from`: what failed before counts as if it had begun then, because nothing
    was tried while this server was down, stopped or suspended."""

    patience: int
    counted_from: int
    _judged: bool = False

    def look(self, found: Iterable[ChannelTrouble], tick: Tick, new_id: Callable[[], str]) -> Iterator[Verdict]:
        """What is to be said of the channels now."""
        if self._judged and not tick.judges:
            self.counted_from = tick.at
        self._judged = tick.judges
        for each in found:
            verdict = self._of(each, tick, new_id)
            if verdict is not None:
                yield verdict

    def _of(self, channel: ChannelTrouble, tick: Tick, new_id: Callable[[], str]) -> Verdict | None:
        trouble = self._trouble(channel, tick.at)
        if channel.alert_id is not None:
            if trouble:
                message = " ".join(trouble)
                touched = TouchAlert(channel.alert_id, message, tick.at, again=False)
                return Verdict((touched,), Reason.LASTS) if message != channel.said else None
            if channel.failing_since is not None and channel.enabled:
                return None  # failing still, or again: not for long enough for an alert, but it does not deliver
            over = ResolveAlert(channel.alert_id, tick.at, "rule", None, _over(channel), reason=Reason.CLEARED)
            return Verdict((_expected(channel), over), Reason.CLEARED)
        if not trouble or not tick.judges:
            return None
        if self._known(channel, tick.at):
            return Verdict((), Reason.SUPPRESSED)
        severity = ALERTS["channel_failing"].severity
        raised = RaiseAlert(
            new_id(), "", "channel_failing", f"channel:{channel.id}", severity, " ".join(trouble), tick.at,
            reason=Reason.BEGAN,
        )  # fmt: skip
        return Verdict((_expected(channel), raised), Reason.BEGAN)

    def _trouble(self, channel: ChannelTrouble, now: int) -> list[str]:
        """What is wrong with a channel, in sentences."""
        found: list[str] = []
        if not channel.enabled:
            return found
        since = channel.failing_since
        if since is not None and self._long_enough(channel, since, now):
            found.append(
                f"Notifications to the channel {channel.name} have been failing since {day_and_time(since)}:"
                f" {_sentence(channel.last_error)}"
            )
        if (dead := channel.given_up) is not None:
            number = "1 notification" if dead.number == 1 else f"{dead.number} notifications"
            given_up = "was given up" if dead.number == 1 else "were given up, the last"
            found.append(
                f"{number} to the channel {channel.name} {given_up} on {day_and_time(dead.at)}: {_sentence(dead.error)}"
            )
        return found

    def _long_enough(self, channel: ChannelTrouble, since: int, now: int) -> bool:
        """Quiet hours do not count: nothing is tried in them, and after them the channel has all its time."""
        if (quiet := channel.quiet) is not None and (quiet.at(now) or quiet.at(now - self.patience)):
            return False
        return now - max(since, self.counted_from) >= self.patience

    def _known(self, channel: ChannelTrouble, now: int) -> bool:
        """Whether an operator resolved an alert that told of all this. A channel that has been failing all the time
        goes on to give up messages: that is the same trouble."""
        if channel.resolved_at is None:
            return False
        since, dead = channel.failing_since, channel.given_up
        if since is not None and since <= channel.resolved_at:
            return True
        new = since is not None and self._long_enough(channel, since, now)
        return not new and (dead is None or dead.at <= channel.resolved_at)


def _sentence(error: str | None) -> str:
    return f"{(error or 'no reason given').rstrip('.')}."


def _over(channel: ChannelTrouble) -> str:
    if not channel.there:
        return f"The channel {channel.name} was deleted."
    if not channel.enabled:
        return f"The channel {channel.name} was disabled."
    return f"The channel {channel.name} is well again: it is not failing, and nothing of it is undelivered."


def _expected(channel: ChannelTrouble) -> ExpectChannel:
    given_up_at = channel.given_up.at if channel.given_up is not None else None
    return ExpectChannel(channel.id, channel.there, channel.enabled, channel.failing_since, given_up_at)
