"""A channel and a real ntfy that allows few requests: all arrives, with little more than one request a message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.office import Office, raising
from tests.channels.ntfyservers import VERSIONS, Ntfy, ntfy_server

BURST, MESSAGES = 6, 14


@pytest.fixture(params=list(VERSIONS))
def ntfy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ntfy]:
    limits = {"visitor_request_limit_burst": BURST}
    folder = tmp_path / "ntfy"
    folder.mkdir()
    with ntfy_server(request.param, folder, visitor_request_limit_replenish="1s", **limits) as server:
        yield server


async def test_a_server_that_allows_few_requests_is_not_flooded(office: Office, ntfy: Ntfy) -> None:
    host = office.works.ledger.host()
    await office.save_config({"server_url": ntfy.url, "topic": "backups"}, kind="ntfy")
    await office.works.commit(*(raising(host, f"s{n}") for n in range(MESSAGES)))
    await office.until_done()
    assert office.states() == ["delivered"] * MESSAGES
    statuses = [status for (status,) in office.works.ledger.rows("SELECT status_code FROM notification_log")]
    assert statuses.count(200) == MESSAGES
    assert 429 in statuses
    # What was in flight when it first said no, and then about one in three; a machine that stands still asks less.
    assert statuses.count(429) <= (MESSAGES - BURST) + 8
