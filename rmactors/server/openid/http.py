"""One request to a provider: one deadline, a bounded answer, no redirects, what went wrong in words.

`RM_OUTBOUND_ALLOW` is about addresses that users type into channels. The provider's is the operator's own choice, and
many are on the same network or machine, so that setting does not count here; addresses that never lead to a provider
(link-local, metadata services) stay closed.
"""

import ssl
from typing import Final

import h11
import httpx
import trio

from rmactors.server.channels.net.dialing import ConnectFailed
from rmactors.server.channels.net.egress import ForbiddenAddress, OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.transport import Broken, GuardedTransport
from rmactors.server.channels.request import USER_AGENT, make_request
from rmactors.server.openid.trouble import misconfigured

DEADLINE_SECONDS: Final = 10.0
"""For everything: name, connection, TLS, request, answer."""
MAX_BODY_BYTES: Final = 1 << 20
_ANYWHERE: Final = OutboundPolicy.parse("external,private,loopback")


async def fetch(
    url: str, context: ssl.SSLContext, what: str, *, form: bytes | None = None, authorization: str | None = None
) -> tuple[int, bytes]:
    """Status and body; a POST where there is a form. `what` names the answer in words. Raises ProviderTrouble."""
    headers = [("User-Agent", USER_AGENT), ("Accept", "application/json"), ("Accept-Encoding", "identity")]
    if form is not None:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    if authorization is not None:
        headers.append(("Authorization", authorization))
    try:
        parsed = parse_url(url)
    except ValueError:
        raise misconfigured(f"the address of {what} is none") from None
    transport = GuardedTransport(parsed, _ANYWHERE, context)
    try:
        with trio.fail_after(DEADLINE_SECONDS):
            request = make_request(parsed, headers, form or b"", "GET" if form is None else "POST")
            response = await transport.handle_async_request(request)
            return response.status_code, await _body(response, what)
    except trio.TooSlowError:
        raise misconfigured(f"{what} did not come within {DEADLINE_SECONDS:g} s") from None
    except (ForbiddenAddress, ConnectFailed, Broken) as error:
        raise misconfigured(f"{what} cannot be fetched ({error})") from None
    except h11.LocalProtocolError:  # what it says may hold a secret
        raise misconfigured("RM_OIDC_CLIENT_ID or RM_OIDC_CLIENT_SECRET cannot be sent") from None
    finally:
        await transport.aclose()


async def _body(response: httpx.Response, what: str) -> bytes:
    stream, body = response.stream, bytearray()
    assert isinstance(stream, httpx.AsyncByteStream)
    try:
        async for part in stream:
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise misconfigured(f"{what} is too large")
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await stream.aclose()
    return bytes(body)
