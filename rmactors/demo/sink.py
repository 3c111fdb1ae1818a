"""A webhook receiver: prints each notification as it arrives, and keeps it for those who wait."""

from dataclasses import dataclass, field
from typing import Any

import click
import h11
import msgspec
import trio

from rmactors.common.text import one_line

_READ = 65_536
_MARKS = {"alert.raised": ("!", "red"), "alert.acknowledged": ("·", "yellow"), "alert.resolved": ("✓", "green")}


@dataclass(slots=True)
class Sink:
    """What has arrived so far, and an event that is set again at each arrival."""

    arrived: list[dict[str, Any]] = field(default_factory=list)
    news: trio.Event = field(default_factory=trio.Event)

    async def until(self, event: str) -> dict[str, Any]:
        """Wait for the first notification of `event` and return it."""
        while True:
            for found in self.arrived:
                if found.get("event") == event:
                    return found
            await self.news.wait()

    async def serve(self, task_status: trio.TaskStatus[int]) -> None:
        """Listen on a free port of 127.0.0.1, which is the started value."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._connection, listeners)

    async def _connection(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER)
        async with stream:
            try:
                while http.our_state is not h11.MUST_CLOSE:
                    body = await _body(http, stream)
                    if body is None:
                        return
                    self._take(body)
                    answer = http.send(h11.Response(status_code=204, headers=[]))
                    await stream.send_all((answer or b"") + (http.send(h11.EndOfMessage()) or b""))
                    if http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                        http.start_next_cycle()
            except (h11.RemoteProtocolError, trio.BrokenResourceError):
                return  # not a sender of ours

    def _take(self, body: bytes) -> None:
        notification = msgspec.json.decode(body, type=dict[str, Any])
        mark, colour = _MARKS.get(notification["event"], ("·", "cyan"))
        head = f"{mark} {notification['event']}: [{notification['severity']}] {notification['host_name']}"
        click.secho(f"  {one_line(head)}", fg=colour)
        click.echo(f"    {one_line(str(notification['message']))}")
        self.arrived.append(notification)
        self.news.set()
        self.news = trio.Event()


async def _body(http: h11.Connection, stream: trio.SocketStream) -> bytes | None:
    """The body of the next request; None if the sender has gone."""
    body = b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(await stream.receive_some(_READ))
            case h11.Data(data=data):
                body += bytes(data)
            case h11.EndOfMessage():
                return body
            case h11.ConnectionClosed():
                return None
            case _:
                pass
