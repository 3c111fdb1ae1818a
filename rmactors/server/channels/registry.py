"""Every kind of channel. To add one: a folder with a `KIND`, and its name here."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from rmactors.common import clock
from rmactors.server.channels.alertmanager.kind import KIND as ALERTMANAGER
from rmactors.server.channels.base import Channel, ChannelSpec, Kind, Preview, Surroundings
from rmactors.server.channels.config import normalized, with_secrets_hidden
from rmactors.server.channels.discord.kind import KIND as DISCORD
from rmactors.server.channels.gotify.kind import KIND as GOTIFY
from rmactors.server.channels.mail.kind import KIND as MAIL
from rmactors.server.channels.matrix.kind import KIND as MATRIX
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.channels.ntfy.kind import KIND as NTFY
from rmactors.server.channels.pagerduty.kind import KIND as PAGERDUTY
from rmactors.server.channels.pushover.kind import KIND as PUSHOVER
from rmactors.server.channels.slack.kind import KIND as SLACK
from rmactors.server.channels.teams.kind import KIND as TEAMS
from rmactors.server.channels.telegram.kind import KIND as TELEGRAM
from rmactors.server.channels.webhook.kind import KIND as WEBHOOK
from rmactors.server.channels.webpush.kind import KIND as WEBPUSH
from rmactors.server.messages.notifications import Notification

__all__ = ["KINDS", "KindName", "kind_named", "make_channel", "preview", "shared_ssl_context"]

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        WEBHOOK,
        NTFY,
        MAIL,
        SLACK,
        DISCORD,
        TEAMS,
        TELEGRAM,
        MATRIX,
        GOTIFY,
        WEBPUSH,
        PUSHOVER,
        PAGERDUTY,
        ALERTMANAGER,
    )
}
"""By name, in the order in which they are offered."""

if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[tuple(KINDS)]
    """A kind's name, as bodies of the API have it."""


def kind_named(name: str) -> Kind:
    """Raises ValueError, its message a sentence, for a name that this version does not know."""
    if name not in KINDS:
        raise ValueError(f"this version has no kind of channel called {name!r}")
    return KINDS[name]


def make_channel(
    spec: ChannelSpec,
    policy: OutboundPolicy,
    ssl_context: ssl.SSLContext,
    base_url: str,
    now: Callable[[], int] = clock.now,
) -> Channel:
    """The channel of a valid spec. `now` gives microseconds. Raises ValueError or KeyError for an invalid one."""
    return kind_named(spec.kind).make(spec, Surroundings(policy, ssl_context, base_url, now))


def preview(spec: ChannelSpec, notification: Notification, base_url: str) -> Preview:
    """What the notification would look like on a valid spec, secrets as `••••`. Nothing is sent or looked up."""
    kind = kind_named(spec.kind)
    config = with_secrets_hidden(kind, normalized(kind, spec.config))
    return kind.preview(replace(spec, config=config), notification, base_url)
