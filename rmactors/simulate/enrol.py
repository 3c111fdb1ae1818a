"""How a simulated fleet gets its credentials: an admin's API token makes one enrolment token per host, each is
traded for a credential over the agents' port as a real agent does. They are kept in a file of their own, so that
the next run brings the same hosts back instead of enrolling as many again.
"""

import json
import os
import ssl
from collections.abc import Iterable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trio

from rmactors.agent.connection import LinkDown
from rmactors.simulate.agent import Credential, EnrolmentRefused, enroll

AT_ONCE = 16
"""Enrolments that are under way at the same time."""


class ApiError(Exception):
    """The server's API refused or could not be reached. The message says what was asked and what came back."""


class Api:
    """The server's API under one token, over one connection that is kept open. For one thread at a time."""

    def __init__(self, base_url: str, token: str) -> None:
        parts = urlsplit(base_url)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = (
            HTTPSConnection(parts.netloc, timeout=30, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(parts.netloc, timeout=30)
        )
        self.base_url = base_url

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request, blocking. Returns the decoded JSON, None for an empty answer. Raises ApiError."""
        sent = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, self._prefix + path, sent, self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise ApiError(f"{method} {self.base_url}{path}: {error or type(error).__name__}") from None
        if response.status >= 300:
            raise ApiError(f"{method} {path}: HTTP {response.status} {text[:200].decode(errors='replace')}")
        return json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


def load_credentials(file: Path) -> list[Credential]:
    """The hosts of an earlier run; none where the file is not there. Raises ValueError for a file that is no such."""
    if not file.exists():
        return []
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        return [Credential(row["host_id"], row["name"], row["token"]) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is not a file of simulated hosts; name another one") from None


def append_credentials(file: Path, credentials: Iterable[Credential]) -> None:
    """Keep them, readable by nobody else."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        for item in credentials:
            row = {"host_id": item.host_id, "name": item.name, "token": item.token}
            stream.write(json.dumps(row) + "\n")


async def enroll_many(api_url: str, api_token: str, url: str, names: list[str]) -> list[Credential]:
    """Enrol hosts under these names, in their order. Raises what the first refusal raised: ApiError,
    EnrolmentRefused or LinkDown."""
    made: dict[str, Credential] = {}
    problems: list[ApiError | EnrolmentRefused | LinkDown] = []
    waiting = iter(names)
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def enrol_from_list() -> None:
        with closing(Api(api_url, api_token)) as api:
            for name in waiting:
                if problems:
                    return
                try:
                    answer = await trio.to_thread.run_sync(
                        api.call, "POST", "/api/enrollment-tokens", {"ttl_minutes": 10}, limiter=limiter
                    )
                    made[name] = await enroll(url, answer["token"], name)
                except (ApiError, EnrolmentRefused, LinkDown) as problem:
                    problems.append(problem)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(enrol_from_list)
    if problems:
        raise problems[0]
    return [made[name] for name in names]


async def remove_many(api_url: str, api_token: str, credentials: list[Credential]) -> None:
    """Delete the hosts again. Raises ApiError for the first that fails."""
    with closing(Api(api_url, api_token)) as api:
        for item in credentials:
            await trio.to_thread.run_sync(api.call, "DELETE", f"/api/hosts/{item.host_id}")
