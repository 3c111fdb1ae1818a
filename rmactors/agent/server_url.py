"""The server's URL, as a person types it and as the agent uses it. Pure."""

import ipaddress
from urllib.parse import urlsplit

from rmactors.common import wire
from rmactors.common.idn import url_to_ascii


class BadServerUrl(ValueError):
    """The server's URL cannot be used. The message says what one looks like."""


def agent_url(text: str) -> str:
    """What a person typed as the URL of the agents' WebSocket. Raises BadServerUrl.

    `http` is read as `ws`, `https` as `wss`; `/ws/agent` is added if it is missing. A server of several nodes may have
    several, separated by commas.
    """
    return ",".join(_one(part) for part in text.split(","))


def _one(text: str) -> str:
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    try:
        parts = urlsplit(url_to_ascii(text.strip()))
        port = parts.port
    except ValueError as error:
        raise BadServerUrl(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise BadServerUrl(f"{text!r} is not the URL of a server: write one like https://backup.example.org:8081")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadServerUrl("the server's URL must not carry a user name, a query or a fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/")
    if not path.endswith(wire.PATH):
        path += wire.PATH
    return f"{schemes[parts.scheme]}://{host}{f':{port}' if port is not None else ''}{path}"


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine, so that nobody is on the way; of several, whether all do."""
    return all(_names_loopback(part) for part in url.split(","))


def _names_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
