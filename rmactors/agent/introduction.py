"""What whoever only delivers reports says of itself and of this host."""

from rmactors import __version__
from rmactors.agent import this_host
from rmactors.agent.outbox import Lane, Outbox
from rmactors.common import wire, zones


async def of_a_reporter(instance_id: str, outbox: Outbox, lane: Lane) -> wire.Hello:
    """The hello of a connection that delivers one of the two lanes of `outbox`."""
    problem = outbox.problem
    return wire.Hello(
        protocol=wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
        instance_id=instance_id,
        purpose="report",
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
        running_jobs=await outbox.running(),
        spooled=await lane.count(),
    )
