"""RM_WATCHDOG_URL on a real server: a GET arrives soon after the start."""

from pathlib import Path

from harness.processes import Server, away
from harness.sink import open_sink


async def test_the_watchdog_url_is_fetched_once_the_server_runs(tmp_path: Path) -> None:
    async with open_sink() as sink:
        server = Server(tmp_path, watchdog_url=sink.url("/ping/secret-uuid"))
        try:
            await away(server.start)
            await sink.until(lambda sink: bool(sink.requests))
            assert sink.requests[0].path == "/ping/secret-uuid"
            assert "secret-uuid" not in server.log
        finally:
            server.kill()
