"""How a command that `exec` wraps has ended, in the product's words. Pure.

Judged by the program itself (`command_line`): restic by what its exit codes and words mean, anything else by its exit
code alone. What a restic inside a script says in JSON adds reasons and warnings, and never makes a failure good. An end
by a signal is `cancelled` only where it was Ctrl-C at a terminal.
"""

import re
import signal
from dataclasses import dataclass, field
from typing import Final

from rmactors.agent.command_line import Program
from rmactors.agent.restic_output import ExitError, Item, Summary, Text
from rmactors.agent.verdict import LONGEST_ERROR, Digest, Verdict, judge, judge_any
from rmactors.vocabulary import JobKind, Reason

_SAVED: Final = re.compile(r"^(snapshot [0-9a-f]{8,64} saved|skipped creating snapshot)$")
_SIGNALLED: Final = re.compile(r"^signal (?P<name>interrupt|terminated)(?: signal)? received")
_SIGNALS: Final = {"interrupt": signal.SIGINT, "terminated": signal.SIGTERM}
_WOULD: Final = re.compile(r"^Would add to the repo")
_BY_CODE: Final[dict[int, Reason]] = {10: "no_repository", 11: "locked", 12: "wrong_password"}
_SHELLS_SAY: Final = {
    128 + number
    for number in (
        signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS,
        signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU,
        signal.SIGXFSZ,
    )
}  # fmt: skip
"""Exit codes of a shell, or of restic, whose command a signal has ended."""
_TIMEOUT_SAYS: Final = 124


@dataclass(frozen=True, slots=True)
class Sent:
    """The first signal that was sent to `exec` to end it; `at_terminal` says that it was Ctrl-C there."""

    number: int
    at_terminal: bool


@dataclass(slots=True)
class Heard:
    """What a command's output says; bounded, however much is printed."""

    digest: Digest = field(default_factory=Digest)
    saved: bool = False
    """A restic has ended a backup, with a snapshot or because nothing had changed."""
    rehearsed: bool = False
    """A restic has done a dry run."""
    signalled: int | None = None
    """A restic says which signal it got: 0.18.0 ends with 1 then, 0.19.1 with 130 whichever it was."""
    last_error: ExitError | None = None
    recovered: bool = False
    """A backup has ended behind that error."""

    def take(self, item: Item) -> None:
        self.digest.take(item)
        match item:
            case Summary(numbers=numbers):
                if numbers.get("dry_run"):
                    self.rehearsed = True
                elif "files_new" in numbers:
                    self._ended_a_backup()
            case Text(text=text):
                if _SAVED.match(text):
                    self._ended_a_backup()
                if told := _SIGNALLED.match(text):
                    self.signalled = _SIGNALS[told["name"]]
                self.rehearsed |= _WOULD.match(text) is not None
            case ExitError(code=code):
                # 3 follows its own summary: the snapshot is there
                self.last_error, self.recovered = item, code == 3
            case _:
                pass

    def _ended_a_backup(self) -> None:
        self.saved, self.recovered = True, self.last_error is not None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, and what an operator should know although it did not decide."""

    verdict: Verdict
    warning: str | None = None


def judge_wrapped(kind: JobKind, exit_code: int, heard: Heard, program: Program, sent: Sent | None) -> Judgement:
    """`exit_code` is negative for a signal that ended the command."""
    if program.is_dry_run or (heard.rehearsed and not heard.saved):
        return Judgement(_dry_run(exit_code, heard))
    stopped = _stopped(kind, exit_code, heard, program, sent)
    if stopped is not None:
        return Judgement(stopped)
    if program.is_restic:
        return Judgement(judge(kind, exit_code, heard.digest))
    return _command(kind, exit_code, heard)


def _dry_run(exit_code: int, heard: Heard) -> Verdict:
    words = "a dry run: nothing was changed"
    if exit_code != 0:
        said = judge_any(exit_code, heard.digest).error or ""
        words += f"; it ended with exit code {exit_code if exit_code > 0 else 128 - exit_code}" + (
            f": {said}" if said and not said.startswith("exit code") else ""
        )
    return Verdict("skipped", "skipped", words[:LONGEST_ERROR])


def _stopped(kind: JobKind, exit_code: int, heard: Heard, program: Program, sent: Sent | None) -> Verdict | None:
    """An end by a signal or by a time limit; None for any other."""
    if exit_code == 0:
        return None  # whatever was sent, the command has seen to it
    if exit_code == _TIMEOUT_SAYS and program.time_limit is not None:
        return Verdict("failed", "timeout", f"stopped by `timeout`: it ran longer than {program.time_limit}")
    if kind == "backup" and exit_code == 3 and program.is_restic and heard.saved:
        return None  # it was asked to end, and was at its end already
    by = -exit_code if exit_code < 0 else exit_code - 128 if exit_code in _SHELLS_SAY else None
    told = heard.signalled if program.is_restic else None
    if by is None and told is None and sent is None:
        return None
    if sent is not None and sent.at_terminal:
        return Verdict("cancelled", "cancelled", "interrupted at the terminal")
    if exit_code > 0:  # then it has seen to its end itself, and its code need not tell which signal it was
        by = sent.number if sent is not None else told or by
    assert by is not None
    words = f"ended by {signal_name(by)}" + (" (out of memory?)" if by == signal.SIGKILL else "")
    if exit_code > 0 and exit_code not in _SHELLS_SAY:
        said = judge_any(exit_code, heard.digest).error or ""
        words += f" with exit code {exit_code}" + ("" if said == f"exit code {exit_code}" else f": {said}")
    return Verdict("failed", "terminated", words[:LONGEST_ERROR])


def _command(kind: JobKind, exit_code: int, heard: Heard) -> Judgement:
    """A command that is not restic, and what a restic inside it has said."""
    verdict, error = judge_any(exit_code, heard.digest), heard.last_error
    if error is None or not (error.message or error.code):
        return Judgement(verdict)
    said = error.message.partition("\n")[0].removeprefix("Fatal:").strip() or f"exit code {error.code}"
    reason = _BY_CODE.get(error.code or 0)
    if exit_code != 0:
        if kind == "backup" and heard.saved and exit_code == error.code == 3:
            return Judgement(judge(kind, exit_code, heard.digest))  # the script passes restic's own code on
        if reason is not None and not heard.recovered:
            return Judgement(Verdict("failed", reason, said[:LONGEST_ERROR]))
        return Judgement(verdict)
    warning = f"a restic in this command failed (exit code {error.code}), and the command ended with 0: {said}"
    if verdict.status == "succeeded" and (error.code == 3 or (kind == "backup" and not heard.saved)):
        verdict = Verdict("partial", reason or "partial", said[:LONGEST_ERROR])
    return Judgement(verdict, warning)


def signal_name(number: int) -> str:
    """`SIGTERM`; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
