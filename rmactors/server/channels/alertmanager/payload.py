"""A notification as an alert of Alertmanager's API v2. Pure.

Fields and rules are those of https://prometheus.io/docs/alerting/latest/alerts_api/ and of the API's description,
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. An alert there is known by its labels alone:
nothing goes into them that changes while an alert is open. Its texts are annotations.

Both times are always sent. With `endsAt` alone, the alert would start in the future; without it, it would end after
five minutes. An alert here stays open until it is resolved, so a raise ends far from now, and a resolution at once.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import httpx
import msgspec

from rmactors import PRODUCT
from rmactors.common import clock
from rmactors.common.text import lines, one_line
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import USER_AGENT, make_request
from rmactors.server.channels.telling import shortened, title
from rmactors.server.messages.notifications import Notification

OPEN_FOR: Final = 366 * clock.DAY
"""An alert that nobody resolves is over by then."""
TEST_FOR: Final = 5 * clock.MINUTE
"""A test fires, and is over by itself."""
MAX_TEXT: Final = 4000
"""Characters of an annotation. Alertmanager has no limit, but what it sends its messages to has."""

_NAME: Final = re.compile(r"[a-z_]+")
_TAKEN: Final = frozenset({"alertname", "severity", "service", "host"})


def alerts_url(config: Mapping[str, Any]) -> str:
    """Where alerts are posted."""
    return f"{config['url'].rstrip('/')}/api/v2/alerts"


def alerts(notification: Notification) -> list[dict[str, Any]]:
    """The alert; of a grouped message each of its alerts."""
    members = [
        replace(
            notification, alert_id=member.alert_id, severity=member.severity, kind=member.kind, subject=member.subject,
            message=member.message, host_name=member.host_name or notification.host_name,
            link=notification.link.replace(notification.alert_id, member.alert_id),
        )
        for member in notification.group
    ]  # fmt: skip
    return [_alert(each) for each in members or [notification]]


def labels(notification: Notification) -> dict[str, str]:
    """What the alert is known by. A label of no value is none."""
    name, has_name, value = notification.subject.partition(":")
    if not has_name:
        name, value = "schedule", notification.subject
    elif not _NAME.fullmatch(name) or name in _TAKEN:
        name, value = "subject", notification.subject
    found = {
        "alertname": notification.kind,
        "severity": notification.severity,
        "service": PRODUCT,
        notification.about.lower(): notification.host_name,
        name: value,
    }
    return {name: one_line(value) for name, value in found.items() if value}


def render(notification: Notification, url: httpx.URL, config: Mapping[str, Any]) -> httpx.Request:
    """The request as it goes out."""
    headers = [("User-Agent", USER_AGENT), ("Content-Type", "application/json")]
    if authorization := _authorization(config):
        headers.append(("Authorization", authorization))
    return make_request(url, headers, msgspec.json.encode(alerts(notification)))


def _alert(notification: Notification) -> dict[str, Any]:
    starts_at = notification.raised_at
    ends_at = notification.occurred_at
    if notification.event == "alert.test":
        ends_at += TEST_FOR
    elif notification.event != "alert.resolved":
        ends_at += OPEN_FOR
    found = {
        "labels": labels(notification),
        "annotations": _annotations(notification),
        "startsAt": clock.to_rfc3339(starts_at),
        "endsAt": clock.to_rfc3339(max(starts_at, ends_at)),  # an end before the start is refused
    }
    if (link := _uri(notification.link)) is not None:
        found["generatorURL"] = link
    return found


def _annotations(notification: Notification) -> dict[str, str]:
    found = {
        "summary": title(notification),
        "description": shortened(lines(notification.message), MAX_TEXT),
        "alert_id": notification.alert_id,
        "link": one_line(notification.link),
        "act_link": one_line(notification.act_link),
    }
    if notification.event == "alert.acknowledged":
        found["acknowledged_by"] = one_line(notification.actor or "")
    elif notification.event == "alert.resolved":
        found["resolved_by"] = one_line(notification.actor or "")
    found["note"] = shortened(lines(notification.note or ""), MAX_TEXT)
    return {name: value for name, value in found.items() if value}


def _uri(link: str) -> str | None:
    """The link if it is a URI: one that is none mutes every alert of the request."""
    try:
        found = str(parse_url(link))
    except ValueError:
        return None
    return None if re.search(r"%(?![0-9A-Fa-f]{2})", found) else found


def _authorization(config: Mapping[str, Any]) -> str | None:
    if token := config.get("bearer_token"):
        return f"Bearer {token.strip()}"
    if (user := config.get("username")) is None:
        return None
    pair = f"{user}:{config.get('password', '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
