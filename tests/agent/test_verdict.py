"""The table that turns restic's exit codes and words into status, reason and a sentence. One row per case."""

import json

import pytest

from rmactors.agent.restic_output import OutputParser
from rmactors.agent.verdict import Digest, judge, judge_any
from rmactors.vocabulary import JobKind

LOCKED = (
    "unable to create lock in backend: repository is already locked exclusively by PID 12 on nas"
    " by root (UID 0, GID 0)\n"
    "lock was created at 2026-11-24 03:58:24 (5m3.022069356s ago)\n"
    "storage ID fff09bff\n"
    "the `unlock` command can be used to remove stale locks\n"
)
UNREAD = '{"message_type":"error","error":{"message":"open /x: permission denied"},"during":"archival","item":"/x"}\n'
SCAN = UNREAD.replace("archival", "scan")
SUMMARY = '{"message_type":"summary","files_new":1,"snapshot_id":"82f6f905"}\n'
EXIT_ERROR = '{"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: connection reset"}\n'
TRACE = '{"message_type":"exit_error","code":1,"message":"mkdir /x: permission denied\\nmain.main\\n\\t/m.go:1"}\n'
LOCKED_JSON = json.dumps({"message_type": "exit_error", "code": 11, "message": f"Fatal: {LOCKED}"}) + "\n"
NO_REPOSITORY = (
    "Fatal: unable to open config file: stat /srv: no such file or directory\n"
    "Is there a repository at the following location?\n/srv\n"
)


def digest(stdout: str = "", stderr: str = "") -> Digest:
    gathered = Digest()
    for stream, text in (("stdout", stdout), ("stderr", stderr)):
        parser = OutputParser(stream)  # type: ignore[arg-type]
        for item in [*parser.feed(text.encode()), *parser.finish()]:
            gathered.take(item)
    return gathered


@pytest.mark.parametrize(
    ("kind", "code", "stdout", "stderr", "status", "reason", "error"),
    [
        # all is well
        ("backup", 0, SUMMARY, "", "succeeded", "ok", None),
        # 0.14 hides a missing source among several behind a 0
        ("backup", 0, SUMMARY, "/data does not exist, skipping\n", "partial", "no_source", "/data does not exist"),
        # one, and several, files could not be read
        ("backup", 3, SUMMARY, UNREAD, "partial", "partial", "1 file could not be read: open /x: permission denied"),
        ("backup", 3, SUMMARY, UNREAD * 3, "partial", "partial",
         "3 files could not be read: open /x: permission denied"),
        # what the scan met is met again by the archiver, and counted once
        ("backup", 3, SUMMARY, SCAN + UNREAD, "partial", "partial",
         "1 file could not be read: open /x: permission denied"),
        # without --json there is no count
        ("backup", 3, "", "Warning: at least one source file could not be read\n", "partial", "partial",
         "some files could not be read"),
        # 3 means that only for a backup
        ("forget", 3, "", "Fatal: failed to remove one snapshot\n", "failed", "error", "failed to remove one snapshot"),
        # 0.19 ends with 3 where a source is missing
        ("backup", 3, SUMMARY, "/data does not exist, skipping\n", "partial", "no_source", "/data does not exist"),
        # by text, up to 0.16
        ("backup", 1, "", "Fatal: wrong password or no key found\n", "failed", "wrong_password", "wrong password"),
        ("backup", 1, "", "Fatal: all target directories/files do not exist\n", "failed", "no_source",
         "none of the sources exists"),
        ("backup", 1, "", NO_REPOSITORY, "failed", "no_repository",
         "no repository there, or not reachable: unable to open config file: stat /srv: no such file or directory"),
        ("backup", 1, "", "subprocess ssh: refused\nFatal: unable to open repository at sftp:n:/x: EOF\n", "failed",
         "no_repository", "no repository there, or not reachable: unable to open repository at sftp:n:/x: EOF"),
        ("prune", 1, "", LOCKED, "failed", "locked", "repository locked by pid 12 on nas since 5m3s"),
        ("check", 1, "", "pack 1234: not found\nFatal: repository contains errors\n", "failed", "corrupt",
         "the repository is damaged: pack 1234: not found"),
        ("backup", 1, "", "Fatal: write /srv/tmp: no space left on device\n", "failed", "error",
         "write /srv/tmp: no space left on device"),
        # by code, from 0.17
        ("backup", 12, "", "Fatal: wrong password or no key found\n", "failed", "wrong_password", "wrong password"),
        ("backup", 10, "", "Fatal: repository does not exist\n", "failed", "no_repository",
         "no repository there, or not reachable: repository does not exist"),
        ("check", 11, "", LOCKED, "failed", "locked", "repository locked by pid 12 on nas since 5m3s"),
        # the code counts more than the words
        ("backup", 12, "", LOCKED, "failed", "wrong_password", "wrong password"),
        # exit_error explains where the code says nothing, on whichever stream
        ("backup", 1, "", EXIT_ERROR, "failed", "error", "unable to save snapshot: connection reset"),
        ("backup", 1, EXIT_ERROR, "", "failed", "error", "unable to save snapshot: connection reset"),
        # 0.19 adds a stack trace; of a lock, its age
        ("backup", 1, "", TRACE, "failed", "error", "mkdir /x: permission denied"),
        ("prune", 11, "", LOCKED_JSON, "failed", "locked", "repository locked by pid 12 on nas since 5m3s"),
        # a code that nobody knows is a failure
        ("backup", 99, SUMMARY, "", "failed", "error", "exit code 99"),
        # signals
        ("backup", 130, "", "", "cancelled", "cancelled", "interrupted"),
        ("backup", 143, "", "", "failed", "error", "killed by SIGTERM"),
        ("backup", -9, "", "", "failed", "error", "killed by SIGKILL (out of memory?)"),
    ],
)  # fmt: skip
def test_an_end_of_restic_means(
    kind: JobKind, code: int, stdout: str, stderr: str, status: str, reason: str, error: str | None
) -> None:
    verdict = judge(kind, code, digest(stdout, stderr))
    assert (verdict.status, verdict.reason, verdict.error) == (status, reason, error)


def test_a_stop_that_came_too_late_changes_nothing() -> None:
    assert judge("backup", 0, digest(SUMMARY), stopped="cancelled").status == "succeeded"


def test_a_stopped_run_is_cancelled_or_too_long_whatever_its_exit_code() -> None:
    for code in (1, 130, 143, -9):
        assert judge("backup", code, digest(), stopped="cancelled").status == "cancelled"
        late = judge("backup", code, digest(), stopped="timeout", seconds=5400)
        assert (late.status, late.reason, late.error) == ("failed", "timeout", "stopped: it ran longer than 1.5 h")


def test_a_source_that_was_missing_before_restic_began_counts() -> None:
    verdict = judge("backup", 0, digest(SUMMARY), missing_sources=["/a", "/b"])
    assert (verdict.status, verdict.error) == ("partial", "/a, /b do not exist")


def test_a_missing_source_that_restic_also_calls_an_error_is_a_missing_source() -> None:
    gone = UNREAD.replace("/x", "/a").replace("permission denied", "no such file or directory")
    verdict = judge("backup", 3, digest(SUMMARY, gone), missing_sources=["/a"])
    assert (verdict.status, verdict.reason, verdict.error) == ("partial", "no_source", "/a does not exist")
    both = judge("backup", 3, digest(SUMMARY, UNREAD + gone), missing_sources=["/a"])
    assert (both.status, both.reason) == ("partial", "partial")


def test_another_command_is_judged_by_its_exit_code_and_its_last_words() -> None:
    assert judge_any(0, digest("", "a warning\n")).status == "succeeded"
    failed = judge_any(2, digest("", "first\nlast\n"))
    assert (failed.status, failed.reason, failed.error) == ("failed", "error", "last")
    assert judge_any(2, digest()).error == "exit code 2"


def test_a_script_that_hides_unread_files_behind_a_zero_is_partial() -> None:
    assert judge_any(0, digest(UNREAD + SUMMARY)).status == "partial"
