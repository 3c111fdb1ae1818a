"""How people subscribe to what a channel sends: a code for their phones, a link for their browsers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rmactors.server.channels.base import Kind
from rmactors.server.web.views import qr
from rmactors.server.web.views.texts import _


@dataclass(frozen=True, slots=True)
class Subscribing:
    """`picture` is an `<svg>`; empty where the link is too long for a code."""

    picture: str
    link: str


def subscribing(kind: Kind, config: Mapping[str, Any]) -> Subscribing | None:
    """For a channel that is there, with its stored config. None where nobody has to subscribe."""
    if kind.subscription is None:
        return None
    found = kind.subscription(config)
    try:
        picture = qr.svg(found.scanned, _("QR code to subscribe"))
    except ValueError:
        picture = ""
    return Subscribing(picture, found.opened)
