"""Every field of every frame that a server may send, fuzzed by type, against a real agent process: it lives on, keeps
its connection or makes a new one, and does an honest job afterwards.
"""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio

from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import ids, wire

from .repositories import ResticRepository
from .server_double import ServerDouble, Session, eventually, serving

ROOT = Path(__file__).resolve().parents[2]

ID: Final = "01JDX0000000000000000000AB"
SCHEDULE: Final[dict[str, Any]] = {
    "id": ID, "name": "nightly", "kind": "backup", "cron": "0 3 * * *", "timezone": "UTC", "enabled": True,
    "mode": "agent", "grace_seconds": 0, "max_runtime_seconds": 3600, "on_partial": "alert", "params": {"plan": "home"},
    "on_calendar": None, "every_hours": None,
}  # fmt: skip
FRAMES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "enrolled", "host_id": ID, "agent_token": "t"},
    {"type": "welcome", "protocol": 1, "host_id": ID, "server_now": "2026-11-23T03:00:00Z", "heartbeat_seconds": 30,
     "schedules_rev": 1, "schedules": [SCHEDULE]},
    {"type": "schedules", "schedules_rev": 2, "schedules": [SCHEDULE]},
    {"type": "ack", "seq": 999_999_999, "refused": "bad_report", "detail": "no"},
    {"type": "run_job", "job_id": ID, "kind": "check", "schedule_id": ID, "params": {"plan": "nope"}},
    {"type": "cancel_job", "job_id": ID},
    {"type": "error", "code": "bad_message", "detail": "no", "supported": {"min": 1, "max": 1}},
)  # fmt: skip
DEEP: Final = "[" * 5_000 + "]" * 5_000
VALUES: Final = (
    "null", "true", "0", "-1", "1.5", "1e999", "-1e999", "NaN", "9" * 401, "9" * 5_000, "-9223372036854775809", '""',
    '"x"', '"\\u0000"', '"\\u001b[2J\\u0007"', '"\\n\\r\\u2028"', '"\\ud800"', '"../../etc/cron.d/x"', '"/etc/passwd"',
    json.dumps(ID + "\n"), json.dumps("x" * 100_000), "[]", "{}", DEEP, '{"a":' * 400 + "1" + "}" * 400, '["x"]',
    '{"plan":"home","--repo":"/etc"}', '{"plan":"home","\\u001b[31m":1}', json.dumps({"plan": "p" * 50_000}),
    json.dumps({"x" * 50_000: 1}), '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"* * * * *"',
    '"0 0 30 2 *"', "[" + ",".join(["1"] * 2_000) + "]",
)  # fmt: skip
NO_FRAMES: Final = (
    "",
    "{",
    "[]",
    DEEP,
    "null",
    '"x"',
    "{}",
    '{"type":null}',
    '{"type":"song"}',
    '{"type":"\\u001b[31m"}',
)


def fuzzed() -> list[str]:
    """Each field of each frame with each value in its place, the fields of schedules among them."""
    found = list(NO_FRAMES)
    for frame in FRAMES:
        for name in frame:
            found += [with_value(frame, name, value) for value in VALUES]
        if "schedules" in frame:
            for name in SCHEDULE:
                for value in VALUES:
                    one = with_value(SCHEDULE, name, value)
                    found.append(with_value(frame, "schedules", f"[{one},{json.dumps({**SCHEDULE, 'cron': ''})}]"))
    return [text for text in found if len(text) < wire.MAX_FRAME_BYTES]


def with_value(frame: dict[str, Any], name: str, value: str) -> str:
    return json.dumps({**frame, name: "\x01"}).replace('"\\u0001"', value)


@asynccontextmanager
async def an_agent_process(double: ServerDouble, tmp_path: Path, repository: ResticRepository) -> AsyncIterator[Path]:
    """A real agent with one plan; yields the file that its log goes to."""
    state = StateDir(tmp_path / "state")
    state.make()
    state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
    (tmp_path / "agent.toml").write_text(
        'allow = ["backup", "check", "restore", "snapshots", "diff"]\n'
        f'[repositories.main]\nrepository = "{repository.path}"\npassword_file = "{repository.password_file}"\n'
        f'cache_dir = "{repository.cache}"\nrestore_to = "{tmp_path}/restored"\n'
        f'[plans.home]\nrepository = "main"\nsources = ["{repository.source}"]\n'
    )
    command = [sys.executable, "-m", "rmactors", "agent", "run", "-v", "--state-dir", str(state.path)]
    with (tmp_path / "log").open("wb") as log:
        process = await trio.lowlevel.open_process(
            [*command, "--config", str(tmp_path / "agent.toml")], cwd=ROOT, stderr=log, stdout=subprocess.DEVNULL
        )
        try:
            yield tmp_path / "log"
            assert process.poll() is None, "the agent has ended"
            process.terminate()
            assert await process.wait() == 0
        finally:
            process.kill()
            await process.wait()


async def honest_job(double: ServerDouble) -> wire.JobFinished:
    """What a server orders that was not taken over."""
    return await double.an_end(await double.run_job("backup", {"plan": "home"}))


async def newest(double: ServerDouble) -> Session:
    return (await eventually(double.agents))[-1]


async def test_an_agent_outlives_every_field_of_every_frame_and_does_an_honest_job_after_it(
    tmp_path: Path, repository: ResticRepository
) -> None:
    frames = fuzzed()
    assert len(frames) > 1_500
    async with serving(ServerDouble()) as double, an_agent_process(double, tmp_path, repository) as log:
        session = await newest(double)
        for text in frames:
            await session.socket.send_message(text)
        await session.socket.send_message(b"\x00\x1b[31m")
        end = await honest_job(double)
        assert (end.status, end.reason) == ("succeeded", "ok")
        assert len(double.sessions) == 1, "nothing of it was worth a new connection"
        assert not session.gone
        said = log.read_text()
    assert "Traceback" not in said
    assert not [c for c in said if not c.isprintable() and c != "\n"]
    assert "of what the server sent, this was passed over: a frame `run_job` that does not fit (job_id)" in said
    assert max(map(len, said.splitlines())) < 3_000
    assert not (tmp_path / "restored").exists()


async def test_schedules_that_fit_are_kept_beside_those_that_do_not(
    tmp_path: Path, repository: ResticRepository
) -> None:
    good = {**SCHEDULE, "id": ids.new(), "name": "good"}
    async with serving(ServerDouble()) as double, an_agent_process(double, tmp_path, repository):
        session = await newest(double)
        bad = [{**SCHEDULE, "cron": "\x1b[31m"}, {**SCHEDULE, "id": "../x"}, {**SCHEDULE, "grace_seconds": -1}]
        await session.socket.send_message(
            json.dumps({"type": "schedules", "schedules_rev": 7, "schedules": [bad[0], good, *bad[1:]]})
        )
        kept = StateDir(tmp_path / "state")
        await eventually(lambda: kept.schedules().schedules_rev == 7)
        assert [schedule.name for schedule in kept.schedules().schedules] == ["good"]
        assert (await honest_job(double)).status == "succeeded"


async def test_a_welcome_that_does_not_fit_is_waited_out_for_one_that_does(
    tmp_path: Path, repository: ResticRepository
) -> None:
    double = ServerDouble(welcoming=False)
    async with serving(double), an_agent_process(double, tmp_path, repository):
        session = await newest(double)
        for seconds in ("0", "-5", "1e999", '"30"', "9" * 401):
            await session.socket.send_message(with_value(FRAMES[1], "heartbeat_seconds", seconds))
        await session.socket.send_message(json.dumps(FRAMES[1]))
        assert (await honest_job(double)).status == "succeeded"
        assert len(double.sessions) == 1


async def test_a_restore_for_what_is_no_id_touches_nothing_and_the_next_one_lands_where_it_should(
    tmp_path: Path, repository: ResticRepository
) -> None:
    """Ids that are a path, lead out, or end in a folder that is there."""
    theirs = tmp_path / "restored" / "theirs"
    theirs.mkdir(parents=True)
    (theirs / "precious").write_text("x")
    async with serving(ServerDouble()) as double, an_agent_process(double, tmp_path, repository) as log:
        assert (await honest_job(double)).status == "succeeded"
        session, before = await newest(double), set(os.listdir(tmp_path))
        for job_id in (f"{tmp_path}/foreign", "../beside", f"{ids.new()}/../theirs/.", "theirs", f"{ids.new()}\n"):
            command = {"type": "run_job", "job_id": job_id, "kind": "restore", "params": {"plan": "home"}}
            await session.socket.send_message(json.dumps(command))
        job_id = await double.run_job("restore", {"plan": "home"})
        assert (await double.an_end(job_id)).status == "succeeded"
        assert log.read_text().count("passed over: a frame `run_job` that does not fit (job_id)") == 5
    assert set(os.listdir(tmp_path)) == before
    assert set(os.listdir(tmp_path / "restored")) == {job_id, "theirs"}
    assert os.listdir(theirs) == ["precious"]
