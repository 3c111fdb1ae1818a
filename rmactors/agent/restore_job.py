"""restore, up to the count of what really lies in its folder. restic ends with 0 also if it found nothing."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import trio

from rmactors.agent.job_spec import JobSpec
from rmactors.agent.listing import listed, named
from rmactors.agent.own_snapshots import by_id
from rmactors.agent.restic_steps import Counters, JobResult, Restic, Run, outcome
from rmactors.agent.restore_patterns import plain
from rmactors.agent.tampering import trouble_with
from rmactors.agent.verdict import LONGEST_ERROR, JobVerdict


@dataclass(frozen=True, slots=True)
class Restored:
    """What lies below the folder: `files` is everything but folders, `size` their bytes; `missing` was named, and is
    not there."""

    files: int
    folders: int
    size: int
    missing: tuple[str, ...]


async def restore(restic: Restic, spec: JobSpec, counters: Counters) -> JobResult:
    """Restore into the work's folder, which is made for it; if nothing comes, it is gone afterwards."""
    assert spec.restore_into is not None
    assert spec.identity is not None
    found = await listed(restic, spec.identity, counters)
    if isinstance(found, Run):
        return found.outcome()
    snapshot = by_id(found, spec.snapshot)
    if snapshot is None:
        words = f"plan {spec.identity.plan} has no snapshot of host {spec.identity.host} in this repository"
        return JobResult(JobVerdict("failed", "nothing_done", words), None, {"files_restored": 0})
    if snapshot not in {one.id for one in (*found.own, *found.adoptable)}:
        ours = await named(restic, spec, snapshot)
        if isinstance(ours, Run):
            return JobResult(ours.verdict, None, {"files_restored": 0})
        (snapshot,) = ours
    above = os.path.dirname(spec.restore_into)
    if trouble := await trio.to_thread.run_sync(distrusted, above):
        return JobResult(JobVerdict("failed", "refused", trouble), None, {"files_restored": 0})
    try:
        await trio.to_thread.run_sync(make_folder, spec.restore_into)
    except OSError as error:
        words = f"cannot make {spec.restore_into}: {error.strerror or error}"
        return JobResult(JobVerdict("failed", "error", words), None, {})
    done = await restic.run("restore", *spec.arguments, snapshot)
    there = await trio.to_thread.run_sync(look, spec.restore_into, spec.include)
    stats: dict[str, Any] = {name: value for name, value in (done.summary.numbers or {}).items() if name == "errors"}
    stats |= {"snapshot_id": snapshot, "files_restored": there.files, "folders_restored": there.folders}
    stats |= {"bytes_restored": there.size}
    if done.summary.troubles:
        stats["files_unread"] = done.summary.troubles
    if there.files:
        stats["restored_into"] = spec.restore_into
    else:
        await trio.to_thread.run_sync(_remove_empty, spec.restore_into)
    return outcome(judge_restore(done.verdict, spec.include, there), done.code, stats)


def distrusted(above: str) -> str | None:
    """Anyone who can replace the new folder by a link while restic begins decides where its files land."""
    return trouble_with(above, of="restore_to", decides="where a restore lands")


def make_folder(folder: str) -> None:
    """One new folder, for its owner alone; the one above it as well, where that is the only one that is missing.

    Raises OSError if anything of that name is there already, also a link that leads nowhere: nothing is ever
    restored over what somebody has.
    """
    above = os.path.dirname(folder)
    with suppress(FileExistsError):
        os.mkdir(above, 0o700)
    os.mkdir(folder, 0o700)


def look(folder: str, include: Sequence[str]) -> Restored:
    """What was restored there. What cannot be looked at counts as not there."""
    files = folders = size = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders += 1
                        waiting.append(entry.path)
                        continue
                    files += 1
                    if entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    missing = [path for path in include if not _is_below(folder, plain(path))]
    return Restored(files, folders, size, tuple(missing))


def _is_below(folder: str, path: str) -> bool:
    """Whether `path` was restored. What lies behind a restored link does not count: that leads out of the folder."""
    at = folder
    for name in filter(None, path.split("/")):
        if os.path.islink(at):
            return False
        at = os.path.join(at, name)
    return os.path.lexists(at)


def judge_restore(verdict: JobVerdict, include: Sequence[str], there: Restored) -> JobVerdict:
    """`verdict` is restic's end, `include` what was named, `there` what has come of it."""
    if verdict.status != "succeeded":
        return verdict
    names = ", ".join(there.missing[:5]) + (f" and {len(there.missing) - 5} more" if len(there.missing) > 5 else "")
    if there.files == 0:
        if there.missing:
            words = f"nothing in the snapshot matches {names}"
        else:
            words = f"the snapshot holds no files{' there' if include else ''}, only folders"
        return JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR])
    if there.missing:
        words = f"nothing in the snapshot matches {names}; what was found is restored"
        return JobVerdict("partial", "partial", words[:LONGEST_ERROR])
    return verdict


def _remove_empty(folder: str) -> None:
    """The folder and those below it, as far as nothing but folders lies in them."""
    for at, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(at)
        except OSError:
            continue
