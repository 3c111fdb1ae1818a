"""Restore tests with real restic: what they find, what they let pass, what they leave behind."""

import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.restic_steps import JobResult
from tests.restics import version_of

from .jobs import Jobs
from .repositories import ResticRepository

ODD_NAMES = ("b*?[x]", "-x", " lead trail ", "new\nline", 'q"uo\\te #$HOME !', "ü", "%2F", "a: b")


def jobs(repository: ResticRepository, folder: Path, **changes: Any) -> Jobs:
    return Jobs(repository.agent_file(**changes), folder / "state")


def left_behind(folder: Path) -> list[str]:
    """What lies in the place of the private folders."""
    return os.listdir(folder / "state" / "restore-tests")


def is_good(result: JobResult) -> bool:
    return (result.verdict.status, result.verdict.reason) == ("succeeded", "ok")


def packs(repository: ResticRepository) -> list[Path]:
    """Largest first."""
    found = [path for path in (repository.path / "data").rglob("*") if path.is_file()]
    return sorted(found, key=os.path.getsize, reverse=True)


def flip(path: Path, at: int) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


async def test_a_good_backup_passes_and_its_numbers_say_what_was_tested(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    folder = repository.source / "d[1]"
    folder.mkdir(mode=0o500)
    for name in ODD_NAMES:
        (folder / name).write_text(name)
    os.link(folder / "-x", repository.source / "hard")
    (repository.source / "link").symlink_to("/etc/passwd")
    (repository.source / "empty").touch()
    (repository.source / "sparse").touch()
    os.truncate(repository.source / "sparse", 3 << 20)
    os.mkfifo(repository.source / "fifo")
    os.mknod(os.fsencode(repository.source) + b"/bad\xff")
    doing = jobs(repository, tmp_path, restic=each_restic)
    backup = await doing.do("backup")
    assert is_good(backup)
    result = await doing.do("restore_test", sample_files=100)
    assert is_good(result), result
    files = 3 + len(ODD_NAMES) + 3
    assert result.stats["files_tested"] == result.stats["compared_with_source"] == files
    assert result.stats["files_listed"] == files + 1
    assert result.stats["files_left_out"] == 1
    assert result.stats["bytes_tested"] > 3 << 20
    assert result.stats["snapshot_id"].startswith(backup.stats["snapshot_id"])
    assert left_behind(tmp_path) == []
    assert not repository.locks()
    few = await doing.do("restore_test", sample_files=2, sample_bytes=1000)
    assert is_good(few)
    assert few.stats["files_tested"] == 2
    assert few.stats["bytes_tested"] <= 1000
    assert few.stats["files_too_large"] == 2


async def test_a_flipped_byte_in_a_pack_is_found_and_its_files_are_named(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    (repository.source / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    doing = jobs(repository, tmp_path, restic=each_restic)
    assert is_good(await doing.do("backup"))
    for pack in packs(repository)[:1]:
        for at in range(0, pack.stat().st_size - 100_000, 100_000):
            flip(pack, at)
    result = await doing.do("restore_test")
    assert (result.verdict.status, result.verdict.reason) == ("failed", "corrupt")
    assert result.verdict.error is not None
    assert "could not be restored: " in result.verdict.error
    assert str(repository.source / "large") in result.verdict.error
    assert result.stats["files_failed"] >= 1
    assert left_behind(tmp_path) == []


async def test_a_pack_that_is_gone_or_cut_is_found(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    if version_of(each_restic) < (0, 17):
        pytest.skip("it tries each pack for 45 s; `make drill ARGS=--restore-tests` waits for that")
    doing = jobs(repository, tmp_path, restic=each_restic)
    assert is_good(await doing.do("backup"))
    pack = packs(repository)[0]
    pack.chmod(0o600)
    os.truncate(pack, 100)
    cut = await doing.do("restore_test")
    pack.unlink()
    gone = await doing.do("restore_test")
    for result in (cut, gone):
        assert (result.verdict.status, result.verdict.reason) == ("failed", "corrupt"), result
        assert str(repository.source / "a.txt") in (result.verdict.error or "")
        assert result.stats["files_failed"] == 3
    assert left_behind(tmp_path) == []


async def test_a_source_that_is_other_under_the_same_size_and_time_is_found(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    doing = jobs(repository, tmp_path, restic=each_restic)
    assert is_good(await doing.do("backup"))
    changed = repository.source / "b.bin"
    before = changed.stat()
    flip(changed, 30_000)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = await doing.do("restore_test")
    assert (result.verdict.status, result.verdict.reason) == ("failed", "corrupt")
    assert f"1 of 3 files differs from its source, although size and time are the same: {changed}" in str(result)
    assert result.stats["compared_with_source"] == 3
    assert result.stats["files_failed"] == 1


async def test_sources_that_changed_or_went_since_are_no_failure(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    doing = jobs(repository, tmp_path, restic=each_restic)
    assert is_good(await doing.do("backup"))
    (repository.source / "a.txt").write_text("other\n")
    (repository.source / "b.bin").unlink()
    result = await doing.do("restore_test")
    assert is_good(result)
    assert (result.stats["compared_with_source"], result.stats["source_changed"]) == (1, 2)


async def test_without_a_snapshot_or_without_files_nothing_was_done(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    doing = jobs(repository, tmp_path, restic=each_restic)
    none = await doing.do("restore_test")
    assert (none.verdict.status, none.verdict.reason) == ("failed", "nothing_done")
    assert "plan home has no snapshot" in (none.verdict.error or "")
    shutil.rmtree(repository.source)
    repository.source.mkdir()
    assert is_good(await doing.do("backup"))
    empty = await doing.do("restore_test")
    assert (empty.verdict.status, empty.verdict.reason) == ("failed", "nothing_done")
    assert "holds no files" in (empty.verdict.error or "")
    (repository.source / "large").write_bytes(bytes(5000))
    assert is_good(await doing.do("backup"))
    large = await doing.do("restore_test", sample_bytes=4999)
    assert large.verdict.reason == "nothing_done"
    assert "the smallest has 5.0 kB, a test may restore 5.0 kB here" in (large.verdict.error or "")
    assert left_behind(tmp_path) == []
