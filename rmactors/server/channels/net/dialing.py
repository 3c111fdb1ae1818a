"""Connections for notifications: resolve, judge each address, connect to one that was judged. For trio's side.

`mail.session` does the same with plain sockets in its thread; the decision itself is `egress`.
"""

import os
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio

from rmactors.common.first_stream import NoneOpened, first_stream
from rmactors.server.channels.net.egress import (
    ForbiddenAddress,
    LeadsNowhere,
    OutboundPolicy,
    is_unspecified,
    literal_address,
)

_STUCK_RESOLUTIONS: Final = 4
"""Threads that one channel may have waiting for a name server that does not answer."""


Resolve = Callable[[str, int], list[str]]
"""Host and port to addresses, the best first; blocks; raises ConnectFailed."""


class ConnectFailed(Exception):
    """No connection came about, for a reason that may pass. The message says where to and why."""


class Dialer:
    """Opens connections to one host and port, as the policy allows."""

    def __init__(
        self,
        host: str,
        port: int,
        policy: OutboundPolicy,
        tls: ssl.SSLContext | None,
        resolve: Resolve | None = None,
    ) -> None:
        """`tls` None means plain TCP. `host` is a name or a literal without brackets. `resolve` runs in a thread."""
        self._resolve = resolve or resolve_name
        self._host = host
        self._port = port
        self._policy = policy
        self._tls = tls
        self._resolvers = trio.CapacityLimiter(_STUCK_RESOLUTIONS)

    async def open(self) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
        """A connection, its TLS handshake done. Raises ForbiddenAddress or ConnectFailed."""
        addresses = allowed_addresses(await self._addresses(), self._host, self._policy)
        tcp = await self._tcp(addresses)
        if self._tls is None:
            return tcp
        stream = trio.SSLStream(tcp, self._tls, server_hostname=self._host.rstrip("."), https_compatible=True)
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            raise ConnectFailed(f"TLS with {self._host} failed: {tls_reason(error.__cause__)}") from None
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def _addresses(self) -> list[str]:
        address = literal_address(self._host)
        if address is not None:  # no name to resolve
            return [address]
        return await trio.to_thread.run_sync(
            self._resolve, self._host, self._port, abandon_on_cancel=True, limiter=self._resolvers
        )

    async def _tcp(self, addresses: Sequence[str]) -> trio.SocketStream:
        try:
            stream, _ = await first_stream(addresses, partial(trio.open_tcp_stream, port=self._port))
        except NoneOpened as none:
            why = os_reason(none.errors[0])
            raise ConnectFailed(f"cannot connect to {self._host} port {self._port}: {why}") from None
        return stream


def resolve_name(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which to try them. Blocks. Raises ConnectFailed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConnectFailed(f"the host name {host} cannot be resolved: {error.strerror}") from None
    except UnicodeError:
        raise ConnectFailed(f"{host!r} is not a host name") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def allowed_addresses(addresses: Sequence[str], host: str, policy: OutboundPolicy) -> list[str]:
    """Those that the policy allows. Raises ForbiddenAddress if it allows none, LeadsNowhere if a name server
    may have put 0.0.0.0 in the place of the right address."""
    allowed = [address for address in addresses if policy.refusal(address, host) is None]
    if allowed:
        return allowed
    for address in addresses:
        if is_unspecified(address) and literal_address(host) is None:
            raise LeadsNowhere(f"{policy.refusal(address, host)}: a name server that blocks a name answers so")
    raise ForbiddenAddress(policy.refusal(addresses[0], host))


def tls_reason(error: BaseException | None) -> str:
    """Why a handshake failed, in words for an operator."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not trusted: {error.verify_message.rstrip('.')}"
        case ssl.SSLError():
            return (error.reason or str(error)).replace("_", " ").lower()
        case OSError():
            return os_reason(error)
        case _:
            return "the connection was closed"


def os_reason(error: OSError) -> str:
    """What the system says, without numbers."""
    cause: BaseException | None = error
    while isinstance(cause, OSError) and cause.errno is None and cause.__cause__ is not None:
        cause = cause.__cause__  # trio sums up its attempts and keeps the reason behind
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(cause) or "no reason given"
