"""How a run ended, in the product's words: status, reason, and a sentence for people. Pure.

Judged by exit code first, then by restic's `exit_error`, then by what it printed. An unknown exit code is a failure.
"""

import re
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never

from rmactors.agent.prune_numbers import PruneNumbers
from rmactors.agent.restic_output import ExitError, Item, ItemTrouble, Listing, Progress, Summary, Text
from rmactors.vocabulary import JobEnd, JobKind, Reason

LONGEST_ERROR: Final = 2_000
_LAST_LINES: Final = 20
_TROUBLES_KEPT: Final = 20

_LOCKED: Final = re.compile(
    r"already locked(?P<exclusively> exclusively)? by PID (?P<pid>\d+) on (?P<host>\S+)(?: by (?P<user>\S+))?"
)
_LOCK_AGE: Final = re.compile(r"lock was created at .*\((?P<age>\S+) ago\)")
_BY_TEXT: Final[tuple[tuple[re.Pattern[str], Reason, str], ...]] = (
    (re.compile(r"wrong password or no key found"), "wrong_password", "wrong password"),
    (re.compile(r"all (?:target|source) (?:directories/)?(?:files|directories).* do not exist"), "no_source", ""),
    (re.compile(r"unable to open config file|unable to open repository at|repository does not exist|"
                r"Is there a repository at the following"), "no_repository", ""),
    (re.compile(r"already locked"), "locked", "repository locked"),
    (re.compile(r"repository contains errors|(?:ciphertext|pack\S*) (?:verification failed|.*not found)|"
                r"The repository is damaged|data corruption|hash does not match"), "corrupt", ""),
    (re.compile(r"no space left on device"), "error", "no space left on device"),
)  # fmt: skip
_BY_CODE: Final[dict[int, Reason]] = {10: "no_repository", 11: "locked", 12: "wrong_password"}
_NOISE: Final = re.compile(
    r"^(using (temporary cache|parent)|create exclusive lock|load index|check (all packs|snapshots)|storage ID |"
    r"the `unlock` command|lock was created|Save\(|List\(|Load\()|^\[\d+:\d\d\]"
)


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds the repository, as restic says."""

    pid: int
    host: str
    age: str | None = None
    exclusive: bool = False

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}" + (f" since {self.age}" if self.age else "")


@dataclass(slots=True)
class Digest:
    """What matters of an output, gathered item by item; bounded, however much is printed."""

    summary: dict[str, Any] | None = None
    troubles: int = 0
    first_troubles: list[ItemTrouble] = field(default_factory=list)
    exit_error: ExitError | None = None
    missing: list[str] = field(default_factory=list)
    last_stderr: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    last_stdout: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    first_fatal: str | None = None
    lock: Lock | None = None
    listing: Any = None
    freed: PruneNumbers = field(default_factory=PruneNumbers)
    speaks_restic: bool = False

    def take(self, item: Item) -> None:
        match item:
            case Text(stream=stream, text=text):
                (self.last_stderr if stream == "stderr" else self.last_stdout).append(text[:LONGEST_ERROR])
                self._read_line(text)
            case Progress():
                self.speaks_restic = True
            case Summary(numbers=numbers):
                self.summary, self.speaks_restic = numbers, True
            case ItemTrouble():
                self.speaks_restic = True
                if item.during in {"", "archival", "restore"}:
                    self.troubles += 1
                    if len(self.first_troubles) < _TROUBLES_KEPT:
                        self.first_troubles.append(item)
            case ExitError():
                self.exit_error, self.speaks_restic = item, True
                for line in item.message.splitlines():
                    self._read_line(line)
            case Listing(value=value):
                self.listing = value
            case _:
                assert_never(item)

    def _read_line(self, text: str) -> None:
        self.freed.take(text)
        if text.startswith("Fatal:") and self.first_fatal is None:
            self.first_fatal = text[:LONGEST_ERROR]
        if found := _LOCKED.search(text):
            self.lock = Lock(int(found["pid"]), found["host"], exclusive=bool(found["exclusively"]))
        elif (age := _LOCK_AGE.search(text)) and self.lock is not None:
            self.lock = Lock(self.lock.pid, self.lock.host, _short(age["age"]), self.lock.exclusive)
        elif text.endswith(" does not exist, skipping") and len(self.missing) < 20:
            self.missing.append(text.removesuffix(" does not exist, skipping"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended. `error` is None where all is well."""

    status: JobEnd
    reason: Reason
    error: str | None


def judge(
    kind: JobKind,
    exit_code: int,
    digest: Digest,
    *,
    stopped: Literal["cancelled", "timeout"] | None = None,
    missing_sources: Sequence[str] = (),
    seconds: float | None = None,
) -> Verdict:
    """What restic's end means. `exit_code` is negative for a signal; `stopped` says that the agent stopped it and why.

    `missing_sources` were not there before restic began: it hides them. `seconds` is how long a timeout was.
    """
    missing = list(dict.fromkeys([*missing_sources, *digest.missing]))
    if exit_code == 0:  # it may have ended well just before it was to be stopped
        if kind == "backup" and missing:
            return Verdict("partial", "no_source", _missing(missing))
        return Verdict("succeeded", "ok", None)
    if stopped == "timeout":
        return Verdict("failed", "timeout", f"stopped: it ran longer than {_duration(seconds or 0)}")
    if stopped == "cancelled" or exit_code == 130 or exit_code == -2:
        return Verdict("cancelled", "cancelled", "cancelled" if stopped else "interrupted")
    if exit_code == 3 and kind == "backup":
        if digest.summary is None and missing:
            return Verdict("failed", "no_source", _missing(missing))
        if missing and digest.troubles == sum(trouble.item in missing for trouble in digest.first_troubles):
            return Verdict("partial", "no_source", _missing(missing))  # and nothing else
        return Verdict("partial", "partial", _unread(digest))
    if exit_code in _BY_CODE:
        reason = _BY_CODE[exit_code]
        return Verdict("failed", reason, _explain(reason, digest))
    if exit_code < 0 or exit_code in {137, 143}:
        number = -exit_code if exit_code < 0 else exit_code - 128
        hint = " (out of memory?)" if number == 9 else ""
        return Verdict("failed", "error", f"killed by {_signal(number)}{hint}")
    reason = _by_text(digest)
    if kind == "check" and reason == "error" and digest.troubles:
        reason = "corrupt"
    return Verdict("failed", reason, _explain(reason, digest, exit_code))


def judge_any(exit_code: int, digest: Digest) -> Verdict:
    """The end of a command that is not restic: its exit code counts, its last words explain."""
    if exit_code == 0:
        if digest.troubles:  # a wrapper that hides restic's exit code 3
            return Verdict("partial", "partial", _unread(digest))
        return Verdict("succeeded", "ok", None)
    words = _last_words(digest) or f"exit code {exit_code}"
    return Verdict("failed", "error", words[:LONGEST_ERROR])


def _by_text(digest: Digest) -> Reason:
    text = _all_text(digest)
    for pattern, reason, _ in _BY_TEXT:
        if pattern.search(text):
            return reason
    return "error"


def _explain(reason: Reason, digest: Digest, exit_code: int | None = None) -> str:
    """One sentence: our words where they say more than restic's, else restic's own."""
    text = _all_text(digest)
    said = _last_words(digest)
    match reason:
        case "wrong_password":
            words = "wrong password"
        case "locked":
            words = f"repository locked by {digest.lock}" if digest.lock else "repository locked"
        case "no_repository":
            words = f"no repository there, or not reachable: {_without_prefix(said)}" if said else "no repository there"
        case "no_source":
            words = _missing(digest.missing) if digest.missing else "none of the sources exists"
        case "corrupt":
            details = [t.message for t in digest.first_troubles] or [
                line for line in digest.last_stderr if not line.startswith("Fatal:") and not _NOISE.search(line)
            ]
            words = "the repository is damaged" + (f": {'; '.join(details[:3])}" if details else "")
        case _:
            words = said
            for pattern, _, better in _BY_TEXT:
                if better and pattern.search(text):
                    words = f"{better}: {_without_prefix(said)}" if better not in said else _without_prefix(said)
    return (words or f"exit code {exit_code}")[:LONGEST_ERROR]


def _all_text(digest: Digest) -> str:
    parts = [digest.exit_error.message if digest.exit_error else "", digest.first_fatal or "", *digest.last_stderr]
    return "\n".join(parts)


def _last_words(digest: Digest) -> str:
    if digest.exit_error and digest.exit_error.message:
        return _without_prefix(digest.exit_error.message.partition("\n")[0])
    if digest.first_fatal:
        return _without_prefix(digest.first_fatal)
    for line in reversed(digest.last_stderr):
        if not _NOISE.search(line):
            return line
    return digest.last_stderr[-1] if digest.last_stderr else ""


def _without_prefix(text: str) -> str:
    return text.removeprefix("Fatal:").strip()


def _unread(digest: Digest) -> str:
    count = max(digest.troubles, 1)
    head = f"{count} file{'s' if count > 1 else ''} could not be read"
    if digest.first_troubles:
        return f"{head}: {digest.first_troubles[0].message}"[:LONGEST_ERROR]
    return head if digest.troubles else "some files could not be read"


def _missing(sources: Sequence[str]) -> str:
    shown = ", ".join(sources[:5]) + (f" and {len(sources) - 5} more" if len(sources) > 5 else "")
    return f"{shown} {'does' if len(sources) == 1 else 'do'} not exist"[:LONGEST_ERROR]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def _short(age: str) -> str:
    """Go's `1h2m3.456s` without the fraction."""
    return re.sub(r"\.\d+(?=s)", "", age)
