"""The one interface of all kinds of channel: a notification in, how the attempt ended out.

The retry loop, the breaker and the log are the delivery actor's; a channel makes exactly one attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rmactors.common.vocabulary import ChannelKind, Priority
from rmactors.server.messages.notifications import Attempt, Notification


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. `pointer` is an RFC 6901 JSON pointer such as `/config/url`."""

    pointer: str
    detail: str


class Channel(Protocol):
    """One endpoint. Made from a decrypted config; lives as long as the config does."""

    async def send(
        self, notification: Notification, recipients: tuple[str, ...] = (), overdue: Callable[[], None] | None = None
    ) -> Attempt:
        """Make one attempt. Never raises for what a network or a receiver can do.

        `recipients` (smtp) limits the attempt to those who have not been told yet; empty means all.
        `overdue` (smtp) is called, at most once, where the receiver has the whole message and has not answered at the
        end of the time for an attempt: the attempt goes on for as long as such a receiver may take. Without it, the
        attempt ends there.
        """
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Preview:
    """What a notification would look like on the wire, secrets masked. Exactly one of the two is set."""

    request: dict[str, Any] | None = None
    """`{method, url, headers, body}`, body as text."""
    mail: str | None = None
    """The mail as it would be handed over."""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """What a channel is made from. `config` is decrypted: keep it out of logs (it has no repr)."""

    id: str
    kind: ChannelKind
    name: str
    config: dict[str, Any]
    default_priority: Priority | None

    def __repr__(self) -> str:
        return f"ChannelSpec({self.id}, {self.kind}, {self.name!r})"
