"""Restore tests with real restic: what they find, what they let pass, what they leave behind."""

import json
import os
import random
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.cheap_key import new_repository
from rmactors.agent.process import Stop, StopReason
from rmactors.agent.restic_steps import JobResult
from rmactors.agent.restore_test import job as restore_test_job
from tests.restics import restics, version_of

from .jobs import Jobs
from .repositories import ResticRepository, restic_processes
from .server_double import eventually
from .small_disk import SmallDisk, small_disk
from .test_restore_comparing import Writer

ODD_NAMES = ("b*?[x]", "-x", " lead trail ", "new\nline", 'q"uo\\te #$HOME !', "ü", "%2F", "a: b")


@pytest.fixture
def repository(bare_repository: ResticRepository) -> ResticRepository:
    """With a password that costs no time: a test calls restic often."""
    new_repository(bare_repository.path, "secret")
    return bare_repository


def wrapped(folder: Path, restic: str, script: str) -> str:
    """A restic that does something besides. `$restic` is the real one, `$*` its arguments."""
    path = folder / "wrapped-restic"
    path.write_text(f"#!/bin/bash\nrestic={restic}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def jobs(repository: ResticRepository, folder: Path, /, **changes: Any) -> Jobs:
    return Jobs(repository.agent_file(**changes), folder / "state")


def left_behind(folder: Path) -> list[str]:
    """What lies in the place of the private folders."""
    return os.listdir(folder / "state" / "restore-tests")


def newest_restic() -> str:
    return list(restics().values())[-1]


def is_writing(folder: Path) -> bool:
    """Whether restic has begun to write into a private folder."""
    return any((folder / "state").glob("restore-tests/*/files/**/home/*"))


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", 8192) as disk:
        yield disk


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
    folder.mkdir()
    for name in ODD_NAMES:
        (folder / name).write_text(name)
    folder.chmod(0o500)
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
        assert str(repository.source) in (result.verdict.error or "")
    assert gone.stats["files_failed"] == 3
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


async def test_trees_that_are_in_this_hosts_cache_alone_prove_nothing(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    if version_of(each_restic) < (0, 17):
        pytest.skip("it tries a pack that is gone for 45 s")
    (repository.source / "large").write_bytes(random.Random(1).randbytes(2_000_000))
    doing = jobs(repository, tmp_path, restic=each_restic)
    assert is_good(await doing.do("backup"))
    packs(repository)[-1].unlink()
    result = await doing.do("restore_test")
    assert (result.verdict.status, result.verdict.reason) == ("failed", "corrupt"), result


async def test_a_source_that_is_written_all_the_while_never_fails_a_test(
    repository: ResticRepository, tmp_path: Path
) -> None:
    files = [repository.source / f"{number}" for number in range(6)]
    for file in files:
        file.write_bytes(os.urandom(3_200))
    doing = jobs(repository, tmp_path)
    compared = changed = 0
    with Writer(files, seed=2):
        for _ in range(3):
            assert (await doing.do("backup")).verdict.status in {"succeeded", "partial"}  # one may go meanwhile
            result = await doing.do("restore_test")
            assert is_good(result), result
            compared += result.stats["compared_with_source"]
            changed += result.stats.get("source_changed", 0)
    assert compared >= 9, "what nobody writes is compared each time"
    assert changed > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of others")
async def test_an_owner_that_cannot_be_set_here_is_a_warning(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    """As root in a container without that right."""
    os.chown(repository.source / "b.bin", 65534, 65534)
    script = 'exec setpriv --bounding-set=-chown --inh-caps=-all $restic "$@"'
    doing = jobs(repository, tmp_path, restic=wrapped(tmp_path, each_restic, script))
    assert is_good(await doing.do("backup"))
    result = await doing.do("restore_test")
    assert is_good(result), result
    assert (result.verdict.warning or "").startswith("one owner, time or attribute could not be set")
    assert result.stats["warning"] == result.verdict.warning
    assert len(result.stats["warning"]) <= 200
    assert result.stats["compared_with_source"] == 3


# ---- limits


async def test_a_snapshot_whose_sizes_are_wrong_is_stopped_before_the_disk_is_full(
    repository: ResticRepository, tmp_path: Path
) -> None:
    """Any host that shares the repository can write such a snapshot."""
    (repository.source / "large").write_bytes(random.Random(1).randbytes(60_000_000))
    lying = """if [[ " $* " == *" ls "* ]]; then $restic "$@" | sed 's/"size":60000000/"size":60/'; exit; fi
exec $restic "$@" """
    slow = {"repository": {"limit_download": 20_000}}
    doing = jobs(repository, tmp_path, restic=wrapped(tmp_path, newest_restic(), lying), **slow)
    assert is_good(await doing.do("backup"))
    result = await doing.do("restore_test")
    assert (result.verdict.status, result.verdict.reason) == ("failed", "corrupt")
    assert "stopped: 4 files of snapshot" in (result.verdict.error or "")
    assert "its sizes are wrong" in (result.verdict.error or "")
    assert left_behind(tmp_path) == []
    await eventually(lambda: not restic_processes(repository))


async def test_no_more_than_a_part_of_the_free_space_is_used(
    repository: ResticRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = jobs(repository, tmp_path)
    assert is_good(await doing.do("backup"))
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(restore_test_job, "LEAST_FREE", 2 * free)
    none = await doing.do("restore_test")
    assert (none.verdict.status, none.verdict.reason) == ("failed", "error")
    assert "no room for a restore test" in (none.verdict.error or "")
    monkeypatch.setattr(restore_test_job, "LEAST_FREE", 0)
    monkeypatch.setattr(restore_test_job, "SHARE", free // 1_000)
    some = await doing.do("restore_test")
    assert is_good(some)
    assert some.stats["files_too_large"] == 1
    assert some.stats["bytes_tested"] < 1_100
    assert left_behind(tmp_path) == []


async def test_a_disk_that_others_fill_meanwhile_stops_it(
    repository: ResticRepository, tmp_path: Path, small: SmallDisk
) -> None:
    (repository.source / "large").write_bytes(random.Random(1).randbytes(3_000_000))
    doing = jobs(repository, tmp_path, restore_test_dir=str(small.path))
    filling = f"""[[ " $* " == *" restore "* ]] && head -c 6000000 /dev/zero > {small.path}/filler
exec $restic "$@" """
    doing.agent_file = repository.agent_file(
        restore_test_dir=str(small.path), restic=wrapped(tmp_path, newest_restic(), filling)
    )
    assert is_good(await doing.do("backup"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore_test_job, "LEAST_FREE", 0)
        patch.setattr(restore_test_job, "SHARE", 1)
        result = await doing.do("restore_test")
    assert (result.verdict.status, result.verdict.reason) == ("failed", "error"), result
    assert "no room where the sample was restored to" in (result.verdict.error or "")
    assert os.listdir(small.path) == ["filler"]
    assert left_behind(tmp_path) == []


async def test_a_long_listing_takes_no_memory(repository: ResticRepository, tmp_path: Path) -> None:
    """Of 300,000 files, all of which were kept if it were for their number."""
    doing = jobs(repository, tmp_path)
    assert is_good(await doing.do("backup"))
    node = {"type": "file", "path": "/x/y", "size": 10**11, "mtime": "2026-01-01T00:00:00Z"}
    (tmp_path / "node").write_text(f"{json.dumps(node)}\n")
    long = f"""if [[ " $* " == *" ls "* ]]; then $restic "$@"; yes "$(cat {tmp_path}/node)" | head -300000; exit; fi
exec $restic "$@" """
    doing.agent_file = repository.agent_file(restic=wrapped(tmp_path, newest_restic(), long))
    before = peak_memory()
    result = await doing.do("restore_test")
    assert is_good(result), result
    assert result.stats["files_listed"] == 300_003
    assert peak_memory() - before < 60 << 20


# ---- its end


async def test_a_test_that_is_called_off_or_takes_too_long_leaves_nothing(
    each_restic: str, repository: ResticRepository, tmp_path: Path
) -> None:
    (repository.source / "large").write_bytes(random.Random(1).randbytes(6_000_000))
    doing = jobs(repository, tmp_path, restic=each_restic, repository={"limit_download": 1_500})
    assert is_good(await doing.do("backup"))
    ends: dict[StopReason, JobResult] = {}
    reasons: tuple[StopReason, ...] = ("cancelled", "timeout")
    for reason in reasons:
        stop = Stop()
        async with trio.open_nursery() as nursery:

            async def test(reason: StopReason = reason, stop: Stop = stop) -> None:
                ends[reason] = await doing.do("restore_test", stop)

            nursery.start_soon(test)
            await eventually(lambda: is_writing(tmp_path))
            stop.ask(reason)
    assert [ends[reason].verdict.reason for reason in reasons] == list(reasons)
    assert [ends[reason].verdict.status for reason in reasons] == ["cancelled", "failed"]
    assert left_behind(tmp_path) == []
    await eventually(lambda: not restic_processes(repository))


async def test_an_agent_that_is_stopped_meanwhile_leaves_nothing(repository: ResticRepository, tmp_path: Path) -> None:
    (repository.source / "large").write_bytes(random.Random(1).randbytes(6_000_000))
    doing = jobs(repository, tmp_path, repository={"limit_download": 1_500})
    assert is_good(await doing.do("backup"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: doing.do("restore_test"))
        await eventually(lambda: is_writing(tmp_path))
        nursery.cancel_scope.cancel()
    assert left_behind(tmp_path) == []
    await eventually(lambda: not restic_processes(repository))


# ---- others who work in the repository meanwhile


async def test_a_snapshot_that_is_forgotten_and_pruned_meanwhile_is_no_damage(
    repository: ResticRepository, tmp_path: Path
) -> None:
    doing = jobs(repository, tmp_path)
    assert is_good(await doing.do("backup"))
    (repository.source / "a.txt").write_text("later\n")
    newer = await doing.do("backup")
    assert is_good(newer)
    pruned = f"""if [[ " $* " == *" restore "* && ! -e {tmp_path}/once ]]; then
touch {tmp_path}/once; $restic forget --prune {newer.stats["snapshot_id"]} >/dev/null; fi
exec $restic "$@" """
    doing.agent_file = repository.agent_file(restic=wrapped(tmp_path, newest_restic(), pruned))
    result = await doing.do("restore_test")
    assert is_good(result), result
    assert not newer.stats["snapshot_id"].startswith(result.stats["snapshot_id"][:8])
    assert any("was removed meanwhile: testing the one that is the newest now" in line for line in doing.said)
    assert (result.stats["files_tested"], result.stats["source_changed"]) == (3, 1)
