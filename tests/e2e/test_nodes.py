"""Two nodes on one PostgreSQL: one leads, the other takes over, however the first one ends."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.agents import AgentProcess
from harness.nodes import Node, a_leader_and_a_standby
from harness.processes import eventually
from tests.conftest import PostgresDatabases

pytestmark = pytest.mark.usefixtures("postgres_databases")


@pytest.fixture
def nodes(tmp_path: Path, postgres_databases: PostgresDatabases) -> Iterator[tuple[Node, Node]]:
    """One that leads, one that waits."""
    place = postgres_databases.new()
    try:
        with a_leader_and_a_standby(tmp_path, place) as both:
            yield both
    finally:
        postgres_databases.give_back(place)


def test_the_other_node_says_who_leads_and_sends_browsers_there(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    status, said = second.state()
    assert (status, said["status"], said["leader"]) == (503, "standby", first.url)
    answer = httpx.get(f"{second.url}/hosts?q=a%20b", trust_env=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{first.url}/hosts?q=a%20b")
    posted = httpx.post(f"{second.url}/api/silences", json={}, trust_env=False)
    assert (posted.status_code, posted.headers["Location"]) == (307, f"{first.url}/api/silences")
    assert httpx.get(f"{second.url}/livez", trust_env=False).status_code == 200
    assert posted.headers["X-Content-Type-Options"] == "nosniff"


def test_agents_find_the_port_of_the_other_node_closed(nodes: tuple[Node, Node]) -> None:
    _, second = nodes
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{second.agent_port}/", trust_env=False)


def test_after_a_kill_the_other_node_leads_with_all_that_was_there(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    channel_id = first.webhook("http://127.0.0.1:9/", name="ops")
    token = first.token
    first.kill()
    second.wait_until_ready()
    answer = httpx.get(
        f"{second.url}/api/notifications/{channel_id}", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    assert answer.json()["name"] == "ops"
    first.spawn()
    first.wait(second)


def test_a_node_that_stops_cleanly_gives_its_lease_back(
    nodes: tuple[Node, Node], postgres_databases: PostgresDatabases
) -> None:
    first, second = nodes
    code, _ = first.stop()
    assert code == 0
    second.wait_until_ready()


def test_a_node_that_was_frozen_beyond_its_lease_ends_and_writes_nothing(nodes: tuple[Node, Node]) -> None:
    first, second = nodes
    first.pause()
    second.wait_until_ready()
    first.resume()
    assert first.ends() == 1
    assert "rmactors server: " in first.log
    assert second.state()[0] == 200
    first.spawn()
    first.wait(second)


def test_an_agent_that_knows_both_addresses_reports_to_the_one_that_leads(
    nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    """Nothing in its files changes."""
    first, second = nodes
    agent = AgentProcess(first, tmp_path / "agent", "nas", others=[second])
    try:
        host_id = agent.enroll()
        agent.start(host_id)
        credential = next((agent.folder / "state").glob("*credential*"))
        kept = credential.read_bytes()
        first.kill()
        second.wait_until_ready()
        agent.server = second
        eventually(
            lambda: second.ask("GET", f"/api/hosts/{host_id}")["status"] == "online", 120,
            lambda: f"the agent is not back\n{agent.log_file.read_text()[-4000:]}",
        )  # fmt: skip
        assert agent.run_backup(host_id)["status"] == "succeeded"
        assert credential.read_bytes() == kept
    finally:
        agent.end()
