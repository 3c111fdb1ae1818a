"""Words for states: every state is a tone (which colour and dot) and a word, never a colour alone. Pure."""

from dataclasses import dataclass
from typing import Final, Literal, assert_never

from rmactors.common.vocabulary import ALERTS, HostStatus, JobStatus, Severity
from rmactors.server.messages.reasons import Reason
from rmactors.server.web.views.texts import _, later

Tone = Literal["ok", "warn", "bad", "info", "off"]


@dataclass(frozen=True, slots=True)
class State:
    """A tone and a word; `pulse` for what is going on right now."""

    tone: Tone
    word: str
    pulse: bool = False


def severity(name: Severity) -> State:
    match name:
        case "critical":
            return State("bad", _("Critical"))
        case "warning":
            return State("warn", _("Warning"))
        case "info":
            return State("info", _("Info"))
        case _:
            assert_never(name)


def job_status(name: JobStatus) -> State:
    match name:
        case "queued":
            return State("off", _("Queued"))
        case "running":
            return State("info", _("Running"), pulse=True)
        case "succeeded":
            return State("ok", _("Succeeded"))
        case "partial":
            return State("warn", _("Partial"))
        case "failed":
            return State("bad", _("Failed"))
        case "cancelled":
            return State("off", _("Cancelled"))
        case "skipped":
            return State("off", _("Skipped"))
        case _:
            assert_never(name)


def host_status(name: HostStatus, silent_for: str = "") -> State:
    """`silent_for` is how long an offline host has been silent, in words."""
    match name:
        case "online":
            return State("ok", _("Online"))
        case "offline":
            return State("off", _("Offline · %s") % silent_for if silent_for else _("Offline"))
        case "never_seen":
            return State("off", _("Never seen"))
        case "reports_only":
            return State("info", _("Reports only"))
        case _:
            assert_never(name)


_DOING: Final = {
    "backup": later("Backing up"),
    "forget": later("Forgetting snapshots"),
    "prune": later("Pruning"),
    "check": later("Checking"),
    "init": later("Creating a repository"),
    "unlock": later("Unlocking"),
    "restore": later("Restoring"),
    "diff": later("Comparing"),
    "snapshots": later("Listing snapshots"),
    "restore_test": later("Testing a restore"),
}
_REASONS: Final = {
    "partial": later("some files could not be read"),
    "locked": later("the repository is locked by another restic process"),
    "wrong_password": later("wrong password"),
    "no_repository": later("the repository was not found"),
    "corrupt": later("the repository is damaged"),
    "no_source": later("the sources are missing or empty"),
    "cancelled": later("it was cancelled"),
    "timeout": later("it exceeded its maximum run time"),
    "lost": later("its end was not reported"),
    "skipped": later("it was skipped"),
    "refused": later("the agent refused it"),
    "error": later("it ended with an error"),
    "terminated": later("it was stopped by a signal"),
    "nothing_done": later("nothing was done"),
}
_DECISIONS: Final[dict[str, str]] = {
    Reason.FAILED: later("because a run failed"),
    Reason.LOST: later("because the end of a run was not reported"),
    Reason.LOOKS_WRONG: later("because a backup holds much less than usual"),
    Reason.TOO_MANY: later("because the host has too many open alerts"),
    Reason.GOT_WORSE: later("because a run failed after one that was partial"),
    Reason.RECOVERED: later("because a later run was good"),
    Reason.LOSS_RECOVERED: later("because the missing end of a run was reported"),
    Reason.CLEARED: later("because the condition cleared"),
    Reason.NO_LONGER_TOO_MANY: later("because no failure is held back any more"),
    Reason.MEANT: later("because it is meant"),
    Reason.RESOLVED_UNTIL_CLEAR: later("and suppressed until the condition has cleared"),
}
_KIND_NAMES: Final = {
    "backup": later("Backup"),
    "forget": later("Forget"),
    "prune": later("Prune"),
    "check": later("Check"),
    "init": later("Init"),
    "unlock": later("Unlock"),
    "restore": later("Restore"),
    "diff": later("Diff"),
    "snapshots": later("Snapshots"),
    "restore_test": later("Restore test"),
}
_SEVERITIES: Final[dict[str, Severity]] = {kind: traits.severity for kind, traits in ALERTS.items()}
_ALERT_NAMES: Final[dict[str, str]] = {kind: traits.title for kind, traits in ALERTS.items()}


def severity_of(alert_kind: str) -> Severity:
    """Of a kind of alert; a kind that only a newer version knows counts as a warning."""
    return _SEVERITIES.get(alert_kind, "warning")


def doing(kind: str) -> str:
    """What a running job of this kind does, as one says it of a host."""
    return _(_DOING.get(kind, kind.capitalize()))


def kind_name(kind: str) -> str:
    return _(_KIND_NAMES.get(kind, kind.capitalize()))


def alert_name(kind: str) -> str:
    """A kind of alert for people."""
    return _(_ALERT_NAMES.get(kind, kind))


def reason(code: str | None) -> str:
    """Why a job ended as it did, as the end of a sentence; empty where all was well."""
    if code is None or code == "ok":
        return ""
    return _(_REASONS.get(code, code))


def decision(reason: str | None) -> str:
    """Why an alert was raised or resolved; empty if it says no more than that it was."""
    said = _DECISIONS.get(reason or "")
    return _(said) if said is not None else ""


def sentence(text: str) -> str:
    """With a capital in front."""
    return text[:1].upper() + text[1:]
