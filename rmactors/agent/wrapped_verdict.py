"""How a command that `exec` wraps has ended, in the product's words. Pure.

Judged by the program itself (`command_line`): restic by what its exit codes and words mean, anything else by its exit
code alone. What a restic inside a script says in JSON adds reasons and warnings, and never makes a failure good. An end
by a signal is `cancelled` only if it was Ctrl-C at a terminal.
"""

import re
import signal
from dataclasses import dataclass, field, replace
from typing import Final

from rmactors.agent.command_line import Program
from rmactors.agent.output_summary import LONGEST_ERROR, OutputSummary
from rmactors.agent.restic_output import ExitError, Item, Summary, Text
from rmactors.agent.verdict import JobVerdict, cause_of, judge, judge_any
from rmactors.common.vocabulary import JobKind, JobReason

_SAVED: Final = re.compile(r"^(snapshot [0-9a-f]{8,64} saved|skipped creating snapshot)\Z")
_WOULD: Final = re.compile(r"^Would add to the repo")
_BY_CODE: Final[dict[int, JobReason]] = {10: "no_repository", 11: "locked", 12: "wrong_password"}
_TIMEOUT_SAYS: Final = 124
LONGEST_WARNING: Final = 200
"""Characters: it travels in the stats."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The first signal that was sent to `exec` to end it; `at_terminal` says that it was Ctrl-C there."""

    number: int
    at_terminal: bool


@dataclass(slots=True)
class CommandOutput:
    """What a command's output says; bounded, however much is printed."""

    summary: OutputSummary = field(default_factory=OutputSummary)
    saved: bool = False
    """A restic has ended a backup, with a snapshot or because nothing had changed."""
    rehearsed: bool = False
    """A restic has done a dry run."""
    last_error: ExitError | None = None
    recovered: bool = False
    """A backup has ended behind that error."""

    def take(self, item: Item) -> None:
        self.summary.take(item)
        match item:
            case Summary(numbers=numbers):
                if numbers.get("dry_run"):
                    self.rehearsed = True
                elif "files_new" in numbers:
                    self._ended_a_backup()
            case Text(text=text):
                if _SAVED.match(text):
                    self._ended_a_backup()
                self.rehearsed |= _WOULD.match(text) is not None
            case ExitError(code=code):
                # 3 follows its own summary: the snapshot is there
                self.last_error, self.recovered = item, code == 3
            case _:
                pass

    def _ended_a_backup(self) -> None:
        self.saved, self.recovered = True, self.last_error is not None


def judge_wrapped(
    kind: JobKind, exit_code: int, output: CommandOutput, program: Program, sent: Sent | None
) -> JobVerdict:
    """`exit_code` is negative for a signal that ended the command."""
    if _was_a_dry_run(exit_code, output, program):
        return _dry_run(exit_code, output)
    if exit_code == _TIMEOUT_SAYS and program.time_limit is not None:
        return JobVerdict("failed", "timeout", f"stopped by `timeout`: it ran longer than {program.time_limit}")
    made = kind == "backup" and program.is_restic and output.summary.made_a_snapshot
    if exit_code != 0 and sent is not None and not made:  # with 0, the command has seen to it, whatever was sent
        return _stopped(exit_code, output, sent)
    if program.is_restic:
        return judge(kind, exit_code, output.summary)
    return _command(kind, exit_code, output)


def _was_a_dry_run(exit_code: int, output: CommandOutput, program: Program) -> bool:
    """A script that rehearses first is judged by what comes behind, be it a backup or a failure."""
    if output.saved:  # whatever its flags look like
        return False
    if program.is_restic:
        return program.is_dry_run or output.rehearsed
    # 3 may be the dry run's own: files that it could not read
    failed_behind = exit_code not in {0, 3} or (output.last_error is not None and output.last_error.code != 3)
    return output.rehearsed and not failed_behind


def _dry_run(exit_code: int, output: CommandOutput) -> JobVerdict:
    words = "a dry run: nothing was changed"
    if exit_code != 0:
        said = judge_any(exit_code, output.summary).error or ""
        words += f"; it ended with exit code {exit_code if exit_code > 0 else 128 - exit_code}"
        words += "" if said.startswith("exit code") else f": {said}"
    return JobVerdict("skipped", "skipped", words[:LONGEST_ERROR])


def _stopped(exit_code: int, output: CommandOutput, sent: Sent) -> JobVerdict:
    """An end that somebody asked `exec` for. One that came to the command alone is told by its exit code."""
    if sent.at_terminal:
        return JobVerdict("cancelled", "cancelled", "interrupted at the terminal")
    words = f"ended by {signal_name(sent.number)}, sent to `exec`"
    if exit_code < 0 and -exit_code != sent.number:
        words = f"ended by {signal_name(-exit_code)}, after {signal_name(sent.number)} was sent to `exec`"
    plain = judge_any(exit_code, output.summary)
    if plain.reason == "error":  # it has seen to its end itself, and may have said why
        words += f"; exit code {exit_code}" + ("" if plain.error == f"exit code {exit_code}" else f": {plain.error}")
    if (cause := cause_of(output.summary)) is not None:
        words += f"; {cause}"
    return JobVerdict("failed", "terminated", words[:LONGEST_ERROR])


def _command(kind: JobKind, exit_code: int, output: CommandOutput) -> JobVerdict:
    """A command that is not restic, and what a restic inside it has said."""
    verdict, error = judge_any(exit_code, output.summary), output.last_error
    if error is None or not (error.message or error.code):
        return verdict
    said = error.message.partition("\n")[0].removeprefix("Fatal:").strip() or f"exit code {error.code}"
    reason = _BY_CODE.get(error.code or 0)
    if exit_code != 0:
        if kind == "backup" and output.saved and exit_code == error.code == 3:
            return judge(kind, exit_code, output.summary)  # the script passes restic's own code on
        if reason is not None and not output.recovered:
            return JobVerdict("failed", reason, said[:LONGEST_ERROR])
        return verdict
    warning = f"a restic in this command failed (exit code {error.code}), and the command ended with 0: {said}"
    if verdict.status == "succeeded" and (error.code == 3 or (kind == "backup" and not output.saved)):
        verdict = JobVerdict("partial", reason or "partial", said[:LONGEST_ERROR])
    return replace(verdict, warning=warning[:LONGEST_WARNING])


def signal_name(number: int) -> str:
    """`SIGTERM`; `signal 40` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
