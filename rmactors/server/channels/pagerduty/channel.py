"""A channel to PagerDuty, whose test opens an incident and closes it at once."""

from collections.abc import Callable
from dataclasses import replace

from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.messages.notifications import Attempt, Notification


class PagerDutyChannel:
    """Events to one integration. A test that stayed open would call people until somebody closed it."""

    def __init__(self, events: HttpChannel) -> None:
        self._events = events

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt. `recipients` and `overdue` mean nothing here."""
        attempt = await self._events.send(notification)
        if notification.event != "alert.test" or attempt.verdict != "delivered":
            return attempt
        end = await self._events.send(replace(notification, event="alert.resolved"))
        if end.error is None:
            return end
        return replace(end, error=f"the test's incident was opened, but not closed: close it there ({end.error})")

    async def aclose(self) -> None:
        await self._events.aclose()
