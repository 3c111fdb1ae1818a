"""A host that makes up plans without end, beside one that has a single failure: on a real server, killed meanwhile."""

from pathlib import Path

from harness.agents import ended, enroll_host, simulated
from harness.processes import away, running_server
from harness.sink import Sink

MOST = 5
MADE_UP = [f"made-up-{n}" for n in range(40)]


async def test_a_host_that_makes_up_plans_has_so_many_alerts_and_one_that_counts_the_others(
    tmp_path: Path, sink: Sink
) -> None:
    def told(event: str, host: str) -> set[tuple[str, str]]:
        bodies = [request.body for request in sink.told()]
        about = [body for body in bodies if (body["event"], body["host_name"]) == (event, host)]
        return {(body["kind"], body["subject"]) for body in about}

    first = {("backup_failed", f"plan:{name}") for name in MADE_UP[:MOST]} | {("too_many_alerts", "")}
    with running_server(tmp_path / "server", max_open_alerts_per_host=MOST) as server:
        await away(lambda: server.webhook(sink.url()))
        loud, quiet = await enroll_host(server, "loud"), await enroll_host(server, "quiet")
        async with simulated(server, loud, quiet) as (many, one):
            for name in MADE_UP:
                many.report(ended(name, "failed"))
            one.report(ended("home", "failed"))
            await many.settled()
            await one.settled()
        await sink.until(lambda _: told("alert.raised", "loud") == first)
        await sink.until(lambda _: told("alert.raised", "quiet") == {("backup_failed", "plan:home")})
        [crowd] = await away(lambda: server.all_items("/api/alerts?kind=too_many_alerts"))
        assert (crowd["severity"], crowd["host_name"], crowd["occurrences"]) == ("warning", "loud", 40 - MOST)
        assert crowd["message"].startswith(f"{40 - MOST} more failures of this host have no alert of their own")
        jobs = await away(lambda: server.all_items(f"/api/jobs?host_id={loud.host_id}"))
        assert len(jobs) == 40, "every report is kept"

        await away(server.kill)
        await away(server.start)
        async with simulated(server, loud) as (many,):
            many.report(ended("one-more", "failed"))
            await many.settled()
            [crowd] = await away(lambda: server.all_items("/api/alerts?kind=too_many_alerts"))
            assert crowd["message"].startswith(f"{41 - MOST} more failures"), "it counts on from what is on disk"
            for name in (*MADE_UP, "one-more"):
                many.report(ended(name, "succeeded"))
            await many.settled()
        await sink.until(lambda _: told("alert.resolved", "loud") == first)
        assert await away(lambda: server.all_items(f"/api/alerts?host_id={loud.host_id}")) == []
