"""A channel that sends each notification as one HTTP request. What the request is, says its kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from rmactors.server.channels.base import ChannelSpec, Field, Preview, Surroundings
from rmactors.server.channels.config import secret_values
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS, HttpEndpoint, Judge
from rmactors.server.channels.request import CannotBeMade, preview_of
from rmactors.server.messages.notifications import Attempt, Notification


class HttpChannel:
    """One URL. `render` makes the request or raises CannotBeMade, `judge` says what an answer means."""

    def __init__(
        self,
        spec: ChannelSpec,
        surroundings: Surroundings,
        fields: tuple[Field, ...],
        url: httpx.URL,
        render: Callable[[Notification], httpx.Request],
        judge: Judge,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._render = render
        self._judge = judge
        self._endpoint = HttpEndpoint(
            url, surroundings.policy, surroundings.tls, surroundings.now, secret_values(fields, spec.config),
            deadline_seconds,
        )  # fmt: skip

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt. `recipients` and `overdue` mean nothing here."""
        try:
            request = self._render(notification)
        except CannotBeMade as error:
            return Attempt("dead", None, 0.0, str(error))
        return await self._endpoint.send(request, self._judge)

    async def aclose(self) -> None:
        await self._endpoint.aclose()


@dataclass(frozen=True, slots=True)
class OneRequest:
    """Of a kind that asks nothing more of a channel: one URL, and the request for a notification.

    `url` takes the config, `render` may raise CannotBeMade.
    """

    fields: tuple[Field, ...]
    url: Callable[[Mapping[str, Any]], httpx.URL]
    render: Callable[[ChannelSpec, httpx.URL, Notification], httpx.Request]
    judge: Judge

    def make(
        self, spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS
    ) -> HttpChannel:
        """As `Kind.make`."""
        url = self.url(spec.config)
        return HttpChannel(
            spec, surroundings, self.fields, url, lambda notification: self.render(spec, url, notification),
            self.judge, deadline_seconds,
        )  # fmt: skip

    def preview(self, spec: ChannelSpec, notification: Notification, _: str) -> Preview:
        """As `Kind.preview`."""
        return preview_of(self.render(spec, self.url(spec.config), notification))
