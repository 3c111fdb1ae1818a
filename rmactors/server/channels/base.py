"""What every kind of channel is: its fields, and how one is checked, made, previewed and shown. A folder for each.

A channel makes exactly one attempt; the retries, the breaker and the log are the delivery actor's.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, Protocol

from rmactors.common.vocabulary import Priority
from rmactors.server.channels.net.egress import OutboundPolicy
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

        `recipients` (mail) limits the attempt to those that do not have it yet; empty means all.
        `overdue` (mail) is called, at most once, if the receiver has the whole message and has not answered at the
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
    kind: str
    name: str
    config: dict[str, Any]
    default_priority: Priority | None

    def __repr__(self) -> str:
        return f"ChannelSpec({self.id}, {self.kind}, {self.name!r})"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all channels of a server share. `now` gives microseconds, `base_url` has no slash at the end."""

    policy: OutboundPolicy
    tls: ssl.SSLContext
    base_url: str
    now: Callable[[], int]

    def outside(self) -> "Surroundings":
        """The same for a channel whose receiver may not be on a local network, unless that is named."""
        return replace(self, policy=self.policy.without_local_zones())


Check = Callable[[Any, Mapping[str, Any], OutboundPolicy], str | None]
"""A field's value, the whole config and where notifications may go, to a sentence that says what is wrong with it."""


MAX_TEXT: Final = 8192
"""Characters of a field that says nothing else."""


class Choice(NamedTuple):
    """One value of a field with a list to choose from."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of a channel, as it is checked, stored and typed into the form. Label and help are page texts.

    input     how it is typed: a `password` is a secret, a `number` is an int, a `select` has `choices`, a `textarea`
              several lines. A secret that is audited as `host` is a URL with a secret in it: its host alone is shown
    missing   the sentence when it is left out; empty: it may be
    default   what is stored when it is left out
    proposed  what the form of a new channel begins with; called for something new each time
    longest   characters
    check     what else must hold. A value that is no number is text already, on one line but in a `textarea`
    steers    it decides where the secrets go, or how they are protected on the way: with a new value, no stored
              secret is kept. So for everything that is no secret, unless the field says otherwise
    audit     how the audit trail shows a new value: `host` (of a URL; the rest of it may be a secret), `value`, or
              `name`, only that it changed
    """

    name: str
    label: str
    help: str = ""
    input: Literal["text", "password", "number", "select", "textarea"] = "text"
    placeholder: str = ""
    choices: tuple[Choice, ...] = ()
    missing: str = ""
    default: Any = None
    proposed: str | Callable[[], str] = ""
    longest: int = MAX_TEXT
    check: Check | None = None
    steers: bool = True
    audit: Literal["host", "value", "name"] = "name"

    @property
    def secret(self) -> bool:
        return self.input == "password"

    @property
    def secret_url(self) -> bool:
        return self.secret and self.audit == "host"


@dataclass(frozen=True, slots=True)
class Preset:
    """What some receivers want, to start from: the form fills these fields in. Label is a page text."""

    name: str
    label: str
    values: Mapping[str, str]


class Subscription(NamedTuple):
    """Where people subscribe to what a channel sends."""

    scanned: str
    """What the QR code says: opened by the receiver's app."""
    opened: str
    """The same for a browser."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of channel: all that is particular to it. Label and help are page texts.

    name            as API and database have it
    fields          in the order of the form; the first says where a channel leads: it is no secret, or a secret URL
    make            the channel of a valid spec
    preview         what a notification would look like; the spec's secrets are masked
    destination     where a channel leads, for a list of channels; of a valid config with its secrets hidden
    takes_priority  whether `default_priority` means anything to it
    groups          whether several alerts may be one message; not where each is an incident of its own, with a key by
                    which it is acknowledged and resolved
    proposed_remind_hours  what the form of a new channel begins with
    presets         offered by the form
    subscription    where people subscribe to a channel with a valid config; None: it leads to somebody already
    made_by_hand    whether its settings can be typed, so that the form of a new channel offers it
    """

    name: str
    label: str
    help: str
    fields: tuple[Field, ...]
    make: Callable[[ChannelSpec, Surroundings], Channel]
    preview: Callable[[ChannelSpec, Notification, str], Preview]
    destination: Callable[[Mapping[str, Any]], str]
    takes_priority: bool = False
    groups: bool = True
    proposed_remind_hours: float = 0.0
    presets: tuple[Preset, ...] = ()
    subscription: Callable[[Mapping[str, Any]], Subscription] | None = None
    made_by_hand: bool = True
