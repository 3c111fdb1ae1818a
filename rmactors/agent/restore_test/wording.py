"""What people read of a restore test. Sentences, and names of a few files. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rmactors.agent.restic_steps import Run
from rmactors.agent.restore_test.sampling import Entry, Sampler
from rmactors.agent.restore_test.troubles import NO_ROOM
from rmactors.agent.verdict import LONGEST_ERROR, JobVerdict
from rmactors.common.sizes import size
from rmactors.common.text import excerpt

_NAMED: Final = 5
_LONGEST_NAME: Final = 200


def begins(sample: Sequence[Entry], listed: int, snapshot: str) -> str:
    """`testing 20 of the 182,330 files in snapshot 1a2b3c4d: 312 MB`"""
    of = f"{len(sample):,} of the {listed:,} files" if listed > len(sample) else f"all {_files(listed)}"
    return f"testing {of} in snapshot {snapshot[:8]}: {size(sum(entry.size for entry in sample))}"


def passed(stats: Mapping[str, Any]) -> str:
    """`20 files (312 MB) came back as they were saved; 18 of them were compared with their sources, …`"""
    words = f"{_files(stats['files_tested'])} ({size(stats['bytes_tested'])}) came back as saved"
    words += f"; {stats['compared_with_source']:,} compared with the source and equal"
    if changed := stats.get("source_changed"):
        words += f", {changed:,} whose source has changed since"
    if unread := stats.get("source_unreadable"):
        words += f", {unread:,} whose source could not be read"
    return words


def nothing_to_test(snapshot: str, sampler: Sampler, unnamed: int, most: int) -> str:
    """Why no file of the snapshot could be taken, and what to do."""
    if sampler.too_large:
        smallest = size(sampler.smallest_too_large or 0)
        return (
            f"snapshot {snapshot[:8]} has no file that fits: the smallest has {smallest}, a test may restore "
            f"{size(most)} here. Give the test more `sample_bytes`, or its folder more room"
        )
    if unnamed:
        return f"snapshot {snapshot[:8]} has no file whose name is valid UTF-8: none can be asked for by its name"
    return f"snapshot {snapshot[:8]} holds no files: there is nothing to test"


def no_room(folder: str, free: int) -> str:
    return f"no room for a restore test: {size(free)} free in {folder}; make some, or set `restore_test_dir`"


def sizes_lie(sample: Sequence[Entry], snapshot: str) -> str:
    expected = size(sum(entry.size for entry in sample))
    return f"stopped: {_files(len(sample))} of snapshot {snapshot[:8]} take more than {expected}: its sizes are wrong"


def unreadable(path: str, why: str) -> str:
    return f"{_name(path)} was restored, but cannot be read back from this host's disk: {why.lower()}"


def not_restored(done: Run, bad: Mapping[str, str], tested: int) -> JobVerdict:
    """`bad` are the files that did not come, with restic's words."""
    verdict = done.verdict
    why = next(iter(bad.values()), "")
    said = verdict.error or why or f"exit code {done.code}"
    if any(NO_ROOM.search(words) for words in bad.values()):
        words = f"no room where the sample was restored to: {why}"
        return JobVerdict("failed", "error", words[:LONGEST_ERROR])
    reason = "corrupt" if verdict.status == "succeeded" else verdict.reason
    if not bad:
        return JobVerdict("failed", reason, said[:LONGEST_ERROR])
    words = f"{len(bad)} of {_files(tested)} could not be restored: {_names(list(bad))}: {why}"
    if verdict.status != "succeeded" and verdict.error and reason != "corrupt":
        words = f"{words}; {verdict.error}"
    return JobVerdict("failed", reason, words[:LONGEST_ERROR])


def differing(entries: Sequence[Entry], tested: int) -> JobVerdict:
    """Of files that came back as saved, and are not what lies in the source."""
    them = "its source" if len(entries) == 1 else "their sources"
    verb = "differs from" if len(entries) == 1 else "differ from"
    words = (
        f"{len(entries)} of {_files(tested)} {verb} {them}, although size and time are the same: "
        f"{_names([entry.path for entry in entries])}. Either the source was damaged or changed without a trace in its "
        "time, or the backup does not hold what it should"
    )
    return JobVerdict("failed", "corrupt", words[:LONGEST_ERROR])


def metadata_warning(count: int) -> str:
    """restic's `--verify` then reads back nothing at all, of any file."""
    what = "one owner, time or attribute" if count == 1 else f"{count} owners, times or attributes"
    return f"{what} could not be set in the private folder: contents were checked as they came, and not read back"


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(_name, paths[:_NAMED])) + more


def _name(path: str) -> str:
    return excerpt(path, _LONGEST_NAME)


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"
