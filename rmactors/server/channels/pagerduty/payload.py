"""A notification as an event of PagerDuty's Events API v2. Pure.

Fields and limits are those of https://developer.pagerduty.com/docs/events-api-v2-overview and
https://github.com/PagerDuty/api-schema/blob/main/reference/events-v2/openapiv3.json. The key of an incident is the
alert's id: what is acknowledged or resolved here is so there.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import httpx

from rmactors import PRODUCT
from rmactors.common import clock
from rmactors.common.vocabulary import Event, Severity
from rmactors.server.channels import chat, plain
from rmactors.server.channels.request import json_request, one_line
from rmactors.server.channels.telling import facts, shortened, title
from rmactors.server.messages.notifications import Notification

DEFAULT_URL: Final = "https://events.pagerduty.com/v2/enqueue"
MAX_SUMMARY: Final = 1024
MAX_MESSAGE: Final = 10_000
"""Characters of the text in `custom_details`: an event may have 512 KB, of which each takes six bytes at the most."""
MAX_NAME: Final = 255

Action = Literal["trigger", "acknowledge", "resolve"]
_ACTIONS: Final[dict[Event, Action]] = {"alert.acknowledged": "acknowledge", "alert.resolved": "resolve"}
_SEVERITIES: Final[dict[Severity, str]] = {"critical": "critical", "warning": "warning", "info": "info"}
"""Theirs has `error` between the first two."""


def event(notification: Notification, config: Mapping[str, Any]) -> dict[str, Any]:
    """The event. A reminder triggers its incident again: it opens one where somebody closed the first."""
    found: dict[str, Any] = {
        "routing_key": config["routing_key"].strip(),
        "event_action": _ACTIONS.get(notification.event, "trigger"),
        "dedup_key": notification.alert_id[:MAX_NAME],
        "payload": {
            "summary": shortened(f"{title(notification)}: {one_line(plain.message(notification))}", MAX_SUMMARY),
            "source": (_name(notification.host_name) if notification.about == "Host" else "") or PRODUCT,
            "severity": _SEVERITIES[notification.severity],
            "timestamp": clock.to_rfc3339(notification.raised_at),
            "component": _name(notification.subject),
            "class": _name(notification.kind),
            "custom_details": _details(notification),
        },
    }
    if not found["payload"]["component"]:
        del found["payload"]["component"]
    if found["event_action"] == "trigger":
        links = [(words, one_line(url)) for words, url in chat.links(notification)]
        found["client"] = PRODUCT
        found["client_url"] = one_line(notification.link)
        found["links"] = [{"href": url, "text": words} for words, url in links]
    return found


def render(notification: Notification, url: httpx.URL, config: Mapping[str, Any]) -> httpx.Request:
    """The request as it goes out."""
    return json_request(url, notification, event(notification, config))


def _details(notification: Notification) -> dict[str, str]:
    """What is shown as a table: the whole message and the facts."""
    found = {"Message": shortened(plain.message(notification), MAX_MESSAGE)}
    found |= {name: shortened(value, MAX_SUMMARY) for name, value in facts(notification)}
    return found | {"Alert": notification.alert_id}


def _name(text: str) -> str:
    return shortened(one_line(text), MAX_NAME)
