"""What came of a restore: what lies in its folder, what of that is complete, and what to say of it.

restic's own counts do not tell: folders are among its files, and so is what it could not write. What it could not
write it names, as long as it comes to its end; where it was stopped or gave up, any file may be incomplete.
"""

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.agent.output_summary import MOST_UNRESTORED, OutputSummary
from rmactors.agent.restic_steps import Run
from rmactors.agent.restore_patterns import plain, shown
from rmactors.agent.verdict import LONGEST_ERROR, JobVerdict
from rmactors.common.sizes import size
from rmactors.common.text import one_line, printable

_CAME_TO_ITS_END: Final = re.compile(r"There were \d+ errors")
"""restic's words where it went through the whole snapshot, and could not restore some of it."""
_NO_ROOM: Final = re.compile(r"no space left on device|disk quota exceeded")
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Restored:
    """What lies below the folder: `files` is everything but folders, `incomplete` those of them that restic could not
    restore, `size` the bytes of the others; `missing` was named, and is not there."""

    files: int
    folders: int
    size: int
    missing: tuple[str, ...]
    incomplete: int = 0

    def is_certain(self, done: Run) -> bool:
        """Whether every file that is not among the incomplete ones is complete."""
        if done.code == 0:
            return True
        return _came_to_its_end(done.summary) and len(done.summary.unrestored) < MOST_UNRESTORED


def look(folder: str, include: Sequence[str], unrestored: Collection[str] = ()) -> Restored:
    """What was restored there. `unrestored` are paths in the snapshot, as restic shows them. What cannot be looked at
    counts as not there; a file that has two names counts twice, its bytes once."""
    files = folders = bytes_ = incomplete = 0
    linked: set[tuple[int, int]] = set()
    for entry, found in _below(folder):
        if stat.S_ISDIR(found.st_mode):
            folders += 1
            continue
        files += 1
        if unrestored and printable(shown(entry.path[len(folder) :])) in unrestored:
            incomplete += 1
        elif stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in linked:
            bytes_ += found.st_size
            if found.st_nlink > 1:
                linked.add((found.st_dev, found.st_ino))
    missing = [path for path in include if not _is_below(folder, plain(path))]
    return Restored(files, folders, bytes_, tuple(missing), incomplete)


def _below(folder: str) -> Iterator[tuple["os.DirEntry[str]", os.stat_result]]:
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    yield entry, found
        except OSError:
            continue


def _is_below(folder: str, path: str) -> bool:
    """Whether `path` was restored. What lies behind a restored link does not count: that leads out of the folder."""
    at = [folder]
    for name in filter(None, path.split("/")):
        at = [below for above in at if not os.path.islink(above) for below in _called(above, name)]
    return any(map(os.path.lexists, at))


def _called(folder: str, name: str) -> list[str]:
    """What that name may stand for there: several, where it has marks for bytes that are no UTF-8."""
    if shown(name) == name and "\N{REPLACEMENT CHARACTER}" not in name:
        return [os.path.join(folder, name)]
    try:
        return [os.path.join(folder, one) for one in os.listdir(folder) if shown(one) == name]
    except OSError:
        return []


def judge_restore(done: Run, include: Sequence[str], there: Restored, into: str) -> JobVerdict:
    """`done` is restic's end, `include` what was named, `there` what has come of it, `into` where."""
    if done.verdict.status != "succeeded":
        return _failed(done, there, into)
    names = ", ".join(map(one_line, there.missing[:_NAMED]))
    names += f" and {len(there.missing) - _NAMED} more" if len(there.missing) > _NAMED else ""
    if there.files == 0:
        if there.missing:
            words = f"nothing in the snapshot matches {names}"
        else:
            words = f"the snapshot holds no files{' there' if include else ''}, only folders"
        return JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR])
    if there.missing:
        words = f"nothing in the snapshot matches {names}; what was found is restored"
        return JobVerdict("partial", "partial", words[:LONGEST_ERROR])
    return done.verdict


def _failed(done: Run, there: Restored, into: str) -> JobVerdict:
    """restic's end, and what is left of it: nobody is to take half a file for a whole one."""
    verdict, summary = done.verdict, done.summary
    said = verdict.error or ""
    if there.files == 0:
        return JobVerdict(verdict.status, verdict.reason, f"{said}; nothing was restored"[:LONGEST_ERROR])
    if not there.is_certain(done):
        words = f"{said}; what it restored until then, {_files(there.files)}, is in {into} and may be incomplete"
        return JobVerdict(verdict.status, verdict.reason, words[:LONGEST_ERROR])
    trouble = _first_trouble(summary)
    complete = there.files - there.incomplete
    counts = f"{_files(max(len(summary.unrestored), 1))} could not be restored"
    left = f"{_files(complete)} ({size(there.size)}) {'is' if complete == 1 else 'are'} complete in {into}"
    if _NO_ROOM.search(trouble):
        words = f"no space left where it was restored to: {counts}; {left}, the others are not"
        return JobVerdict("failed", "error", words[:LONGEST_ERROR])
    if verdict.reason != "error":
        return JobVerdict(verdict.status, verdict.reason, f"{said}; {counts}; {left}"[:LONGEST_ERROR])
    words = f"{counts}: {trouble or said}; {left}"[:LONGEST_ERROR]
    return JobVerdict("partial", "partial", words) if complete else JobVerdict("failed", "error", words)


def _came_to_its_end(summary: OutputSummary) -> bool:
    last = summary.exit_error.message if summary.exit_error is not None else summary.first_fatal or ""
    return _CAME_TO_ITS_END.search(last) is not None


def _first_trouble(summary: OutputSummary) -> str:
    return summary.first_troubles[0].message if summary.first_troubles else summary.first_unrestored


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"
