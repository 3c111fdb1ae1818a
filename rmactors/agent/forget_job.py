"""forget, from the look at what the plan owns to the count of what has really gone.

restic's own word is not enough: on a repository that deletes nothing, 0.18 lists snapshots as removed and ends with
0. So the snapshots are listed before and after, and the difference counts.
"""

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

from rmactors.agent.job_spec import JobSpec
from rmactors.agent.listing import adoption_is_over, listed
from rmactors.agent.own_snapshots import Identity, Snapshot, removal
from rmactors.agent.restic_steps import Counters, JobResult, Restic, Run, outcome
from rmactors.agent.spool import SpoolError
from rmactors.agent.verdict import LONGEST_ERROR, JobVerdict, OutputSummary

log = logging.getLogger(__name__)

_AT_ONCE: Final = 200
"""Ids in one command line."""
_REFUSED: Final = re.compile(
    r"\b403\b|forbidden|unable to remove|permission denied|operation not permitted|read-only|access ?denied|"
    r"not authorized|method not allowed|\b405\b|append.only",
    re.IGNORECASE,
)
"""A backend that does not delete."""


async def forget(restic: Restic, spec: JobSpec, counters: Counters) -> JobResult:
    """Apply the plan's policy to its own snapshots, all of them together, and to no others."""
    assert spec.identity is not None
    stats: dict[str, Any] = {}
    trouble = await _adopt(restic, spec.identity, counters, stats)
    if trouble is not None:
        return trouble
    before = await listed(restic, spec.identity, counters)
    if isinstance(before, Run):
        return before.outcome(stats)
    done = await restic.run("forget", *spec.arguments, answer=True)  # a line of many megabytes, if there are many
    if done.verdict.status == "cancelled" or done.verdict.reason == "timeout":
        return done.outcome(stats)  # nothing more can be asked: the job is stopped
    after = await listed(restic, spec.identity, counters)
    if isinstance(after, Run):
        if done.verdict.status != "succeeded":
            return done.outcome(stats)
        words = f"what was removed cannot be verified: {after.verdict.error}"
        return JobResult(JobVerdict("failed", after.verdict.reason, words), after.code, stats)
    gone = {one.id for one in before.own} - {one.id for one in after.own}
    stats |= {"snapshots_kept": len(after.own), "snapshots_removed": len(gone)}
    policy = removal(done.answer)
    left = len(policy - gone) if policy is not None else 0
    verdict = judge_forget(done, gone=len(gone), left=left)
    if verdict.status != "succeeded" or not spec.prune_after or not gone:
        return outcome(verdict, done.code, stats)
    pruned = await restic.run("prune", "prune")
    stats |= {"pruned": True, **pruned.summary.counts} if pruned.verdict.status == "succeeded" else {}
    return pruned.outcome(stats)


async def _adopt(restic: Restic, identity: Identity, counters: Counters, stats: dict[str, Any]) -> JobResult | None:
    """Give the plan's tag to its snapshots from before there was one, once. What went wrong, or None.

    restic writes a tagged copy and then removes the snapshot. If it cannot remove, the copy is one too many: so the
    first goes alone, and what is left over of it is tried again before anything else is adopted.
    """
    if await adoption_is_over(identity, counters):
        return None
    found = await listed(restic, identity, counters)
    if isinstance(found, Run):
        return found.outcome()
    if found.left_over:
        run = await restic.run("forget", "forget", *(one.id for one in found.left_over[:_AT_ONCE]))
        trouble = await _not_gone(restic, identity, counters, run, found.left_over[:_AT_ONCE])
        if trouble is not None:
            return trouble
    adopted = 0
    for part in _parts(found.adoptable):
        run = await restic.run("forget", "tag", "--add", identity.tag, *(one.id for one in part))
        trouble = await _not_gone(restic, identity, counters, run, part)
        if trouble is not None:
            return trouble
        adopted += len(part)
    stats["snapshots_adopted"] = adopted
    if adopted:
        restic.tell(f"{_count(adopted)} from before carr{'y' if adopted > 1 else 'ies'} the plan's tag now")
    if found.not_ours:
        restic.tell(_why_not_ours(identity, found.not_ours))
    try:
        await counters.count_on(identity.adoption)
    except SpoolError as error:
        log.error("that plan %s has adopted its older snapshots cannot be kept: %s", identity.plan, error)
    return None


async def _not_gone(
    restic: Restic, identity: Identity, counters: Counters, run: Run, those: Sequence[Snapshot]
) -> JobResult | None:
    """What it means that some of those are still there. None if all have gone."""
    if run.verdict.status == "cancelled" or run.verdict.reason == "timeout":
        return run.outcome()
    now = await listed(restic, identity, counters)
    if isinstance(now, Run):
        return now.outcome()
    still = {one.id for one in those} & {one.id for one in (*now.adoptable, *now.left_over, *now.not_ours)}
    if not still:
        return None
    if run.verdict.status != "succeeded" and not _refusal(run.summary):
        return run.outcome({"snapshots_removed": 0})
    words = f"older snapshots cannot be adopted, and nothing was removed: {_why(run.summary)}"
    return JobResult(JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR]), run.code, {"snapshots_removed": 0})


def _parts(snapshots: Sequence[Snapshot]) -> list[Sequence[Snapshot]]:
    """The oldest alone, to see whether it can be done; the rest in command lines that are not too long."""
    rest = snapshots[1:]
    return [part for part in (snapshots[:1], *(rest[i : i + _AT_ONCE] for i in range(0, len(rest), _AT_ONCE))) if part]


def judge_forget(done: Run, *, gone: int, left: int) -> JobVerdict:
    """`gone` snapshots are no more, `left` are still there although the policy says that they go."""
    if not left:
        if done.verdict.status != "succeeded" and not gone and _refusal(done.summary):
            return JobVerdict("failed", "nothing_done", f"nothing was removed: {_why(done.summary)}"[:LONGEST_ERROR])
        return done.verdict
    if not gone:
        words = f"nothing was removed although {_count(left)} should go: {_why(done.summary)}"
        return JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR])
    words = f"{_count(gone)} removed, {left} could not be: {_why(done.summary)}"
    return JobVerdict("partial", "partial", words[:LONGEST_ERROR])


def _why(summary: OutputSummary) -> str:
    refusal = _refusal(summary)
    if refusal is None:
        return "restic does not say why"
    return f"this repository lets this host delete nothing (append-only, or a key without the right to): {refusal}"


def _refusal(summary: OutputSummary) -> str | None:
    """The line in which the backend says that it does not delete."""
    said = summary.exit_error.message.splitlines() if summary.exit_error else []
    lines = [line for line in (*summary.last_stderr, *said) if _REFUSED.search(line)]
    return min(lines, key=lambda line: "403" not in line, default=None)


def _why_not_ours(identity: Identity, those: Sequence[Snapshot]) -> str:
    if identity.twins:
        reason = f"plan {', '.join(identity.twins)} has the same sources, so nobody knows whose they are"
    else:
        reason = "they have other tags than the plan, or are newer than its first own backup"
    verb = "is" if len(those) == 1 else "are"
    return f"{_count(len(those))} of the same paths {verb} left alone: {reason}; see `restic tag --add {identity.tag}`"


def _count(number: int) -> str:
    return f"{number} snapshot{'s' * (number != 1)}"
