"""Looks at the snapshots in a repository: a plan's own, or all. Reads alone, and without a lock."""

import logging
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

from rmactors.agent.job_spec import JobSpec
from rmactors.agent.own_snapshots import Identity, NotOurs, Snapshot, Sorted, plan_of, read_listing, sort_out, whose
from rmactors.agent.restic_steps import Counters, JobResult, Reads, Restic, Run
from rmactors.agent.spool import SpoolError
from rmactors.agent.verdict import JobVerdict, OutputSummary

log = logging.getLogger(__name__)

_MOST_LISTED: Final = 100


async def snapshots(restic: Restic, spec: JobSpec, counters: Counters) -> JobResult:
    """The plan's snapshots, with those that it would adopt; all of the repository where no plan was named."""
    if spec.identity is None:
        every = await _ask(restic, *spec.arguments)
        return every.outcome() if isinstance(every, Run) else _shown(every)
    found = await listed(restic, spec.identity, counters)
    if isinstance(found, Run):
        return found.outcome()
    return _shown(sorted((*found.own, *found.adoptable), key=lambda one: one.time), spec.identity.plan)


async def listed(restic: Reads, identity: Identity, counters: Counters) -> Sorted | Run:
    """The plan's snapshots as they are now. A Run if they cannot be listed, whose verdict says why."""
    adopted = await adoption_is_over(identity, counters)
    found: list[Snapshot] = []
    for selection in (identity.selection,) if adopted else (identity.selection, identity.same_paths):
        answer = await _ask(restic, "snapshots", "--json", "--no-lock", *selection)
        if isinstance(answer, Run):
            return answer
        found += answer
    return sort_out(identity, found, adopted=adopted)


async def named(restic: Restic, spec: JobSpec, *wanted: str) -> list[str] | Run:
    """The full ids of snapshots that the server named. A Run if one of them is not there, or is of another host."""
    answer = await _ask(restic, "snapshots", "--json", "--no-lock", *wanted)
    if isinstance(answer, Run):
        return answer
    others = spec.repository.snapshots_of_other_hosts
    try:
        return [whose(answer, one, spec.host, anybodys=others) for one in wanted]
    except NotOurs as error:
        return Run(0, OutputSummary(), JobVerdict("failed", "refused", str(error)))


async def adoption_is_over(identity: Identity, counters: Counters) -> bool:
    """If that cannot be known, nothing is adopted: the safe side."""
    try:
        return await counters.number(identity.adoption) > 0
    except SpoolError as error:
        log.error("whether plan %s has adopted its older snapshots cannot be read: %s", identity.plan, error)
        return True


async def _ask(restic: Reads, *arguments: str) -> list[Snapshot] | Run:
    run = await restic.ask(*arguments)
    if run.verdict.status != "succeeded":
        return run
    try:
        return read_listing(run.answer)
    except ValueError as error:
        words = f"restic's list of snapshots cannot be read: {error}"
        return Run(run.code, run.summary, JobVerdict("failed", "error", words))


def _shown(found: Sequence[Snapshot], plan: str | None = None) -> JobResult:
    """The newest of them as the job's numbers. A snapshot that is still to be adopted counts as the plan's."""
    entries: list[dict[str, Any]] = [
        {
            "id": one.id[:8],
            "time": one.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "host": one.host[:200],
            "plan": plan or (plan_of(one.tags) or "")[:200] or None,
            "paths": [path[:120] for path in one.paths[:5]],
            **({"size": one.size} if one.size is not None else {}),
        }
        for one in found[-_MOST_LISTED:]
    ]
    stats = {"snapshots_count": len(found), "snapshots": entries}
    return JobResult(JobVerdict("succeeded", "ok", None), 0, stats)
