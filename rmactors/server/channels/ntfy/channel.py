"""A topic of a server, and how long its messages may be: a server has a limit of its own, and names it nowhere."""

from collections.abc import Callable
from dataclasses import replace

import trio

from rmactors.server.channels.base import ChannelSpec, Surroundings
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS, HttpEndpoint
from rmactors.server.channels.ntfy import payload
from rmactors.server.channels.ntfy.answers import Judging
from rmactors.server.messages.notifications import Attempt, Notification

MAX_ANSWER_BYTES = 64 * 1024
"""The answer repeats the message, as JSON."""


class NtfyChannel:
    """Remembers the server's limit for as long as it lives: later messages are short enough at once."""

    def __init__(
        self,
        spec: ChannelSpec,
        surroundings: Surroundings,
        secrets: tuple[str, ...],
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._spec = spec
        self._url = parse_url(payload.topic_url(spec.config))
        self._deadline = deadline_seconds
        self._longest = payload.MAX_BODY_BYTES
        self._endpoint = HttpEndpoint(
            self._url, surroundings.policy, surroundings.tls, surroundings.now, secrets, deadline_seconds,
            max_body_bytes=MAX_ANSWER_BYTES,
        )  # fmt: skip

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """One attempt: what is too long for the server is sent again, shorter, within its time."""
        began, latency_ms = trio.current_time(), 0.0
        while True:
            body = payload.body(notification, self._longest)
            judge = Judging(self._spec.config["topic"], payload.sequence_id(notification))
            request = payload.render(notification, self._url, self._spec.config, self._spec.default_priority, body)
            left = self._deadline - (trio.current_time() - began)
            attempt = await self._endpoint.send(request, judge, left)
            latency_ms += attempt.latency_ms
            shorter = payload.next_limit(len(body)) if judge.too_long else None
            if shorter is None:
                return replace(attempt, latency_ms=round(latency_ms, 3))
            self._longest = min(self._longest, shorter)

    async def aclose(self) -> None:
        await self._endpoint.aclose()
