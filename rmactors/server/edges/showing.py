"""What a request on the agents' port shows of the client: read from its head, before or after the upgrade is read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from rmactors.common import wire
from rmactors.server.edges.addresses import Network, client_address, one_list
from rmactors.server.edges.first_bytes import Headers
from rmactors.server.edges.preauth_limits import Slot
from rmactors.server.edges.websockets import token_digest
from rmactors.server.store.queries.credentials import Credential

FindCredential = Callable[[str | None], Awaitable[Credential | None]]
"""By the digest of a token."""


@dataclass(frozen=True, slots=True)
class Shown:
    """`credential` is None if it is none. If its address has no room, it may not have been looked up either."""

    address: str
    has_room: bool
    digest: str | None
    credential: Credential | None

    def is_one_too_many(self) -> bool:
        return self.credential is None and not self.has_room


def is_for_agents(path: str, headers: Headers) -> bool:
    """Whether it asks for what this port has, and no browser sends it."""
    return path.partition("?")[0] == wire.PATH and not any(name == b"origin" for name, _ in headers)


async def look_at(headers: Headers, peer: str, slot: Slot, proxies: tuple[Network, ...], find: FindCredential) -> Shown:
    """Once for each request; names of headers are in lower case. Raises DatabaseError."""
    forwarded = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    address = client_address(peer, one_list(forwarded), proxies)
    has_room = slot.comes_from(address, trio.current_time())
    digest = token_digest(dict(headers).get(b"authorization", b""))
    return Shown(address, has_room, digest, await find(digest) if has_room or slot.is_kept_back() else None)
