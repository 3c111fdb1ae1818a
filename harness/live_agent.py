"""A host that is there while a browser looks: its own thread, one connection, and the frames that a test tells it to
send."""

import json
import queue
import threading
from types import TracebackType
from typing import Any, Self

import trio
import trio_websocket

from harness.agents import hello
from harness.running_server import RunningServer
from rmactors.common import wire


class LiveAgent:
    """Connected and welcomed within the `with` block. `token` is the host's credential, `schedule` what it runs, `said`
    what its hello says beside what is usual."""

    def __init__(self, server: RunningServer, token: str, schedule: str, **said: Any) -> None:
        self.schedule = schedule
        self._said = said
        self._url = f"ws://{server.settings.agent_listen}{wire.PATH}"
        self._token = token
        self._frames: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=trio.run, args=(self._run,))
        self._seq = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.receive("welcome")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        trio.from_thread.run(self._connection.aclose, trio_token=self._trio)
        self._thread.join(10)

    def send(self, **frame: Any) -> None:
        trio.from_thread.run(self._connection.send_message, json.dumps(frame), trio_token=self._trio)

    def report(self, **frame: Any) -> None:
        """A frame that is acked, and its ack."""
        self._seq += 1
        self.send(seq=self._seq, **frame)
        assert self.receive("ack").get("refused") is None

    def receive(self, kind: str) -> dict[str, Any]:
        """The next frame of that type; others are passed over. Raises queue.Empty."""
        while True:
            frame = self._frames.get(timeout=40)
            if frame["type"] == kind:
                return frame

    async def _take(self, frame: dict[str, Any]) -> None:
        self._frames.put(frame)

    async def _run(self) -> None:
        self._trio = trio.lowlevel.current_trio_token()
        headers = [(b"Authorization", b"Bearer " + self._token.encode())]
        async with trio_websocket.open_websocket_url(self._url, extra_headers=headers) as self._connection:
            await self._connection.send_message(json.dumps(hello(**self._said)))
            try:
                while True:
                    await self._take(json.loads(await self._connection.get_message()))
            except trio_websocket.ConnectionClosed:
                return
