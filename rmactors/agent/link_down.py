"""The one way in which a connection to the server fails."""

from typing import Final

from rmactors.common.text import excerpt

LONGEST_REASON: Final = 500


class LinkDown(Exception):
    """A connection could not be made or has ended. Not raised for an end that this side asked for.

    The reason is one printable line, also if it quotes a server. `status` is the HTTP status by which the server
    refused the upgrade: None if something else answered. `code` is the WebSocket close code, if there was one.
    """

    def __init__(self, reason: str, *, status: int | None = None, code: int | None = None) -> None:
        self.reason = excerpt(reason, LONGEST_REASON)
        super().__init__(self.reason)
        self.status = status
        self.code = code
