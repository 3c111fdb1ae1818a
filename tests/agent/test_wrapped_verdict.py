"""How a wrapped command's end is judged. One row per case: the command, what it wrote, how it ended, what was sent."""

import json
import shlex
import signal

import pytest

from rmactors.agent.command_line import program_of
from rmactors.agent.restic_output import OutputParser, Stream
from rmactors.agent.verdict import JobVerdict
from rmactors.agent.wrapped_verdict import CommandOutput, Sent, judge_wrapped
from rmactors.common.vocabulary import JobKind

CTRL_C = Sent(signal.SIGINT, at_terminal=True)
CTRL_BACKSLASH = Sent(signal.SIGQUIT, at_terminal=True)
TERM = Sent(signal.SIGTERM, at_terminal=False)
HUP = Sent(signal.SIGHUP, at_terminal=False)
INT = Sent(signal.SIGINT, at_terminal=False)

RESTIC, SCRIPT = "nice restic backup /x", "/usr/local/bin/backup.sh"
SUMMARY = '{"message_type":"summary","files_new":1,"snapshot_id":"82f6f905"}\n'
UNCHANGED = '{"message_type":"summary","files_new":0}\n'
DRY = '{"message_type":"summary","files_new":1,"snapshot_id":"82f6f905","dry_run":true}\n'
WOULD = "Would add to the repository: 1.384 KiB (1.222 KiB stored)\n"
UNREAD = '{"message_type":"error","error":{"message":"open /x: permission denied"},"during":"archival","item":"/x"}\n'


def exit_error(code: int, message: str) -> str:
    return json.dumps({"message_type": "exit_error", "code": code, "message": message}) + "\n"


PASSWORD = exit_error(12, "Fatal: wrong password or no key found")
LOCK = exit_error(11, "Fatal: unable to create lock in backend: repository is already locked")
NOWHERE = exit_error(10, "Fatal: repository does not exist: unable to open config file")
BROKEN = exit_error(1, "Fatal: unable to save snapshot: connection reset")
SOME = exit_error(3, "Warning: at least one source file could not be read")


def judged(line: str, code: int, said: str = "", sent: Sent | None = None, kind: JobKind = "backup") -> JobVerdict:
    output = CommandOutput()
    streams: tuple[Stream, ...] = ("stdout", "stderr")
    for stream, text in zip(streams, (said, ""), strict=True):
        parser = OutputParser(stream)
        for item in [*parser.feed(text.encode()), *parser.finish()]:
            output.take(item)
    return judge_wrapped(kind, code, output, program_of(shlex.split(line)), sent)


@pytest.mark.parametrize(
    ("line", "code", "sent", "status", "reason", "error"),
    [
        # Ctrl-C and Ctrl-\ at a terminal: somebody changed his mind
        ("sleep 30", -2, CTRL_C, "cancelled", "cancelled", "interrupted at the terminal"),
        ("sleep 30", -3, CTRL_BACKSLASH, "cancelled", "cancelled", "interrupted at the terminal"),
        (RESTIC, 130, CTRL_C, "cancelled", "cancelled", "interrupted at the terminal"),
        (RESTIC, 1, CTRL_C, "cancelled", "cancelled", "interrupted at the terminal"),  # 0.18.0
        # everything else that ends a run is a failure: timeout, systemd, earlyoom, kill
        ("sleep 30", -15, TERM, "failed", "terminated", "ended by SIGTERM, sent to `exec`"),
        ("sleep 30", -1, HUP, "failed", "terminated", "ended by SIGHUP, sent to `exec`"),
        ("sleep 30", -2, INT, "failed", "terminated", "ended by SIGINT, sent to `exec`"),
        (RESTIC, -15, TERM, "failed", "terminated", "ended by SIGTERM, sent to `exec`"),  # 0.14
        (
            RESTIC,
            130,
            TERM,
            "failed",
            "terminated",
            "ended by SIGTERM, sent to `exec`",
        ),  # 0.19.1 says 130 whichever it was
        (SCRIPT, 1, TERM, "failed", "terminated", "ended by SIGTERM, sent to `exec`; exit code 1"),
        # without a word to exec: straight to the command, or to a child of a shell
        ("sleep 30", -15, None, "failed", "terminated", "ended by SIGTERM, which nobody here asked for"),
        ("sleep 30", -2, None, "failed", "terminated", "ended by SIGINT, which nobody here asked for"),
        (RESTIC, 130, None, "failed", "terminated", "ended by SIGINT, which nobody here asked for"),
        (SCRIPT, 130, None, "failed", "terminated", "ended by SIGINT, which nobody here asked for"),
        (SCRIPT, 143, None, "failed", "terminated", "ended by SIGTERM, which nobody here asked for"),
        (SCRIPT, 137, None, "failed", "terminated", "ended by SIGKILL, which nobody here asked for (out of memory?)"),
        (SCRIPT, 139, None, "failed", "terminated", "ended by SIGSEGV, which nobody here asked for"),
        (SCRIPT, 141, None, "failed", "terminated", "ended by SIGPIPE, which nobody here asked for"),
        (
            "sleep 30",
            -9,
            None,
            "failed",
            "terminated",
            "ended by SIGKILL, which nobody here asked for (out of memory?)",
        ),
        ("sleep 30", -40, None, "failed", "terminated", "ended by signal 40, which nobody here asked for"),
        # codes over 128 that no signal stands behind
        (SCRIPT, 128, None, "failed", "error", "exit code 128"),
        (SCRIPT, 255, None, "failed", "error", "exit code 255"),
        # the command saw to the signal itself
        (SCRIPT, 0, TERM, "succeeded", "ok", None),
        (SCRIPT, 0, CTRL_C, "succeeded", "ok", None),
        # timeout's own code, where timeout is there
        ("timeout 5h sleep 1d", 124, None, "failed", "timeout", "stopped by `timeout`: it ran longer than 5h"),
        (SCRIPT, 124, None, "failed", "error", "exit code 124"),
    ],
)
def test_an_end_by_a_signal(
    line: str, code: int, sent: Sent | None, status: str, reason: str, error: str | None
) -> None:
    verdict = judged(line, code, sent=sent)
    assert (verdict.status, verdict.reason, verdict.error) == (status, reason, error)


def test_what_a_command_said_before_it_was_ended_stays() -> None:
    verdict = judged(RESTIC, 1, exit_error(1, "Fatal: unable to save snapshot: context canceled"), TERM)
    assert verdict.error == "ended by SIGTERM, sent to `exec`; exit code 1: unable to save snapshot: context canceled"


@pytest.mark.parametrize(
    ("code", "said", "status"),
    [(3, UNREAD + SUMMARY + SOME, "partial"), (130, SUMMARY, "succeeded"), (1, "", "failed")],
)
def test_a_backup_whose_snapshot_is_made_is_judged_by_it_whatever_was_sent(code: int, said: str, status: str) -> None:
    assert judged(RESTIC, code, said, TERM).status == status


@pytest.mark.parametrize(
    ("code", "word", "name"),
    [(1, "terminated", "SIGTERM"), (1, "interrupt", "SIGINT"), (130, "terminated", "SIGTERM")],
)
def test_restic_says_itself_which_signal_it_got(code: int, word: str, name: str) -> None:
    said = f"\x1b[2Ksignal {word} received, cleaning up\n" + exit_error(1, "Fatal: unable to save snapshot: canceled")
    verdict = judged(RESTIC, code, said)
    assert (verdict.status, verdict.reason) == ("failed", "terminated")
    assert f"ended by {name}" in (verdict.error or "")
    assert judged(SCRIPT, 1, said).reason == "error", "a script may have dealt with it"


@pytest.mark.parametrize(
    ("line", "code", "said", "kind", "error"),
    [
        ("restic backup -n /x", 0, "", "backup", "a dry run: nothing was changed"),
        ("restic backup -vn /x", 0, DRY, "backup", "a dry run: nothing was changed"),
        ("sudo restic forget --keep-last 1 --dry-run", 0, "", "forget", "a dry run: nothing was changed"),
        ("restic prune --dry-run=true", 0, "", "prune", "a dry run: nothing was changed"),
        # inside of a script, by what restic says
        (SCRIPT, 0, DRY, "backup", "a dry run: nothing was changed"),
        (SCRIPT, 0, WOULD, "backup", "a dry run: nothing was changed"),
        (SCRIPT, 3, WOULD, "backup", "a dry run: nothing was changed; it ended with exit code 3"),
        # one that fails tells nothing of backups either
        ("restic backup -n /x", 12, PASSWORD, "backup",
         "a dry run: nothing was changed; it ended with exit code 12: wrong password or no key found"),
        ("restic backup -n /x", -15, "", "backup", "a dry run: nothing was changed; it ended with exit code 143: "
         "ended by SIGTERM, which nobody here asked for"),
    ],
)  # fmt: skip
def test_a_dry_run_is_skipped(line: str, code: int, said: str, kind: JobKind, error: str) -> None:
    verdict = judged(line, code, said, kind=kind)
    assert (verdict.status, verdict.reason, verdict.error) == ("skipped", "skipped", error)


def test_a_script_that_rehearses_and_then_backs_up_has_backed_up() -> None:
    assert judged(SCRIPT, 0, DRY + SUMMARY).status == "succeeded"
    assert judged(SCRIPT, 0, WOULD + "snapshot 8c793959 saved\n").status == "succeeded"


@pytest.mark.parametrize(
    ("code", "said", "status", "reason"),
    [
        (1, WOULD, "failed", "error"),
        (12, DRY + PASSWORD, "failed", "wrong_password"),
        (0, DRY + PASSWORD, "partial", "wrong_password"),
        (-9, DRY, "failed", "terminated"),
    ],
)
def test_a_script_that_fails_behind_its_rehearsal_has_failed(code: int, said: str, status: str, reason: str) -> None:
    verdict = judged(SCRIPT, code, said)
    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_restic_that_has_saved_a_snapshot_was_no_dry_run_whatever_its_flags_look_like() -> None:
    line = "restic backup --flag-of-tomorrow -n /x"
    assert judged(line, 0, SUMMARY).status == "succeeded"
    assert judged(line, 0, "snapshot 8c793959 saved\n").status == "succeeded"


@pytest.mark.parametrize("code", [3, 10, 11, 12])
def test_codes_of_restics_mean_nothing_from_another_program(code: int) -> None:
    verdict = judged("rsync -a /srv/restic nas:/", code)
    assert (verdict.status, verdict.reason, verdict.error) == ("failed", "error", f"exit code {code}")


@pytest.mark.parametrize(
    ("code", "said", "status", "reason", "warned"),
    [
        # a failure inside, hidden behind a 0: nothing was saved
        (0, PASSWORD, "partial", "wrong_password", True),
        (0, LOCK, "partial", "locked", True),
        (0, NOWHERE, "partial", "no_repository", True),
        (0, BROKEN, "partial", "partial", True),
        # a failure and then, perhaps on another try, a good backup
        (0, LOCK + SUMMARY, "succeeded", "ok", True),
        (0, LOCK + UNCHANGED, "succeeded", "ok", True),
        (0, SUMMARY + LOCK, "succeeded", "ok", True),  # forget behind the backup
        # unread files behind a 0
        (0, UNREAD + SUMMARY, "partial", "partial", False),
        (0, UNREAD + SUMMARY + SOME, "partial", "partial", True),
        (0, SUMMARY + SOME, "partial", "partial", True),
        (0, SUMMARY, "succeeded", "ok", False),
        # the script fails, for restic's reason or for one of its own
        (12, PASSWORD, "failed", "wrong_password", False),
        (1, LOCK, "failed", "locked", False),
        (1, BROKEN, "failed", "error", False),
        (12, LOCK + SUMMARY, "failed", "error", False),
        (3, UNREAD + SUMMARY + SOME, "partial", "partial", False),
        (5, UNREAD + SUMMARY + SOME, "failed", "error", False),
        (3, "", "failed", "error", False),
    ],
)
def test_a_restic_inside_of_a_script_adds_reasons(code: int, said: str, status: str, reason: str, warned: bool) -> None:
    found = judged(SCRIPT, code, said)
    assert (found.status, found.reason) == (status, reason)
    assert (found.warning is not None) is warned


def test_a_check_inside_of_a_script_that_fails_is_warned_of() -> None:
    found = judged(SCRIPT, 0, BROKEN, kind="check")
    assert found.status == "succeeded"
    assert found.warning == (
        "a restic in this command failed (exit code 1), and the command ended with 0: "
        "unable to save snapshot: connection reset"
    )


def test_restic_itself_is_judged_by_its_codes() -> None:
    verdict = judged("sudo -u backup restic_0.18 backup /x", 12, "")
    assert (verdict.status, verdict.reason) == ("failed", "wrong_password")
