"""The table that turns restic's exit codes and words into status, reason and a sentence. One row per case."""

import json

import pytest

from rmactors.agent.restic_output import OutputParser
from rmactors.agent.verdict import OutputSummary, judge, judge_any
from rmactors.common.vocabulary import JobKind

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
SIGTERM = (
    '\x1b[2Ksignal terminated received, cleaning up\n{"message_type":"exit_error","code":1,'
    '"message":"Fatal: unable to save snapshot: context canceled\\n"}\n'
)
SAVED = "processed 3 files, 878.912 KiB in 0:00\nsnapshot b65f96f4 saved\n"
AT_LEAST_ONE = "Warning: at least one source file could not be read\n"
EXISTS = [
    ("Fatal: create repository at /r failed: config file already exists\n",
     "create repository at /r failed: config file already exists"),
    ("Fatal: create repository at /r failed: Fatal: unable to open repository at /r: config file already exists",
     "create repository at /r failed: unable to open repository at /r: config file already exists"),
    ("Fatal: Fatal: create repository at /r failed: config file already exists",
     "create repository at /r failed: config file already exists"),
]  # fmt: skip
CHECKED = '{"message_type":"summary","num_errors":0,"broken_packs":null,"suggest_repair_index":false}\n'
NOTHING_CHECKED = CHECKED.replace(":0", ":1")
NO_LOCK_SAID = "unable to create lock in backend: open /r/locks/ab: permission denied"
NO_LOCK = "Save(<lock/ab>) failed: open /r/locks/ab: permission denied"
RETRY_500 = (
    "Load(<data/ab>, 0, 0) returned error, retrying after 1.9s: unexpected HTTP response (500): 500 Internal Server "
    "Error"
)
FULL = "unable to create lock in backend: write /r/locks/ab: no space left on device"
PACK = "f6e916dcc6812b668492a108dbb27a9c0113936d7597121fe0276c590cec1a61"
DAMAGED_PACK = [
    f"pack {PACK}: unexpected file size: got 1000, expected 9\n",
    "\nThe repository contains damaged pack files. These damaged files must be removed to ...\n\n",
    f"restic repair packs {PACK}\nrestic repair snapshots --forget\n\n",
    "Damaged pack files can be caused by backend problems, hardware problems or bugs in restic. ...\n",
    "=Fatal: repository contains errors",
]
DAMAGED_INDEX = [
    "error: error loading index ab: LoadRaw(<index/ab>): invalid data returned\n",
    "\nThe repository index is damaged and must be repaired. You must run `restic repair index' to correct this.\n\n",
    "=Fatal: repository contains errors",
]
DAMAGE_ELSEWHERE = [
    ("backup", "LoadRaw(<index/116d90677b>): invalid data returned"),
    ("backup", "Fatal: load <index/61499eb53c>: invalid data returned"),
    ("prune", "Fatal: LoadRaw(<key/ecfe8679c3>): invalid data returned"),
    ("snapshots", "Fatal: Unmarshal: invalid character 'u' after object key:value pair"),
    ("restore", "Fatal: config or key 3ea7a433 is damaged: ciphertext verification failed"),
    ("backup", "Error loading snapshot 822a8f65: failed to load snapshot 822a8f65: LoadRaw(<snapshot/82>): "
     "invalid data returned"),
    ("prune", "Fatal: failed finding blobs: ReadFull(<data/db>): open /r/data/db/db2e: no such file or directory"),
    ("prune", "Fatal: packs from index missing in repo"),
    ("prune", "Fatal: index is not complete"),
]  # fmt: skip
AGAIN = "parts of /x not found in the repository index; storing the file again"
EMPTY_CONFIG = "config file has zero size, invalid repository?"
GO_TRACE = (
    "github.com/restic/restic/internal/global.hasRepositoryConfig\n"
    "\tgithub.com/restic/restic/internal/global/global.go:352\n"
    "main.newBackupCommand.func2\n\tgithub.com/restic/restic/cmd/restic/cmd_backup.go:76\n"
    "github.com/spf13/cobra.(*Command).ExecuteC\n\tgithub.com/spf13/cobra/command.go:1148\n"
    "main.init\n\tgithub.com/restic/restic/cmd/restic/cmd_forget.go:67\nruntime.goexit\n\truntime/asm_amd64.s:1771"
)
GO_DUMP = (
    "goroutine 1 gp=0x1ad7b59301e0 m=8 mp=0x1ad7b5baa008 [running]:\nruntime.systemstack_switch()\n"
    "\truntime/asm_amd64.s:479 +0x8 fp=0x1 sp=0x2 pc=0x3\nsync.(*Once).doSlow(0x2?, 0x1ad7b5c880e0?)\n\ta/b.go:7 "
    "+0xab\ncreated by main.main in goroutine 1\n\t/m.go:1 +0x1\nstack: frame={sp:0x7f1fc4aba9b0, fp:0x0} stack=[0x1)\n"
    "0x00007f1fc4aba8b0:  0x98e3c5af98e3c5af  0x98e3c5af98e3c5af \nrax    0x0\neflags 0x246\nr15    0x1\ngs     0x0\n"
)
DOWN = (
    'Stat(<config/>) returned error, retrying after 14m1.5s: Head "http://h:9/config": dial tcp h:9: connect: '
    "connection refused\n"
)
S3 = [
    ("The AWS Access Key Id you provided does not exist in our records.", "error",
     "the storage refuses this access key"),
    ("The specified bucket does not exist", "no_repository", "there is no such bucket"),
    ("The difference between the request time and the current time is too large.", "error",
     "the clocks of this host and of the storage differ"),
]  # fmt: skip


def json_lines(*messages: str) -> str:
    """As check --json has them on stderr; `=` marks the last word."""
    kinds = [("exit_error", text[1:]) if text.startswith("=") else ("error", text) for text in messages]
    return "".join(json.dumps({"message_type": kind, "code": 1, "message": text}) + "\n" for kind, text in kinds)


def restore_error(message: str) -> str:
    return (
        json.dumps({"message_type": "error", "error": {"message": message}, "during": "restore", "item": "/x"}) + "\n"
    )


NO_REPOSITORY = (
    "Fatal: unable to open config file: stat /srv: no such file or directory\n"
    "Is there a repository at the following location?\n/srv\n"
)


def summary_of(stdout: str = "", stderr: str = "") -> OutputSummary:
    gathered = OutputSummary()
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
         "no_repository",
         "no repository there, or not reachable: unable to open repository at sftp:n:/x: EOF (refused)"),
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
        ("backup", 130, "", "", "failed", "terminated", "ended by SIGINT, which nobody here asked for"),
        ("backup", 143, "", "", "failed", "terminated", "ended by SIGTERM, which nobody here asked for"),
        ("backup", -15, "", "", "failed", "terminated", "ended by SIGTERM, which nobody here asked for"),
        *(("backup", code, "", "", "failed", "terminated",
           "ended by SIGKILL, which nobody here asked for (out of memory?)") for code in (137, -9)),
        # 0.18.0 ends with 1 where it got a signal, 0.19.1 with 130 for SIGTERM as well
        ("backup", 1, "", SIGTERM, "failed", "terminated", "ended by SIGTERM, which nobody here asked for"),
        ("check", 130, "", SIGTERM.replace("\x1b[2K", "\r").replace('"code":1', '"code":130'), "failed", "terminated",
         "ended by SIGTERM, which nobody here asked for"),
        # a missing source without --json, in 0.19.1
        ("backup", 3, SAVED, f"/data does not exist, skipping\n{AT_LEAST_ONE}", "partial", "no_source",
         "/data does not exist"),
        # and a file that cannot be read besides
        ("backup", 3, SAVED, f"/data does not exist, skipping\nerror: open /x: permission denied\n{AT_LEAST_ONE}",
         "partial", "partial", "1 file could not be read: open /x: permission denied"),
        # init where a repository is: 0.14, 0.18, 0.19
        *(("init", 1, "", f"{words}\n", "failed", "error", f"a repository exists there already: {said}")
          for words, said in EXISTS),
        # check: what only looks like damage. A locks folder that cannot be written, in JSON (0.19.1) and in plain text
        ("check", 1, NOTHING_CHECKED, json_lines(NO_LOCK, f"={NO_LOCK_SAID}"), "failed", "error", NO_LOCK_SAID),
        ("check", 1, "", f"{NO_LOCK}\n{NO_LOCK_SAID}\n", "failed", "error", NO_LOCK_SAID),
        # retries that went well in the end
        ("check", 0, CHECKED, json_lines(RETRY_500, "Load(<data/ab>, 0, 0) operation successful after 3 retries"),
         "succeeded", "ok", None),
        # and those that did not
        ("check", 1, NOTHING_CHECKED, json_lines(RETRY_500, "=Fatal: unable to load: EOF"), "failed", "error",
         "unable to load: EOF; unexpected HTTP response (500): 500 Internal Server Error, tried for 2 s"),
        # its summary counts an error whatever ended it
        ("check", 12, NOTHING_CHECKED, json_lines("=Fatal: wrong password or no key found"), "failed", "wrong_password",
         "wrong password"),
        ("check", 1, NOTHING_CHECKED, json_lines(f"={FULL}"), "failed", "error", FULL),
        ("check", 1, NOTHING_CHECKED, json_lines("=unable to create lock in backend: unexpected HTTP response (507): "
                                                 "507 Insufficient Storage"), "failed", "error",
         "no space left: unable to create lock in backend: unexpected HTTP response (507): 507 Insufficient Storage"),
        # check: real damage, with what to run
        ("check", 1, CHECKED, json_lines(*DAMAGED_PACK), "failed", "corrupt",
         f"the repository is damaged: pack {PACK}: unexpected file size: got 1000, expected 9. "
         f"To run: restic repair packs {PACK}, then restic repair snapshots --forget"),
        ("check", 1, CHECKED, json_lines(*DAMAGED_INDEX), "failed", "corrupt",
         "the repository is damaged: error loading index ab: LoadRaw(<index/ab>): invalid data returned. "
         "To run: restic repair index"),
        # damage that another kind of job meets
        *((kind, 1, "", f"{words}\n", "failed", "corrupt",
           f"the repository is damaged: {words.removeprefix('Fatal: ')}") for kind, words in DAMAGE_ELSEWHERE),
        ("prune", 1, "", "pack f6e916dc: calculated size 9 does not match real size 1\nRun 'restic repair index'\n"
         "Fatal: pack size does not match calculated size from index\n", "failed", "corrupt",
         "the repository is damaged: pack f6e916dc: calculated size 9 does not match real size 1; "
         "pack size does not match calculated size from index. To run: restic repair index"),
        # 0.18.0: its last words are the ones without a cause
        ("prune", 1, "", "cached file <data/ba> is too short\nmain.load\n\t/m.go:1\n"
         "ReadFull(<data/ba>)\nmain.load\n\t/m.go:2\n", "failed", "corrupt",
         "the repository is damaged: ReadFull(<data/ba>); cached file <data/ba> is too short"),
        ("restore", 1, "", "Load(<data/ba>, 9, 0) failed: file is too short\n"
         + restore_error("ReadFull(<data/ba>): file is too short") + json_lines("=Fatal: There were 2 errors\n"),
         "failed", "corrupt",
         "the repository is damaged: There were 2 errors; Load(<data/ba>, 9, 0) failed: file is too short; "
         "ReadFull(<data/ba>): file is too short"),
        # a restore that could not write is none
        ("restore", 1, "", restore_error("open /x: permission denied") + json_lines("=Fatal: There were 1 errors"),
         "failed", "error", "There were 1 errors"),
        # files whose data was missing in the repository are stored again: all is there
        ("backup", 3, SUMMARY, UNREAD.replace("open /x: permission denied", AGAIN), "succeeded", "ok", None),
        ("backup", 3, SAVED, f"error: /x: {AGAIN}\n{AT_LEAST_ONE}", "succeeded", "ok", None),
        ("backup", 3, SAVED, f"error: /x: {AGAIN}\nerror: open /y: permission denied\n{AT_LEAST_ONE}", "partial",
         "partial", "1 file could not be read: open /y: permission denied"),
        # a stack trace, in the message and on stderr
        ("backup", 1, "", json_lines(f"={EMPTY_CONFIG}\n{GO_TRACE}"), "failed", "corrupt",
         f"the repository is damaged: {EMPTY_CONFIG}"),
        ("backup", 1, "", f"{EMPTY_CONFIG}\n{GO_TRACE}\n", "failed", "corrupt",
         f"the repository is damaged: {EMPTY_CONFIG}"),
        ("forget", 3, "", f"Remove(<snapshot/ab>) failed: unexpected HTTP response (403): 403 Forbidden\n"
         f"failed to remove one or more snapshots\n{GO_TRACE}\n", "failed", "nothing_done",
         "failed to remove one or more snapshots: unexpected HTTP response (403): 403 Forbidden"),
        ("backup", 1, "", f"unable to open cache: mkdir /c: permission denied\nmkdir /c: permission denied\n"
         f"{GO_TRACE}\n", "failed", "error", "mkdir /c: permission denied"),
        # out of memory
        ("backup", 2, "", f"runtime: out of memory: cannot allocate 4194304-byte block (41451520 in use)\n"
         f"fatal error: out of memory\n\n{GO_DUMP}", "failed", "error", "fatal error: out of memory"),
        ("backup", 2, "", f"panic: runtime error: index out of range [3] with length 3\n\n{GO_DUMP}", "failed", "error",
         "panic: runtime error: index out of range [3] with length 3"),
        ("check", 2, "", f"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\n"
         f"{GO_DUMP}", "failed", "error", "runtime/cgo: pthread_create failed: Resource temporarily unavailable"),
        # a server that is down
        ("backup", 1, "", DOWN + json_lines(
            '=Fatal: unable to open config file: Head "http://h:9/config": dial tcp h:9: connect: connection refused'),
         "failed", "no_repository", 'no repository there, or not reachable: unable to open config file: Head '
         '"http://h:9/config": dial tcp h:9: connect: connection refused; connection refused (h:9), tried for 14 min'),
        ("backup", 1, "", DOWN + json_lines("=Fatal: unable to open config file: context canceled\n"), "failed",
         "no_repository", "connection refused (h:9), tried for 14 min"),
        # a wrong key, bucket and clock, each after its retries
        *(("backup", 1, "", f"Stat(<config/>) returned error, retrying after 14m2s: Stat: {words}\n" + json_lines(
            f"=Fatal: unable to open config file: Stat: {words}"), "failed", reason,
           f"{better}: unable to open config file: Stat: {words}, tried for 14 min") for words, reason, better in S3),
        # 0.14 forgets a line end
        ("backup", 1, "", "error while unlocking: ssh exited: exit status 255Fatal: unable to save snapshot: ssh\n",
         "failed", "error", "unable to save snapshot: ssh"),
        # helpers' lines are no reason where there is a better one, and the only one where there is none
        ("backup", 1, "", "Fatal: boom\nrclone: 2026/11/28 NOTICE: Config file not found - using defaults\n", "failed",
         "error", "boom"),
        ("backup", 1, "", "rclone: 2026/11/28 Failed to create file system\n", "failed", "error",
         "2026/11/28 Failed to create file system"),
        ("backup", 1, "", "Fatal: create repository failed: Fatal: inner: Fatal: words\n", "failed", "error",
         "create repository failed: inner: words"),
    ],
)  # fmt: skip
def test_an_end_of_restic_means(
    kind: JobKind, code: int, stdout: str, stderr: str, status: str, reason: str, error: str | None
) -> None:
    verdict = judge(kind, code, summary_of(stdout, stderr))
    assert (verdict.status, verdict.reason, verdict.error) == (status, reason, error)


def test_a_stop_that_came_too_late_changes_nothing() -> None:
    assert judge("backup", 0, summary_of(SUMMARY), stopped="cancelled").status == "succeeded"


def test_a_stopped_run_is_cancelled_or_too_long_whatever_its_exit_code() -> None:
    for code in (1, 130, 143, -9):
        assert judge("backup", code, summary_of(), stopped="cancelled").status == "cancelled"
        late = judge("backup", code, summary_of(), stopped="timeout", seconds=5400)
        assert (late.status, late.reason, late.error) == ("failed", "timeout", "stopped: it ran longer than 1.5 h")


def test_a_source_that_was_missing_before_restic_began_counts() -> None:
    verdict = judge("backup", 0, summary_of(SUMMARY), missing_sources=["/a", "/b"])
    assert (verdict.status, verdict.error) == ("partial", "/a, /b do not exist")


def test_a_missing_source_that_restic_also_calls_an_error_is_a_missing_source() -> None:
    gone = UNREAD.replace("/x", "/a").replace("permission denied", "no such file or directory")
    verdict = judge("backup", 3, summary_of(SUMMARY, gone), missing_sources=["/a"])
    assert (verdict.status, verdict.reason, verdict.error) == ("partial", "no_source", "/a does not exist")
    both = judge("backup", 3, summary_of(SUMMARY, UNREAD + gone), missing_sources=["/a"])
    assert (both.status, both.reason) == ("partial", "partial")


def test_another_command_is_judged_by_its_exit_code_and_its_last_words() -> None:
    assert judge_any(0, summary_of("", "a warning\n")).status == "succeeded"
    failed = judge_any(2, summary_of("", "first\nlast\n"))
    assert (failed.status, failed.reason, failed.error) == ("failed", "error", "last")
    assert judge_any(2, summary_of()).error == "exit code 2"


def test_a_script_that_hides_unread_files_behind_a_zero_is_partial() -> None:
    assert judge_any(0, summary_of(UNREAD + SUMMARY)).status == "partial"


LOCK_STAYS = "Remove(<lock/a97>) failed: unexpected HTTP response (403): 403 Forbidden\n"
LOCK_RETRIED = "Remove(<lock/a97>) returned error, retrying after 552ms: blob not removed, server response: 403 (403)\n"


def test_a_good_backup_that_leaves_its_lock_is_good_and_says_so() -> None:
    verdict = judge(
        "backup", 0, summary_of(SUMMARY, LOCK_STAYS + "error while unlocking: unexpected HTTP response (403)\n")
    )
    assert (verdict.status, verdict.reason, verdict.error) == ("succeeded", "ok", None)
    assert verdict.warning is not None
    assert verdict.warning.startswith("its lock could not be removed (unexpected HTTP response (403): 403 Forbidden)")
    assert "restic unlock" in verdict.warning
    assert len(verdict.warning) <= 200
    partial = judge("backup", 3, summary_of(SUMMARY, UNREAD + LOCK_STAYS))
    assert (partial.status, partial.warning) == ("partial", verdict.warning)


@pytest.mark.parametrize("stopped", ["cancelled", "timeout", None])
def test_a_backup_that_is_made_is_good_however_long_restic_then_tries_to_remove_its_lock(stopped: str | None) -> None:
    """0.14 tries for a quarter of an hour; anyone who stops it then stops no backup."""
    for code in (130, -15, -9, 1):
        verdict = judge("backup", code, summary_of(SUMMARY, LOCK_RETRIED), stopped=stopped)  # type: ignore[arg-type]
        assert (verdict.status, verdict.error) == ("succeeded", None)
        assert "blob not removed" in (verdict.warning or "")
    assert judge("backup", -9, summary_of("", LOCK_RETRIED), stopped=stopped).status != "succeeded"  # type: ignore[arg-type]


def test_where_nothing_changed_and_restic_saved_no_snapshot_the_warning_says_so() -> None:
    verdict = judge("backup", 0, summary_of('{"message_type":"summary","files_new":0}\n'))
    assert (verdict.status, verdict.warning) == ("succeeded", "nothing changed: no new snapshot was needed")
    assert judge("backup", 0, summary_of(SUMMARY)).warning is None


def test_a_check_that_finds_no_error_still_passes_on_what_it_suggests() -> None:
    checked = '{"message_type":"summary","num_errors":0,"suggest_prune":true}\n'
    assert judge("check", 0, summary_of(checked)).warning == "check suggests: restic prune"
    said = "This is non-critical, you can run `restic prune` to correct this.\n"
    assert judge("check", 0, summary_of("", said)).warning == "check suggests: restic prune"


def test_a_stopped_run_says_what_restic_was_trying() -> None:
    cancelled = judge("backup", 130, summary_of("", DOWN), stopped="cancelled")
    assert cancelled.error == "cancelled; connection refused (h:9), tried for 14 min"
    late = judge("backup", 130, summary_of("", DOWN), stopped="timeout", seconds=60)
    assert late.error == "stopped: it ran longer than 1 min; connection refused (h:9), tried for 14 min"
    ended = judge("backup", 130, summary_of("", DOWN + SIGTERM))
    assert ended.error == "ended by SIGTERM, which nobody here asked for; connection refused (h:9), tried for 14 min"


def test_a_backup_that_ended_partial_as_it_was_to_be_stopped_is_partial() -> None:
    assert judge("backup", 3, summary_of(SUMMARY, UNREAD), stopped="cancelled").status == "partial"


def test_another_command_that_a_signal_ended_was_terminated() -> None:
    for code in (143, -15, -9, 137, 130, -2):
        verdict = judge_any(code, summary_of("", "half way\n"))
        assert (verdict.status, verdict.reason) == ("failed", "terminated")
    assert judge_any(150, summary_of("", "half way\n")).reason == "error"


def test_a_stack_trace_of_any_length_leaves_the_words_before_it() -> None:
    verdict = judge_any(1, summary_of("", f"it broke: here\n{GO_TRACE}\n" * 30))
    assert verdict.error == "it broke: here"
    crash = judge_any(2, summary_of("", "fatal error: out of memory\n\n" + GO_DUMP * 50))
    assert crash.error == "fatal error: out of memory"


def test_a_signal_behind_the_snapshot_ends_no_backup() -> None:
    """On a slow link restic is still removing its lock."""
    for code in (-9, -15, 130, 1):
        stopped = judge("backup", code, summary_of(SUMMARY, SIGTERM), stopped="cancelled")
        assert stopped.status == judge("backup", code, summary_of(SUMMARY, SIGTERM)).status == "succeeded"
    assert judge("backup", 1, summary_of(SUMMARY, "Fatal: boom\n")).status == "failed"
    assert judge("backup", -9, summary_of(SUMMARY, UNREAD)).reason == "partial", "not all of it was read"


def test_without_json_too_a_backup_says_that_nothing_changed() -> None:
    assert judge("backup", 0, summary_of("skipped creating snapshot\n")).warning == (
        "nothing changed: no new snapshot was needed"
    )
    assert judge("backup", 0, summary_of("snapshot b65f96f4 saved\n")).warning is None


@pytest.mark.parametrize(
    "line",
    [
        'Ignoring "13e8": failed to load snapshot 13e8: LoadRaw(<snapshot/13e8>): invalid data returned',
        "could not load snapshot a651ad70: load <snapshot/a651ad7055>: invalid data returned",
    ],
)
def test_damage_that_restic_passes_over_is_a_warning(line: str) -> None:
    """forget and snapshots end with 0 beside a damaged snapshot file."""
    verdict = judge("forget", 0, summary_of("[]\n", f"{line}\n"))
    assert (verdict.status, verdict.error) == ("succeeded", None)
    assert verdict.warning is not None
    assert verdict.warning.startswith("restic met damage in the repository, let a check look at it: ")


def test_a_forget_whose_snapshots_stay_has_done_nothing_whatever_its_exit_code() -> None:
    """0.18 and 0.19 on an append-only server."""
    said = (
        "Remove(<snapshot/ab>) failed: unexpected HTTP response (403): 403 Forbidden\n"
        "unable to remove snapshot/ab12 from the repository\n"
    )
    newer = json_lines("=failed to remove one or more snapshots\nmain.init\n\t/m.go:1")
    for verdict in (judge("forget", 0, summary_of("[]\n", said)), judge("forget", 3, summary_of("[]\n", said + newer))):
        assert (verdict.status, verdict.reason) == ("failed", "nothing_done")
        assert "403" in (verdict.error or "")


def test_a_backup_that_meets_a_tree_which_no_index_has_is_partial_with_a_warning() -> None:
    trouble = {"message": "/: tree ba is not known; the repository could be damaged, run `repair index`"}
    said = json.dumps({"message_type": "error", "error": trouble, "during": "archival", "item": "/x"})
    verdict = judge("backup", 3, summary_of("", f"{said}\n"))
    assert (verdict.status, verdict.reason) == ("partial", "partial")
    assert (verdict.warning or "").startswith("restic met damage in the repository")


def test_an_index_that_could_not_be_fetched_is_no_damage() -> None:
    """0.14's check says the same last word for both."""
    down = "error: error loading index ab: load <index/ab>: connection refused\nFatal: LoadIndex returned errors\n"
    assert judge("check", 1, summary_of("", down)).reason == "error"
    damaged = down.replace("connection refused", "invalid data returned")
    assert judge("check", 1, summary_of("", damaged)).reason == "corrupt"
