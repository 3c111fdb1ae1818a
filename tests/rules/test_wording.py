"""What people read. Whole sentences, so that a change of one word is seen here."""

from typing import Literal

import pytest

from rmactors.common import clock
from rmactors.common.vocabulary import JOB_KINDS, JobEnd, JobKind, JobReason
from rmactors.server.actors.rules import wording
from rmactors.server.state.alert_state import Doubt, Size

SATURDAY = clock.from_rfc3339("2026-11-21T03:00:00Z")


@pytest.mark.parametrize(
    ("kind", "label", "status", "reason", "error", "code", "last", "says"),
    [
        ("backup", "Nightly", "failed", "wrong_password", None, 12, SATURDAY,
         "Backup of Nightly failed: wrong password. Last good one: Saturday 2026-11-21 03:00 UTC."),
        # the agent's own words are better than ours
        ("backup", "Nightly", "failed", "locked", "repository locked by pid 12 on nas", 11, None,
         "Backup of Nightly failed: repository locked by pid 12 on nas. No earlier good one is known."),
        ("backup", "home", "partial", "partial", "3 files could not be read", 3, None,
         "Backup of home was only partial: 3 files could not be read. No earlier good one is known."),
        ("backup", "", "failed", "error", None, 1, None,
         "Backup failed: exit code 1. No earlier good one is known."),
        ("backup", "", "failed", "error", None, None, None,
         "Backup failed: no reason was given. No earlier good one is known."),
        ("backup", "x", "failed", "lost", None, None, None,
         "Backup of x failed: its end was not reported. No earlier good one is known."),
        ("backup", "x", "failed", "lost", "its agent came back and does not know of it", None, None,
         "Backup of x failed: its agent came back and does not know of it. No earlier good one is known."),
        ("forget", "Nightly", "failed", "no_repository", None, 10, None,
         "Forget of Nightly failed: the repository is not there or cannot be reached."
         " No earlier good one is known."),
        ("prune", "", "failed", "timeout", None, None, None,
         "Prune failed: it took too long and was stopped. No earlier good one is known."),
        ("check", "main", "failed", "corrupt", "Fatal: repository contains errors.", 1, None,
         "Check of main failed: Fatal: repository contains errors. No earlier good one is known."),
        ("check", "", "partial", "partial", None, 3, None,
         "Check was only partial: some files could not be read. No earlier good one is known."),
        ("restore_test", "home", "failed", "corrupt", "1 of 20 files could not be restored: /srv/a", 1, SATURDAY,
         "Restore test of home failed: 1 of 20 files could not be restored: /srv/a."
         " Last good one: Saturday 2026-11-21 03:00 UTC."),
        ("restore_test", "", "failed", "lost", None, None, None,
         "Restore test failed: its end was not reported. No earlier good one is known."),
    ],
)  # fmt: skip
def test_a_failure(
    kind: JobKind, label: str, status: JobEnd, reason: JobReason, error: str | None, code: int | None, last: int | None,
    says: str,
) -> None:  # fmt: skip
    assert wording.failed(kind, label, status, reason, error, code, last) == says


def test_times_are_in_the_zone_of_the_schedule_with_its_name() -> None:
    said = wording.failed("backup", "Nightly", "failed", "wrong_password", None, 12, SATURDAY, "Europe/Berlin")
    assert said == "Backup of Nightly failed: wrong password. Last good one: Saturday 2026-11-21 04:00 CET."
    said = wording.failed("backup", "Nightly", "failed", "wrong_password", None, 12, SATURDAY, "America/Los_Angeles")
    assert said.endswith("Last good one: Friday 2026-11-20 19:00 PST.")
    said = wording.failed("backup", "Nightly", "failed", "wrong_password", None, 12, SATURDAY, "No/Where")
    assert said.endswith("Last good one: Saturday 2026-11-21 03:00 UTC.")  # still true, and better than nothing
    assert wording.stale("Home", SATURDAY, SATURDAY - clock.DAY, "Asia/Kolkata") == (
        "Home should have run on Saturday 2026-11-21 08:30 IST and did not start."
        " Last run: Friday 2026-11-20 08:30 IST."
    )


def test_a_lock_is_told_with_what_came_before_it() -> None:
    began = (SATURDAY, "connection lost.")
    said = wording.failed("backup", "Nightly", "failed", "locked", None, 11, None, "Europe/Berlin", began)
    assert said == (
        "Backup of Nightly failed: another restic holds the repository's lock."
        " It began on Saturday 2026-11-21 04:00 CET: connection lost. No earlier good one is known."
    )


@pytest.mark.parametrize(
    ("kind", "label", "status", "says"),
    [
        ("backup", "Nightly", "succeeded", "Nightly is backed up again."),
        ("forget", "", "succeeded", "This host: old snapshots are forgotten again."),
        ("prune", "", "succeeded", "A repository is pruned again."),
        ("check", "main", "succeeded", "main passed its check again."),
        ("backup", "Nightly", "cancelled", "Nightly: the run that was thought lost was cancelled."),
        ("backup", "", "skipped", "This host: the run that was thought lost was skipped."),
    ],
)
def test_a_recovery(kind: JobKind, label: str, status: JobEnd, says: str) -> None:
    assert wording.recovered(kind, label, status) == says


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_every_kind_of_job_has_its_words(kind: JobKind) -> None:
    said = wording.failed(kind, "x", "failed", "error", None, 1, None)
    assert said.endswith(" of x failed: exit code 1. No earlier good one is known.")
    assert said[0].isupper()
    assert wording.recovered(kind, "x", "succeeded").endswith(".")


def test_conditions() -> None:
    assert wording.stale("Home", SATURDAY, None) == (
        "Home should have run on Saturday 2026-11-21 03:00 UTC and did not start. It has not run yet."
    )
    assert wording.stale("Home", SATURDAY, SATURDAY - clock.DAY).endswith("Last run: Friday 2026-11-20 03:00 UTC.")
    assert wording.running_again("Home") == "Home has started again."
    assert wording.not_expected("Home", "disabled") == "Home is not expected any more: the schedule was disabled."


@pytest.mark.parametrize(
    ("label", "what", "number", "usual", "says"),
    [
        ("Nightly", "files", 0, None, "Nightly was backed up, but with 0 files: is"),
        ("Nightly", "files", 1, 12_345, "Nightly was backed up, but with 1 file (usually about 12,300): is"),
        ("", "files", 42, 999, "This host was backed up, but with 42 files (usually about 999): is"),
        ("x", "bytes", 1, 1000, "x was backed up, but with 1 byte (usually about 1.0 kB): is"),
        ("x", "bytes", 999, 5_000_000, "x was backed up, but with 999 bytes (usually about 5.0 MB): is"),
        ("x", "bytes", 3_650_722_201, 10**15, "x was backed up, but with 3.7 GB (usually about 1.0 PB): is"),
        ("x", "bytes", 0, 10**17, "x was backed up, but with 0 bytes (usually about 100 PB): is"),
    ],
)
def test_a_backup_that_looks_wrong(label: str, what: Literal["files", "bytes"], number: int, usual: int | None,
                                   says: str) -> None:  # fmt: skip
    held, usually = (
        (Size(number, None), Size(usual, None)) if what == "files" else (Size(None, number), Size(None, usual))
    )
    assert wording.suspicious(label, Doubt(held, what, usually)).startswith(says)


@pytest.mark.parametrize(
    ("doubt", "held"),
    [
        (Doubt(Size(9, 7_000_000), "files", Size(100, 8_000_000)),
         "9 files (usually about 100) and 7.0 MB (usually about 8.0 MB)"),
        (Doubt(Size(98, 7), "bytes", Size(100, 8_000_000)),  # what is too few of comes first
         "7 bytes (usually about 8.0 MB) and 98 files (usually about 100)"),
        (Doubt(Size(0, 0), "files", Size(None, None)), "0 files and 0 bytes"),
    ],
)  # fmt: skip
def test_it_is_told_with_all_numbers_that_are_known(doubt: Doubt, held: str) -> None:
    assert wording.suspicious("Nightly", doubt) == (
        f"Nightly was backed up, but with {held}: is the source mounted and complete?"
        " If this is meant, answer so: later backups are then compared with this one."
    )


@pytest.mark.parametrize(
    ("size", "held"),
    [(Size(0, 0), "0 files and 0 bytes"), (Size(1, None), "1 file"), (Size(None, 2048), "2.0 kB")],
)
def test_what_is_meant(size: Size, held: str) -> None:
    assert wording.meant(size) == f"It is meant that this backup holds {held}: later backups are compared with it."
