"""The drill: a machine is lost, a backup is not. The restored server delivers what was queued when it was made."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.agents import ended, enroll_host, simulated
from harness.processes import COMMAND, ROOT, Server, away, eventually
from harness.sink import Sink


def command(server: Server, *arguments: str | Path, code: int = 0) -> str:
    """`rmactors …` on the server's data dir; what it printed, both streams."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT,
        env=server.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def attempts(server: Server, channel_id: str) -> list[dict[str, Any]]:
    """Those whose end is on disk."""
    return server.all_items(f"/api/notifications/{channel_id}/log")


@pytest.mark.parametrize("key", ["in the backup", "kept apart"])
async def test_a_restored_backup_delivers_what_was_queued(server: Server, sink: Sink, tmp_path: Path, key: str) -> None:
    works_id = await away(lambda: server.webhook(sink.url("/told"), name="works"))
    channel_id = await away(lambda: server.webhook(sink.url("/waits"), name="waits"))
    sink.feel("error", path="/waits", status=503)
    credential = await enroll_host(server, "nas")
    plans = [f"p{number}" for number in range(5)]
    async with simulated(server, credential) as [agent]:
        for plan in plans:
            agent.report(ended(plan, error="disk on fire"))
        await agent.settled()
        await away(lambda: eventually(lambda: len(attempts(server, works_id)) == 5, 60, lambda: server.log))
        alerts = await away(lambda: server.all_items("/api/alerts"))
        log = await away(lambda: attempts(server, channel_id))
        copy, apart = tmp_path / "copy", tmp_path / "secret.key"
        with_key = ["--with-key"] if key == "in the backup" else []
        await away(lambda: command(server, "backup", copy, *with_key))  # beside the running server
        await away(lambda: shutil.copy2(server.data_dir / "secret.key", apart))

        # Nothing is restored under a running server.
        await away(lambda: command(server, "restore", copy, "--replace", code=1))

        # The machine is lost, while its agent goes on.
        await away(server.kill)
        await away(lambda: shutil.rmtree(server.data_dir))
        if key == "kept apart":
            refused = await away(lambda: command(server, "restore", copy, code=1))
            assert str(server.data_dir / "secret.key") in refused
            await away(lambda: shutil.copy2(apart, server.data_dir / "secret.key"))
        said = await away(lambda: command(server, "restore", copy))
        assert "5 notifications waiting" in said
        sink.feel("up", path="/waits")
        await away(server.start)

        # The old token, the old credential, the old queue: all goes on.
        await sink.until(lambda sink: len(sink.told("/waits")) >= 5, 120)
        told = sink.told("/waits")
        assert {request.body["subject"] for request in told} == {f"plan:{plan}" for plan in plans}
        assert {request.body["alert_id"] for request in told} == {alert["id"] for alert in alerts}
        again = await away(lambda: server.all_items("/api/alerts"))
        assert [alert["id"] for alert in again] == [alert["id"] for alert in alerts]
        kept = await away(lambda: attempts(server, channel_id))
        assert {entry["id"] for entry in log} <= {entry["id"] for entry in kept}

        agent.report(ended("p0", "succeeded"))
        for path in ("/waits", "/told"):
            await sink.until(lambda sink, path=path: len(sink.told(path)) >= 6, 120)  # type: ignore[misc]
        await agent.settled()
    assert sink.told("/waits")[-1].body["event"] == "alert.resolved"
    assert len(sink.told("/told")) == 6, "what was told before the backup is not told again"
