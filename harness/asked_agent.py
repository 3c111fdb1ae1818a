"""A host that is asked about its backups while a browser looks: it answers from what a test gave it."""

import json
from collections.abc import Callable
from typing import Any

from harness.live_agent import LiveAgent
from harness.running_server import RunningServer

Answer = list[dict[str, Any]] | dict[str, Any] | None
"""Items; or the fields of a `response`; or none at all."""
PLANS = [{"name": "home", "repository": "/srv/restic", "sources": ["/home", "/etc"]}]


class AskedAgent(LiveAgent):
    """`answer` is called with kind and params of each request about files, in the agent's own thread. `asked` are those
    that came."""

    def __init__(
        self, server: RunningServer, token: str, schedule: str, answer: Callable[[str, dict[str, Any]], Answer],
        **said: Any,
    ) -> None:  # fmt: skip
        usual = {"plans": PLANS, "allow": ["backup", "browse", "restore"], "restore_targets": ["/srv/restore"]}
        super().__init__(server, token, schedule, **(usual | said))
        self._answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "request" and frame["kind"] == "stats":  # asked on the server's own account
            await self._respond(frame, {"ok": True})
            return
        if frame["type"] == "request":
            self.asked.append((frame["kind"], frame["params"]))
            answer = self._answer(frame["kind"], frame["params"])
            if answer is not None:
                await self._respond(frame, {"ok": True, "items": answer} if isinstance(answer, list) else answer)
        await super()._take(frame)

    async def _respond(self, frame: dict[str, Any], fields: dict[str, Any]) -> None:
        said = {"type": "response", "request_id": frame["request_id"], **fields}
        await self._connection.send_message(json.dumps(said))
