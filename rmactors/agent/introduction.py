"""The hellos of an agent, of a connection that only delivers reports, and of a check."""

from msgspec.structs import replace

from rmactors import __version__
from rmactors.agent import this_host
from rmactors.agent.keeper import Problem
from rmactors.agent.report_queue import Lane, ReportQueue
from rmactors.common import ids, wire, zones


def of_this_host(instance_id: str, spool_id: str | None, problem: Problem | None) -> wire.Hello:
    """What every hello says: the host, its clock, and a spool that cannot be written. `spool_id` is that of the reports
    that follow.
    """
    return wire.Hello(
        protocol=wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
        instance_id=instance_id,
        spool_id=spool_id,
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
    hello = of_this_host(instance_id, lane.spool_id, problem)
    return replace(hello, purpose="report", running_jobs=running, spooled=await lane.count())


def of_a_check(problem: str | None) -> wire.Hello:
    """As a connection that only delivers reports: no sign of life, and no running agent is pushed aside. `problem` is
    why reports cannot be kept.
    """
    return replace(of_this_host(ids.new(), None, None), purpose="report", spool_problem=problem)
