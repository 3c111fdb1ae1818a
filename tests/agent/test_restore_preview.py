"""What a restore would bring and where to, asked live with each restic: it says what the job then does, and refuses
what the job refuses."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.restore_patterns import shown
from tests.restics import restics, version_of

from .jobs import Jobs
from .questions import asking, refusal
from .repositories import ResticRepository


class Host:
    """A host with plan `home`, one snapshot, and a folder that restores may go to."""

    def __init__(self, repository: ResticRepository, restic: str) -> None:
        self.repository = repository
        self.source = repository.source
        self.folder = repository.path.parent / "restore"
        self.folder.mkdir(0o700)
        self.state = repository.path.parent / "state"
        self.agent_file = self.file(restic=restic)
        (self.source / "other").hardlink_to(self.source / "b.bin")
        (self.source / "link").symlink_to("/etc")
        (self.source / "new\nline [1]").write_text("odd")
        Path(os.fsdecode(os.fsencode(self.source) + b"/\xff\xfe")).write_text("bytes")
        (self.source / "empty").mkdir()
        repository.restic("backup", "--host", "nas", "--tag", "rmactors-plan:home", str(self.source))
        (self.snapshot,) = (file.name for file in (repository.path / "snapshots").iterdir())

    def file(self, **changes: Any) -> AgentFile:
        """With a `restic`, and what else is to be different."""
        repository = {"restore_to": None} | changes.pop("repository", {})
        changes = {"allow": ["restore", "browse"], "restore_targets": [str(self.folder)], "host": "nas"} | changes
        return self.repository.agent_file(repository=repository, **changes)

    async def preview(self, **params: Any) -> dict[str, Any]:
        async with asking(self.agent_file, self.state) as ask:
            (found,) = await ask.items("preview", plan="home", **params)
        return found

    async def refusal(self, **params: Any) -> tuple[str | None, str]:
        async with asking(self.agent_file, self.state) as ask:
            return refusal(await ask("preview", **{"plan": "home", **params}))


@pytest.fixture
def host(repository: ResticRepository, each_restic: str) -> Host:
    return Host(repository, each_restic)


@pytest.fixture
def one_host(repository: ResticRepository) -> Host:
    return Host(repository, "restic")


async def test_a_preview_says_what_the_restore_then_brings_and_writes_nothing(host: Host) -> None:
    odd = [f"{host.source}/new\nline [1]", f"{host.source}/\ufffd\ufffd"]
    twice = 0 if version_of(host.agent_file.restic) >= (0, 17) else 50_000
    for include, files, once in (([], 7, 50_022), ([f"{host.source}/deep/"], 1, 8), (odd, 2, 8), (["/"], 7, 50_022)):
        found = await host.preview(snapshot=host.snapshot[:10], include=include, target=f"{host.folder}/a")
        size = once + (twice if files == 7 else 0)
        assert (found["snapshot"], found["files"], found["bytes"]) == (host.snapshot, files, size)
        assert found["into"] == f"{host.folder}/a"
        assert 0 < found["free_bytes"] <= shutil.disk_usage(host.folder).total
        assert list(host.folder.iterdir()) == []
        end = await Jobs(host.agent_file, host.state).do("restore", include=include, target=f"{host.folder}/a")
        assert end.verdict.status == "succeeded"
        assert end.stats["files_restored"] == files
        assert end.stats["bytes_restored"] == once
        assert end.stats["restored_into"] == found["into"]
        shutil.rmtree(host.folder / "a")


async def test_where_a_new_folder_will_be_made_it_says_so(one_host: Host) -> None:
    (one_host.folder / "full").mkdir()
    (one_host.folder / "full" / "letter").write_text("precious")
    assert (await one_host.preview(target=f"{one_host.folder}/full"))["into"] == f"{one_host.folder}/full/<job id>"
    assert (await one_host.preview())["into"] == f"{one_host.folder}/<job id>"
    assert (await one_host.preview(target=f"{one_host.folder}/a/b"))["into"] == f"{one_host.folder}/a/b"
    assert sorted(one_host.folder.rglob("*")) == [one_host.folder / "full", one_host.folder / "full" / "letter"]


async def test_what_is_not_in_the_snapshot_is_said(one_host: Host) -> None:
    nope = [f"{one_host.source}/nope{number}" for number in range(7)]
    assert await one_host.refusal(include=[f"{one_host.source}/a.txt", *nope]) == (
        "not_found", f"nothing in the snapshot matches {', '.join(nope[:5])} and 2 more",
    )  # fmt: skip
    assert (await one_host.refusal(snapshot="0123abcd"))[0] == "not_found"
    assert (await one_host.refusal(plan="nope"))[0] == "not_found"


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"target": "/etc"}, "/etc is not below a folder that agent.toml names"),
        ({"target": "{folder}/link"}, "is a symbolic link"),
        ({"target": "{folder}/../x"}, "must not contain `..`"),
        ({"target": "x"}, "must be an absolute path"),
        ({"include": ["x"]}, "params"),
        ({"snapshot": "--help"}, "params"),
        ({"command": "rm"}, "no parameter `command`"),
    ],
)
async def test_what_the_job_refuses_is_refused_before_it(params: dict[str, Any], says: str, one_host: Host) -> None:
    (one_host.folder / "link").symlink_to("/etc")
    if "target" in params:
        params = {"target": params["target"].replace("{folder}", str(one_host.folder))}
    found, words = await one_host.refusal(**params)
    assert found == "invalid"
    assert says in words


async def test_a_preview_needs_a_restore_that_is_allowed_and_a_place_for_it(one_host: Host) -> None:
    one_host.agent_file = one_host.file(allow=["browse"])
    assert await one_host.refusal() == (
        "invalid",
        'agent.toml on this host allows no restore: add "restore" to its `allow`, and restart the agent',
    )
    one_host.agent_file = one_host.file(restore_targets=[])
    found, words = await one_host.refusal()
    assert found == "invalid"
    assert "it needs `restore_targets`, or `restore_to` for the repository main" in words
    one_host.agent_file = one_host.file(restore_targets=[], repository={"restore_to": str(one_host.folder)})
    assert (await one_host.preview())["into"] == f"{one_host.folder}/<job id>"


async def test_a_snapshot_whose_folders_cannot_be_read_is_said(one_host: Host) -> None:
    newest = list(restics().values())[-1]  # 0.14 tries for most of a minute
    if version_of(newest) < (0, 17):
        pytest.skip("no restic from 0.17 on is here")
    one_host.agent_file = one_host.file(restic=newest)
    shutil.rmtree(one_host.repository.path / "data")
    shutil.rmtree(one_host.repository.cache)
    found, words = await one_host.refusal()
    assert found == "failed"
    assert "does not exist" in words or "no such file" in words


def test_a_name_that_is_no_text_is_asked_for_as_it_is_shown() -> None:
    assert shown(os.fsdecode(b"/\xff/\xe2\x82")) == "/\ufffd/\ufffd\ufffd"
