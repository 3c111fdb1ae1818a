"""`make ha-demo`: two nodes on a PostgreSQL with a synchronous standby; the leader is killed, and nothing is lost.

All of it are real processes on this machine, in a folder that is removed at the end.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from harness.agents import ended
from harness.nodes import Node, a_leader_and_a_standby
from harness.postgres import OLDEST, USER, programs
from harness.postgres_pair import Pair, running_pair
from harness.processes import STARTS_WITHIN, away, eventually
from harness.sink import Request, Sink, open_sink
from rmactors.simulate.agent import SimulatedAgent, enroll


@dataclass
class Story:
    """Says what happens, with the seconds since the beginning."""

    began: float = field(default_factory=time.monotonic)

    def tell(self, sentence: str) -> None:
        click.echo(f"{time.monotonic() - self.began:7.1f} s  {sentence}")


@contextmanager
def two_nodes(folder: Path, pair: Pair, lease_seconds: float) -> Iterator[tuple[Node, Node]]:
    """The first leads, the second waits."""
    place = pair.primary.new_database("rm")
    pair.primary.execute(f"GRANT pg_monitor TO {USER}")  # so that it sees how the database is replicated
    settings = {"lease_seconds": lease_seconds, "require_sync": "true"}
    with a_leader_and_a_standby(folder, place, **settings) as nodes:
        yield nodes


async def play(story: Story, folder: Path, lease_seconds: float) -> None:
    """Raises AssertionError where it does not go so."""
    story.tell("Starting a PostgreSQL, and a standby that every commit waits for.")
    with running_pair() as pair:
        story.tell("Starting two nodes, rm1 and rm2.")
        with two_nodes(folder, pair, lease_seconds) as (first, second):
            story.tell(f"rm1 leads ({first.url}). rm2 waits ({second.url}): /healthz there says 503, standby.")
            async with open_sink() as sink:
                await _with_a_host(story, first, second, sink)
    story.tell("Everything is stopped and removed.")


async def _with_a_host(story: Story, first: Node, second: Node, sink: Sink) -> None:
    first.webhook(sink.url(), name="ops")
    credential = await enroll(first.agent_url, await away(first.enrollment_token), "nas1")
    agent = SimulatedAgent(f"{first.agent_url},{second.agent_url}", credential, reconnect_seconds=0.5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        await _fails(agent, "photos")
        story.tell("The host nas1 reported that its backup photos failed, and was told that this is safe.")
        story.tell(f"Notified: {await _message(sink, 'photos')}")
        before = await _alerts(first)
        await _take_over(story, first, second)
        after = await _alerts(second)
        assert after == before, (before, after)
        story.tell(f"The alert from before is there: {', '.join(after)}")
        await _fails(agent, "documents")
        story.tell("nas1 found rm2 by itself, and reported that its backup documents failed.")
        story.tell(f"Notified: {await _message(sink, 'documents')}")
        assert len(await _alerts(second)) == len(before) + 1
        nursery.cancel_scope.cancel()
    found = (await away(partial(second.ask, "GET", "/api/nodes")))["items"]
    roles = ", ".join(f"{node['name']} {'leads' if node['leader'] else 'waits'}" for node in found)
    story.tell(f"rm1 was started again. GET /api/nodes: {roles}; replication: {found[0]['replication']}.")


async def _take_over(story: Story, first: Node, second: Node) -> None:
    token = first.token
    killed_at = time.monotonic()
    first.kill()
    story.tell("rm1 is killed (SIGKILL).")
    await away(second.wait_until_ready)
    second.use_token(token)
    story.tell(f"rm2 leads, {time.monotonic() - killed_at:.1f} s after the kill.")
    first.spawn()
    await away(lambda: first.wait(second))


async def _fails(agent: SimulatedAgent, plan: str) -> None:
    agent.report(ended(plan, error="the disk is not mounted"))
    with trio.fail_after(STARTS_WITHIN):
        await agent.settled()


async def _alerts(node: Node) -> list[str]:
    def seen() -> list[dict[str, Any]]:
        return node.all_items("/api/alerts")

    await away(lambda: eventually(lambda: seen() != [], 60, lambda: "no alert is open"))
    return sorted(f"“{alert['message']}”" for alert in await away(seen))


async def _message(sink: Sink, plan: str) -> str:
    def about(request: Request) -> bool:
        return plan in request.raw.decode()

    await sink.until(lambda seen: any(about(request) for request in seen.told()))
    body = next(request for request in sink.told() if about(request)).body
    return f"“{body['message']}”"


@click.command()
@click.option(
    "--lease-seconds", type=click.FloatRange(2, 60), default=10.0, show_default=True,
    help="Silence of the leader after which the other node takes over (RM_LEASE_SECONDS).",
)  # fmt: skip
def main(lease_seconds: float) -> None:
    """Two nodes, a PostgreSQL with a synchronous standby: the leader is killed, the other node takes over."""
    if programs() is None:
        raise click.ClickException(f"PostgreSQL {OLDEST} or newer is not there: make test-tools")
    with tempfile.TemporaryDirectory(prefix="rm-ha-") as name:
        trio.run(play, Story(), Path(name), lease_seconds)


if __name__ == "__main__":
    sys.exit(main())
