"""The hellos of an agent, and of a connection that only delivers reports."""

from msgspec.structs import replace

from rmactors import __version__
from rmactors.agent import this_host
from rmactors.agent.keeper import Problem
from rmactors.agent.report_queue import Lane, ReportQueue
from rmactors.common import wire, zones


def of_this_host(instance_id: str, lane: Lane, problem: Problem | None) -> wire.Hello:
    """What every hello says that delivers `lane`: the host, its clock, and a spool that cannot be written."""
    return wire.Hello(
        protocol=wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
        instance_id=instance_id,
        spool_id=lane.spool_id,
        agent_version=__version__,
        hostname=this_host.hostname(),
        os=this_host.os_name(),
        arch=this_host.arch(),
        timezone=this_host.timezone(),
        utc_now=wire.utc_now(),
        tzdata_version=zones.version() or None,
        spool_problem=problem.cause.words if problem is not None else None,
        spool_problem_since=problem.since if problem is not None else None,
    )


async def of_a_reporter(instance_id: str, queue: ReportQueue, lane: Lane) -> wire.Hello:
    """The hello of a connection that delivers one of the two lanes of `queue`."""
    problem, running = queue.problem, await queue.running()
    spooled = await lane.count()
    return replace(of_this_host(instance_id, lane, problem), purpose="report", running_jobs=running, spooled=spooled)
