"""restore with real restics: files are named, not guessed at, and only what lies in the folder counts."""

from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile, Keep
from rmactors.agent.restic_steps import JobResult
from rmactors.agent.restored import look
from rmactors.common.vocabulary import JobKind

from .jobs import Jobs
from .repositories import ResticRepository

JOB = "J" * 26
ODD = ("film [1080p].nfo", "a*b", "a?c", r"back\slash", "film 1", "[")
"""File names with characters that mean something in patterns, beside such that these patterns would match."""


class Restores:
    """A repository with one snapshot of a plan, and restores from it."""

    def __init__(self, repository: ResticRepository, restic: str) -> None:
        self.repository = repository
        self.agent_file: AgentFile = repository.agent_file(restic=restic, host="nas")
        self.source = repository.source
        self.target = Path(str(self.agent_file.repositories["main"].restore_to))

    async def do(self, kind: JobKind, **params: Any) -> JobResult:
        return await Jobs(self.agent_file, self.target.parent / "state").do(kind, **params)

    def landed(self, end: JobResult) -> set[str]:
        """What was restored, by its path below the source."""
        base = Path(str(end.stats["restored_into"]) + str(self.source))
        return {str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir() or path.is_symlink()}

    def folders(self) -> list[Path]:
        return list(self.target.iterdir()) if self.target.exists() else []


@pytest.fixture
def restores(repository: ResticRepository, each_restic: str) -> Restores:
    return Restores(repository, each_restic)


async def test_files_are_restored_by_their_names_whatever_characters_these_have(restores: Restores) -> None:
    for name in (*ODD, "filmX1", "axb", "film [1080p]Xnfo", "film 1.nfo", "film 0.nfo"):
        (restores.source / name).write_text(name)
    await restores.do("backup")
    for name in ODD:
        end = await restores.do("restore", include=[str(restores.source / name)])
        assert (end.verdict.status, end.verdict.error) == ("succeeded", None), name
        assert restores.landed(end) == {name}
        assert (end.stats["files_restored"], end.stats["bytes_restored"]) == (1, len(name.encode()))


async def test_the_files_of_a_whole_snapshot_are_counted_without_folders(restores: Restores) -> None:
    (restores.source / "link").symlink_to("a.txt")
    (restores.source / "empty").mkdir()
    await restores.do("backup")
    end = await restores.do("restore")
    assert end.verdict.status == "succeeded"
    assert (end.stats["files_restored"], end.stats["bytes_restored"]) == (4, 50_014)
    assert restores.landed(end) == {"a.txt", "b.bin", "deep/ü.txt", "link"}
    assert "files_total" not in end.stats


async def test_a_path_that_is_not_in_the_snapshot_is_no_success_and_leaves_no_folder(restores: Restores) -> None:
    await restores.do("backup")
    nope = str(restores.source / "nope")
    end = await restores.do("restore", include=[nope])
    assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
    assert end.verdict.error == f"nothing in the snapshot matches {nope}"
    assert end.stats["files_restored"] == 0
    assert "restored_into" not in end.stats
    assert restores.folders() == []


async def test_of_several_paths_those_that_are_not_there_are_named(restores: Restores) -> None:
    await restores.do("backup")
    paths = [str(restores.source / name) for name in ("a.txt", "nope", "deep/", "deep/nope")]
    end = await restores.do("restore", include=paths)
    assert (end.verdict.status, end.verdict.reason) == ("partial", "partial")
    assert f"matches {paths[1]}, {paths[3]};" in (end.verdict.error or "")
    assert restores.landed(end) == {"a.txt", "deep/ü.txt"}


async def test_a_snapshot_without_files_restores_nothing(repository: ResticRepository) -> None:
    empty = repository.path.parent / "empty"
    empty.mkdir()
    restores = Restores(repository, "restic")
    restores.agent_file = repository.agent_file(host="nas", plan={"sources": [str(empty)]})
    await restores.do("backup")
    end = await restores.do("restore")
    assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
    assert end.verdict.error == "the snapshot holds no files, only folders"
    assert restores.folders() == []


async def test_latest_of_a_plan_without_snapshots_says_so(repository: ResticRepository) -> None:
    restores = Restores(repository, "restic")
    repository.restic("backup", "--host", "other", str(repository.source))
    end = await restores.do("restore")
    assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
    assert end.verdict.error == "plan home has no snapshot of host nas in this repository"
    assert restores.folders() == []


async def test_the_id_that_a_snapshot_had_before_it_was_adopted_still_restores_it(
    repository: ResticRepository, tmp_path: Path
) -> None:
    restores = Restores(repository, "restic")
    restores.agent_file = repository.agent_file(host="nas", plan={"keep": Keep(last=9)})
    repository.restic("backup", "--host", "nas", str(repository.source))
    (former,) = (file.name for file in (repository.path / "snapshots").iterdir())
    assert (await restores.do("forget")).stats["snapshots_adopted"] == 1
    end = await restores.do("restore", snapshot=former[:8])
    assert (end.verdict.status, end.stats["files_restored"]) == ("succeeded", 3)


async def test_a_snapshot_that_does_not_exist_leaves_no_folder(restores: Restores) -> None:
    await restores.do("backup")
    end = await restores.do("restore", snapshot="0123abcd")
    assert end.verdict.status == "failed"
    assert restores.folders() == []


async def test_a_restore_from_a_damaged_repository_counts_what_it_has_brought(restores: Restores) -> None:
    await restores.do("backup")
    packs = sorted((p for p in (restores.repository.path / "data").rglob("*") if p.is_file()), key=_size)
    content = bytearray(packs[-1].read_bytes())
    content[40:43] = b"\xff\xfe\xfd"  # 0.14 tries a pack that is too short for most of a minute
    packs[-1].chmod(0o600)
    packs[-1].write_bytes(content)
    end = await restores.do("restore")
    assert end.verdict.status == "failed"
    assert end.verdict.reason != "nothing_done"
    landed = len(restores.landed(end)) if "restored_into" in end.stats else 0
    assert end.stats["files_restored"] + end.stats.get("files_incomplete", 0) == landed


async def test_a_restore_takes_no_lock_and_leaves_none(restores: Restores) -> None:
    await restores.do("backup")
    locks = restores.repository.path / "locks"
    locks.chmod(0o500)
    before = locks.stat().st_mtime_ns
    for kind in ("restore", "snapshots"):
        end = await restores.do(kind)  # type: ignore[arg-type]
        assert end.verdict.status == "succeeded"
    assert locks.stat().st_mtime_ns == before, "not even for a moment"


def _size(path: Path) -> int:
    return path.stat().st_size


async def test_a_snapshot_of_another_host_is_restored_and_compared_only_where_the_file_allows_it(
    restores: Restores,
) -> None:
    """Anyone who has taken over one of the hosts that share a repository can write snapshots of whatever it likes."""
    restores.repository.restic("backup", "--host", "other", "--tag", "rmactors-plan:home", str(restores.source))
    (foreign,) = (file.name for file in (restores.repository.path / "snapshots").iterdir())
    await restores.do("backup")
    (own,) = {file.name for file in (restores.repository.path / "snapshots").iterdir()} - {foreign}
    ends = [await restores.do("restore", snapshot=foreign), await restores.do("diff", **{"from": own, "to": foreign})]
    for end in ends:
        assert (end.verdict.status, end.verdict.reason) == ("failed", "refused")
        assert end.verdict.error == (
            f"snapshot {foreign} was made by host other, not by nas; agent.toml can allow that with "
            "`snapshots_of_other_hosts = true` at the repository"
        )
    assert restores.folders() == []
    end = await restores.do("restore", snapshot=own[:10])
    assert (end.verdict.status, end.stats["snapshot_id"]) == ("succeeded", own)
    restores.agent_file = restores.repository.agent_file(
        restic=restores.agent_file.restic, host="nas", repository={"snapshots_of_other_hosts": True}
    )
    assert (await restores.do("restore", snapshot=foreign[:8])).verdict.status == "succeeded"
    assert (await restores.do("diff", **{"from": own[:8], "to": foreign[:8]})).verdict.status == "succeeded"


def test_what_lies_behind_a_restored_link_was_not_restored(tmp_path: Path) -> None:
    """Else a server could ask by way of a link which files there are on the host."""
    (tmp_path / "out").symlink_to("/")
    (tmp_path / "etc").mkdir()
    found = look(str(tmp_path), ["/out", "/out/etc/passwd", "/etc", "/etc/passwd"])
    assert found.missing == ("/out/etc/passwd", "/etc/passwd")
