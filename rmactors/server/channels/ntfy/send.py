"""The ntfy channel: one POST to a topic. What it looks like is `payload`'s."""

import ssl
from collections.abc import Callable

from rmactors.server.channels.answers import judge_ntfy
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.config import secret_values
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_endpoint
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS, HttpEndpoint
from rmactors.server.channels.ntfy import payload
from rmactors.server.messages.notifications import Attempt, Notification


class NtfyChannel:
    """One topic of one server."""

    def __init__(
        self,
        spec: ChannelSpec,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        now: Callable[[], int],
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._config = spec.config
        self._default_priority = spec.default_priority
        endpoint = parse_endpoint(payload.topic_url(spec.config))
        secrets = secret_values("ntfy", spec.config)
        self._endpoint = HttpEndpoint(endpoint, policy, ssl_context, now, secrets, deadline_seconds)

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt. `recipients` and `overdue` mean nothing here."""
        return await self._endpoint.send(payload.render(notification, self._config, self._default_priority), judge_ntfy)

    async def aclose(self) -> None:
        await self._endpoint.aclose()
