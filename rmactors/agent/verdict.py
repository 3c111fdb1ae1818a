"""How a run ended, in the product's words: status, reason, and a sentence for people. Pure.

Judged by exit code first, then by restic's `exit_error`, then by what it printed. An unknown exit code is a failure.
The table in docs/agent.md says the same for people; tests hold the two together.
"""

import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rmactors.agent.output_summary import LONGEST_ERROR, Lock, OutputSummary
from rmactors.common.vocabulary import JobEnd, JobKind, JobReason

__all__ = ["LONGEST_ERROR", "JobVerdict", "Lock", "OutputSummary", "cause_of", "judge", "judge_any", "terminated"]

_BACKEND: Final[tuple[tuple[re.Pattern[str], JobReason, str], ...]] = (
    (re.compile(r"no space left on device|disk quota exceeded|507 Insufficient Storage|QuotaExceeded", re.IGNORECASE),
     "error", "no space left"),
    (re.compile(r"AWS Access Key Id|request signature we calculated|InvalidAccessKeyId|SignatureDoesNotMatch|"
                r"ExpiredToken|provided token has expired"), "error", "the storage refuses this access key"),
    (re.compile(r"Access Denied|AccessDenied"), "error", "the storage does not let this access key in"),
    (re.compile(r"specified bucket does not exist|NoSuchBucket"), "no_repository", "there is no such bucket"),
    (re.compile(r"difference between the request time|RequestTimeTooSkewed"), "error",
     "the clocks of this host and of the storage differ"),
    (re.compile(r"\(401\)|401 Unauthorized"), "error", "the server refuses the user or the password in the address"),
)  # fmt: skip
"""What a backend says, in restic's last words or in its retries, and what to make of it."""
_BY_TEXT: Final[tuple[tuple[re.Pattern[str], JobReason, str], ...]] = (
    (re.compile(r"config file already exists"), "error", "a repository exists there already"),
    (re.compile(r"wrong password or no key found"), "wrong_password", "wrong password"),
    (re.compile(r"all (?:target|source) (?:directories/)?(?:files|directories).* do not exist"), "no_source", ""),
    *_BACKEND,
    (re.compile(r"unable to open config file|unable to open repository at|repository does not exist|"
                r"Is there a repository at the following"), "no_repository", ""),
    (re.compile(r"already locked"), "locked", "repository locked"),
    (re.compile(r"failed to remove one or more snapshots"), "nothing_done", ""),
    (re.compile(r"repository contains errors"), "corrupt", ""),
)  # fmt: skip
_BY_CODE: Final[dict[int, JobReason]] = {10: "no_repository", 11: "locked", 12: "wrong_password"}
_CANCELED: Final = "context canceled"
_NOT_REMOVED: Final = re.compile(r"unable to remove <?snapshot/")
_SHELLS_SIGNALS: Final = frozenset({129, 130, 131, 134, 135, 137, 139, 141, 143})
"""128 + a signal's number: how shells, sudo, timeout and the like pass on that a signal ended the program."""
_NOISE: Final = re.compile(
    r"^(using (temporary cache|parent)|create exclusive lock|load index|check (all packs|snapshots)|storage ID |"
    r"the `unlock` command|lock was created|\w+\([^)]*\) (returned error|failed|operation successful)|"
    r"signal \w+ received|repo already locked, waiting|unable to (open cache|refresh lock|create temporary directory)|"
    r"(subprocess ssh|rclone): |Is there a repository at|The repository |Damaged pack files|restic repair |"
    r"Run 'restic)|"
    r"^\[\d+:\d\d\]"
)


@dataclass(frozen=True, slots=True)
class JobVerdict:
    """How it ended. `error` is None if all is well; `warning` is what to know about a run that did its work."""

    status: JobEnd
    reason: JobReason
    error: str | None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """What a restic is judged by."""

    kind: JobKind
    code: int
    summary: OutputSummary
    stopped: Literal["cancelled", "timeout"] | None
    missing: Sequence[str]
    seconds: float | None

    @property
    def by_signal(self) -> bool:
        return self.code < 0 or self.code in _SHELLS_SIGNALS or self.summary.signalled is not None

    @property
    def is_behind_its_snapshot(self) -> bool:
        """The snapshot is there: what was ended is how restic removes its lock."""
        if self.kind != "backup" or not self.summary.made_a_snapshot or self.code == 3:
            return False
        return self.by_signal or bool(self.stopped or self.summary.kept_lock)


def judge(
    kind: JobKind,
    exit_code: int,
    summary: OutputSummary,
    *,
    stopped: Literal["cancelled", "timeout"] | None = None,
    missing_sources: Sequence[str] = (),
    seconds: float | None = None,
) -> JobVerdict:
    """What restic's end means. `exit_code` is negative for a signal; `stopped` says that somebody here asked for it.

    `missing_sources` were not there before restic began: it hides them. `seconds` is how long a timeout was.
    A signal that nobody here asked for makes it `terminated`.
    """
    missing = list(dict.fromkeys([*missing_sources, *summary.missing]))
    end = _End(kind, exit_code, summary, stopped, missing, seconds)
    return next(verdict(end) for applies, verdict in _RULES if applies(end))


def judge_any(exit_code: int, summary: OutputSummary) -> JobVerdict:
    """The end of a command that is not restic: its exit code counts, its last words explain."""
    if exit_code == 0:
        if summary.troubles:  # a wrapper that hides restic's exit code 3
            return JobVerdict("partial", "partial", _unread(summary))
        return JobVerdict("succeeded", "ok", None)
    if exit_code < 0 or exit_code in _SHELLS_SIGNALS:
        return terminated(exit_code, summary)
    words = summary.crash or _last_words(summary) or f"exit code {exit_code}"
    return JobVerdict("failed", "error", words[:LONGEST_ERROR])


def terminated(exit_code: int, summary: OutputSummary) -> JobVerdict:
    """Ended by a signal, negative or as shells say it, that nobody here asked for."""
    number = -exit_code if exit_code < 0 else exit_code - 128 if exit_code in _SHELLS_SIGNALS else None
    if summary.signalled:  # restic says which one it got; its exit code is the same for all, in 0.18.0 even 1
        name = {"interrupt": "SIGINT", "terminated": "SIGTERM"}.get(summary.signalled, summary.signalled)
    else:
        name = _signal(number or 0)
    hint = " (out of memory?)" if number == signal.SIGKILL else ""
    return JobVerdict(
        "failed", "terminated", _with_cause(f"ended by {name}, which nobody here asked for{hint}", summary)
    )


def cause_of(summary: OutputSummary) -> str | None:
    """What keeps restic trying, for people; None if nothing does."""
    return None if summary.cause is None else _of_a_backend("", summary) or summary.cause


def _done(end: _End, *, unread: bool = False) -> JobVerdict:
    """It did its work; of a backup, perhaps not all of it. `unread` is restic's exit code 3."""
    kind, summary, missing = end.kind, end.summary, end.missing
    if kind == "backup":
        others = bool(summary.plain_troubles) or summary.troubles > sum(
            trouble.item in missing for trouble in summary.first_troubles
        )
        if missing and not (unread and others):
            return JobVerdict("partial", "no_source", _missing(missing), _warning(kind, summary))
        if unread and (others or not summary.stored_again):
            return JobVerdict("partial", "partial", _unread(summary), _warning(kind, summary))
    if kind == "forget" and any(_NOT_REMOVED.match(line) for line in summary.last_stderr):  # 0.18 ends with 0
        words = f"snapshots that should go could not be removed: {summary.failed or 'restic does not say why'}"
        return JobVerdict("failed", "nothing_done", words[:LONGEST_ERROR])
    return JobVerdict("succeeded", "ok", None, _warning(kind, summary))


def _behind_its_snapshot(end: _End) -> JobVerdict:
    return _done(end, unread=bool(end.summary.troubles or end.summary.plain_troubles))


def _timeout(end: _End) -> JobVerdict:
    words = f"stopped: it ran longer than {_duration(end.seconds or 0)}"
    return JobVerdict("failed", "timeout", _with_cause(words, end.summary))


def _crashed(end: _End) -> JobVerdict:
    return JobVerdict("failed", "error", (end.summary.crash or "")[:LONGEST_ERROR])


def _failed(end: _End) -> JobVerdict:
    reason = _BY_CODE.get(end.code) or _by_text(end.summary)
    return JobVerdict("failed", reason, _explain(reason, end.summary, end.code))


_RULES: Final[tuple[tuple[Callable[[_End], bool], Callable[[_End], JobVerdict]], ...]] = (
    # 0: all was done, if only just before it was to be stopped
    (lambda end: end.code == 0, _done),
    # any other, by a signal say, once the snapshot was made
    (lambda end: end.is_behind_its_snapshot, _behind_its_snapshot),
    # 3: a snapshot was made, and some files could not be read
    (lambda end: end.code == 3 and end.kind == "backup", lambda end: _done(end, unread=True)),
    # the agent stopped it
    (lambda end: end.stopped == "timeout", _timeout),
    (
        lambda end: end.stopped == "cancelled",
        lambda end: JobVerdict("cancelled", "cancelled", _with_cause("cancelled", end.summary)),
    ),
    # 2: Go broke down, of memory say; its dump may name a signal
    (lambda end: end.summary.crash is not None, _crashed),
    # -N, 128 + N, and 130 of restic's own: a signal that nobody here asked for
    (lambda end: end.by_signal, lambda end: terminated(end.code, end.summary)),
    # 10, 11, 12: `_BY_CODE`; 1 and those that no restic has yet: what it printed says why
    (lambda end: True, _failed),
)
"""By which restic's end is judged: the first that applies."""


def _warning(kind: JobKind, summary: OutputSummary) -> str | None:
    """What the operator should know although the work is done. It goes into `stats`: at most 200 characters."""
    if summary.stored_again:
        files = f"{summary.stored_again} file{'s' if summary.stored_again > 1 else ''}"
        return f"data of {files} was missing in the repository and is stored again: let a check look for more"
    if summary.kept_lock is not None:
        why = summary.kept_lock if len(summary.kept_lock) <= 50 else summary.kept_lock[:49] + "…"
        return (
            f"its lock could not be removed ({why}): forget, prune and check will say locked until `restic unlock` "
            "with a key that may delete"
        )
    if kind == "check" and summary.advice:
        return f"check suggests: {'; '.join(summary.advice)}"[:200]
    if kind != "check" and summary.damage:
        return f"restic met damage in the repository, let a check look at it: {summary.damage[0]}"[:200]
    without = summary.numbers is not None and "snapshot_id" not in summary.numbers and not summary.saved
    if kind == "backup" and (summary.unchanged or without):
        return "nothing changed: no new snapshot was needed"
    return None


def _by_text(summary: OutputSummary) -> JobReason:
    text = _all_text(summary)
    for pattern, reason, _ in _BY_TEXT:
        if pattern.search(text):
            return reason
    if summary.damage:
        return "corrupt"
    if summary.cause is not None and _CANCELED in text:
        return next((reason for pattern, reason, _ in _BACKEND if pattern.search(summary.cause)), "error")
    return "error"


def _explain(reason: JobReason, summary: OutputSummary, exit_code: int) -> str:
    """One sentence: our words where they say more than restic's, else restic's own."""
    words = _WORDS.get(reason, _own_words)(_last_words(summary), summary)
    if reason in {"error", "nothing_done"} and summary.failed and summary.failed not in words:
        words = f"{words}: {summary.failed}" if words else summary.failed
    return (_tried(words, summary) or f"exit code {exit_code}")[:LONGEST_ERROR]


def _own_words(said: str, summary: OutputSummary) -> str:
    return _of_a_backend(said, summary) or said


def _no_repository(said: str, summary: OutputSummary) -> str:
    words = _own_words(said, summary)
    if words != said:
        return words
    words = f"no repository there, or not reachable: {said}" if said else "no repository there"
    return f"{words} ({summary.helper})" if summary.helper and summary.helper not in words else words


def _damaged(said: str, summary: OutputSummary) -> str:
    """restic's sentence, what it found, and what it says to run."""
    details = list(dict.fromkeys(_without_prefix(line).removeprefix("error: ") for line in summary.damage))
    if not details:
        details = [line for line in summary.last_stderr if not line.startswith("Fatal:") and not _NOISE.search(line)]
    own = [] if not said or "contains errors" in said or any(said in one or one in said for one in details) else [said]
    shown = "; ".join([*own, *details[:3]])
    words = f"the repository is damaged{': ' if shown else ''}{shown}"
    return f"{words}. To run: {', then '.join(summary.advice)}" if summary.advice else words


_WORDS: Final[dict[JobReason, Callable[[str, OutputSummary], str]]] = {
    "wrong_password": lambda said, summary: "wrong password",
    "locked": lambda said, summary: f"repository locked{f' by {summary.lock}' if summary.lock else ''}",
    "no_source": lambda said, summary: _missing(summary.missing) if summary.missing else "none of the sources exists",
    "no_repository": _no_repository,
    "corrupt": _damaged,
}
"""For people, of restic's last words and the rest of its output."""


def _of_a_backend(said: str, summary: OutputSummary) -> str | None:
    """Our words for what the storage says, and for a repository that is there already."""
    for source in (said, summary.cause or "", summary.failed or ""):
        for pattern, _, better in _BY_TEXT:
            if better and pattern.search(source):
                return _without_prefix(source) if better in source else f"{better}: {source}"
    return None


def _tried(words: str, summary: OutputSummary) -> str:
    """With what restic tried again and again, where it did: its last words are then of its own giving up."""
    if summary.cause is None:
        return words
    tried = f"tried for {_about(summary.tried_seconds)}"
    if summary.cause in words:
        return f"{words}, {tried}"
    return f"{summary.cause}, {tried}" if not words or _CANCELED in words else f"{words}; {summary.cause}, {tried}"


def _with_cause(words: str, summary: OutputSummary) -> str:
    """Of a run that was ended from outside: what it was trying until then."""
    cause = cause_of(summary)
    return words if cause is None else f"{words}; {cause}, tried for {_about(summary.tried_seconds)}"[:LONGEST_ERROR]


def _all_text(summary: OutputSummary) -> str:
    """restic's last words and what stands around them, without what it tried again or gave up meanwhile."""
    lines = [line for line in summary.last_stderr if not _NOISE.search(line) or line.startswith("Is there")]
    parts = [summary.exit_error.message if summary.exit_error else "", summary.first_fatal or "", *lines]
    if summary.cause is not None and any(_CANCELED in part or "unable to " in part for part in parts):
        parts.append(summary.cause)
    return "\n".join(parts)


def _last_words(summary: OutputSummary) -> str:
    if summary.exit_error and summary.exit_error.message:
        return _without_prefix(summary.exit_error.message.partition("\n")[0])
    if summary.first_fatal:
        return _without_prefix(summary.first_fatal)
    for line in reversed(summary.last_stderr):
        if not _NOISE.search(line):
            return line
    return summary.helper or (summary.last_stderr[-1] if summary.last_stderr else "")


def _without_prefix(text: str) -> str:
    """Without restic's `Fatal:`, of which there may be several, inside as well."""
    while text.startswith("Fatal:"):
        text = text.removeprefix("Fatal:").strip()
    return text.replace(": Fatal: ", ": ").strip()


def _unread(summary: OutputSummary) -> str:
    plain = summary.plain_troubles
    count = max(summary.troubles, len(plain), 1)
    head = f"{count} file{'s' if count > 1 else ''} could not be read"
    if summary.first_troubles or plain:
        first = summary.first_troubles[0].message if summary.first_troubles else plain[0]
        return f"{head}: {first}"[:LONGEST_ERROR]
    return head if summary.troubles else "some files could not be read"


def _missing(sources: Sequence[str]) -> str:
    shown = ", ".join(sources[:5]) + (f" and {len(sources) - 5} more" if len(sources) > 5 else "")
    return f"{shown} {'does' if len(sources) == 1 else 'do'} not exist"[:LONGEST_ERROR]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if number else "a signal"


def _about(seconds: float) -> str:
    """Roughly: what restic tried is known from the pauses that it made."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"
