"""What is in a repository, asked live, with each restic: snapshots, folders, files by name, and what changed."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.live_requests import reader
from tests.restics import version_of

from .looked_at import Host
from .questions import asking, refusal
from .repositories import ResticRepository

ODD = (
    b"[br]ackets", b"new\nline", b"-dash", b"--", b"a*b?", b"\x1b[31m", b'q"uote\\', b" ", b"\xef\xbf\xbd", b"n" * 255,
    b"{}", "ü".encode(), b"~", b"$HOME",
)  # fmt: skip
"""Names of folders that restic, a shell, a pattern or JSON could take for something else."""


@pytest.fixture
def host(repository: ResticRepository, each_restic: str) -> Host:
    return Host(repository, each_restic)


def touch(path: bytes) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def changes(host: Host, items: list[dict[str, Any]]) -> dict[str, str]:
    """What became of each path below the source."""
    return {item["path"].removeprefix(f"{host.source}/"): item["change"] for item in items}


def named(items: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for item in items]


# ---- snapshots


async def test_a_plans_snapshots_are_shown_newest_first_with_what_restic_knows_of_them(host: Host) -> None:
    first = await host.backup()
    (host.source / "new").write_bytes(os.urandom(1000))
    second = await host.backup()
    host.backup_as("other")
    async with host.asking() as ask:
        newest, oldest = await ask.items("snapshots", plan="home")
        assert [newest["id"], oldest["id"]] == [second, first]
        pages = await ask.all("snapshots", plan="home", limit=1)
    assert pages == [newest, oldest]
    assert newest["short_id"] == second[:8]
    assert (newest["plan"], newest["hostname"]) == ("home", "nas")
    assert (newest["paths"], newest["tags"]) == ([str(host.source)], ["daily"])
    assert newest["time"] > oldest["time"]
    assert newest["time"].endswith("Z")
    if version_of(host.restic) >= (0, 17):
        assert (newest["files"], newest["bytes"]) == (4, 50_000 + 6 + 8 + 1000)
        assert newest["added_bytes"] >= 1000
        assert newest["program_version"].startswith("restic 0.1")
    else:
        assert [newest[name] for name in ("files", "bytes", "added_bytes")] == [None] * 3


async def test_a_plan_without_snapshots_has_an_empty_list_and_an_unknown_plan_none(host: Host) -> None:
    async with host.asking() as ask:
        assert await ask.items("snapshots", plan="home") == []
        code, words = refusal(await ask("snapshots", plan="photos"))
        assert (code, words) == ("not_found", "there is no plan 'photos' in agent.toml; its plans: home")
        assert refusal(await ask("browse", plan="home", snapshot="latest", path="/"))[0] == "not_found"
        assert await ask.items("find", plan="home", pattern="*") == []


# ---- folders


async def test_a_folder_shows_what_lies_directly_in_it(host: Host) -> None:
    (host.source / "empty").mkdir()
    (host.source / "zero").touch()
    (host.source / "link").symlink_to("/etc")
    os.mkfifo(host.source / "pipe")
    os.utime(host.source / "a.txt", (0, 1_000_000_000))
    snapshot = await host.backup()
    async with host.asking() as ask:
        items = await ask.items("browse", plan="home", snapshot=snapshot, path=str(host.source))
        assert await ask.items("browse", plan="home", snapshot="latest", path=f"{host.source}//deep/..") == items
        assert await ask.items("browse", plan="home", snapshot=snapshot[:8], path=str(host.source)) == items
        assert named(await ask.items("browse", plan="home", path="/")) == [host.source.parts[1]]
        assert await ask.items("browse", plan="home", path=f"{host.source}/empty/") == []
        nowhere = await ask("browse", plan="home", path=f"{host.source}/nowhere")
        file = await ask("browse", plan="home", path=f"{host.source}/a.txt")
    assert {item["name"]: (item["type"], item["size"]) for item in items} == {
        "a.txt": ("file", 6), "b.bin": ("file", 50_000), "deep": ("dir", None), "empty": ("dir", None),
        "zero": ("file", 0), "link": ("symlink", None), "pipe": ("fifo", None),
    }  # fmt: skip
    assert items[0] == {
        "name": "a.txt", "path": str(host.source / "a.txt"), "type": "file", "size": 6, "mtime": "2001-09-09T01:46:40Z",
    }  # fmt: skip
    assert refusal(nowhere) == ("not_found", "there is no such folder in this snapshot")
    assert refusal(file) == ("not_found", "this is no folder in this snapshot")


async def test_folders_are_found_by_their_names_whatever_characters_these_have(host: Host) -> None:
    """Each lies in the one before, and is shown by that."""
    os.makedirs(os.fsencode(host.source) + b"/" + b"/".join(ODD))
    snapshot = await host.backup()
    names = [name.decode() for name in ODD]
    async with host.asking() as ask:
        for depth in (0, 5, len(names) - 1, len(names)):
            path = "/".join([str(host.source), *names[:depth]])
            shown = await ask.items("browse", plan="home", snapshot=snapshot, path=path)
            inner = [(item["name"], item["path"]) for item in shown if item["name"] in names]
            assert inner == [(name, f"{path}/{name}") for name in names[depth : depth + 1]]


async def test_names_that_are_no_text_are_found_by_what_is_shown_of_them(host: Host) -> None:
    top = os.fsencode(host.source)
    for name in (b"caf\xe9", b"cut\xe2\x82", b"new\n\xff"):
        os.makedirs(top + b"/" + name + b"/in\xffner")
        touch(top + b"/" + name + b"/in\xffner/file\xfe")
    snapshot = await host.backup()
    async with host.asking() as ask:
        for shown in ("caf\ufffd", "cut\ufffd\ufffd", "new\n\ufffd"):
            (inner,) = await ask.items("browse", plan="home", snapshot=snapshot, path=f"{host.source}/{shown}")
            assert inner["path"] == f"{host.source}/{shown}/in\ufffdner"
            assert named(await ask.items("browse", plan="home", snapshot=snapshot, path=inner["path"])) == [
                "file\ufffd"
            ]
        code, _ = refusal(await ask("browse", plan="home", snapshot=snapshot, path=f"{host.source}/caf\ufffd\ufffd"))
        assert code == "not_found"


async def test_names_that_look_alike_are_not_taken_for_each_other(host: Host) -> None:
    for name in (b"caf\xe8", b"caf\xe9"):
        os.mkdir(os.fsencode(host.source) + b"/" + name)
    snapshot = await host.backup()
    async with host.asking() as ask:
        code, words = refusal(await ask("browse", plan="home", snapshot=snapshot, path=f"{host.source}/caf\ufffd"))
    assert code == "invalid"
    assert "cannot be told apart" in words


async def test_a_folder_in_pages_is_the_same_folder(host: Host) -> None:
    for number in range(1200):
        (host.source / f"{number:04}").touch()
    snapshot = await host.backup()
    async with host.asking() as ask:
        first = await ask("browse", plan="home", path=str(host.source))
        (host.source / "newer").touch()
        await host.backup()
        every = await ask.all("browse", plan="home", path=str(host.source), limit=7)
        second = await ask.items("browse", plan="home", path=str(host.source), cursor=first.next_cursor)
        whole = await ask.items("browse", plan="home", snapshot=snapshot, path=str(host.source), limit=2000)
        assert refusal(await ask("browse", plan="home", path="/", cursor="1"))[0] == "invalid"
    async with host.asking() as ask:  # another connection: nothing is kept of the one before
        again = await ask.items("browse", plan="home", path=str(host.source), cursor=first.next_cursor)
    assert len(whole) == 1203
    assert again == second == whole[500:1000]
    assert named(every) == [*named(whole), "newer"]


async def test_a_cursor_goes_on_in_its_own_list_alone(host: Host) -> None:
    """In another one it would leave out what comes before its place, or show a snapshot that nobody is told of."""
    older, newer = await host.backup(), await host.backup()
    source = str(host.source)
    first: dict[str, Any] = {"plan": "home", "snapshot": older, "path": source}
    async with host.asking() as ask:
        cursor = (await ask("browse", **first, limit=1)).next_cursor
        found = (await ask("find", plan="home", pattern="*", limit=1)).next_cursor
        assert await ask.items("browse", **first, cursor=cursor)
        for kind, params in (
            ("browse", first | {"path": f"{source}/deep"}),
            ("browse", first | {"snapshot": newer}),
            ("browse", first | {"snapshot": "latest"}),
            ("browse", first | {"cursor": f"{older}.1"}),
            ("browse", first | {"cursor": found}),
            ("find", {"plan": "home", "pattern": "a*", "cursor": found}),
        ):
            assert refusal(await ask(kind, **({"cursor": cursor} | params)))[0] == "invalid"


async def test_a_folder_costs_one_call_of_restic(host: Host, tmp_path: Path) -> None:
    snapshot = await host.backup()
    spy, called = tmp_path / "spy", tmp_path / "called"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {called}\nexec {host.restic} "$@"\n')
    spy.chmod(0o755)
    host.agent_file = host.repository.agent_file(restic=str(spy), host="nas")
    async with host.asking() as ask:
        for path in ("/", str(host.source), str(host.source), str(host.source / "deep")):
            await ask.items("browse", plan="home", snapshot=snapshot, path=path)
    calls = called.read_text().splitlines()
    assert len(calls) == 3, "the second time a folder is asked for, it is there"
    assert all("--no-lock" in call for call in calls)


# ---- whose


async def test_another_hosts_snapshot_is_shown_only_where_the_file_allows_it(host: Host) -> None:
    own, foreign = await host.backup(), host.backup_as("other")
    diff = {"plan": "home", "from": own, "to": foreign}
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", snapshot=foreign, path="/"),
            await ask("browse", plan="home", snapshot=foreign[:10], path="/"),
            await ask("browse", plan="home", snapshot=foreign, path="/\ufffd"),
            await ask("diff", **diff),
        ):
            code, words = refusal(response)
            assert code == "not_allowed"
            assert "was made by host other, not by nas" in words
            assert "`snapshots_of_other_hosts = true`" in words
    allowing = host.repository.agent_file(restic=host.restic, host="nas", repository={"snapshots_of_other_hosts": True})
    async with asking(allowing, host.state) as ask:
        assert await ask.items("browse", plan="home", snapshot=foreign, path="/")
        assert await ask.items("diff", **diff) == []


async def test_a_snapshot_that_is_not_there_is_not_found(host: Host) -> None:
    own = await host.backup()
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", snapshot="ab" * 32, path="/"),
            await ask("browse", plan="home", snapshot="abcd1234", path="/\ufffd"),
            await ask("diff", plan="home", **{"from": own, "to": "ab" * 32}),
        ):
            code, words = refusal(response)
            assert code == "not_found"
            assert words.startswith("there is no snapshot ab")


async def test_a_snapshot_that_is_damaged_is_not_called_missing(host: Host) -> None:
    snapshot, healthy = await host.backup(), await host.backup()
    file = host.repository.path / "snapshots" / snapshot
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-20])
    shutil.rmtree(host.repository.cache)
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", snapshot=snapshot, path="/"),
            await ask("diff", plan="home", **{"from": snapshot, "to": healthy}),
        ):
            code, words = refusal(response)
            assert code == "failed"
            assert words.startswith(f"restic cannot read snapshot {snapshot}")
        assert [one["id"] for one in await ask.items("snapshots", plan="home")] == [healthy]


async def test_the_beginning_of_several_ids_names_none(host: Host) -> None:
    snapshot = await host.backup()
    (host.repository.path / "snapshots" / (snapshot[:-4] + "ffff")).touch()
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", snapshot=snapshot[:8], path="/"),
            await ask("browse", plan="home", snapshot=snapshot[:8], path="/\ufffd"),
        ):
            code, words = refusal(response)
            assert (code, words) == ("invalid", f"several snapshots begin with {snapshot[:8]}: give more of the id")


async def test_what_a_plan_adopted_is_found_by_its_former_id_and_what_it_will_is_its_own(host: Host) -> None:
    former = host.backup_as("nas")
    async with host.asking() as ask:
        assert [one["id"] for one in await ask.items("snapshots", plan="home")] == [former]
        hits = await ask.items("find", plan="home", pattern="a.txt")
        assert [hit["snapshot"] for hit in hits] == [former]
    host.run("tag", "--add", "rmactors-plan:home", former)
    (now,) = host.ids()
    assert now != former
    async with host.asking() as ask:
        shown = await ask.items("browse", plan="home", snapshot=former, path=str(host.source))
        assert named(shown) == ["a.txt", "b.bin", "deep"]
        assert await ask.items("diff", plan="home", **{"from": former, "to": now}) == []


# ---- find


async def test_a_file_is_found_in_each_snapshot_of_the_plan_and_in_no_other(host: Host) -> None:
    (host.source / "a.txt").chmod(0o600)
    os.utime(host.source / "a.txt", (0, 1_000_000_000))
    first = await host.backup()
    (host.source / "a.txt").write_text("more than that\n")
    (host.source / "zero").touch()
    second = await host.backup()
    host.backup_as("other")
    host.backup_as("nas", "--tag", "somebodys")
    async with host.asking() as ask:
        hits = {hit["snapshot"]: hit for hit in await ask.items("find", plan="home", pattern="a.txt")}
        assert set(hits) == {first, second}
        times = {one["id"]: one["time"] for one in await ask.items("snapshots", plan="home")}
        assert await ask.items("find", plan="home", pattern="A.TXT") == []
        assert len(await ask.items("find", plan="home", pattern="A.TXT", ignore_case=True)) == 2
        (zero,) = await ask.items("find", plan="home", pattern="zero")
        assert await ask.items("find", plan="home", pattern="nowhere") == []
        code, words = refusal(await ask("find", plan="home", pattern="[a"))
    assert hits[first] == {
        "snapshot": first, "time": times[first], "path": str(host.source / "a.txt"), "type": "file", "size": 6,
        "mtime": "2001-09-09T01:46:40Z",
    }  # fmt: skip
    assert (hits[second]["size"], hits[second]["time"]) == (15, times[second])
    assert zero["size"] == 0
    assert code == "invalid"
    assert words.startswith("the pattern cannot be read")


async def test_names_of_all_kinds_are_found_and_each_under_its_snapshot_over_many_pages(host: Host) -> None:
    for name in (*ODD, b"no\xfftext", b'],"hits":1,"snapshot":"x"}', b'{"matches":['):
        touch(os.fsencode(host.source) + b"/" + name)
    snapshots = [await host.backup() for _ in range(3)]
    async with host.asking() as ask:
        hits = await ask.all("find", plan="home", pattern="*", limit=10)
        whole = await ask.items("find", plan="home", pattern="*", limit=2000)
        dashed = await ask.items("find", plan="home", pattern="-*")
    shown = {hit["path"] for hit in hits}
    assert {f"{host.source}/{name.decode()}" for name in ODD} <= shown
    assert f"{host.source}/no\ufffdtext" in shown
    assert sorted(map(str, hits)) == sorted(map(str, whole))
    assert {hit["path"] for hit in dashed} == {f"{host.source}/-dash", f"{host.source}/--"}
    for snapshot in snapshots:
        assert {hit["path"] for hit in hits if hit["snapshot"] == snapshot} == shown


async def test_a_folder_is_found_by_its_name_without_all_that_is_in_it(host: Host) -> None:
    (host.source / "deep" / "deeper").mkdir()
    (host.source / "deep" / "deeper" / "deep").touch()
    await host.backup()
    async with host.asking() as ask:
        for pattern in ("deep", "DEEP", "d??p"):
            hits = await ask.items("find", plan="home", pattern=pattern, ignore_case=True)
            assert [hit["path"] for hit in hits] == [f"{host.source}/deep", f"{host.source}/deep/deeper/deep"]
        hits = await ask.items("find", plan="home", pattern=f"{host.source}/deep")
        assert [hit["path"] for hit in hits] == [f"{host.source}/deep"]


# ---- what changed


async def test_what_changed_between_two_snapshots_is_a_list(host: Host) -> None:
    (host.source / "touched").touch()
    (host.source / "kind").touch()
    first = await host.backup()
    (host.source / "a.txt").write_text("other\n")
    (host.source / "b.bin").unlink()
    (host.source / "n\nw [x]").touch()
    os.utime(host.source / "touched", (0, 0))
    (host.source / "kind").unlink()
    (host.source / "kind").mkdir()
    second = await host.backup()
    async with host.asking() as ask:
        items = await ask.items("diff", plan="home", **{"from": first, "to": second})
        back = await ask.items("diff", plan="home", **{"from": second[:8], "to": first[:8]})
        pages = await ask.all("diff", plan="home", **{"from": first, "to": second}, limit=1)
        more = await ask.items("diff", plan="home", **{"from": first, "to": second}, metadata=True)
    assert pages == items
    both = {"a.txt": "modified", "kind/": "type"}
    assert changes(host, items) == both | {"b.bin": "removed", "n\nw [x]": "added"}
    assert changes(host, back) == {"a.txt": "modified", "kind": "type", "b.bin": "added", "n\nw [x]": "removed"}
    assert {"path": f"{host.source}/touched", "change": "metadata"} in more


# ---- trouble


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("browse", {"plan": "home", "path": "home"}, "path must be an absolute path"),
        ("browse", {"plan": "home", "path": "/", "snapshot": "-h"}, "snapshot must be `latest`, or at least 4 digits"),
        ("browse", {"plan": "home"}, "missing `path`"),
        ("browse", {"plan": "home", "path": "/", "limit": 2001}, "limit must be a number from 1 to 2000"),
        ("browse", {"plan": "home", "path": "/", "repository": "x"}, "has no parameter `repository`"),
        ("find", {"plan": "home", "pattern": "a\0b"}, "pattern must have 1 to 1,000 characters"),
        ("find", {"plan": "home", "pattern": ""}, "pattern must have 1 to 1,000 characters"),
        ("find", {"plan": 3, "pattern": "x"}, "Expected `str`, got `int` - at `plan`"),
        ("diff", {"plan": "home", "from": "latest", "to": "abcd"}, "from must be at least 4 digits of a snapshot's id"),
        ("snapshots", {}, "missing `plan`"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(
    repository: ResticRepository, tmp_path: Path, kind: str, params: dict[str, Any], words: str
) -> None:
    async with asking(repository.agent_file(), tmp_path / "state") as ask:
        code, said = refusal(await ask(kind, **params))
    assert code == "invalid"
    assert said.startswith("params: ")
    assert words in said


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("snapshots", {}),
        ("browse", {"path": "/", "snapshot": "abcd"}),
        ("browse", {"path": "/\ufffd", "snapshot": "abcd"}),
        ("diff", {"from": "abcd", "to": "abce"}),
        ("find", {"pattern": "x"}),
    ],
)
async def test_an_answer_that_cannot_be_read_is_told(
    repository: ResticRepository, tmp_path: Path, kind: str, params: dict[str, Any]
) -> None:
    restic = tmp_path / "restic"
    restic.write_text("#!/bin/sh\necho '{{'\n")
    restic.chmod(0o755)
    async with asking(repository.agent_file(restic=str(restic)), tmp_path / "state") as ask:
        code, words = refusal(await ask(kind, plan="home", **params))
    assert code == "failed"
    assert "cannot be read" in words


async def test_an_answer_that_is_read_whole_has_a_bound(
    repository: ResticRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "LONGEST_ANSWER", 1)
    async with asking(repository.agent_file(), tmp_path / "state") as ask:
        code, words = refusal(await ask("snapshots", plan="home"))
    assert code == "failed"
    assert words.startswith("restic's answer to `snapshots` is longer than")


async def test_a_repository_that_does_not_open_says_why(host: Host) -> None:
    await host.backup()
    wrong = host.repository.path.parent / "wrong"
    wrong.write_text("nonsense\n")
    host.agent_file = host.repository.agent_file(restic=host.restic, repository={"password_file": str(wrong)})
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", path="/", snapshot="abcd"),
            await ask("snapshots", plan="home"),
            await ask("find", plan="home", pattern="x"),
        ):
            assert refusal(response) == ("failed", "wrong password")


async def test_a_repository_that_does_not_answer_is_not_tried_for_a_quarter_of_an_hour(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As jobs do. Its password stays here."""
    monkeypatch.setattr(reader, "TRY_SECONDS", 0.1)
    address = {"repository": "rest:http://me:s3cret@127.0.0.1:1/"}
    host.agent_file = host.repository.agent_file(restic=host.restic, repository=address)
    async with host.asking() as ask:
        for response in (
            await ask("browse", plan="home", path="/", snapshot="abcd"),
            await ask("snapshots", plan="home"),
        ):
            code, words = refusal(response)
            assert code == "failed"
            assert "connection refused" in words
            assert "s3cret" not in words
