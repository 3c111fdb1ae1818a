"""What the server asks of an agent while somebody waits: who is answered, who is refused, and who is called off."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.live_requests import answering
from rmactors.agent.live_requests.handler import Answer, Handler, Params
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire

from .conftest import FAST
from .questions import asking, items_of, refusal
from .repositories import ResticRepository, restic_processes
from .server_double import ServerDouble, Session, eventually

ROOT = Path(__file__).resolve().parents[2]


def request(kind: str, **params: Any) -> wire.Request:
    return wire.Request(ids.new(), kind, params)  # type: ignore[arg-type]


async def answer(session: Session, asked: wire.Request) -> wire.Response:
    await session.send(asked)
    return await response(session, asked.request_id)


async def response(session: Session, request_id: str) -> wire.Response:
    def heard() -> list[wire.Response]:
        return [f for f in session.frames if isinstance(f, wire.Response) and f.request_id == request_id]

    (found,) = await eventually(heard)
    return found


class Gate:
    """A restic that stands still before it does what it is told, until the gate is opened."""

    def __init__(self, repository: ResticRepository, folder: Path) -> None:
        repository.restic("backup", "-q", "--host", "nas", "--tag", "rmactors-plan:home", str(repository.source))
        self.snapshot = repository.restic("snapshots", "--json", "--no-lock").stdout.partition('"id":"')[2][:64]
        self._open, self.calls = folder / "open", folder / "calls"
        script = folder / "gated"
        script.write_text(
            f'#!/bin/sh\n[ "$1" = version ] && exec restic version\n'
            f'echo "$@" >> {self.calls}\nwhile [ ! -e {self._open} ]; do sleep 0.02; done\n'
            'exec restic "$@"\n'
        )
        script.chmod(0o755)
        self.agent_file = repository.agent_file(restic=str(script), host="nas")
        self._repository = repository

    def open(self) -> None:
        self._open.touch()

    def waiting(self) -> list[str]:
        return restic_processes(self._repository)

    async def until_called(self, times: int = 1) -> None:
        await eventually(lambda: self.calls.exists() and len(self.calls.read_text().splitlines()) >= times)


@pytest.fixture
def gate(repository: ResticRepository, tmp_path: Path) -> Gate:
    return Gate(repository, tmp_path)


async def test_nothing_is_answered_unless_the_hosts_file_allows_it(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=["backup"]), enrolled.path, timings=FAST))
        session = await server.an_agent()
        refused = await answer(session, request("browse", plan="home", snapshot="latest", path="/"))
        nursery.cancel_scope.cancel()
    assert session.hello is not None
    assert session.hello.allow == ["backup"]
    assert (refused.ok, refused.code) == (False, "not_allowed")
    assert 'add "browse" to its `allow`' in (refused.error or "")


async def test_a_newer_server_is_told_what_this_agent_does_not_know(server: ServerDouble, enrolled: StateDir) -> None:
    """It would wait for an answer in vain."""
    request_id = ids.new()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=["browse"]), enrolled.path, timings=FAST))
        session = await server.an_agent()
        await session.socket.send_message('{"type": "song", "words": "la"}')
        await session.socket.send_message(f'{{"type": "request", "kind": "sing", "request_id": "{request_id}"}}')
        refused = await response(session, request_id)
        nursery.cancel_scope.cancel()
    assert (refused.ok, refused.code) == (False, "invalid")
    assert refused.error == "this agent does not know that kind of request"
    assert wire.AgentError("unknown_type", "unknown type 'song'") in session.frames


async def test_who_does_not_wait_any_more_gets_no_answer_and_leaves_no_restic(gate: Gate, tmp_path: Path) -> None:
    async with asking(gate.agent_file, tmp_path / "state") as ask:
        for kind, params in (("browse", {"path": "/"}), ("find", {"pattern": "*"}), ("snapshots", {})):
            gate.calls.unlink(missing_ok=True)
            asked = await ask.ask(kind, plan="home", **params)
            await gate.until_called()
            await ask.session.take(wire.CancelRequest(asked))
            await eventually(lambda: not gate.waiting())
        await ask.session.take(wire.CancelRequest(ids.new()))
        gate.open()
        assert await ask.items("browse", plan="home", path="/"), "it is asked for again"
        assert [found.ok for found in ask.heard] == [True]


async def test_a_connection_that_goes_takes_what_was_asked_over_it_along(
    gate: Gate, server: ServerDouble, enrolled: StateDir
) -> None:
    async with trio.open_nursery() as nursery:
        soon_again = replace(FAST, moderate_pause=0.1)
        nursery.start_soon(lambda: run_agent(gate.agent_file, enrolled.path, timings=soon_again))
        session = await server.an_agent()
        await session.send(request("browse", plan="home", path="/", snapshot=gate.snapshot))
        await gate.until_called()
        await session.socket.aclose(1001)
        await eventually(lambda: not gate.waiting())
        gate.open()
        session = await eventually(lambda: server.agents()[0] if server.agents() else None)
        assert items_of(await answer(session, request("browse", plan="home", path="/", snapshot=gate.snapshot)))
        nursery.cancel_scope.cancel()


async def test_two_who_ask_for_the_same_folder_share_one_restic_and_one_may_leave(gate: Gate, tmp_path: Path) -> None:
    folder = {"plan": "home", "path": "/", "snapshot": gate.snapshot}
    async with asking(gate.agent_file, tmp_path / "state") as ask:
        leaves, stays = await ask.ask("browse", **folder), await ask.ask("browse", **folder)
        await gate.until_called()
        await ask.session.take(wire.CancelRequest(leaves))
        gate.open()
        assert items_of(await ask.response(stays))
        assert [found.request_id for found in ask.heard] == [stays]
    assert len(gate.calls.read_text().splitlines()) == 1


async def test_only_a_few_restics_run_at_once_and_only_so_many_may_wait(gate: Gate, tmp_path: Path) -> None:
    async with asking(gate.agent_file, tmp_path / "state") as ask:
        folders = [f"/{number}" for number in range(answering.MOST_REQUESTS)]
        asked = [await ask.ask("browse", plan="home", path=path, snapshot=gate.snapshot) for path in folders]
        code, words = refusal(await ask("browse", plan="home", path="/"))
        assert code == "busy"
        assert words == "this host answers as many requests as it can already"
        await gate.until_called(answering.RESTICS)
        turns = ask.session.context.turns.statistics
        await eventually(lambda: turns().tasks_waiting == len(asked) - answering.RESTICS)
        assert turns().borrowed_tokens == answering.RESTICS
        gate.open()
        assert {refusal(await ask.response(one))[0] for one in asked} == {"not_found"}


async def test_a_request_that_is_sent_twice_is_answered_once(repository: ResticRepository, tmp_path: Path) -> None:
    async with asking(repository.agent_file(), tmp_path / "state") as ask:
        twice = request("snapshots", plan="home")
        await ask.session.take(twice)
        await ask.session.take(twice)
        await ask.response(twice.request_id)
        await ask("snapshots", plan="home")
        assert len(ask.heard) == 2


async def test_what_runs_is_looked_at_before_each_answer(repository: ResticRepository, tmp_path: Path) -> None:
    restic = tmp_path / "restic"
    restic.write_text("#!/bin/sh\n")
    restic.chmod(0o777)
    async with asking(repository.agent_file(restic=str(restic)), tmp_path / "state") as ask:
        code, words = refusal(await ask("snapshots", plan="home"))
    assert code == "failed"
    assert words.startswith(f"nothing was run: restic {restic} can be written by everybody")


async def test_a_restic_that_is_not_there_is_told(repository: ResticRepository, tmp_path: Path) -> None:
    async with asking(repository.agent_file(restic="/nonexistent/restic"), tmp_path / "state") as ask:
        code, words = refusal(await ask("snapshots", plan="home"))
    assert (code, words) == ("failed", "/nonexistent/restic: No such file or directory")


async def test_an_answer_that_takes_too_long_is_given_up(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browse = answering.HANDLERS["browse"]
    impatient = {"browse": Handler(browse.params, browse.answer, seconds=0.1)}
    monkeypatch.setattr(answering, "HANDLERS", impatient)
    async with asking(gate.agent_file, tmp_path / "state") as ask:
        code, words = refusal(await ask("browse", plan="home", path="/"))
        assert (code, words) == ("failed", "no answer within 0 s")
        await eventually(lambda: not gate.waiting())
        assert refusal(await ask("find", plan="home", pattern="x"))[0] == "invalid", "a kind that it does not have"


async def test_a_bug_is_told_as_one_and_the_log_names_no_file(
    repository: ResticRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "/home/me/private"

    async def fail(context: object, params: object) -> Answer:
        raise KeyError(name)

    async def too_much(context: object, params: object) -> Answer:
        return Answer([b"1" * 2_000_000])

    handlers = {"stats": Handler(Params, fail), "preview": Handler(Params, too_much)}
    monkeypatch.setattr(answering, "HANDLERS", handlers)
    async with asking(repository.agent_file(), tmp_path / "state") as ask:
        assert refusal(await ask("stats")) == ("failed", "an internal error of the agent; see its log")
        assert refusal(await ask("preview")) == ("failed", "the answer does not fit into 1 MiB")
    assert "a request failed in the agent itself: KeyError" in caplog.text
    assert "in fail" in caplog.text
    assert "private" not in caplog.text


async def test_the_log_says_what_was_asked_for_without_the_names_of_files(
    repository: ResticRepository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (repository.source / "diary").mkdir()
    repository.restic("backup", "-q", "--host", "nas", "--tag", "rmactors-plan:home", str(repository.source))
    async with asking(repository.agent_file(host="nas"), tmp_path / "state") as ask:
        assert await ask.items("browse", plan="home", path=str(repository.source))
        assert await ask.items("find", plan="home", pattern="diary")
        refusal(await ask("browse", plan="home", path=f"{repository.source}/diary/1999"))
        refusal(await ask("find", plan="home", pattern="diary["))
        refusal(await ask("browse", plan="diary", path="/diary"))
    said = [(record.levelname, getattr(record, "fields", {})) for record in caplog.records if "asked" in record.msg]
    assert [level for level, _ in said] == ["INFO"] * 5
    assert "diary" not in caplog.text
    assert "diary" not in str(said)


async def test_a_large_folder_comes_in_pages_from_an_agent_that_stays_small(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    """A real process. `make bench` looks at a folder ten times as large."""
    number = 20_000
    large = repository.source / "large"
    large.mkdir()
    for name in range(number):
        os.close(os.open(large / f"{name:08}-{'long' * 20}", os.O_CREAT | os.O_WRONLY))
    repository.restic("backup", "-q", "--host", "nas", "--tag", "rmactors-plan:home", str(repository.source))
    config = tmp_path / "agent.toml"
    config.write_text(
        f"""allow = ["browse"]
host = "nas"
repositories.main = {{ repository = "{repository.path}", password_file = "{repository.password_file}" }}
plans.home = {{ repository = "main", sources = ["{repository.source}"] }}
"""
    )
    command = [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(enrolled.path)]
    agent = await trio.lowlevel.open_process(
        [*command, "--config", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL, env=repository.environment
    )
    try:
        session = await server.an_agent()
        before = highest_resident_mib(agent.pid)
        names, cursor = list[str](), dict[str, str]()
        while True:
            asked = request("browse", plan="home", path=str(large), limit=2000, **cursor)
            page = await answer(session, asked)
            names += [item["name"] for item in items_of(page)]
            if page.next_cursor is None:
                break
            cursor = {"cursor": page.next_cursor}
        after = highest_resident_mib(agent.pid)
        assert not [name for name in os.listdir(enrolled.path) if name.startswith("tmp")], "it has no name there"
    finally:
        agent.kill()
        await agent.wait()
    assert names == sorted(os.listdir(large))
    assert after < before + 12, "most of it lies in a file"
    assert after < 100


def highest_resident_mib(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024
