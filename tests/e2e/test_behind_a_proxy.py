"""Whom a real server takes a request to come from: the peer, and behind a trusted proxy the client that it names.

Logins go out all at once: while they are checked one after the other, a slow machine forgives some of them.
"""

from collections.abc import Iterator, Sequence

import httpx
import pytest
import trio

from harness.agents import raw_link
from harness.processes import Server, away, running_server
from rmactors.common import ids, wire

PASSWORD = "a long enough phrase"


async def log_in_at_once(server: Server, forwarded: Sequence[str]) -> list[httpx.Response]:
    """A wrong login for each `X-Forwarded-For`, every one on another account. `|` stands for a new line of it."""
    answers = []

    async def one(client: httpx.AsyncClient, address: str) -> None:
        form = {"username": f"nobody-{ids.new()}", "password": PASSWORD}
        headers = [("X-Forwarded-For", line) for line in address.split("|")]
        answers.append(await client.post("/login", data=form, headers=headers))

    client = httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60)
    async with client, trio.open_nursery() as nursery:
        for address in forwarded:
            nursery.start_soon(one, client, address)
    return answers


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every test has addresses of its own: what they count as stays."""
    folder = tmp_path_factory.mktemp("behind")
    with running_server(folder / "server", trusted_proxies="127.0.0.0/8,10.0.0.0/8") as running:
        running.admin("create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PASSWORD)
        yield running


async def test_a_stranger_cannot_choose_the_address_by_which_they_are_throttled(server: Server) -> None:
    answers = await log_in_at_once(server, [f"192.0.2.{n}" for n in range(13)])
    assert sorted(answer.status_code for answer in answers) == [422] * 10 + [429] * 3
    waits = [int(answer.headers["Retry-After"]) for answer in answers if answer.status_code == 429]
    assert all(1 <= wait <= 12 for wait in waits)


async def test_a_trusted_proxy_names_whom_to_throttle_and_a_client_cannot(behind: Server) -> None:
    """What the client wrote stands left of what the proxies added."""
    plain, forged = ["192.0.2.1"] * 6, [f"203.0.113.{n}, 192.0.2.1, 10.0.0.7" for n in range(6)]
    answers = await log_in_at_once(behind, [*plain, *forged, "192.0.2.2"])
    assert sorted(answer.status_code for answer in answers) == [422] * 11 + [429] * 2


async def test_a_line_of_its_own_that_a_client_forges_does_not_hide_it(behind: Server) -> None:
    """HAProxy's `option forwardfor` adds a line after that of the client."""
    answers = await log_in_at_once(behind, [f"203.0.113.{n}|192.0.2.4" for n in range(13)])
    assert sorted(answer.status_code for answer in answers) == [422] * 10 + [429] * 3


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["{own}, rebound.example"], 421), (["{own}", "rebound.example"], 421), (["rebound.example, {own}"], 200),
        (["rebound.example", "{own}"], 200), (["{own}"], 200), (["rebound.example"], 421), ([], 200),
    ],
)  # fmt: skip
async def test_the_host_that_counts_is_the_one_that_the_nearest_proxy_names(
    behind: Server, lines: list[str], status: int
) -> None:
    own = behind.url.removeprefix("http://")
    headers = [("X-Forwarded-Host", line.format(own=own)) for line in lines]
    async with httpx.AsyncClient(base_url=behind.url, trust_env=False, timeout=120) as client:
        assert (await client.get("/login", headers=headers)).status_code == status


async def test_a_trusted_proxy_names_whom_the_audit_shows(behind: Server) -> None:
    def browser() -> httpx.Response:
        form, headers = {"username": "anna", "password": PASSWORD}, {"X-Forwarded-For": "192.0.2.5"}
        return httpx.post(f"{behind.url}/login", data=form, headers=headers, trust_env=False, timeout=120)

    assert (await away(browser)).status_code == 303
    name = f"nas-{ids.new()}"
    token = await away(behind.enrollment_token)
    headers = ((b"X-Forwarded-For", b"203.0.113.9, 192.0.2.3"),)
    async with raw_link(behind, token, headers=headers) as link:
        await link.send(wire.Enroll(name=name, hostname="h", os="linux", arch="x86_64", agent_version="0"))
        assert (await link.receive())["type"] == "enrolled"
    audit = await away(lambda: behind.all_items("/api/audit"))
    addresses = {(row["action"], row["actor"]): row["address"] for row in audit}
    assert addresses["user.login", "anna"] == "192.0.2.5"
    assert addresses["host.enroll", name] == "192.0.2.3"
