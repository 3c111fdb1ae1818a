"""The two ports: free, or served by the server of this data dir."""

import json
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from rmactors.common import wire
from rmactors.common.findings import Finding
from rmactors.server.config.settings import ALL_ADDRESSES, Settings, own_address, split_address

_SECONDS = 5.0


def look(settings: Settings, server_runs: bool) -> Iterator[Finding]:
    """`server_runs`: whether a server holds the data dir."""
    yield from _port(settings, settings.listen, "pages", server_runs)
    yield from _port(settings, settings.agent_listen, "agents", server_runs)


def _port(settings: Settings, address: str, what: str, server_runs: bool) -> Iterator[Finding]:
    trouble = _bind_trouble(address)
    if trouble is None:
        if server_runs:
            yield Finding(
                False, f"a server runs on this data dir, but not on {address} ({what}): has it other settings?"
            )
        else:
            yield Finding(True, f"{address} ({what}) is free")
        return
    if not server_runs:
        yield Finding(False, f"{address} ({what}) cannot be used: {trouble}")
        return
    try:
        yield from _health(settings, address) if what == "pages" else _agents(settings, address)
    except (OSError, HTTPException, ValueError) as error:
        yield Finding(False, f"what listens on {address} ({what}) is not our server, or does not answer: {error}")


def _bind_trouble(address: str) -> str | None:
    """Why nothing can listen there now; None if it could."""
    host, port = split_address(address)
    try:
        every = None if host == ALL_ADDRESSES else host
        found = socket.getaddrinfo(every, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, _, _, where in found if every is None else found[:1]:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(where)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _health(settings: Settings, address: str) -> Iterator[Finding]:
    status, body = _get(settings, address, "/healthz")
    found: dict[str, Any] = json.loads(body)
    failing = {name: state for name, state in found["checks"].items() if state != "ok"}
    if failing:
        yield Finding(False, f"the server is not well: {', '.join(f'{k}: {v}' for k, v in failing.items())}")
    else:
        yield Finding(status == 200, f"the server on {address} is well (version {found['version']})")


def _agents(settings: Settings, address: str) -> Iterator[Finding]:
    """Without a token the agents' port says 401 and nothing more."""
    status, _ = _get(settings, address, wire.PATH)
    yield Finding(status == 401, f"the agents' port {address} answers, and asks for a token (HTTP {status})")


def _get(settings: Settings, address: str, path: str) -> tuple[int, bytes]:
    host, port = split_address(own_address(address))
    if settings.tls:  # whom we ask is known by its address; whose certificate it shows is not the question here
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: HTTPConnection = HTTPSConnection(host, port, timeout=_SECONDS, context=context)
    else:
        connection = HTTPConnection(host, port, timeout=_SECONDS)
    upgrade = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    try:
        connection.request("GET", path, headers=upgrade if path == wire.PATH else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
