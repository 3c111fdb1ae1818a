"""Every kind of channel in one place: how one is made, and what it would send."""

import ssl
from collections.abc import Callable
from typing import Any, assert_never

from rmactors.common import clock
from rmactors.server.channels.base import Channel, ChannelSpec, Preview
from rmactors.server.channels.config import normalized, with_secrets_hidden
from rmactors.server.channels.mail import payload as mail_payload
from rmactors.server.channels.mail.send import SmtpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_endpoint
from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.channels.ntfy import payload as ntfy_payload
from rmactors.server.channels.ntfy.send import NtfyChannel
from rmactors.server.channels.request import HttpRequest
from rmactors.server.channels.webhook import payload as webhook_payload
from rmactors.server.channels.webhook.send import WebhookChannel
from rmactors.server.messages.notifications import Notification

__all__ = ["make_channel", "preview", "shared_ssl_context"]


def make_channel(
    spec: ChannelSpec,
    policy: OutboundPolicy,
    ssl_context: ssl.SSLContext,
    base_url: str,
    now: Callable[[], int] = clock.now,
) -> Channel:
    """The channel of a valid spec. `now` gives microseconds. Raises ValueError or KeyError for an invalid one."""
    match spec.kind:
        case "webhook":
            return WebhookChannel(spec, policy, ssl_context, now)
        case "ntfy":
            return NtfyChannel(spec, policy, ssl_context, now)
        case "smtp":
            return SmtpChannel(spec, policy, ssl_context, base_url)
        case _:
            assert_never(spec.kind)


def preview(spec: ChannelSpec, notification: Notification, base_url: str) -> Preview:
    """What the notification would look like on a valid spec, secrets as `••••`. Nothing is sent or looked up."""
    config = with_secrets_hidden(spec.kind, normalized(spec.kind, spec.config))
    match spec.kind:
        case "webhook":
            return Preview(request=_shown(webhook_payload.render(notification, config, notification.occurred_at)))
        case "ntfy":
            return Preview(request=_shown(ntfy_payload.render(notification, config, spec.default_priority)))
        case "smtp":
            return Preview(
                mail=mail_payload.render(notification, config, base_url).content.decode().replace("\r\n", "\n")
            )
        case _:
            assert_never(spec.kind)


def _shown(request: HttpRequest) -> dict[str, Any]:
    endpoint = parse_endpoint(request.url)
    headers = {"Host": endpoint.authority, **dict(request.headers), "Content-Length": str(len(request.body))}
    return {"method": "POST", "url": endpoint.url, "headers": headers, "body": request.body.decode()}
