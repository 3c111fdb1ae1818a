"""How a simulated fleet gets its credentials: an admin's API token makes one enrollment token per host, each is
traded for a credential over the agents' port as a real agent does. They are kept in a file of their own, so that
the next run brings the same hosts back instead of enrolling as many again.
"""

import json
import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import trio

from rmactors.agent.connection import LinkDown
from rmactors.client.connection import Api, ApiError
from rmactors.simulate.agent import EnrollmentRefused, SimCredential, enroll

AT_ONCE = 16
"""Enrollments at the same time."""


def load_credentials(file: Path) -> list[SimCredential]:
    """The hosts of an earlier run; none where the file is not there. Raises ValueError for a file that is no such."""
    if not file.exists():
        return []
    try:
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        return [SimCredential(row["host_id"], row["name"], row["token"]) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{file} is not a file of simulated hosts; name another one") from None


def append_credentials(file: Path, credentials: Iterable[SimCredential]) -> None:
    """Write them to a file that only its owner can read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        for item in credentials:
            row = {"host_id": item.host_id, "name": item.name, "token": item.token}
            stream.write(json.dumps(row) + "\n")


async def enroll_many(api_url: str, api_token: str, url: str, names: list[str]) -> list[SimCredential]:
    """Enroll hosts under these names, in their order. Raises what the first refusal raised: ApiError,
    EnrollmentRefused or LinkDown."""
    made: dict[str, SimCredential] = {}
    problems: list[ApiError | EnrollmentRefused | LinkDown] = []
    waiting = iter(names)
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def enroll_from_list() -> None:
        with closing(Api(api_url, api_token)) as api:
            for name in waiting:
                if problems:
                    return
                try:
                    answer = await trio.to_thread.run_sync(
                        api.call, "POST", "/api/enrollment-tokens", {"ttl_minutes": 10}, limiter=limiter
                    )
                    made[name] = await enroll(url, answer["token"], name)
                except (ApiError, EnrollmentRefused, LinkDown) as problem:
                    problems.append(problem)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(enroll_from_list)
    if problems:
        raise problems[0]
    return [made[name] for name in names]


async def remove_many(api_url: str, api_token: str, credentials: list[SimCredential]) -> None:
    """Delete the hosts again. Raises ApiError for the first that fails."""
    with closing(Api(api_url, api_token)) as api:
        for item in credentials:
            await trio.to_thread.run_sync(api.call, "DELETE", f"/api/hosts/{item.host_id}")
