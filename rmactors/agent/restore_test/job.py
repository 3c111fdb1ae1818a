"""restore_test: a random sample of the plan's newest snapshot is restored, compared, and removed.

What restic reports is believed where it says that data is gone, and looked at again first: another restic may prune
meanwhile. What lies on the disk is counted here, and compared with the source where that is still as it was.
"""

import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from random import Random
from typing import Any, Final

import trio

from rmactors.agent.job_spec import JobSpec
from rmactors.agent.listing import listed
from rmactors.agent.output_summary import OutputSummary
from rmactors.agent.own_snapshots import Snapshot, newest
from rmactors.agent.process import Stop
from rmactors.agent.restic_calls import ResticCalls
from rmactors.agent.restic_steps import Counters, JobResult, Run, outcome
from rmactors.agent.restore_patterns import pattern
from rmactors.agent.restore_test import wording
from rmactors.agent.restore_test.comparing import RestoredUnreadable, Seen, look
from rmactors.agent.restore_test.folder import NoFolder, PrivateFolders, empty, files_in, used
from rmactors.agent.restore_test.listed import Listing
from rmactors.agent.restore_test.sampling import Entry, Sampler
from rmactors.agent.restore_test.troubles import Troubles, troubles_of
from rmactors.agent.verdict import JobVerdict
from rmactors.common.disk import LEAST_FREE
from rmactors.common.race import race

log = logging.getLogger(__name__)

SHARE: Final = 4
"""At most one part in so many of what is free on the disk is used, beyond what is left alone anyway."""
LOOK_SECONDS: Final = 0.1
"""Between two looks at what a restore has used of the disk."""
AGAIN_SECONDS: Final = 1.0
"""Before a source that differs is looked at once more."""
STALLED_SECONDS: Final = 60.0
"""A source that gives nothing for so long, on a network that is gone say, is not waited for."""
_SLACK: Final = 8 << 20
_SLACK_OF_FILE: Final = 64 << 10
"""Bytes beyond the files' own: folders, and the rest of blocks."""
_LONGEST_CALL: Final = 96 << 10
"""Bytes of paths in one call of restic: the system takes 128 KiB in one word, and 2 MiB in all."""
_EXCLUDES_XATTR: Final = (0, 18)
_ITS_WORD: Final = {"locked", "wrong_password", "no_repository", "cancelled", "timeout", "terminated", "refused"}
"""Ends in which restic did not come to the data, and what it said about single files says nothing."""


async def restore_test(
    restic: ResticCalls, spec: JobSpec, counters: Counters, folders: PrivateFolders, job_id: str, stop: Stop
) -> JobResult:
    """One test. Its folder is gone afterwards, also where this is cancelled."""
    result, tested = await _of_newest(restic, spec, counters, folders, job_id, stop)
    if tested is None or (result.verdict.reason != "corrupt" and "files_failed" not in result.stats):
        return result
    assert spec.identity is not None
    found = await listed(restic, spec.identity, counters)
    if isinstance(found, Run) or tested in {one.id for one in (*found.own, *found.adoptable)}:
        return result
    restic.tell(f"snapshot {tested[:8]} was removed meanwhile: testing the one that is the newest now")
    result, _ = await _of_newest(restic, spec, counters, folders, job_id, stop)
    return result


async def _of_newest(
    restic: ResticCalls, spec: JobSpec, counters: Counters, folders: PrivateFolders, job_id: str, stop: Stop
) -> tuple[JobResult, str | None]:
    """And the id of the snapshot that was tested."""
    assert spec.identity is not None
    found = await listed(restic, spec.identity, counters)
    if isinstance(found, Run):
        return found.outcome(), None
    snapshot = newest(found)
    if snapshot is None:
        words = f"plan {spec.identity.plan} has no snapshot of host {spec.identity.host} in this repository"
        return JobResult(JobVerdict("failed", "nothing_done", words), None, {"files_tested": 0}), None
    try:
        folder = await trio.to_thread.run_sync(folders.make, job_id)
    except NoFolder as error:
        return JobResult(JobVerdict("failed", "error", str(error)), None, {"files_tested": 0}), None
    try:
        return await _Test(restic, spec, snapshot, folder, stop).run(), snapshot.id
    finally:
        with trio.CancelScope(shield=True):
            if left := await trio.to_thread.run_sync(folders.remove, job_id):
                log.error("the folder of a restore test cannot be removed: %s", left)
                restic.tell(f"{left} cannot be removed; the agent tries again when it starts")


class _Test:
    """Of one snapshot."""

    def __init__(self, restic: ResticCalls, spec: JobSpec, snapshot: Snapshot, folder: str, stop: Stop) -> None:
        self._restic = restic
        self._spec = spec
        self._snapshot = snapshot
        self._folder = folder
        self._files = files_in(folder)
        self._stop = stop
        self._began = int(snapshot.time.timestamp()) * 10**9
        self._stats: dict[str, Any] = {
            "snapshot_id": snapshot.id,
            "snapshot_time": snapshot.time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "files_tested": 0, "bytes_tested": 0, "compared_with_source": 0,
        }  # fmt: skip

    async def run(self) -> JobResult:
        most = min(self._spec.sample.bytes, (await self._free() - LEAST_FREE) // SHARE)
        if most <= 0:
            words = wording.no_room(self._folder, await self._free())
            return JobResult(JobVerdict("failed", "error", words), None, self._stats)
        sampler = Sampler(self._spec.sample.files, most, self._began, Random(secrets.randbits(64)))  # noqa: S311
        listing = Listing(sampler.take)
        done = await self._restic.read(listing.feed, "ls", "--json", "--no-lock", self._snapshot.id)
        if done.verdict.status != "succeeded":
            return done.outcome(self._stats)
        self._stats |= {"files_listed": sampler.files + listing.unnamed}
        if listing.unnamed:
            self._stats["files_left_out"] = listing.unnamed
        if sampler.too_large:
            self._stats["files_too_large"] = sampler.too_large
        sample = sampler.draw()
        if not sample:
            words = wording.nothing_to_test(self._snapshot.id, sampler, listing.unnamed, most)
            return JobResult(JobVerdict("failed", "nothing_done", words), done.code, self._stats)
        self._stats |= {"files_tested": len(sample), "bytes_tested": sum(entry.size for entry in sample)}
        self._restic.tell(wording.begins(sample, sampler.files, self._snapshot.id))
        return await self._test(sample)

    async def _test(self, sample: list[Entry]) -> JobResult:
        restored = await self._restore(sample)
        if restored.is_in_doubt:
            self._restic.tell("some of it did not come; looking again, for another restic may have pruned meanwhile")
            await trio.to_thread.run_sync(empty, self._folder)
            restored = await self._restore(sample)
        done, bad = restored.run, restored.bad
        if restored.has_failed:
            if bad:
                self._stats["files_failed"] = len(bad)
            else:
                self._stats |= {"files_tested": 0, "bytes_tested": 0}
            verdict = done.verdict if restored.is_restics_word else wording.not_restored(done, bad, len(sample))
            return outcome(verdict, done.code, self._stats)
        different = await self._compare(sample)
        if different is None:
            return JobResult(self._restic.stopped(OutputSummary()), done.code, self._stats)
        if isinstance(different, str):
            return JobResult(JobVerdict("failed", "error", different), done.code, self._stats)
        if different:
            self._stats["files_failed"] = len(different)
            return JobResult(wording.differing(different, len(sample)), done.code, self._stats)
        self._restic.tell(wording.passed(self._stats))
        warning = wording.metadata_warning(restored.metadata) if restored.metadata else None
        return outcome(JobVerdict("succeeded", "ok", None, warning), done.code, self._stats)

    async def _restore(self, sample: list[Entry]) -> "_Restored":
        flags = ["--no-cache", "restore", "--json", "--no-lock", "--verify", "--target", self._files]
        if await self._restic.version() >= _EXCLUDES_XATTR:
            flags += ["--exclude-xattr", "*"]  # the place may take none
        parts = []
        for part in _parts(sample):
            includes = [f"--include={pattern(entry.path)}" for entry in part]
            call = partial(self._restic.run, "restore_test", *flags, *includes, self._snapshot.id)
            done = await self._within_limits(call, part)
            found = troubles_of(done.summary, part, self._files)
            bad = dict(found.files)
            if done.verdict.status == "succeeded" or bad or found.metadata:
                missing = await trio.to_thread.run_sync(self._missing, part)
                bad |= {path: why for path, why in missing.items() if path not in bad}
            parts.append(_Restored(_with_damage(done, found), bad, found.metadata, found.complete))
            if parts[-1].is_restics_word:
                return parts[-1]
        return _together(parts)

    async def _within_limits(self, call: "partial[Any]", part: list[Entry]) -> Run:
        """Runs restic until it uses more of the disk than it should."""
        before = await trio.to_thread.run_sync(used, self._folder)
        most = before + sum(entry.size for entry in part) + _SLACK + _SLACK_OF_FILE * len(part)
        trouble: list[JobVerdict] = []

        async def watch() -> None:
            while not trouble:
                await trio.sleep(LOOK_SECONDS)
                if await trio.to_thread.run_sync(used, self._folder) > most:
                    trouble.append(JobVerdict("failed", "corrupt", wording.sizes_lie(part, self._snapshot.id)))
                elif await self._free() < LEAST_FREE // 2:
                    words = wording.no_room(self._folder, await self._free())
                    trouble.append(JobVerdict("failed", "error", words))

        done: Run | None = await race(call, watch)
        if done is None:
            return _Stopped(-2, OutputSummary(), trouble[0])
        return done

    def _missing(self, sample: Sequence[Entry]) -> dict[str, str]:
        """Why, of each file that is not there as it should be."""
        found = {}
        for entry in sample:
            try:
                at = os.lstat(self._files + entry.path)
            except OSError as error:
                found[entry.path] = f"it is not there ({(error.strerror or '').lower()})"
                continue
            if not stat.S_ISREG(at.st_mode) or at.st_size != entry.size:
                found[entry.path] = f"it has {at.st_size} bytes in place of {entry.size}"
        return found

    async def _compare(self, sample: list[Entry]) -> list[Entry] | str | None:
        """Those that differ from their sources, which were looked at twice. None if the job is to stop; words if what
        was restored cannot be read."""
        looked = await self._look_at(sample)
        if looked is None or isinstance(looked, str):
            return looked
        doubtful = [entry for entry in sample if looked.get(entry.path) is Seen.DIFFERENT]
        if doubtful:
            with trio.move_on_after(AGAIN_SECONDS):
                await self._stop.wait()
            again = await self._look_at(doubtful)
            if again is None or isinstance(again, str):
                return again
            looked |= {entry.path: again.get(entry.path, Seen.UNREADABLE) for entry in doubtful}
        counts = {seen: sum(one is seen for one in looked.values()) for seen in Seen}
        self._stats["compared_with_source"] = counts[Seen.EQUAL] + counts[Seen.DIFFERENT]
        if counts[Seen.CHANGED]:
            self._stats["source_changed"] = counts[Seen.CHANGED]
        if unread := len(sample) - sum(counts.values()) + counts[Seen.UNREADABLE]:
            self._stats["source_unreadable"] = unread
        return [entry for entry in sample if looked.get(entry.path) is Seen.DIFFERENT]

    async def _look_at(self, sample: list[Entry]) -> dict[str, Seen] | str | None:
        """What each came to; those behind a source that hangs are left out."""
        looked: dict[str, Seen] = {}
        ended: list[str | None] = []
        moved, over = time.monotonic(), False

        def move_on() -> None:
            nonlocal moved
            if over:
                raise OSError("nobody waits for it")
            moved = time.monotonic()

        def look_at_all() -> str | None:
            for entry in sample:
                try:
                    looked[entry.path] = look(entry, self._files + entry.path, self._began, move_on)
                except RestoredUnreadable as error:
                    return wording.unreadable(entry.path, str(error))
            return None

        async def all_of_them() -> None:
            ended.append(await trio.to_thread.run_sync(look_at_all, abandon_on_cancel=True))

        async def until_it_hangs() -> None:
            while (idle := time.monotonic() - moved) < STALLED_SECONDS:  # noqa: ASYNC110 - a thread moves it on
                await trio.sleep(STALLED_SECONDS - idle)

        try:
            await race(all_of_them, until_it_hangs, self._stop.wait)
        finally:
            over = True  # for the thread, should it come back
        if self._stop.reason is not None:
            return None
        return ended[0] if ended and ended[0] is not None else dict(looked)

    async def _free(self) -> int:
        found = await trio.to_thread.run_sync(os.statvfs, self._folder)
        return found.f_bavail * found.f_frsize


@dataclass(frozen=True, slots=True)
class _Restored:
    """What came of a restore: restic's end, what did not come and why, by path, and how often owners, times or
    attributes did not. `complete`: restic has told all that it had to."""

    run: Run
    bad: dict[str, str]
    metadata: int
    complete: bool

    @property
    def is_restics_word(self) -> bool:
        """It did not come to the data, or was stopped."""
        return self.run.verdict.reason in _ITS_WORD or isinstance(self.run, _Stopped)

    @property
    def has_failed(self) -> bool:
        if self.bad or self.is_restics_word:
            return True
        return self.run.verdict.status != "succeeded" and not (self.metadata and self.complete)

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may be another restic that pruned. What cannot be reached was tried for long enough."""
        verdict = self.run.verdict
        return (
            self.has_failed
            and not self.is_restics_word
            and (verdict.reason == "corrupt" or verdict.status == "succeeded")
        )


class _Stopped(Run):
    """restic, which was stopped here because it used too much."""


def _together(parts: list[_Restored]) -> _Restored:
    """The first end that is not a good one stands for all."""
    end = next((part.run for part in parts if part.run.verdict.status != "succeeded"), parts[0].run)
    bad = {path: why for part in parts for path, why in part.bad.items()}
    is_complete = all(part.complete or part.run.verdict.status == "succeeded" for part in parts)
    return _Restored(end, bad, sum(part.metadata for part in parts), is_complete)


def _parts(sample: list[Entry]) -> Iterator[list[Entry]]:
    """As much of it at a time as fits into one command line."""
    part: list[Entry] = []
    length = 0
    for entry in sample:
        more = 2 * len(os.fsencode(entry.path)) + 32
        if part and length + more > _LONGEST_CALL:
            yield part
            part, length = [], 0
        part.append(entry)
        length += more
    yield part


def _with_damage(done: Run, found: Troubles) -> Run:
    if not found.damage or done.verdict.reason == "corrupt":
        return done
    return Run(done.code, done.summary, JobVerdict("failed", "corrupt", done.verdict.error))
