"""The webhook channel: one POST with a JSON body. What it looks like is `payload`'s."""

import ssl
from collections.abc import Callable

from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.config import secret_values
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_endpoint
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS, HttpEndpoint
from rmactors.server.channels.webhook import payload
from rmactors.server.messages.notifications import Attempt, Notification


class WebhookChannel:
    """One URL."""

    def __init__(
        self,
        spec: ChannelSpec,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        now: Callable[[], int],
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._config = spec.config
        self._now = now
        endpoint = parse_endpoint(spec.config["url"])
        secrets = secret_values("webhook", spec.config)
        self._endpoint = HttpEndpoint(endpoint, policy, ssl_context, now, secrets, deadline_seconds)

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt. `recipients` and `overdue` mean nothing here."""
        return await self._endpoint.send(payload.render(notification, self._config, self._now()), judge_http)

    async def aclose(self) -> None:
        await self._endpoint.aclose()
