"""The real agent with nothing to do: what it costs the host that it is on."""

import time
from collections.abc import Callable

import trio

from bench.figures import Figure
from bench.measures import Scale
from bench.process import cpu_seconds, own_memory_kib, resident_kib
from harness.agents import AgentProcess
from harness.processes import Server, away


async def rest(server: Server, scale: Scale, report: Callable[[Figure], None]) -> None:
    """Enrolled, connected, a plan and a hundred schedules, after a backup."""
    agent = AgentProcess(server, server.folder.parent / "nas", "nas")
    host_id = await away(agent.enroll)
    schedule = {"kind": "backup", "cron": "0 3 * * *", "params": {"plan": "home"}}
    for number in range(scale.schedules):
        body = {**schedule, "name": f"nightly-{number}"}
        await away(lambda body=body: server.ask("POST", f"/api/hosts/{host_id}/schedules", body))
    try:
        await away(lambda: agent.start(host_id))
        await away(lambda: agent.run_backup(host_id))
        cpu, began = cpu_seconds(agent.pid), time.monotonic()
        await trio.sleep(scale.agent_seconds)
        cpu, seconds = cpu_seconds(agent.pid) - cpu, time.monotonic() - began
        note = f"resident, {scale.schedules} schedules, after a backup"
        report(Figure("memory of the agent", resident_kib(agent.pid) / 1024, "MiB", 40, note=note))
        own = own_memory_kib(agent.pid) / 1024
        report(Figure("… of it its own", own, "MiB", note="anonymous; the rest are pages of files"))
        note = f"{cpu:.2f} s in {seconds:.0f} s, heartbeats included"
        report(Figure("CPU of an idle agent", cpu / seconds * 100, "% of a core", 1.0, 0.1, note=note))
    finally:
        agent.end()
