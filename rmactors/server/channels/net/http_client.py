"""One attempt to send something by HTTP: one deadline, the answer's body capped, what went wrong in words."""

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

import h11
import httpx
import trio

from rmactors.server.channels.answers import Judgement, words
from rmactors.server.channels.net.dialing import ConnectFailed, Resolve
from rmactors.server.channels.net.egress import ForbiddenAddress, LeadsNowhere, OutboundPolicy
from rmactors.server.channels.net.transport import Broken, GuardedTransport
from rmactors.server.channels.request import credentials
from rmactors.server.messages.notifications import Attempt

DEADLINE_SECONDS: Final = 5.0
"""For everything: name, connection, TLS, request, answer."""
MAX_BODY_BYTES: Final = 4096
"""Read of an answer's body, unless the kind says otherwise. What is longer costs the connection."""

_REST_SECONDS: Final = 0.5  # for a body whose status has said all

Judge = Callable[[httpx.Response, bytes, int], Judgement]
"""An answer, what was read of its body, and when it came (microseconds), to what it means."""


class HttpEndpoint:
    """One receiver. `send` may be called by several tasks at once."""

    def __init__(
        self,
        url: httpx.URL,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        now: Callable[[], int],
        secrets: Sequence[str] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
        resolve: Resolve | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """`now` gives microseconds; `secrets` are removed from what is shown of the receiver's answers."""
        self._transport = GuardedTransport(url, policy, ssl_context, resolve)
        self._now = now
        self._secrets = secrets
        self._deadline = deadline_seconds
        self._max_body_bytes = max_body_bytes

    async def send(self, request: httpx.Request, judge: Judge, within: float | None = None) -> Attempt:
        """Send the request once. Never raises for what network or receiver do.

        `within`: what is left of the deadline, for a request that is not the first one of its attempt.
        """
        began = time.perf_counter()
        response: httpx.Response | None = None
        body = bytearray()
        judged = Judgement("retry", f"no answer within {self._deadline:g} s")
        try:
            with trio.move_on_after(self._deadline if within is None else max(0.0, within)):
                response = await self._transport.handle_async_request(request)
                await _read(response, body, self._max_body_bytes)
        except ForbiddenAddress as error:
            judged = Judgement("dead", str(error), in_doubt=isinstance(error, LeadsNowhere))
        except (ConnectFailed, Broken) as error:
            judged = Judgement("retry", str(error))
        except h11.LocalProtocolError:  # what it says may hold a secret
            judged = Judgement("dead", "this cannot be sent as HTTP: check the channel's token and header")
        status: int | None = None
        if response is not None:  # a status that came in time counts, whatever became of the body behind it
            status, judged = response.status_code, judge(response, bytes(body[: self._max_body_bytes]), self._now())
        secrets = (*self._secrets, *credentials(request))
        error_words = words(judged.error, secrets) if judged.error is not None else None
        latency_ms = (time.perf_counter() - began) * 1000
        return Attempt(
            judged.verdict, status, round(latency_ms, 3), error_words, judged.retry_at, in_doubt=judged.in_doubt
        )

    async def aclose(self) -> None:
        """Close idle connections now, those in use when they are done."""
        await self._transport.aclose()


async def _read(response: httpx.Response, body: bytearray, most: int) -> None:
    """What is there of the body, up to the cap. The status has been given: a body that breaks is no failure."""
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        with trio.move_on_after(_REST_SECONDS):
            async for part in stream:
                body += part
                if len(body) > most:
                    break
    except Broken:
        pass
    finally:
        await stream.aclose()
