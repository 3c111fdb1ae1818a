"""restore, up to the count of what really lies in its folder. restic ends with 0 also if it found nothing, and counts
as restored what a full disk did not take.
"""

import errno
import os
from typing import Any, Final

import trio

from rmactors.agent.job_spec import JobSpec
from rmactors.agent.listing import listed, named
from rmactors.agent.own_snapshots import by_id
from rmactors.agent.restic_steps import Counters, JobResult, Restic, Run, outcome
from rmactors.agent.restore_folder import Place, make_folder
from rmactors.agent.restore_targets import TargetRefused
from rmactors.agent.restored import Restored, judge_restore, look
from rmactors.agent.verdict import JobVerdict

_HAS_SPARSE: Final = (0, 15)


async def restore(restic: Restic, spec: JobSpec, counters: Counters) -> JobResult:
    """Restore into the folder that is meant, which is made for it; if nothing comes, it is gone afterwards."""
    assert spec.target is not None
    found = await snapshot_of(restic, spec, counters)
    if isinstance(found, JobVerdict):
        return JobResult(found, None, {"files_restored": 0})
    try:
        place = await trio.to_thread.run_sync(make_folder, spec.target)
    except TargetRefused as refused:
        return JobResult(JobVerdict("failed", "refused", str(refused)), None, {"files_restored": 0})
    except OSError as error:
        return JobResult(JobVerdict("failed", "error", _no_folder(spec, error)), None, {"files_restored": 0})
    try:
        return await _into(place, restic, spec, found)
    finally:
        place.release()


async def _into(place: Place, restic: Restic, spec: JobSpec, snapshot: str) -> JobResult:
    restic.tell(f"restoring snapshot {snapshot[:8]} into {place.into}")
    sparse = ("--sparse",) if await restic.version() >= _HAS_SPARSE else ()
    done = await restic.run("restore", *spec.arguments, *sparse, "--target", place.into, snapshot)
    there = await trio.to_thread.run_sync(look, place.into, spec.include, done.summary.unrestored)
    stats = _numbers(done, there) | {"snapshot_id": snapshot}
    if there.files:
        stats["restored_into"] = place.into
    else:
        await trio.to_thread.run_sync(_remove_empty, place)
    return outcome(judge_restore(done, spec.include, there, place.into), done.code, stats)


def _no_folder(spec: JobSpec, error: OSError) -> str:
    assert spec.target is not None
    words = f"cannot make a folder in {spec.target.path}: {error.strerror or error}"
    if error.errno == errno.EROFS:  # so it is for the service where this folder was not in the file, or not there
        words += "; where systemd runs the agent, `rmactors agent install` once more lets it write there"
    return words


async def snapshot_of(restic: Restic, spec: JobSpec, counters: Counters) -> str | JobVerdict:
    """The full id of the snapshot that is meant. A verdict where there is none, or it is not this host's."""
    assert spec.identity is not None
    found = await listed(restic, spec.identity, counters)
    if isinstance(found, Run):
        return found.verdict
    snapshot = by_id(found, spec.snapshot)
    if snapshot is None:
        words = f"plan {spec.identity.plan} has no snapshot of host {spec.identity.host} in this repository"
        return JobVerdict("failed", "nothing_done", words)
    if snapshot not in {one.id for one in (*found.own, *found.adoptable)}:
        ours = await named(restic, spec, snapshot)
        if isinstance(ours, Run):
            return ours.verdict
        (snapshot,) = ours
    return snapshot


def _numbers(done: Run, there: Restored) -> dict[str, Any]:
    """What of it is certain: restic's own counts are not, and where it was stopped any file may be incomplete."""
    stats: dict[str, Any] = {name: value for name, value in (done.summary.numbers or {}).items() if name == "errors"}
    if there.is_certain(done):
        stats |= {"files_restored": there.files - there.incomplete, "bytes_restored": there.size}
        stats |= {"files_incomplete": there.incomplete} if there.incomplete else {}
    else:
        stats |= {"files_left": there.files, "bytes_left": there.size}
    return stats | {"folders_restored": there.folders}


def _remove_empty(place: Place) -> None:
    """What was made for it, and what restic made there, as far as nothing but folders lies in it."""
    below = [at for at, _, _ in os.walk(place.into, topdown=False) if at != place.into]
    for folder in (*below, *reversed(place.made)):
        try:
            os.rmdir(folder)
        except OSError:
            continue
