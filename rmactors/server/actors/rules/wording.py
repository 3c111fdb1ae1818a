"""What people read when a run or a schedule is wrong or right again. Sentences, not codes."""

from collections.abc import Callable

from rmactors.common import clock, sizes
from rmactors.common.bounds import cut
from rmactors.common.vocabulary import AlertKind, JobEnd, JobKind, JobReason
from rmactors.common.zones import day_and_time
from rmactors.server.state.alert_state import Doubt, Size

_BEGAN = 300
"""Characters of why failures began: the error that is told besides has 2,000 of its own."""
_KIND: dict[JobKind, str] = {
    "backup": "Backup",
    "forget": "Forget",
    "prune": "Prune",
    "check": "Check",
    "init": "Init",
    "unlock": "Unlock",
    "restore": "Restore",
    "diff": "Diff",
    "snapshots": "Snapshots",
    "restore_test": "Restore test",
}
_DONE: dict[JobKind, str] = {
    "backup": "is backed up again",
    "forget": "old snapshots are forgotten again",
    "prune": "is pruned again",
    "check": "passed its check again",
    "init": "is initialised",
    "unlock": "is unlocked",
    "restore": "is restored",
    "diff": "is compared",
    "snapshots": "is listed",
    "restore_test": "passed its restore test again",
}
_NAMELESS: dict[JobKind, str] = {
    "backup": "This host",
    "forget": "This host",
    "prune": "A repository",
    "check": "A repository",
    "restore_test": "A backup",
}
_HELD_BACK: dict[AlertKind, str] = {
    "backup_failed": "backup",
    "forget_failed": "forget",
    "prune_failed": "prune",
    "check_failed": "check",
    "restore_test_failed": "restore test",
    "backup_suspicious": "a backup that looks wrong",
}
_REASONS: dict[JobReason, str] = {
    "ok": "",
    "partial": "some files could not be read",
    "locked": "another restic holds the repository's lock",
    "wrong_password": "wrong password",
    "no_repository": "the repository is not there or cannot be reached",
    "corrupt": "the repository is damaged",
    "no_source": "what should be backed up is not there",
    "cancelled": "it was cancelled",
    "timeout": "it took too long and was stopped",
    "lost": "its end was not reported",
    "skipped": "it was skipped",
    "refused": "the agent refused it",
    "error": "",
    "terminated": "it was stopped from outside, by a signal",
    "nothing_done": "nothing was done",
}


def failed(
    kind: JobKind,
    label: str,
    status: JobEnd,
    reason: JobReason,
    error: str | None,
    exit_code: int | None,
    last_good_at: int | None,
    zone: str = "UTC",
    began: tuple[int, str] | None = None,
) -> str:
    """`Backup of Nightly failed: wrong password. Last good one: Saturday 2026-11-21 04:00 CET.`

    Times are in `zone`. `began` is when the failures began, and why, if this end does not say what is wrong.
    """
    what = f"{_KIND[kind]} of {label}" if label else _KIND[kind]
    ended = "was only partial" if status == "partial" else "failed"
    first = f" It began on {day_and_time(began[0], zone)}: {_ended(cut(began[1], _BEGAN))}" if began is not None else ""
    return f"{what} {ended}: {_ended(why(reason, error, exit_code))}{first} {_last_good(last_good_at, zone)}"


def _last_good(at: int | None, zone: str) -> str:
    return f"Last good one: {day_and_time(at, zone)}." if at else "No earlier good one is known."


def why(reason: JobReason, error: str | None, exit_code: int | None) -> str:
    """What went wrong: in the agent's words, else ours."""
    return error or _REASONS[reason] or (f"exit code {exit_code}" if exit_code is not None else "no reason was given")


def _ended(words: str) -> str:
    return words.strip().rstrip(".") + "."


def worse(message: str) -> str:
    """What is told once more, of a run that was only partial before."""
    return f"This got worse. {message}"


def recovered(kind: JobKind, label: str, status: JobEnd) -> str:
    """`Nightly is backed up again.`"""
    name = label or _NAMELESS.get(kind, "This host")
    if status in ("cancelled", "skipped"):
        return f"{name}: the run that was thought lost was {status}."
    return f"{name}{':' if kind == 'forget' else ''} {_DONE[kind]}."


def suspicious(label: str, doubt: Doubt) -> str:
    """`Nightly was backed up, but with 0 files (usually about 12,300) and 0 bytes (usually about 3.4 GiB): is the
    source mounted and complete? …`: what it has too few of first."""
    files, data = _held(doubt.size.files, doubt.usual.files, _files), _held(doubt.size.bytes, doubt.usual.bytes, _bytes)
    held = " and ".join(filter(None, (files, data) if doubt.what == "files" else (data, files)))
    return (
        f"{label or 'This host'} was backed up, but with {held}: is the source mounted and complete?"
        " If this is meant, answer so: later backups are then compared with this one."
    )


def meant(size: Size) -> str:
    """`It is meant that this backup holds 0 files and 0 bytes: …`"""
    known = " and ".join(filter(None, (_held(size.files, None, _files), _held(size.bytes, None, _bytes))))
    return f"It is meant that this backup holds {known}: later backups are compared with it."


def _held(number: int | None, usual: int | None, show: Callable[[int], str]) -> str:
    """`0 files (usually about 12,300)`; empty if it is not known."""
    if number is None:
        return ""
    return show(number) + (f" (usually about {show(_rounded(usual)).removesuffix(' files')})" if usual else "")


def as_usual(label: str) -> str:
    return f"{label or 'This host'}: the newest backup holds about what it usually does."


def held_back(number: int, most: int, newest: list[tuple[AlertKind, str]]) -> str:
    """`500 more failures of this host have no alert of their own, because too many of its alerts are open (1,000 at
    most). The newest: backup of home, check of photos. …`"""
    more = "failure of this host has no alert of its" if number == 1 else "failures of this host have no alert of their"
    names = ", ".join(f"{_HELD_BACK.get(kind, kind)}{' of ' + _short(plan) if plan else ''}" for kind, plan in newest)
    limit = f" ({most:,} at most)" if most else ""
    return (
        f"{number:,} more {more} own, because too many of its alerts are open{limit}. The newest: {names}."
        " Does something on this host make up names of plans? Resolve what is over: what fails again then has its own."
    )


def no_more_held_back() -> str:
    return "Every failure that had no alert of its own is over, or has one by now."


def stale(name: str, slot: int, last_run_at: int | None, zone: str = "UTC") -> str:
    """`Home should have run on Tuesday 2026-11-24 03:00 CET and did not start. …`"""
    last = f"Last run: {day_and_time(last_run_at, zone)}." if last_run_at else "It has not run yet."
    return f"{name} should have run on {day_and_time(slot, zone)} and did not start. {last}"


def overdue(name: str, age: int, limit: int, last_good_at: int | None, zone: str) -> str:
    """`Nightly has had no good backup for 2 days 3 hours (limit 26 hours). Last good one: …`"""
    since = _last_good(last_good_at, zone)
    return f"{name} has had no good backup for {length(age)} (limit {length(limit)}). {since}"


def backed_up_again(name: str) -> str:
    return f"{name} has a good backup again."


def other_limit(name: str, *, removed: bool) -> str:
    return f"The limit on the age of backups of {name} was {'removed' if removed else 'changed'}."


def running_again(name: str) -> str:
    return f"{name} has started again."


def not_expected(name: str, why: str) -> str:
    return f"{name} is not expected any more: the schedule was {why}."


def length(micros: int) -> str:
    """`2 days 3 hours`, `26 hours`, `90 minutes`, `5 seconds`: in the two greatest units, below two days in hours."""
    seconds = max(0, round(micros / clock.SECOND))
    days, hours = divmod(seconds // 3600, 24)
    if days >= 2:
        return _units((days, "day"), (hours, "hour"))
    if seconds >= 7200:
        return _units((seconds // 3600, "hour"), (seconds // 60 % 60, "minute"))
    return _units((seconds // 60, "minute")) if seconds >= 120 else _units((seconds, "second"))


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"


def _rounded(number: int) -> int:
    """To three digits: `about 12,300`."""
    places = len(str(number)) - 3
    return round(number, -places) if places > 0 else number


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    """`0 bytes`, `512 bytes`, `3.4 GB`: in the units of the pages."""
    return f"{number} byte{'' if number == 1 else 's'}" if number < 1000 else sizes.size(number)


def _units(*parts: tuple[int, str]) -> str:
    return " ".join(f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in parts if n or len(parts) == 1)
