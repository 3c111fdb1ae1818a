"""Whether a request has a valid token or session, from its headers alone, before it is handled.

For the port, where an address has too many strangers: the routes themselves find out who asks (`web.access`).
"""

from collections.abc import Sequence

from werkzeug.http import parse_cookie

from rmactors.server.store.database import DatabaseError
from rmactors.server.web.access import live_session, live_token, name_of_cookie
from rmactors.server.web.services import Services


class Known:
    """`await known(headers)`: whether they hold an API token or the cookie of a session that is good still. `headers`
    are pairs of bytes, names in lower case."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        def lines(name: bytes) -> list[str]:
            return [value.decode("latin-1") for header, value in headers if header == name]

        try:
            for header in lines(b"authorization")[:1]:
                return await live_token(self._services, header) is not None
            if not (cookies := lines(b"cookie")):
                return False
            cookie = parse_cookie("; ".join(cookies)).get(name_of_cookie(self._services.settings))
            return await live_session(self._services, cookie) is not None
        except DatabaseError:  # the routes answer with the error
            return False
